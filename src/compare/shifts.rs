//! How the figures of a cell differ between two runs, within their intervals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    record::{Cell, Estimate, Metric, logarithms},
    stats::{Trimmed, difference, over_nodes},
};

/// The level of intervals over processes.
const LEVEL: f64 = 0.95;

/// How a figure of the head differs from the base's. Lower is better for each metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shift {
    /// The metric that was compared.
    pub metric: Metric,
    /// The base's figure, in the unit of the metric. With the basis `Processes` it is the 20 % trimmed mean of the
    /// logarithms of their times; otherwise it is the record's figure.
    pub base: f64,
    /// The head's figure.
    pub head: f64,
    /// The relative change of the head: `0.05` is 5 % more.
    pub share: f64,
    /// The lower end of the interval; `None` if the records have none.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
    /// What the interval is computed from.
    pub basis: Basis,
}

/// What an interval is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// At least 5 processes of each side: the 95 % interval of the difference of trimmed means (Yuen and Welch).
    Processes,
    /// The intervals of both: the largest and the smallest change that they allow.
    Intervals,
    /// One figure of each side: without an interval.
    Figures,
}

/// Returns the changes of time, latency, CPU time and memory per job.
pub(super) fn shifts(base: &Cell, head: &Cell) -> Vec<Shift> {
    let jobs = base.scale as f64;
    let per_job = |of: Estimate| Estimate {
        value: of.value / jobs,
        lower: of.lower / jobs,
        upper: of.upper / jobs,
    };
    let time =
        |cell: &Cell| cell.batch_ns.map(per_job).or_else(|| cell.jobs_per_second.map(inverse));
    let added = |cell: &Cell| cell.resources?.rss_bytes_added.map(|bytes| bytes as f64 / jobs);
    [
        time(base).zip(time(head)).map(|(one, other)| {
            let apart = of_intervals(Metric::Throughput, one, other);
            of_processes(base, head).unwrap_or(apart)
        }),
        base.latency_ns_p99
            .zip(head.latency_ns_p99)
            .map(|(one, other)| of_intervals(Metric::P99, one, other)),
        base.cpu_ns_per_job
            .zip(head.cpu_ns_per_job)
            .map(|(one, other)| of_figures(Metric::Cpu, one, other)),
        added(base).zip(added(head)).map(|(one, other)| of_figures(Metric::Memory, one, other)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Converts a rate a second to nanoseconds.
fn inverse(of: Estimate) -> Estimate {
    Estimate { value: 1e9 / of.value, lower: 1e9 / of.upper, upper: 1e9 / of.lower }
}

/// Returns the change of the time of a job over processes, or over nodes if there are three and more, if each side has
/// enough.
fn of_processes(base: &Cell, head: &Cell) -> Option<Shift> {
    let times = |cell: &Cell| cell.rates().iter().map(|rate| 1e9 / rate).collect::<Vec<f64>>();
    let [base_logs, head_logs] =
        [base, head].map(|cell| over_nodes(&logarithms(&times(cell)), &cell.nodes));
    let found = difference(&base_logs, &head_logs)?;
    let (lower, upper) = found.interval(LEVEL);
    // The trimmed mean and not the median, so that both columns and the change agree.
    let middle = |logs: &[f64]| Some(Trimmed::of(logs)?.mean.exp());
    Some(Shift {
        lower: Some(lower.exp_m1()),
        upper: Some(upper.exp_m1()),
        basis: Basis::Processes,
        ..of_figures(Metric::Throughput, middle(&base_logs)?, middle(&head_logs)?)
    })
}

fn of_intervals(metric: Metric, base: Estimate, head: Estimate) -> Shift {
    let end = |share: f64| share.is_finite().then_some(share);
    Shift {
        lower: end(head.lower / base.upper - 1.0),
        upper: end(head.upper / base.lower - 1.0),
        basis: Basis::Intervals,
        ..of_figures(metric, base.value, head.value)
    }
}

fn of_figures(metric: Metric, base: f64, head: f64) -> Shift {
    let share = head / base - 1.0;
    Shift { metric, base, head, share, lower: None, upper: None, basis: Basis::Figures }
}
