//! Loads that are told by intervals, ramps, servers that take turns, and latency at shares of the knee.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{BufRead, BufReader},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use paceline::record::{Cell, State, read};
use paceline_core::generator::Interval;
use rustix::process::Signal;
use serde_json::Value;

use super::{
    attempted, calm,
    listener::alone,
    listening, load,
    program::{
        self, await_that, child_that, children, folder, is_held_up, paceline, record_in, said,
        signal, text,
    },
    shedding,
};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// The URL of a server that takes 2 ms, and so much longer; from its hundredth request on it stands still for a while.
fn url(longer_ms: u64, stall_ms: u64) -> String {
    let count = AtomicU64::new(0);
    let whole = std::sync::Mutex::new(());
    let address = listening("127.0.0.1:0", move |_| {
        let one = whole.lock().unwrap();
        if count.fetch_add(1, Relaxed) == 100 {
            thread::sleep(Duration::from_millis(stall_ms));
        }
        drop(one);
        thread::sleep(Duration::from_millis(longer_ms));
        FINE.into()
    });
    format!("http://{address}/")
}

fn sum(intervals: &[Interval], of: impl Fn(&Interval) -> u64) -> u64 {
    intervals.iter().map(of).sum()
}

#[test]
fn the_record_has_intervals_by_intended_start_whose_sums_are_the_whole() {
    let open = ["--rate", "100", "--arrivals", "uniform", "--connections", "60", "--warm-up", "0s"];
    let told = ["--every", "500ms", "--duration", "2200ms"];
    // A server stands still once, so each attempt has a server of its own.
    let attempt = || attempted(&[&[&*url(0, 700)][..], &open, &told].concat());
    let Some((cells, code)) = program::calm(attempt) else { return };
    assert_eq!(code, 0, "{cells:?}");
    let load = cells[0].load.as_ref().unwrap();
    let [of] = &load.intervals[..] else { panic!("one trial: {load:?}") };
    assert_eq!(
        of.iter().map(|one| one.lasts_ns / 1_000_000).collect::<Vec<_>>(),
        [500, 500, 500, 500, 200]
    );
    assert_eq!(of.iter().map(|one| one.offered).collect::<Vec<_>>(), [50, 50, 50, 50, 20]);
    assert_eq!((sum(of, |one| one.offered), sum(of, |one| one.errors)), (load.offered, 0));
    let counted = |one: &Interval| one.latency.as_ref().unwrap().count;
    assert_eq!(sum(of, counted), cells[0].latency.as_ref().unwrap().count);
    // Those that were meant to start in the stall waited, although none of them was answered in it.
    let longest = |one: &Interval| one.latency.as_ref().unwrap().ns_max / 1_000_000;
    assert!(longest(&of[2]) >= 600 && longest(&of[1]) < 500, "{of:?}");
    assert!(of[2].answered < 25 && of[3].answered > 60, "{of:?}");
}

#[test]
fn a_ramp_offers_the_area_under_it_and_says_where_the_server_falls_behind() {
    let ramp = ["--ramp", "50..200/2s", "--every", "500ms", "--arrivals", "uniform"];
    let Some((cells, code)) = calm(&[&["serve-plain", "--model", "tokio"][..], &ramp].concat())
    else {
        return;
    };
    assert_eq!(code, 0, "{cells:?}");
    let load = cells[0].load.as_ref().unwrap();
    let ramp = load.ramp.unwrap();
    assert_eq!((load.rate, ramp.from, ramp.to, load.duration_seconds), (None, 50.0, 200.0, 2.0));
    for (second, one) in (0..).zip(&load.intervals[0]) {
        let area = |at: f64| 50.0 * at + 37.5 * at * at;
        let wanted = area(f64::from(second + 1) / 2.0) - area(f64::from(second) / 2.0);
        assert!((one.offered as f64 - wanted).abs() <= 1.0, "{second}: {one:?}, not {wanted}");
    }
    assert!((249..=251).contains(&load.offered), "{load:?}");

    // A request takes 5 ms, and one is served at a time: 200 per second are the most.
    let over = ["serve-service", "--model", "sequential", "--ramp", "50..800/2s"];
    let quick = ["--warm-up", "0s", "--trials", "1", "--patience", "2s"];
    let Some(text) = calm_text(&[&over[..], &quick].concat()) else { return };
    for part in ["answered/s", "from 50.0 to 800 requests per second over 2 s", "fell behind"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

/// The load as text, tried again if the generator was kept from the CPU.
fn calm_text(arguments: &[&str]) -> Option<String> {
    program::calm(|| {
        let output = load(arguments);
        let text = text(&output.stdout);
        let is_busy =
            ["generator saturated", "generator late"].iter().any(|why| text.contains(why));
        assert!(output.status.code() == Some(0) || is_busy, "{text}{}", said(&output));
        (!is_busy).then_some(text)
    })
}

#[test]
fn ndjson_is_a_line_for_each_interval_and_then_one_for_each_cell() {
    let url = url(0, 0);
    let open = ["--rate", "50", "--duration", "1s", "--warm-up", "0s", "--trials", "2"];
    let told = ["--every", "500ms", "--ndjson"];
    let Some(text) = calm_text(&[&[&*url][..], &open, &told].concat()) else { return };
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (cell, intervals) = lines.split_last().unwrap();
    let place = |line: &Value| {
        let one = &line["interval"];
        (one["trial"].as_u64().unwrap(), one["start_ns"].as_u64().unwrap() / 1_000_000)
    };
    let places: Vec<_> = intervals.iter().map(place).collect();
    assert_eq!(places, [(0, 0), (0, 500), (1, 0), (1, 500)]);
    let whole: Cell = serde_json::from_value(cell["cell"].clone()).unwrap();
    let of = whole.load.unwrap().intervals;
    for (line, one) in intervals.iter().zip(of.iter().flatten()) {
        let told: Interval = serde_json::from_value(line["interval"].clone()).unwrap();
        assert_eq!((&told, line["interval"]["workload"].as_str()), (one, Some("/")));
    }
}

#[test]
fn an_interval_is_told_while_the_load_goes_on() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let url = url(0, 0);
    let load = ["load", &*url, "--rate", "20", "--warm-up", "0s", "--duration", "10m"];
    let mut parent =
        paceline(folder.path(), load).args(["--every", "200ms", "--ndjson"]).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(line["interval"]["offered"].is_u64(), "{line}");
    }
    assert_eq!(parent.try_wait().unwrap(), None);
    signal(parent.id(), Signal::INT);
    assert_eq!(parent.wait().unwrap().code(), Some(130));
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_ends_a_load_in_its_warm_up() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let url = url(0, 0);
    let load = ["load", &*url, "--rate", "20", "--warm-up", "10m", "--duration", "10m"];
    let mut parent = paceline(folder.path(), load).spawn().unwrap();
    child_that(&mut parent, "__load").unwrap();
    signal(parent.id(), Signal::INT);
    assert_eq!(parent.wait().unwrap().code(), Some(130));
}

#[test]
#[cfg(target_os = "linux")]
fn intervals_that_cannot_be_printed_end_the_load_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(0, 0);
    let load = ["load", &*url, "--rate", "20", "--duration", "10m", "--every", "1s"];
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = paceline(folder.path(), load).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot write to standard output"), "{}", said(&output));
}

/// What each ratio of the second cell says.
fn words(cells: &[Cell]) -> Vec<(&'static str, &'static str)> {
    let against = cells.iter().find_map(|cell| cell.load.as_ref()?.against.as_ref());
    let against = against.unwrap_or_else(|| panic!("no comparison: {cells:?}"));
    assert_eq!((against.pairs, cells.len()), (3, 2));
    let measured = against.ratios();
    assert!(measured.iter().all(|one| one.estimate.lower < one.estimate.upper), "{against:?}");
    measured.iter().map(|one| (one.name, one.word)).collect()
}

#[test]
fn two_urls_take_turns_and_the_slower_one_is_called_so_from_either_side() {
    let (fast, slow) = (url(5, 0), url(30, 0));
    let quick = ["--connections", "2", "--duration", "500ms", "--warm-up", "0s", "--trials", "3"];
    for (one, other, word) in [(&fast, &slow, "slower"), (&slow, &fast, "faster")] {
        let both = [&**one, "--against", other];
        let Some((cells, code)) = calm(&[&both[..], &quick].concat()) else { return };
        assert_eq!(code, 0, "{cells:?}");
        assert_eq!(words(&cells), [("req/s", word), ("p50", word)]);
        let second = cells[1].load.as_ref().unwrap().against.as_ref().unwrap();
        assert!(one.contains(&second.base) && cells[0].load.as_ref().unwrap().against.is_none());
    }
    let Some(text) = calm_text(&[&[&*fast, "--against", &slow][..], &quick].concat()) else {
        return;
    };
    assert!(text.contains("3 pairs of trials, intervals of 98.3 %: req/s 0."), "{text}");
    // In an open loop both are given the same rate.
    let open = [&[&*fast, "--against", &slow, "--rate", "20"][..], &quick[2..]].concat();
    let Some((cells, _)) = calm(&open) else { return };
    assert_eq!(words(&cells), [("p50", "slower")]);
}

#[test]
fn two_models_take_turns_and_one_that_fails_leaves_no_comparison() {
    let quick = ["--connections", "2", "--duration", "500ms", "--warm-up", "0s", "--trials", "3"];
    let both = ["serve-plain", "--model", "tokio", "--against", "smol"];
    let Some((cells, code)) = calm(&[&both[..], &quick].concat()) else { return };
    assert_eq!((code, cells.len()), (0, 2), "{cells:?}");
    assert!(words(&cells).len() >= 2);
    let second = cells[1].load.as_ref().unwrap().against.as_ref().unwrap();
    assert_eq!((&*cells[1].model, &*second.base), ("smol", "tokio"));
    let both = ["serve-fanout", "--model", "tokio", "--against", "pool"];
    let (cells, _) = super::cells(&[&both[..], &quick].concat());
    assert_eq!(cells.iter().find(|cell| cell.model == "pool").unwrap().state, State::Refused);
    assert!(cells.iter().all(|cell| cell.load.as_ref().unwrap().against.is_none()));
    let text = load(&[&both[..], &quick].concat()).stdout;
    assert!(String::from_utf8(text).unwrap().contains("no comparison"));
}

#[test]
fn a_bound_on_errors_limits_each_step_of_a_search_for_the_knee() {
    let url = shedding();
    let knee = ["--p99-limit", "1s", "--arrivals", "uniform", "--rate", "150"];
    let bound = ["--fail-if", "errors>1%"];
    let Some((cells, code)) = calm(&[&[&*url][..], &knee, &bound].concat()) else { return };
    let load = cells[0].load.as_ref().unwrap();
    let knee = load.knee.as_ref().unwrap_or_else(|| panic!("{cells:?}"));
    // What it does not refuse, it answers in time at any rate.
    assert!(code == 0 && load.rate.unwrap() < 300.0, "{knee:?}");
    assert!(knee.gave_way.as_ref().unwrap().contains("--max-errors is 1%"), "{knee:?}");
}

#[test]
fn latency_at_shares_of_the_knee_is_of_several_trials_at_that_rate() {
    let knee = ["serve-service", "--model", "sequential", "--p99-limit", "60ms", "--rate", "20"];
    let arguments = [&knee[..], &["--rates", "25%,50%", "--duration", "500ms"]].concat();
    let Some((cells, code)) = calm(&arguments) else { return };
    assert_eq!(code, 0, "{cells:?}");
    let load = cells[0].load.as_ref().unwrap();
    let kept = load.rate.unwrap();
    let shares: Vec<f64> = load.at_shares.iter().map(|at| at.rate / kept).collect();
    assert_eq!(shares, [0.25, 0.5], "{load:?}");
    for at in load.at_shares.iter().filter(|at| at.state == State::Ok) {
        assert_eq!(at.trials, 3);
        assert!(at.latency_ns_p50.unwrap().value >= 5e6 && at.latency_ns_max.is_some(), "{at:?}");
    }
}

#[test]
fn the_page_has_the_command_of_a_load_with_all_of_its_options() {
    let folder = folder();
    let words = "load serve-plain --model threads --rate 20 --arrivals uniform --connections 3 --seed 5 --patience 3s \
                 --duration 500ms --warm-up 0s --trials 1";
    let _alone = alone();
    program::run(folder.path(), words.split(' '));
    let record = program::only_record(&folder.path().join("results")).unwrap();
    let page = std::fs::read_to_string(record.join("report.html")).unwrap();
    assert!(page.contains(&format!(">paceline {words}<")), "{words}");
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_keeps_the_trials_that_had_ended() {
    let _alone = alone();
    let folder = folder();
    let arguments =
        "load serve-plain --model tokio --rate 1200 --duration 1s --warm-up 0s --trials 50";
    let mut parent = paceline(folder.path(), arguments.split(' ')).spawn().unwrap();
    // A trial has two generators: the second one loads the server while its threads are counted.
    let mut seen = BTreeSet::new();
    await_that("the second trial", || {
        seen.extend(children(parent.id(), "__load"));
        seen.len() > 2 || parent.try_wait().unwrap().is_some()
    });
    signal(parent.id(), Signal::INT);
    let output = parent.wait_with_output().unwrap();
    let record = record_in(folder.path());
    let cells = read(&record).unwrap().cells;
    assert_eq!(cells.len(), 1, "{cells:?}");
    if is_held_up(&cells[0]) {
        return;
    }
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let ran = cells[0].trials();
    let why = format!("{ran} of 50 trials ran before it was interrupted");
    assert_eq!((cells[0].state, cells[0].reason.as_ref()), (State::Ok, Some(&why)));
    assert!((1..50).contains(&ran), "{ran}");
    let page = std::fs::read_to_string(record.join("report.html")).unwrap();
    let markdown =
        program::run(folder.path(), ["report", record.to_str().unwrap(), "--format", "markdown"]);
    for shown in [text(&output.stdout), page, text(&markdown.stdout)] {
        assert!(shown.contains(&why), "{shown}");
    }
}
