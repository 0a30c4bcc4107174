//! `paceline doctor` as its users meet it: every finding, a verdict, an exit code that agrees with both.

mod program;
mod validator;

use std::process::Output;

use paceline::doctor::{Diagnosis, Judgement};
use program::{folder, json, paceline, run, text};

fn doctor(arguments: &[&str]) -> Output {
    run(folder().path(), [&["doctor"], arguments].concat())
}

/// Every finding, in the table's order. Programs that read the JSON find them by these names.
const FINDINGS: [&str; 25] = [
    "build",
    "load before",
    "CPU pressure before",
    "other programs",
    "steal",
    "repeated work",
    "timer",
    "clock",
    "compute",
    "frequency governor",
    "turbo",
    "hypervisor",
    "CPUs",
    "CPU quota",
    "memory",
    "open files",
    "threads of user",
    "threads of group",
    "threads of system",
    "memory maps",
    "local ports",
    "queue of connections",
    "closed connections",
    "locked memory",
    "io_uring",
];

#[test]
fn the_json_has_its_schema_every_finding_and_the_exit_code_of_its_verdict() {
    let output = doctor(&["--format", "json"]);
    let value: serde_json::Value = json(&output);
    let schema = serde_json::to_value(schemars::schema_for!(Diagnosis)).unwrap();
    assert_eq!(validator::errors(&schema, &value), "");

    let diagnosis: Diagnosis = serde_json::from_value(value).unwrap();
    let found: Vec<&str> = diagnosis.findings.iter().map(|finding| &*finding.what).collect();
    assert_eq!(found, FINDINGS);
    for finding in &diagnosis.findings {
        assert_eq!(finding.advice.is_empty(), finding.judgement == Judgement::Good, "{finding:?}");
        assert!(!finding.found.is_empty(), "{finding:?}");
    }
    let bad = diagnosis.findings.iter().filter(|f| f.judgement == Judgement::Bad).count();
    assert_eq!((diagnosis.verdict.bad, diagnosis.verdict.fit), (bad, bad == 0));
    assert_eq!(output.status.code(), Some(if bad == 0 { 0 } else { 6 }));
    if cfg!(debug_assertions) {
        assert_eq!(
            diagnosis.findings[0].judgement,
            Judgement::Bad,
            "a debug build is no instrument"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn linux_shows_what_it_always_has() {
    let diagnosis: Diagnosis = json(&doctor(&["--format", "json"]));
    for name in ["timer", "other programs", "repeated work", "memory", "memory maps"] {
        let finding = diagnosis.findings.iter().find(|finding| finding.what == name).unwrap();
        assert_ne!(finding.judgement, Judgement::Unknown, "{finding:?}");
        assert!(finding.value.is_some(), "{finding:?}");
    }
}

#[test]
fn the_table_fits_100_columns_and_ends_with_the_verdict() {
    let output = doctor(&[]);
    let table = text(&output.stdout);
    for name in FINDINGS {
        assert!(table.contains(name), "{table} lacks {name}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let verdict = table.trim_end().lines().last().unwrap();
    assert!(
        verdict.contains(" good, ") && verdict.contains(" unknown: this machine is"),
        "{verdict}"
    );
    let bad = table.lines().any(|line| line.trim_start().starts_with("bad "));
    assert_eq!(output.status.code(), Some(if bad { 6 } else { 0 }), "{table}");
}

#[test]
fn a_reader_that_leaves_early_is_no_panic() {
    let folder = folder();
    let mut child = paceline(folder.path(), ["doctor"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 6)), "{:?}", output.status);
    assert_eq!(text(&output.stderr), "");
}
