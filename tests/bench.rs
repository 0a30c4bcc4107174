//! `cargo bench` as its users meet it.

mod program;

use std::{collections::HashSet, fs, path::Path, process::Command, thread, time::Duration};

use paceline::{
    cli::BENCH,
    record::{Cell, Record, State, read},
};
use program::{children, printed, record_in, said, signal};
use rustix::process::Signal;

fn suite(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = program::paceline(folder, [&["--bench"], arguments].concat());
    command
        .env(BENCH, "1")
        .env("PACELINE_RESULTS", folder.join("results"))
        .env("CRITERION_HOME", folder.join("criterion"))
        .envs(variables.iter().copied());
    command
}

fn record(folder: &Path) -> Record {
    read(&record_in(folder)).unwrap()
}

#[test]
fn figures_are_of_fresh_processes_and_criterion_has_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let asked = ["^sleep/(tokio|smol)/(1|100)$", "--sample-size", "12", "--save-baseline", "mine"];
    let quick = [("PACELINE_PROFILE", "quick"), ("PACELINE_SEED", "7")];
    let text = printed(&suite(folder.path(), &asked, &quick).output().unwrap(), 0);
    assert!(text.contains("4 cells: 4 ok") && text.contains("each figure: 6 trials"), "{text}");
    assert!(!text.contains("time:") && text.lines().count() < 80, "{text}");
    assert!(text.starts_with("sleep: jobs per second"), "no line is spent on nothing: {text}");
    let record = record(folder.path());
    assert_eq!((record.run.seed, record.cells.len()), (Some(7), 4));
    let log = fs::read_to_string(record.folder.join("criterion.log")).unwrap();
    assert!(log.contains("sleep/tokio/100") && log.contains("time:"), "{log}");
    for cell in &record.cells {
        let of = cell.batch_ns.unwrap();
        assert!(cell.trials_ns.len() == 6 && of.lower < of.value && of.value < of.upper, "{of:?}");
        assert!(cell.interval.as_ref().unwrap().contains("of 6 "));
        // criterion's samples are halves of the same trials: the trial's figure lies between them.
        let kept =
            folder.path().join(format!("criterion/sleep/{}/{}/mine", cell.model, cell.scale));
        let sample = fs::read_to_string(kept.join("sample.json")).unwrap();
        let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
        let times: Vec<f64> =
            sample["times"].as_array().unwrap().iter().map(|ns| ns.as_f64().unwrap()).collect();
        assert_eq!(times.len(), 12);
        for (pair, figure) in times.chunks(2).zip(&cell.trials_ns) {
            let (least, most) = (pair[0].min(pair[1]) - 1.0, pair[0].max(pair[1]) + 1.0);
            assert!((least..=most).contains(&(*figure as f64)), "{pair:?} {figure}");
        }
    }
    assert!(!text.contains("criterion's report"), "there are no plots in the quick profile");
    let shown = ["^sleep/tokio/1$", "--verbose", "--baseline", "mine"];
    let text = printed(&suite(folder.path(), &shown, &quick).output().unwrap(), 0);
    assert!(text.contains("time:") && text.contains("change:"), "{text}");
    let again = ["^sleep/tokio/1$", "--baseline", "absent"];
    let failed = suite(folder.path(), &again, &quick).output().unwrap();
    printed(&failed, 1);
    assert!(said(&failed).contains("its output is in"));
}

#[test]
fn benchmarks_are_listed_and_nothing_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed(&suite(folder.path(), &["--list", "echo/tokio/"], &[]).output().unwrap(), 0);
    assert!(text.lines().any(|line| line == "echo/tokio/100: benchmark"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("echo/tokio/")), "{text}");
    let help = printed(&suite(folder.path(), &["--help"], &[]).output().unwrap(), 0);
    assert!(help.contains("PACELINE_PROFILE") && help.contains("--sample-size"), "{help}");
    assert!(!folder.path().join("results").exists());
    let refused = suite(folder.path(), &["--quick"], &[]).output().unwrap();
    printed(&refused, 2);
    // As nextest asks, which takes every line for a name.
    for ignored in [&["--list", "--format", "terse", "--ignored"][..], &["--ignored"]] {
        let nothing = suite(folder.path(), ignored, &[]).output().unwrap();
        assert_eq!(printed(&nothing, 0), "", "{ignored:?}");
    }
}

/// The hosts that `parent` has now.
fn hosts(parent: u32) -> Vec<u32> {
    children(parent, "__host")
}

/// Waits until `parent` has had so many hosts.
fn after_hosts(parent: u32, count: usize) {
    let mut seen = HashSet::new();
    while seen.len() < count && Path::new(&format!("/proc/{parent}/fd")).exists() {
        seen.extend(hosts(parent));
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_suites_server_is_started_again_and_no_cell_is_lost() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let quick = [("PACELINE_PROFILE", "quick")];
    let run = suite(folder.path(), &["^echo/(tokio|smol)/1$"], &quick).spawn().unwrap();
    after_hosts(run.id(), 4);
    for server in children(run.id(), "__echo") {
        signal(server, Signal::KILL);
    }
    let text = printed(&run.wait_with_output().unwrap(), 0);
    assert!(text.contains("2 cells: 2 ok"), "{text}");
    let cells = record(folder.path()).cells;
    let whole = |cell: &Cell| cell.trials_ns.len() == 5 && cell.reason.is_none();
    assert!(cells.iter().all(whole), "{cells:?}");
}

#[test]
fn a_hang_is_failed_what_ended_is_kept_and_the_rest_goes_on() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = suite(folder.path(), &["^sleep/(tokio|smol)/1$"], &[]).spawn().unwrap();
    let (mut seen, mut stopped) = (HashSet::new(), false);
    while !stopped && Path::new(&format!("/proc/{}/fd", run.id())).exists() {
        let Some(host) = hosts(run.id()).into_iter().find(|host| !seen.contains(host)) else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        seen.insert(host);
        // Each of the two cells has trials by now.
        if seen.len() > 6 {
            signal(host, Signal::STOP);
            // One that was about to end had nothing more to do.
            thread::sleep(Duration::from_millis(200));
            stopped = hosts(run.id()).contains(&host);
        }
    }
    assert!(stopped, "none of {} hosts was caught", seen.len());
    let text = printed(&run.wait_with_output().unwrap(), 3);
    assert!(text.contains("2 cells: 1 ok, 1 failed"), "{text}");
    assert!(text.contains("criterion's report"), "{text}");
    assert!(folder.path().join("criterion/report/index.html").exists());
    let cells = record(folder.path()).cells;
    let of = |state| -> &Cell { cells.iter().find(|cell| cell.state == state).unwrap() };
    assert_eq!(of(State::Ok).trials_ns.len(), 10);
    let failed = of(State::Failed);
    assert!(failed.reason.as_ref().unwrap().contains("gave no answer within "), "{failed:?}");
    assert!(!failed.trials_ns.is_empty() && failed.batch_ns.is_none(), "{failed:?}");
}

#[test]
fn a_budget_that_is_too_short_leaves_cells_out_and_says_so_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let short = [("PACELINE_BUDGET", "2s"), ("PACELINE_MODELS", "sequential")];
    let text = printed(&suite(folder.path(), &["^sleep/"], &short).output().unwrap(), 0);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("PACELINE_BUDGET=")).collect();
    assert!(lines.len() == 1 && lines[0].contains("skipped (sequential; at "), "{text}");
    let cells = record(folder.path()).cells;
    let skipped = cells.iter().filter(|cell| cell.state == State::Skipped);
    assert!(skipped.clone().count() >= 4, "{cells:?}");
    assert!(skipped.clone().all(|cell| cell.reason.as_ref().unwrap().contains("processes")));
    let predicted = cells.iter().filter(|cell| cell.predicted_ns > Some(0)).count();
    assert_eq!(predicted, skipped.count(), "{cells:?}");
}

#[test]
fn a_suite_that_is_killed_keeps_the_trials_that_had_ended() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut run = suite(folder.path(), &["^sleep/(tokio|smol)/10$"], &[]).spawn().unwrap();
    // Eight processes have ended then: three or more of one of the two cells, and fewer than ten of both.
    after_hosts(run.id(), 9);
    run.kill().unwrap();
    run.wait().unwrap();
    let killed = record(folder.path());
    assert!((8..20).contains(&killed.trials.len()), "{} trials", killed.trials.len());
    assert!(killed.cells.is_empty(), "{:?}", killed.cells);
    let report = || program::run(folder.path(), ["report", "--format", "json"]);
    let shown = report();
    let why = said(&shown);
    let kept = format!("{} trials of 2 cells that had not ended are kept", killed.trials.len());
    assert!(shown.status.success() && why.contains(&kept), "{why}");
    let completed = record(folder.path());
    let trials: usize = completed.cells.iter().map(|cell| cell.trials_ns.len()).sum();
    assert_eq!((completed.cells.len(), trials), (2, killed.trials.len()));
    for cell in &completed.cells {
        // Sleeps that ended late are known from the first trial alone.
        assert!(cell.timer_lateness.as_ref().unwrap().ns_p50 > 0, "{cell:?}");
        match cell.trials_ns.len() {
            3.. => assert!(cell.state == State::Ok && cell.batch_ns.is_some(), "{cell:?}"),
            _ => assert!(cell.reason.as_ref().unwrap().ends_with("cargo bench was killed")),
        }
    }
    assert!(completed.cells.iter().any(|cell| cell.state == State::Ok), "{completed:?}");
    // It is complete now, and nothing is added to it again.
    assert!(!said(&report()).contains("killed"));
    assert_eq!(record(folder.path()).cells, completed.cells);
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = suite(folder.path(), &["^sleep/(tokio|smol)/10$"], &[]).spawn().unwrap();
    // Eight processes have ended then: at least three of one of the two cells.
    after_hosts(run.id(), 9);
    signal(run.id(), Signal::INT);
    printed(&run.wait_with_output().unwrap(), 130);
    let record = record(folder.path());
    assert_eq!(record.run.planned, Some(2), "a cell that has not begun would be missed");
    let cells = record.cells;
    let kept = cells.iter().filter(|cell| cell.state == State::Ok);
    assert!(kept.clone().count() >= 1, "{cells:?}");
    assert!(kept.clone().all(|cell| (3..10).contains(&cell.trials_ns.len())), "{cells:?}");
}

#[test]
fn how_late_sleeps_end_is_recorded_once_for_each_sleep_of_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let full = [("PACELINE_PROFILE", "full")];
    printed(&suite(folder.path(), &["^(stall|yield)/tokio/100$"], &full).output().unwrap(), 0);
    let cells = record(folder.path()).cells;
    let late = |workload: &str| {
        let cell = cells.iter().find(|cell| cell.workload == workload).unwrap();
        assert!(cell.state == State::Ok && cell.trials_ns.len() > 1, "{cell:?}");
        cell.timer_lateness.as_ref().map(|late| late.count)
    };
    // Of 100 jobs, most sleep twice and some once. The jobs themselves would be 100, and each trial would be more.
    assert!(late("stall").is_some_and(|count| (150..200).contains(&count)), "{cells:?}");
    assert_eq!(late("yield"), None);
}

#[test]
fn the_bench_target_starts_the_program_by_the_same_variable() {
    let launcher =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/suite.rs")).unwrap();
    assert!(launcher.contains(&format!(".env({BENCH:?}, \"1\")")), "{launcher}");
}
