//! Simulates the default profile with fixed times per job, to test what fits into its budget.

use std::time::Duration;

use super::{
    known::{MeasuredScale, predicted, to_probe},
    options::{DEFAULT_MODELS, Profile},
    order::{CellPosition, Room, Waiting, fits, next, positions},
    pace::{Cost, Pace},
};
use crate::{machine::cores, plan, run::shuffled};
use paceline_core::{job::Workers, models, workloads};

/// Returns microseconds per job under concurrency: those of the reference run of 2026-11-26, on two shared CPUs.
fn job_us(workload: &str, model: &str) -> f64 {
    let cost = match workload {
        "sleep" => [0.1, 100.0, 1.0, 0.8, 10.0],
        "echo" => [1000.0, 430.0, 450.0, 250.0, 890.0],
        "switch" => [0.0, 1000.0, 0.0, 40.0, 1500.0],
        "cpu" => [357.0, 300.0, 180.0, 180.0, 31_000.0],
        _ => [5000.0, 222.0, 2500.0, 140.0, 12_000.0],
    };
    let kind = match model {
        "sequential" => 0,
        "threads" => 1,
        "pool" | "rayon" => 2,
        "asyncio" => 4,
        _ => 3,
    };
    cost[kind]
}

/// Nanoseconds of a round of `compute` in that run.
const COMPUTE_NS: f64 = 3.5;

/// Returns the names of the cells measured, and the time left.
fn rehearsed(seed: u64) -> (Vec<String>, Duration) {
    let workloads = Profile::Default.workloads().iter().map(|name| workloads::find(name).unwrap());
    let workloads: Vec<_> = workloads.collect();
    let models = DEFAULT_MODELS.map(|name| models::find(name).unwrap());
    let mut planned = plan::cells(&workloads, &models, &plan::Choice::default());
    let two = |cell: &plan::Planned<'_>| cell.workers.is_none_or(|workers| workers <= 2);
    planned.retain(|cell| cell.workload.workers == Workers::Cores || two(cell));
    planned.retain(|cell| cell.entry.info.unsupported_step(cell.workload).is_none());
    let truth = |cell: &plan::Planned<'_>| {
        let name = cell.entry.info.name;
        let work = job_us(&cell.workload.name, name) * cell.scale as f64 / 1e6;
        let (start, overhead) = if name == "asyncio" { (210, 0.001) } else { (50, 0.000_05) };
        let start = start + cell.scale as u64 / 5000;
        let batch = cell.bound(COMPUTE_NS).max(Duration::from_secs_f64(work + overhead));
        Cost { batch, start: Duration::from_millis(start) }
    };
    let cpu_ns = |cell: &plan::Planned<'_>| {
        let name = cell.entry.info.name;
        // An interpreter computes for a millisecond in each batch.
        let of_batch = if name == "asyncio" { 1e6 } else { 0.0 };
        (job_us(&cell.workload.name, name) * 2e3 + of_batch / cell.scale as f64, 0.0)
    };
    let pace = Pace::for_profile(Profile::Default);
    let positions = positions(&planned);
    let ranks = shuffled(planned.len(), seed);
    let mut known: Vec<Vec<MeasuredScale>> = vec![vec![]; planned.len()];
    let mut greatest = vec![None; planned.len()];
    let mut slow = vec![false; planned.len()];
    let (mut open, mut measured) = (positions.clone(), vec![]);
    let mut left = Profile::Default.budget();
    loop {
        let waiting = |position: &CellPosition| {
            let cell = &planned[position.index];
            let need = pace.need(predicted(cell, COMPUTE_NS, &known[position.series]));
            let CellPosition { index, series, deep, .. } = *position;
            Waiting { index, series, deep, scale: cell.scale, rank: ranks[index], need }
        };
        let all: Vec<Waiting> = open.iter().map(waiting).collect();
        let room = Room { budget: Profile::Default.budget(), left };
        let Some(visited) = next(&all, &greatest, room) else { return (measured, left) };
        let cell = &planned[visited.index];
        let cost = truth(cell);
        let of_series = &mut known[visited.series];
        of_series.retain(|known| known.scale != cell.scale);
        of_series.push(MeasuredScale { scale: cell.scale, cost, cpu_ns: cpu_ns(cell) });
        let done = fits(&all, &greatest, visited, pace.need(cost), room);
        if done {
            measured.push(cell.name());
            greatest[visited.series] = greatest[visited.series].max(Some(cell.scale));
        }
        if done || slow[visited.index] {
            open.retain(|position| position.index != visited.index);
        }
        slow[visited.index] = true;
        // A cell that does not fit costs its warm-up.
        left = left.saturating_sub(if done { pace.need(cost) } else { cost.start + cost.batch });
        let others = open.iter().filter(|position| position.series == visited.series);
        let others: Vec<&plan::Planned<'_>> = others.map(|other| &planned[other.index]).collect();
        let of_series = &mut known[visited.series];
        if let Some(probe) = to_probe(&others, COMPUTE_NS, of_series, pace, room.budget) {
            let cost = truth(probe);
            of_series.push(MeasuredScale { scale: probe.scale, cost, cpu_ns: cpu_ns(probe) });
            left = left.saturating_sub(cost.start + cost.batch * 3);
        }
    }
}

#[test]
fn the_default_profile_has_room_for_its_goals_on_two_cores() {
    if cores() < 2 {
        return;
    }
    for seed in [1, 2] {
        let (measured, left) = rehearsed(seed);
        for model in
            ["tokio", "smol", "async-std", "compio"].iter().filter(|m| models::find(m).is_ok())
        {
            for (workload, scale) in
                [("sleep", 1_000_000), ("echo", 10_000), ("service", 10_000), ("switch", 10_000)]
            {
                let goal = format!("{workload}/{model}/{scale}");
                assert!(measured.contains(&goal), "{goal} is not among {}", measured.len());
            }
            let cpu = format!("cpu/{model}@");
            assert!(measured.iter().any(|n| n.starts_with(&cpu) && n.ends_with("/1000")), "{cpu}");
        }
        // An interpreter computes for a millisecond whatever the scale, which must not rule out all greater ones.
        let cell = "sleep/asyncio/10000";
        assert!(measured.iter().any(|name| name == cell), "{cell}");
        assert!(measured.len() > 130, "{} cells, {left:?} left", measured.len());
    }
}
