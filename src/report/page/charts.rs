//! Converts cells to the plots that `chart` draws.

use super::lines::{Line, words};
use crate::{
    advice::{Advice, Measure},
    history,
    output::{count, counted, listed},
    record::{Cell, Estimate, Metric, State},
    report::{
        chart::{Axis, Bar, Bars, Curve, Mark, Plot, Point, Scale, Series, Unit},
        gate::share,
        table::series_name,
    },
};
use paceline_core::{histogram::Distribution, perform::Placement};

pub(super) use crate::report::chart::swatch;

/// A change from base to head.
pub(super) struct Change {
    pub(super) name: String,
    pub(super) share: f64,
    pub(super) interval: Option<(f64, f64)>,
    /// The verdict, if there is one.
    pub(super) verdict: &'static str,
}

/// A server at several rates.
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) style: usize,
    /// Requests a second, and the 99th percentile of latency in nanoseconds.
    pub(super) points: Vec<(f64, Estimate)>,
    /// The highest rate that it sustained.
    pub(super) knee: Option<f64>,
    /// Whether it may sustain a higher one.
    pub(super) is_least: bool,
    pub(super) limit_ns: Option<f64>,
}

pub(super) fn axis(label: &str, scale: Scale, unit: Unit) -> Axis {
    Axis { label: label.into(), scale, unit, ticks: vec![] }
}

/// Returns a point at `x`, with the interval if it has one.
pub(super) fn point(x: f64, of: Estimate) -> Point {
    let known = of.lower < of.upper;
    let (lower, upper) = (known.then_some(of.lower), known.then_some(of.upper));
    Point { x, y: of.value, lower, upper, after_gap: false }
}

/// Returns the points of a line, which is broken where there is no figure.
pub(super) fn points(figures: impl Iterator<Item = (f64, Option<Estimate>)>) -> Vec<Point> {
    let mut points = Vec::new();
    let mut after_gap = false;
    for (x, figure) in figures {
        match figure {
            Some(figure) => {
                points.push(Point { after_gap, ..point(x, figure) });
                after_gap = false;
            }
            None => after_gap = !points.is_empty(),
        }
    }
    points
}

fn over_scale(lines: &[&Line], of: impl Fn(&Cell) -> Option<Estimate>) -> Vec<Series> {
    let series = |line: &&Line| {
        let figure = |cell: &&Cell| of(cell).filter(|_| cell.state == State::Ok);
        let points = points(line.cells.iter().map(|cell| (cell.scale as f64, figure(cell))));
        Series { name: line.name.clone(), index: line.style, points }
    };
    lines.iter().map(series).filter(|series| !series.points.is_empty()).collect()
}

/// Returns whether any of these cells has an upper bound.
pub(super) fn has_bound(lines: &[&Line]) -> bool {
    !bound(lines).is_empty()
}

/// Returns the upper bound at each scale: the greatest of all models.
fn bound(lines: &[&Line]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for cell in lines.iter().flat_map(|line| line.measured_cells()) {
        let Some(bound) = cell.bound_jobs_per_second.filter(|bound| bound.is_finite()) else {
            continue;
        };
        let x = cell.scale as f64;
        match points.iter_mut().find(|(scale, _)| (*scale - x).abs() < 0.5) {
            Some((_, most)) => *most = most.max(bound),
            None => points.push((x, bound)),
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Returns jobs a second over the scale, with the bound and the crossings.
pub(super) fn throughput(
    unit: &str,
    at: &str,
    lines: &[&Line],
    classes: &[(Placement, Advice)],
) -> Plot {
    let bound = bound(lines);
    let mut cells = lines.iter().flat_map(|line| &line.cells);
    let workload = cells.next().map_or("", |cell| &cell.workload);
    Plot {
        title: format!("{}: {unit} over {at}", super::name(workload)),
        desc: format!(
            "{unit} of {} over {at}, both axes logarithmic; bars are intervals, and a line is broken where a scale has no figure.",
            counted(lines.len(), "model")
        ),
        x: axis(at, Scale::Log, Unit::Count),
        y: axis(unit, Scale::Log, Unit::PerSecond),
        series: over_scale(lines, |cell| cell.jobs_per_second),
        bound: (!bound.is_empty()).then(|| Curve { name: "bound".into(), points: bound }),
        ideal: None,
        marks: crossings(lines, classes),
        marked: None,
    }
}

/// Returns a band for each crossing by throughput after which one of `lines` is ahead. With two placement classes there
/// is none: a band cannot say of which class its models are ahead.
fn crossings(lines: &[&Line], classes: &[(Placement, Advice)]) -> Vec<Mark> {
    let [(_, advice)] = classes else { return vec![] };
    let named = |series: &[crate::advice::Series]| {
        let names: Vec<String> =
            series.iter().map(|one| super::name(&series_name(&one.model, one.workers))).collect();
        listed(&names, 2)
    };
    // A mark has room for about one name.
    let short = |series: &[crate::advice::Series]| match series {
        [] => String::new(),
        [one] => format!("→ {}", super::name(&one.model)),
        [one, others @ ..] => format!("→ {} and {} more", super::name(&one.model), others.len()),
    };
    let crossing = |crossing: &crate::advice::Crossing| {
        let (from, to) = (crossing.up_to as f64, crossing.from as f64);
        Mark {
            at: (from * to).sqrt(),
            within: Some((from, to)),
            label: short(&crossing.then),
            note: format!(
                "{} ahead up to {}, {} from {} on",
                named(&crossing.ahead),
                count(crossing.up_to),
                named(&crossing.then),
                count(crossing.from)
            ),
        }
    };
    let is_drawn = |one: &crate::advice::Series| lines.iter().any(|line| line.model == one.model);
    let shown = |of: &&crate::advice::Crossing| {
        of.by == Measure::Throughput && of.then.iter().any(is_drawn)
    };
    advice.crossings.iter().filter(shown).map(crossing).collect()
}

/// Returns CPU time per job over the scale.
pub(super) fn cpu(lines: &[&Line]) -> Plot {
    let (_, at) = words(lines.iter().flat_map(|line| line.cells.iter().copied()));
    Plot {
        title: "CPU time per job".into(),
        desc:
            "CPU time of the model's process for each job, over the scale, both axes logarithmic."
                .into(),
        x: axis(at, Scale::Log, Unit::Count),
        y: axis("CPU time per job", Scale::Log, Unit::Nanoseconds),
        series: over_scale(lines, |cell| cell.cpu_ns_per_job.map(Estimate::exactly)),
        ..Plot::default()
    }
}

/// Returns the speed-up over workers, with the ideal.
pub(super) fn speed_up(series: Vec<Series>) -> Plot {
    let points = series.iter().flat_map(|of| &of.points);
    let mut numbers: Vec<usize> = points.map(|point| point.x as usize).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let (least, most) =
        (numbers.first().copied().unwrap_or(1), numbers.last().copied().unwrap_or(1));
    let ticks = numbers.iter().map(|number| (*number as f64, number.to_string())).collect();
    Plot {
        title: "Speed-up over workers".into(),
        desc: "Throughput with more workers over that with the fewest, beside the ideal.".into(),
        x: Axis { ticks, ..axis("workers", Scale::Linear, Unit::Count) },
        y: axis("speed-up", Scale::Linear, Unit::Ratio),
        series,
        ideal: Some(Curve {
            name: "ideal".into(),
            points: vec![(least as f64, 1.0), (most as f64, most as f64 / least as f64)],
        }),
        ..Plot::default()
    }
}

/// Returns the bar of a line's speed-up.
pub(super) fn times(line: &Line, ratio: Estimate) -> Bar {
    Bar {
        name: line.name.clone(),
        index: line.style,
        value: Some(ratio.value),
        interval: (ratio.lower < ratio.upper).then_some((ratio.lower, ratio.upper)),
        note: format!("{:.2}×", ratio.value),
    }
}

/// Returns the speed-ups over sequential programs, a bar each.
pub(super) fn over_sequential(rows: Vec<Bar>) -> Bars {
    Bars {
        title: "Speed-up over the sequential program of the same language".into(),
        desc: "Throughput of jobs that wait for no timer, as a multiple of that of a sequential program."
            .into(),
        x: axis("speed-up", Scale::Linear, Unit::Ratio),
        rows,
        line: Some(1.0),
        ..Bars::default()
    }
}

/// The shares at which latency is read.
const SHARES: [f64; 22] = [
    0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.98, 0.99,
    0.995, 0.998, 0.999, 0.9995, 0.9998,
];

/// The shares that have markers and tooltips: one at each of [`SHARES`] would make the page too large.
const MARKED: [f64; 7] = [0.5, 0.9, 0.99, 0.999, 0.999_9, 0.999_99, 0.999_999];

/// Returns latency by percentile.
pub(super) fn percentiles(all: &[(&Line, &Distribution)]) -> Plot {
    let series = |(line, latency): &(&Line, &Distribution)| {
        // A histogram that cannot be read has no line; the caption names it.
        let histogram = latency.histogram().ok();
        // A line ends where 10 latencies are left: fewer are chance.
        let most = 1.0 - 10.0 / latency.count.max(1) as f64;
        let further =
            (4..8).flat_map(|digits| [1.0, 0.5, 0.2].map(|part| 1.0 - part * 10_f64.powi(-digits)));
        let shares = SHARES.into_iter().chain(further).filter(|share| *share <= most);
        let at = |share: f64| {
            let ns = histogram.as_ref().map(|histogram| histogram.quantile(share))?;
            Some(Point { x: share, y: ns as f64, ..Point::default() })
        };
        Series {
            name: line.name.clone(),
            index: line.style,
            points: shares.filter_map(at).collect(),
        }
    };
    Plot {
        title: "Latency by percentile".into(),
        desc: "Latency that so many percent of all jobs do not exceed, one line for each model; the axis stretches towards \
               100 percent."
            .into(),
        x: axis("percent of jobs that are no slower", Scale::Percentile, Unit::Share),
        y: axis("latency", Scale::Log, Unit::Nanoseconds),
        series: all.iter().map(series).collect(),
        marked: Some(&MARKED),
        ..Plot::default()
    }
}

/// Returns p99 latency over the offered rate.
pub(super) fn under_load(all: &[Loaded]) -> Plot {
    let series = |of: &Loaded| Series {
        name: of.name.clone(),
        index: of.style,
        points: of.points.iter().map(|(rate, p99)| point(*rate, *p99)).collect(),
    };
    let limit = all.iter().find_map(|of| of.limit_ns);
    let rates = || all.iter().flat_map(|of| &of.points).map(|(rate, _)| *rate);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    let knee = |of: &Loaded| {
        let at = of.knee?;
        let least = if of.is_least { "at least " } else { "" };
        let text = format!("{}: {least}{} per second", of.name, crate::output::rate(at));
        Some(Mark {
            at,
            within: None,
            label: of.name.clone(),
            note: format!("the highest rate kept, {text}"),
        })
    };
    Plot {
        title: "p99 latency over the offered rate".into(),
        desc: "The 99th percentile of latency at each rate of requests that was offered; marks are the highest rates kept.".into(),
        x: axis("requests per second, offered", Scale::Log, Unit::PerSecond),
        y: axis("p99 latency", Scale::Log, Unit::Nanoseconds),
        series: all.iter().map(series).collect(),
        ideal: limit.map(|limit| Curve { name: "limit".into(), points: vec![(least, limit), (most, limit)] }),
        marks: all.iter().filter_map(knee).collect(),
        ..Plot::default()
    }
}

/// Returns the bar of a line's memory per job.
pub(super) fn bytes(line: &Line, bytes: f64) -> Bar {
    let note = super::overview::bytes(bytes);
    Bar { name: line.name.clone(), index: line.style, value: Some(bytes), note, ..Bar::default() }
}

/// Returns bytes per job, the least first.
pub(super) fn memory(mut rows: Vec<Bar>) -> Bars {
    rows.sort_by(|a, b| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)));
    Bars {
        title: "Memory per job".into(),
        desc: "How much more is resident for each job in flight, the least first, on a logarithmic axis.".into(),
        x: axis("bytes per job", Scale::Log, Unit::Bytes),
        rows,
        ..Bars::default()
    }
}

/// Returns changes with their intervals, and the band of the margin.
pub(super) fn changes(title: &str, all: &[Change], margin: Option<f64>) -> Bars {
    let row = |of: &Change| Bar {
        name: of.name.clone(),
        index: match of.verdict {
            "regressed" => 1,
            "improved" => 2,
            "inconclusive" => 4,
            _ => 0,
        },
        value: Some(1.0 + of.share),
        interval: of.interval.map(|(lower, upper)| (1.0 + lower, 1.0 + upper)),
        note: format!("{} {}", share(of.share), of.verdict).trim_end().to_owned(),
    };
    Bars {
        title: title.into(),
        desc: "The head's figure as a multiple of the base's; the caption says which side of 1 is better.".into(),
        x: axis("head over base", Scale::Log, Unit::Ratio),
        rows: all.iter().map(row).collect(),
        band: margin.map(|margin| (1.0 / (1.0 + margin), 1.0 + margin)),
        line: Some(1.0),
    }
}

/// Returns a series over its runs, with its steps.
pub(super) fn over_time(title: &str, series: &history::Series) -> Plot {
    let points: Vec<Point> = series
        .points
        .iter()
        .enumerate()
        .map(|(index, of)| Point {
            x: (index + 1) as f64,
            y: of.value,
            lower: of.lower,
            upper: of.upper,
            after_gap: false,
        })
        .collect();
    let every = series.points.len().div_ceil(6).max(1);
    let ticks = series.points.iter().enumerate().step_by(every).map(|(index, of)| {
        // The day of the run: its time stands in the table.
        ((index + 1) as f64, super::name(&of.started).chars().take(10).collect())
    });
    let unit = match series.metric {
        _ if series.anchor.is_some() => Unit::Ratio,
        Metric::Memory => Unit::Bytes,
        Metric::Requests => Unit::PerSecond,
        _ => Unit::Nanoseconds,
    };
    let step = |step: &history::Step| Mark {
        at: step.index as f64 + 0.5,
        within: None,
        label: share(step.ratio - 1.0),
        note: format!("step of {} from run {} on", share(step.ratio - 1.0), super::name(&step.run)),
    };
    Plot {
        title: title.into(),
        desc: format!(
            "{}, the oldest first, with {} marked.",
            counted(series.points.len(), "run"),
            counted(series.steps.len(), "step")
        ),
        x: Axis { ticks: ticks.collect(), ..axis("run", Scale::Linear, Unit::Count) },
        y: axis(super::past::axis(series), Scale::Linear, unit),
        series: vec![Series { name: String::new(), index: 0, points }],
        marks: series.steps.iter().map(step).collect(),
        ..Plot::default()
    }
}
