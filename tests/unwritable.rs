//! Folders, files and streams that cannot be written: one sentence that says what to do, before anything is measured if
//! it can be known by then, and never an exit code of 0.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use program::{PACELINE, error, only_record, run, said, text};

/// Runs `paceline` in a shell that limits the size of files to `bytes`, as a full disk does.
fn limited(folder: &Path, bytes: u64, typed: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec prlimit --fsize={bytes} {PACELINE} {typed}")]);
    shell.current_dir(folder).env("PACELINE_ALLOW_DEBUG", "1").stdin(Stdio::null());
    shell.output().unwrap()
}

/// Commands that write, and what their sentence contains.
const WRITING: &[(&str, &str)] = &[
    ("run sleep --model tokio --scale 1 --trials 1", "cannot write the record to results/"),
    ("advise sleep --model tokio --scale 1 --trials 1", "cannot write the record to results/"),
    ("load serve-plain --model tokio --rate 50", "cannot write the record to results/"),
    ("claims sleeps --model tokio", "cannot write the record to results: "),
    ("selftest --kind cpu --suites 0", "cannot write the record to results: "),
    ("gate --base PROGRAM --head PROGRAM", "cannot write the record to results: "),
    (
        "cluster plan sleep --model tokio --scale 1 --out plan",
        "error: cannot write to plan/plan.json: ",
    ),
    ("man --out man", "cannot write to man: "),
    ("report RUN -o page.html", "cannot write page.html: "),
    ("report RUN --format csv -o rows.csv", "cannot write rows.csv: "),
    ("report RUN --format svg --chart echo/throughput", "cannot write echo-throughput.svg: "),
    ("workloads > list", "cannot write to standard output: "),
    ("models --format json > list", "cannot write to standard output: "),
];

#[test]
fn a_limit_on_the_size_of_files_is_a_sentence_and_not_a_signal() {
    let run =
        format!("{}/results/2026-11-29T15-26-27Z-criterion-29358", env!("CARGO_MANIFEST_DIR"));
    for (typed, what) in WRITING {
        let folder = program::folder();
        let typed = typed.replace("PROGRAM", PACELINE).replace("RUN", &run);
        let said = error(&limited(folder.path(), 0, &typed), 1);
        assert!(said.contains(what) && said.contains("(ulimit -f unlimited)"), "{typed}: {said}");
        assert_eq!(said.lines().count(), 1, "{typed}: {said}");
        let left = fs::read_dir(folder.path().join("results")).into_iter().flatten();
        let left: Vec<_> = left.flatten().collect();
        assert!(left.is_empty(), "{typed} left {left:?}");
    }
}

#[test]
fn a_folder_for_records_is_tried_before_anything_is_started() {
    let folder = program::folder();
    fs::write(folder.path().join("results"), "a file, no folder").unwrap();
    let programs = format!("gate --base {PACELINE} --head {PACELINE}");
    for typed in ["claims sleeps --model tokio", "run sleep --model tokio", &programs] {
        // The suite's server cannot start with so few files: its sentence would be the first.
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n 16; exec {PACELINE} {typed}")]);
        shell.current_dir(folder.path()).env("PACELINE_ALLOW_DEBUG", "1");
        let said = error(&shell.output().unwrap(), 1);
        assert!(said.contains("cannot write the record to results"), "{typed}: {said}");
        assert!(said.contains("or choose another place"), "{typed}: {said}");
    }
}

#[test]
fn a_run_whose_page_cannot_be_written_keeps_its_record_and_ends_with_1() {
    let folder = program::folder();
    for typed in ["run yield --model sequential --scale 1 --trials 1", "claims inert --model tokio"]
    {
        fs::remove_dir_all(folder.path().join("results")).unwrap_or_default();
        // The page has 22 kB and more; each file of this record less than 18 kB.
        let output = limited(folder.path(), 20_000, typed);
        let said = error(&output, 1);
        assert!(said.starts_with("error: there is no report: cannot write results/"), "{said}");
        let record = only_record(&folder.path().join("results")).unwrap();
        let again = format!(
            "and paceline report {} makes it",
            record.strip_prefix(folder.path()).unwrap().display()
        );
        assert!(said.contains(&again), "{said}");
        assert!(text(&output.stdout).contains("record: results/"));
        // What it says helps.
        assert_eq!(run(folder.path(), ["report"]).status.code(), Some(0));
        assert!(record.join("report.html").exists());
    }
}

#[test]
fn a_record_that_is_left_out_of_a_report_is_a_warning_and_no_error() {
    let folder = program::folder();
    let results = folder.path().join("results");
    fs::create_dir_all(results.join("torn")).unwrap();
    fs::write(results.join("torn/cells.jsonl"), "{}\n").unwrap();
    let typed = ["run", "yield", "--model", "sequential", "--scale", "1", "--trials", "1"];
    assert_eq!(run(folder.path(), typed).status.code(), Some(0));
    for command in ["report", "history"] {
        let output = run(folder.path(), [command]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let sentence = "warning: left out: results/torn has no run.json, gate.json or claims.json";
        assert!(said.starts_with(sentence), "{command}: {said}");
    }
}
