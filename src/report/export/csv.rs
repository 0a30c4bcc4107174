//! A row for each cell and metric, every column with its unit in its name.

use super::{
    super::{gate::verdict, table::word},
    finite, jobs_per_second,
};
use crate::{
    output::cut,
    record::{Gate, GateCell, Metric, Presence},
};

const HEAD: [&str; 31] = [
    "cell",
    "metric",
    "presence",
    "state",
    "verdict",
    "base_ns",
    "head_ns",
    "base_jobs_per_second",
    "head_jobs_per_second",
    "base_bytes",
    "head_bytes",
    "change_share",
    "change_share_lower",
    "change_share_upper",
    "p_slower",
    "p_faster",
    "margin_share",
    "clear_margin_share",
    "detectable_share",
    "trials",
    "trials_dropped",
    "trials_needed",
    "null_change_share",
    "null_fired",
    "again",
    "iterations",
    "trials",
    "base_crashes",
    "head_crashes",
    "copy_crashes",
    "reason",
];

/// Every cell. A figure stands in the column of its unit; the other columns of its row are empty.
pub(super) fn csv(gate: &Gate) -> String {
    let head = std::iter::once(HEAD.map(str::to_owned).to_vec());
    written(head.chain(gate.cells.iter().map(row)))
}

fn row(cell: &GateCell) -> Vec<String> {
    let number = |value: Option<f64>| finite(value).map_or_else(String::new, |v| v.to_string());
    let memory = cell.metric == Metric::Memory;
    let of = |wanted: bool, value: Option<f64>| number(value.filter(|_| wanted));
    let rate = |value: Option<f64>| of(cell.metric == Metric::Throughput, jobs_per_second(value));
    let presence = match cell.presence {
        Presence::Both => "both",
        Presence::Head => "head",
        Presence::Base => "base",
    };
    let change = cell.change;
    vec![
        cut(&cell.cell, usize::MAX),
        cell.metric.name().into(),
        presence.into(),
        word(cell.state).into(),
        cell.verdict.map_or("", verdict).into(),
        of(!memory, cell.base),
        of(!memory, cell.head),
        rate(cell.base),
        rate(cell.head),
        of(memory, cell.base),
        of(memory, cell.head),
        number(change.map(|change| change.share)),
        number(change.map(|change| change.lower)),
        number(change.map(|change| change.upper)),
        number(change.map(|change| change.p_slower)),
        number(change.map(|change| change.p_faster)),
        number(Some(cell.margin)),
        number(Some(cell.clear_margin)),
        number(cell.detectable),
        cell.trials.to_string(),
        cell.dropped.to_string(),
        cell.trials_needed.map_or_else(String::new, |trials| trials.to_string()),
        number(cell.null.map(|null| null.share)),
        cell.null_fired.to_string(),
        cell.again.to_string(),
        cell.iterations.to_string(),
        cell.crashes.trials.to_string(),
        cell.crashes.base.to_string(),
        cell.crashes.head.to_string(),
        cell.crashes.copy.to_string(),
        cell.reason.as_deref().map_or_else(String::new, |reason| cut(reason, usize::MAX)),
    ]
}

/// The rows as RFC 4180 has them, but for newlines, which are `\n`.
pub(super) fn written(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("rows are equally long, and memory takes them");
    }
    let bytes = writer.into_inner().expect("memory takes them");
    String::from_utf8(bytes).expect("fields are text")
}
