//! What scripts, workflows and `docs/ci.md` call is what there is.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use paceline::{
    record::{Gate, Metric, Presence, State, Verdict},
    report::Export,
};
use tempfile::TempDir;

mod executable;
mod release;
mod sample_gate;

const FILES: [&str; 4] = [
    "scripts/gate.sh",
    ".github/workflows/gate.yml",
    ".github/workflows/gate-comment.yml",
    "docs/ci.md",
];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What follows `--export` in a file, without quotes, up to the equals sign.
fn exports(text: &str) -> Vec<&str> {
    let after = text.split("--export ").skip(1);
    let formats = after.filter_map(|rest| rest.trim_start_matches('"').split_once('='));
    formats.map(|(format, _)| format).filter(|format| !format.contains('\n')).collect()
}

/// The flags of `paceline gate` in a file: those of the lines that belong to such a call.
fn flags(text: &str) -> BTreeSet<String> {
    let joined = text.replace("\\\n", " ").replace("\n      --", " --");
    let calls = joined.lines().filter(|line| {
        line.contains("paceline gate --")
            || line.contains("/paceline\" gate")
            || line.trim_start().starts_with("set -- --")
    });
    let words = calls.flat_map(str::split_whitespace);
    words
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(|word| format!("--{}", word.split('=').next().unwrap()))
        .collect()
}

#[test]
fn every_format_that_is_named_exists_and_the_script_writes_all() {
    for file in FILES {
        for format in exports(&read(file)) {
            assert!(Export::of_gates(format).is_ok() || format == "FORMAT", "{file}: {format}");
        }
    }
    let script = read("scripts/gate.sh");
    let written: BTreeSet<&str> = exports(&script).into_iter().collect();
    let all: BTreeSet<&str> = Export::all(true).map(Export::name).collect();
    assert_eq!(written, all);
    for name in all {
        assert!(read("docs/ci.md").contains(&format!("| `{name}` |")), "docs/ci.md lacks {name}");
    }
}

#[test]
fn every_flag_that_is_named_is_one_of_the_gate() {
    let help = Command::new(env!("CARGO_BIN_EXE_paceline")).args(["gate", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let known: BTreeSet<&str> =
        help.split(|c: char| c.is_whitespace() || "=,[]<>`".contains(c)).collect();
    for file in FILES {
        for flag in flags(&read(file)) {
            assert!(known.contains(flag.as_str()), "{file} calls `paceline gate {flag}`");
        }
    }
}

#[test]
fn the_flags_of_a_call_are_found() {
    let script = flags(&read("scripts/gate.sh"));
    for flag in ["--base", "--head", "--budget", "--out", "--export"] {
        assert!(script.contains(flag), "{flag}: {script:?}");
    }
    assert!(!script.contains("--release"), "{script:?}");
    assert!(flags(&read("docs/ci.md")).contains("--strict"));
}

#[test]
fn a_script_called_wrongly_says_how_and_measures_nothing() {
    let wrong: [(&str, &[&[&str]]); 2] = [
        ("scripts/gate.sh BASE", &[&[], &["--strict"], &[""]]),
        (
            "scripts/reference.sh TIME",
            &[&[], &["25"], &["0m"], &["1d"], &["1m", "-o"], &["1m", "a", "b"]],
        ),
    ];
    for (usage, wrong) in wrong {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(usage.split(' ').next().unwrap());
        for arguments in wrong {
            let output = Command::new(&script).args(*arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.starts_with(&format!("usage: {usage}")), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn actions_are_pinned_by_the_hash_of_a_commit() {
    let mut found = 0;
    let more = [".github/workflows/ci.yml", ".github/workflows/release.yml"];
    for file in [&FILES[1..], &more].concat() {
        let text = read(file);
        let used = text.lines().filter_map(|line| line.split_once("uses: "));
        // A workflow of this repository is of the same commit.
        for action in used.filter(|(_, action)| !action.starts_with("./")) {
            let pin = action.1.split_once('@').unwrap().1;
            let (hash, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{file}: {pin}"));
            let is_hash = hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_hash && !version.is_empty(), "{file}: {pin}");
            found += 1;
        }
    }
    assert!(found >= 10, "{found}");
}

/// The shell of a step of a workflow, or of the first workflow of a document.
fn shell(file: &str, step: &str) -> String {
    let text = read(file);
    let step = text.split(&format!("- name: {step}\n")).nth(1).unwrap();
    let (_, run) = step.split_once("run: ").unwrap();
    let Some(block) = run.strip_prefix("|\n") else {
        return run.lines().next().unwrap().to_owned();
    };
    let indent = block.len() - block.trim_start().len();
    let lines = block.lines().map_while(|line| {
        let is_in = line.trim().is_empty() || line.starts_with(&" ".repeat(indent));
        is_in.then(|| line.get(indent..).unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The script of the job `gate` in GitLab's recipe: each item is a line.
fn gitlab() -> String {
    let text = read("docs/ci.md");
    let script = text.split("  script:\n").nth(1).unwrap();
    let lines: Vec<&str> = script.lines().take_while(|line| line.starts_with("    ")).collect();
    let script = lines.join(" ").replace("    - ", "\n").replace(">-", "");
    assert!(script.contains("\nmkdir") && script.contains("paceline gate"), "{script}");
    script
}

/// A folder in which shell runs with programs of ours in place of others.
struct Runner(TempDir);

impl Runner {
    fn new(programs: &[(&str, &str)]) -> Self {
        let runner = Runner(tempfile::tempdir().unwrap());
        for (name, script) in programs {
            let path = runner.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            executable::write(&path, &format!("#!/bin/sh\n{script}"));
        }
        runner
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// As GitHub runs it.
    fn run(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", script]).current_dir(self.0.path()).env("PATH", path);
        bash.envs(environment.iter().copied()).env("GITHUB_WORKSPACE", self.0.path());
        bash.env("GITHUB_STEP_SUMMARY", self.path("summary")).output().unwrap()
    }
}

#[test]
fn each_recipe_gates_what_merging_would_change_and_ends_as_the_gate_does() {
    // What a gate writes, and the code that it ends with.
    const GATE: &str =
        "echo \"$@\" >args; mkdir -p gate; echo verdict >gate/gate.md; exit \"$CODE\"\n";
    let programs = [("bin/paceline", GATE), ("scripts/gate.sh", GATE)];
    for (script, base, flags) in [
        (shell(".github/workflows/gate.yml", "Gate"), "HEAD^1 HEAD", &[][..]),
        (shell("docs/ci.md", "Gate"), "--base HEAD^1 --head HEAD", &["--retry", "json="]),
        (gitlab(), "--base b --head h", &["--retry", "--strict", "json="]),
    ] {
        for code in ["0", "2", "4", "5", "6"] {
            let runner = Runner::new(&programs);
            let of_gitlab = [("CI_MERGE_REQUEST_DIFF_BASE_SHA", "b"), ("CI_COMMIT_SHA", "h")];
            let output = runner.run(&script, &[&of_gitlab[..], &[("CODE", code)]].concat());
            assert_eq!(output.status.code(), code.parse().ok(), "{script}");
            let arguments = runner.read("args");
            assert!(arguments.contains(base), "{arguments}");
            assert!(flags.iter().all(|flag| arguments.contains(flag)), "{arguments}");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let told = said.contains("::error::not measured");
            assert_eq!(told, code == "6" && !script.contains("CI_"), "{said}");
            assert!(!script.contains("SUMMARY") || runner.read("summary") == "verdict\n");
        }
    }
    // A script that hides exit code 6 is a gate that is not there.
    assert!(read("scripts/gate.sh").contains("--retry"));
    assert!(read("docs/ci.md").contains("  allow_failure:\n    exit_codes: [5]\n"));
}

/// `gh` as far as the workflow calls it: the head of the pull request, the comments, and what is posted.
const GH: &str = r#"case "$*" in
pr*) echo cafe ;;
*--paginate*) while [ "$1" != --jq ]; do shift; done; jq -r "$2" comments.json ;;
*) echo "$*" >>posted-to; cp comment.md shown ;;
esac
"#;

/// Runs the workflow that comments on what an artifact has. `None` where this machine lacks jq, which GitHub's have.
fn comment(gate: &str, number: &str, comments: &str) -> Option<(Runner, Option<i32>)> {
    if Command::new("jq").arg("--version").output().is_err() {
        return None;
    }
    let script = shell(".github/workflows/gate-comment.yml", "Comment");
    let runner = Runner::new(&[("bin/gh", GH)]);
    fs::create_dir(runner.path("gate")).unwrap();
    fs::write(runner.path("gate/gate.json"), gate).unwrap();
    fs::write(runner.path("gate/number"), number).unwrap();
    fs::write(runner.path("comments.json"), comments).unwrap();
    let output = runner.run(&script, &[("GH_REPO", "us/it"), ("HEAD_SHA", "cafe")]);
    Some((runner, output.status.code()))
}

fn comment_on(gate: &Gate, comments: &str) -> Option<(Runner, Option<i32>)> {
    comment(&serde_json::to_string(gate).unwrap(), "7\n", comments)
}

#[test]
fn the_comment_is_made_of_checked_fields_and_nothing_of_an_artifact_gets_through() {
    let Some((runner, code)) = comment_on(&sample_gate::sample(), "[]") else { return };
    let shown = runner.read("shown");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.starts_with("<!-- paceline gate -->\n### paceline gate: regressed\n"), "{shown}");
    assert!(shown.contains("\n**regressed: 2**\n"), "{shown}");
    let row = "\n| `echo/tokio/10` | time per job | +5.2 % | +4.2 % to +7.2 % |\n";
    assert!(shown.contains(row), "{shown}");
    assert!(shown.contains("\nNot regressed: 3. New: 1. Removed: 1. Refused: 1."), "{shown}");
    // Every metric is known to it, and what was not measured is not kept back.
    let regressed = |metric| sample_gate::cell("a", metric, Some(Verdict::Regressed), 0.1);
    let mut gate = sample_gate::sample();
    gate.cells = Metric::ALL.map(regressed).to_vec();
    gate.cells.push(sample_gate::lone("b", Presence::Both, State::Skipped, Some("no time")));
    let (runner, code) = comment_on(&gate, "[]").unwrap();
    let all = runner.read("shown");
    assert_eq!(code, Some(0), "{all}");
    assert!(all.contains("**skipped: 1**"), "{all}");
    for metric in Metric::ALL {
        assert!(all.contains(&format!("| `a` | {} | ", metric.label())), "{all}");
    }
    // A hostile name, a summary and notes.
    for part in ["<script", "@user", "\\|", "`x`", "&amp;", "\u{202e}", "their margin allows"] {
        assert!(!shown.contains(part), "{part}: {shown}");
    }
    let Some((runner, _)) = comment_on(&sample_gate::unfit(), "[]") else { return };
    assert!(runner.read("shown").contains("gate: not measured, the machine was not fit\n"));
    let large = comment_on(&sample_gate::large(400), "[]").unwrap().0.read("shown");
    assert!(large.contains("The first 50; the artifact has all.") && large.len() < 20_000);
    let gate = serde_json::to_string(&sample_gate::sample()).unwrap();
    for (from, to) in [
        ("\"verdict\":\"regressed\",\"summary\"", "\"verdict\":\"# fine\",\"summary\""),
        ("\"metric\":\"time_per_job\"", "\"metric\":\"<b>\""),
        ("\"share\":0.052", "\"share\":\"<b>\""),
        ("\"cell\":\"echo/tokio/10\"", "\"cell\":[1]"),
        ("{", "<b>"),
    ] {
        assert!(gate.contains(from), "{from}");
        let (runner, code) = comment(&gate.replacen(from, to, 1), "7\n", "[]").unwrap();
        assert_eq!((code, runner.read("posted-to")), (Some(1), String::new()), "{to}");
    }
    for (number, code) in [("7; x", 1), ("", 1)] {
        let (runner, found) = comment(&gate, number, "[]").unwrap();
        assert_eq!((found, runner.read("posted-to")), (Some(code), String::new()), "{number}");
    }
}

#[test]
fn only_its_own_comment_is_edited_and_never_that_of_another_bot() {
    let of = |id: u32, who: &str, body: &str| serde_json::json!({ "id": id, "user": { "login": who }, "body": body });
    let ours = "<!-- paceline gate -->\nearlier";
    let others = [
        of(1, "github-actions[bot]", "<!-- coverage -->\nof another workflow"),
        of(2, "somebody", ours),
        of(3, "github-actions[bot]", "quotes <!-- paceline gate -->"),
    ];
    let posted = |comments: &[serde_json::Value]| {
        let comments = serde_json::to_string(comments).unwrap();
        let (runner, code) = comment_on(&sample_gate::sample(), &comments)?;
        assert_eq!(code, Some(0));
        Some(runner.read("posted-to"))
    };
    let Some(new) = posted(&others) else { return };
    assert_eq!(new, "api --method POST repos/us/it/issues/7/comments -F body=@comment.md\n");
    let with = [&others[..], &[of(4, "github-actions[bot]", ours)]].concat();
    let edited = "api --method PATCH repos/us/it/issues/comments/4 -F body=@comment.md\n";
    assert_eq!(posted(&with).unwrap(), edited);
}
