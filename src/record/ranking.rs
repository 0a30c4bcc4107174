//! Which cells may be ranked, and which lead: one rule for tables, pages and advice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cell, State};
use crate::stats::{FEWEST_TRIALS, best, over_nodes, slope};
use paceline_core::perform::Placement;

/// The shortest wait by which models are ranked, in nanoseconds: below it, timer resolution decides.
pub const SHORTEST_RANKED_NS: u64 = 5_000_000;

/// The CPU share of the busiest thread of the suite's server above which the server limits a cell: the figure is then
/// the server's for any model.
pub const MOST_SERVER_BUSY: f64 = 0.9;

impl Cell {
    /// Returns whether a thread of the suite's server was so busy that the cell's figure may be the server's.
    #[must_use]
    pub fn is_server_bound(&self) -> bool {
        self.server_busy_share_max.is_some_and(|busy| busy > MOST_SERVER_BUSY)
    }

    /// Returns its jobs a second as a share of its bound; `None` without a bound.
    #[must_use]
    pub fn share_of_bound(&self) -> Option<f64> {
        let share = self.jobs_per_second?.value / self.bound_jobs_per_second?;
        (share.is_finite() && share > 0.0).then_some(share)
    }

    /// Returns whether the server and a generator were on one machine that passed for two.
    #[must_use]
    pub fn is_shared_host(&self) -> bool {
        let hosts = self.load.as_ref().and_then(|load| load.hosts.as_ref());
        hosts.is_some_and(|hosts| hosts.shared_host)
    }

    /// Returns whether its jobs wait so briefly that a ranking would be of timers and not of models.
    #[must_use]
    pub fn waits_too_briefly(&self) -> bool {
        self.floor_ns > 0 && self.floor_ns < SHORTEST_RANKED_NS
    }

    /// Returns the class in which it is ranked: `Inside` or `Outside`. A batch from `outside`, or `dealt`, begins by
    /// waking the pool, and one from `inside` does not. Servers are one class: all their requests come by a connection.
    #[must_use]
    pub fn class(&self) -> Placement {
        match self.placement {
            Placement::Inside if self.load.is_none() => Placement::Inside,
            _ => Placement::Outside,
        }
    }

    /// Returns the number of trials in its figures.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.per_trial.jobs_per_second.len().max(self.trials_ns.len())
    }

    /// Returns whether it has too few trials for an interval and a rank.
    #[must_use]
    pub fn has_too_few_trials(&self) -> bool {
        self.trials() < FEWEST_TRIALS
    }

    /// Returns the jobs a second of each trial, in the order of the passes.
    #[must_use]
    pub fn rates(&self) -> Vec<f64> {
        if self.per_trial.jobs_per_second.is_empty() {
            return self.trials_ns.iter().map(|ns| self.scale as f64 * 1e9 / *ns as f64).collect();
        }
        self.per_trial.jobs_per_second.clone()
    }
}

/// The figures of a cell in each trial, in the order of the passes. A list is empty if not every trial has the figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PerTrial {
    /// Jobs a second.
    #[serde(default)]
    pub jobs_per_second: Vec<f64>,
    /// The median latency of a server under load.
    #[serde(default)]
    pub latency_ns_p50: Vec<f64>,
    /// The 99th percentile of latency, if each trial has 1 000 latencies.
    #[serde(default)]
    pub latency_ns_p99: Vec<f64>,
    /// Peak resident memory in its first batch.
    #[serde(default)]
    pub rss_bytes_max: Vec<f64>,
    /// CPU time per job.
    #[serde(default)]
    pub cpu_ns_per_job: Vec<f64>,
}

/// Returns which of `cells`, all of one workload and scale, do the most jobs a second in their placement's class, or
/// tie with the best. A class is ranked if it has two cells of three trials.
#[must_use]
pub fn leaders(cells: &[&Cell]) -> Vec<bool> {
    leaders_by(cells, |cell| Some(logarithms(&cell.rates())))
}

/// Returns the same for another figure: `passes` are the logarithms of a cell's figure in each pass, and higher is
/// better. A class is not ranked if one of its cells lacks the figure, because that cell might be the best. On three
/// nodes and more, a node is one value: see [`over_nodes`].
#[must_use]
pub fn leaders_by(cells: &[&Cell], passes: impl Fn(&Cell) -> Option<Vec<f64>>) -> Vec<bool> {
    let mut leads = vec![false; cells.len()];
    for class in [Placement::Inside, Placement::Outside] {
        let of = cells.iter().enumerate().filter(|(_, cell)| {
            let ranked = cell.state == State::Ok && !cell.waits_too_briefly();
            let ranked = ranked && !cell.has_too_few_trials() && !cell.is_server_bound();
            ranked && !cell.is_shared_host() && cell.class() == class
        });
        let units = |cell: &Cell| Some(over_nodes(&passes(cell)?, &cell.nodes));
        let logs: Option<Vec<_>> = of.map(|(place, cell)| Some((place, units(cell)?))).collect();
        let (places, logs): (Vec<usize>, Vec<Vec<f64>>) = logs
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, logs)| logs.iter().all(|log| log.is_finite()))
            .unzip();
        let Some(found) = best(&logs).filter(|_| places.len() > 1) else { continue };
        for (place, behind) in places.into_iter().zip(found.behind) {
            leads[place] = !behind;
        }
    }
    leads
}

/// Returns the logarithm of each figure.
pub(crate) fn logarithms(figures: &[f64]) -> Vec<f64> {
    figures.iter().map(|figure| figure.ln()).collect()
}

/// Returns the slope of memory over scales of one series, in bytes; `None` unless the largest batch added at least a
/// MiB more than the smallest: the kernel counts pages in bundles.
#[must_use]
pub fn bytes_per_job(series: &[&Cell]) -> Option<f64> {
    const LEAST: f64 = (1 << 20) as f64;
    let point = |cell: &&Cell| {
        let added = cell.resources?.rss_bytes_added?;
        Some((cell.scale as f64, added as f64))
    };
    let points: Vec<(f64, f64)> = series.iter().filter_map(point).collect();
    let ends = points
        .iter()
        .map(|(_, y)| *y)
        .fold((f64::MAX, f64::MIN), |(least, most), y| (least.min(y), most.max(y)));
    (ends.1 - ends.0 >= LEAST).then(|| slope(&points)).flatten().filter(|slope| *slope > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::State;
    use paceline_core::perform::Placement;

    #[test]
    fn a_server_bound_cell_is_not_ranked() {
        let cell = |model: &str, server_busy_share_max| Cell {
            trials_ns: vec![1_000_000; 5],
            server_busy_share_max,
            ..Cell::new("echo", model, 10, Some(2), Placement::Outside, State::Ok)
        };
        let [one, bound, other] = [cell("a", Some(0.5)), cell("b", Some(0.95)), cell("c", None)];
        assert_eq!(leaders(&[&one, &bound, &other]), [true, false, true]);
    }

    #[test]
    fn a_cell_is_server_bound_where_a_thread_of_the_server_was_busy_for_over_nine_tenths() {
        let bound = |server_busy_share_max| {
            let cell = Cell::new("echo", "tokio", 9, Some(2), Placement::Inside, State::Ok);
            Cell { server_busy_share_max, ..cell }.is_server_bound()
        };
        assert_eq!([None, Some(0.9), Some(0.91)].map(bound), [false, false, true]);
    }
}
