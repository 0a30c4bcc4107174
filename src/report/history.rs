//! The history for people: a line for each series, and under them the first run after each step.

use std::{fmt::Write, time::Duration};

use super::{
    spark::sparks,
    unreliable::{model_of, remarks},
};
use crate::{
    history::{Point, Series},
    output::{figures_table, long},
    record::Metric,
};

/// The most figures in a sparkline: the last ones.
const SPARKS: usize = 30;

/// Every series with its last figures, and every step.
#[must_use]
pub fn history_table(all: &[Series]) -> String {
    let row = |series: &Series| {
        let last = series.points.last().map_or(f64::NAN, |point| point.value);
        vec![
            plain(&series.cell),
            series.metric.name().into(),
            plain(&series.measured_by()),
            series.fingerprint.chars().filter(|c| !c.is_control()).take(6).collect(),
            series.points.len().to_string(),
            bars(&series.points),
            figure(series, last),
            series.steps.len().to_string(),
        ]
    };
    let head = ["cell", "metric", "by", "machine", "runs", "history", "last", "steps"];
    let mut text = figures_table(&head, &all.iter().map(row).collect::<Vec<_>>());
    for series in all {
        for step in &series.steps {
            let point = &series.points[step.index];
            let commit = point.commit.as_deref().unwrap_or("unknown");
            let (cell, run, commit) = (plain(&series.cell), plain(&step.run), plain(commit));
            let (metric, change) = (series.metric.name(), (step.ratio - 1.0) * 100.0);
            let _ =
                write!(text, "\n{cell} {metric}: {change:+.1} % from {run} on, commit {commit}");
        }
    }
    for remark in remarks(all.iter().map(|series| model_of(&series.cell))) {
        let _ = write!(text, "\n{remark}");
    }
    text.push_str("\nless is better; steps are advice, and paceline gate gives verdicts");
    text
}

fn figure(series: &Series, value: f64) -> String {
    match series.metric {
        _ if series.anchor.is_some() => format!("{:+.1} % to base", (value - 1.0) * 100.0),
        Metric::Memory => format!("{value:.0} B"),
        _ => long(Duration::from_nanos(value as u64)),
    }
}

/// The last figures as heights, of the least and the greatest of them.
fn bars(points: &[Point]) -> String {
    let shown = &points[points.len().saturating_sub(SPARKS)..];
    sparks(&shown.iter().map(|point| Some(point.value)).collect::<Vec<_>>())
}

/// A name out of a file, without what would move a terminal's cursor.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
