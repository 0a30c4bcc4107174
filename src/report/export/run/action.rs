//! github-action-benchmark's own JSON: <https://github.com/benchmark-action/github-action-benchmark>.

use serde_json::{Map, Value, json};

use super::figures::{Figure, costs, named, throughput};
use crate::record::{Cell, Record};

/// The longest name of a cell, in characters.
const NAME: usize = 200;

/// For `customSmallerIsBetter`: times, CPU time and memory of a job. The action refuses the empty list of a run
/// without figures.
pub(super) fn smaller(record: &Record) -> String {
    let of = named(record, NAME).into_iter().flat_map(|(name, cell)| {
        let figures = costs(cell).into_iter();
        figures.map(move |figure| entry(cell, &format!("{name} {}", figure.name), &figure))
    });
    format!("{:#}\n", of.collect::<Value>())
}

/// For `customBiggerIsBetter`: jobs a second.
pub(super) fn bigger(record: &Record) -> String {
    let of = named(record, NAME).into_iter().filter_map(|(name, cell)| {
        Some(entry(cell, &format!("{name} throughput"), &throughput(cell)?))
    });
    format!("{:#}\n", of.collect::<Value>())
}

fn entry(cell: &Cell, name: &str, figure: &Figure) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), name.into());
    entry.insert("unit".into(), figure.unit.into());
    entry.insert("value".into(), json!(figure.value));
    if let Some((lower, upper)) = figure.interval {
        entry.insert("range".into(), format!("{lower:.1} to {upper:.1}").into());
        if let Some(what) = cell.interval.as_deref() {
            entry.insert("extra".into(), crate::output::cut(what, NAME).into());
        }
    }
    Value::Object(entry)
}
