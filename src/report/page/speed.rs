//! What more workers gain.

use super::{
    charts,
    lines::Line,
    overview::with_interval,
    parts::{Figure, Picture, Table, name},
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
            let ratio = Estimate {
                value: jobs.value / base.value,
                lower: jobs.lower / base.upper,
                upper: jobs.upper / base.lower,
            };
            let ratio = if workers == fewest {
                Estimate { value: 1.0, lower: 1.0, upper: 1.0 }
            } else {
                ratio
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
