//! Every model gives the receipts that a job's definition foretells, in every placement, and leaves nothing behind.

#[macro_use]
mod each_model;
#[path = "suite/faults.rs"]
mod faults;
mod listener;
mod server;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use paceline_core::{
    job::Workload,
    models::{Entry, MODELS, Width},
    perform::Placement,
    protocol::CellSpec,
    suite_server::EchoServer,
};
use server::{PATIENCE, available, program, workload};

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
    { gather = [
        [{ connect = "echo" }, { exchange = { bytes = 9, times = 2 } }],
        [{ sleep = "1ms" }, { offload = [{ compute = 5 }] }],
        [{ gather = [[{ compute = 3 }], []] }],
    ] },
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

fn cell(
    entry: &Entry,
    workload: &Workload,
    workers: Option<usize>,
    placement: Placement,
    scale: usize,
    echo: &EchoServer,
) -> CellSpec {
    let servers = echo.addresses().clone();
    CellSpec { placement, scale, ..server::cell(entry, workers, workload, servers) }
}

/// Runs `text` in every placement of `name`; where the model says that it lacks a step of it, runs `or` instead.
fn conforms(name: &str, text: &str, or: &str, workers: usize) {
    let Some(entry) = available(name) else { return };
    let mut job = workload(text);
    if let Some(lack) = entry.info.unsupported_step(&job) {
        assert!(lack.contains("does not support"), "{lack}");
        job = workload(or);
        assert_eq!(entry.info.unsupported_step(&job), None);
    }
    let echo = program().echo().unwrap();
    let workers = entry.info.workers(&[workers])[0];
    let mut host = program().host(entry, workers).unwrap();
    for placement in entry.info.placements {
        for scale in [1, 40] {
            let cell = cell(entry, &job, workers, *placement, scale, &echo);
            host.prepare(cell, PATIENCE).unwrap();
            let attest =
                host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
            assert!(attest.peak_in_flight >= 1 && attest.peak_in_flight <= scale as u32);
            assert!(attest.job_threads >= 1);
            let (batches, _) = host.batches(2, PATIENCE).unwrap();
            assert_eq!(batches.len(), 2);
            assert!(batches.iter().all(|batch| *batch >= job.critical_path_wait(scale)));
        }
    }
    let left = host.stop(PATIENCE).unwrap();
    assert!(left.is_empty(), "{name} left threads behind: {left:?}");
}

/// Runs many blocks of jobs, one of each with other steps, and of children where the model has groups.
fn chooses(name: &str) {
    let jobs = workload(CHOSEN_JOBS);
    let children = workload(CHOSEN_CHILDREN);
    let echo = program().echo().unwrap();
    for (job, scale) in [(&jobs, 1_000), (&children, 2)] {
        let Some((entry, workers)) = able(name, job) else { continue };
        let mut host = program().host(entry, workers).unwrap();
        for placement in entry.info.placements {
            host.prepare(cell(entry, job, workers, *placement, scale, &echo), PATIENCE).unwrap();
            host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
        }
    }
}

/// Makes a test of each line: its name, and a function that is called with the model and more.
macro_rules! tests {
    ($($test:ident: $check:ident($($more:expr),*);)*) => {
        $(#[test]
        fn $test() {
            $check(MODEL, $($more),*);
        })*
    };
}

macro_rules! tests_of {
    ($($name:ident = $model:literal)*) => {
        $(mod $name {
            use super::*;

            const MODEL: &str = $model;

            tests! {
                does_every_step_with_the_receipts_foretold: conforms(EVERY_STEP, NO_PARTNERS, 2);
                nested_gathers_end_on_one_worker: conforms(DEEP, NO_PARTNERS, 1);
                gives_the_other_steps_to_the_jobs_and_the_children_that_the_hash_chooses: chooses();
                waits_as_long_as_it_says: conforms(ONE_SLEEP, ONE_SLEEP, 2);
                groups_keep_failures_to_themselves_and_slow_answers_are_waited_for: conforms(WAITING_GROUPS, SLOW, 2);
                jobs_take_the_connections_of_a_pool_in_turn_and_give_them_back_open: keeps_connections();
                joins_children_as_one_future: conforms(ONE_FUTURE, ONE_SLEEP, 2);
                a_group_that_cancels_is_over_at_its_first_failure_and_leaves_nobody_behind: cancels(CANCELLING_GROUPS);
                a_group_that_cancels_does_not_wait_for_those_before_the_one_that_failed: cancels_late();
                all_jobs_wait_until_the_last_has_begun: parks();
                all_members_of_a_room_hear_what_one_says: talks();
            }
        })*

        #[test]
        fn every_model_is_tested() {
            let tested = [$($model),*];
            assert!(MODELS.iter().all(|entry| tested.contains(&entry.info.name)));
        }
    };
}

/// Where one child runs after another, those before the one that failed have ended.
fn cancels_late(name: &str) {
    if !["sequential", "python-sequential"].contains(&name) {
        cancels(name, LATE_FAILURE);
    }
}

/// Runs a group of children that sleep for 10 s and one that fails; what is left of them is in what was attested.
fn cancels(name: &str, text: &str) {
    let job = workload(text);
    let Some((entry, workers)) = able(name, &job) else { return };
    let echo = program().echo().unwrap();
    let mut host = program().host(entry, workers).unwrap();
    for placement in entry.info.placements {
        for scale in [1, 20] {
            host.prepare(cell(entry, &job, workers, *placement, scale, &echo), PATIENCE).unwrap();
            let attest = host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(attest.children_left, Some(0), "{name} {placement}");
            assert!(attest.group_ended_ns_max.unwrap() < 5_000_000_000, "{name}: {attest:?}");
            let (batches, _) = host.batches(2, PATIENCE).unwrap();
            assert!(
                batches.iter().all(|batch| *batch < Duration::from_secs(8)),
                "{name}: {batches:?}"
            );
        }
    }
}

/// Runs jobs that take connections of a pool, and counts those that a server of our own is asked for; then groups that are
/// cancelled with connections of a pool of one, whose place must be free again.
fn keeps_connections(name: &str) {
    let job = workload(POOLED);
    let Some((entry, workers)) = able(name, &job) else { return };
    let echo = program().echo().unwrap();
    for placement in entry.info.placements {
        let (address, accepted) = counting_echo();
        let mut host = program().host(entry, workers).unwrap();
        let mut spec = cell(entry, &job, workers, *placement, 40, &echo);
        spec.servers.echo = vec![address];
        host.prepare(spec, PATIENCE).unwrap();
        host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
        host.batches(5, PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
        let cores = if *placement == Placement::Dealt { 2 } else { 1 };
        let opened = accepted.load(Ordering::SeqCst);
        assert!((1..=3 * cores).contains(&opened), "{name} {placement}: {opened} for 240 jobs");
        assert_eq!(host.stop(PATIENCE).unwrap(), Vec::<String>::new(), "{name} {placement}");
    }
    cancels(name, POOLED_GROUP);
}

/// An echo server, and how many connections it was asked for.
fn counting_echo() -> (SocketAddr, &'static AtomicUsize) {
    let accepted: &AtomicUsize = Box::leak(Box::default());
    let address = listener::each_connection(move |stream| {
        accepted.fetch_add(1, Ordering::SeqCst);
        std::io::copy(&mut &stream, &mut &stream)
    });
    (address, accepted)
}

/// Runs a room of 30 members, or of as many as the model has under way at once.
fn talks(name: &str) {
    let job = workload(ROOM);
    let Some((entry, workers)) = able(name, &job) else { return };
    let scale = if entry.info.holds_worker() { workers.unwrap() } else { 30 };
    let echo = program().echo().unwrap();
    let mut host = program().host(entry, workers).unwrap();
    for placement in entry.info.placements {
        host.prepare(cell(entry, &job, workers, *placement, scale, &echo), PATIENCE).unwrap();
        host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
        host.batches(2, PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
    }
}

/// Runs jobs that wait for each other, as many as the model has under way at once.
fn parks(name: &str) {
    let job = workload(
        "name = \"parks\"\njob = [{ park = \"all\" }, { sleep = \"1ms\" }, { compute = 9 }]",
    );
    let Some((entry, workers)) = able(name, &job) else { return };
    let scales = if entry.info.holds_worker() { [1, workers.unwrap()] } else { [300, 30] };
    let echo = program().echo().unwrap();
    let mut host = program().host(entry, workers).unwrap();
    for placement in entry.info.placements {
        for scale in scales {
            host.prepare(cell(entry, &job, workers, *placement, scale, &echo), PATIENCE).unwrap();
            let attest =
                host.attest(PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
            assert_eq!(attest.peak_in_flight, scale as u32, "{name} {placement}");
            host.batches(3, PATIENCE).unwrap_or_else(|e| panic!("{name} {placement}: {e}"));
        }
    }
}

/// The model and its workers, where it can run here and knows all steps of `job`.
fn able(name: &str, job: &Workload) -> Option<(&'static Entry, Option<usize>)> {
    let entry = available(name)?;
    let lacks = entry.info.unsupported_step(job);
    assert!(lacks.as_ref().is_none_or(|lack| lack.contains("does not support")), "{lacks:?}");
    lacks.is_none().then(|| (entry, entry.info.workers(&[2])[0]))
}

/// Where a parent waited for children in a queue that only its own worker serves, this would hang.
const DEEP: &str = r#"
name = "deep"
job = [{ gather = { width = 4, of = [
    { gather = { width = 4, of = [{ gather = { width = 4, of = [{ compute = 10 }] } }, { yield = 1 }] } },
] } }]"#;

const CHOSEN_JOBS: &str = r#"
name  = "chosen-jobs"
job   = [{ compute = 1 }]
every = { nth = 7, job = [{ compute = 2 }] }"#;

const CHOSEN_CHILDREN: &str = r#"
name = "chosen-children"
job  = [{ group = { width = 300, of = [{ compute = 1 }], every = { nth = 7, job = [{ compute = 2 }] }, on_failure = "wait" } }]"#;

/// Failures of children that nobody but their group is to hear of; with children that none cancels.
const WAITING_GROUPS: &str = r#"
name = "waiting-groups"
job = [
    { group = { width = 5, of = [{ sleep = "2ms" }, { compute = 10 }], on_failure = "wait",
                every = { nth = 2, job = [{ sleep = "1ms" }, { fail = "error" }] } } },
    { group = { width = 4, of = [{ yield = 1 }, { compute = 3 }], every = { nth = 3, job = [] }, on_failure = "wait" } },
    { gather = { width = 2, of = [{ group = { width = 2, of = [{ fail = "error" }], on_failure = "wait" } }] } },
    { connect = { slow = "3ms" } },
    { exchange = { bytes = 100, times = 2 } },
    { compute = 7 },
]"#;

const SLOW: &str = r#"
name = "slow"
job = [
    { connect = { slow = "3ms" } },
    { exchange = { bytes = "70KiB", times = 2 } },
    { connect = "echo" },
    { exchange = { bytes = 8, times = 2 } },
]"#;

/// A connection is given back before the next is taken.
const POOLED: &str = r#"
name = "pooled"
job = [
    { connect = { pool = 2, to = "echo" } },
    { exchange = { bytes = 100, times = 2 } },
    { sleep = "1ms" },
    { exchange = { bytes = "70KiB", times = 1 } },
    { connect = { pool = 1, to = "echo" } },
    { exchange = { bytes = 8, times = 1 } },
    { compute = 7 },
]"#;

/// Whoever is cancelled is in an exchange, or waits for the one that is.
const POOLED_GROUP: &str = r#"
name = "pooled-group"
job = [
    { group = { width = 3, every = { nth = 3, job = [{ sleep = "2ms" }, { fail = "error" }] },
                of = [{ connect = { pool = 1, to = { slow = "10s" } } }, { exchange = { bytes = 9, times = 1 } }] } },
    { compute = 7 },
]"#;

const CANCELLING_GROUPS: &str = r#"
name = "cancelling-groups"
job = [
    { group = { width = 6, of = [{ connect = "echo" }, { sleep = "10s" }], on_failure = "cancel",
                every = { nth = 3, job = [{ sleep = "2ms" }, { fail = "error" }] } } },
    { compute = 7 },
    { group = { width = 4, of = [{ yield = 1 }, { compute = 3 }], on_failure = "cancel" } },
    { group = { width = 2, every = { nth = 2, job = [{ sleep = "1ms" }, { fail = "error" }] },
                of = [{ connect = { slow = "10s" } }, { exchange = { bytes = 9, times = 1 } }] } },
]"#;

/// The child that fails is none of the first, and there are more than a handful of others.
const LATE_FAILURE: &str = r#"
name = "late-failure"
job = [{ group = { width = 40, of = [{ sleep = "2ms" }, { fail = "error" }], every = { nth = 40, job = [{ sleep = "10s" }] } } }]"#;

const ONE_FUTURE: &str = r#"
name = "one-future"
job = [
    { gather = { width = 50, of = [{ yield = 2 }, { compute = 3 }], join = "future" } },
    { gather = { width = 3, of = [{ sleep = "2ms" }, { connect = "echo" }, { exchange = { bytes = 9, times = 2 } }], join = "future" } },
]"#;

const ROOM: &str = r#"
name = "room"
job = [{ connect = "room" }, { hear = { bytes = 64, times = 5 } }, { compute = 9 }, { hear = { bytes = 8, times = 1 } }]
every = { nth = 1_000, job = [{ connect = "room" }, { say = { bytes = 64, times = 5 } }, { say = { bytes = 8, times = 1 } }] }
"#;

/// Alone, for beside other work a wait that is too short would not show.
const ONE_SLEEP: &str = r#"
name = "one-sleep"
job = [{ sleep = "20ms" }]"#;

each_model!(tests_of);

#[cfg(target_env = "gnu")]
#[test]
fn the_next_batch_finds_the_memory_that_the_last_one_freed() {
    let job = workload(ONE_SLEEP);
    let echo = program().echo().unwrap();
    let entry = paceline_core::models::find("tokio").unwrap();
    let mut host = program().host(entry, Some(2)).unwrap();
    host.prepare(cell(entry, &job, Some(2), Placement::Inside, 10_000, &echo), PATIENCE).unwrap();
    host.batches(20, PATIENCE).unwrap();
    let (_, usage) = host.batches(8, PATIENCE).unwrap();
    // The tasks of a batch are on 625 pages. By glibc's default they went back to the kernel after nearly every batch:
    // over 5 000 faults. A few are left, where a thread takes up another arena.
    assert!(usage.minor_faults < 3_000, "{usage:?}");
}

#[test]
fn waiting_overlaps_where_the_model_says_so_and_only_there() {
    let job = workload("name = \"overlap\"\njob = [{ sleep = \"50ms\" }]");
    let echo = program().echo().unwrap();
    for entry in MODELS.iter().filter(|entry| (entry.info.available)().is_ok()) {
        let workers = entry.info.workers(&[2])[0];
        let mut host = program().host(entry, workers).unwrap();
        let placement = entry.info.placements[0];
        host.prepare(cell(entry, &job, workers, placement, 8, &echo), PATIENCE).unwrap();
        let attest = host.attest(PATIENCE).unwrap();
        let at_once = match entry.info.name {
            "sequential" | "python-sequential" => 1,
            "pool" | "rayon" | "python-threads" | "python-processes" => 2,
            _ => 8,
        };
        assert_eq!(attest.peak_in_flight, at_once, "{}", entry.info.name);
        if entry.info.width == Width::PerTask {
            assert_eq!(attest.job_threads, 8);
        }
    }
}
