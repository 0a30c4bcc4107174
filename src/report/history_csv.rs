//! The history as CSV for tools that look for changes, such as Apache Otava: `time,commit` and a column for each series.

use std::collections::BTreeMap;

use crate::history::Series;

/// The commit, and a figure for each series.
type Row<'a> = (&'a str, Vec<Option<f64>>);

/// A line for each run, ordered by time; a cell is empty where the run has no such figure. Times are in UTC, figures
/// in nanoseconds or bytes a job, or ratios of head to base.
#[must_use]
pub fn history_csv(all: &[Series]) -> String {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    for (column, series) in all.iter().enumerate() {
        for point in &series.points {
            let commit = point.commit.as_deref().unwrap_or_default();
            let row = rows.entry((&point.started, &point.run));
            row.or_insert_with(|| (commit, vec![None; all.len()])).1[column] = Some(point.value);
        }
    }
    let head = ["time".into(), "commit".into()].into_iter().chain(all.iter().map(name));
    let mut text = line(head);
    for ((started, _), (commit, values)) in rows {
        let values = values.iter().map(|value| value.map_or_else(String::new, |v| v.to_string()));
        text.push_str(&line([started.to_owned(), commit.to_owned()].into_iter().chain(values)));
    }
    text
}

fn name(series: &Series) -> String {
    let anchor = series.anchor.as_ref().map_or_else(String::new, |base| format!(" to {base}"));
    let Series { cell, metric, instrument, fingerprint, .. } = series;
    let pinned = if series.pinned { " pinned" } else { "" };
    format!("{cell} {} {instrument}{pinned} {fingerprint}{anchor}", metric.figure())
}

/// By RFC 4180, but with a line feed alone. Control characters are replaced: readers by line must not be torn apart.
fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| {
        let field: String = field.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let quote = field.contains([',', '"']);
        if quote { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}
