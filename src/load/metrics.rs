//! The metrics of a load, defined once for the table, the exports and `--fail-if`.

use crate::record::{Cell, LoadFigures, State};
use paceline_core::histogram::Distribution;

/// A metric of a cell under load.
pub struct Metric {
    /// Name of its column in the table, and in a condition.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: MetricUnit,
    /// Name of its column in CSV.
    pub column: &'static str,
    /// Name in exports that hold only figures; `None` for settings and counts, which are no figures to compare.
    pub figure: Option<&'static str>,
    of: fn(&Cell, &LoadFigures) -> Option<f64>,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Nanoseconds.
    Time,
    /// Per second.
    Rate,
    /// A share of 1.
    Share,
    /// A whole number.
    Count,
}

use MetricUnit::{Count, Rate, Share, Time};

const fn metric(
    name: &'static str,
    unit: MetricUnit,
    column: &'static str,
    of: fn(&Cell, &LoadFigures) -> Option<f64>,
) -> Metric {
    let figure = if matches!(unit, Count) { None } else { Some(column) };
    Metric { name, unit, column, figure, of }
}

/// All metrics, in the order of the table.
#[rustfmt::skip]
pub static METRICS: [Metric; 15] = [
    metric("conns", Count, "connections", |_, load| Some(load.connections as f64)),
    metric("req/s", Rate, "jobs_per_second", |cell, _| Some(cell.jobs_per_second?.value)),
    // More is better, and in other shares less: formats of figures alone leave it out.
    Metric { figure: None, ..metric("of bound", Share, "share_of_bound", |cell, _| cell.share_of_bound()) },
    metric("errors", Share, "error_share", |_, load| load.error_share()),
    metric("latencies", Count, "latency_count", |cell, _| Some(cell.latency.as_ref()?.count as f64)),
    Metric { figure: Some("latency_p50_ns"), ..metric("p50", Time, "latency_ns_p50", |cell, _| Some(cell.latency_ns_p50?.value)) },
    metric("p90", Time, "latency_ns_p90", |cell, _| ns(cell.latency.as_ref()?.p90())),
    Metric { figure: Some("latency_p99_ns"), ..metric("p99", Time, "latency_ns_p99", |cell, _| Some(cell.latency_ns_p99?.value)) },
    metric("p99.9", Time, "latency_ns_p999", |cell, _| ns(cell.latency.as_ref()?.p999())),
    metric("max", Time, "latency_ns_max", |cell, _| ns(Some(cell.latency.as_ref()?.ns_max))),
    metric("service p99", Time, "service_time_ns_p99", |cell, _| ns(cell.service_time.as_ref()?.p99())),
    Metric { figure: Some("cpu_per_job_ns"), ..metric("CPU/req", Time, "cpu_ns_per_job", |cell, _| cell.cpu_ns_per_job) },
    metric("late p99", Time, "schedule_error_ns_p99", |_, load| ns(load.schedule_error.as_ref().and_then(Distribution::p99))),
    metric("generator", Share, "generator_cpu_share_max", |_, load| load.generator_cpu_share_max),
    metric("gens", Count, "generators", |_, load| Some(load.generators() as f64)),
];

impl Metric {
    /// Returns the metric of a cell; `None` if it was not measured.
    #[must_use]
    pub fn of(&self, cell: &Cell) -> Option<f64> {
        let load = cell.load.as_ref().filter(|_| cell.state == State::Ok)?;
        (self.of)(cell, load).filter(|value| value.is_finite())
    }
}

fn ns(ns: Option<u64>) -> Option<f64> {
    ns.map(|ns| ns as f64)
}
