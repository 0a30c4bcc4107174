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
    record::{Cell, State},
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

/// A load, its throughput, and the standard error of that as a share of it, if there are enough trials to know.
type Loaded = (f64, f64, Option<f64>);

/// The least standard error that weights a point, as a share: the law itself is not more exact. Besides, the standard error
/// of three trials is below a fifth of the true one in 4 of 100 cells, and would pin the law to that point.
const LEAST_ERROR: f64 = 0.01;

fn loaded(load: usize, cell: &Cell) -> Option<Loaded> {
    Some((load as f64, own_figure(cell)?.value, cell.error_of_rate()))
}

/// Returns the points of a line over its scales.
fn points(line: &Line) -> Vec<Loaded> {
    line.measured_cells().filter_map(|cell| loaded(cell.scale, cell)).collect()
}

/// Returns throughput with its standard error, so that weights are inverse variances, but at least [`LEAST_ERROR`]. A point
/// of too few trials gets the greatest of the others.
fn with_errors(points: &[Loaded]) -> Vec<(f64, f64, f64)> {
    let share = |of: &Option<f64>| of.map(|share| share.max(LEAST_ERROR));
    let most = points.iter().filter_map(|(.., of)| share(of)).fold(LEAST_ERROR, f64::max);
    points.iter().map(|(n, rate, of)| (*n, *rate, share(of).unwrap_or(most) * rate)).collect()
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
    let point = |line: &&Line| loaded(line.workers?, line.at(scale)?);
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
    match usl_by_variance(&with_errors(points)) {
        Ok(law) => row.extend(fitted(&law)),
        Err(why) => {
            row.extend([Data::default(), Data::default(), Data::default(), Data::default()]);
            row.push(reason(Some(&why)).into());
        }
    }
    row
}

/// Formats a contention. What is small is not shown as 0: over a million jobs at once, 0.002 % is the whole effect.
fn contention(share: f64) -> String {
    match share * 100.0 {
        percent if percent != 0.0 && percent.abs() < 0.01 => format!("{percent:.1e} %"),
        percent => format!("{percent:.2} %"),
    }
}

fn fitted(law: &Usl) -> Vec<Data> {
    let share = |of: Fitted| Data {
        text: contention(of.value),
        more: format!("{} to {}", contention(of.lower), contention(of.upper)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{Estimate, PerTrial},
        report::page::lines::lines,
    };
    use paceline_core::perform::Placement;

    #[test]
    fn a_contention_is_0_only_if_it_is() {
        let shown = [0.0, 0.000_018_7, 0.000_1, 0.123].map(contention);
        assert_eq!(shown, ["0.00 %", "1.9e-3 %", "0.01 %", "12.30 %"]);
    }

    #[test]
    fn weights_are_inverse_variances_of_the_means_and_none_pins_the_law() {
        // Standard errors: that of three trials 10 % apart, one below the least, and an unknown one.
        let trials = [
            (1, vec![90.0, 100.0, 110.0]),
            (10, vec![999.9, 1000.0, 1000.1]),
            (100, vec![9e3, 1e4]),
        ];
        let cell = |(scale, rates): (usize, Vec<f64>)| Cell {
            jobs_per_second: Estimate::of_trials(&rates, 0.0),
            per_trial: PerTrial { jobs_per_second: rates, ..PerTrial::default() },
            ..Cell::new("sleep", "tokio", scale, Some(2), Placement::Inside, State::Ok)
        };
        let cells = trials.map(cell);
        let lines = lines(&cells.iter().collect::<Vec<_>>());
        let shares: Vec<f64> =
            with_errors(&points(&lines[0])).iter().map(|(_, rate, sd)| sd / rate).collect();
        // ln 0.9, 0 and ln 1.1 have a standard deviation of 0.100378.
        let wanted = [0.057_953, 0.01, 0.057_953];
        assert!(
            shares.iter().zip(wanted).all(|(of, wanted)| (of - wanted).abs() < 1e-6),
            "{shares:?}"
        );
    }
}
