//! Which model, when: sentences on each workload with the figures that they follow from.

use std::time::Duration;

use askama::Template;

use super::parts::{Data, Table, name};
use crate::{
    advice::{Advice, AtScale, Figure, Series, advise},
    output::{count, cut, long, rate},
    record::{Cell, Estimate, Metric},
    report::{advice_in_short, gate::figure, table::series_name},
};

/// What to take for one workload.
#[derive(Template)]
#[template(path = "take.html")]
pub(super) struct WorkloadSummary {
    pub(super) workload: String,
    /// The section with its charts.
    pub(super) id: String,
    pub(super) sentences: Vec<String>,
    pub(super) table: Table,
    /// What the sentences follow from; the charts mark its crossings.
    pub(super) advice: Advice,
}

impl WorkloadSummary {
    /// Of the cells of one workload.
    pub(super) fn of(workload: &str, id: String, cells: &[&Cell]) -> Self {
        let owned: Vec<Cell> = cells.iter().map(|cell| (*cell).clone()).collect();
        let advice = advise(&owned);
        let sentences = advice_in_short(&advice, false).iter().map(|text| cut(text, 600)).collect();
        WorkloadSummary { workload: name(workload), id, sentences, table: table(&advice), advice }
    }
}

/// At each scale what is recommended, with its figures, and the best of each measure.
fn table(advice: &Advice) -> Table {
    let mut table = Table::new(
        format!("{}: what to take at each scale, and its figures", name(&advice.workload)),
        "jobs at once | take | jobs per second | p99 latency | most memory | as good: surely less than 5 % behind",
    )
    .with_prose(&[5]);
    for at in &advice.scales {
        table.rows.push(row(at));
    }
    table
}

fn row(at: &AtScale) -> Vec<Data> {
    let scale = Data::of(count(at.scale));
    let Some(take) = at.recommended.first() else {
        let why = if at.throughput.is_empty() { "no figure" } else { "not ranked" };
        let best =
            at.throughput.iter().map(|figure| figure.estimate.value).fold(f64::NAN, f64::max);
        let best = if best.is_finite() { format!("up to {}", rate(best)) } else { String::new() };
        return vec![scale, why.into(), best.into(), "".into(), "".into(), "".into()];
    };
    let of = |figures: &[Figure]| -> Option<Estimate> {
        figures.iter().find(|figure| figure.series == take.series).map(|figure| figure.estimate)
    };
    let kept: Vec<String> =
        at.keeping_up.iter().filter(|one| **one != take.series).map(called).collect();
    let all = at.recommended.iter().map(|one| called(&one.series)).collect::<Vec<_>>();
    vec![
        scale,
        Data::of(all.join(" or ")).class("l best"),
        with_interval(of(&at.throughput), &rate),
        with_interval(of(&at.p99), &nanoseconds),
        with_interval(of(&at.memory), &bytes),
        kept.join(", ").into(),
    ]
}

fn called(series: &Series) -> String {
    name(&series_name(&series.model, series.workers))
}

/// A figure with its interval behind it.
pub(super) fn with_interval(of: Option<Estimate>, show: &dyn Fn(f64) -> String) -> Data {
    match of {
        Some(of) if of.value.is_finite() => {
            let ends =
                of.interval().map(|(lower, upper)| format!("{} to {}", show(lower), show(upper)));
            Data { text: show(of.value), more: ends.unwrap_or_default(), ..Data::default() }
        }
        _ => Data::default(),
    }
}

pub(super) fn nanoseconds(ns: f64) -> String {
    long(Duration::from_nanos(ns.clamp(0.0, 1e18) as u64))
}

/// `1.50 MiB`
pub(super) fn bytes(bytes: f64) -> String {
    figure(Metric::Memory, Some(bytes))
}
