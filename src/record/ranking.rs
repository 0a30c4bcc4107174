//! Which cells may be ranked, and which lead: one rule for tables, pages and advice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cell, Estimate, Knee, Loop, State,
    load::{by_column, is_over_half, mostly_late},
};
use crate::stats::{
    FEWEST_TRIALS, LEVEL, Passes, RESOLUTION, best, difference, figures_over_nodes, in_order,
    over_nodes, slope, standard_error,
};
use paceline_core::perform::Placement;

/// The shortest wait by which models are ranked, in nanoseconds: below it, timer resolution decides.
pub const SHORTEST_RANKED_NS: u64 = 5_000_000;

/// The CPU share of the busiest thread of the suite's server above which the server limits a cell: the figure is then
/// the server's for any model.
pub const MOST_SERVER_BUSY: f64 = 0.9;

impl Cell {
    /// Returns whether a thread of the suite's server was so busy that the cell's figure may be the server's.
    pub fn is_server_bound(&self) -> bool {
        self.server_busy_share_max.is_some_and(|busy| busy > MOST_SERVER_BUSY)
    }

    /// Returns its jobs a second as a share of its bound; `None` without a bound.
    pub fn share_of_bound(&self) -> Option<f64> {
        let share = self.jobs_per_second?.value / self.bound_jobs_per_second?;
        (share.is_finite() && share > 0.0).then_some(share)
    }

    /// Returns whether the server and a generator were on one machine that passed for two.
    pub fn is_shared_host(&self) -> bool {
        let hosts = self.load.as_ref().and_then(|load| load.hosts.as_ref());
        hosts.is_some_and(|hosts| hosts.shared_host)
    }

    /// Returns whether its jobs wait so briefly that a ranking would be of timers and not of models.
    pub fn waits_too_briefly(&self) -> bool {
        self.floor_ns > 0 && self.floor_ns < SHORTEST_RANKED_NS
    }

    /// Returns the latencies of a load of which over half is the lateness of the generator, by the names of their columns:
    /// they say more of the generator than of the server.
    pub fn latencies_of_the_generator(&self) -> Vec<&'static str> {
        let late = self.load.as_ref().and_then(|load| load.schedule_error.as_ref());
        let all = self.latency.as_ref().map(by_column).unwrap_or_default();
        let of_all = mostly_late(late, &all);
        let is_late =
            |name: &&'static str| self.late_in_trials(name).unwrap_or(of_all.contains(name));
        all.into_iter().map(|(name, _)| name).filter(is_late).collect()
    }

    /// Returns whether over half of a percentile that is the mean of the trials' is the generator's lateness; `None` for
    /// other columns, and if trials have no lateness.
    fn late_in_trials(&self, name: &str) -> Option<bool> {
        let of = &self.per_trial;
        let (late, latency) = match name {
            "p50" => (&of.schedule_error_ns_p50, &of.latency_ns_p50),
            "p99" => (&of.schedule_error_ns_p99, &of.latency_ns_p99),
            _ => return None,
        };
        let is_known = !late.is_empty() && late.len() == latency.len();
        is_known.then(|| is_over_half(late, latency))
    }

    /// Returns its latency in the column `name`, unless over half of it is the lateness of the generator.
    pub fn own_latency(&self, name: &str) -> Option<Estimate> {
        let latency = if name == "p50" { self.latency_ns_p50 } else { self.latency_ns_p99 };
        latency.filter(|_| !self.latencies_of_the_generator().contains(&name))
    }

    /// Returns whether its jobs a second are its own: an open loop is given its rate, and a search for the knee ends at
    /// a rate of its own, at which no latency compares with another's.
    pub fn has_own_rate(&self) -> bool {
        self.load.as_ref().is_none_or(|load| load.looped == Loop::Closed)
    }

    /// Returns its jobs a second, unless a search for the knee found only the least that the server keeps: such a rate is
    /// no figure to follow over runs.
    pub fn exact_rate(&self) -> Option<Estimate> {
        self.jobs_per_second.filter(|_| self.least_mark().is_empty())
    }

    /// Returns the requests per second of a server under load, if they are not those that it was given, nor only the
    /// least that it keeps.
    pub fn requests_per_second(&self) -> Option<Estimate> {
        let found = self.has_own_rate() || self.is_at_knee();
        self.exact_rate().filter(|_| self.load.is_some() && found)
    }

    /// Returns its own latency in the column `name`, unless it was measured at a knee: each run has that at another rate.
    pub fn latency_to_compare(&self, name: &str) -> Option<Estimate> {
        self.own_latency(name).filter(|_| !self.is_at_knee())
    }

    /// Returns the share of its requests that were errors, if it is so large that its figures do not compare with others. At
    /// a knee, a server keeps its rate with as many errors as were allowed.
    pub fn notable_error_share(&self) -> Option<f64> {
        /// A tenth of what lies beyond the 99th percentile.
        const MOST: f64 = 0.001;
        let share = self.load.as_ref()?.error_share()?;
        (share > MOST && !self.is_at_knee()).then_some(share)
    }

    /// Returns whether some of its requests were errors. Those have no latency: a server that refuses requests answers the
    /// others sooner.
    pub fn has_errors(&self) -> bool {
        self.load.as_ref().is_some_and(|load| load.failed() > 0)
    }

    /// Returns whether it was measured at the highest rate that a search found for it.
    pub fn is_at_knee(&self) -> bool {
        self.load.as_ref().is_some_and(|load| load.knee.is_some())
    }

    /// Returns the mark of its rate if a search for the knee found only the least that the server keeps.
    pub fn least_mark(&self) -> &'static str {
        let knee = self.load.as_ref().and_then(|load| load.knee.as_ref());
        if knee.is_some_and(Knee::is_least) { "≥" } else { "" }
    }

    /// Returns the logarithms of a figure in each of its passes, or on each node if there are several, where higher is
    /// better; `None` if a trial lacks it, or if it says nothing of the model. See [`over_nodes`].
    pub fn passes(&self, by: RankedBy) -> Option<Passes> {
        let logs = self.logarithms(by)?;
        if !self.nodes.is_empty() {
            return Some(in_order(over_nodes(&logs, &self.nodes)));
        }
        let passes = &self.per_trial.passes;
        let is_numbered = passes.len() == logs.len();
        Some(if is_numbered { passes.iter().copied().zip(logs).collect() } else { in_order(logs) })
    }

    fn logarithms(&self, by: RankedBy) -> Option<Vec<f64>> {
        let of = &self.per_trial;
        let less = match by {
            _ if self.has_errors() || self.is_at_knee() => return None,
            RankedBy::Rate => return self.has_own_rate().then(|| logarithms(&self.rates())),
            RankedBy::P50 => self.own_latency("p50").map(|_| &of.latency_ns_p50)?,
            RankedBy::P99 => self.own_latency("p99").map(|_| &of.latency_ns_p99)?,
            RankedBy::Memory => &of.rss_bytes_max,
            RankedBy::Cpu => &of.cpu_ns_per_job,
        };
        (!less.is_empty()).then(|| logarithms(less).iter().map(|log| -log).collect())
    }

    /// Returns the class in which it is ranked: `Inside` or `Outside`. A batch from `outside`, or `dealt`, begins by
    /// waking the pool, and one from `inside` does not. Servers are one class: all their requests come by a connection.
    pub fn class(&self) -> Placement {
        match self.placement {
            Placement::Inside if self.load.is_none() => Placement::Inside,
            _ => Placement::Outside,
        }
    }

    /// Returns the number of trials in its figures.
    pub fn trials(&self) -> usize {
        self.per_trial.jobs_per_second.len().max(self.trials_ns.len())
    }

    /// Returns whether it has too few trials for an interval and a rank.
    pub fn has_too_few_trials(&self) -> bool {
        self.trials() < FEWEST_TRIALS
    }

    /// Returns the jobs a second of each trial, in the order of the passes.
    pub fn rates(&self) -> Vec<f64> {
        if self.per_trial.jobs_per_second.is_empty() {
            return self.trials_ns.iter().map(|ns| self.scale as f64 * 1e9 / *ns as f64).collect();
        }
        self.per_trial.jobs_per_second.clone()
    }
}

impl Cell {
    /// Returns the logarithms of its jobs a second: of each trial, or of each node if there are three and more.
    fn logs_of_rate(&self) -> Vec<f64> {
        over_nodes(&logarithms(&self.rates()), &self.nodes)
    }

    /// Returns the 95 % interval of the logarithm of its jobs a second over those of `base`, from the trials of both
    /// (Welch), or from their nodes; `None` if one of them has fewer than three: the interval of a ratio needs both.
    pub fn rate_over(&self, base: &Cell) -> Option<(f64, f64)> {
        Some(difference(&base.logs_of_rate(), &self.logs_of_rate())?.interval(LEVEL))
    }

    /// Returns CPU time per job as the estimate of the trials, in nanoseconds; `None` if they have no such figures.
    pub fn cpu_of_trials(&self) -> Option<f64> {
        let trials = figures_over_nodes(&self.per_trial.cpu_ns_per_job, &self.nodes);
        Estimate::of_trials(&trials, 0.0).map(|of| of.value)
    }

    /// Applies the rules of now to a cell of an older record: its CPU time was that of all jobs together, by which the order
    /// of models may be another than by trials, and a bound was refuted by the mean of the trials alone.
    pub(super) fn by_rules_of_now(self) -> Self {
        let fastest = self.rates().into_iter().reduce(f64::max);
        // At a rate that was given, that is the bound, and arrivals at random exceed it in some trials.
        let fastest = fastest.filter(|_| self.has_own_rate() || self.is_at_knee());
        let bound = self.bound_jobs_per_second;
        Cell {
            cpu_ns_per_job: self.cpu_of_trials().or(self.cpu_ns_per_job),
            bound_jobs_per_second: bound.and_then(|most| not_refuted(most, fastest)),
            ..self
        }
    }

    /// Returns the standard error of its jobs a second as a share of them; `None` with fewer than three trials.
    pub fn error_of_rate(&self) -> Option<f64> {
        standard_error(&self.logs_of_rate())
    }
}

/// A figure by which models are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankedBy {
    /// Jobs a second.
    Rate,
    /// Median latency.
    P50,
    /// The 99th percentile of latency.
    P99,
    /// Peak resident memory.
    Memory,
    /// CPU time of a job.
    Cpu,
}

/// The figures of a cell in each trial, in the order of the passes. A list is empty if not every trial has the figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PerTrial {
    /// The pass of each trial, from 0; empty if they are 0, 1, 2 and so on. Models are compared pass by pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passes: Vec<u32>,
    /// Jobs a second.
    pub jobs_per_second: Vec<f64>,
    /// The median latency.
    pub latency_ns_p50: Vec<f64>,
    /// The 99th percentile of latency, if each trial has 1 000 latencies.
    pub latency_ns_p99: Vec<f64>,
    /// Peak resident memory in its first batch.
    pub rss_bytes_max: Vec<f64>,
    /// CPU time per job.
    pub cpu_ns_per_job: Vec<f64>,
    /// The median lateness of the generator of a load.
    pub schedule_error_ns_p50: Vec<f64>,
    /// The 99th percentile of that lateness, if each trial has 1 000 starts.
    pub schedule_error_ns_p99: Vec<f64>,
}

impl Estimate {
    /// Estimates a percentile of latency from those of `trials`, each off by as much as a histogram rounds.
    pub fn of_percentiles(trials: &[f64]) -> Option<Self> {
        Self::of_trials(trials, trials.first()? * RESOLUTION / 2.0)
    }
}

/// Returns which of `cells`, all of one workload and scale, do the most jobs a second in their placement's class, or
/// tie with the best. A class is ranked if it has two cells of three trials.
pub fn leaders(cells: &[&Cell]) -> Vec<bool> {
    leaders_by(cells, RankedBy::Rate)
}

/// Returns the same for another figure. A class is not ranked if one of its cells lacks the figure, because that cell
/// might be the best. On three nodes and more, a node is one value: see [`over_nodes`].
pub fn leaders_by(cells: &[&Cell], by: RankedBy) -> Vec<bool> {
    let mut leads = vec![false; cells.len()];
    for class in [Placement::Inside, Placement::Outside] {
        let of = cells.iter().enumerate().filter(|(_, cell)| {
            let ranked = cell.state == State::Ok && !cell.waits_too_briefly();
            let ranked = ranked && !cell.has_too_few_trials() && !cell.is_server_bound();
            ranked && !cell.is_shared_host() && cell.class() == class
        });
        let logs: Option<Vec<_>> =
            of.map(|(place, cell)| Some((place, cell.passes(by)?))).collect();
        let (places, logs): (Vec<usize>, Vec<Passes>) = logs
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, logs)| logs.iter().all(|(_, log)| log.is_finite()))
            .unzip();
        let Some(found) = best(&logs).filter(|_| places.len() > 1) else { continue };
        for (place, behind) in places.into_iter().zip(found.behind) {
            leads[place] = !behind;
        }
    }
    leads
}

/// Returns whether these cells are loads, whose scale is the number of connections. Loads beside batches go by the
/// words of batches.
pub(crate) fn are_loads(cells: &[&Cell]) -> bool {
    let is_batch = |cell: &&Cell| cell.state == State::Ok && cell.load.is_none();
    cells.iter().any(|cell| cell.load.is_some()) && !cells.iter().any(is_batch)
}

/// Returns `most`, a bound in jobs a second, unless the figure is more than 2 % above it.
pub(crate) fn not_refuted(most: f64, jobs_per_second: Option<f64>) -> Option<f64> {
    jobs_per_second.is_none_or(|figure| figure <= most * 1.02).then_some(most)
}

/// Returns the logarithm of each figure.
pub(crate) fn logarithms(figures: &[f64]) -> Vec<f64> {
    figures.iter().map(|figure| figure.ln()).collect()
}

/// The least growth of memory over scales that has a slope, in bytes: the kernel counts pages in bundles.
const LEAST_GROWTH: f64 = (1 << 20) as f64;

/// Returns scale and added memory of each cell of a series.
fn memory_by_scale(series: &[&Cell]) -> Vec<(f64, f64)> {
    let point = |cell: &&Cell| {
        let added = cell.resources?.rss_bytes_added?;
        Some((cell.scale as f64, added as f64))
    };
    series.iter().filter_map(point).collect()
}

/// Returns the least and the greatest of these.
fn ends(of: impl Iterator<Item = f64>) -> (f64, f64) {
    of.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)))
}

/// Returns the slope of memory over scales of one series, in bytes; `None` unless the largest batch added at least a
/// MiB more than the smallest.
pub fn bytes_per_job(series: &[&Cell]) -> Option<f64> {
    let points = memory_by_scale(series);
    let (least, most) = ends(points.iter().map(|(_, added)| *added));
    (most - least >= LEAST_GROWTH).then(|| slope(&points)).flatten().filter(|slope| *slope > 0.0)
}

/// Returns the most that a job of a series without such a slope can add, in bytes: its memory grew by less than a MiB over
/// its scales. `None` if it grew by more, or only one scale was measured.
pub(crate) fn bytes_per_job_at_most(series: &[&Cell]) -> Option<f64> {
    let points = memory_by_scale(series);
    let (least, most) = ends(points.iter().map(|(_, added)| *added));
    let (few, many) = ends(points.iter().map(|(scale, _)| *scale));
    (few < many && most - least < LEAST_GROWTH).then(|| LEAST_GROWTH / (many - few))
}

#[cfg(test)]
mod tests;
