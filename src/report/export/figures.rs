//! The formats of figures: CSV, Bencher's, github-action-benchmark's and Apache Otava's.

use serde_json::{Map, Value, json};

use super::rows::{Figure, Sheet};
use crate::output::cut;

/// Returns a row for each of the sheet's; every column has its unit in its name. Missing values and numbers that are
/// not finite are empty fields.
pub(super) fn csv(sheet: &Sheet) -> String {
    let rows = sheet.named(usize::MAX).into_iter();
    let rows = rows.map(|(name, row)| [vec![name], row.fields[1..].to_vec()].concat());
    csv_of(std::iter::once(sheet.columns.clone()).chain(rows))
}

/// Formats rows by RFC 4180, but with `\n` as the newline.
pub(in crate::report) fn csv_of(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("rows are equally long, and memory takes them");
    }
    let bytes = writer.into_inner().expect("memory takes them");
    String::from_utf8(bytes).expect("fields are text")
}

/// Returns the figures by cell and measure, with their intervals, in [Bencher Metric
/// Format](https://bencher.dev/docs/reference/bencher-metric-format). `latency` and `throughput` are Bencher's own
/// measures, in nanoseconds and operations a second; the others have their unit in their names. The time per job is
/// left out: it repeats the throughput.
pub(super) fn bmf(sheet: &Sheet) -> String {
    /// The longest name of a benchmark that Bencher accepts, in characters.
    const NAME: usize = 1024;
    let measure = |figure: &Figure| {
        match figure.name {
            "jobs_per_second" => Some("throughput".to_owned()),
            "latency_p50_ns" => Some("latency".to_owned()),
            // The throughput contains it.
            "time_per_job_ns" => None,
            other => Some(other.replace('_', "-")),
        }
    };
    let mut cells = Map::new();
    for (name, row) in sheet.named(NAME) {
        for figure in &row.figures {
            let Some(measure) = measure(figure) else { continue };
            let metric = match figure.interval {
                Some((lower, upper)) => {
                    json!({ "value": figure.value, "lower_value": lower, "upper_value": upper })
                }
                None => json!({ "value": figure.value }),
            };
            cells.entry(name.clone()).or_insert_with(|| json!({}))[measure] = metric;
        }
    }
    format!("{:#}\n", Value::Object(cells))
}

/// Returns the list of [github-action-benchmark](https://github.com/benchmark-action/github-action-benchmark):
/// `customBiggerIsBetter` has the rates, `customSmallerIsBetter` all others. The action refuses an empty list.
pub(super) fn action(sheet: &Sheet, bigger: bool) -> String {
    /// The longest name of a cell and the longest note, in characters.
    const NAME: usize = 200;
    let mut list = Vec::new();
    for (name, row) in sheet.named(NAME) {
        for figure in row.figures.iter().filter(|figure| figure.is_rate() == bigger) {
            let what = if bigger { "throughput" } else { figure.name };
            let mut entry = json!({
                "name": format!("{name} {what}"), "unit": figure.unit, "value": figure.value,
            });
            for (key, text) in [("range", &figure.range), ("extra", &figure.note)] {
                if let Some(text) = text {
                    entry[key] = cut(text, NAME).into();
                }
            }
            list.push(entry);
        }
    }
    format!("{:#}\n", Value::Array(list))
}

/// Returns one row of the CSV that Apache Otava imports for a second opinion on change points, `time,commit,metric…`:
/// the start, the commit or otherwise the name, and the costs of a job under the history's names.
pub(super) fn otava(sheet: &Sheet) -> String {
    /// The longest name of a cell, in characters.
    const NAME: usize = 900;
    let mut columns = [vec!["time".into(), "commit".into()], vec![]];
    columns[1] = vec![cut(sheet.started, NAME), cut(sheet.commit, NAME)];
    for (name, row) in sheet.named(NAME) {
        for figure in row.figures.iter().filter(|figure| !figure.is_rate()) {
            columns[0].push(format!("{name} {}", figure.name));
            columns[1].push(figure.value.to_string());
        }
    }
    csv_of(columns.into_iter())
}
