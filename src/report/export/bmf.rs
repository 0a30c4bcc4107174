//! Bencher Metric Format: <https://bencher.dev/docs/reference/bencher-metric-format>.

use serde_json::{Map, Value, json};

use super::{finite, jobs_per_second};
use crate::{
    output::cut,
    record::{Gate, GateCell, Metric},
};

/// The longest name of a benchmark that Bencher takes, in characters.
const NAME: usize = 1024;

/// What the head's figures are, by cell and measure. `latency` and `throughput` are the measures that Bencher has
/// itself; the others have their unit in their names. No bounds are given: the gate has an interval of the change, and
/// none of the figure.
pub(super) fn bmf(gate: &Gate) -> String {
    let mut cells: Map<String, Value> = Map::new();
    for cell in &gate.cells {
        let Some((measure, value)) = measure(cell) else { continue };
        let of = cells.entry(cut(&cell.cell, NAME)).or_insert_with(|| json!({}));
        if let Some(of) = of.as_object_mut() {
            of.insert(measure.into(), json!({ "value": value }));
        }
    }
    format!("{:#}\n", Value::Object(cells))
}

fn measure(cell: &GateCell) -> Option<(&'static str, f64)> {
    let value = finite(cell.head);
    match cell.metric {
        Metric::Throughput => Some(("throughput", jobs_per_second(value)?)),
        Metric::P50 => Some(("latency", value?)),
        Metric::P99 => Some(("latency-p99-ns", value?)),
        Metric::Cpu => Some(("cpu-per-job-ns", value?)),
        Metric::Memory => Some(("memory-per-job-bytes", value?)),
    }
}
