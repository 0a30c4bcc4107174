//! What scripts, workflows and `docs/ci.md` call is what there is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use paceline::report::Export;

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
