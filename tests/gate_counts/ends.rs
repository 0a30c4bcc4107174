//! How a count ends before its time: with the budget, with Ctrl-C, and with a gate that is killed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Output},
    thread,
    time::Duration,
};

use paceline::record::{Gate, GateCell, Metric, State, Verdict};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    LISTS, cell, has_valgrind,
    program::{json, said, signal},
    repository as with_cells,
    repository::{BETWEEN, Repository, WORK},
};

/// The environment variable by which all processes that a test has started are found.
const MARK: &str = "PACELINE_TEST_MARK";

/// A gate of three cells, of which the second one never ends while it is counted, or timed: of both sides or the head.
struct Endless {
    repository: Repository,
    place: TempDir,
}

impl Endless {
    /// The second cell hangs in processes with the argument `role`, where `base` also those of the base. It starts a
    /// process of its own, and writes a file then.
    fn in_role(role: &str, base: bool) -> Self {
        let place = tempfile::tempdir().unwrap();
        let noted = place.path().join("noted").display().to_string();
        let server = "std::process::Command::new(\"sleep\").arg(\"3600\").spawn().unwrap()";
        let hangs = format!(
            ".closure(\"hangs\", || || if hangs() && std::env::args().any(|word| word == \"{role}\") {{ let server = {server}; std::fs::write({noted:?}, \"\").unwrap(); loop {{ std::hint::black_box(server.id()); }} }})"
        );
        let [first, last] =
            ["first", "last"].map(|name| format!(".closure(\"{name}\", || || lists(3))"));
        let repository = with_cells(&format!("{first}{hangs}{last}"));
        for (hangs, more) in [(base, ""), (true, "pub fn other() {}\n")] {
            let hangs = format!("pub fn hangs() -> bool {{\n    {hangs}\n}}\n");
            repository.write("src/lib.rs", &format!("{WORK}{LISTS}{hangs}{more}"));
            repository.commit();
        }
        Endless { repository, place }
    }

    fn noted(&self) -> PathBuf {
        self.place.path().join("noted")
    }

    /// Starts a gate of the last commit against the one before.
    fn gate(&self, metric: Metric, budget: &str) -> Child {
        let counts = ["--metric", metric.name(), "--budget", budget];
        let mut command = self.repository.command("", &[&BETWEEN[..], &counts].concat());
        command.env(MARK, self.place.path()).spawn().unwrap()
    }

    /// Gates with a budget in which the second cell has its turn: on a busy machine that may be late. Returns that cell.
    fn gate_to_the_end(&self, metric: Metric) -> (Output, Gate, GateCell) {
        let ended = ["15s", "1m", "4m"].into_iter().find_map(|budget| {
            let output = self.gate(metric, budget).wait_with_output().unwrap();
            self.noted().exists().then_some(output)
        });
        let output = ended.unwrap();
        let gate: Gate = json(&output);
        self.nothing_is_left();
        let hangs = cell(&gate, "hangs", metric).clone();
        (output, gate, hangs)
    }

    /// Starts a gate and waits until a process of the second cell hangs.
    fn gate_that_hangs(&self, metric: Metric) -> Child {
        let mut gate = self.gate(metric, "1h");
        while !self.noted().exists() {
            assert!(gate.try_wait().unwrap().is_none(), "it ended before a cell hung");
            thread::sleep(Duration::from_millis(20));
        }
        gate
    }

    /// Waits until no process of the gate is left.
    fn nothing_is_left(&self) {
        for _ in 0..1_500 {
            if marked(self.place.path()).is_empty() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let left = marked(self.place.path());
        let shown = |id: &Pid| {
            let line = fs::read_to_string(format!("/proc/{}/cmdline", id.as_raw_nonzero()));
            line.unwrap_or_default().replace('\0', " ")
        };
        let lines: Vec<String> = left.iter().map(shown).collect();
        for id in left {
            let _ = kill_process(id, Signal::KILL);
        }
        panic!("still running: {lines:?}");
    }
}

/// Returns the processes that have the mark in their environment; what has ended has none.
fn marked(mark: &Path) -> Vec<Pid> {
    let mark = format!("{MARK}={}", mark.display());
    let is_marked = |id: &str| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| is_marked(id)).filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

/// Returns the folders that a gate's process has made for programs and for valgrind's files.
fn staged(gate: u32) -> Vec<String> {
    let places = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let all = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let names = all.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&format!("paceline-gate-{gate}-"))).collect()
}

/// A gate of the cells that end.
const NEXT: [&str; 9] =
    ["gate", "--base", "HEAD~1", "--head", "HEAD", "--metric", "allocations", "--filter", "first"];

/// The counts that can be made here.
fn counts() -> impl Iterator<Item = Metric> {
    [Metric::Allocations, Metric::Instructions]
        .into_iter()
        .filter(|metric| *metric != Metric::Instructions || has_valgrind())
}

#[test]
fn a_gate_that_is_killed_leaves_no_process_however_its_cells_hang_and_the_next_clears_its_files_away()
 {
    let killed = |role: &str, metric: Metric| {
        let endless = Endless::in_role(role, true);
        let mut gate = endless.gate_that_hangs(metric);
        assert!(marked(endless.place.path()).len() >= 3, "the gate, a cell and its server run");
        let id = gate.id();
        assert!(!staged(id).is_empty(), "its programs lie in memory");
        gate.kill().unwrap();
        gate.wait().unwrap();
        endless.nothing_is_left();
        let next = endless.repository.paceline("", &NEXT);
        // The change does not reach the cells.
        assert_eq!(next.status.code(), Some(5), "{}", said(&next));
        assert_eq!(staged(id), [""; 0]);
    };
    counts().for_each(|metric| killed("__count", metric));
    killed("__host", Metric::Throughput);
}

#[test]
fn ctrl_c_ends_a_count_keeps_what_was_counted_and_leaves_no_process() {
    for metric in counts() {
        let endless = Endless::in_role("__count", true);
        let gate = endless.gate_that_hangs(metric);
        signal(gate.id(), Signal::INT);
        let output = gate.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        let gate: Gate = json(&output);
        assert!(gate.interrupted);
        let first = cell(&gate, "first", metric);
        assert_eq!(first.verdict, Some(Verdict::NotRegressed), "{first:?}");
        for name in ["hangs", "last"] {
            let cell = cell(&gate, name, metric);
            assert_eq!(cell.state, State::Skipped, "{cell:?}");
            assert!(cell.reason.as_ref().unwrap().contains("interrupted"), "{cell:?}");
        }
        endless.nothing_is_left();
    }
}

#[test]
fn a_count_ends_with_the_budget_and_what_is_left_is_named() {
    for metric in counts() {
        let endless = Endless::in_role("__count", true);
        let (_, gate, hangs) = endless.gate_to_the_end(metric);
        // It took the budget, and not 20 times the patience of 30 s, as long as a count may take.
        assert!(gate.seconds < 500.0, "{}", gate.seconds);
        // Nothing shows that the head is to blame.
        for cell in [&hangs, cell(&gate, "last", metric)] {
            assert_eq!(cell.state, State::Skipped, "{cell:?}");
            assert!(cell.reason.as_ref().unwrap().contains("the time was up"), "{cell:?}");
        }
    }
}

#[test]
fn a_head_that_hangs_while_it_is_counted_is_failed_and_has_no_excuse_in_the_budget() {
    let metric = Metric::Allocations;
    let endless = Endless::in_role("__count", false);
    let (output, _, hangs) = endless.gate_to_the_end(metric);
    assert_eq!((hangs.state, output.status.code()), (State::Failed, Some(3)), "{hangs:?}");
    let why = hangs.reason.as_ref().unwrap();
    assert!(why.contains("the base was counted 3 times, and the head not once"), "{why}");
    // One that has all of its time, 20 times the patience, hangs on any side.
    let more = ["--metric", "allocations", "--patience", "2s", "--filter", "hangs"];
    let (code, gate) = endless.repository.gate(&more);
    let hangs = cell(&gate, "hangs", metric);
    assert_eq!((hangs.state, code), (State::Failed, Some(3)), "{hangs:?}");
    assert!(hangs.reason.as_ref().unwrap().contains("no answer within 40s"), "{hangs:?}");
}

/// Each process of a count has as long as is left, and not as long as was left at the first one.
#[test]
fn a_count_whose_processes_take_longer_together_than_the_budget_ends_with_it() {
    let slow = "if std::env::args().any(|word| word == \"__count\") { std::thread::sleep(std::time::Duration::from_secs(20)) }";
    let repository = with_cells(&format!(".closure(\"slow\", || {{ {slow} || lists(3) }})"));
    repository.write("README.md", "");
    repository.commit();
    // Three processes of a side, one after another, take 60 s.
    let (_, gate) = super::counted(&repository, "allocations", &["--budget", "40s"]);
    let slow = cell(&gate, "slow", Metric::Allocations);
    assert!(matches!(slow.state, State::Skipped | State::Failed), "{slow:?}");
}
