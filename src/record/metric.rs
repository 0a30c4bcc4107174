//! The metrics that are compared, and their names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cell, Estimate};

/// A metric that is compared. Lower is better, except for [`Metric::Requests`]. Records of before have the names of the
/// command line.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Metric {
    /// Wall time per job in batches, the inverse of throughput. Nanoseconds.
    #[serde(rename = "time_per_job", alias = "throughput")]
    Throughput,
    /// Median latency of a job. Nanoseconds.
    #[serde(rename = "latency_p50", alias = "p50")]
    P50,
    /// 99th percentile of a job's latency. Nanoseconds.
    #[serde(rename = "latency_p99", alias = "p99")]
    P99,
    /// CPU time per job, user and system. Nanoseconds.
    #[serde(rename = "cpu_per_job", alias = "cpu")]
    Cpu,
    /// Resident memory that the first batch adds, per job. It includes what all jobs share, unlike the slope over
    /// scales that tables call bytes/job. Bytes.
    #[serde(rename = "memory_added_per_job", alias = "memory")]
    Memory,
    /// Instructions of a call of a custom cell, under valgrind.
    #[serde(rename = "instructions_per_call", alias = "instructions")]
    Instructions,
    /// Allocations of a call of a custom cell.
    #[serde(rename = "allocations_per_call", alias = "allocations")]
    Allocations,
    /// Right answers per second of a server under load: higher is better. The gate has none.
    #[serde(rename = "requests_per_second", alias = "requests")]
    Requests,
}

impl Metric {
    /// All metrics of the gate, in the order of tables.
    pub const ALL: [Metric; 7] = [
        Metric::Throughput,
        Metric::P50,
        Metric::P99,
        Metric::Cpu,
        Metric::Memory,
        Metric::Instructions,
        Metric::Allocations,
    ];

    /// The metrics of recorded runs, in the order of tables.
    pub const OF_RUNS: [Metric; 5] =
        [Metric::Throughput, Metric::Requests, Metric::P99, Metric::Cpu, Metric::Memory];

    /// Returns the figure of a cell of a run: per job, or of a server under load its requests per second, unless it was
    /// given their rate.
    pub fn of(self, cell: &Cell) -> Option<Estimate> {
        match self {
            // The time between two requests is not the time of one.
            Metric::Throughput => {
                let rate = cell.jobs_per_second.filter(|_| cell.load.is_none())?;
                // The conversion is the same in both directions.
                Some(rate.per_second(1))
            }
            Metric::Requests => cell.requests_per_second(),
            Metric::P99 => cell.latency_to_compare("p99"),
            Metric::Cpu => cell.cpu_ns_per_job.map(Estimate::exactly),
            Metric::Memory => {
                let added = cell.resources?.rss_bytes_added?;
                Some(Estimate::exactly(added as f64 / cell.scale as f64))
            }
            Metric::P50 | Metric::Instructions | Metric::Allocations => None,
        }
    }

    /// Returns the name on the command line and in `gate.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Throughput => "throughput",
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::Cpu => "cpu",
            Metric::Memory => "memory",
            Metric::Instructions => "instructions",
            Metric::Allocations => "allocations",
            Metric::Requests => "requests",
        }
    }

    /// Returns the name for readers.
    pub fn label(self) -> &'static str {
        match self {
            Metric::Throughput => "time per job",
            Metric::P50 => "latency p50",
            Metric::P99 => "latency p99",
            Metric::Cpu => "CPU per job",
            Metric::Memory => "memory added per job",
            Metric::Instructions => "instructions",
            Metric::Allocations => "allocations",
            Metric::Requests => "requests per second",
        }
    }

    /// Returns whether it is a rate, of which more is better.
    pub fn is_rate(self) -> bool {
        self == Metric::Requests
    }

    /// Returns whether it is counted in processes of its own, and not measured in trials.
    pub fn is_count(self) -> bool {
        matches!(self, Metric::Instructions | Metric::Allocations)
    }

    /// Returns the name of its figures in files, with the unit last.
    pub fn figure(self) -> &'static str {
        match self {
            Metric::Throughput => "time_per_job_ns",
            Metric::P50 => "latency_p50_ns",
            Metric::P99 => "latency_p99_ns",
            Metric::Cpu => "cpu_per_job_ns",
            Metric::Memory => "memory_added_per_job_bytes",
            Metric::Instructions => "instructions_per_call",
            Metric::Allocations => "allocations_per_call",
            Metric::Requests => "requests_per_second",
        }
    }

    /// Returns that name without its unit, for ratios, where a column or a family has the unit, and as the metric's name
    /// in JSON.
    pub fn quantity(self) -> &'static str {
        let figure = self.figure();
        let without = ["_ns", "_bytes"].into_iter().find_map(|unit| figure.strip_suffix(unit));
        without.unwrap_or(figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_in_json_and_csv_and_records_of_before_are_read() {
        for metric in Metric::ALL.into_iter().chain([Metric::Requests]) {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.quantity());
            assert_eq!(serde_json::from_value::<Metric>(metric.name().into()).unwrap(), metric);
        }
    }
}
