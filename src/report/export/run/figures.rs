//! What the formats share: the names of cells, and the figures of those that are `ok`.

use std::collections::HashSet;

use super::super::{finite, jobs_per_second};
use crate::{
    history::cell_name,
    output::cut,
    record::{Cell, Estimate, Record, State},
};

/// A figure of a cell, and its interval where it has one.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    /// As the gate and the history call it: the unit last.
    pub(super) name: &'static str,
    /// `ns` or `bytes`, or `jobs/s`.
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) interval: Option<(f64, f64)>,
}

impl Figure {
    /// Of an estimate; `None` where it is no finite number. A single process has no interval.
    fn of(name: &'static str, unit: &'static str, estimate: Estimate) -> Option<Figure> {
        let value = estimate.value;
        let around = |(lower, upper): &(f64, f64)| *lower <= value && value <= *upper;
        let interval = estimate.interval().filter(around);
        Some(Figure { name, unit, value: finite(Some(value))?, interval })
    }

    fn alone(name: &'static str, unit: &'static str, value: f64) -> Option<Figure> {
        Self::of(name, unit, Estimate { value, lower: value, upper: value })
    }
}

/// Every cell with a name that no other has, of at most `most` characters in one line: `echo/tokio@2/10`. Those that
/// would have the same are numbered.
pub(super) fn named(record: &Record, most: usize) -> Vec<(String, &Cell)> {
    named_as(record, |name| cut(name, most - 8))
}

/// The same, as `clean` makes their names fit for a format.
pub(super) fn named_as(record: &Record, clean: impl Fn(&str) -> String) -> Vec<(String, &Cell)> {
    let mut known = HashSet::new();
    let mut unique = |name: String| {
        let numbered = (2..).map(|n| format!("{name}#{n}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(|name| known.insert(name.clone())).expect("numbers do not end")
    };
    record.cells.iter().map(|cell| (unique(clean(&cell_name(cell))), cell)).collect()
}

/// Jobs a second, of which more is better. None where the cell is not `ok`.
pub(super) fn throughput(cell: &Cell) -> Option<Figure> {
    let rate = cell.jobs_per_second.filter(|_| cell.state == State::Ok)?;
    Figure::of("jobs_per_second", "jobs/s", rate)
}

/// What a job or the batch costs: of all these less is better. None where the cell is not `ok`.
pub(super) fn costs(cell: &Cell) -> Vec<Figure> {
    if cell.state != State::Ok {
        return vec![];
    }
    // A load is given its rate: the time between two requests is not what one takes.
    let rate = cell.jobs_per_second.filter(|_| cell.load.is_none());
    let time = rate.and_then(|rate| {
        let of = |rate| jobs_per_second(Some(rate)).unwrap_or(f64::NAN);
        let time = Estimate { value: of(rate.value), lower: of(rate.upper), upper: of(rate.lower) };
        Figure::of("time_per_job_ns", "ns", time)
    });
    let added = cell.resources.and_then(|used| used.rss_bytes_added);
    [
        time,
        cell.latency_ns_p50.and_then(|p50| Figure::of("latency_p50_ns", "ns", p50)),
        cell.latency_ns_p99.and_then(|p99| Figure::of("latency_p99_ns", "ns", p99)),
        cell.cpu_ns_per_job.and_then(|cpu| Figure::alone("cpu_per_job_ns", "ns", cpu)),
        added.and_then(|added| Figure::alone("memory_added_bytes", "bytes", added as f64)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
