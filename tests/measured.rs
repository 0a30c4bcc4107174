//! What `paceline run` measures besides throughput means what its name says.

mod program;

use std::{fs, process::Command};

use paceline::record::{Cell, State, bytes_per_job};
use program::{PACELINE, call, json};

fn run(job: &str, arguments: &[&str]) -> Vec<Cell> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("job.toml"), job).unwrap();
    let run = ["run", "job.toml", "--format", "json"];
    json(&program::run(folder.path(), [&run, arguments].concat()))
}

fn of<'c>(cells: &'c [Cell], model: &str) -> &'c Cell {
    let cell = cells.iter().find(|cell| cell.model == model).unwrap();
    assert_eq!(cell.state, State::Ok, "{:?}", cell.reason);
    cell
}

#[test]
fn latency_counts_from_when_a_job_was_due_and_service_time_from_when_it_began() {
    let job = "name = \"job\"\njob = [{ sleep = \"5ms\" }]";
    let cells = run(job, &["--model", "sequential,tokio", "--scale", "20", "--trials", "2"]);
    for (name, waits) in [("sequential", 50_000_000), ("tokio", 5_000_000)] {
        let cell = of(&cells, name);
        let (latency, service) =
            (cell.latency.as_ref().unwrap(), cell.service_time.as_ref().unwrap());
        // All twenty are due at once: on `sequential` half of them begin after ten others.
        assert!(
            latency.ns_p50 >= waits && latency.ns_p50 < waits * 3,
            "{name}: {}",
            latency.ns_p50
        );
        assert!(service.ns_p50 >= 5_000_000 && service.ns_p50 < 15_000_000, "{name}");
        assert!(latency.ns_max >= latency.ns_p999 && latency.ns_p999 >= latency.ns_p99);
        let p50 = cell.latency_ns_p50.unwrap();
        assert!(p50.value >= waits as f64 && p50.lower <= p50.value);
        assert!(cell.latency_ns_p99.is_none() || latency.count >= 2_000, "of two trials");
        assert_eq!(latency.histogram().unwrap().count(), latency.count);
        assert_eq!(latency.count % 20, 0, "every job of a batch is counted");
    }
}

#[test]
fn every_sleep_is_seen_to_be_late_those_of_children_too() {
    let job = "name = \"job\"\njob = [{ sleep = \"2ms\" }, { gather = { width = 3, of = [{ sleep = \"1ms\" }, { sleep = \"1ms\" }] } }]";
    let models = "threads,rayon,tokio,smol,compio,may";
    let cells = run(job, &["--model", models, "--scale", "10", "--trials", "1"]);
    let measured: Vec<_> = cells.iter().filter(|cell| cell.state != State::Refused).collect();
    // Only the rings of compio may be refused.
    assert!(measured.len() >= 5, "{cells:?}");
    for cell in measured {
        let late = of(&cells, &cell.model).timer_lateness.as_ref().unwrap();
        assert_eq!(late.count, cell.latency.as_ref().unwrap().count * 7, "{}", cell.model);
        assert!(late.ns_p50 < 50_000_000, "{}: {}", cell.model, late.ns_p50);
    }
}

#[test]
fn cpu_time_is_that_of_the_work_and_an_idle_model_uses_next_to_none() {
    let job = "name = \"job\"\njob = [{ compute = 1_000_000 }]";
    let cells = run(job, &["--model", "sequential,tokio,rayon", "--scale", "4", "--trials", "1"]);
    for name in ["sequential", "tokio", "rayon"] {
        let resources = of(&cells, name).resources.unwrap();
        let (user, system) = (resources.user_cpu_ns_per_job, resources.system_cpu_ns_per_job);
        // A million multiplications that wait for each other take a millisecond or so.
        assert!(
            user > 500_000.0 && user < 100_000_000.0 && system < user,
            "{name}: {user} {system}"
        );
        assert!(resources.idle_cpu_share.unwrap() < 0.5, "{name}");
        assert!(resources.threads.unwrap_or(1) >= 1);
    }
}

#[test]
fn a_thread_for_each_job_shows_in_memory_and_in_context_switches() {
    let job = "name = \"job\"\njob = [{ sleep = \"50ms\" }]";
    let scales = ["--scale", "50,200,800", "--trials", "2"];
    let cells = run(job, &[&["--model", "threads"][..], &scales].concat());
    let series: Vec<&Cell> = cells.iter().collect();
    if cfg!(target_os = "linux") {
        let bytes = bytes_per_job(&series).unwrap();
        assert!((4096.0..200_000.0).contains(&bytes), "{bytes} bytes a thread");
    }
    for cell in series {
        let used = of(std::slice::from_ref(cell), "threads").resources.unwrap();
        assert!(used.voluntary_switches_per_job >= 0.9, "a thread that sleeps is switched away");
        assert!(used.minor_faults_per_job > 0.0);
    }
}

#[test]
fn a_climb_doubles_the_scale_and_ends_with_what_broke() {
    let folder = tempfile::tempdir().unwrap();
    let climb = "run echo --model tokio --to-the-limit --budget 30s --format json";
    let script = format!("ulimit -n 200; exec {PACELINE} {climb}");
    let output = call("sh", folder.path(), ["-c", &script]).output().unwrap();
    let cells: Vec<Cell> = json(&output);
    let scales: Vec<usize> = cells.iter().map(|cell| cell.scale).collect();
    assert_eq!(scales, [1, 2, 4, 8, 16, 32, 64, 128, 256], "{cells:?}");
    let (broke, went) = cells.split_last().unwrap();
    assert!(went.iter().all(|cell| cell.state == State::Ok));
    assert_eq!(broke.state, State::Refused);
    assert!(broke.reason.as_ref().unwrap().contains("open files"), "{:?}", broke.reason);
    assert_eq!(output.status.code(), Some(0), "a limit is a finding");
}

#[test]
fn each_series_of_a_climb_has_its_part_of_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let models = "threads,pool,rayon,tokio,smol,sequential";
    let climb = format!("run empty --model {models} --to-the-limit --budget 12s --format json");
    let output = call(PACELINE, folder.path(), climb.split_whitespace()).output().unwrap();
    let cells: Vec<Cell> = json(&output);
    for model in models.split(',') {
        let first = cells.iter().find(|cell| cell.model == model).unwrap();
        assert_eq!((first.scale, first.state), (1, State::Ok), "{model}: {:?}", first.reason);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_pinned_process_stays_on_its_cpus_and_more_workers_than_cpus_are_refused() {
    let cpus = paceline::machine::cpus_by_core();
    let mut child = Command::new("sleep").arg("10").spawn().unwrap();
    paceline::machine::pin(child.id(), &cpus[..1]).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(list.trim(), cpus[0].to_string());

    let job = "name = \"job\"\njob = [{ compute = 10 }]";
    let arguments = ["--pin", "--model", "tokio", "--scale", "3", "--trials", "1"];
    let one = run(job, &[&arguments[..], &["--workers", "1"]].concat());
    assert_eq!(of(&one, "tokio").attest.as_ref().unwrap().job_threads, 1);
    let many = run(job, &[&arguments[..], &["--workers", "1000"]].concat());
    assert_eq!(many[0].state, State::Refused);
    assert!(many[0].reason.as_ref().unwrap().contains("--pin needs a CPU for each of "));
}
