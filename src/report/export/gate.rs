//! The rows of a gate: one for each cell and metric.

use std::fmt::Write as _;

use super::{
    super::{
        gate::{crashes, detectable, figure, interval_of, needed, overall, share, verdict, why},
        table::word,
    },
    rows::{Family, Figure, OneOf, Row, Sample, Sheet, Test, TestResult, finite},
};
use crate::{
    output::{cut, shorten},
    record::{
        Change, Gate, GateCell, Metric, Overall, Presence, Sameness, State, Verdict, inverse,
    },
};

/// The longest name and reason, in characters.
const NAME: usize = 300;
/// The longest summary.
const SUMMARY: usize = 1000;
const VERDICTS: &[&str] = &["regressed", "improved", "not-regressed", "inconclusive"];
const OVERALL: &[&str] =
    &["failed", "regressed", "passed", "inconclusive", "environment-invalid", "nothing"];

/// Returns the gate as a sheet. In its test report, a regressed cell is a failure. An inconclusive, new, removed,
/// refused or skipped cell is skipped. A cell that could not be measured is an error. If the environment is invalid,
/// the null arm is an error and no cell fails: the run says nothing about the change. A cell in which the null arm
/// fired is skipped, and the null arm is an error then too. If base and head are the same program or no cell was
/// compared, a test says so; it is an error unless nothing could have changed.
pub(super) fn sheet(gate: &Gate) -> Sheet<'_> {
    let first = |cell: &GateCell| gate.cells.iter().position(|of| of.cell == cell.cell);
    Sheet {
        kind: "paceline gate",
        title: "paceline gate".into(),
        id: &gate.id,
        started: &gate.started,
        commit: gate.head.commit.as_deref().unwrap_or(&gate.head.name),
        seconds: Some(gate.seconds),
        tests: [Some(null_arm(gate)), nothing_compared(gate)].into_iter().flatten().collect(),
        verdict: Some(OneOf {
            family: ("verdict", "the verdict on all"),
            labels: String::new(),
            value: one_of(OVERALL, overall(gate.verdict)),
            all: OVERALL,
        }),
        columns: COLUMNS.map(|(name, _)| name.to_owned()).to_vec(),
        rows: gate
            .cells
            .iter()
            .map(|cell| row(gate, first(cell).unwrap_or_default(), cell))
            .collect(),
    }
}

fn row<'a>(gate: &Gate, index: usize, cell: &GateCell) -> Row<'a> {
    Row {
        index,
        cell: cell.cell.clone(),
        figures: figures(cell),
        fields: COLUMNS.iter().map(|(_, of)| of(cell)).collect(),
        samples: samples(cell),
        state: cell.verdict.map(|of| OneOf {
            family: ("cell_verdict", "the verdict on a cell"),
            labels: metric(cell),
            value: one_of(VERDICTS, verdict(of)),
            all: VERDICTS,
        }),
        test: Test { name: cell.metric.label().into(), end: end(gate, cell), body: body(cell) },
        recorded: None,
    }
}

/// Returns the label's form of a verdict in words: `not-regressed`.
fn one_of(all: &[&'static str], words: &str) -> &'static str {
    let same = |of: &&&str| of.split('-').eq(words.split(' '));
    all.iter().find(same).copied().unwrap_or("nothing")
}

/// Returns the head's figures. They have no intervals: the gate has an interval of the change only.
fn figures(cell: &GateCell) -> Vec<Figure> {
    let change = cell.change.map(|change| (share(change.share), interval_of(cell)));
    let note = change.as_ref().map(|(change, range)| {
        let word = cell.verdict.map_or("no verdict", verdict);
        format!("{word}: it takes {change} ({range}) against the base, {} trials", cell.trials)
    });
    let of = |name, unit, value, range| {
        Some(Figure {
            name,
            unit,
            value: finite(value)?,
            interval: None,
            range,
            note: note.clone(),
        })
    };
    let unit = match cell.metric {
        Metric::Memory => "bytes",
        metric if metric.is_count() => metric.name(),
        _ => "ns",
    };
    let rate = rate(cell, cell.head);
    let range = change.as_ref().map(|(_, range)| range.clone());
    let cost = of(cell.metric.figure(), unit, cell.head, range);
    // The interval belongs to the change in time, so the rate has none.
    [of("jobs_per_second", "jobs/s", rate, None), cost].into_iter().flatten().collect()
}

fn metric(cell: &GateCell) -> String {
    format!("metric=\"{}\"", cell.metric.quantity())
}

fn samples(cell: &GateCell) -> Vec<Sample> {
    let family: Family = match cell.metric {
        Metric::Throughput => ("time_per_job_seconds", "seconds", "wall time of a job in batches"),
        Metric::P50 => ("latency_p50_seconds", "seconds", "median latency of a job"),
        Metric::P99 => ("latency_p99_seconds", "seconds", "99th percentile of a job's latency"),
        Metric::Cpu => ("cpu_per_job_seconds", "seconds", "CPU time of a job"),
        Metric::Memory => {
            ("memory_added_per_job_bytes", "bytes", "what the first batch added, over its jobs")
        }
        Metric::Instructions => ("instructions_per_call", "", "instructions of a call"),
        Metric::Allocations => ("allocations_per_call", "", "allocations of a call"),
        Metric::Requests => ("requests_per_second", "", "right answers per second"),
    };
    let scale = if is_time(cell) { 1e9 } else { 1.0 };
    let side = |side: &str| format!("side=\"{side}\"");
    let change = |of: fn(&Change) -> f64| cell.change.as_ref().map(of);
    let count = |count: u32| Some(f64::from(count));
    let of_side: Family = ("crashed_trials", "", "trials of a side whose process crashed");
    let crashes = cell.crashes;
    let metric = metric(cell);
    let sided = |of: &str| format!("{metric},{}", side(of));
    [
        (family, side("base"), cell.base.map(|value| value / scale)),
        (family, side("head"), cell.head.map(|value| value / scale)),
        (
            ("change_ratio", "ratio", "how much more the head takes than the base: 0.05 is 5 %"),
            metric.clone(),
            change(|change| change.share),
        ),
        (
            ("change_lower_ratio", "ratio", "the lower end of its 95 % interval"),
            metric.clone(),
            change(|change| change.lower),
        ),
        (
            ("change_upper_ratio", "ratio", "the upper end of its 95 % interval"),
            metric.clone(),
            change(|change| change.upper),
        ),
        (
            ("null_change_ratio", "ratio", "the base's copy against the base"),
            metric.clone(),
            cell.null.map(|change| change.share),
        ),
        (
            ("detectable_ratio", "ratio", "the least change that would be found"),
            metric.clone(),
            cell.detectable,
        ),
        (("trials", "", "trials that count"), metric.clone(), count(cell.trials)),
        (("dropped_trials", "", "trials that were dropped"), metric.clone(), count(cell.dropped)),
        (of_side, sided("base"), count(crashes.base)),
        (of_side, sided("head"), count(crashes.head)),
        (of_side, sided("copy"), count(crashes.copy)),
    ]
    .into_iter()
    .filter_map(|(family, labels, value)| Some(Sample { family, labels, value: value? }))
    .collect()
}

/// Returns the text in a column.
type Text = fn(&GateCell) -> String;

/// The columns of the CSV. A figure is in the column of its unit; the others are empty.
const COLUMNS: [(&str, Text); 33] = [
    ("cell", |c| cut(&c.cell, usize::MAX)),
    ("metric", |c| c.metric.quantity().into()),
    ("presence", |c| {
        match c.presence {
            Presence::Both => "both",
            Presence::Head => "head",
            Presence::Base => "base",
        }
        .into()
    }),
    ("state", |c| word(c.state).into()),
    ("verdict", |c| c.verdict.map_or("", verdict).into()),
    ("base_ns", |c| number(c.base.filter(|_| is_time(c)))),
    ("head_ns", |c| number(c.head.filter(|_| is_time(c)))),
    ("base_jobs_per_second", |c| number(rate(c, c.base))),
    ("head_jobs_per_second", |c| number(rate(c, c.head))),
    ("base_bytes", |c| number(c.base.filter(|_| c.metric == Metric::Memory))),
    ("head_bytes", |c| number(c.head.filter(|_| c.metric == Metric::Memory))),
    ("base_count", |c| number(c.base.filter(|_| c.metric.is_count()))),
    ("head_count", |c| number(c.head.filter(|_| c.metric.is_count()))),
    ("change_share", |c| number(c.change.map(|change| change.share))),
    ("change_share_lower", |c| number(c.change.map(|change| change.lower))),
    ("change_share_upper", |c| number(c.change.map(|change| change.upper))),
    ("p_slower", |c| number(c.change.map(|change| change.p_slower))),
    ("p_faster", |c| number(c.change.map(|change| change.p_faster))),
    ("margin_share", |c| number(Some(c.margin))),
    ("clear_margin_share", |c| number(Some(c.clear_margin))),
    ("detectable_share", |c| number(c.detectable)),
    ("trials", |c| c.trials.to_string()),
    ("trials_dropped", |c| c.dropped.to_string()),
    ("trials_needed", |c| c.trials_needed.map_or_else(String::new, |n| n.to_string())),
    ("null_change_share", |c| number(c.null.map(|null| null.share))),
    ("null_fired", |c| c.null_fired.to_string()),
    ("again", |c| c.again.to_string()),
    ("iterations", |c| c.iterations.to_string()),
    ("trials_started", |c| c.crashes.trials.to_string()),
    ("base_crashes", |c| c.crashes.base.to_string()),
    ("head_crashes", |c| c.crashes.head.to_string()),
    ("copy_crashes", |c| c.crashes.copy.to_string()),
    ("reason", |c| c.reason.as_deref().map_or_else(String::new, |why| shorten(why, usize::MAX))),
];

/// Returns whether the figures are times, in nanoseconds.
fn is_time(cell: &GateCell) -> bool {
    cell.metric != Metric::Memory && !cell.metric.is_count() && !cell.metric.is_rate()
}

fn number(value: Option<f64>) -> String {
    finite(value).map_or_else(String::new, |value| value.to_string())
}

/// Converts a time per job to jobs a second; `None` for figures of other metrics.
fn rate(cell: &GateCell, ns: Option<f64>) -> Option<f64> {
    ns.filter(|_| cell.metric == Metric::Throughput).map(|ns| inverse(ns, 1))
}

fn null_arm(gate: &Gate) -> Test {
    let mut body = String::new();
    for cell in gate.cells.iter().filter(|cell| cell.null_fired) {
        let change = cell.null.map_or_else(String::new, |null| share(null.share));
        let _ = writeln!(body, "{} {}: {change}", cut(&cell.cell, NAME), cell.metric.label());
    }
    let end = match gate.verdict {
        Overall::EnvironmentInvalid => {
            TestResult::NotPassed("error", "environment-invalid", shorten(&gate.summary, NAME))
        }
        _ if !body.is_empty() => {
            TestResult::NotPassed("error", "void", "cells in which it fired have no verdict".into())
        }
        _ => TestResult::Passed,
    };
    let verdict = overall(gate.verdict);
    let body = format!("{verdict}: {}\n{body}", shorten(&gate.summary, NAME));
    Test { name: "null arm: the base against its copy".into(), end, body }
}

fn nothing_compared(gate: &Gate) -> Option<Test> {
    let sameness = gate.same_program.as_ref().map(|same| same.sameness);
    if gate.verdict != Overall::Nothing && sameness.is_none() {
        return None;
    }
    let end = match sameness {
        Some(Sameness::Unreachable | Sameness::SameSource | Sameness::NotAffected) => {
            TestResult::Passed
        }
        Some(Sameness::Unreached) | None => {
            TestResult::NotPassed("error", "nothing-compared", shorten(&gate.summary, SUMMARY))
        }
    };
    Some(Test {
        name: "base and head are compared".into(),
        end,
        body: shorten(&gate.summary, SUMMARY),
    })
}

fn end(gate: &Gate, cell: &GateCell) -> TestResult {
    let change = cell.change.map_or_else(String::new, |change| {
        format!("{} ({})", share(change.share), interval_of(cell))
    });
    let skipped = |kind, message| TestResult::NotPassed("skipped", kind, message);
    match (cell.presence, cell.state, cell.verdict) {
        (_, State::Failed | State::Invalid, _) => {
            TestResult::NotPassed("error", word(cell.state), why(cell, NAME))
        }
        (Presence::Head, ..) => skipped("new", "new: the base does not have it".into()),
        (Presence::Base, ..) => skipped("removed", "removed: the head does not have it".into()),
        _ if cell.null_fired => skipped("void", why(cell, NAME)),
        (_, State::Refused | State::Skipped, _) => skipped(word(cell.state), why(cell, NAME)),
        _ if gate.verdict == Overall::EnvironmentInvalid => {
            skipped("environment-invalid", format!("the run says nothing of it: {change}"))
        }
        (_, _, Some(Verdict::Regressed)) => TestResult::NotPassed(
            "failure",
            "regressed",
            format!("it takes {change} more than the base"),
        ),
        (_, _, Some(Verdict::Inconclusive)) => {
            let (least, trials) = (detectable(cell), needed(cell));
            skipped(
                "inconclusive",
                format!("{change}; {least} would be found; trials needed: {trials}"),
            )
        }
        (_, _, Some(Verdict::Improved | Verdict::NotRegressed)) => TestResult::Passed,
        (_, _, None) => skipped("no-verdict", "there is no verdict on it".into()),
    }
}

fn body(cell: &GateCell) -> String {
    let mut lines = vec![format!("verdict: {}", cell.verdict.map_or("none", verdict))];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name}: {value}"));
        }
    };
    line("base", figure(cell.metric, cell.base));
    line("head", figure(cell.metric, cell.head));
    line("change", cell.change.map_or_else(String::new, |change| share(change.share)));
    line("95 % interval", interval_of(cell));
    line("margin", share(cell.margin));
    line("would be found", detectable(cell));
    line("trials", format!("{}, {} dropped", cell.trials, cell.dropped));
    line("crashes", crashes(cell.crashes));
    line("trials needed", cell.trials_needed.map_or_else(String::new, |n| n.to_string()));
    line("why", why(cell, NAME));
    lines.join("\n")
}
