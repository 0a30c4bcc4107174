//! `paceline history` on records that the tests write: machines apart, a planted step, torn, newer and hostile records.

mod program;
mod sample_gate;

use std::{fs, path::Path, process::Output};

use paceline::record::{Gate, Metric, Verdict, read_gate, write_gate};
use program::{printed, run, text};
use serde_json::{Value, json};

fn history(folder: &Path, more: &[&str]) -> Output {
    run(Path::new("/"), [&["history", "--out", folder.to_str().unwrap()], more].concat())
}

/// A record of `workload` on tokio, `ns` nanoseconds a job, made on the day `day` on `machine`.
fn record(results: &Path, workload: &str, day: usize, machine: &str, ns: f64) {
    let folder = results.join(format!("run-{day:02}-{machine}"));
    fs::create_dir_all(&folder).unwrap();
    let run = json!({
        "schema": 2, "id": format!("run-{day:02}-{machine}"), "started": format!("2026-01-{day:02}T00:00:00Z"),
        "instrument": "trials", "command": [], "budget_seconds": 1.0, "seed": 1, "settings": {},
        "fingerprint": {
            "hash": machine, "architecture": "x", "cpu": ["", "", "", ""], "cpu_name": "", "logical_cpus": 2,
            "threads_per_core": "1", "hypervisor": false, "kernel": "", "rustc": "", "flags": "",
        },
        "build": {
            "paceline": "", "rustc": "", "target": "", "flags": "", "debug": false, "allocator": "",
            "dependencies": {},
        },
        "models": [], "workloads": [], "commit": format!("c{day}"),
    });
    let rate = 1e9 / ns;
    let cell = json!({
        "workload": workload, "model": "tokio", "scale": 10, "workers": 2, "placement": "inside", "state": "ok",
        "jobs_per_second": { "value": rate, "lower": rate, "upper": rate }, "floor_ns": 0, "trials_ns": [],
    });
    fs::write(folder.join("run.json"), run.to_string()).unwrap();
    fs::write(folder.join("cells.jsonl"), format!("{cell}\n")).unwrap();
}

fn shown(folder: &Path) -> Value {
    serde_json::from_str(&printed(&history(folder, &["--format", "json"]), 0)).unwrap()
}

#[test]
fn a_planted_step_is_marked_at_its_run_and_two_machines_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=20 {
        let wobble = 1.0 + (day * 7 % 5) as f64 / 500.0;
        let slower = if day >= 13 { 1.1 } else { 1.0 };
        record(folder.path(), "echo", day, "one", 1000.0 * wobble * slower);
        record(folder.path(), "echo", day, "two", 5000.0 * wobble);
    }
    let shown = shown(folder.path());
    let series = shown["series"].as_array().unwrap();
    assert_eq!(series.len(), 2, "{shown}");
    for series in series {
        assert_eq!(
            (series["points"].as_array().unwrap().len(), &series["cell"]),
            (20, &"echo/tokio@2/10".into())
        );
        // A figure of fewer than three trials.
        let point = series["points"][0].as_object().unwrap();
        assert!(
            point["value"].is_f64() && point["lower"].is_null() && point["upper"].is_null(),
            "{point:?}"
        );
        let steps = series["steps"].as_array().unwrap();
        if series["fingerprint"] == "one" {
            assert_eq!((steps.len(), &steps[0]["run"]), (1, &"run-13-one".into()));
            assert!((steps[0]["ratio"].as_f64().unwrap() - 1.1).abs() < 0.01, "{steps:?}");
        } else {
            assert!(steps.is_empty(), "{steps:?}");
        }
    }
    let table = text(&history(folder.path(), &[]).stdout);
    assert!(table.contains("from run-13-one on, commit c13"), "{table}");
    let csv = text(&history(folder.path(), &["--format", "otava"]).stdout);
    assert!(csv.starts_with("time,commit,echo/tokio@2/10 time_per_job_ns trials one,"), "{csv}");
    assert_eq!(csv.lines().count(), 41, "{csv}");
}

/// The record of a gate of `echo/tokio/10`, whose head takes `share` more than the base with this hash.
fn gate(results: &Path, day: usize, base: &str, share: f64) {
    record(results, "other", day, "one", 1000.0);
    let mut gate = sample_gate::sample();
    gate.id = format!("run-{day:02}-one");
    gate.started = format!("2026-01-{day:02}T00:00:00Z");
    gate.base.program_sha256 = base.into();
    let verdict = Some(Verdict::NotRegressed);
    gate.cells = vec![sample_gate::cell("echo/tokio/10", Metric::P99, verdict, share)];
    let folder = results.join(&gate.id);
    write_gate(&folder, &gate).unwrap();
    assert_eq!(read_gate(&folder).unwrap(), Some(gate), "what is written can be read");
}

#[test]
fn gates_are_kept_as_figures_and_as_ratios_to_each_base() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=12 {
        let wobble = (day * 7 % 5) as f64 / 500.0;
        let share = if day >= 7 { 0.2 } else { 0.0 } + wobble;
        gate(folder.path(), day, "pinned", share);
    }
    gate(folder.path(), 13, "another", 0.0);
    let shown = shown(folder.path());
    let series = shown["series"].as_array().unwrap();
    let of = |anchor: &Value| {
        let is = |one: &&Value| one["cell"] == "echo/tokio/10" && one["anchor"] == *anchor;
        series.iter().find(is).unwrap()
    };
    let pinned = of(&"pinned".into());
    assert_eq!(pinned["points"].as_array().unwrap().len(), 12);
    let steps = pinned["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["run"]), (1, &"run-07-one".into()), "{steps:?}");
    assert!((steps[0]["ratio"].as_f64().unwrap() - 1.2).abs() < 0.01);
    assert_eq!(of(&"another".into())["points"].as_array().unwrap().len(), 1);
    assert_eq!(of(&Value::Null)["points"].as_array().unwrap().len(), 13, "the figures of all");
    // A column of ratios is not called by the unit of the figures.
    let csv = text(&history(folder.path(), &["--format", "otava"]).stdout);
    let names: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let of = |begin: &str| names.iter().filter(|name| name.starts_with(begin)).count();
    assert_eq!(of("echo/tokio/10 latency_p99_ns gate"), 1, "{names:?}");
    assert_eq!(of("echo/tokio/10 latency_p99_ratio gate"), 2, "{names:?}");
    assert!(names.iter().any(|name| name.ends_with(" to pinned")), "{names:?}");
}

#[test]
fn pinned_runs_are_a_series_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "echo", 1, "one", 1000.0);
    record(folder.path(), "echo", 2, "one", 500.0);
    let head = folder.path().join("run-02-one/run.json");
    let mut run: Value = serde_json::from_str(&fs::read_to_string(&head).unwrap()).unwrap();
    run["settings"]["pin"] = true.into();
    fs::write(head, run.to_string()).unwrap();
    let shown = shown(folder.path());
    let pinned = |series: &Value| (series["pinned"].as_bool(), series["points"][0]["run"].clone());
    let found: Vec<_> = shown["series"].as_array().unwrap().iter().map(pinned).collect();
    let expected = [(Some(false), "run-01-one".into()), (Some(true), "run-02-one".into())];
    assert_eq!(found, expected, "{shown}");
}

#[test]
fn a_gate_of_a_newer_paceline_is_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    gate(folder.path(), 1, "pinned", 0.0);
    let file = folder.path().join("run-01-one/gate.json");
    let newer = fs::read_to_string(&file).unwrap().replacen("\"schema\": 2", "\"schema\": 99", 1);
    fs::write(&file, newer).unwrap();
    let shown = shown(folder.path());
    let left = shown["left_out"].as_array().unwrap();
    assert!(left.len() == 1 && left[0].as_str().unwrap().contains("99"), "{shown}");
    let has = |cell: &str| shown["series"].as_array().unwrap().iter().any(|s| s["cell"] == cell);
    assert!(!has("echo/tokio/10"), "{shown}");
}

#[test]
fn torn_and_newer_records_are_borne_and_what_is_left_out_is_named() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "echo", 1, "one", 1000.0);
    record(folder.path(), "echo", 2, "one", 1000.0);
    record(folder.path(), "echo", 3, "one", 1000.0);
    let cells = folder.path().join("run-02-one/cells.jsonl");
    let whole = fs::read_to_string(&cells).unwrap();
    fs::write(&cells, format!("{whole}{}", &whole[..40])).unwrap();
    let head = folder.path().join("run-03-one/run.json");
    let newer = fs::read_to_string(&head).unwrap().replace("\"schema\":2", "\"schema\":99");
    fs::write(head, newer).unwrap();
    let shown = shown(folder.path());
    assert_eq!(shown["series"][0]["points"].as_array().unwrap().len(), 2, "{shown}");
    let left = shown["left_out"].as_array().unwrap();
    assert!(left.len() == 1 && left[0].as_str().unwrap().contains("schema 99"), "{left:?}");
    assert!(text(&history(folder.path(), &[]).stderr).contains("run-03-one has schema 99"));
}

#[test]
fn hostile_names_stay_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "a,\"b\"\n\u{1b}[2J", 1, "one", 1000.0);
    let table = text(&history(folder.path(), &[]).stdout);
    assert!(!table.contains('\u{1b}') && table.lines().count() == 3, "{table}");
    let csv = text(&history(folder.path(), &["--format", "otava"]).stdout);
    assert!(csv.starts_with("time,commit,\"a,\"\"b\"\" \\u{1b}[2J/tokio@2/10 "), "{csv}");
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

#[test]
fn an_empty_folder_and_none_have_their_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let empty = history(folder.path(), &[]);
    assert_eq!(empty.status.code(), Some(0));
    assert!(text(&empty.stdout).contains("paceline run"), "{}", text(&empty.stdout));
    let missing = history(&folder.path().join("nowhere"), &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("--out"), "{}", text(&missing.stderr));
}

#[test]
fn two_workloads_of_one_name_are_no_step() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=12 {
        let own = day > 6;
        record(folder.path(), "chat", day, "here", if own { 2000.0 } else { 1000.0 });
        let path = folder.path().join(format!("run-{day:02}-here/run.json"));
        let mut run: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        run["workloads"] =
            json!([{ "name": "chat", "source": if own { "another" } else { "one" } }]);
        fs::write(path, run.to_string()).unwrap();
    }
    let shown = shown(folder.path());
    let series = shown["series"].as_array().unwrap();
    assert_eq!(series.len(), 2, "{shown}");
    assert!(series.iter().all(|of| of["steps"].as_array().unwrap().is_empty()), "{shown}");
}

#[test]
fn pinned_gates_are_series_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    gate(folder.path(), 1, "one", 0.0);
    gate(folder.path(), 2, "one", 0.1);
    let second = folder.path().join("run-02-one");
    let pinned = read_gate(&second).unwrap().unwrap();
    write_gate(&second, &Gate { pinned: true, ..pinned }).unwrap();
    let shown = shown(folder.path());
    let all = shown["series"].as_array().unwrap();
    let of = |pinned: bool| -> Vec<&Value> {
        let is = |one: &&Value| one["instrument"] == "gate" && one["pinned"] == pinned;
        all.iter().filter(is).map(|one| &one["points"]).collect()
    };
    // The figure and the ratio of one gate each.
    for (pinned, run) in [(false, "run-01-one"), (true, "run-02-one")] {
        let points = of(pinned);
        assert_eq!(points.len(), 2, "{shown}");
        for points in points {
            assert_eq!((points.as_array().unwrap().len(), &points[0]["run"]), (1, &run.into()));
        }
    }
}

#[test]
fn loads_of_other_requests_are_no_step_and_those_with_errors_no_figures() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=12 {
        record(folder.path(), "serve", day, "here", if day > 6 { 2000.0 } else { 1000.0 });
        let of = |name: &str| folder.path().join(format!("run-{day:02}-here/{name}"));
        let mut run: Value =
            serde_json::from_str(&fs::read_to_string(of("run.json")).unwrap()).unwrap();
        run["instrument"] = "load".into();
        run["settings"] =
            json!({ "body_hash": if day > 6 { Some("abc") } else { None }, "generators": 1 });
        fs::write(of("run.json"), run.to_string()).unwrap();
        let cells = of("cells.jsonl");
        let mut cell: Value = serde_json::from_str(&fs::read_to_string(&cells).unwrap()).unwrap();
        cell["load"] = json!({
            "loop": "closed", "rate": null, "arrivals": null, "connections": 10, "duration_seconds": 1.0,
            "warm_up_seconds": 0.0, "offered": 9, "completed": 9, "late_starts": 0, "reconnects": 0,
            "errors": if day == 3 { json!({ "status 503": 4 }) } else { json!({}) },
        });
        fs::write(&cells, format!("{cell}\n")).unwrap();
    }
    let shown = shown(folder.path());
    let series = shown["series"].as_array().unwrap();
    let points = |of: &Value| of["points"].as_array().unwrap().len();
    assert_eq!(series.iter().map(points).collect::<Vec<_>>(), [5, 6], "{shown}");
    assert!(series.iter().all(|of| of["steps"].as_array().unwrap().is_empty()), "{shown}");
}

#[test]
fn a_server_has_requests_per_second_unless_it_was_given_their_rate_and_no_time_per_job() {
    let of = |looped: &str, rate: Option<f64>| {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), "serve", 1, "one", 1000.0);
        let cells = folder.path().join("run-01-one/cells.jsonl");
        let mut cell: Value = serde_json::from_str(&fs::read_to_string(&cells).unwrap()).unwrap();
        cell["load"] = json!({
            "loop": looped, "rate": rate, "arrivals": null, "connections": 10, "duration_seconds": 1.0,
            "warm_up_seconds": 0.0, "offered": 9, "completed": 9, "late_starts": 0, "reconnects": 0,
        });
        fs::write(&cells, format!("{cell}\n")).unwrap();
        folder
    };
    let closed = of("closed", None);
    let series = shown(closed.path())["series"].clone();
    assert_eq!(
        (series[0]["metric"].as_str(), &series[1]),
        (Some("requests_per_second"), &Value::Null)
    );
    assert!((series[0]["points"][0]["value"].as_f64().unwrap() - 1e6).abs() < 1.0, "{series}");
    let table = text(&history(closed.path(), &["--metric", "requests"]).stdout);
    assert!(table.contains("1.00M/s") && table.contains("of requests per second more"), "{table}");
    let open = of("open", Some(1e6));
    assert_eq!(shown(open.path())["series"], json!([]));
}
