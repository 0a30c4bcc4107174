//! The Universal Scalability Law, fitted to each line that has points enough: where more at once stops to help.

use super::{
    lines::Line,
    parts::{Data, Table, name, reason},
};
use crate::{
    record::State,
    report::{count, rate},
    stats::{Fitted, USL_POINTS, Usl, usl},
};

/// What is fitted over.
#[derive(Clone, Copy)]
enum Over {
    Scale,
    Workers,
}

/// The points of a line over its scales.
pub(super) fn points(line: &Line) -> Vec<(f64, f64)> {
    let point = |cell: &crate::record::Cell| Some((cell.scale as f64, cell.jobs_per_second?.value));
    line.measured().filter_map(point).collect()
}

/// What was fitted to each line, and why nothing was to others; nothing where no line has points enough.
pub(super) fn table(workload: &str, lines: &[Line]) -> Option<Table> {
    let mut table = Table::new(
        format!("{}: the Universal Scalability Law", name(workload)),
        &[
            "model",
            "over",
            "points",
            "contention σ",
            "coherency κ",
            "predicted peak",
            "R²",
            "why not",
        ],
    )
    .with_prose(&[7]);
    for line in lines {
        let points = points(line);
        if points.len() >= USL_POINTS {
            table.rows.push(row(&line.name, Over::Scale, &points));
        }
    }
    for (model, points) in by_workers(lines) {
        if points.len() >= USL_POINTS {
            table.rows.push(row(&name(model), Over::Workers, &points));
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// The points of each model over its numbers of workers, at the greatest scale that all have.
fn by_workers<'a>(lines: &[Line<'a>]) -> Vec<(&'a str, Vec<(f64, f64)>)> {
    let mut models: Vec<&str> = lines.iter().map(|line| line.model).collect();
    models.dedup();
    let of_model = |model: &'a str| {
        let of: Vec<&Line> =
            lines.iter().filter(|line| line.model == model && line.workers.is_some()).collect();
        let at = |line: &Line, scale: usize| {
            let cell = line.at(scale).filter(|cell| cell.state == State::Ok)?;
            Some((line.workers? as f64, cell.jobs_per_second?.value))
        };
        let scales = of
            .first()
            .map(|line| line.cells.iter().map(|cell| cell.scale).collect::<Vec<_>>())
            .unwrap_or_default();
        let scale =
            scales.into_iter().rev().find(|scale| of.iter().all(|line| at(line, *scale).is_some()));
        let points = scale.map(|scale| of.iter().filter_map(|line| at(line, scale)).collect());
        (model, points.unwrap_or_default())
    };
    models.into_iter().map(of_model).collect()
}

fn row(line: &str, over: Over, points: &[(f64, f64)]) -> Vec<Data> {
    let over = match over {
        Over::Scale => "jobs at once",
        Over::Workers => "workers",
    };
    let mut row = vec![line.into(), Data::of(over).class("l"), count(points.len()).into()];
    match usl(points) {
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
            let most = |end: f64| if end.is_finite() { rate(end) } else { "none".into() };
            let beyond =
                if peak.at.value > law.measured_to { ", beyond what was measured" } else { "" };
            Data {
                text: format!(
                    "{} per second at {}",
                    rate(peak.throughput.value),
                    rate(peak.at.value)
                ),
                more: format!("{} to {}{beyond}", rate(peak.at.lower), most(peak.at.upper)),
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

/// κ is small and has no usual unit: in powers of ten.
fn per_pair(of: Fitted) -> Data {
    let shown = |value: f64| if value == 0.0 { "0".into() } else { format!("{value:.1e}") };
    Data {
        text: shown(of.value),
        more: format!("{} to {}", shown(of.lower), shown(of.upper)),
        ..Data::default()
    }
}
