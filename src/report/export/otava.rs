//! CSV as Apache Otava imports it, for a second opinion on change points: `time,commit,metric…`.

use super::{csv::written, finite, series};
use crate::record::Gate;

/// A row: its time by RFC 3339, its commit, and its figures by the names of their columns.
pub type OtavaRow = (String, String, Vec<(String, f64)>);

/// The longest name of a column, in characters.
const NAME: usize = 1024;

/// One row for the gate: when it began, the head's commit or its name, and the head's figures.
pub(super) fn otava(gate: &Gate) -> String {
    let commit = gate.head.commit.clone().unwrap_or_else(|| gate.head.name.clone());
    otava_rows(&[(gate.started.clone(), commit, otava_values(gate))])
}

/// The head's figures, by the names of their columns: `echo/tokio/10 latency_p99_ns`, the unit last.
#[must_use]
pub fn otava_values(gate: &Gate) -> Vec<(String, f64)> {
    let of = gate.cells.iter();
    of.filter_map(|cell| Some((series(cell, NAME), finite(cell.head)?))).collect()
}

/// The rows of several gates or runs as one table. There is a column for each name that
/// any row has, in the order of their first appearance. A field is empty where a row has no such figure, or one that is
/// not finite; Otava refuses such a column if asked for it, so ask it for columns that are full.
#[must_use]
pub fn otava_rows(rows: &[OtavaRow]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (name, _) in rows.iter().flat_map(|(_, _, values)| values) {
        if known.insert(name.as_str()) {
            names.push(name);
        }
    }
    let head = ["time", "commit"].into_iter().chain(names.iter().copied()).map(str::to_owned);
    let body = rows.iter().map(|(time, commit, values)| {
        let figure = |name: &&str| {
            let value = values.iter().find(|(of, _)| of == name).map(|(_, value)| *value);
            finite(value).map_or_else(String::new, |value| value.to_string())
        };
        let figures = names.iter().map(figure);
        [time.clone(), commit.clone()].into_iter().chain(figures).collect()
    });
    written(std::iter::once(head.collect()).chain(body))
}
