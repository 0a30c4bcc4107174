//! Whatever a user names as a file that is none - a pipe, a folder, a device without end - gets a sentence, from each
//! command, at once.

mod program;
mod sample_run;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output},
};

use program::{ended, error, paceline};

/// Runs a command in `folder`, which must end soon: a program that opens a pipe waits for ever.
fn run(arguments: &str, folder: &Path) -> Output {
    let mut command = paceline(folder, arguments.split(' '));
    ended(command.env("PACELINE_ALLOW_LOAD", "1").spawn().unwrap())
}

/// What the command says, which must be refused.
fn refused(arguments: &str, folder: &Path) -> String {
    error(&run(arguments, folder), 2)
}

/// Makes, in the place of a file, each of what is none, and calls `try_it` with what it is.
fn each_other(file: &Path, mut try_it: impl FnMut(&str)) {
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    fs::set_permissions(file, fs::Permissions::from_mode(0o777)).unwrap();
    try_it("is a pipe");
    fs::remove_file(file).unwrap();
    symlink("/dev/zero", file).unwrap();
    try_it("is a device");
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
    try_it("is a folder");
    fs::remove_dir(file).unwrap();
}

#[test]
fn a_workload_or_margins_or_a_program_that_is_no_file_is_refused_by_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    each_other(&folder.join("it.toml"), |what| {
        for arguments in [
            "run it.toml",
            "advise it.toml",
            "load it.toml --rate 1",
            "serve it.toml --model tokio",
            "gate it.toml --base /bin/true --head /bin/true",
            "gate --base /bin/true --config it.toml",
            "gate --base ./it.toml",
            "gate --base /bin/true --head ./it.toml",
            "gate --variants-of ./it.toml",
        ] {
            let said = refused(arguments, folder);
            assert!(said.contains("it.toml") && said.contains(what), "{arguments}: {said}");
        }
    });
}

#[test]
fn a_part_of_a_record_that_is_no_file_is_named_by_each_command_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let record = folder.join("results/2026-trials-1");
    fs::create_dir_all(&record).unwrap();
    let mut run = sample_run::record().run;
    run.command = vec!["paceline".into(), "run".into()];
    let head = serde_json::to_vec(&run).unwrap();
    for (part, commands) in [
        (
            "run.json",
            &["report 2026-trials-1", "compare 2026-trials-1 2026-trials-1", "run sleep --resume"]
                [..],
        ),
        (
            "cells.jsonl",
            &["report 2026-trials-1", "compare 2026-trials-1 2026-trials-1", "run sleep --resume"],
        ),
        ("trials.jsonl", &["compare 2026-trials-1 2026-trials-1", "run sleep --resume"]),
        ("gate.json", &["report 2026-trials-1"]),
        ("claims.json", &["report 2026-trials-1"]),
    ] {
        fs::write(record.join("run.json"), &head).unwrap();
        if part == "run.json" {
            fs::remove_file(record.join(part)).unwrap();
        }
        each_other(&record.join(part), |what| {
            for command in commands {
                let said = refused(command, folder);
                assert!(said.contains(part) && said.contains(what), "{command}: {said}");
            }
        });
    }
}

#[test]
fn a_history_names_the_records_that_are_no_files_and_shows_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("results/it");
    fs::create_dir_all(&record).unwrap();
    each_other(&record.join("run.json"), |what| {
        let said = program::said(&run("history", folder.path()));
        assert!(said.contains("it/run.json") && said.contains(what), "{said}");
    });
}
