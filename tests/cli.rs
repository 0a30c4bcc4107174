//! The command line as its users meet it, with wrong input too: one sentence, the right exit code, no panic.

mod program;

#[path = "cli/workload_files.rs"]
mod workload_files;

use std::{fs, path::Path, process::Command};

use program::{
    PACELINE, await_that, call, children, error, folder, json, paceline, record_in, run, text,
};
use serde_json::Value;

/// Runs `paceline run` and returns its exit code and its cells.
fn cells(arguments: &str, folder: &Path) -> (Option<i32>, Vec<Value>) {
    let arguments = format!("run {arguments} --format json");
    let output = run(folder, arguments.split_whitespace());
    (output.status.code(), json(&output))
}

#[test]
fn models_lists_all_with_versions_and_availability() {
    let output = run(folder().path(), ["models", "--format", "json"]);
    let models: Vec<Value> = json(&output);
    let names: Vec<&str> = models.iter().map(|m| m["name"].as_str().unwrap()).collect();
    let all = "sequential threads pool rayon tokio tokio-current-thread tokio-per-core tokio+rayon smol async-std may";
    assert!(all.split(' ').all(|name| names.contains(&name)), "{names:?}");
    for model in &models {
        for key in ["name", "family", "version", "tag", "available", "reason"] {
            assert!(model.get(key).is_some(), "{model} lacks {key}");
        }
        assert_eq!(model["available"].as_bool().unwrap(), model["reason"].is_null());
    }
    let of = |name: &str| models.iter().find(|model| model["name"] == name).unwrap();
    assert!(of("may")["unreliable"].as_str().unwrap().contains("os error 115"));
    assert!(of("tokio")["unreliable"].is_null());
    let table = text(&run(folder().path(), ["models"]).stdout);
    assert!(table.contains("unreliable"), "{table}");
    assert!(table.contains("tokio-current-thread") && table.contains("historical"), "{table}");
    assert_eq!(of("tokio")["features"], serde_json::json!(["default", "full"]));
    assert!(table.contains("full"), "{table}");
}

#[test]
fn workloads_lists_all_with_what_they_show() {
    let output = run(folder().path(), ["workloads", "--format", "json"]);
    let workloads: Vec<Value> = json(&output);
    assert!(workloads.len() >= 10);
    assert!(workloads.iter().all(|w| w["about"].as_str().unwrap().ends_with('.')));
    assert_eq!(run(folder().path(), ["workloads"]).status.code(), Some(0));
}

#[test]
fn a_run_gives_checked_cells_and_leaves_a_record_that_can_be_read() {
    let folder = folder();
    let (code, cells) = cells("sleep --model tokio,smol --scale 1,1_0 --trials 2", folder.path());
    assert_eq!((code, cells.len()), (Some(0), 4));
    for cell in &cells {
        assert_eq!(cell["state"], "ok", "{cell}");
        assert!(cell["reason"].is_null());
        let (rate, bound) = (&cell["jobs_per_second"]["value"], &cell["bound_jobs_per_second"]);
        assert!(rate.as_f64().unwrap() <= bound.as_f64().unwrap(), "faster than possible: {cell}");
        assert_eq!(cell["attest"]["peak_in_flight"], cell["scale"]);
        // A sleep of tokio or smol, and the state around it.
        let future = cell["attest"]["future_bytes"].as_u64().unwrap();
        assert!((24..=512).contains(&future), "{cell}");
    }
    let record = record_in(folder.path());
    let paceline::record::Record { run, cells: recorded, .. } =
        paceline::record::read(&record).unwrap();
    assert_eq!((run.schema, recorded.len()), (paceline::record::SCHEMA, 4));
    assert_eq!((run.models.len(), run.seed), (2, Some(1)));
    assert!(run.build.dependencies.contains_key("tokio"));
}

#[test]
fn a_users_own_file_is_run() {
    let folder = folder();
    fs::write(
        folder.path().join("mine.toml"),
        "name = \"mine\"\nscale = [3]\njob = [{ connect = \"echo\" }, { exchange = { bytes = \"1KiB\", times = 2 } }]",
    )
    .unwrap();
    let (code, cells) = cells("mine.toml --model threads,may --trials 1", folder.path());
    assert_eq!((code, cells.len()), (Some(0), 2), "{cells:?}");
    assert!(cells.iter().all(|cell| cell["state"] == "ok" && cell["server_cpu_ns_per_job"].as_f64() > Some(0.0)));
    assert!(cells.iter().all(|cell| cell["server_busy_share_max"].as_f64() > Some(0.0)));
}

#[test]
fn a_suites_server_that_does_not_start_is_an_error_with_the_reason_and_the_cure() {
    let folder = folder();
    // Too few files for the server's two dozen addresses.
    let script = format!("ulimit -n 16; exec {PACELINE} run yield --model sequential --trials 1");
    let said = error(&call("sh", folder.path(), ["-c", &script]).output().unwrap(), 1);
    let start = "error: paceline's server did not start: ";
    assert!(said.starts_with(start) && said.contains("--nofile=65536"), "{said}");
}

#[test]
fn what_a_model_cannot_do_is_refused_with_the_reason() {
    let folder = folder();
    let (code, cells) =
        cells("switch fanout --model pool,rayon --scale 2 --trials 1", folder.path());
    assert_eq!((code, cells.len()), (Some(0), 4));
    let state = |workload: &str, model: &str| {
        cells.iter().find(|c| c["workload"] == workload && c["model"] == model).unwrap()["state"]
            .clone()
    };
    assert_eq!(state("switch", "pool"), "refused");
    assert_eq!(state("fanout", "pool"), "refused");
    assert_eq!(state("switch", "rayon"), "refused");
    assert_eq!(state("fanout", "rayon"), "ok");
    assert!(cells.iter().any(|c| c["reason"].as_str().is_some_and(|why| why.contains("deadlock"))));
    // As it is written in a workload file.
    let (_, cells) = self::cells("join-future --model threads --scale 2 --trials 1", folder.path());
    let why = cells[0]["reason"].as_str().unwrap();
    assert!(why.contains("does not support `gather = { join = \"future\" }`"), "{why}");
    let park = "park --model pool,threads,may --scale 40 --trials 1 --budget 5m";
    let (code, cells) = self::cells(park, folder.path());
    assert_eq!(code, Some(0), "{cells:?}");
    let of = |model: &str| cells.iter().find(|cell| cell["model"] == model).unwrap();
    assert_eq!(of("pool")["state"], "refused");
    assert!(of("pool")["reason"].as_str().unwrap().contains("park needs all jobs at once"));
    assert_eq!(of("may")["state"], "refused");
    assert_eq!(of("threads")["attest"]["peak_in_flight"], 40);
    let (code, cells) = self::cells("chat --model may --scale 10 --trials 1", folder.path());
    assert_eq!((code, &cells[0]["state"]), (Some(0), &Value::from("refused")));
    assert!(cells[0]["reason"].as_str().unwrap().contains("hang in rooms"), "{cells:?}");
}

#[test]
fn what_cannot_end_within_the_budget_is_skipped_with_the_prediction() {
    let folder = folder();
    let long = "sleep --model sequential --scale 1_000_000 --budget 10s";
    let (code, cells) = cells(long, folder.path());
    assert_eq!((code, &cells[0]["state"]), (Some(0), &Value::from("skipped")));
    let why = cells[0]["reason"].as_str().unwrap();
    assert!(why.contains("at least") && why.contains("10.0 s"), "{why}");
}

#[test]
fn a_limit_of_64_descriptors_refuses_what_needs_more_and_runs_the_rest() {
    let folder = folder();
    let echo = "run echo --model tokio --scale 5,500 --trials 1 --format json";
    let script = format!("ulimit -n 64; exec {PACELINE} {echo}");
    let output = call("bash", folder.path(), ["-c", &script]).output().unwrap();
    let cells: Vec<Value> = json(&output);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(cells[0]["state"], "ok", "{}", cells[0]);
    assert_eq!(cells[1]["state"], "refused");
    assert!(cells[1]["reason"].as_str().unwrap().contains("needs 540 open files, has 64"));
}

#[test]
fn a_full_disk_is_said() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    for typed in ["workloads", "--help", "--version"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(PACELINE).arg(typed).stdout(full).output().unwrap();
        assert!(error(&output, 1).contains("cannot write to standard output"), "{typed}");
    }
}

#[test]
fn a_debug_build_is_refused() {
    let output = Command::new(PACELINE).args(["run", "sleep"]).output().unwrap();
    if cfg!(debug_assertions) {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("debug build"));
    }
}

#[test]
fn no_process_is_left_behind_when_the_parent_is_killed() {
    let folder = folder();
    let long = ["run", "sleep", "--model", "sequential", "--scale", "500", "--trials", "3"];
    let mut parent = paceline(folder.path(), long).spawn().unwrap();
    // The echo server and a host in the middle of a trial of five seconds.
    let mut seen = Vec::new();
    while cfg!(target_os = "linux") && seen.len() < 2 && parent.try_wait().unwrap().is_none() {
        seen = children(parent.id(), "__");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    if cfg!(target_os = "linux") {
        assert!(seen.len() >= 2, "the run started no children");
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let alive = |id: &u32| Path::new(&format!("/proc/{id}/task")).exists();
    await_that("all children end", || !seen.iter().any(alive));
}

#[test]
fn a_slow_cell_does_not_use_up_the_budget_of_the_others() {
    let folder = folder();
    let file = folder.path().join("doze.toml");
    fs::write(&file, "name = \"doze\"\nscale = [1, 40]\njob = [{ sleep = \"200ms\" }]\n").unwrap();
    let models = "sequential,tokio,tokio-current-thread,smol,async-std";
    let short = format!("doze.toml --model {models} --trials 1 --budget 30s");
    let (code, cells) = cells(&short, folder.path());
    // 40 sleeps one after another, three times, would fit into the budget, but not into a share of it.
    assert_eq!((code, cells.len()), (Some(0), 10));
    let left_out: Vec<_> = cells.iter().filter(|cell| cell["state"] != "ok").collect();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert_eq!((&left_out[0]["model"], &left_out[0]["scale"]), (&"sequential".into(), &40.into()));
    // A tenth of 30 s, less what has gone by.
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(reason.contains("more than 4 times its share of the budget, 2."), "{reason}");
    // 40 sleeps take 8 s; what was measured has no prediction.
    let predicted: Vec<_> = cells.iter().filter_map(|cell| cell["predicted_ns"].as_u64()).collect();
    assert!(predicted.len() == 1 && predicted[0] > 8_000_000_000, "{predicted:?}");
}

#[test]
fn a_cell_that_turns_out_slow_leaves_its_budget_to_the_others() {
    let folder = folder();
    // That a hop takes time is not predicted: seconds here, and a fraction of one in the other cells.
    let slow = "name = \"slow\"\nscale = [1]\njob = [{ hop = 100_000 }]\n";
    let quick = "name = \"quick\"\nscale = [1, 2, 3, 4, 5, 6, 7, 8, 9]\njob = [{ compute = 1 }]\n";
    fs::write(folder.path().join("slow.toml"), slow).unwrap();
    fs::write(folder.path().join("quick.toml"), quick).unwrap();
    let (code, cells) =
        cells("slow.toml quick.toml --model threads --trials 8 --budget 25s", folder.path());
    assert_eq!((code, cells.len()), (Some(0), 10));
    let reason = cells[0]["reason"].as_str().unwrap();
    assert!(reason.contains(" of 8 trials ran, and the others take at least "), "{reason}");
    let left_out = |cell: &&Value| cell["reason"].as_str().is_some_and(|why| why.contains("share"));
    assert_eq!(cells.iter().filter(left_out).count(), 1, "{cells:?}");
}

#[test]
fn a_table_says_where_fewer_trials_ran_than_were_asked_for() {
    let folder = folder();
    let file = folder.path().join("doze.toml");
    fs::write(&file, "name = \"doze\"\nscale = [1]\njob = [{ sleep = \"10ms\" }]\n").unwrap();
    let arguments = ["run", "doze.toml", "--model", "threads", "--trials", "60", "--budget", "5s"];
    let table = text(&run(folder.path(), arguments).stdout);
    let cut_short = |line: &str| {
        line.starts_with("fewer trials than requested: threads at 1 (")
            && line.ends_with(" of 60 trials ran before the budget was used up)")
    };
    assert!(table.lines().any(cut_short), "{table}");
}
