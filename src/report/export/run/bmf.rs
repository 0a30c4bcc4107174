//! Bencher Metric Format: <https://bencher.dev/docs/reference/bencher-metric-format>.

use serde_json::{Map, Value, json};

use super::figures::{Figure, costs, named, throughput};
use crate::record::Record;

/// The longest name of a benchmark that Bencher takes, in characters.
const NAME: usize = 1024;

/// The figures of each cell by measure, with their intervals. `latency` and `throughput` are the measures that Bencher
/// has itself, in nanoseconds and operations a second; the others have their unit in their names, as the gate's have.
pub(super) fn bmf(record: &Record) -> String {
    let mut cells = Map::new();
    for (name, cell) in named(record, NAME) {
        let figures = throughput(cell).into_iter().chain(costs(cell));
        let measures: Map<String, Value> = figures
            .filter_map(|figure| Some((measure(figure.name)?.to_owned(), metric(&figure))))
            .collect();
        if !measures.is_empty() {
            cells.insert(name, Value::Object(measures));
        }
    }
    format!("{:#}\n", Value::Object(cells))
}

/// Bencher's name of a figure. The time of a job is the throughput once more.
fn measure(figure: &str) -> Option<&'static str> {
    match figure {
        "jobs_per_second" => Some("throughput"),
        "latency_p50_ns" => Some("latency"),
        "latency_p99_ns" => Some("latency-p99-ns"),
        "cpu_per_job_ns" => Some("cpu-per-job-ns"),
        "memory_added_bytes" => Some("memory-added-bytes"),
        _ => None,
    }
}

fn metric(figure: &Figure) -> Value {
    match figure.interval {
        Some((lower, upper)) => {
            json!({ "value": figure.value, "lower_value": lower, "upper_value": upper })
        }
        None => json!({ "value": figure.value }),
    }
}
