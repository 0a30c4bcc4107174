//! The command line as its users meet it, with wrong input too: one sentence, the right exit code, no panic.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn paceline(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(arguments)
        .current_dir(folder)
        .env("PACELINE_ALLOW_DEBUG", "1")
        .output()
        .unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `arguments`, which are wrong, and returns the sentence.
fn wrong(arguments: &[&str], code: i32) -> String {
    let folder = folder();
    wrong_in(arguments, code, folder.path())
}

fn wrong_in(arguments: &[&str], code: i32, folder: &Path) -> String {
    let output = paceline(arguments, folder);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
    said
}

fn cells(arguments: &[&str], folder: &Path) -> (Option<i32>, Vec<Value>) {
    let output = paceline(arguments, folder);
    let cells: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr))
    });
    (output.status.code(), cells)
}

#[test]
fn models_lists_all_with_versions_and_availability() {
    let output = paceline(&["models", "--format", "json"], folder().path());
    let models: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = models.iter().map(|m| m["name"].as_str().unwrap()).collect();
    for name in [
        "sequential",
        "threads",
        "pool",
        "rayon",
        "tokio",
        "tokio-current-thread",
        "tokio-per-core",
    ] {
        assert!(names.contains(&name));
    }
    for name in ["tokio+rayon", "smol", "async-std", "may"] {
        assert!(names.contains(&name));
    }
    for model in &models {
        for key in ["name", "family", "version", "tag", "available", "reason"] {
            assert!(model.get(key).is_some(), "{model} lacks {key}");
        }
        assert_eq!(model["available"].as_bool().unwrap(), model["reason"].is_null());
    }
    let of = |name: &str| models.iter().find(|model| model["name"] == name).unwrap();
    assert!(of("may")["unreliable"].as_str().unwrap().contains("os error 115"));
    assert!(of("tokio")["unreliable"].is_null());
    let table = text(&paceline(&["models"], folder().path()).stdout);
    assert!(table.contains("unreliable"), "{table}");
    assert!(table.contains("tokio-current-thread") && table.contains("historical"), "{table}");
    assert_eq!(of("tokio")["features"], serde_json::json!(["default", "full"]));
    assert!(table.contains("full"), "{table}");
}

#[test]
fn workloads_lists_all_with_what_they_show() {
    let output = paceline(&["workloads", "--format", "json"], folder().path());
    let workloads: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(workloads.len() >= 10);
    assert!(workloads.iter().all(|w| w["about"].as_str().unwrap().ends_with('.')));
    assert_eq!(paceline(&["workloads"], folder().path()).status.code(), Some(0));
}

#[test]
fn a_run_gives_checked_cells_and_leaves_a_record_that_can_be_read() {
    let folder = folder();
    let (code, cells) = cells(
        &[
            "run",
            "sleep",
            "--model",
            "tokio,smol",
            "--scale",
            "1,1_0",
            "--trials",
            "2",
            "--format",
            "json",
        ],
        folder.path(),
    );
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
    let runs: Vec<_> = fs::read_dir(folder.path().join("results")).unwrap().collect();
    let record = runs[0].as_ref().unwrap().path();
    let paceline::record::Record { run, cells: recorded, .. } =
        paceline::record::read(&record).unwrap();
    assert_eq!((run.schema, recorded.len()), (paceline::record::SCHEMA, 4));
    assert_eq!((run.models.len(), run.seed), (2, Some(1)));
    assert!(run.build.dependencies.contains_key("tokio"));

    // A line that a crash tore is left out; a newer schema is not guessed at.
    let path = record.join("cells.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    assert_eq!(paceline::record::read(&record).unwrap().cells.len(), 3);
    let head = fs::read_to_string(record.join("run.json")).unwrap();
    fs::write(record.join("run.json"), head.replace("\"schema\": 2", "\"schema\": 99")).unwrap();
    assert!(paceline::record::read(&record).unwrap_err().contains("use a newer paceline"));
}

#[test]
fn a_users_own_file_is_run() {
    let folder = folder();
    fs::write(
        folder.path().join("mine.toml"),
        "name = \"mine\"\nscale = [3]\njob = [{ connect = \"echo\" }, { exchange = { bytes = \"1KiB\", times = 2 } }]",
    )
    .unwrap();
    let (code, cells) = cells(
        &["run", "mine.toml", "--model", "threads,may", "--trials", "1", "--format", "json"],
        folder.path(),
    );
    assert_eq!(code, Some(0), "{cells:?}");
    assert!(cells.iter().all(|cell| cell["state"] == "ok" && cell["server_cpu_ns_per_job"].as_f64() > Some(0.0)));
    assert!(cells.iter().all(|cell| cell["server_busy_share_max"].as_f64() > Some(0.0)));
}

#[test]
fn what_a_model_cannot_do_is_refused_with_the_reason() {
    let folder = folder();
    let (code, cells) = cells(
        &[
            "run",
            "switch",
            "fanout",
            "--model",
            "pool,rayon",
            "--scale",
            "2",
            "--trials",
            "1",
            "--format",
            "json",
        ],
        folder.path(),
    );
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
    let (code, cells) = self::cells(
        &[
            "run",
            "park",
            "--model",
            "pool,threads,may",
            "--scale",
            "40",
            "--trials",
            "1",
            "--budget",
            "5m",
            "--format",
            "json",
        ],
        folder.path(),
    );
    assert_eq!(code, Some(0), "{cells:?}");
    let of = |model: &str| cells.iter().find(|cell| cell["model"] == model).unwrap();
    assert_eq!(of("pool")["state"], "refused");
    assert!(of("pool")["reason"].as_str().unwrap().contains("park needs all jobs at once"));
    assert_eq!(of("may")["state"], "refused");
    assert_eq!(of("threads")["attest"]["peak_in_flight"], 40);
    let (code, cells) = self::cells(
        &["run", "chat", "--model", "may", "--scale", "10", "--trials", "1", "--format", "json"],
        folder.path(),
    );
    assert_eq!((code, &cells[0]["state"]), (Some(0), &Value::from("refused")));
    assert!(cells[0]["reason"].as_str().unwrap().contains("hang in rooms"), "{cells:?}");
}

#[test]
fn what_cannot_end_within_the_budget_is_skipped_with_the_prediction() {
    let folder = folder();
    let (code, cells) = cells(
        &[
            "run",
            "sleep",
            "--model",
            "sequential",
            "--scale",
            "1_000_000",
            "--budget",
            "10s",
            "--format",
            "json",
        ],
        folder.path(),
    );
    assert_eq!((code, &cells[0]["state"]), (Some(0), &Value::from("skipped")));
    let why = cells[0]["reason"].as_str().unwrap();
    assert!(why.contains("at least") && why.contains("10.0 s"), "{why}");
}

#[test]
fn a_limit_of_64_descriptors_refuses_what_needs_more_and_runs_the_rest() {
    let folder = folder();
    let script = format!(
        "ulimit -n 64; exec {} run echo --model tokio --scale 5,500 --trials 1 --format json",
        env!("CARGO_BIN_EXE_paceline")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("PACELINE_ALLOW_DEBUG", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let cells: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(cells[0]["state"], "ok", "{}", cells[0]);
    assert_eq!(cells[1]["state"], "refused");
    assert!(cells[1]["reason"].as_str().unwrap().contains("needs 540 open files, has 64"));
}

#[test]
fn wrong_words_get_one_sentence_and_exit_code_2() {
    assert!(wrong(&["run", "sleeep"], 2).contains("did you mean `sleep`?"));
    assert!(wrong(&["run", "sleep", "--model", "tokyo"], 2).contains("did you mean `tokio`?"));
    assert!(wrong(&["run", "missing.toml"], 2).contains("there is no file missing.toml"));
    assert!(wrong(&["run", "sleep", "--workers", "0"], 2).contains("workers must be at least 1"));
    assert!(wrong(&["run", "sleep", "--scale", "-1"], 2).contains("scale"));
    assert!(
        wrong(&["run", "sleep", "--scale", "99999999999999999999"], 2).contains("at most 10000000")
    );
    assert!(wrong(&["run", "sleep", "--budget", "soon"], 2).contains("90s"));
    assert!(
        wrong(&["run", "sleep", "--trials", "0"], 2)
            .contains("the number of trials must be at least 1")
    );
    assert!(wrong(&["walk"], 2).contains("walk"));
    let two = wrong(&["run", "sleep", "--model", "tokio-current-thread", "--workers", "2"], 2);
    assert!(two.contains("has one worker"));
    let dealt = wrong(&["run", "sleep", "--model", "tokio", "--placement", "dealt"], 2);
    assert!(dealt.contains("only inside or outside"));
}

#[test]
fn a_broken_file_is_pointed_at_by_line_and_column() {
    let folder = folder();
    let says = |text: &str, expected: &str| {
        fs::write(folder.path().join("w.toml"), text).unwrap();
        let said = wrong_in(&["run", "w.toml"], 2, folder.path());
        assert!(said.contains(expected), "{said} lacks {expected}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    };
    says(
        "name = \"w\"\njob = [{ slep = \"1ms\" }]",
        "w.toml:2:10: unknown step `slep`: did you mean `sleep`?",
    );
    says(
        "name = \"w\"\njob = [{ compute = -5 }]",
        "w.toml:2:20: the rounds of a compute step must be at least 0",
    );
    says(
        "name = \"w\"\njob = [{ compute = 99999999999999999999 }]",
        "must be at most 100000000000",
    );
    says("name = \"w\"\njob = [{ sleep = 10 }]", "a duration such as \"10ms\", not the number 10");
    says("name = \"w\"\njob = [{ sleep = \"1h\" }]", "sleep must be at most 1m");
    says(
        "name = \"w\"\njob = [{ exchange = { bytes = 100, times = 1 } }]",
        "put { connect = \"echo\" } before it",
    );
    says("name = \"w\"\njob = [{ connect = \"ech\" }]", "the suite has \"echo\"");
    says(
        "name = \"w\"\njob = [{ offload = [{ sleep = \"1ms\" }] }]",
        "offload takes block and compute steps",
    );
    says(
        "name = \"w\"\njob = [{ gather = { width = 0, of = [] } }]",
        "width of a gather must be at least 1",
    );
    says(
        "name = \"w\"\njob = [{ sleep = \"1ms\", compute = 2 }]",
        "exactly one key, this one has 2",
    );
    says("name = \"w\"\nscale = [10, 1]\njob = []", "w.toml:2:9: scale lists");
    says("name = \"w\"\nworkers = [0]\njob = []", "workers must be at least 1, not 0");
    says("name = \"../w\"\njob = []", "a name has 1 to 64");
    says("name = \"w\"\njobs = []", "unknown key `jobs`: did you mean `job`?");
    says("name = \"w\"", "needs the key `job`");
    says("name = \"w\"\njob = [", "not TOML");
    says(
        "name = \"w\"\njob = [{ gather = { width = 1000, of = [{ gather = { width = 1000, of = [] } }] } }]",
        "at most 100000 tasks alive at once",
    );
    let deep = format!(
        "name = \"w\"\njob = {}{}",
        "[{ gather = { width = 1, of = ".repeat(9),
        "[]".to_owned() + &" } }]".repeat(9)
    );
    says(&deep, "steps nest at most 8 deep");
    let deeper = format!("name = \"w\"\njob = {}", "[".repeat(100_000));
    says(&deeper, "w.toml:");
}

#[test]
fn a_group_or_a_room_that_cannot_be_is_pointed_at() {
    let folder = folder();
    let says = |text: &str, expected: &str| {
        fs::write(folder.path().join("w.toml"), text).unwrap();
        let said = wrong_in(&["run", "w.toml"], 2, folder.path());
        assert!(said.contains("w.toml:2:") && said.contains(expected), "{said} lacks {expected}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    };
    let job = |steps: &str| format!("name = \"w\"\njob = [{steps}]");
    says(&job("{ fail = \"error\" }"), "fail stands in the list of a group's children");
    says(
        &job(
            "{ group = { width = 1, of = [{ gather = { width = 1, of = [{ fail = \"error\" }] } }], on_failure = \"wait\" } }",
        ),
        "fail stands in the list of a group's children",
    );
    for starts in [
        "{ gather = { width = 1, of = [] } }",
        "{ group = { width = 1, of = [] } }",
        "{ offload = [] }",
        "{ hop = 1 }",
    ] {
        says(
            &job(&format!("{{ group = {{ width = 1, of = [{starts}] }} }}")),
            "may outlive a group that cancels",
        );
    }
    says(
        &job(
            "{ group = { width = 90_000, of = [{ compute = 100_000_000_000 }], every = { nth = 2, job = [{ fail = \"error\" }] } } }",
        ),
        "at most 1000000000000 rounds of compute",
    );
    says(&job("{ group = { width = 1, of = [{ fail = \"panic\" }] } }"), "not \"panic\"");
    says(
        &job("{ group = { width = 1, of = [{ fail = \"error\" }, { yield = 1 }] } }"),
        "nothing comes after fail",
    );
    says(
        &job("{ group = { width = 1, of = [], on_failure = \"stop\" } }"),
        "on_failure is \"cancel\" or \"wait\", not \"stop\"",
    );
    says(&job("{ group = { width = 0, of = [] } }"), "the width of a group must be at least 1");
    says(
        &job("{ gather = { width = 1, of = [], join = \"thread\" } }"),
        "join is \"tasks\" or \"future\", not \"thread\"",
    );
    says(&job("{ connect = { slow = \"2m\" } }"), "slow must be at most 1m");
    says(&job("{ connect = { slo = \"2ms\" } }"), "did you mean `slow`?");
    says(&job("{ hear = { bytes = 8, times = 1 } }"), "put { connect = \"room\" } before it");
    says(
        &job("{ connect = \"room\" }, { exchange = { bytes = 8, times = 1 } }"),
        "put { connect = \"echo\" } before it",
    );
    says(
        &job("{ gather = { width = 2, of = [{ connect = \"room\" }] } }"),
        "a room is of all jobs",
    );
    says(&job("{ park = \"some\" }"), "park waits for \"all\"");
    says(&job("{ sleep = \"1ms\" }, { park = \"all\" }"), "first step of the job itself");
    says(
        &job("{ gather = { width = 2, of = [{ park = \"all\" }] } }"),
        "first step of the job itself",
    );
    let parks = job("{ park = \"all\" }");
    says(&format!("{parks}\nevery = {{ nth = 2, job = [] }}"), "or in neither");
    let hears = job("{ connect = \"room\" }, { hear = { bytes = 8, times = 2 } }");
    says(&hears, "a room needs a speaker");
    let says_less = "{ connect = \"room\" }, { say = { bytes = 8, times = 1 } }";
    says(
        &format!("{hears}\nevery = {{ nth = 1000, job = [{says_less}] }}"),
        "the same messages in the same order",
    );
    says(
        &format!("{hears}\nevery = {{ nth = 1000, job = [{{ yield = 1 }}] }}"),
        "all jobs are members of the room",
    );
}

#[test]
fn an_unwritable_folder_for_records_is_said_before_anything_is_measured() {
    let folder = folder();
    fs::write(folder.path().join("results"), "a file, no folder").unwrap();
    let said = wrong_in(&["run", "sleep", "--model", "tokio"], 1, folder.path());
    assert!(
        said.contains("cannot write the record to results")
            && said.contains("choose another place")
    );
}

#[test]
fn a_full_disk_is_said() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .arg("workloads")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write to standard output"));
}

#[test]
fn a_debug_build_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_paceline")).args(["run", "sleep"]).output().unwrap();
    if cfg!(debug_assertions) {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("debug build"));
    }
}

#[test]
fn no_process_is_left_behind_when_the_parent_is_killed() {
    let folder = folder();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(["run", "sleep", "--model", "sequential", "--scale", "500", "--trials", "3"])
        .current_dir(folder.path())
        .env("PACELINE_ALLOW_DEBUG", "1")
        .spawn()
        .unwrap();
    let id = parent.id();
    let children = || -> Vec<u32> {
        let list = format!("/proc/{id}/task/{id}/children");
        let list = fs::read_to_string(list).unwrap_or_default();
        list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    // The echo server and a host in the middle of a trial of five seconds.
    let mut seen = Vec::new();
    while cfg!(target_os = "linux") && seen.len() < 2 && parent.try_wait().unwrap().is_none() {
        seen = children();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    if cfg!(target_os = "linux") {
        assert!(seen.len() >= 2, "the run started no children");
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let alive = |id: &u32| Path::new(&format!("/proc/{id}/task")).exists();
    for _ in 0..6_000 {
        if !seen.iter().any(alive) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("still alive: {seen:?}");
}

#[test]
fn a_slow_cell_does_not_use_up_the_budget_of_the_others() {
    let folder = folder();
    let file = folder.path().join("doze.toml");
    fs::write(&file, "name = \"doze\"\nscale = [1, 40]\njob = [{ sleep = \"200ms\" }]\n").unwrap();
    let models = "sequential,tokio,tokio-current-thread,smol,async-std";
    let (code, cells) = cells(
        &[
            "run",
            file.to_str().unwrap(),
            "--model",
            models,
            "--trials",
            "1",
            "--budget",
            "30s",
            "--format",
            "json",
        ],
        folder.path(),
    );
    // 40 sleeps one after another, three times, would fit into the budget, but not into a share of it.
    assert_eq!((code, cells.len()), (Some(0), 10));
    let left_out: Vec<_> = cells.iter().filter(|cell| cell["state"] != "ok").collect();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert_eq!((&left_out[0]["model"], &left_out[0]["scale"]), (&"sequential".into(), &40.into()));
    // A tenth of 30 s, less what has gone by.
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(reason.contains("more than 4 times its share of the budget, 2."), "{reason}");
}

#[test]
fn a_table_says_where_fewer_trials_ran_than_were_asked_for() {
    let folder = folder();
    let file = folder.path().join("doze.toml");
    fs::write(&file, "name = \"doze\"\nscale = [1]\njob = [{ sleep = \"10ms\" }]\n").unwrap();
    let arguments = ["run", "doze.toml", "--model", "threads", "--trials", "60", "--budget", "5s"];
    let table = text(&paceline(&arguments, folder.path()).stdout);
    let cut_short = |line: &str| {
        line.starts_with("fewer trials than asked for: threads at 1 (")
            && line.ends_with(" of 60 trials ran before the budget was used up)")
    };
    assert!(table.lines().any(cut_short), "{table}");
}
