//! The table of servers under load.

use std::{fmt::Write, time::Duration};

use super::{
    table::{Extent, in_order, missing, notes},
    unreliable::footnotes,
};

use crate::{
    output::{columns, count, figures_table, folded, long, percent, plain_lines, rate},
    record::{Cell, Estimate, Knee, Loop, State},
};
use paceline_core::histogram::Distribution;

const COLUMNS: &str = "model | conns | req/s | latencies | p50 | p90 | p99 | p99.9 | max | service p99 | CPU/req | late p99 | generator";
/// What a short table has of them.
const SHORT: [usize; 9] = [0, 1, 2, 4, 6, 7, 8, 10, 11];

/// A row for each model, and under it what has no figure and why.
#[must_use]
pub fn load_table<'c>(cells: impl IntoIterator<Item = &'c Cell>, extent: Extent) -> String {
    let cells: Vec<&Cell> = cells.into_iter().collect();
    let mut text = String::new();
    for workload in in_order(cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Cell> = cells.iter().copied().filter(|c| c.workload == workload).collect();
        let _ = writeln!(text, "\n{workload}: {}", described(of[0]));
        let rows: Vec<Vec<String>> = of.iter().filter_map(|cell| row(cell)).collect();
        if !rows.is_empty() {
            let all = columns(COLUMNS);
            let chosen: Vec<usize> = match extent {
                Extent::Short => SHORT.to_vec(),
                Extent::All => (0..all.len()).collect(),
            };
            let pick = |row: &Vec<String>| chosen.iter().map(|c| row[*c].clone()).collect();
            let head: Vec<&str> = chosen.iter().map(|column| all[*column]).collect();
            let _ = writeln!(
                text,
                "{}",
                figures_table(&head, &rows.iter().map(pick).collect::<Vec<_>>())
            );
        }
        match extent {
            Extent::Short => {
                for line in missing(&of) {
                    let _ = writeln!(text, "{line}");
                }
            }
            Extent::All => text.push_str(&notes(&of)),
        }
        for cell in &of {
            if let Some(knee) = cell.load.as_ref().and_then(|load| load.knee.as_ref()) {
                let _ = writeln!(text, "{}", stairs(cell, knee));
            }
        }
    }
    text.push_str(&footnotes(cells.iter().map(|cell| cell.model.as_str())));
    text.push_str(
        "\nlatency counts from the intended start; p50 and p99 are means of the trials', the rest is of all latencies \
         together; a percentile takes 10 beyond it; late p99: how late the generator came to a start; past 1 ms, or at \
         95 % of a CPU, a cell is invalid\n",
    );
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
        (Loop::Open, Some(per_second)) => {
            let arrivals = load.arrivals.map(|spread| format!("{spread:?}").to_lowercase());
            let (arrivals, per_second) = (arrivals.unwrap_or_default(), rate(per_second));
            format!("open loop, {per_second} requests per second, {arrivals}, {seconds} s")
        }
        _ => format!("closed loop, which hides queueing, {seconds} s"),
    }
}

fn row(cell: &Cell) -> Option<Vec<String>> {
    let (latency, load) = (cell.latency.as_ref()?, cell.load.as_ref()?);
    if cell.state != State::Ok {
        return None;
    }
    let ns = |ns: u64| long(Duration::from_nanos(ns));
    let known = |of: Option<u64>| of.map_or_else(String::new, ns);
    let estimate = |of: Option<Estimate>| known(of.map(|of| of.value as u64));
    let late = known(load.schedule_error.as_ref().and_then(Distribution::p99));
    let generator = load.generator_cpu_share_max.map(percent);
    Some(vec![
        cell.model.clone(),
        load.connections.to_string(),
        cell.jobs_per_second.map_or_else(String::new, |jobs| rate(jobs.value)),
        count(latency.count as usize),
        estimate(cell.latency_ns_p50),
        known(latency.p90()),
        estimate(cell.latency_ns_p99),
        known(latency.p999()),
        ns(latency.ns_max),
        known(cell.service_time.as_ref().and_then(Distribution::p99)),
        cell.cpu_ns_per_job.map_or_else(String::new, |cpu| ns(cpu as u64)),
        late,
        generator.unwrap_or_default(),
    ])
}

/// "tokio: p99 stays within 10.0 ms up to 12.3k requests per second; …".
fn stairs(cell: &Cell, knee: &Knee) -> String {
    let kept = cell.load.as_ref().and_then(|load| load.rate).unwrap_or(0.0);
    let first_over = knee.steps.iter().filter(|step| step.gave_way.is_some() && step.rate > kept);
    let first_over = first_over.min_by(|a, b| a.rate.total_cmp(&b.rate));
    let limit = long(Duration::from_nanos(knee.limit_ns));
    let over = first_over.map_or_else(
        || "; no higher rate is tried".into(),
        |step| format!("; at {}: {}", rate(step.rate), step.gave_way.clone().unwrap_or_default()),
    );
    format!(
        "  {}: {} within {limit} up to {} requests per second{over}",
        cell.model,
        if cell.latency_ns_p99.is_some() { "p99 stays" } else { "all latencies stay" },
        rate(kept)
    )
}
