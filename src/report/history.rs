//! The history: a line for each series with the first run after each step below it, or CSV.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    export::csv_of,
    gate::figure,
    unreliable::{model_of, remarks},
};
use crate::{
    history::{Point, Series},
    output::{columns, named_table, plain, plain_lines, signed},
};

/// The most figures in a sparkline; the last ones are shown.
const SPARKS: usize = 30;

/// Returns every series with its last figures, and every step.
pub fn history_table(all: &[Series]) -> String {
    let row = |series: &Series| {
        let last = series.points.last().map_or(f64::NAN, |point| point.value);
        let last = match series.anchor {
            Some(_) => format!("{} to base", signed(last - 1.0)),
            None => figure(series.metric, Some(last)),
        };
        vec![
            series.cell.clone(),
            series.metric.label().into(),
            series.measured_by(),
            series.fingerprint.chars().take(6).collect(),
            series.points.len().to_string(),
            bars(&series.points),
            last,
            series.steps.len().to_string(),
        ]
    };
    let head = columns("cell | metric | by | machine | runs | history | last | steps");
    let mut text = named_table(2, &head, &all.iter().map(row).collect::<Vec<_>>());
    for series in all {
        for step in &series.steps {
            let point = &series.points[step.index];
            let commit = point.commit.as_deref().unwrap_or("unknown");
            let (cell, run) = (plain(&series.cell), plain(&step.run));
            let (metric, change) = (series.metric.label(), signed(step.ratio - 1.0));
            let _ = write!(text, "\n{cell} {metric}: {change} from {run} on, commit {commit}");
        }
    }
    for remark in remarks(all.iter().map(|series| model_of(&series.cell))) {
        let _ = write!(text, "\n{remark}");
    }
    let rates = all.iter().any(|series| series.metric.is_rate());
    let but = if rates { ", but of requests per second more" } else { "" };
    let _ =
        write!(text, "\nless is better{but}; steps are advice, and paceline gate gives verdicts");
    plain_lines(&text)
}

/// Returns the last figures as heights between the least and the greatest of them.
fn bars(points: &[Point]) -> String {
    let shown = &points[points.len().saturating_sub(SPARKS)..];
    sparks(&shown.iter().map(|point| Some(point.value)).collect::<Vec<_>>())
}

/// Eight heights, and the sign for a missing figure.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NONE: char = '·';

/// Returns a bar for each figure, by its logarithm between the least and the greatest of all; a dot if it is missing.
fn sparks(figures: &[Option<f64>]) -> String {
    let log = |figure: &Option<f64>| {
        figure.filter(|figure| figure.is_finite() && *figure > 0.0).map(f64::ln)
    };
    let logs: Vec<Option<f64>> = figures.iter().map(log).collect();
    let known = || logs.iter().flatten().copied();
    let (least, most) =
        (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let bar = |log: f64| match most - least {
        range if range > 0.0 => BARS[((log - least) / range * 7.0).round() as usize],
        _ => BARS[0],
    };
    logs.into_iter().map(|log| log.map_or(NONE, bar)).collect()
}

/// The commit, and a figure for each series.
type Row<'a> = (&'a str, Vec<Option<f64>>);

/// Returns the history for change detection tools such as Apache Otava: `time,commit` and a column for each series.
///
/// It has a line for each run, ordered by time; a field is empty if the run lacks the figure. Times are in UTC, figures
/// in nanoseconds or bytes per job, in requests per second, or ratios of head to base; the column's name says which.
pub fn history_csv(all: &[Series]) -> String {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    for (column, series) in all.iter().enumerate() {
        for point in &series.points {
            let commit = point.commit.as_deref().unwrap_or_default();
            let row = rows.entry((&point.started, &point.run));
            row.or_insert_with(|| (commit, vec![None; all.len()])).1[column] = Some(point.value);
        }
    }
    let head = ["time".into(), "commit".into()].into_iter().chain(all.iter().map(column));
    let rows = rows.into_iter().map(|((started, _), (commit, values))| {
        let values = values.iter().map(|value| value.map_or_else(String::new, |v| v.to_string()));
        [plain(started), plain(commit)].into_iter().chain(values).collect::<Vec<_>>()
    });
    csv_of(std::iter::once(head.collect::<Vec<_>>()).chain(rows))
}

fn column(series: &Series) -> String {
    let Series { cell, metric, instrument, fingerprint, .. } = series;
    let pinned = if series.pinned { " pinned" } else { "" };
    let (figure, anchor) = match &series.anchor {
        // A ratio has no unit.
        Some(base) => (format!("{}_ratio", metric.quantity()), format!(" to {base}")),
        None => (metric.figure().to_owned(), String::new()),
    };
    plain(&format!("{cell} {figure} {instrument}{pinned} {fingerprint}{anchor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_the_logarithm_and_what_is_no_figure_is_a_dot() {
        let figures = [Some(1.0), Some(10.0), Some(100.0), None, Some(f64::NAN), Some(0.0)];
        assert_eq!(sparks(&figures), "▁▅█···");
        assert_eq!(sparks(&[Some(3.0), Some(3.0)]), "▁▁");
        assert_eq!(sparks(&[]), "");
    }
}
