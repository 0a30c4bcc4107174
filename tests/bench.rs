//! `cargo bench` as its users meet it. This program is the suite, too: it starts itself as that.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    env, fs,
    path::Path,
    process::{Command, ExitCode, Output, Stdio},
    thread,
    time::Duration,
};

use paceline::record::{Cell, Record, State, read};

/// Set where this program is the suite.
const SUITE: &str = "PACELINE_TEST_IS_SUITE";

type Test = (&'static str, fn());

const TESTS: [Test; 6] = [
    (
        "figures_are_of_fresh_processes_and_criterion_has_the_same",
        figures_are_of_fresh_processes_and_criterion_has_the_same,
    ),
    (
        "benchmarks_are_listed_and_nothing_is_measured",
        benchmarks_are_listed_and_nothing_is_measured,
    ),
    (
        "a_hang_is_failed_what_ended_is_kept_and_the_rest_goes_on",
        a_hang_is_failed_what_ended_is_kept_and_the_rest_goes_on,
    ),
    ("ctrl_c_keeps_what_was_measured", ctrl_c_keeps_what_was_measured),
    (
        "the_suites_server_is_started_again_and_no_cell_is_lost",
        the_suites_server_is_started_again_and_no_cell_is_lost,
    ),
    (
        "a_budget_that_is_too_short_leaves_cells_out_and_says_so_in_one_line",
        a_budget_that_is_too_short_leaves_cells_out_and_says_so_in_one_line,
    ),
];

fn main() -> ExitCode {
    if env::var_os(SUITE).is_some() {
        return paceline::cli::bench();
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let filter = arguments.iter().find(|word| !word.starts_with('-'));
    for (name, test) in TESTS {
        if arguments.iter().any(|word| word == "--list") {
            println!("{name}: test");
        } else if filter.is_none_or(|filter| name.contains(filter.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

fn suite(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .arg("--bench")
        .args(arguments)
        .current_dir(folder)
        .env(SUITE, "1")
        .env("PACELINE_ALLOW_DEBUG", "1")
        .env("PACELINE_RESULTS", folder.join("results"))
        .env("CRITERION_HOME", folder.join("criterion"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn record(folder: &Path) -> Record {
    let run = fs::read_dir(folder.join("results")).unwrap().next().unwrap().unwrap();
    read(&run.path()).unwrap()
}

/// What it printed; it ended with `code`.
fn printed(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn figures_are_of_fresh_processes_and_criterion_has_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let asked = ["^sleep/(tokio|smol)/(1|100)$", "--sample-size", "12", "--save-baseline", "mine"];
    let quick = [("PACELINE_PROFILE", "quick"), ("PACELINE_SEED", "7")];
    let text = printed(&suite(folder.path(), &asked, &quick).output().unwrap(), 0);
    assert!(text.contains("4 cells: 4 ok") && text.contains("each figure: 6 trials"), "{text}");
    assert!(!text.contains("time:") && text.lines().count() < 80, "{text}");
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
    assert!(String::from_utf8_lossy(&failed.stderr).contains("its output is in"));
}

fn benchmarks_are_listed_and_nothing_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed(&suite(folder.path(), &["--list", "echo/tokio/"], &[]).output().unwrap(), 0);
    assert!(text.lines().any(|line| line == "echo/tokio/100: benchmark"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("echo/tokio/")), "{text}");
    assert!(!folder.path().join("results").exists());
    let refused = suite(folder.path(), &["--quick"], &[]).output().unwrap();
    printed(&refused, 2);
}

/// The children of `parent` that have this role now.
fn children(parent: u32, role: &str) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let ids = children.unwrap_or_default();
    let has_role = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default().contains(role)
    };
    ids.split_whitespace().filter_map(|id| id.parse().ok()).filter(has_role).collect()
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

fn the_suites_server_is_started_again_and_no_cell_is_lost() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let quick = [("PACELINE_PROFILE", "quick")];
    let run = suite(folder.path(), &["^echo/(tokio|smol)/1$"], &quick).spawn().unwrap();
    after_hosts(run.id(), 4);
    for server in children(run.id(), "__echo") {
        Command::new("kill").args(["-KILL", &server.to_string()]).status().unwrap();
    }
    let text = printed(&run.wait_with_output().unwrap(), 0);
    assert!(text.contains("2 cells: 2 ok"), "{text}");
}

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
            Command::new("kill")
                .args(["-STOP", &host.to_string()])
                .stderr(Stdio::null())
                .status()
                .unwrap();
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
    assert!(failed.reason.as_ref().unwrap().contains("gave no answer within 10"), "{failed:?}");
    assert!(!failed.trials_ns.is_empty() && failed.batch_ns.is_none(), "{failed:?}");
}

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
}

fn ctrl_c_keeps_what_was_measured() {
    if !Path::new("/proc/self/task").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = suite(folder.path(), &["^sleep/(tokio|smol)/10$"], &[]).spawn().unwrap();
    // Eight processes have ended then: at least three of one of the two cells.
    after_hosts(run.id(), 9);
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    printed(&run.wait_with_output().unwrap(), 130);
    let cells = record(folder.path()).cells;
    let kept = cells.iter().filter(|cell| cell.state == State::Ok);
    assert!(kept.clone().count() >= 1, "{cells:?}");
    assert!(kept.clone().all(|cell| (3..10).contains(&cell.trials_ns.len())), "{cells:?}");
}
