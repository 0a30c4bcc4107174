//! Which cells may be ranked, and which lead: one rule for tables, pages and advice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cell, Estimate, Loop, State,
    load::{by_column, mostly_late},
};
use crate::stats::{FEWEST_TRIALS, RESOLUTION, best, over_nodes, slope};
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
        self.latency.as_ref().map_or_else(Vec::new, |latency| mostly_late(late, &by_column(latency)))
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

    /// Returns the requests per second of a server under load, if they are not those that it was given.
    pub fn requests_per_second(&self) -> Option<Estimate> {
        let found = self.has_own_rate() || self.is_at_knee();
        self.jobs_per_second.filter(|_| self.load.is_some() && found)
    }

    /// Returns whether it was measured at the highest rate that a search found for it.
    pub fn is_at_knee(&self) -> bool {
        self.load.as_ref().is_some_and(|load| load.knee.is_some())
    }

    /// Returns the logarithms of a figure in each trial, where higher is better; `None` if a trial lacks it, or if it says
    /// nothing of the model.
    pub fn passes(&self, by: RankedBy) -> Option<Vec<f64>> {
        let of = &self.per_trial;
        let fails = self.load.as_ref().is_some_and(|load| load.failed() > 0);
        let less = match by {
            // Errors have no latency: a server that refuses requests answers the others sooner.
            _ if fails || self.is_at_knee() => return None,
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
    /// Jobs a second.
    pub jobs_per_second: Vec<f64>,
    /// The median latency of a server under load.
    pub latency_ns_p50: Vec<f64>,
    /// The 99th percentile of latency, if each trial has 1 000 latencies.
    pub latency_ns_p99: Vec<f64>,
    /// Peak resident memory in its first batch.
    pub rss_bytes_max: Vec<f64>,
    /// CPU time per job.
    pub cpu_ns_per_job: Vec<f64>,
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
        let units = |cell: &Cell| Some(over_nodes(&cell.passes(by)?, &cell.nodes));
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
    use crate::record::{Knee, LoadFigures};
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

    #[test]
    fn equal_percentiles_are_off_by_as_much_as_a_histogram_rounds() {
        let of = |trials: &[f64]| {
            Estimate::of_percentiles(trials).map(|of| [of.lower, of.value, of.upper])
        };
        assert_eq!(of(&[2e6; 3]), Some([1.998e6, 2e6, 2.002e6]));
        assert_eq!((of(&[2e6; 2]), of(&[])), (Some([2e6; 3]), None));
    }

    #[test]
    fn what_was_given_or_is_mostly_the_generators_is_ranked_nowhere() {
        let times = |ns: u64| {
            let mut times = paceline_core::histogram::Histogram::default();
            (0..1_000).for_each(|_| times.record(ns));
            times.distribution()
        };
        let served = |looped, late: u64| {
            let load = LoadFigures { schedule_error: times(late), ..LoadFigures::new(looped, None, None, 4) };
            let per_trial = PerTrial {
                jobs_per_second: vec![1.0, 2.0, 3.0],
                latency_ns_p50: vec![1e6; 3],
                latency_ns_p99: vec![1e6; 3],
                ..PerTrial::default()
            };
            let known = Estimate::of_percentiles(&per_trial.latency_ns_p50);
            let latency = times(1_000_000);
            let load = Some(load);
            Cell { latency, latency_ns_p50: known, latency_ns_p99: known, load, per_trial, ..cell("a", vec![]) }
        };
        let told = |cell: &Cell| {
            [RankedBy::Rate, RankedBy::P50, RankedBy::P99].map(|by| cell.passes(by).is_some())
        };
        assert_eq!(told(&served(Loop::Closed, 0)), [true; 3]);
        assert_eq!(told(&served(Loop::Open, 400_000)), [false, true, true]);
        assert_eq!(told(&served(Loop::Open, 600_000)), [false; 3]);
        let spoiled = |spoil: fn(&mut LoadFigures)| {
            let mut cell = served(Loop::Closed, 0);
            if let Some(load) = &mut cell.load {
                spoil(load);
            }
            told(&cell)
        };
        assert_eq!(spoiled(|load| drop(load.errors.insert("timeout".into(), 1))), [false; 3]);
        let knee = |load: &mut LoadFigures| {
            load.knee = Some(Knee { limit_ns: 1, steps: vec![], gave_way: None });
        };
        assert_eq!(spoiled(knee), [false; 3]);
        assert_eq!(served(Loop::Open, 600_000).own_latency("p99"), None);
        assert!(served(Loop::Open, 400_000).own_latency("p99").is_some());
    }

    fn cell(model: &str, trials_ns: Vec<u64>) -> Cell {
        let cell = Cell::new("sleep", model, 10, Some(2), Placement::Outside, State::Ok);
        Cell { trials_ns, ..cell }
    }

    #[test]
    fn waits_are_ranked_from_5_milliseconds_on_and_where_there_are_none() {
        let brief = |floor_ns| Cell { floor_ns, ..cell("a", vec![]) }.waits_too_briefly();
        assert_eq!([0, 1, SHORTEST_RANKED_NS - 1].map(brief), [false, true, true]);
        assert_eq!([SHORTEST_RANKED_NS, u64::MAX].map(brief), [false, false]);
    }

    #[test]
    fn a_cell_has_the_trials_of_its_rates_or_of_its_times() {
        let times = cell("a", vec![1_000_000, 2_000_000]);
        assert_eq!((times.trials(), times.has_too_few_trials()), (2, true));
        assert_eq!(times.rates(), [10_000.0, 5_000.0]);
        let per_trial = PerTrial { jobs_per_second: vec![7.0, 8.0, 9.0], ..PerTrial::default() };
        let rates = Cell { per_trial, ..times };
        assert_eq!((rates.trials(), rates.has_too_few_trials()), (3, false));
        assert_eq!(rates.rates(), [7.0, 8.0, 9.0]);
    }

    #[test]
    fn the_share_of_a_bound_takes_both_and_is_positive() {
        let share = |figure: f64, bound_jobs_per_second| {
            let jobs_per_second = Estimate::of_trials(&[figure], 1.0);
            Cell { jobs_per_second, bound_jobs_per_second, ..cell("a", vec![]) }.share_of_bound()
        };
        assert_eq!(share(50.0, Some(200.0)), Some(0.25));
        assert_eq!(share(50.0, None), None);
        assert_eq!(share(0.0, Some(200.0)), None);
        assert_eq!(share(50.0, Some(0.0)), None);
        assert_eq!(
            Cell { bound_jobs_per_second: Some(1.0), ..cell("a", vec![]) }.share_of_bound(),
            None
        );
    }

    #[test]
    fn models_lead_within_their_class_and_a_class_of_one_has_no_leader() {
        let fast = vec![1_000_000, 1_010_000, 990_000];
        let slow: Vec<u64> = fast.iter().map(|ns| ns * 2).collect();
        let inside = |of: Cell| Cell { placement: Placement::Inside, ..of };
        let cells =
            [cell("a", fast.clone()), cell("b", slow.clone()), inside(cell("c", slow.clone()))];
        let all: Vec<&Cell> = cells.iter().collect();
        assert_eq!(leaders(&all), [true, false, false], "no other is inside");
        let four = [&cells[0], &cells[1], &cells[2], &inside(cell("d", fast.clone()))];
        assert_eq!(leaders(&four), [true, false, false, true]);
        // Each reason not to be ranked leaves one cell, which leads nothing.
        let beside = |of: Cell| leaders(&[&cells[1], &of]);
        assert_eq!(beside(cell("e", fast.clone())), [false, true]);
        assert_eq!(beside(cell("e", fast[..2].to_vec())), [false, false]);
        assert_eq!(beside(Cell { floor_ns: 1, ..cell("e", fast.clone()) }), [false, false]);
        assert_eq!(
            beside(Cell { state: State::Failed, ..cell("e", fast.clone()) }),
            [false, false]
        );
        // A cell without the figure might be the best.
        let mut with_cpu = cells.clone();
        with_cpu[0].per_trial.cpu_ns_per_job = vec![1.0, 1.01, 0.99];
        let of = |cells: &[Cell]| leaders_by(&[&cells[0], &cells[1]], RankedBy::Cpu);
        assert_eq!(of(&with_cpu), [false, false]);
        with_cpu[1].per_trial.cpu_ns_per_job = vec![2.0, 2.01, 1.99];
        assert_eq!(of(&with_cpu), [true, false], "less is better");
        // One that was infinitely fast is no cell to be led by.
        let endless = cell("f", vec![0; 3]);
        assert_eq!(leaders(&[&cells[0], &cells[1], &endless]), [true, false, false]);
    }

    #[test]
    fn memory_per_job_is_a_slope_over_at_least_a_mebibyte() {
        const MIB: u64 = 1 << 20;
        let of = |points: &[(usize, u64)]| {
            let cells: Vec<Cell> = points
                .iter()
                .map(|(scale, bytes)| Cell {
                    scale: *scale,
                    resources: Some(crate::record::Resources {
                        rss_bytes_added: Some(*bytes),
                        ..crate::record::Resources::default()
                    }),
                    ..cell("a", vec![])
                })
                .collect();
            bytes_per_job(&cells.iter().collect::<Vec<_>>())
        };
        assert_eq!(of(&[(1, 100), (1025, 100 + MIB)]), Some(1024.0));
        assert_eq!(of(&[(1, 100), (1025, 99 + MIB)]), None);
        assert_eq!(of(&[(1, 5 * MIB), (1025, MIB)]), None, "memory that falls");
        assert_eq!(of(&[(10, MIB), (10, 9 * MIB)]), None, "one scale has no slope");
        assert_eq!(of(&[(1, 0), (2, MIB), (3, 0)]), None, "memory that does not grow with scale");
        assert_eq!(of(&[]), None);
        assert_eq!(bytes_per_job(&[&cell("a", vec![])]), None);
    }
}
