//! `paceline compare` as its users meet it: on planted records, whose changes are known.
#![allow(clippy::large_stack_arrays, reason = "cells are large")]

mod program;
mod validator;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use paceline::{
    compare::{Agreement, Basis, Comparison, Disjoint, Pair, Shift},
    machine::{build, fingerprint},
    record::{
        Cell, Definition, Estimate, Knee, LoadFigures, Loop, Metric, Presence, Resources, Run,
        SCHEMA, State, Writer,
    },
};
use paceline_core::perform::Placement;

fn run(id: &str) -> Run {
    Run {
        schema: SCHEMA,
        id: id.into(),
        started: "2026-01-01T00:00:00Z".into(),
        instrument: "trials".into(),
        command: vec![],
        budget_seconds: 1.0,
        seed: None,
        settings: serde_json::Map::new(),
        fingerprint: fingerprint(),
        build: build(),
        models: vec![],
        workloads: vec![Definition { name: "echo".into(), source: "word for word".into() }],
        planned: None,
        timer_floor: None,
        commit: None,
    }
}

/// A cell of 10 jobs whose processes took `trials` nanoseconds.
fn cell(model: &str, trials: &[u64]) -> Cell {
    let times: Vec<f64> = trials.iter().map(|ns| *ns as f64).collect();
    let batch_ns = Estimate::of_trials(&times, 1.0);
    Cell {
        jobs_per_second: batch_ns.map(|batch| batch.per_second(10)),
        batch_ns,
        trials_ns: trials.to_vec(),
        latency_ns_p99: Some(Estimate { value: 2000.0, lower: 1900.0, upper: 2100.0 }),
        cpu_ns_per_job: Some(500.0),
        resources: Some(Resources { rss_bytes_added: Some(40_960), ..Resources::default() }),
        ..ended(model, State::Ok, None)
    }
}

fn ended(model: &str, state: State, reason: Option<&str>) -> Cell {
    let cell = Cell::new("echo", model, 10, Some(2), Placement::Inside, state);
    Cell { reason: reason.map(str::to_owned), ..cell }
}

fn write(results: &Path, run: &Run, cells: &[Cell]) -> PathBuf {
    let mut writer = Writer::create(results, run).unwrap();
    for cell in cells {
        writer.write(cell).unwrap();
    }
    writer.folder().to_owned()
}

fn compare(folder: &Path, arguments: &[&str]) -> Output {
    program::run(folder, [&["compare"], arguments].concat())
}

/// What it says of two records in a folder, as JSON.
fn compared(folder: &Path) -> Comparison {
    let output = compare(folder, &["base", "head", "--out", ".", "--format", "json"]);
    let value: serde_json::Value = program::json(&output);
    let schema = serde_json::to_value(schemars::schema_for!(Comparison)).unwrap();
    assert_eq!(validator::errors(&schema, &value), "");
    serde_json::from_value(value).unwrap()
}

/// The exit code and the one sentence of an error.
fn refused(output: &Output) -> (i32, String) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(said.starts_with("error: ") && said.trim_end().lines().count() == 1, "{said}");
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), said)
}

fn shift(pair: &Pair, metric: Metric) -> &Shift {
    pair.shifts.iter().find(|shift| shift.metric == metric).unwrap()
}

#[test]
fn a_planted_change_is_shown_with_the_interval_of_its_processes() {
    let folder = tempfile::tempdir().unwrap();
    let base = [10_000, 10_100, 10_200, 10_300, 10_400];
    let mut slower = cell("tokio", &base.map(|ns| ns + ns / 10));
    slower.latency_ns_p99 = Some(Estimate { value: 3000.0, lower: 2850.0, upper: 3150.0 });
    slower.cpu_ns_per_job = Some(400.0);
    slower.resources = Some(Resources { rss_bytes_added: Some(81_920), ..Resources::default() });
    write(folder.path(), &run("base"), &[cell("tokio", &base)]);
    write(folder.path(), &run("head"), &[slower]);
    let found = compared(folder.path());
    let pair = &found.cells[0];
    assert_eq!((pair.presence, pair.reason.as_deref()), (Presence::Both, None));

    let time = shift(pair, Metric::Throughput);
    assert!((time.share - 0.1).abs() < 1e-4 && time.basis == Basis::Processes, "{time:?}");
    assert!((time.head / time.base - 1.0 - time.share).abs() < 1e-9, "{time:?}");
    assert!((time.base - 1019.9).abs() < 0.1 && (time.head - 1121.9).abs() < 0.1, "{time:?}");
    let (lower, upper) = (time.lower.unwrap(), time.upper.unwrap());
    assert!(lower > 0.0 && lower < 0.1 && upper > 0.1 && upper < 0.2, "{time:?}");
    // As far as both intervals allow: 2850 of 2100, and 3150 of 1900.
    let p99 = shift(pair, Metric::P99);
    assert!((p99.share - 0.5).abs() < 1e-9 && p99.basis == Basis::Intervals, "{p99:?}");
    assert!((p99.lower.unwrap() - (2850.0 / 2100.0 - 1.0)).abs() < 1e-9, "{p99:?}");
    assert!((p99.upper.unwrap() - (3150.0 / 1900.0 - 1.0)).abs() < 1e-9, "{p99:?}");
    let cpu = shift(pair, Metric::Cpu);
    assert!((cpu.share + 0.2).abs() < 1e-9 && cpu.lower.is_none() && cpu.basis == Basis::Figures);
    assert!((shift(pair, Metric::Memory).share - 1.0).abs() < 1e-9);
    assert!((shift(pair, Metric::Memory).head - 8192.0).abs() < 1e-9);
}

#[test]
fn the_figures_of_both_are_those_of_their_records_however_far_one_process_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let both = [cell("tokio", &[100, 110, 120, 130, 900]), cell("tokio", &[140, 150, 160])];
    let [base, head] = both.each_ref().map(|cell| cell.jobs_per_second.unwrap().per_second(1));
    for (id, cell) in ["base", "head"].into_iter().zip(both) {
        write(folder.path(), &run(id), &[cell]);
    }
    let found = compared(folder.path());
    let time = shift(&found.cells[0], Metric::Throughput);
    assert!((time.base / base.value - 1.0).abs() < 1e-12, "{time:?}, {base:?}");
    assert!((time.head / head.value - 1.0).abs() < 1e-12, "{time:?}, {head:?}");
    assert!((time.share - (head.value / base.value - 1.0)).abs() < 1e-12, "{time:?}");
    assert_eq!(time.basis, Basis::Processes);
    assert!(time.lower.unwrap() < 0.0 && time.upper.unwrap() > 0.0, "{time:?}");
}

#[test]
fn fewer_trials_than_an_interval_takes_show_a_change_and_no_certainty() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &run("base"), &[cell("tokio", &[100]), cell("smol", &[100])]);
    let few = [cell("tokio", &[110]), cell("smol", &[109, 110, 111])];
    write(folder.path(), &run("head"), &few);
    for pair in &compared(folder.path()).cells {
        let time = shift(pair, Metric::Throughput);
        assert!((time.share - 0.1).abs() < 1e-3, "{time:?}");
        assert_eq!((time.lower, time.upper, time.basis), (None, None, Basis::Figures));
    }
}

#[test]
fn the_figures_of_cargo_bench_are_of_processes_too() {
    let folder = tempfile::tempdir().unwrap();
    for id in ["base", "head"] {
        let run = Run { instrument: "criterion".into(), ..run(id) };
        let times = [100, 110, 120, 130, 140, 150];
        write(folder.path(), &run, &[cell("tokio", &times)]);
    }
    let found = compared(folder.path());
    assert_eq!(shift(&found.cells[0], Metric::Throughput).basis, Basis::Processes);
}

#[test]
fn every_cell_of_either_is_shown_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let times = [100, 110, 120, 130, 140];
    let failed = ended("smol", State::Failed, Some("connection refused"));
    write(folder.path(), &run("base"), &[cell("tokio", &times), cell("smol", &times)]);
    write(folder.path(), &run("head"), &[failed, cell("rayon", &times)]);
    let found = compared(folder.path());
    let of = |model: &str| found.cells.iter().find(|pair| pair.model == model).unwrap();
    let order: Vec<&str> = found.cells.iter().map(|pair| &*pair.model).collect();
    assert_eq!(order, ["tokio", "smol", "rayon"]);
    assert_eq!(of("tokio").presence, Presence::Base);
    assert_eq!(of("rayon").presence, Presence::Head);
    assert_eq!(of("smol").head_state, Some(State::Failed));
    assert!(found.cells.iter().all(|pair| pair.shifts.is_empty() && pair.reason.is_some()));

    let output = compare(folder.path(), &["base", "head", "--out", "."]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("1 ok to failed (smol@2): head: connection refused"), "{table}");
    assert!(table.contains("1 ok to absent (tokio@2)"), "{table}");
    assert!(table.contains("1 absent to ok (rayon@2)"), "{table}");
}

#[test]
fn the_table_says_first_that_separate_runs_cannot_show_small_changes() {
    let folder = tempfile::tempdir().unwrap();
    for id in ["base", "head"] {
        write(folder.path(), &run(id), &[cell("tokio", &[100, 110, 120, 130, 140])]);
    }
    let [base, head] = ["base", "head"].map(|id| folder.path().join(id).display().to_string());
    let output = compare(Path::new("/"), &[&base, &head, "--all"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(table.starts_with("separate runs cannot show small changes"), "{table}");
    assert!(table.contains("11.9 ns") && table.contains("+0.0 %"), "{table}");
}

#[test]
fn another_machine_is_refused_with_the_fields_that_differ_unless_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = run("head");
    other.fingerprint.hash = "0".repeat(16);
    other.fingerprint.kernel = "Linux 2.4".into();
    other.fingerprint.cpu_name = "not hashed".into();
    other.fingerprint.features.push("made=up".into());
    other.fingerprint.allocator.clear();
    write(folder.path(), &run("base"), &[cell("tokio", &[1000; 5])]);
    write(folder.path(), &other, &[cell("tokio", &[1000; 5])]);
    let (code, said) = refused(&compare(folder.path(), &["base", "head", "--out", "."]));
    assert_eq!(code, 6);
    assert!(said.contains("kernel (") && said.contains("Linux 2.4"), "{said}");
    assert!(!said.contains("compiler") && !said.contains("not hashed"), "{said}");
    assert!(said.contains("features (none, made=up)"), "{said}");
    assert!(
        said.contains("allocator settings (glibc") && said.contains(", the default)"),
        "{said}"
    );
    let told = compare(folder.path(), &["base", "head", "--out", ".", "--any-machine"]);
    assert_eq!(told.status.code(), Some(0));
    assert!(String::from_utf8(told.stdout).unwrap().contains("the machines differ: kernel"));
}

#[test]
fn pinned_and_free_runs_are_refused_and_so_is_another_quota() {
    let mut pinned = run("head");
    pinned.settings.insert("pin".into(), true.into());
    let mut limited = run("head");
    limited.fingerprint.hash = "0".repeat(16);
    limited.fingerprint.cpu_quota = Some("0.25".into());
    for (other, why) in [(pinned, "pinning (free, pinned)"), (limited, "CPU quota (none, 0.25)")] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &run("base"), &[cell("tokio", &[1000; 5])]);
        write(folder.path(), &other, &[cell("tokio", &[1000; 5])]);
        let (code, said) = refused(&compare(folder.path(), &["base", "head", "--out", "."]));
        assert!(code == 6 && said.contains(why), "{said}");
    }
}

#[test]
fn what_is_no_pair_of_records_of_one_instrument_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let other = Run { instrument: "criterion".into(), ..run("other") };
    let newer = Run { schema: SCHEMA + 1, ..run("newer") };
    for run in [&run("base"), &other, &newer, &run("broken")] {
        write(folder.path(), run, &[cell("tokio", &[1000; 5])]);
    }
    fs::write(folder.path().join("broken/run.json"), "{").unwrap();
    for (head, why) in [
        ("other", "different instruments"),
        ("newer", "newer paceline"),
        ("broken", "broken/run.json"),
        ("absent", "there is no record in absent"),
    ] {
        let (code, said) = refused(&compare(folder.path(), &["base", head, "--out", "."]));
        assert_eq!(code, 2, "{head}");
        assert!(said.contains(why), "{head}: {said}");
    }
}

#[test]
fn jobs_that_are_defined_otherwise_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = run("head");
    other.workloads[0].source.push_str(" another");
    write(folder.path(), &run("base"), &[cell("tokio", &[1000; 5])]);
    write(folder.path(), &other, &[cell("tokio", &[1000; 5])]);
    let pair = &compared(folder.path()).cells[0];
    assert!(pair.shifts.is_empty());
    assert_eq!(pair.reason.as_deref(), Some("the definitions of the workload differ"));
}

/// A server at 500 requests a second, of which `errors` in 1 000 were errors.
fn served(errors: u64) -> Cell {
    let load = LoadFigures::new(Loop::Open, Some(500.0), None, 4);
    let errors = [("status 503".into(), errors)].into();
    let load = Some(LoadFigures { offered: 1_000, errors, ..load });
    Cell { load, ..cell("tokio", &[1000; 5]) }
}

#[test]
fn a_server_that_refuses_requests_is_not_called_faster() {
    for (base, head, why) in [
        (0, 0, None),
        (1, 0, None),
        (0, 400, Some("head: 40 % of its requests were errors")),
        (2, 0, Some("base: 0.20 % of its requests were errors")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &run("base"), &[served(base)]);
        write(folder.path(), &run("head"), &[served(head)]);
        let pair = &compared(folder.path()).cells[0];
        assert_eq!(pair.shifts.is_empty(), why.is_some(), "{pair:?}");
        let reason = pair.reason.as_deref().unwrap_or_default();
        assert!(reason.starts_with(why.unwrap_or_default()), "{reason}");
    }
}

#[test]
fn two_knees_have_no_interval_as_their_trials_are_of_one_stair() {
    let at = |ns: u64| {
        let gave_way = Some("p99 passed 20.0 ms".into());
        let knee = Some(Knee { limit_ns: 20_000_000, steps: vec![], gave_way });
        let load = Some(LoadFigures { knee, ..LoadFigures::new(Loop::Open, Some(500.0), None, 4) });
        Cell { load, ..cell("tokio", &[ns, ns + 1, ns + 2]) }
    };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &run("base"), &[at(1_000_000)]);
    write(folder.path(), &run("head"), &[at(1_080_000)]);
    let pair = &compared(folder.path()).cells[0];
    let rate = shift(pair, Metric::Requests);
    assert!((rate.share + 0.074).abs() < 0.001, "{rate:?}");
    assert_eq!((rate.basis, rate.lower), (Basis::Figures, None));
}

#[test]
fn loads_of_other_requests_are_not_compared() {
    for (name, value, why) in [
        ("body_hash", serde_json::json!("0badcafe"), "body hash (none, \"0badcafe\")"),
        ("timeout_seconds", 0.02.into(), "timeout seconds (none, 0.02)"),
        ("max_errors", "10%".into(), "max errors (none, \"10%\")"),
        ("generators", 4.into(), "generators (none, 4)"),
        ("generators", 1.into(), ""),
        ("expect", serde_json::json!([]), ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut base = run("base");
        base.instrument = "load".into();
        let mut head = Run { id: "head".into(), ..base.clone() };
        head.settings.insert(name.into(), value);
        write(folder.path(), &base, &[served(0)]);
        write(folder.path(), &head, &[served(0)]);
        let pair = &compared(folder.path()).cells[0];
        let reason = pair.reason.clone().unwrap_or_default();
        let differ = (!why.is_empty()).then(|| format!("the loads differ in {why}"));
        let wanted = differ.unwrap_or_default();
        assert_eq!(reason, wanted);
        assert_eq!(pair.shifts.is_empty(), !why.is_empty(), "{pair:?}");
    }
}

/// A cell of `scale` jobs with this interval of a batch, in nanoseconds; none where both ends are the same.
fn between(workload: &str, scale: usize, lower: f64, upper: f64) -> Cell {
    let of = Estimate { value: lower.midpoint(upper), lower, upper };
    let cell = Cell::new(workload, "tokio", scale, Some(2), Placement::Inside, State::Ok);
    Cell { batch_ns: Some(of), ..cell }
}

#[test]
fn disjoint_intervals_of_several_runs_are_counted_by_workload_and_in_total() {
    let folder = tempfile::tempdir().unwrap();
    let failed = |scale| Cell { state: State::Failed, ..between("cpu", scale, 9.0, 10.0) };
    let [one, two, three] = [
        [between("echo", 1, 1.0, 2.0), between("echo", 10, 1.0, 2.0), between("cpu", 1, 1.0, 2.0)],
        // The ends touch; one of echo is apart; cpu is not there.
        [between("echo", 1, 2.0, 3.0), between("echo", 10, 3.0, 4.0), failed(1)],
        // No interval; apart from the first alone; the only pair of cpu.
        [between("echo", 1, 9.0, 9.0), between("echo", 10, 2.5, 3.5), between("cpu", 1, 1.5, 9.0)],
    ];
    for (id, cells) in [("one", one), ("two", two), ("three", three)] {
        write(folder.path(), &run(id), &cells);
    }
    let told = |more: &[&str]| {
        let all = [&["one", "two", "three", "--agreement", "--out", "."], more].concat();
        let output = compare(folder.path(), &all);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let found: Agreement = serde_json::from_str(&told(&["--format", "json"])).unwrap();
    assert_eq!(found.total, Disjoint { cells: 3, pairs: 5, disjoint: 2 });
    let of = |name: &str| found.workloads.iter().find(|of| of.workload == name).unwrap().of;
    assert_eq!(of("echo"), Disjoint { cells: 2, pairs: 4, disjoint: 2 });
    assert_eq!(of("cpu"), Disjoint { cells: 1, pairs: 1, disjoint: 0 });
    let worst = &found.apart[0];
    assert_eq!((&*worst.cell, worst.runs.join(" ")), ("echo/tokio@2/10", "one two".into()));
    assert!((worst.ratio - 1.5).abs() < 1e-9);
    let table = told(&[]);
    assert!(table.starts_with("3 runs") && table.contains("40 %"), "{table}");
    // Three runs are for this question only.
    let (code, _) =
        refused(&compare(folder.path(), &["one", "two", "absent", "--agreement", "--out", "."]));
    assert_eq!(code, 2);
    let (code, same) = refused(&compare(folder.path(), &["one", "./one", "--out", "."]));
    assert!(
        code == 2 && same.contains("BASE and HEAD are both the record one: name two"),
        "{same}"
    );
    let output = compare(folder.path(), &["one", "two", "three", "--out", "."]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn agreement_is_only_counted_of_one_build_and_one_definition_of_the_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let mut built_anew = run("anew");
    built_anew.build.program = "0".repeat(64);
    let mut other_jobs = run("jobs");
    other_jobs.workloads[0].source.push_str(" another");
    for run in [&run("base"), &built_anew, &other_jobs] {
        write(folder.path(), run, &[cell("tokio", &[1000, 1010, 1020, 1030, 1040])]);
    }
    for (other, differ) in [("anew", "builds of"), ("jobs", "definitions of")] {
        let asked = ["base", "base", other, "--agreement", "--out", "."];
        let (code, said) = refused(&compare(folder.path(), &asked));
        assert!(code == 6 && said.contains(differ), "{said}");
        let told = compare(folder.path(), &[&asked[..], &["--any-machine"]].concat());
        assert_eq!(told.status.code(), Some(0));
    }
}
