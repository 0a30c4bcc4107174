//! The Universal Scalability Law, fitted to each line with enough points: it shows where more concurrency stops helping.
//! And how near lines come to their bounds.

use super::{
    lines::{Line, by_workers, words},
    parts::{Data, Table, name, reason},
    speed::{all_at, scale_over_workers},
    workload::{by_scale, own_figure},
};
use crate::{
    output::{count, fine_percent, rate},
    record::{Cell, Estimate, State},
    stats::{Fitted, USL_POINTS, Usl, usl_by_variance},
};

/// The load that the law is fitted over.
#[derive(Clone, Copy)]
enum Over {
    /// Over the scale, which is called so.
    Scale(&'static str),
    /// Over workers, at this scale, which is called so.
    Workers(usize, &'static str),
}

/// A load and its throughput.
type Loaded = (f64, Estimate);

/// Returns the points of a line over its scales.
pub(super) fn points(line: &Line) -> Vec<Loaded> {
    let point = |cell: &Cell| Some((cell.scale as f64, own_figure(cell)?));
    line.measured_cells().filter_map(point).collect()
}

/// Returns throughput with its standard deviation: a quarter of the interval's width, but at least 1 %, because the law
/// is not more exact than that. A point without an interval gets the greatest deviation of the others.
fn with_deviations(points: &[Loaded]) -> Vec<(f64, f64, f64)> {
    let share = |of: &Estimate| of.half_percent().map(|half| (half / 200.0).max(0.01));
    let most = points.iter().filter_map(|(_, of)| share(of)).fold(0.01, f64::max);
    points.iter().map(|(n, of)| (*n, of.value, share(of).unwrap_or(most) * of.value)).collect()
}

/// Returns the fit of each line, or why it has none; `None` if no line has enough points.
pub(super) fn table(workload: &str, lines: &[Line]) -> Option<Table> {
    let mut table = Table::new(
        format!("{}: the Universal Scalability Law", name(workload)),
        "model | over | points | contention σ | coherency κ | predicted peak | R² | why not",
    )
    .with_prose(&[7]);
    let (_, at) = words(lines.iter().flat_map(|line| line.cells.iter().copied()));
    for line in lines {
        let points = points(line);
        if points.len() >= USL_POINTS {
            table.rows.push(row(&line.name, Over::Scale(at), &points));
        }
    }
    // All models at one scale, so that only the workers vary.
    let scale = scale_over_workers(lines);
    for (model, of) in by_workers(lines) {
        if of.len() < USL_POINTS {
            continue;
        }
        table.rows.push(match scale.filter(|scale| all_at(&of, *scale)) {
            Some(scale) => row(&name(model), Over::Workers(scale, at), &over_workers(&of, scale)),
            None => without(&name(model), scale, at),
        });
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Returns how near each line comes to its bound, or nothing where no bound is known.
pub(super) fn of_bound(workload: &str, lines: &[Line], scales: &[usize]) -> Option<Table> {
    let share = |line: &Line, scale: usize| {
        line.at(scale).filter(|cell| cell.state == State::Ok)?.share_of_bound()
    };
    let caption = format!(
        "{}: how near each comes to its bound, the most that the job's waits, the cores and an offered rate allow",
        name(workload)
    );
    let bounded = |line: &&Line| scales.iter().any(|scale| share(line, *scale).is_some());
    let table = by_scale(caption, lines.iter().filter(bounded), scales, |line, place| {
        share(line, scales[place]).map_or_else(Data::default, |of| Data::of(fine_percent(of)))
    });
    (!table.rows.is_empty()).then_some(table)
}

/// Returns the points of one model over its worker counts, at this scale.
fn over_workers(of: &[&Line], scale: usize) -> Vec<Loaded> {
    let point = |line: &&Line| Some((line.workers? as f64, own_figure(line.at(scale)?)?));
    of.iter().filter_map(point).collect()
}

/// Returns the row of a model without figures at the common scale.
fn without(model: &str, scale: Option<usize>, at: &str) -> Vec<Data> {
    let why = match scale {
        Some(scale) => {
            format!("not every number of workers has a figure at {} {at}", count(scale))
        }
        None => format!("the models share no scale of as many {at} as workers"),
    };
    let mut row = vec![model.into(), Data::of("workers").class("l")];
    row.resize(7, Data::default());
    row.push(why.into());
    row
}

fn row(line: &str, over: Over, points: &[Loaded]) -> Vec<Data> {
    let over = match over {
        Over::Scale(at) => at.into(),
        Over::Workers(scale, at) => format!("workers, at {} {at}", count(scale)),
    };
    let mut row = vec![line.into(), Data::of(over).class("l"), count(points.len()).into()];
    match usl_by_variance(&with_deviations(points)) {
        Ok(law) => row.extend(fitted(&law)),
        Err(why) => {
            row.extend([Data::default(), Data::default(), Data::default(), Data::default()]);
            row.push(reason(Some(&why)).into());
        }
    }
    row
}

fn fitted(law: &Usl) -> Vec<Data> {
    let share = |of: Fitted| Data {
        text: format!("{:.2} %", of.value * 100.0),
        more: format!("{:.2} to {:.2} %", of.lower * 100.0, of.upper * 100.0),
        ..Data::default()
    };
    let peak = law.peak.map_or_else(
        || Data::of("none: it never falls"),
        |peak| {
            let beyond =
                if peak.at.value > law.measured_to { ", beyond what was measured" } else { "" };
            Data {
                text: format!(
                    "{} per second at {}",
                    rate(peak.throughput.value),
                    rate(peak.at.value)
                ),
                more: format!("{}{beyond}", range(peak.at)),
                ..Data::default()
            }
        },
    );
    vec![
        share(law.sigma),
        per_pair(law.kappa),
        peak,
        format!("{:.3}", law.r_squared).into(),
        Data::default(),
    ]
}

/// Formats where a peak may be; an interval without an upper end is open.
fn range(at: Fitted) -> String {
    match (at.lower > 0.0, at.upper.is_finite()) {
        (true, true) => format!("{} to {}", rate(at.lower), rate(at.upper)),
        (true, false) => format!("{} or more", rate(at.lower)),
        (false, true) => format!("{} or less", rate(at.upper)),
        (false, false) => "may be anywhere".into(),
    }
}

/// Formats κ, which is small and has no unit, in powers of ten.
fn per_pair(of: Fitted) -> Data {
    let shown = |value: f64| if value == 0.0 { "0".into() } else { format!("{value:.1e}") };
    Data {
        text: shown(of.value),
        more: format!("{} to {}", shown(of.lower), shown(of.upper)),
        ..Data::default()
    }
}
