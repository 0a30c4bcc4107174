//! Combines trials into the cell of the record, independent of where each of them ran.

use crate::{
    machine::HostActivity,
    plan::Planned,
    record::{Cell, Estimate, PerTrial, Resources, State, Trial},
    stats::{figures_over_nodes, median_and_range, modes},
};
use paceline_core::{histogram::Distribution, prepared::Attestation, usage::Usage};

/// Bytes in a page, the unit in which the kernel counts memory.
const PAGE: f64 = 4096.0;

/// Combines `trials`, in the order of their passes, into a cell. `bound` takes the nanoseconds of a batch in the fastest
/// trial, and returns what no model can exceed, in jobs a second.
pub(crate) fn whole(
    planned: &Planned<'_>,
    trials: &[Trial],
    bound: impl FnOnce(Option<f64>) -> Option<f64>,
) -> Result<Cell, String> {
    let median = |trial: &Trial| {
        let times: Vec<f64> = trial.times_ns.iter().map(|ns| *ns as f64).collect();
        median_and_range(&times).0
    };
    let medians: Vec<f64> = trials.iter().map(median).collect();
    let nodes: Vec<String> = trials.iter().filter_map(|trial| trial.node.clone()).collect();
    let estimate = |figures: &[f64], resolution| {
        Estimate::of_trials(&figures_over_nodes(figures, &nodes), resolution)
    };
    let percentile =
        |figures: &[f64]| Estimate::of_percentiles(&figures_over_nodes(figures, &nodes));
    let batch_ns = estimate(&medians, 1.0);
    let all_times: Vec<f64> =
        trials.iter().flat_map(|trial| &trial.times_ns).map(|ns| *ns as f64).collect();
    let server_ns = trials.iter().map(|trial| trial.server_cpu_ns).sum::<u64>();
    let busiest = trials.iter().filter_map(|trial| trial.server_busy_share);
    let latency = |of: fn(&Distribution) -> Option<u64>| {
        every(trials, |trial| of(trial.recorded.latency.as_ref()?))
    };
    // Not every system counts the CPU time of other processes.
    let cpu = |trial: &Trial| {
        let used_ns = trial.used.cpu_ns();
        (used_ns > 0).then(|| used_ns as f64 / jobs_of(planned, trial))
    };
    let passes: Vec<u32> = trials.iter().map(|trial| trial.trial).collect();
    let per_trial = PerTrial {
        passes: if passes.iter().copied().eq(0..passes.len() as u32) { vec![] } else { passes },
        jobs_per_second: medians.iter().map(|ns| planned.scale as f64 * 1e9 / ns).collect(),
        latency_ns_p50: latency(|of| Some(of.ns_p50)),
        latency_ns_p99: latency(Distribution::p99),
        rss_bytes_max: every(trials, |trial| trial.attest.rss_bytes_max),
        cpu_ns_per_job: trials.iter().map(cpu).collect::<Option<_>>().unwrap_or_default(),
        ..PerTrial::default()
    };
    let jobs = jobs(planned, trials);
    let resources = Resources {
        rss_bytes_max: estimate(&per_trial.rss_bytes_max, PAGE),
        ..resources(trials, jobs)
    };
    let merged = |what: &str, of: fn(&Trial) -> &Option<Distribution>| {
        let all = trials.iter().filter_map(|trial| Some((trial.trial, of(trial).as_ref()?)));
        Distribution::merged(what, all)
    };
    // One process may have had fewer by chance: the greatest is what the model can do.
    let peak_in_flight =
        trials.iter().map(|trial| trial.attest.peak_in_flight).max().unwrap_or_default();
    let cell = Cell {
        trials_ns: medians.iter().map(|ns| *ns as u64).collect(),
        attest: trials.last().map(|trial| Attestation { peak_in_flight, ..trial.attest.clone() }),
        bound_jobs_per_second: bound(medians.iter().copied().reduce(f64::min)),
        cpu_ns_per_job: resources.cpu_ns_per_job(),
        server_cpu_ns_per_job: Some(server_ns as f64 / jobs),
        server_busy_share_max: busiest.reduce(f64::max),
        latency: merged("the latency", |trial| &trial.recorded.latency)?,
        latency_ns_p50: percentile(&per_trial.latency_ns_p50),
        latency_ns_p99: percentile(&per_trial.latency_ns_p99),
        service_time: merged("the service time", |trial| &trial.recorded.service_time)?,
        timer_lateness: merged("the lateness of sleeps", |trial| &trial.recorded.timer_lateness)?,
        modes: modes(&all_times),
        resources: Some(resources),
        nodes,
        per_trial,
        ..planned.cell_with_time(State::Ok, batch_ns, Estimate::interval_of(trials.len()))
    };
    Ok(Cell { cpu_ns_per_job: cell.cpu_of_trials().or(cell.cpu_ns_per_job), ..cell })
}

/// Returns the jobs of all measured batches.
fn jobs(planned: &Planned<'_>, trials: &[Trial]) -> f64 {
    trials.iter().map(|trial| jobs_of(planned, trial)).sum()
}

fn jobs_of(planned: &Planned<'_>, trial: &Trial) -> f64 {
    trial.times_ns.len() as f64 * planned.scale as f64
}

fn resources(trials: &[Trial], jobs: f64) -> Resources {
    let middle = |of: &dyn Fn(&Trial) -> Option<u64>| {
        let seen: Vec<f64> = trials.iter().filter_map(of).map(|bytes| bytes as f64).collect();
        (!seen.is_empty()).then(|| median_and_range(&seen).0 as u64)
    };
    let used: Usage = trials.iter().map(|trial| trial.used).sum();
    let meanwhile: HostActivity = trials.iter().map(|trial| trial.host_activity).sum();
    let idle = trials.iter().find_map(|trial| trial.idle_ns);
    Resources {
        rss_bytes: middle(&|trial| trial.attest.rss_bytes),
        rss_bytes_added: middle(&|trial| trial.attest.rss_bytes_added()),
        idle_cpu_share: idle.map(|(used, wall)| used as f64 / wall as f64),
        threads: trials.iter().filter_map(|trial| trial.attest.process_threads).max(),
        ..Resources::of(used, jobs, meanwhile)
    }
}

/// Returns a figure of each trial; empty if one lacks it.
fn every(trials: &[Trial], of: impl Fn(&Trial) -> Option<u64>) -> Vec<f64> {
    let all: Option<Vec<f64>> = trials.iter().map(|trial| Some(of(trial)? as f64)).collect();
    all.unwrap_or_default()
}
