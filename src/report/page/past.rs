//! Runs over time: a chart for each series with its steps, and a table of all series.

use super::{
    charts,
    parts::{Data, Figure, Picture, Table, name},
};
use crate::{
    history::Series,
    report::gate::{figure, share},
};

/// The fewest runs of a chart.
const LEAST: usize = 2;
/// The most charts; those with steps come first.
const CHARTS: usize = 24;

/// Returns a chart for each series, up to the most.
pub(super) fn figures(all: &[Series]) -> Vec<Figure> {
    let mut long: Vec<&Series> = all.iter().filter(|series| series.points.len() >= LEAST).collect();
    long.sort_by_key(|series| (series.steps.is_empty(), std::cmp::Reverse(series.points.len())));
    long.iter().take(CHARTS).enumerate().map(|(index, series)| chart(series, index)).collect()
}

fn chart(series: &Series, index: usize) -> Figure {
    let title = title_of(series);
    let mut table =
        Table::new(format!("{title}, run by run"), "run | commit | figure | interval | step");
    for (place, point) in series.points.iter().enumerate() {
        let step = series.steps.iter().find(|step| step.index == place);
        let between =
            |(lower, upper)| format!("{} to {}", value(series, lower), value(series, upper));
        let interval = point.lower.zip(point.upper).map_or_else(String::new, between);
        table.rows.push(vec![
            name(&point.run).into(),
            Data::of(
                point
                    .commit
                    .as_deref()
                    .map_or_else(String::new, |commit| name(commit).chars().take(12).collect()),
            )
            .class("l"),
            value(series, point.value).into(),
            interval.into(),
            step.map_or_else(String::new, |step| share(step.ratio - 1.0)).into(),
        ]);
    }
    let steps = match series.steps.len() {
        0 => "No step is found.".to_owned(),
        1 => "The line marks a step: from there on the level is another.".to_owned(),
        many => format!("{many} steps are marked: from each on the level is another."),
    };
    Figure {
        id: format!("history-{index}"),
        kind: "history",
        picture: Some(Picture::Plot(charts::over_time(&title, series))),
        title,
        caption: format!(
            "Run after run, the oldest first; {} is better. {steps} Steps are advice, and paceline gate gives verdicts.",
            if series.metric.is_rate() { "more" } else { "less" }
        ),
        table,
        open: false,
    }
}

/// Returns a row for each series.
pub(super) fn table(all: &[Series]) -> Table {
    let mut table =
        Table::new("Every series", "cell | metric | by | machine | runs | first | last | steps");
    for series in all {
        let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else {
            continue;
        };
        let machine: String = name(&series.fingerprint).chars().take(8).collect();
        table.rows.push(vec![
            name(&series.cell).into(),
            Data::of(series.metric.label()).class("l"),
            Data::of(name(&series.measured_by())).class("l"),
            Data::of(machine).class("l"),
            series.points.len().to_string().into(),
            value(series, first.value).into(),
            value(series, last.value).into(),
            series.steps.len().to_string().into(),
        ]);
    }
    table
}

/// Returns the label of its axis.
pub(super) fn axis(series: &Series) -> &'static str {
    if series.anchor.is_some() { "head over base" } else { series.metric.label() }
}

fn title_of(series: &Series) -> String {
    let base = if series.anchor.is_some() { ", against a base" } else { "" };
    format!("{}: {}{base}", name(&series.cell), series.metric.label())
}

fn value(series: &Series, value: f64) -> String {
    if series.anchor.is_some() { share(value - 1.0) } else { figure(series.metric, Some(value)) }
}
