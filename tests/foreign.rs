//! Whatever a model out of process does wrong costs its own cells, says why, and leaves nothing behind.
#![allow(clippy::cast_possible_wrap, reason = "process ids are small")]

mod executable;
mod program;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use paceline_core::{
    job::{Addresses, Jobs, Receipt},
    process::Host,
    protocol::CellSpec,
};
use program::{await_that, signal};
use rustix::process::Signal;
use serde_json::Value;
use server::{PATIENCE, available, workload};

const JOB: &str = "name = \"nap\"\nscale = [10]\njob = [{ sleep = \"20ms\" }]";

/// What every fake begins with: it is whatever model it is asked to be. `answer` gives a line to a request, `batches` as
/// many timed batches as are asked for, until those with times are.
const HELLO: &str = r#"#!/bin/sh
for model; do :; done
hello() { printf '{"hello":{"protocol":%s,"model":"%s","language":"sh","version":"1","steps":["sleep"],"compute_ns":100,"parallel":true}}\n' "${1:-3}" "$model"; }
answer() { read -r request || exit 0; printf '%s\n' "$1"; }
prepared() { answer '{"prepared":{}}'; }
watched() { read -r request; sleep "${4:-0.1}"; printf '{"watched":{"ns":%s,"jobs":%s,"units":10,"digest":"%s","peak_in_flight":10,"job_threads":%s}}\n' "${1:-50000000}" "${2:-10}" "${3:-$DIGEST}" "${5:-1}"; }
batches() {
    while read -r request; do
        case $request in *'"times":true'*) return ;; esac
        count=${request#*'"count":'}
        for _ in $(seq "${count%%,*}"); do
            sleep 0.06
            printf '{"batch":{"ns":50000000,"jobs":10,"units":10,"digest":"%s"}}\n' "$DIGEST"
        done
    done
}
"#;

/// A run of a fake interpreter beside `tokio`, in a folder of its own.
struct Run {
    folder: tempfile::TempDir,
    cells: Vec<Value>,
}

impl Run {
    /// What became of the fake's cell.
    fn cell(&self) -> (&str, &str) {
        let cell = self.cells.iter().find(|cell| cell["model"] == "python-threads").unwrap();
        (cell["state"].as_str().unwrap(), cell["reason"].as_str().unwrap_or_default())
    }
}

fn fake(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("fake");
    executable::write(&path, &format!("{HELLO}{text}\nread -r last\n"));
    path
}

fn command(folder: &Path, program: &Path) -> Command {
    let job = Jobs::load(&workload(JOB));
    let all = Receipt::new(0).join((0..10).map(|index| job.expected(index)));
    let file = folder.join("nap.toml");
    fs::write(&file, JOB).unwrap();
    let mut command = program::paceline(folder, ["run", file.to_str().unwrap()]);
    command.args(["--model", "python-threads,tokio", "--trials", "1", "--format", "json"]);
    // With one worker there is no width to attest, which would be a cell of its own.
    command.args(["--workers", "1"]);
    // With this seed tokio comes first: what hangs takes the rest of the budget.
    command.args(["--seed", "2"]);
    command.env("PACELINE_PYTHON", program);
    command.env("DIGEST", format!("{:016x}", all.checksum()));
    command.env("FAKE_FOLDER", folder);
    command
}

/// Runs a fake of this text. The other model is always measured, and nothing of the fake is left.
fn run(budget: &str, text: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let program = fake(folder.path(), text);
    let output = command(folder.path(), &program).args(["--budget", budget]).output().unwrap();
    let run = Run { folder, cells: program::json(&output) };
    let tokio = run.cells.iter().find(|cell| cell["model"] == "tokio").unwrap();
    assert_eq!(tokio["state"], "ok", "{tokio}");
    let wrong = ["failed", "invalid"].contains(&run.cell().0);
    let said = program::text(&output.stderr);
    assert_eq!(output.status.code(), Some(if wrong { 3 } else { 0 }), "{said}");
    await_none(&format!("{}", run.folder.path().display()));
    run
}

/// Waits until no process has `mark` in its environment.
fn await_none(mark: &str) {
    let has = |id: &str| {
        let file = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&file).contains(&format!("FAKE_FOLDER={mark}"))
    };
    await_that("all processes end", || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        !all.filter_map(|entry| entry.file_name().into_string().ok()).any(|id| has(&id))
    });
}

#[track_caller]
fn ends(budget: &str, text: &str, state: &str, reasons: &[&str]) {
    let run = run(budget, text);
    let (found, reason) = run.cell();
    assert_eq!(found, state, "{reason}");
    for wanted in reasons {
        assert!(reason.contains(wanted), "no {wanted:?} in {reason:?}");
    }
}

/// Without it, the others could all fail for another reason than they mean to.
#[test]
fn a_fake_that_does_all_right_is_measured() {
    let times = "[21000000,21000000,21000000,21000000,21000000,21000000,21000000,21000000,21000000,21000000]";
    let text = format!(
        r#"hello; prepared; watched; batches; sleep 0.1
        printf '{{"batch":{{"ns":50000000,"jobs":10,"units":10,"digest":"%s","latency_ns":{times},"service_ns":{times}}}}}\n' "$DIGEST"
        read -r request"#
    );
    let run = run("60s", &text);
    assert_eq!(run.cell(), ("ok", ""));
    let cell = run.cells.iter().find(|cell| cell["model"] == "python-threads").unwrap();
    assert_eq!(cell["latency"]["count"], 10);
    assert_eq!(cell["trials_ns"][0], 50_000_000, "{cell}");
}

#[test]
fn one_that_dies_in_a_batch_fails_with_its_first_useful_line() {
    let text = r#"hello; echo 'note: chatter' >&2; prepared; read -r request
        printf 'Traceback (most recent call last):\n  File "x"\nValueError: planted\nmore\n' >&2; exit 7"#;
    ends("60s", text, "failed", &["exit status: 7", "it said: ValueError: planted"]);
}

#[test]
fn one_that_is_killed_fails_and_so_do_its_children() {
    ends("60s", "hello; sleep 1000 & prepared; read -r r; kill -9 $$", "failed", &["signal 9"]);
}

#[test]
fn one_that_hangs_is_killed_with_all_that_it_started() {
    let text = "hello; trap '' TERM; sleep 1000 & prepared; sleep 1000; wait";
    ends("5s", text, "skipped", &["did not end within"]);
}

#[test]
fn one_that_writes_without_end_is_stopped_at_a_bound() {
    ends("60s", "hello; prepared; yes x | tr -d '\\n'", "failed", &["a line of more than"]);
    // It "said {"prepared":{}} without being asked", or "answered another question: Prepared" if it was asked just before.
    ends("60s", "hello; yes '{\"prepared\":{}}'", "failed", &["repared"]);
    let text = "hello; prepared; read -r r; yes 'no json' | head -c 30000000 >&2; exit 1";
    ends("60s", text, "failed", &["it said: no json"]);
}

#[test]
fn one_that_says_what_is_no_reply_fails_with_what_it_said() {
    ends("60s", "hello; answer 'hello there'", "failed", &["hello there", "no reply"]);
    ends("60s", "hello; answer '{\"stopped\":{}}'", "failed", &["another question", "Stopped"]);
    ends("60s", "hello; answer '{\"failed\":{\"error\":\"no room\"}}'", "failed", &["no room"]);
    let job = r#"hello; prepared; answer '{"failed":{"job":3,"error":"planted"}}'"#;
    ends("60s", job, "failed", &["job 3: planted"]);
}

#[test]
fn one_that_lies_is_invalid() {
    let lies = [
        ("50000000 10 0123456789abcdef", "join to 10 units and \"0123456789abcdef\""),
        ("50000000 9", "9 of 10 jobs"),
        ("1000000", "cannot have waited"),
        ("3600000000000", "was seen to take"),
        ("50000000 10 $DIGEST 0.1 500", "500 threads ran jobs"),
    ];
    for (arguments, reason) in lies {
        ends("60s", &format!("hello; prepared; watched {arguments}"), "invalid", &[reason]);
    }
    let queued = r#"hello; prepared; read -r r; sleep 0.1; printf '{"watched":{"ns":30000000,"jobs":10,"units":10,"digest":"%s","peak_in_flight":1,"job_threads":1}}\n' "$DIGEST""#;
    ends("60s", queued, "invalid", &["at most 1 job in flight for 30ms"]);
    let times = r#"hello; prepared; watched; batches; sleep 0.1; printf '{"batch":{"ns":50000000,"jobs":10,"units":10,"digest":"%s","latency_ns":[1]}}\n' "$DIGEST""#;
    ends("60s", times, "invalid", &["1 latencies of 10 jobs"]);
}

#[test]
fn one_of_another_protocol_or_name_or_none_is_refused_before_it_runs() {
    ends("60s", "hello 4", "refused", &["speaks version 4 of the protocol"]);
    ends("60s", "model=other; hello", "refused", &["says it is other"]);
    ends("60s", "echo 'no such thing' >&2; exit 1", "refused", &["no such thing"]);
    let reason =
        r#"printf '{"unavailable":{"reason":"too old; install a newer one","version":"3.2"}}\n'"#;
    ends("60s", reason, "refused", &["too old"]);
    let lacks = r#"printf '{"hello":{"protocol":3,"model":"%s","language":"sh","version":"1","steps":["hop"],"compute_ns":1,"parallel":true}}\n' "$model""#;
    ends("60s", lacks, "refused", &["does not support `sleep`"]);
}

#[test]
fn a_program_that_is_not_there_costs_its_custom_cells() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let output = command(folder.path(), &nowhere).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let cells: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&cells[0]["state"], &cells[1]["state"]), (&"refused".into(), &"ok".into()));
    let reason = cells[0]["reason"].as_str().unwrap();
    assert!(reason.contains("PACELINE_PYTHON names") && reason.contains("nowhere"), "{reason}");
}

#[test]
fn no_interpreter_is_started_for_models_that_were_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let program = fake(folder.path(), "touch \"$FAKE_FOLDER/started\"; hello");
    let started = folder.path().join("started");
    let mut command = command(folder.path(), &program);
    assert!(command.output().is_ok());
    assert!(started.exists(), "the fake was asked for, and says so when it starts");
    fs::remove_file(&started).unwrap();
    let tokio = ["run", "nap.toml", "--model", "tokio", "--trials", "1"];
    let mut command = program::paceline(folder.path(), tokio);
    let output =
        command.env("PACELINE_PYTHON", &program).env("FAKE_FOLDER", folder.path()).output();
    assert_eq!(output.unwrap().status.code(), Some(0));
    assert!(!started.exists());
}

/// A host of a real model, prepared with `job`; `None` where there is no Python.
fn host(model: &str, workers: usize, scale: usize, job: &str) -> Option<Host> {
    let (entry, workers) = (available(model)?, Some(workers));
    let mut host = server::program().host(entry, workers).unwrap();
    let cell = server::cell(entry, workers, &workload(job), Addresses::default());
    host.prepare(CellSpec { scale, ..cell }, PATIENCE).unwrap();
    Some(host)
}

fn group(id: u32) -> Vec<procfs::process::Stat> {
    let all = procfs::process::all_processes().unwrap().flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    stats.filter(|stat| stat.pgrp == id as i32 && stat.state != 'Z').collect()
}

#[test]
fn processes_of_a_pool_end_with_their_interpreter_however_it_went() {
    let Some(mut host) = host("asyncio+processes", 2, 1, JOB) else { return };
    let id = host.id();
    let all = group(id);
    assert_eq!(all.len(), 4, "the host, the interpreter and its pool: {all:?}");
    let interpreter = all.iter().find(|stat| stat.ppid == id as i32).unwrap().pid;
    signal(interpreter.cast_unsigned(), Signal::KILL);
    let error = host.attest(PATIENCE).unwrap_err().to_string();
    assert!(error.contains("signal 9"), "{error}");
    drop(host);
    await_that("all processes of the pool end", || group(id).is_empty());
}

#[test]
fn all_end_with_the_one_that_started_them_also_in_a_batch() {
    let job = "name = \"long\"\nscale = [1]\njob = [{ sleep = \"60s\" }]";
    let folder = tempfile::tempdir().unwrap();
    if available("python-processes").is_none() {
        return;
    }
    let mut command = command(folder.path(), Path::new(""));
    fs::write(folder.path().join("nap.toml"), job).unwrap();
    let mut parent = command.args(["--budget", "1h"]).spawn().unwrap();
    let pool = || {
        let all = procfs::process::all_processes().unwrap().flatten();
        let of = |process: &procfs::process::Process| {
            let environ = process.environ().unwrap_or_default();
            environ.get(std::ffi::OsStr::new("FAKE_FOLDER")).is_some_and(|f| f == folder.path())
        };
        all.filter(|process| process.stat().is_ok_and(|stat| stat.comm.starts_with("python")))
            .filter(of)
            .count()
    };
    await_that("the interpreter starts", || pool() >= 1);
    thread::sleep(Duration::from_millis(300));
    parent.kill().unwrap();
    parent.wait().unwrap();
    await_none(&format!("{}", folder.path().display()));
}

#[test]
fn what_the_processes_of_a_pool_use_is_counted_by_the_system() {
    let job = "name = \"work\"\njob = [{ compute = 200_000 }]";
    let Some(mut host) = host("python-processes", 2, 4, job) else { return };
    let attest = host.attest(PATIENCE).unwrap();
    assert!(attest.process_threads.unwrap() >= 3, "{attest:?}");
    assert!(attest.rss_bytes.unwrap() > 8 << 20 && attest.rss_bytes_max >= attest.rss_bytes);
    let (times, used) = host.batches(2, PATIENCE).unwrap();
    assert_eq!(times.len(), 2);
    // 1.6 million rounds of compute, none of them faster than 50 ns in any Python.
    assert!(used.cpu_ns() > 80_000_000, "{used:?}");
    assert!(used.voluntary_switches > 0);
    let idle = host.idle(Duration::from_millis(50), PATIENCE).unwrap();
    assert!(idle.cpu_ns() < used.cpu_ns() / 4, "{idle:?}");
}

/// A warm-up asks for as many batches as take 100 ms: of jobs that do nothing, over a hundred thousand.
#[test]
fn very_many_batches_of_nothing_are_answered() {
    let Some(mut host) = host("node", 1, 1, "name = \"nothing\"\nscale = [1]\njob = []") else {
        return;
    };
    let (times, _) = host.batches(200_000, PATIENCE).unwrap();
    assert_eq!(times.len(), 200_000);
}

#[test]
fn a_python_that_is_too_old_says_which_is_needed() {
    let boot = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/paceline-core/src/models/foreign/python/boot.py"
    );
    let text = "import sys; sys.version_info = (3, 9, 2); exec(open(sys.argv[1]).read())";
    let Ok(output) = Command::new("python3").args(["-c", text, boot]).output() else { return };
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reason = said["unavailable"]["reason"].as_str().unwrap();
    assert!(reason.contains("3.11") && reason.contains("3.9.2"), "{reason}");
}
