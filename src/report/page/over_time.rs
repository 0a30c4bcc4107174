//! Servers under load over time: offered and answered rates, and latencies, of each interval.

use super::{
    charts::{axis, point},
    lines::Line,
    overview::{nanoseconds, with_interval},
    parts::{Data, Figure, Picture, Table},
};
use crate::{
    output::{count, rate},
    record::{Cell, Estimate, Loop},
    report::chart::{Axis, Curve, Plot, Scale, Series, Unit},
};
use paceline_core::{generator::Interval, histogram::Distribution};

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

    /// Returns a figure of each interval, estimated from the trials if each of them has it.
    fn series(&self, name: String, style: usize, of: impl Fn(&Interval) -> Option<f64>) -> Series {
        let points = self.intervals.iter().filter_map(|trials| {
            let middle = trials.first()?.middle_seconds();
            Some(point(middle, estimate(trials, &of)?))
        });
        Series { name, index: style, points: points.collect() }
    }
}

fn estimate(trials: &[&Interval], of: impl Fn(&Interval) -> Option<f64>) -> Option<Estimate> {
    let figures: Option<Vec<f64>> = trials.iter().map(|one| of(one)).collect();
    Estimate::of_trials(&figures?, 0.0)
}

fn p50(one: &Interval) -> Option<f64> {
    one.latency.as_ref().map(|times| times.ns_p50 as f64)
}

fn p99(one: &Interval) -> Option<f64> {
    one.latency.as_ref().and_then(Distribution::p99).map(|ns| ns as f64)
}

fn longest(one: &Interval) -> Option<f64> {
    one.latency.as_ref().map(|times| times.ns_max as f64)
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
        let series = server.series(String::new(), 0, |one| Some(one.offered_per_second()));
        let points = series.points.iter().map(|point| (point.x, point.y)).collect();
        Curve { name: "offered".into(), points }
    });
    let answered = |one: &Interval| Some(one.answered_per_second());
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
        table: table(all, "What was answered in each interval", "answered per second | errors", |trials| {
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
    let known = |of: fn(&Interval) -> Option<f64>| {
        let points = |server: &ServerOverTime| server.series(String::new(), 0, of).points.len();
        all.iter().map(points).sum::<usize>()
    };
    let (short, of): (_, fn(&Interval) -> Option<f64>) =
        if known(p99) * 2 >= known(p50) { ("p99", p99) } else { ("p50", p50) };
    let (what, series): (&str, Vec<Series>) = if let [server] = all {
        let one = |name: &str, style, of: fn(&Interval) -> Option<f64>| {
            server.series(name.into(), style, of)
        };
        let three = [one("p50", 0, p50), one("p99", 1, p99), one("max", 2, longest)];
        ("Latency", three.into_iter().filter(|series| !series.points.is_empty()).collect())
    } else {
        let all = all.iter().map(|server| server.series(server.name.clone(), server.style, of));
        (short, all.filter(|series| !series.points.is_empty()).collect())
    };
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
        caption: "A request belongs to the interval in which it was meant to start: by completions, the intervals of a \
                  stall would look fast. p99 takes 1 000 latencies in the interval. Points are means of the trials."
            .into(),
        table: table(all, "Latency in each interval", "p50 | p99 | max", |trials| {
            let times = [p50, p99, longest].map(|of| estimate(trials, of));
            times.map(|of| with_interval(of, &nanoseconds)).into()
        }),
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
    estimate(trials, |one| Some(of(one))).map_or_else(Data::default, |of| rate(of.value).into())
}
