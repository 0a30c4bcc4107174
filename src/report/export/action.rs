//! github-action-benchmark's own JSON: <https://github.com/benchmark-action/github-action-benchmark>.

use serde_json::{Map, Value, json};

use super::{
    super::gate::{interval, share, verdict},
    finite, jobs_per_second, series,
};
use crate::{
    output::cut,
    record::{Gate, GateCell, Metric},
};

/// The longest name, in characters.
const NAME: usize = 200;

/// For `customSmallerIsBetter`: times, CPU time and memory of the head.
pub(super) fn smaller(gate: &Gate) -> String {
    let of = gate.cells.iter().filter_map(|cell| {
        let unit = if cell.metric == Metric::Memory { "bytes" } else { "ns" };
        Some(entry(cell, series(cell, NAME), unit, finite(cell.head)?))
    });
    format!("{:#}\n", of.collect::<Value>())
}

/// For `customBiggerIsBetter`: jobs a second of the head. The list is empty where throughput was not gated; the action
/// refuses an empty list.
pub(super) fn bigger(gate: &Gate) -> String {
    let of = gate.cells.iter().filter(|cell| cell.metric == Metric::Throughput);
    let of = of.filter_map(|cell| {
        let name = format!("{} throughput", cut(&cell.cell, NAME));
        Some(entry(cell, name, "jobs/s", jobs_per_second(cell.head)?))
    });
    format!("{:#}\n", of.collect::<Value>())
}

fn entry(cell: &GateCell, name: String, unit: &str, value: f64) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), name.into());
    entry.insert("unit".into(), unit.into());
    entry.insert("value".into(), json!(value));
    // The interval is that of the time's change, whichever way the value goes.
    if let Some(change) = cell.change {
        let (change, range) = (share(change.share), interval(&change));
        let word = cell.verdict.map_or("no verdict", verdict);
        let extra =
            format!("{word}: it takes {change} ({range}) against the base, {} trials", cell.trials);
        entry.insert("extra".into(), extra.into());
        if unit != "jobs/s" {
            entry.insert("range".into(), range.into());
        }
    }
    Value::Object(entry)
}
