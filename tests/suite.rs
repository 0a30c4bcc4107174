//! Every model gives the receipts that a job's definition foretells, in every placement, and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[macro_use]
mod each_model;

use std::time::Duration;

use paceline::{
    job::Workload,
    measure::{Fault, HostError, Program, echo::EchoServer, host::Cell},
    models::{self, Entry, MODELS, Width},
    perform::Placement,
};

const PATIENCE: Duration = Duration::from_mins(1);

const EVERY_STEP: &str = r#"
name = "every-step"
job  = [
    { connect = "echo" },
    { exchange = { bytes = 100, times = 4 } },
    { sleep = "2ms" },
    { compute = 2_000 },
    { block = "1ms" },
    { offload = [{ compute = 2_000 }, { block = "1ms" }] },
    { yield = 3 },
    { hop = 5 },
    { gather = { width = 4, of = [
        { sleep = "1ms" },
        { gather = { width = 3, of = [{ compute = 100 }, { yield = 2 }] } },
        { connect = "echo" },
        { exchange = { bytes = "70KiB", times = 2 } },
        { hop = 2 },
    ] } },
    { exchange = { bytes = 8, times = 1 } },
]
every = { nth = 3, job = [{ sleep = "1ms" }, { compute = 7 }] }
"#;

/// Without what cannot be done on a pool, and without hops.
const NO_PARTNERS: &str = r#"
name = "no-partners"
job  = [
    { connect = "echo" },
    { exchange = { bytes = 100, times = 4 } },
    { sleep = "2ms" },
    { compute = 2_000 },
    { block = "1ms" },
    { offload = [{ compute = 2_000 }, { block = "1ms" }] },
    { yield = 3 },
]"#;

fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_paceline"))
}

fn workload(text: &str) -> Workload {
    Workload::parse("test.toml", text).unwrap()
}

fn cell(
    entry: &Entry,
    workload: &Workload,
    workers: Option<usize>,
    placement: Placement,
    scale: usize,
    echo: &EchoServer,
) -> Cell {
    Cell {
        model: entry.about.name.into(),
        workers,
        placement,
        workload: workload.name.clone(),
        source: workload.source.clone(),
        scale,
        servers: echo.addresses().to_vec(),
    }
}

/// Whether a model may be missing here for this reason: it needs what not every machine has.
fn missing(entry: &Entry, why: &str) -> bool {
    why.contains("io_uring") || (entry.about.foreign.is_some() && why.contains("install"))
}

/// Runs `text` in every placement of `name`; where the model says that it lacks a step of it, runs `or` instead.
fn conforms(name: &str, text: &str, or: &str, workers: usize) {
    let Ok(entry) = models::find(name) else {
        assert_ne!(std::env::consts::OS, "linux", "{name} is no model");
        return;
    };
    if let Err(why) = (entry.about.available)() {
        assert!(missing(entry, &why), "{name} cannot run here: {why}");
        eprintln!("skipped {name}: {why}");
        return;
    }
    let mut job = workload(text);
    if let Some(lack) = entry.about.lacks_for(&job) {
        assert!(lack.contains("does not support"), "{lack}");
        job = workload(or);
        assert_eq!(entry.about.lacks_for(&job), None);
    }
    let echo = program().echo().unwrap();
    let workers = entry.about.workers(&[workers])[0];
    let mut host = program().host(entry, workers).unwrap();
    for placement in entry.about.placements {
        for scale in [1, 40] {
            let cell = cell(entry, &job, workers, *placement, scale, &echo);
            host.prepare(cell, PATIENCE).unwrap();
            let attest =
                host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
            assert!(attest.peak_in_flight >= 1 && attest.peak_in_flight <= scale as u32);
            assert!(attest.job_threads >= 1);
            let (rounds, _) = host.rounds(2, PATIENCE).unwrap();
            assert_eq!(rounds.len(), 2);
            assert!(rounds.iter().all(|round| *round >= job.floor(scale)));
        }
    }
    let left = host.stop(PATIENCE).unwrap();
    assert!(left.is_empty(), "{name} left threads behind: {left:?}");
}

macro_rules! tests_of {
    ($($name:ident = $model:literal)*) => {
        $(mod $name {
            #[test]
            fn does_every_step_with_the_receipts_foretold() {
                super::conforms($model, super::EVERY_STEP, super::NO_PARTNERS, 2);
            }

            #[test]
            fn nested_gathers_end_on_one_worker() {
                super::conforms($model, super::DEEP, super::NO_PARTNERS, 1);
            }

            #[test]
            fn waits_as_long_as_it_says() {
                super::conforms($model, super::ONE_SLEEP, super::ONE_SLEEP, 2);
            }
        })*

        #[test]
        fn every_model_is_tested() {
            let tested = [$($model),*];
            assert!(super_models().iter().all(|name| tested.contains(name)));
        }
    };
}

fn super_models() -> Vec<&'static str> {
    MODELS.iter().map(|entry| entry.about.name).collect()
}

/// Where a parent waited for children in a queue that only its own worker serves, this would hang.
const DEEP: &str = r#"
name = "deep"
job = [{ gather = { width = 4, of = [
    { gather = { width = 4, of = [{ gather = { width = 4, of = [{ compute = 10 }] } }, { yield = 1 }] } },
] } }]"#;

/// Alone, for beside other work a wait that is too short would not show.
const ONE_SLEEP: &str = r#"
name = "one-sleep"
job = [{ sleep = "20ms" }]"#;

each_model!(tests_of);

#[test]
fn waiting_overlaps_where_the_model_says_so_and_only_there() {
    let job = workload("name = \"overlap\"\njob = [{ sleep = \"50ms\" }]");
    let echo = program().echo().unwrap();
    for entry in MODELS.iter().filter(|entry| (entry.about.available)().is_ok()) {
        let workers = entry.about.workers(&[2])[0];
        let mut host = program().host(entry, workers).unwrap();
        let placement = entry.about.placements[0];
        host.prepare(cell(entry, &job, workers, placement, 8, &echo), PATIENCE).unwrap();
        let attest = host.attest(PATIENCE).unwrap();
        let at_once = match entry.about.name {
            "sequential" | "python-sequential" => 1,
            "pool" | "rayon" | "python-threads" | "python-processes" => 2,
            _ => 8,
        };
        assert_eq!(attest.peak_in_flight, at_once, "{}", entry.about.name);
        if entry.about.width == Width::PerTask {
            assert_eq!(attest.job_threads, 8);
        }
    }
}

#[test]
fn a_host_that_is_asked_for_another_model_says_so() {
    let echo = program().echo().unwrap();
    let job = workload(ONE_SLEEP);
    let (tokio, smol) = (models::find("tokio").unwrap(), models::find("smol").unwrap());
    let mut host = program().host(tokio, Some(1)).unwrap();
    let inside = Placement::Inside;
    host.prepare(cell(tokio, &job, Some(1), inside, 1, &echo), PATIENCE).unwrap();
    let other = host.prepare(cell(smol, &job, Some(1), inside, 1, &echo), PATIENCE);
    assert!(
        matches!(other, Err(HostError::Fault(Fault::Failed(why))) if why.contains("tokio already"))
    );
}

#[test]
fn a_job_that_cannot_connect_fails_with_the_job_and_the_reason() {
    let echo = program().echo().unwrap();
    let job = workload("name = \"lost\"\njob = [{ connect = \"echo\" }]");
    for entry in MODELS.iter().filter(|entry| (entry.about.available)().is_ok()) {
        let workers = entry.about.workers(&[1])[0];
        let mut host = program().host(entry, workers).unwrap();
        let mut cell = cell(entry, &job, workers, entry.about.placements[0], 2, &echo);
        // A port that was bound and is free again: nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        cell.servers = vec![free];
        host.prepare(cell, PATIENCE).unwrap();
        let error = host.attest(PATIENCE).unwrap_err().to_string();
        assert!(
            error.starts_with("job ") && error.contains("refused"),
            "{}: {error}",
            entry.about.name
        );
    }
}

#[test]
fn the_echo_server_and_the_host_end_with_their_parents_input() {
    use std::process::{Command, Stdio};
    for role in ["__echo", "__host"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdin.take());
        let status = child.wait().unwrap();
        assert!(status.success(), "{role}: {status}");
    }
}
