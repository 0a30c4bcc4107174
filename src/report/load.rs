//! The table of servers under load.

mod ranks;
mod remarks;

pub(super) use ranks::{legend as rank_legend, marks as rank_marks};
pub(super) use remarks::{few_trials, late_remark};

use std::fmt::Write;

use super::{
    table::{Extent, in_order, missing_under_load, notes},
    unreliable::footnotes,
};
use crate::{
    load::{METRICS, Metric, MetricUnit},
    output::{
        columns, count, figures_table, fine_percent, folded, long_ns, long_ns_f64, plain_lines,
        rate, shorten,
    },
    record::{Cell, Knee, LEAST, LoadFigures, Loop, MOSTLY_LATE, State, UrlFigures, late_mark},
};

/// The longest first error that a table shows whole, in characters: one of the generator's sentences and the beginning
/// of an answer.
const SENTENCE: usize = 800;

/// The meaning of the columns.
const NOTE: &str = "latency counts from the intended start, or in a closed loop from the end of the previous \
     answer; p50 and p99 are means of the trials', the rest is of all latencies together; a percentile takes 10 beyond \
     it; req/s: right answers per second; errors have no latency; late p99: how late the generator started requests; past \
     1 ms, or at 95 % of a CPU, a cell is invalid";

/// Returns the meaning of the columns; `None` where none of `cells` has a row.
pub(super) fn note<'c>(cells: impl IntoIterator<Item = &'c Cell>) -> Option<&'static str> {
    cells.into_iter().any(has_row).then_some(NOTE)
}

/// Metrics that a short table omits.
const DETAILS: [&str; 6] = ["of bound", "latencies", "p90", "service p99", "generator", "gens"];

/// Returns a row for each model, and below it the cells without a figure, with the reason.
pub fn load_table<'c>(cells: impl IntoIterator<Item = &'c Cell>, extent: Extent) -> String {
    let cells: Vec<&Cell> = cells.into_iter().collect();
    let mut text = String::new();
    for workload in in_order(cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Cell> = cells.iter().copied().filter(|c| c.workload == workload).collect();
        let generators = of[0].load.as_ref().map_or(1, LoadFigures::generators);
        let several =
            if generators > 1 { format!(", {generators} generators") } else { String::new() };
        let _ = writeln!(text, "\n{workload}: {}{several}", described(of[0]));
        let shown: Vec<&Metric> = METRICS
            .iter()
            .filter(|metric| matches!(extent, Extent::All) || !DETAILS.contains(&metric.name))
            .collect();
        let marks: Vec<Vec<&str>> = shown.iter().map(|one| ranks::marks(&of, one)).collect();
        let rows = of.iter().enumerate().filter_map(|(place, cell)| {
            let marks: Vec<&str> = marks.iter().map(|column| column[place]).collect();
            row(cell, &shown, &marks)
        });
        let rows: Vec<Vec<String>> = rows.collect();
        if !rows.is_empty() {
            let head: Vec<&str> =
                std::iter::once("model").chain(shown.iter().map(|metric| metric.name)).collect();
            let _ = writeln!(text, "{}", figures_table(&head, &rows));
        }
        if let Some(line) = least_legend(of.iter().copied()) {
            let _ = writeln!(text, "{line}");
        }
        if let Some(line) = ranks::legend(&of) {
            let _ = writeln!(text, "{line}");
        }
        remarks::nodes(&mut text, &of);
        match extent {
            Extent::Short => {
                for line in missing_under_load(&of) {
                    let _ = writeln!(text, "{line}");
                }
            }
            Extent::All => text.push_str(&notes(&of)),
        }
        for cell in &of {
            if let Some(line) = errors(cell) {
                let _ = writeln!(text, "  {line}");
            }
            if let Some(load) = cell.load.as_ref().filter(|_| cell.state == State::Ok) {
                text.push_str(&by_url(load));
            }
            if let Some(knee) = cell.load.as_ref().and_then(|load| load.knee.as_ref()) {
                let _ = writeln!(text, "{}", stairs(cell, knee));
            }
            if extent == Extent::All {
                remarks::process(&mut text, cell);
            }
            remarks::remarks(&mut text, cell);
        }
    }
    text.push_str(&footnotes(cells.iter().map(|cell| cell.model.as_str())));
    if let Some(note) = note(cells.iter().copied()) {
        let _ = writeln!(text, "\n{note}");
    }
    // Blocks of a table are never wider than the terminal.
    folded(&plain_lines(&text))
}

fn described(cell: &Cell) -> String {
    let Some(load) = &cell.load else { return String::new() };
    let seconds = load.duration_seconds;
    match (load.looped, load.rate) {
        _ if load.knee.is_some() => {
            format!(
                "open loop, the highest rate whose p99 stays within its limit, steps of {seconds} s"
            )
        }
        _ if let Some(ramp) = load.ramp => {
            let (from, to) = (rate(ramp.from), rate(ramp.to));
            format!("open loop, from {from} to {to} requests per second over {seconds} s")
        }
        (Loop::Open, Some(per_second)) => {
            let arrivals = load.arrivals.map(|spread| format!("{spread:?}").to_lowercase());
            let (arrivals, per_second) = (arrivals.unwrap_or_default(), rate(per_second));
            format!("open loop, {per_second} requests per second, {arrivals}, {seconds} s")
        }
        _ => format!("closed loop, which hides queueing, {seconds} s"),
    }
}

/// Returns whether the cell is a load with figures.
fn has_row(cell: &Cell) -> bool {
    cell.state == State::Ok && cell.latency.is_some() && cell.load.is_some()
}

fn row(cell: &Cell, metrics: &[&Metric], marks: &[&str]) -> Option<Vec<String>> {
    has_row(cell).then(|| {
        let figure = |(metric, mark): (&&Metric, &&str)| format!("{mark}{}", shown(metric, cell));
        let figures = metrics.iter().zip(marks).map(figure);
        std::iter::once(cell.model.clone()).chain(figures).collect()
    })
}

/// Returns what the mark of the least rate means, if one of `cells` has it.
pub(super) fn least_legend<'c>(cells: impl IntoIterator<Item = &'c Cell>) -> Option<&'static str> {
    cells.into_iter().any(|cell| !cell.least_mark().is_empty()).then_some(LEAST)
}

/// Formats a metric of a cell for tables, with its mark; empty if it was not measured.
pub(super) fn shown(metric: &Metric, cell: &Cell) -> String {
    metric.of(cell).map_or_else(String::new, |value| {
        let value = match metric.unit {
            MetricUnit::Time => long_ns_f64(value),
            MetricUnit::Rate => rate(value),
            MetricUnit::Share => fine_percent(value),
            MetricUnit::Count => count(value as usize),
        };
        let least = if metric.name == "req/s" { cell.least_mark() } else { "" };
        format!("{}{least}{value}", late_mark(&cell.latencies_of_the_generator(), metric.name))
    })
}

/// Returns "tokio: 31 of 1 000 requests were errors: 20 status 503, 11 timeout; …"; `None` without errors.
pub(super) fn errors(cell: &Cell) -> Option<String> {
    let load = cell.load.as_ref().filter(|_| cell.state == State::Ok)?;
    let times = load.error_latency.as_ref()?;
    let kinds =
        load.errors.iter().map(|(kind, number)| format!("{} {kind}", count(*number as usize)));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let first = load
        .first_error
        .as_deref()
        .map_or_else(String::new, |why| format!("; the first: {}", shorten(why, SENTENCE)));
    Some(format!(
        "{}: {} of {} requests were errors: {kinds}; they took {} in the median and {} at most{first}",
        cell.server_name(),
        count(load.failed() as usize),
        count(load.offered as usize),
        long_ns(times.ns_p50),
        long_ns(times.ns_max)
    ))
}

/// The columns of a table of URLs. Errors are a share, as in the table of servers. Percentiles are of all trials
/// together: one trial may have few latencies of a URL.
pub(super) const BY_URL: &str = "URL | weight | latencies | errors | p50 of all | p99 of all | max";

/// Returns a URL of `load` as fields of [`BY_URL`], with marks. A latency that was not measured is empty.
pub(super) fn of_url(url: &UrlFigures, load: &LoadFigures) -> Vec<String> {
    let late = url.mostly_late(load.schedule_error.as_ref());
    let ns = |name: &str, ns: Option<u64>| {
        ns.map_or_else(String::new, |ns| format!("{}{}", late_mark(&late, name), long_ns(ns)))
    };
    vec![
        url.name(),
        count(url.weight as usize),
        count(url.completed as usize),
        url.error_share().map_or_else(String::new, fine_percent),
        ns("p50", url.latency_ns_p50),
        ns("p99", url.latency_ns_p99),
        ns("max", url.latency_ns_max),
    ]
}

/// Returns whether a latency of a URL has the mark.
pub(super) fn has_late_url(load: &LoadFigures) -> bool {
    let late = load.schedule_error.as_ref();
    load.by_url.iter().any(|url| !url.mostly_late(late).is_empty())
}

/// Returns a row for each URL that was requested by weight.
fn by_url(load: &LoadFigures) -> String {
    if load.by_url.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = load.by_url.iter().map(|url| of_url(url, load)).collect();
    let mark = if has_late_url(load) { format!("  {MOSTLY_LATE}\n") } else { String::new() };
    figures_table(&columns(BY_URL), &rows) + "\n" + &mark
}

/// Returns "tokio: p99 stays within 10.0 ms up to 12.3k requests per second; …".
fn stairs(cell: &Cell, knee: &Knee) -> String {
    let kept = cell.load.as_ref().and_then(|load| load.rate).unwrap_or(0.0);
    let first_over = knee.steps.iter().filter(|step| step.gave_way.is_some() && step.rate > kept);
    let first_over = first_over.min_by(|a, b| a.rate.total_cmp(&b.rate));
    let limit = long_ns(knee.limit_ns);
    let over = first_over.map_or_else(
        || "; no higher rate is tried".into(),
        |step| {
            let why = step.gave_way.clone().unwrap_or_default();
            format!("; at {} offered per second: {why}", rate(step.rate))
        },
    );
    format!(
        "  {}: {} within {limit} up to {}{} offered requests per second{over}",
        cell.model,
        if cell.latency_ns_p99.is_some() { "p99 stays" } else { "all latencies stay" },
        if knee.is_least() { "at least " } else { "" },
        rate(kept)
    )
}
