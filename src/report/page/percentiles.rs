//! Latency by percentile.

use super::{
    charts,
    lines::{Line, left_out},
    overview::{nanoseconds, with_interval},
    parts::{Data, Figure, Picture, Table},
};
use crate::{
    output::{count, counted, listed},
    record::{Cell, Estimate, MOSTLY_LATE, State, are_loads, late_mark},
};
use paceline_core::histogram::Distribution;

/// Returns latency by percentile, at the greatest scale that most models have.
pub(super) fn figure<'l, 'a>(lines: &[&'l Line<'a>], scales: &[usize]) -> Option<Figure> {
    let at = |scale: usize| -> Vec<(&Line, &Distribution)> {
        let latency = |line: &'l Line<'a>| -> Option<(&Line, &Distribution)> {
            let cell = line.at(scale).filter(|cell| cell.state == State::Ok)?;
            Some((line, cell.latency.as_ref()?))
        };
        lines.iter().filter_map(|line| latency(line)).collect()
    };
    let most = scales.iter().map(|scale| at(*scale).len()).max().filter(|most| *most > 0)?;
    let scale = scales.iter().copied().rev().find(|scale| at(*scale).len() * 2 >= most)?;
    let of = at(scale);
    let cells: Vec<&Cell> = of.iter().filter_map(|(line, _)| line.at(scale)).collect();
    let (many, what) = if are_loads(&cells) {
        (counted(scale, "connection"), "requests")
    } else {
        (format!("{} at once", count(scale)), "jobs")
    };
    let unread: Vec<String> = of
        .iter()
        .filter(|(_, latency)| latency.histogram().is_err())
        .map(|(line, _)| line.name.clone())
        .collect();
    let damaged = if unread.is_empty() {
        String::new()
    } else {
        format!(" Not drawn, for the histogram in the record is damaged: {}.", listed(&unread, 12))
    };
    let elsewhere = |line: &&&Line| {
        let here = of.iter().any(|(one, _)| std::ptr::eq(*one, **line));
        !here && line.measured_cells().any(|cell| cell.latency.is_some())
    };
    let without: Vec<String> =
        lines.iter().filter(elsewhere).map(|line| line.name.clone()).collect();
    let mut table = Table::new(
        format!("Latency at {many}"),
        &format!(
            "model | {what} | mean p50 | mean p99 | pooled p50 | pooled p90 | pooled p99 | pooled p99.9 | max | pooled service \
             time p99 | pooled sleep late p50"
        ),
    );
    for (line, latency) in &of {
        let ns = |ns: u64| Data::of(nanoseconds(ns as f64));
        let known = |of: Option<u64>| of.map_or_else(Data::default, ns);
        let cell = line.at(scale);
        let late = cell.map(Cell::latencies_of_the_generator).unwrap_or_default();
        let mark = |name: &str, of: Data| {
            let mark = if of.text.is_empty() { "" } else { late_mark(&late, name) };
            Data { text: format!("{mark}{}", of.text), ..of }
        };
        let estimate =
            |of: fn(&Cell) -> Option<Estimate>| with_interval(cell.and_then(of), &nanoseconds);
        let service = cell.and_then(|cell| cell.service_time.as_ref());
        let sleeps = cell.and_then(|cell| cell.timer_lateness.as_ref());
        table.rows.push(vec![
            line.name.clone().into(),
            count(latency.count as usize).into(),
            mark("p50", estimate(|cell| cell.latency_ns_p50)),
            mark("p99", estimate(|cell| cell.latency_ns_p99)),
            mark("p50", ns(latency.ns_p50)),
            mark("p90", known(latency.p90())),
            mark("p99", known(latency.p99())),
            mark("p99.9", known(latency.p999())),
            mark("max", ns(latency.ns_max)),
            known(service.and_then(Distribution::p99)),
            sleeps.map_or_else(Data::default, |of| ns(of.ns_p50)),
        ]);
    }
    let late = if table.has_marks() {
        format!(" {MOSTLY_LATE}, so it says little of the server.")
    } else {
        String::new()
    };
    Some(Figure {
        title: format!("Latency by percentile, {many}"),
        kind: "latency",
        picture: Some(Picture::Plot(charts::percentiles(&of))),
        caption: format!(
            "Lower is better. Latency counts from when a job was due, not from when a worker came to it: what waits in a \
             queue is charged for it. The axis stretches towards 100 %, so that the tail can be seen. Lines and \
             pooled figures are of all trials together; the means are of the trials' percentiles, with their intervals, as \
             in other tables. A percentile takes 10 latencies beyond it.{late}{}{damaged}",
            left_out(&without)
        ),
        table,
        ..Figure::default()
    })
}
