//! What more workers gain.

use super::{
    charts,
    lines::Line,
    overview::with_interval,
    parts::{Data, Figure, Picture, Table, name},
    workload::figure,
};
use crate::{
    record::Estimate,
    report::{count, rate},
};

/// Jobs a second with more workers, over those with the fewest, at the greatest scale that all have.
pub(super) fn speed_up(lines: &[Line]) -> Option<Figure> {
    let mut table = Table::new(
        "Speed-up over workers",
        &["model", "jobs at once", "workers", "jobs per second", "speed-up", "share of the ideal"],
    );
    let mut drawn: Vec<charts::SpeedUp> = Vec::new();
    let mut models: Vec<&str> = lines.iter().map(|line| line.model).collect();
    models.dedup();
    for model in models {
        let of: Vec<&Line> =
            lines.iter().filter(|line| line.model == model && line.workers.is_some()).collect();
        if of.len() < 2 {
            continue;
        }
        let everywhere =
            |scale: &usize| of.iter().all(|line| line.at(*scale).and_then(figure).is_some());
        let Some(scale) = of[0].cells.iter().map(|cell| cell.scale).rev().find(everywhere) else {
            continue;
        };
        let base = of[0].at(scale).and_then(figure)?;
        let fewest = of[0].workers.unwrap_or(1);
        let mut up = charts::SpeedUp { name: name(model), style: of[0].style, points: vec![] };
        for line in &of {
            let (Some(jobs), Some(workers)) = (line.at(scale).and_then(figure), line.workers)
            else {
                continue;
            };
            let ratio = if workers == fewest {
                Estimate { value: 1.0, lower: 1.0, upper: 1.0 }
            } else {
                over(jobs, base)
            };
            up.points.push((workers, ratio));
            let ideal = workers as f64 / fewest as f64;
            table.rows.push(vec![
                name(model).into(),
                count(scale).into(),
                workers.to_string().into(),
                with_interval(Some(jobs), &rate),
                with_interval(Some(ratio), &|value| format!("{value:.2}×")),
                format!("{:.0} %", ratio.value / ideal * 100.0).into(),
            ]);
        }
        drawn.push(up);
    }
    (!drawn.is_empty()).then(|| Figure {
        id: String::new(),
        title: "Speed-up over workers".into(),
        kind: "speed-up",
        picture: Some(Picture::Plot(charts::speed_up(&drawn))),
        caption: "Throughput with more workers over that with the fewest, at the greatest scale that all have. The dotted \
                  line is the ideal: twice the workers, twice the jobs. Bars are as far as both intervals allow."
            .into(),
        table,
        open: false,
    })
}

/// How many times as much, as far as both intervals allow.
fn over(jobs: Estimate, base: Estimate) -> Estimate {
    Estimate {
        value: jobs.value / base.value,
        lower: jobs.lower / base.upper,
        upper: jobs.upper / base.lower,
    }
}

/// Of jobs that only compute: each model over the sequential program of its own language, or over its own single worker
/// where that language has none here; at the greatest scale that both have.
pub(super) fn over_sequential(lines: &[Line]) -> Option<Figure> {
    let computes =
        |line: &Line| line.cells.iter().all(|cell| cell.floor_ns == 0 && cell.load.is_none());
    let several = lines.iter().any(|line| line.workers.is_some_and(|workers| workers > 1));
    if !several || !lines.iter().all(computes) {
        return None;
    }
    let mut table = Table::new(
        "Speed-up over the sequential program of the same language",
        &["model", "language", "compared with", "jobs at once", "jobs per second", "speed-up"],
    );
    let mut bars: Vec<charts::Times> = Vec::new();
    for line in lines {
        let Some(base) = sequential(lines, line) else { continue };
        let both =
            |scale: &usize| line.at(*scale).and_then(figure).zip(base.at(*scale).and_then(figure));
        let mut scales = line.cells.iter().map(|cell| cell.scale).rev();
        let Some((scale, (jobs, of_base))) = scales.find_map(|s| Some((s, both(&s)?))) else {
            continue;
        };
        let times = over(jobs, of_base);
        if !times.value.is_finite() {
            continue;
        }
        table.rows.push(vec![
            line.name.clone().into(),
            Data::of(line.language).class("l"),
            Data::of(base.name.clone()).class("l"),
            count(scale).into(),
            with_interval(Some(jobs), &rate),
            with_interval(Some(times), &|value| format!("{value:.2}×")),
        ]);
        bars.push(charts::Times { name: line.name.clone(), style: line.style, ratio: times });
    }
    (!bars.is_empty()).then(|| Figure {
        id: String::new(),
        title: "Speed-up over the sequential program of the same language".into(),
        kind: "over-sequential",
        picture: Some(Picture::Bars(charts::over_sequential(&bars))),
        caption: "An event loop is no speed-up for jobs that compute: its bar ends near 1. The ideal is as many times as there \
                  are workers, on as many cores."
            .into(),
        table,
        open: false,
    })
}

/// What a line is compared with: not with itself.
fn sequential<'l, 'a>(lines: &'l [Line<'a>], line: &Line<'a>) -> Option<&'l Line<'a>> {
    let same = |other: &&Line| other.language == line.language;
    let plain = lines.iter().filter(same).find(|other| other.model.ends_with("sequential"));
    let base = plain.or_else(|| {
        lines.iter().find(|other| other.model == line.model && other.workers == Some(1))
    })?;
    (base.model != line.model || base.workers != line.workers).then_some(base)
}
