#!/usr/bin/env python3
"""Tests the tests: changes the code of figures and verdicts in small ways, and says which changes no unit test notices.

    scripts/mutants.py [--only PATTERN] [--again] [--jobs N] [--list]

The mutants are those of cargo-mutants with the settings of .cargo/mutants.toml. A build for each would take hours, so
all mutants of a crate are compiled into one test binary ("mutant schemata": Untch, Offutt and Harrold, 1993). In a copy
of the repository, below target/mutants, each function gets a body for each of its mutants, and the variable MUTANT
chooses one when a test runs. A mutant whose body does not compile is unviable, as in cargo-mutants.

A first run of every unit test by itself shows which functions it reaches. Each mutant then meets the tests that reach
it, those of its own module first, until one fails or takes too long. scripts/mutants.toml lists the mutants that change
nothing, with the reason. Exits with 1 if a mutant is missed that is not listed, or a listed one is caught.

--only PATTERN tests only mutants whose name has PATTERN; --again only those that no earlier run caught, and counts the
rest as then; --jobs N runs as many tests at once; --list prints the mutants and builds nothing. MUTANTS is the cargo-mutants to use (cargo-mutants).
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "mutants"
PACKAGES = {"paceline-core": "crates/paceline-core", "paceline": "."}
# Tests that take longer by themselves are left out: they wait for real servers, which is not what is tested here.
LONGEST_TEST = 15.0
# Quick tests share a process, up to this time in all.
SHARED = 0.5
# A mutant may make a test this many times slower, or take this long at least.
SLOWER, LEAST_PATIENCE = 10.0, 5.0
MEMORY = 4 << 30
SWITCH = """//! Chooses the body of a function: `MUTANT` is the number of a mutant, `MUTANT_TRACE` a file for what was reached.

use std::{io::Write, sync::{OnceLock, atomic::{AtomicBool, Ordering}}};

static SEEN: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

/// Returns the number of the mutant that is on, and notes that this function was reached.
pub fn at(function: usize) -> usize {
    static ON: OnceLock<(usize, Option<std::ffi::OsString>)> = OnceLock::new();
    let (on, trace) = ON.get_or_init(|| {
        let on = std::env::var("MUTANT").ok().and_then(|text| text.parse().ok());
        (on.unwrap_or(usize::MAX), std::env::var_os("MUTANT_TRACE"))
    });
    if let Some(trace) = trace && !SEEN[function].swap(true, Ordering::Relaxed) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(trace);
        file.unwrap().write_all(format!("{function}\\n").as_bytes()).unwrap();
    }
    *on
}
"""


class Mutant:
    """A change of one function."""

    def __init__(self, number, found):
        self.number, self.name, self.file = number, found["name"], found["file"]
        self.replacement, self.span = found["replacement"], found["span"]
        self.function = found.get("function")
        # The name without its place, which moves with every edit.
        self.what = re.sub(r"^\S+?:\d+:\d+: ", "", self.name)
        self.line, self.key = "", ""
        self.result, self.by = None, ""


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--only", default="")
    options.add_argument("--again", action="store_true")
    options.add_argument("--list", action="store_true")
    options.add_argument("--jobs", type=int, default=1)
    options = options.parse_args()
    begun = time.monotonic()
    OUT.mkdir(parents=True, exist_ok=True)
    listed = tomllib.loads((ROOT / "scripts/mutants.toml").read_text())["listed"]
    results = {}
    for package in PACKAGES:
        mutants = mutants_of(package)
        if options.list:
            print("\n".join(f"{mutant.name}    {mutant.line}" for mutant in mutants))
            continue
        known = known_of(package)
        wanted = {mutant.key for mutant in mutants if re.search(options.only, mutant.name)}
        if options.again:
            wanted = {key for key in wanted if known.get(key, ["missed"])[0] == "missed"}
        for mutant in mutants:
            before = known.get(mutant.key)
            # An unviable mutant stays one, and finding it out costs a build.
            if before and (mutant.key not in wanted or before[0] == "unviable"):
                mutant.result, mutant.by = before
        if any(mutant.key in wanted and not mutant.result for mutant in mutants):
            run(package, mutants, wanted, options.jobs)
        results[package] = [mutant for mutant in mutants if mutant.result]
    if not options.list:
        sys.exit(report(results, listed, whole=not (options.only or options.again), begun=begun))


@functools.cache
def source(file):
    """Returns the text of a file as it was at first: somebody may edit it meanwhile."""
    return (ROOT / file).read_text()


def key_of(mutant):
    return (mutant.file, mutant.what, mutant.line)


def known_of(package):
    """Returns what earlier runs found: the result of each mutant by its key, and what caught it."""
    path = OUT / f"{package}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def keep(package, mutants):
    """Keeps the results for the next run, with those of mutants that are not in this one."""
    known = known_of(package) | {mutant.key: [mutant.result, mutant.by] for mutant in mutants if mutant.result}
    (OUT / f"{package}.json").write_text(json.dumps(known, indent=0))


def mutants_of(package):
    """Returns the mutants that cargo-mutants lists for a package."""
    program = os.environ.get("MUTANTS", "cargo-mutants")
    command = [program, "mutants", "--list", "--json", "--package", package]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    mutants = [Mutant(number, found) for number, found in enumerate(json.loads(listed))]
    # cargo-mutants does not hold its own pattern against mutants that leave out a field.
    settings = tomllib.loads((ROOT / ".cargo/mutants.toml").read_text())
    excluded = [re.compile(pattern) for pattern in settings["exclude_re"]]
    mutants = [mutant for mutant in mutants if not any(of.search(mutant.name) for of in excluded)]
    # A constant has no body to choose when a test runs.
    mutants = [mutant for mutant in mutants if mutant.function]
    seen = collections.Counter()
    for mutant in mutants:
        lines = source(mutant.file).split("\n")
        mutant.line = lines[mutant.span["start"]["line"] - 1].strip()
        # Without the place, but with a number where a line has the same change twice.
        key = " | ".join(key_of(mutant))
        seen[key] += 1
        mutant.key = f"{key} | {seen[key]}"
    return mutants


def run(package, mutants, wanted, jobs):
    """Builds all mutants of a package at once, and tests the wanted ones."""
    by_file = collections.defaultdict(list)
    for mutant in mutants:
        if mutant.result != "unviable" and is_switchable(mutant):
            by_file[mutant.file].append(mutant)
        elif mutant.result != "unviable":
            mutant.result = "not built"
    binary, functions = build(package, by_file)
    keep(package, mutants)
    reached, seconds = trace(package, binary)

    def tried(mutant):
        number = functions[place(mutant.function["span"]["start"]), mutant.file]
        try_mutant(package, binary, mutant, [test for test in seconds if number in reached[test]], seconds)
        return mutant

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        left = [mutant for mutant in mutants if mutant.key in wanted and not mutant.result]
        for count, mutant in enumerate(pool.map(tried, left), 1):
            if mutant.result != "caught":
                print(f"{mutant.result}: {mutant.name}    {mutant.line}", flush=True)
            if count % 50 == 0:
                print(f"{package}: {count} of {len(left)}", flush=True)
                keep(package, mutants)
    keep(package, mutants)


def is_switchable(mutant):
    """Returns whether the function can choose its body when it runs, and all bodies have one type."""
    text = source(mutant.file)
    starts = offsets(text)
    begin = offset(starts, mutant.function["span"]["start"])
    head = text[begin : body(text, begin)]
    return "const fn" not in head and "-> impl" not in head


def place(at):
    return (at["line"], at["column"])


def offsets(text):
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def offset(starts, at):
    return starts[at["line"] - 1] + at["column"] - 1


def body(text, begin):
    """Returns where the body of the function at `begin` opens."""
    name = re.compile(r"\bfn\s+\w+").search(text, begin)
    return text.index("{", name.end())


def build(package, by_file):
    """Builds the test binary, leaving out mutants that do not compile; returns it and the numbers of the functions."""
    copy(package, by_file)
    while True:
        functions, lines = write(package, by_file)
        command = ["cargo", "test", "--offline", "--package", package, "--lib", "--no-run"]
        command += ["--message-format=json"]
        env = {**os.environ, "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))}
        begun = time.monotonic()
        built = subprocess.run(command, cwd=tree(package), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        print(f"{package}: built in {time.monotonic() - begun:.0f} s", flush=True)
        messages = [json.loads(line) for line in built.stdout.split("\n") if line.startswith("{")]
        if built.returncode == 0:
            artefacts = [m for m in messages if m.get("executable") and m["profile"]["test"]]
            return artefacts[-1]["executable"], functions
        errors = [m["message"] for m in messages if m["reason"] == "compiler-message" and m["message"]["level"] == "error"]
        unviable = {mutant for error in errors for mutant in owners(error, lines)}
        others = [error for error in errors if error["spans"] and not list(owners(error, lines))]
        if others or not unviable:
            text = "\n".join(error["rendered"] for error in others or errors) or built.stderr
            sys.exit(f"the copy does not build, and not because of a mutant:\n{text}")
        for mutant in unviable:
            mutant.result = "unviable"
            by_file[mutant.file].remove(mutant)
        print(f"{package}: {len(unviable)} mutants are unviable", flush=True)


def owners(error, lines):
    """Returns the mutants in whose bodies an error is."""
    for span in error["spans"]:
        if span["is_primary"]:
            for first, last, mutant in lines.get(span["file_name"], []):
                if first <= span["line_start"] <= last:
                    yield mutant


def tree(package):
    """Returns the copy for a package. Each has its own, in which only the package itself is changed."""
    return OUT / package


def copy(package, by_file):
    """Copies the files of the repository that differ, so that cargo builds only what changed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listed, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    home = PACKAGES[package]
    written = {*by_file, os.path.normpath(f"{home}/src/lib.rs")}
    for name in listed:
        if name and (ROOT / name).is_file() and name not in written and not name.startswith("results/"):
            content = (ROOT / name).read_bytes()
            if name == os.path.normpath(f"{home}/Cargo.toml"):
                content = content.replace(b"[lints]\nworkspace = true\n", b"")
            put(tree(package) / name, content)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def write(package, by_file):
    """Writes the files with a body for each mutant; returns the functions' numbers, and the lines of each mutant."""
    functions, lines = {}, {}
    folder = tree(package) / PACKAGES[package] / "src"
    for file, mutants in by_file.items():
        text = source(file)
        starts = offsets(text)
        of_function = collections.defaultdict(list)
        for mutant in mutants:
            span = mutant.function["span"]
            of_function[offset(starts, span["start"]), offset(starts, span["end"])].append(mutant)
            functions.setdefault((place(span["start"]), file), len(functions))
        marked = render(text, 0, len(text), of_function, starts, functions, file)
        put(tree(package) / file, marked.encode())
        lines[file] = ranges(marked, mutants)
    switch = SWITCH.replace("COUNT", str(max(len(functions), 1)))
    put(folder / "mutant_switch.rs", switch.encode())
    library = (ROOT / PACKAGES[package] / "src/lib.rs").read_text()
    put(folder / "lib.rs", (library + "\n#[doc(hidden)]\npub mod mutant_switch;\n").encode())
    return functions, lines


def render(text, begin, end, of_function, starts, functions, file):
    """Returns the text from `begin` to `end`, in which each function chooses its body."""
    out, at = "", begin
    for first, last in sorted(of_function):
        # A function within one that was written already is part of its body.
        if first < at or last > end:
            continue
        opens = body(text, first)
        span = (first, last)
        inner = {other: of for other, of in of_function.items() if opens < other[0] and other[1] < last}
        number = functions[place(of_function[span][0].function["span"]["start"]), file]
        out += text[at:opens] + f"{{ match crate::mutant_switch::at({number}) {{\n"
        for mutant in of_function[span]:
            a, b = offset(starts, mutant.span["start"]), offset(starts, mutant.span["end"])
            changed = text[opens:a] + mutant.replacement + text[b:last]
            out += f"/*mutant {mutant.number}*/ {mutant.number} => {changed}\n/*mutant ends*/\n"
        out += "_ => " + render(text, opens, last, inner, starts, functions, file) + "\n} }"
        at = last
    return out + text[at:end]


def ranges(marked, mutants):
    """Returns the first and the last line of each mutant's body."""
    numbers = {mutant.number: mutant for mutant in mutants}
    found, first, mutant = [], 0, None
    for number, line in enumerate(marked.split("\n"), 1):
        begins = re.match(r"/\*mutant (\d+)\*/", line)
        if begins:
            first, mutant = number, numbers[int(begins[1])]
        elif line == "/*mutant ends*/":
            found.append((first, number - 1, mutant))
    return found


def trace(package, binary):
    """Runs each test by itself; returns which functions each reaches, and how long each takes."""
    listed = subprocess.run([binary, "--list", "--format", "terse"], check=True, stdout=subprocess.PIPE, text=True)
    tests = [line.removesuffix(": test") for line in listed.stdout.split("\n") if line.endswith(": test")]
    reached, seconds, left_out = {}, {}, []
    path = OUT / f"{package}.trace"
    for test in tests:
        path.unlink(missing_ok=True)
        begun = time.monotonic()
        ended = execute(package, binary, [test], LONGEST_TEST, {"MUTANT_TRACE": str(path)})
        if ended != 0:
            left_out.append(test)
            continue
        numbers = path.read_text().split() if path.exists() else []
        reached[test] = {int(number) for number in numbers}
        seconds[test] = time.monotonic() - begun
    print(f"{package}: {len(tests)} tests, {sum(seconds.values()):.0f} s; left out: {', '.join(left_out) or 'none'}", flush=True)
    return reached, seconds


def execute(package, binary, tests, patience, env):
    """Runs tests; returns the exit code, or None after `patience` seconds."""
    quiet = {"PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1", "PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_RNG_SEED": "1"}
    folder = tree(package) / PACKAGES[package]
    process = subprocess.Popen(
        [binary, "--exact", "--test-threads=1", *tests],
        cwd=folder,
        env={**os.environ, **quiet, **env, "CARGO_MANIFEST_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return None


def try_mutant(package, binary, mutant, tests, seconds):
    """Runs the tests that reach a mutant until one fails."""
    module = re.sub(r"(/mod)?\.rs$", "", mutant.file.split("src/", 1)[1]).replace("/", "::")

    def nearness(test):
        shared = os.path.commonprefix([test.split("::"), module.split("::")])
        return (-len(shared), seconds[test])

    for group in groups(sorted(tests, key=nearness), seconds):
        patience = max(LEAST_PATIENCE, SLOWER * sum(seconds[test] for test in group))
        ended = execute(package, binary, group, patience, {"MUTANT": str(mutant.number)})
        if ended != 0:
            mutant.result, mutant.by = "caught", group[0] if ended is not None else "time"
            return
    mutant.result = "missed"


def groups(tests, seconds):
    """Joins quick tests that follow each other."""
    group, sum_of_group = [], 0.0
    for test in tests:
        if group and sum_of_group + seconds[test] > SHARED:
            yield group
            group, sum_of_group = [], 0.0
        group.append(test)
        sum_of_group += seconds[test]
    if group:
        yield group


def report(results, listed, whole, begun):
    """Prints the counts of each file; returns the exit code."""
    reasons = {(of["file"], of["mutant"], of["line"]): of["reason"] for of in listed}
    used, rows, bad = set(), collections.defaultdict(collections.Counter), 0
    print("\n| file | mutants | unviable | viable | caught | of them by time | listed | missed |\n|---|---|---|---|---|---|---|---|")
    for mutant in (mutant for mutants in results.values() for mutant in mutants):
        row, key = rows[mutant.file], key_of(mutant)
        row[mutant.result] += 1
        row["by time"] += mutant.by == "time"
        if mutant.result == "missed" and key in reasons:
            used.add(key)
            row["listed"] += 1
            row["missed"] -= 1
    for file, row in [*sorted(rows.items()), ("all", sum(rows.values(), collections.Counter()))]:
        viable = row["caught"] + row["listed"] + row["missed"]
        every = viable + row["unviable"] + row["not built"]
        print(f"| `{file}` | {every} | {row['unviable']} | {viable} | {row['caught']} | {row['by time']} | {row['listed']} | {row['missed']} |")
    for mutant in (mutant for mutants in results.values() for mutant in mutants):
        if mutant.result == "not built" or (mutant.result == "missed" and key_of(mutant) not in used):
            bad += mutant.result == "missed"
            print(f"{mutant.result}: {mutant.name}    {mutant.line}")
    stale = [key for key in reasons if key not in used] if whole else []
    for key in stale:
        print(f"listed, but caught or gone: {' '.join(key)}")
    print(f"took {time.monotonic() - begun:.0f} s")
    return int(bool(bad or stale))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
