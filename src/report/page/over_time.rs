//! Servers under load over time: offered and answered rates, and latencies, of each interval.

use super::{
    charts::{axis, points},
    lines::Line,
    load::{NOT_DRAWN, marked},
    parts::{Data, Figure, Picture, Table},
};
use crate::{
    output::{count, rate},
    record::{Cell, Estimate, Loop, by_column, mostly_late},
    report::chart::{Axis, Curve, Plot, Scale, Series, Unit},
};
use paceline_core::generator::Interval;

/// The latencies of an interval that are shown.
const COLUMNS: [&str; 3] = ["p50", "p99", "max"];

/// A server with recorded intervals.
struct ServerOverTime<'a> {
    name: String,
    style: usize,
    /// Whether the load was an open loop.
    open: bool,
    /// Each interval, with the results of every trial.
    intervals: Vec<Vec<&'a Interval>>,
}

impl<'a> ServerOverTime<'a> {
    fn of(line: &Line, cell: &'a Cell, several: bool) -> Option<Self> {
        let load = cell.load.as_ref()?;
        let (trials, open) = (&load.intervals, load.looped == Loop::Open);
        let count_of = trials.iter().map(Vec::len).min().filter(|count| *count > 0)?;
        let at = |index: usize| trials.iter().map(|trial| &trial[index]).collect();
        let name = if several {
            format!("{}, {} open", line.name, count(cell.scale))
        } else {
            line.name.clone()
        };
        let intervals = (0..count_of).map(at).collect();
        Some(ServerOverTime { name, style: line.style, open, intervals })
    }

    /// Returns a figure of each interval, from its trials.
    fn series(
        &self,
        name: String,
        style: usize,
        of: impl Fn(&[&Interval]) -> Option<Estimate>,
    ) -> Series {
        let figures = self
            .intervals
            .iter()
            .filter_map(|trials| Some((trials.first()?.middle_seconds(), of(trials))));
        Series { name, index: style, points: points(figures) }
    }
}

fn rate_of(trials: &[&Interval], of: fn(&Interval) -> f64) -> Option<Estimate> {
    let rates: Vec<f64> = trials.iter().map(|one| of(one)).collect();
    Estimate::of_trials(&rates, 0.0)
}

/// Returns the latency of an interval in the column `name`, estimated from the trials if each of them has it, or the
/// longest of all; and whether over half of one trial's is the generator's own lateness.
fn latency_of(trials: &[&Interval], name: &str) -> Option<(Estimate, bool)> {
    let of_trial = |one: &&Interval| {
        let all = by_column(one.latency.as_ref()?);
        let ns = all.iter().find(|(of, _)| *of == name).and_then(|(_, ns)| *ns)?;
        Some((ns as f64, mostly_late(one.schedule_error.as_ref(), &all).contains(&name)))
    };
    let of_trials: Option<Vec<(f64, bool)>> = trials.iter().map(of_trial).collect();
    let (ns, late): (Vec<f64>, Vec<bool>) = of_trials?.into_iter().unzip();
    let of = match name {
        "max" => Estimate::exactly(ns.iter().copied().fold(0.0, f64::max)),
        _ => Estimate::of_trials(&ns, 0.0)?,
    };
    Some((of, late.contains(&true)))
}

/// Returns the same unless it is mostly the generator's lateness.
fn own(trials: &[&Interval], name: &str) -> Option<Estimate> {
    latency_of(trials, name).filter(|(_, is_late)| !is_late).map(|(of, _)| of)
}

/// Returns its field.
fn field(trials: &[&Interval], name: &str) -> Data {
    latency_of(trials, name).map_or_else(Data::default, |(of, is_late)| marked(of, is_late))
}

/// Returns throughput and latency over time.
pub(super) fn figures(lines: &[&Line]) -> Vec<Figure> {
    let several = lines.iter().any(|line| line.cells.len() > 1);
    let all = lines.iter().flat_map(|line| line.measured_cells().map(move |cell| (line, cell)));
    let all: Vec<ServerOverTime> =
        all.filter_map(|(line, cell)| ServerOverTime::of(line, cell, several)).collect();
    if all.is_empty() { vec![] } else { vec![throughput(&all), latency(&all)] }
}

fn seconds() -> Axis {
    axis("seconds since the window began", Scale::Linear, Unit::Count)
}

fn throughput(all: &[ServerOverTime]) -> Figure {
    // All servers of a record are offered the same rate in an open loop; in a closed loop, each sets its own.
    let first = all.iter().find(|server| server.open);
    let offered = first.map(|server| {
        let of = |trials: &[&Interval]| rate_of(trials, Interval::offered_per_second);
        let series = server.series(String::new(), 0, of);
        let points = series.points.iter().map(|point| (point.x, point.y)).collect();
        Curve { name: "offered".into(), points }
    });
    let answered = |trials: &[&Interval]| rate_of(trials, Interval::answered_per_second);
    let series =
        all.iter().map(|server| server.series(server.name.clone(), server.style, answered));
    Figure {
        title: "Answers per second over time".into(),
        kind: "load-throughput-time",
        picture: Some(Picture::Plot(Plot {
            title: "Answers per second over time".into(),
            desc: "What each server answered in each interval; in an open loop beside what was offered.".into(),
            x: seconds(),
            y: axis("answers per second", Scale::Linear, Unit::PerSecond),
            series: series.collect(),
            ideal: offered,
            ..Plot::default()
        })),
        caption: "Answers count in the interval in which they came. A server that falls behind what is offered \
                  builds a queue."
            .into(),
        table: table(all, "What was answered in each interval", "answered per second | errors in all trials", |trials| {
            let errors: u64 = trials.iter().map(|one| one.errors).sum();
            vec![
                per_second(trials, Interval::answered_per_second),
                count(errors as usize).into(),
            ]
        }),
        ..Figure::default()
    }
}

fn latency(all: &[ServerOverTime]) -> Figure {
    // With several servers, one percentile of each: p99 if most intervals have enough latencies for it.
    let known = |name: &str| {
        let of = |server: &ServerOverTime| server.series(String::new(), 0, |of| own(of, name));
        all.iter().map(|server| of(server).points.len()).sum::<usize>()
    };
    let short = if known("p99") * 2 >= known("p50") { "p99" } else { "p50" };
    let (what, series): (&str, Vec<Series>) = if let [server] = all {
        let one = |(style, name): (usize, &&str)| {
            server.series((*name).into(), style, |trials| own(trials, name))
        };
        let three = COLUMNS.iter().enumerate().map(one);
        ("Latency", three.filter(|series| !series.points.is_empty()).collect())
    } else {
        let of = |server: &ServerOverTime| {
            server.series(server.name.clone(), server.style, |trials| own(trials, short))
        };
        (short, all.iter().map(of).filter(|series| !series.points.is_empty()).collect())
    };
    let table = table(all, "Latency in each interval", "p50 | p99 | max", |trials| {
        COLUMNS.map(|name| field(trials, name)).into()
    });
    let has_late = table.has_marks();
    let is_broken =
        series.iter().flat_map(|series: &Series| &series.points).any(|point| point.after_gap);
    let title = if what == "Latency" { what.to_owned() } else { format!("{what} latency") };
    Figure {
        title: format!("{title} over time"),
        kind: "load-latency-time",
        picture: Some(Picture::Plot(Plot {
            title: format!("{title} over time"),
            desc: "Latency of the requests that were meant to start in each interval.".into(),
            x: seconds(),
            y: axis("latency", Scale::Log, Unit::Nanoseconds),
            series,
            ..Plot::default()
        })),
        caption: format!(
            "A request belongs to the interval in which it was meant to start: by completions, the intervals of a stall \
             would look fast. p99 takes 1 000 latencies in the interval. p50 and p99 are means of the trials', max is the longest of all.{}{}",
            if is_broken { " A line is broken where an interval has no such latency." } else { "" },
            if has_late { NOT_DRAWN } else { "" },
        ),
        table,
        ..Figure::default()
    }
}

/// Returns a row for each interval of each server: its start, its offered rate, and the fields of `row`.
fn table(
    all: &[ServerOverTime],
    caption: &str,
    more: &str,
    row: impl Fn(&[&Interval]) -> Vec<Data>,
) -> Table {
    let head = format!("model | from second | offered per second | {more}");
    let mut table = Table::new(caption, &head);
    for server in all {
        for trials in &server.intervals {
            let begins = format!("{:.1}", trials[0].start_ns as f64 / 1e9);
            let mut fields = vec![server.name.clone().into(), begins.into()];
            fields.push(per_second(trials, Interval::offered_per_second));
            fields.extend(row(trials));
            table.rows.push(fields);
        }
    }
    table
}

fn per_second(trials: &[&Interval], of: fn(&Interval) -> f64) -> Data {
    rate_of(trials, of).map_or_else(Data::default, |of| rate(of.value).into())
}
