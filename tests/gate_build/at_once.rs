//! Base and head of paceline itself, built at the same time.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use paceline::gate::{
    build::{Exit, GateError, two_builds_fit},
    source::Project,
};
use paceline_core::interrupt;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Tiny, again, package,
    processes::{is_dead, script_of},
    said_by,
};

/// What build scripts use: marks are files in the folder MARKS.
const SCRIPT: &str = r#"
fn at(name: &str) -> std::path::PathBuf {
    std::path::Path::new(MARKS).join(name)
}
fn sleep(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}
fn mark(name: &str) {
    std::fs::write(at(name), std::process::id().to_string()).unwrap();
}
fn wait_for(name: &str) {
    for _ in 0..3_000 {
        if at(name).exists() {
            return;
        }
        sleep(20);
    }
    panic!("{name} was not built at the same time");
}
fn says(word: &str) {
    println!("cargo::rustc-env=WORD={word}");
}
"#;

/// Build scripts that wait for each other.
const MEET: [&str; 2] = [
    "mark(\"base\"); wait_for(\"head\"); says(\"base\");",
    "mark(\"head\"); wait_for(\"base\"); says(\"head\");",
];

/// A project like paceline itself, of which the last two commits are base and head, with these build scripts.
fn like_paceline([base, head]: [&str; 2]) -> Tiny {
    let tiny = Tiny::without_commit("");
    let marks = tiny.folder.join("target");
    let script = SCRIPT.replace("MARKS", &format!("{:?}", marks.to_str().unwrap()));
    let workspace = "[workspace]\nmembers = [\"core\"]\n";
    tiny.write("Cargo.toml", &format!("{workspace}{}", package("paceline")));
    tiny.write("core/Cargo.toml", &package("paceline-core"));
    let main = "fn main() { println!(\"{}\", env!(\"WORD\")); }\n";
    tiny.write("core/src/bin/paceline-host.rs", main);
    for (side, main) in [("base", base), ("head", head)] {
        // The report differs, even if the host does not.
        tiny.says(side);
        tiny.write("core/build.rs", &format!("{script}fn main() {{\n    {main}\n}}\n"));
        tiny.commit(side);
    }
    tiny
}

fn build_at_once(project: &Project) -> Result<(), GateError> {
    let [base, head] = ["HEAD~1", "HEAD"].map(|name| project.resolve(name).unwrap());
    project.build_at_once([&base, &head], &|_| ())
}

#[test]
fn base_and_head_of_paceline_are_built_at_the_same_time() {
    let tiny = like_paceline(MEET);
    build_at_once(&tiny.project()).unwrap();
    for (name, word) in [("HEAD~1", "base"), ("HEAD", "head")] {
        let built = tiny.build(name).unwrap();
        assert_eq!((built.cached, said_by(&built)), (true, word.to_owned()));
    }
    tiny.no_worktree_is_left();
}

#[test]
fn the_command_builds_both_sides_at_the_same_time_where_they_fit() {
    if !two_builds_fit() {
        println!("two builds do not fit on this machine: not tested");
        return;
    }
    let tiny = like_paceline(MEET);
    let mut paceline = Command::new(env!("CARGO_BIN_EXE_paceline"));
    paceline.args(["gate", "--base", "HEAD~1", "--head", "HEAD", "--metric", "allocations"]);
    let output = paceline.current_dir(&tiny.folder).env("PACELINE_ALLOW_DEBUG", "1").output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    // That comes after both are built.
    assert!(said.contains("the built program cannot be gated"), "{said}");
}

#[test]
fn sides_with_the_same_host_have_the_same_bytes_though_they_are_built_at_once() {
    // A program that contains the path of its build folder is built again in the common one.
    for (main, is_kept) in
        [("says(\"same\");", true), ("says(&std::env::var(\"OUT_DIR\").unwrap());", false)]
    {
        let tiny = like_paceline([main, main]);
        build_at_once(&tiny.project()).unwrap();
        let [base, head] = ["HEAD~1", "HEAD"].map(|name| tiny.build(name).unwrap());
        assert_eq!([base.cached, head.cached], [true, is_kept], "{main}");
        assert_eq!(said_by(&base), said_by(&head));
        assert_eq!(base.side.program_sha256, head.side.program_sha256, "{main}");
    }
}

#[test]
fn a_side_that_does_not_build_is_the_error_and_ends_the_build_of_the_other() {
    let fails = "wait_for(\"other\"); panic!(\"planted\");";
    let other = "mark(\"other\"); sleep(60_000); mark(\"end\"); says(\"other\");";
    for (scripts, who) in [([fails, other], "HEAD~1"), ([other, fails], "HEAD")] {
        let tiny = like_paceline(scripts);
        let error = build_at_once(&tiny.project()).unwrap_err();
        let start = format!("the revision `{who}` does not build; cargo says\nerror: ");
        assert!(error.exit == Exit::Usage && error.message.starts_with(&start), "{error}");
        assert!(error.message.contains("planted"), "{error}");
        let mark = |name: &str| fs::read_to_string(tiny.folder.join("target").join(name));
        let other = Pid::from_raw(mark("other").unwrap().parse().unwrap()).unwrap();
        assert!(is_dead(other) && mark("end").is_err(), "{who}: the other build went on");
        tiny.no_worktree_is_left();
    }
}

#[test]
fn ctrl_c_ends_both_builds() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        interrupt::watch().unwrap();
        let project = Project::here(Path::new(&folder), None, None).unwrap();
        let error = build_at_once(&project).unwrap_err();
        println!("\nended: {:?} {}", error.exit, error.exit.code());
        return;
    }
    let [base, head] = ["base", "head"].map(|name| format!("mark({name:?}); sleep(60_000);"));
    let tiny = like_paceline([&base, &head]);
    let mut child = again("at_once::ctrl_c_ends_both_builds", &tiny.folder);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let file = |name: &str| tiny.folder.join("target").join(name);
    let scripts = ["base", "head"].map(|name| script_of(&mut child, &file(name)));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.lines().any(|line| line == "ended: Interrupted 130"), "{said}");
    assert!(scripts.into_iter().all(is_dead), "a build script still runs");
    tiny.no_worktree_is_left();
}
