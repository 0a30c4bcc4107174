//! The server and workers of `hq` on this machine, by the engine file in `docs/engines`.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;

use super::{
    planned,
    program::{Swept, await_that, both, call, is_installed, ok, signal},
};

const SERVER: &str = "server";

/// A command of `hq` that talks to the server of this folder.
fn hq(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = call("hq", folder, arguments);
    command.env("HQ_SERVER_DIR", folder.join(SERVER));
    command
}

fn cluster(folder: &Path, arguments: &[&str], code: i32) -> String {
    let mut command = super::paceline(folder, ["cluster"].iter().chain(arguments));
    let output = command.env("HQ_SERVER_DIR", folder.join(SERVER)).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", both(&output));
    both(&output)
}

#[test]
fn a_plan_survives_the_loss_of_a_worker_of_hyperqueue_and_a_cancel() {
    if !is_installed("hq") {
        return eprintln!("left out: HyperQueue (`hq`) is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _swept = Swept(folder);
    let mut server = hq(folder, &["server", "start"]).spawn().unwrap();
    let is_up = || hq(folder, &["server", "info"]).output().unwrap().status.success();
    await_that("the server is up", is_up);
    // It has one task at a time, so the worker that is killed has one.
    let worker = || hq(folder, &["worker", "start", "--cpus=1"]).spawn().unwrap();
    let mut first = worker();
    let engine = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines/hyperqueue.toml");
    let engine = fs::read_to_string(engine).unwrap();
    let quick = format!("poll_seconds = 0.5\ngrace_seconds = 2\n{engine}");
    fs::write(folder.join("hq.toml"), quick).unwrap();
    planned(folder, "2");
    cluster(folder, &["submit", "plan", "--engine", "hq.toml"], 0);
    let status = |code| cluster(folder, &["status", "plan"], code);
    await_that("a block runs", || status(0).contains("1 running"));
    signal(first.id(), Signal::KILL);
    first.wait().unwrap();
    await_that("the block is lost", || status(0).contains("LOST"));
    let cancelled = cluster(folder, &["cancel", "plan"], 0);
    assert!(cancelled.contains("cancelled 1 job;"), "{cancelled}");
    let mut second = worker();
    cluster(folder, &["submit", "plan"], 0);
    cluster(folder, &["status", "plan", "--wait"], 0);
    let collected = ok(folder, &["cluster", "collect", "plan"]);
    assert!(collected.contains("every planned block counts exactly once"), "{collected}");
    assert!(hq(folder, &["server", "stop"]).status().unwrap().success());
    for child in [&mut server, &mut second] {
        child.wait().unwrap();
    }
}
