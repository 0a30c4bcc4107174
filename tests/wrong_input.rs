//! Wrong input, a table for all commands: one sentence that says what is wrong and what to do, and the exit code.

mod program;

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
};

use program::text;

/// What is typed, and behind `=>` what the sentence must contain. All of these end with 2.
const WRONG: &str = r#"
run echo --quux 1 => unexpected argument '--quux' found; see paceline run --help
selftest --budget 30s => at least 42s, or 21s with --suites 0
selftest --suites 0 --budget 20s => plants slowdowns for 20s each: give at least 21s
foo => unrecognized subcommand 'foo'; see paceline --help
ruun => a similar subcommand exists: 'run'
run nosuch => no workload is called `nosuch`: name one of
run echoo => did you mean `echo`?
run typo => no workload is called `typo`: did you mean typo.toml? name one of
load typo --rate 9 => did you mean typo.toml?
advise typo => did you mean typo.toml?
run nosuch.toml => there is no file nosuch.toml
run broken.toml => broken.toml:2:25: not TOML: unclosed array
run zero.toml => zero.toml:2:8: a scale must be at least 1
run long.toml => long.toml:2:18: sleep must be at most 1m, not 1000000h
run longer.toml => longer.toml:2:18: sleep must be at most 1m, not 99999999999999999999h
run typo.toml => did you mean `sleep`?
run empty.toml => a workload needs the key `name`
run bytes.toml => bytes.toml: cannot be read: it is not UTF-8 text
run echo echo => echo is named twice: name it once
run echo same.toml => give one another name
run loop/x.toml => loop/x.toml cannot be read: Too many levels of symbolic links
run records/newer => records/newer is a record and not a workload: paceline report records/newer shows it
advise records/newer => paceline report records/newer shows it
load records/newer --rate 9 => paceline report records/newer shows it
run echo --model toki => did you mean `tokio`?
run echo --model tokio, => --model has an empty value in its list: leave out the comma
run echo --model , => --model has an empty value in its list
run echo --model= => --model has an empty value in its list
run echo --model tokio,,smol => --model has an empty value in its list
run echo --scale 10, => --scale has an empty value in its list
run echo --scale=,10 => --scale has an empty value in its list
run echo --workers 1, => --workers has an empty value in its list
run echo --trials= => --trials "": the number of trials must be a whole number
load serve-plain --rate 9 --model tokio, => --model has an empty value in its list
load http://127.0.0.1:80/ --rate 9 --expect 200, => --expect has an empty value in its list
load serve-plain --model tokio --p99-limit 9ms --rates 25%, => --rates has an empty value in its list
claims sleeps --model , => --model has an empty value in its list
advise sleep --scale , => --scale has an empty value in its list
history --metric p50, => --metric has an empty value in its list
selftest --kind cpu, => --kind has an empty value in its list
gate --base x --metric p50, => --metric has an empty value in its list
gate --base x --features a, => --features has an empty value in its list
cluster plan echo --out p --scale 10, => --scale has an empty value in its list
run echo --scale 0 => --scale 0: a scale must be at least 1
run echo --scale 99999999999999999999 => a scale must be at most
run echo --workers 0 => --workers 0: workers must be at least 1
run echo --trials 0 => --trials 0: the number of trials must be at least 1
run echo --trials x => the number of trials must be a whole number of at least 1
run echo --scale -1 => scale
run echo --budget soon => 90s
run echo --model tokio-current-thread --workers 2 => has one worker
run echo --model tokio --placement dealt => only inside or outside
run echo --budget -1s => --budget -1s: the budget is a duration such as 90s
run echo --budget 99999999h => at most 24h
run echo --seed -1 => --seed -1: a seed is a whole number
run echo --placement side => [possible values: inside, outside, dealt]
run echo --to-the-limit --trials 3 => cannot be used with '--trials <N>'; see paceline run --help
run echo --model threads --workers 2 => threads has a thread for each job and no workers to set
run --resume --out nowhere => begin one without --resume
load => <WORKLOAD|FILE.toml|URL>; see paceline load --help
load serve-plain => choose a load: --rate 1000
load serve-plain --rate -5 => a rate is a number of requests per second of at least 0.001 and at most 1 000 000
load serve-plain --rate 1e-300 => of at least 0.001
load serve-plain --ramp 1e-9..1/1s => of at least 0.001
load serve-plain --connections 0 => --connections 0: the number of connections must be at least 1
load serve-plain --connections 4 --arrivals burst => add --rate, or leave --arrivals out
load serve-plain --rate 9 --p99-limit 1x => the limit is a time such as 10s
load serve-plain --rate 9 --patience 0s => the patience is at least 100ms
load serve-plain --rate 9 --trials 101 => the number of trials must be at most 100
load 127.0.0.1:80 --rate 9 => if it is a server, give http://127.0.0.1:80/
load 127.0.0.1:80/ok --rate 9 => give http://127.0.0.1:80/ok
load http:127.0.0.1:80 --rate 9 => give http://127.0.0.1:80/
load http:/127.0.0.1:80/ok --rate 9 => give http://127.0.0.1:80/ok
load http://127.0.0.1:9/ --rate 5 --against 127.0.0.1:9/b => is not one; give http://127.0.0.1:9/b
load http://example.com/ --rate 9 => give localhost, 127.0.0.1 or [::1]
load https://127.0.0.1/ --rate 9 => give an http:// URL
load http://127.0.0.1:80/ --rate 9 --model tokio => leave them out with a URL
load http://127.0.0.1:80/ --rate 9 --workers 2 => leave them out with a URL
load serve-plian --rate 9 => did you mean `serve-plain`
load nosuch.toml --rate 9 => there is no file
load serve-plain --rate 0 => requests per second
load serve-plain --rate many => requests per second
load serve-plain --rate 1e99 => at most 1 000 000
load serve-plain --rate 9 --duration 9999h => at most 1h
load serve-plain --rate 9 --model tokoi => did you mean `tokio`
load serve-plain --rate 9 --model threads --workers 2 => no workers to set
load serve-plain --rate 9 --expect 200 => is for a URL
load http://192.0.2.1:80/ --rate 9 => loopback
load http://localhost:99999/ --rate 9 => port
load http://me@localhost/ --rate 9 => does not log in
load http://127.0.0.1:80/ --rate 9 --expect 103 => from 200 to 599
load http://127.0.0.1:80/ --rate 9 --expect ok => from 200 to 599
load http://127.0.0.1:80/ --rate 9 --pin => cannot be pinned
load serve-plain --rate 9 --method POST => for a URL
load serve-plain --rate 9 --header A:b => for a URL
load serve-plain --rate 9 --body two => for a URL
load http://127.0.0.1:1/ --rate 9 --header colonless => a name, a colon and a value
load http://127.0.0.1:1/ --rate 9 --header Content-Length:5 => --body
load http://127.0.0.1:1/ --rate 9 --method CONNECT => tunnel
load http://127.0.0.1:1/ --rate 9 --body nosuch => nosuch: cannot be read
load http://127.0.0.1:1/ --rate 9 --body . => it is a folder
load http://127.0.0.1:1/ --rate 9 --body /dev/zero => it is a device
load --rate 9 --urls nosuch => nosuch: cannot be read
load --rate 9 --urls none => none: it has no URL
load --rate 9 --urls two => two: line 2: 127.0.0.1:2 is another server
load --rate 9 --urls bytes.toml => UTF-8
load --rate 9 --urls two http://127.0.0.1:1/ => cannot be used with
load http://127.0.0.1:1/ --rate 9 --timeout 0s => at least 1ms
load http://127.0.0.1:1/ --rate 9 --timeout 11s => give --patience 11s or more
load http://127.0.0.1:1/ --rate 9 --max-errors 101% => at most 100%
load http://127.0.0.1:1/ --rate 9 --max-errors -1 => whole number
load http://127.0.0.1:1/ --rate 9 --fail-if p95>5ms => choose one of conns, req/s, of bound, errors
load http://127.0.0.1:1/ --rate 9 --fail-if p99>5 => ns, us, ms or s
load serve-plain --model tokio --rate 5 --every 50ms => at least 100ms
load serve-plain --model tokio --rate 5 --every 6s => at most the duration, 5s
load serve-plain --model tokio --rate 5 --every soon => a time such as
load serve-plain --model tokio --rate 5 --every 100ms --duration 10m => 6 000 intervals of 100ms, and the record keeps 3 600
load serve-plain --model tokio --p99-limit 9ms --every 1s => cannot be used with
load serve-plain --model tokio --ramp 100..200 => such as 100..5000/30s
load serve-plain --model tokio --ramp 100/30s => such as 100..5000/30s
load serve-plain --model tokio --ramp 0..200/30s => requests per second
load serve-plain --model tokio --ramp 100..1e99/30s => at most 1 000 000
load serve-plain --model tokio --ramp 100..200/9h => at most 1h
load serve-plain --model tokio --rate 5 --ramp 100..200/3s => cannot be used with
load serve-plain --model tokio --ramp 1..2/3s --duration 3s => cannot be used with
load serve-plain --model tokio --rate 5 --rates 50% => --p99-limit
load serve-plain --model tokio --p99-limit 9ms --rates 50 => a percentage from 1% to 100%
load serve-plain --model tokio --p99-limit 9ms --rates 25%,150% => a percentage from 1% to 100%
load serve-plain --model tokio --p99-limit 9ms --against smol => cannot be used with
load serve-plain --connections 2 --against smol => one --model
load serve-plain --model tokio --rate 5 --against smoll => did you mean `smol`
load serve-plain --model tokio --rate 5 --against smol --trials 2 => at least 3 --trials
load serve-plain --model tokio --rate 5 --against http://127.0.0.1:9/ => served by models
load http://127.0.0.1:9/ --rate 5 --against smol => is not one
load serve-plain --model tokio --rate 5 --ndjson => such as --every 1s
load serve-plain --model tokio --connections 8 --generators 0 => the number of generators must be at least 1
load serve-plain --model tokio --connections 8 --generators -2 => the number of generators must be a whole number of at least 1
load serve-plain --model tokio --connections 80 --generators 65 => the number of generators must be at most 64
load serve-plain --model tokio --connections 80 --generators 99999999999999999999 => at most 64
load serve-plain --model tokio --connections 8 --generators two => a whole number
load serve-plain --model tokio --connections 8 --generators 9 => 9 generators cannot share 8 connections: give --generators 8 or fewer
load serve-plain --model tokio --connections 1 --generators 2 => 2 generators cannot share 1 connection: give --generators 1
serve serve-plain => --model <NAME>; see paceline serve --help
serve broken.toml --model tokio => not TOML
claims sleepss => did you mean `sleeps`?
claims --budget 0s => the budget is at least 1s
claims --budget soon => the budget is a duration such as 90s or 30m
claims sleeps --model tokoi => did you mean `tokio`?
advise => FILE.toml|WORKLOAD
advise nosuch.toml => there is no file nosuch.toml
advise typo.toml => typo.toml:2:10: unknown step `sleeep`: did you mean `sleep`?
advise sleep echo => echo
advise sleep --model tokyo => did you mean `tokio`?
advise sleep --model threads --workers 2 => no workers to set
advise sleep --scale 0 => scale
advise sleep --budget soon => 90s
advise sleep --trials 0 => must be at least 1
advise sleep --placement inside => --placement
report loop/x => loop/x cannot be read: Too many levels of symbolic links
report nosuch => there is no record in nosuch or results/nosuch
report --out nowhere => nowhere
report records/torn/run.json => records/torn/run.json is a file: name the folder of a record
report records => records is a folder of records: name one of them, or --out records
report records/torn => run.json is damaged at line 2 (EOF while parsing an object): bring it back
report records/torn => the lines of cells.jsonl (1) are not lost
report records/other => is no record of paceline, for it has no "schema"
report records/newer => use a newer paceline
report records/torn --format xyz => choose one of html, table, svg
report records/torn --chart x => --chart goes with --format svg
report records/torn --all => --all goes with --format table
report records/torn -o run.json => run.json is the name of a part of a record
compare a => <HEAD>; see paceline compare --help
compare records/torn records/torn => run.json is damaged
history --out records/newer => is a record, and --out takes the folder of records: give --out /
history --filter [ => --filter [: this is no regular expression: unclosed character class
history --metric foo => name one of throughput
gate => give --base: a revision
gate --base x --filter [ => --filter [: this is no regular expression
gate --base ./tool => --head is missing: without it, the head is the working tree, but there is no cargo project here
gate --base main => there is no cargo project here: go to the folder of one, or give paths of built programs
init gate => there is no cargo project here; go to the folder of one
gate --base x --trials 1 => the number of trials must be at least 5
gate --base x --patience x => the patience is a time such as 10s
gate --base x --margin abc => --margin abc: a margin is a percentage of 0% to 100%, such as 3%
gate --base x --config number.toml => number.toml: line 1: `margin = 3`: write a percentage of 0% to 100% in quotes, such as "3%"
gate --base x --config regex.toml => regex.toml: line 2: `name = '('`: this is no regular expression: unclosed group
gate --base x --export foo=x => choose one of markdown
gate --base x --metric speed => throughput, p50, p99, cpu, memory
gate --base x --export markdown => FORMAT=FILE
gate --base x --margin 9% => at most the clear margin
gate --base x --config none.toml => none.toml: cannot be read
gate --base x --budget soon => such as 90s
selftest --suites -1 => --suites -1: the number of suites must be a whole number
selftest --kind foo => [possible values: cpu
doctor --format x => [possible values: table, json]
doctor --fast yes => unexpected argument
completions foo => [possible values: bash
completions => <SHELL> [possible values: bash
init => <WHAT> [possible values: gate]; see paceline init --help
run echo --format xml => [possible values: table, json]; see paceline run --help
cluster status plan --format xml => see paceline cluster status --help
cluster plan echo --out p --trials 0 => --trials 0: the number of trials must be at least 1
cluster plan echo --out p --seed -1 => --seed -1: a seed is a whole number
cluster plan echo --out p --server a=10.0.0.1 --generator b=10.0.0.2 --rate 5 --port 80 => --port 80: the port must be at least 1 024
cluster plan echo --out p --patience=3s => paceline cluster plan does not take --patience, an option of paceline load
cluster run echo --out p --resume => an option of paceline run: leave it out; see paceline cluster run --help
cluster plan echo --out p --quux => unexpected argument '--quux' found; see paceline cluster plan --help
cluster manifest p --image x --cpus 0 => --cpus 0: the CPUs of a pod must be at least 1
report records/lost => records/lost is no whole record: it has cells.jsonl, but not one of run.json
compare records/claimed records/claimed => records/claimed is a record of another kind: name one
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sleep = "job = [{ sleep = \"1ms\" }";
    for (name, text) in [
        ("broken.toml", format!("name = \"x\"\n{sleep}\n").into_bytes()),
        ("zero.toml", format!("name = \"x\"\nscale=[0]\n{sleep}]\n").into_bytes()),
        ("long.toml", b"name = \"x\"\njob = [{ sleep = \"1000000h\" }]\n".to_vec()),
        ("longer.toml", b"name = \"x\"\njob = [{ sleep = \"99999999999999999999h\" }]\n".to_vec()),
        ("typo.toml", b"name = \"x\"\njob = [{ sleeep = \"1ms\" }]\n".to_vec()),
        ("same.toml", format!("name = \"echo\"\n{sleep}]\n").into_bytes()),
        ("tool", b"#!/bin/sh\n".to_vec()),
        ("number.toml", b"margin = 3\n".to_vec()),
        ("regex.toml", b"[[cell]]\nname = '('\n".to_vec()),
        ("empty.toml", vec![]),
        ("none", b"# nothing\n".to_vec()),
        ("two", b"http://127.0.0.1:1/\nhttp://127.0.0.1:2/\n".to_vec()),
        ("bytes.toml", vec![0xff, 0xfe]),
        ("records/torn/run.json", b"{\n".to_vec()),
        ("records/torn/cells.jsonl", b"{}\n".to_vec()),
        ("records/lost/cells.jsonl", b"{}\n".to_vec()),
        ("records/claimed/claims.json", b"{}".to_vec()),
        ("records/other/run.json", b"{}".to_vec()),
        ("records/newer/run.json", b"{\"schema\": 99}".to_vec()),
    ] {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    fs::set_permissions(folder.path().join("tool"), Permissions::from_mode(0o755)).unwrap();
    // What cannot be read for another reason than its absence, also by root, which may read everything.
    symlink("loop", folder.path().join("loop")).unwrap();
    folder
}

/// The exit code, what was printed, and what was said.
fn paceline(typed: &str, folder: &Path) -> (Option<i32>, String, String) {
    let output = program::run(folder, typed.split_whitespace());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn wrong_input_is_told_in_one_sentence_that_says_what_to_do() {
    let folder = folder();
    for line in WRONG.trim().lines() {
        let (typed, what) = line.split_once(" => ").unwrap();
        let (code, printed, said) = paceline(typed, folder.path());
        assert_eq!(code, Some(2), "{typed}: {said}");
        assert!(said.contains(what), "{typed}: {said}");
        let sentence = said.strip_prefix("error: ").unwrap_or_else(|| panic!("{typed}: {said}"));
        assert_eq!(sentence.trim_end().lines().count(), 1, "{typed}: {said}");
        assert!(!sentence.starts_with(char::is_uppercase), "{typed}: {said}");
        assert!(!said.contains("panicked") && !said.contains("For more information"), "{said}");
        assert_eq!(printed, "", "{typed}");
    }
    assert!(!folder.path().join("results").exists(), "nothing was begun");
}

/// Words that resemble a name by chance, or not at all.
const FAR: &[&str] = &[
    "run speed",
    "run server.toml",
    "run echo --model java",
    "start",
    "claims sequence",
    "load serve-plain --limit 5",
];

#[test]
fn no_name_is_suggested_that_nobody_mistypes_like_this() {
    let folder = folder();
    for typed in FAR {
        let (code, _, said) = paceline(typed, folder.path());
        assert_eq!(code, Some(2), "{typed}: {said}");
        assert!(!said.contains("did you mean") && !said.contains("similar"), "{typed}: {said}");
    }
}

/// Arguments with line ends and other control characters, what the sentence must contain, and the exit code.
const MOVING: &[(&[&str], &str, i32)] = &[
    (&["load", URL, "--rate=9", "--header", "A: b\r\nC: d"], r"A: b\r\nC: d: the header A has", 2),
    (&["load", URL, "--rate=9", "--header", "A\nB: c"], r#"A\nB: c: "A\nB" is not the name"#, 2),
    (&["load", URL, "--rate=9", "--header", "a\nb"], r"--header a\nb: it is a name, a colon", 2),
    (&["load", URL, "--rate=9", "--header", "A: \u{1b}[2J"], r"A: \u{1b}[2J: the header A has", 2),
    (&["load", URL, "--rate=9", "--header", "A b: c"], "not the name of a header", 2),
    (&["load", URL, "--rate=9", "--method", "GET /"], "not a method", 2),
    (&["load", URL, "--rate=9", "--method", "GET\r\n"], r"--method GET\r\n: ", 2),
    (&["load", URL, "--rate=9", "--body", "no\nfile"], r"no\nfile: ", 2),
    (&["load", "--rate=9", "--urls", "no\nfile"], r"no\nfile: ", 2),
    (&["load", "--rate=9", "--urls", "urls"], r"percent-encode it", 2),
    (&["load", "--rate=9", "--urls", "a\nb"], r"a\nb: line 1: ", 2),
    (&["load", "https://127.0.0.1/\n", "--rate=9"], r"https://127.0.0.1/\n needs TLS", 2),
    (&["load", "http://127.0.0.1/\r\nA: b", "--rate=9"], "percent-encode it", 2),
    (&["load", "http://localhost/a b", "--rate=9"], "percent-encode it", 2),
    (&["load", "a\n://b", "--rate=9"], r"a\n://b", 2),
    (&["load", "a\nb", "--rate=9"], r"`a\nb`", 2),
    (&["load", "a\nb.toml", "--rate=9"], r"a\nb.toml", 2),
    (&["load", "a\nb:80", "--rate=9"], r"a\nb:80", 2),
    (&["load", URL, "--rate=1\n"], r"--rate 1\n: ", 2),
    (&["load", URL, "--rate=9", "--expect", "2\n"], r"--expect 2\n: ", 2),
    (&["load", URL, "--rate=9", "--timeout", "1x\n"], r"--timeout 1x\n: ", 2),
    (&["load", URL, "--rate=9", "--max-errors", "x\n"], r"--max-errors x\n: ", 2),
    (&["load", URL, "--rate=9", "--fail-if", "p99>\n"], r"--fail-if p99>\n: ", 2),
    (&["load", URL, "--rate=9", "--against", "a\nb"], r"a\nb", 2),
    (&["load", URL, "--ramp", "1..\n"], r"--ramp 1..\n: ", 2),
    (&["load", "serve-plain", "--rate=9", "--model", "a\nb"], r"`a\nb`", 2),
    (&["load", URL, "--rate=9", "--out", "urls/a\nb"], r"urls/a\nb", 1),
    (&["run", "a\nb"], r"`a\nb`", 2),
    (&["report", "a\nb"], r"a\nb", 2),
];
const URL: &str = "http://127.0.0.1:9/";

#[test]
fn an_argument_that_is_not_utf_8_is_named() {
    let folder = folder();
    let typed = [OsStr::new("run"), OsStr::new("echo"), OsStr::from_bytes(b"w\xff.toml")];
    let said = text(&program::run(folder.path(), typed).stderr);
    assert!(
        said.starts_with("error: the argument w\u{fffd}.toml is not UTF-8: names must be UTF-8"),
        "{said}"
    );
}

#[test]
fn what_was_typed_with_line_ends_is_told_in_one_line() {
    let folder = folder();
    fs::write(folder.path().join("urls"), "http://127.0.0.1/\0 GET\n").unwrap();
    fs::write(folder.path().join("a\nb"), "x\u{1b}[2J\n").unwrap();
    for (typed, what, wanted) in MOVING {
        let output = program::run(folder.path(), *typed);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*wanted), "{typed:?}: {said}");
        let line = said.strip_suffix('\n').unwrap();
        assert!(line.starts_with("error: ") && line.contains(what), "{typed:?}: {line}");
        assert!(!line.contains(char::is_control), "{typed:?}: {line:?}");
    }
}

#[test]
fn where_a_report_went_is_said_unless_it_went_to_standard_output() {
    let folder = folder();
    let results = format!("{}/results", env!("CARGO_MANIFEST_DIR"));
    let run = "2026-11-29T17-48-39Z-trials-5729";
    let told = |rest: &str| {
        let (code, printed, said) =
            paceline(&format!("report {run} --out {results} {rest}"), folder.path());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{rest}");
        printed
    };
    assert!(told("-o -").starts_with("<!doctype html>"));
    assert_eq!(told("-o page.html"), "report: page.html\n");
    assert_eq!(told("--format csv -o c.csv"), "written: c.csv\n");
    assert_eq!(told("--format table -o t.txt"), "written: t.txt\n");
    let table = fs::read_to_string(folder.path().join("t.txt")).unwrap();
    assert!(table.contains("echo: jobs per second, by jobs at once"), "{table}");
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let folder = folder();
    let (_, help, _) = paceline("--help", folder.path());
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 10, "{help}");
    let scripts = ["bash", "zsh", "fish"].map(|shell| {
        let (code, script, _) = paceline(&format!("completions {shell}"), folder.path());
        assert_eq!(code, Some(0));
        script
    });
    assert_eq!(paceline("man --out man", folder.path()).1, "man pages: man\n");
    let first = paceline("man", folder.path()).1;
    for name in names.into_iter().filter(|name| *name != "help") {
        assert!(scripts.iter().all(|script| script.contains(name)), "{name}");
        let page = fs::read_to_string(folder.path().join(format!("man/paceline-{name}.1")));
        assert!(page.unwrap().contains(".SH EXAMPLES\n"), "{name}");
        assert!(first.contains(&format!("paceline\\-{name}(1)")), "{name}: {first}");
    }
}

#[test]
fn tables_are_coloured_on_demand_alone_and_cut_into_blocks() {
    let results = format!("{}/results", env!("CARGO_MANIFEST_DIR"));
    let table = |variables: &[(&str, &str)]| {
        let run = "2026-11-29T15-26-27Z-criterion-29358";
        let folder = program::folder();
        let report = ["report", run, "--out", &results, "--format", "table"];
        let mut command = program::paceline(folder.path(), report);
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        text(&command.envs(variables.iter().copied()).output().unwrap().stdout)
    };
    let plain = table(&[]);
    assert!(!plain.contains('\u{1b}'), "a pipe has no colour");
    let coloured = table(&[("CLICOLOR_FORCE", "1")]);
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(table(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
    // In one block within 100 columns, whatever it is that the lines below it say.
    let rows = |text: &str| text.lines().filter(|line| line.starts_with(" tokio ")).count();
    assert_eq!(rows(&plain), 5, "{plain}");
    let tables = plain.lines().take_while(|line| !line.starts_with('*'));
    assert!(tables.map(|line| line.chars().count()).max().unwrap() <= 100, "{plain}");
    assert!(rows(&table(&[("COLUMNS", "40")])) > 5);
}
