//! Servers at several rates: their tail, and where it gave way.

use super::{
    charts::{self, Loaded},
    lines::Line,
    overview::{nanoseconds, with_interval},
    parts::{Figure, Picture, Table, reason},
};
use crate::{
    record::{Cell, Estimate, Knee, State},
    report::rate,
};

/// Latency over the offered rate, with the knee, of servers.
pub(super) fn under_load(lines: &[&Line]) -> Option<Figure> {
    let mut table = Table::new(
        "Every rate that was tried",
        &["model", "requests per second", "p99 latency", "kept", "why not"],
    )
    .with_prose(&[4]);
    let mut drawn: Vec<Loaded> = Vec::new();
    for line in lines {
        let mut loaded = Loaded {
            name: line.name.clone(),
            style: line.style,
            points: vec![],
            knee: None,
            limit_ns: None,
        };
        for cell in &line.cells {
            match cell.load.as_ref().and_then(|load| load.knee.as_ref()) {
                Some(knee) => searched(knee, &mut loaded, &mut table),
                None => offered(cell, &mut loaded, &mut table),
            }
        }
        loaded.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if !loaded.points.is_empty() {
            drawn.push(loaded);
        }
    }
    (!drawn.is_empty()).then(|| Figure {
        id: String::new(),
        title: "p99 latency over the offered rate".into(),
        kind: "load",
        picture: Some(Picture::Plot(charts::under_load(&drawn))),
        caption: "Requests start at times set beforehand, whatever becomes of those before: a server that stalls is \
                  charged for all that it keeps waiting. The marked rate is the highest that was kept."
            .into(),
        table,
        open: false,
    })
}

/// Every rate of a search.
fn searched(knee: &Knee, loaded: &mut Loaded, table: &mut Table) {
    loaded.limit_ns = Some(knee.limit_ns as f64);
    for step in &knee.steps {
        let kept = step.gave_way.is_none();
        table.rows.push(vec![
            loaded.name.clone().into(),
            rate(step.rate).into(),
            step.latency_ns_p99.map_or_else(String::new, nanoseconds).into(),
            if kept { "yes" } else { "no" }.into(),
            reason(step.gave_way.as_deref()).into(),
        ]);
        let alone = |p99: f64| Estimate { value: p99, lower: p99, upper: p99 };
        loaded.points.extend(step.latency_ns_p99.map(|p99| (step.rate, alone(p99))));
        if kept {
            loaded.knee = Some(loaded.knee.map_or(step.rate, |rate: f64| rate.max(step.rate)));
        }
    }
}

/// The one rate of a cell in the open loop.
fn offered(cell: &Cell, loaded: &mut Loaded, table: &mut Table) {
    let p99 = cell.latency_ns_p99.filter(|_| cell.state == State::Ok);
    let offered = cell.load.as_ref().and_then(|load| load.rate);
    let (Some(offered), Some(p99)) = (offered, p99) else { return };
    table.rows.push(vec![
        loaded.name.clone().into(),
        rate(offered).into(),
        with_interval(Some(p99), &nanoseconds),
        "yes".into(),
        "".into(),
    ]);
    loaded.points.push((offered, p99));
}
