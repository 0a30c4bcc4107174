//! Plans the slices of a trial and the trials of a cell, from the pilot's variances and the budget, before any
//! difference is looked at.

use std::time::Duration;

use super::{
    margins::Margin,
    trial::{BASE, RECORDED_SLICES, log_ratio, slice_ratios},
};
use crate::{
    compare::bar,
    record::{Metric, SideFigures, State},
    stats::{Trimmed, slices, variance_parts},
};

/// The target length of a slice: the short end of the 5 to 20 ms that work well, so that more fit.
pub(super) const SLICE: Duration = Duration::from_millis(6);
/// The target length if latency is recorded: the 99th percentile needs many jobs.
const RECORDED_SLICE: Duration = Duration::from_millis(30);
/// How many times as long such a slice may be if a trial would have no 99th percentile otherwise.
const STRETCHED: f64 = 10.0;
/// The number of latencies wanted in such a slice. A trial has a 99th percentile from as many on.
const LATENCIES: u64 = 1_000;
/// The most batches in a slice.
pub(super) const MOST_ITERATIONS: u64 = 1 << 32;
/// Trials of the pilot.
pub(super) const PILOT: u32 = 6;
/// Slices of each side in a trial of the pilot.
pub(super) const PILOT_SLICES: u32 = 4;
/// The most slices of each side in a trial. A pilot often mistakes variance between processes for variance between
/// slices, and then asks for the most. 12 lose at most a fifth of the time if it was right, and leave time for trials
/// if it was wrong.
const MOST_SLICES: u32 = 12;
/// Trials, unless budget or spread determine another number.
pub(super) const TRIALS: u32 = 40;
/// With fewer trials, the trimmed mean has no usable variance.
pub(super) const FEWEST: u32 = 5;
/// The most trials of a cell, however noisy it is.
pub(super) const MOST: u32 = 1_000;
/// A deviation estimated from six trials is uncertain: in 8 of 10 cases the true one is at most this factor greater,
/// √(5 / χ²(0.2; 5)) = 1.46. Without the factor, every second plan has too few trials.
const UNCERTAIN: f64 = 1.46;

/// Returns the batches of a slice in which latency is recorded, if a batch of `jobs` takes `each` seconds.
pub(super) fn recorded(jobs: u64, each: f64) -> u64 {
    let within = |times: f64| (times * RECORDED_SLICE.as_secs_f64() / each) as u64;
    let wanted = LATENCIES.div_ceil(jobs).min(within(1.0));
    let enough = LATENCIES.div_ceil(jobs * u64::from(RECORDED_SLICES));
    if enough <= within(STRETCHED) { wanted.max(enough) } else { wanted.max(1) }
}

/// The cost of a trial in the pilot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    trials: u32,
    total: Duration,
    slices: Duration,
}

impl Cost {
    /// Adds the time of a trial, and of a slice of all sides in it.
    pub(super) fn add(&mut self, trial: Duration, slice: Duration) {
        self.trials += 1;
        self.total += trial;
        self.slices += slice;
    }

    /// Returns the time of a slice of all sides.
    fn slice(self) -> Duration {
        self.slices / self.trials.max(1)
    }

    /// Returns the time of a trial besides the pilot's slices: processes, warming up, latency.
    fn start(self) -> Duration {
        (self.total / self.trials.max(1)).saturating_sub(self.slice() * PILOT_SLICES)
    }

    /// Returns the time of a trial of `slices` slices of each side.
    pub(super) fn trial(self, slices: u32) -> Duration {
        self.start() + self.slice() * slices
    }
}

/// The variation of the logarithms of ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// The variance between slices of a trial.
    pub(super) slice: f64,
    /// The variance between trials, without the part from slices.
    pub(super) trial: f64,
    /// The winsorised standard deviation of a trial's median in the pilot, as the trimmed mean uses it.
    pub(super) winsorised_sd: f64,
    /// The greatest such deviation of a metric that is not averaged over slices.
    pub(super) other: f64,
}

impl Spread {
    /// Estimates the spread from the trials of a pilot, of all sides against the base.
    pub(super) fn of(pilot: &[Vec<SideFigures>], metrics: &[Metric]) -> Self {
        let others = |trial: &Vec<SideFigures>| trial.len().saturating_sub(1);
        let count = pilot.iter().map(others).min().unwrap_or(0);
        let mut spread = Spread::default();
        for side in 1..=count {
            let trials: Vec<Vec<f64>> =
                pilot.iter().map(|trial| slice_ratios(&trial[BASE], &trial[side])).collect();
            let (slice, trial) = variance_parts(&trials);
            // The mean over the sides: each estimates the same variance.
            spread.slice += slice / count as f64;
            spread.trial += trial.max(0.0) / count as f64;
            let times = ratios_of(pilot, Metric::Throughput, side);
            spread.winsorised_sd += winsorised_sd(&times) / count as f64;
            for metric in metrics.iter().filter(|metric| **metric != Metric::Throughput) {
                spread.other = spread.other.max(winsorised_sd(&ratios_of(pilot, *metric, side)));
            }
        }
        spread
    }

    /// Returns the slices of each side in a trial (Kalibera and Jones).
    pub(super) fn slices(self, cost: Cost) -> u32 {
        let (start, slice) = (cost.start().as_secs_f64(), cost.slice().as_secs_f64());
        slices(start, slice, self.slice, self.trial, MOST_SLICES)
    }

    /// Returns the standard deviation of a trial of `slices` slices, for planning.
    pub(super) fn sd(self, slices: u32) -> f64 {
        let of = |slices: u32| self.trial + self.slice / f64::from(slices.max(1));
        let scaled = if of(PILOT_SLICES) > 0.0 { of(slices) / of(PILOT_SLICES) } else { 1.0 };
        UNCERTAIN * (self.winsorised_sd * scaled.sqrt()).max(self.other)
    }
}

fn ratios_of(pilot: &[Vec<SideFigures>], metric: Metric, side: usize) -> Vec<f64> {
    pilot.iter().filter_map(|trial| log_ratio(metric, &trial[BASE], &trial[side])).collect()
}

/// Returns the standard deviation of one value that gives the standard error of the trimmed mean.
fn winsorised_sd(values: &[f64]) -> f64 {
    Trimmed::of(values).map_or(0.0, |of| of.se * (values.len() as f64).sqrt())
}

/// Returns the trials that a cell of this spread needs to detect a change of its clear margin, as the only one of
/// `samples` cells and metrics.
pub(super) fn wish(sd: f64, margin: Margin, rate: f64, samples: usize) -> u32 {
    let bar = bar(rate, samples, margin.margin);
    let needed = bar.trials_needed(margin.clear.ln_1p(), sd, margin.layout_sd);
    needed.unwrap_or(MOST).clamp(TRIALS, MOST)
}

/// Returns the trials of each cell: what it needs, up to a limit that is the same for all and fits into `left`. Each
/// item is the trials needed and the cost of a trial. Empty if not even [`FEWEST`] of each fit.
pub(super) fn trials(cells: &[(u32, Duration)], left: Duration) -> Vec<u32> {
    let at = |most: u32| cells.iter().map(move |(wish, cost)| ((*wish).min(most), *cost));
    let fits = |most| at(most).map(|(trials, cost)| cost * trials).sum::<Duration>() <= left;
    let Some(most) = (FEWEST..=MOST).rev().find(|most| fits(*most)) else { return vec![] };
    at(most).map(|(trials, _)| trials).collect()
}

/// Returns the trials of cells that are measured again; each item is the trials that a cell had and the cost of one. Empty if
/// one would get under half of them: its null arm, which fired, would hardly fire with far fewer.
pub(super) fn trials_again(cells: &[(u32, Duration)], left: Duration) -> Vec<u32> {
    let found = trials(cells, left);
    let is_enough = cells.iter().zip(&found).all(|((had, _), trials)| *trials * 2 >= *had);
    if is_enough { found } else { vec![] }
}

/// Returns how a metric ends whose trials have no ratio, by the number of figures of base and head. If one side has
/// figures, the loss of the other's must not pass unseen.
pub(super) fn without_figures(metric: Metric, [base, head]: [usize; 2]) -> (State, Option<String>) {
    let what = metric.name();
    let fewest = FEWEST as usize;
    if base.max(head) < fewest {
        let lacks = match metric {
            Metric::P99 => {
                "a trial has under 1 000 latencies, too few for a 99th percentile".to_owned()
            }
            _ => format!("adds too little {what} to measure"),
        };
        let why = format!("{lacks}: choose a larger scale, or leave the metric out");
        return (State::Refused, Some(why));
    }
    let has = if base > head { "base" } else { "head" };
    (State::Skipped, Some(format!("only the {has} has figures of {what} in {fewest} trials")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_rich_budget_grants_all_wishes_and_a_tight_one_cuts_the_noisy_cells_first() {
        let cells = [(40, 100 * MS), (40, 50 * MS), (160, 100 * MS)];
        assert_eq!(trials(&cells, Duration::from_mins(1)), [40, 40, 160]);
        assert_eq!(trials(&cells, Duration::from_secs(15)), [40, 40, 90]);
        assert_eq!(trials(&cells, Duration::from_secs(5)), [20, 20, 20]);
        assert!(trials(&cells, Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn a_cell_is_measured_again_with_half_of_its_trials_or_not_at_all() {
        let cells = [(0, 100 * MS), (80, 100 * MS)];
        assert_eq!(trials_again(&cells, Duration::from_mins(1)), [0, 80]);
        assert_eq!(trials_again(&cells, Duration::from_secs(4)), [0, 40]);
        assert!(trials_again(&cells, Duration::from_millis(3900)).is_empty());
    }

    #[test]
    fn a_slice_is_stretched_until_a_trial_has_1_000_latencies_or_stays_short_without() {
        // 1 000 latencies in 30 ms, and at least 500 in 300 ms.
        assert_eq!(recorded(1, 1e-6), 1_000);
        assert_eq!(recorded(300, 1e-6), 4);
        assert_eq!([recorded(1, 49.9e-6), recorded(1, 100e-6)], [601, 500]);
        assert_eq!([recorded(1, 0.599e-3), recorded(1, 0.61e-3)], [500, 49]);
        assert_eq!([recorded(500, 0.2), recorded(499, 0.2), recorded(1, 1.0)], [1, 1, 1]);
    }

    #[test]
    fn calm_cells_get_the_usual_number_and_noisy_ones_what_makes_the_change_visible() {
        let margin = Margin::default();
        assert_eq!(wish(0.001, margin, 0.05, 25), TRIALS);
        let noisy = wish(0.1, margin, 0.05, 25);
        assert!(noisy > TRIALS && noisy < 2 * TRIALS, "{noisy}");
        assert_eq!(wish(3.0, margin, 0.05, 25), MOST);
    }

    #[test]
    fn noise_between_slices_asks_for_slices_and_noise_between_trials_for_trials() {
        let mut cost = Cost::default();
        cost.add(100 * MS, 18 * MS);
        assert_eq!(cost.trial(PILOT_SLICES), 100 * MS);
        let spread = |slice, trial| Spread { slice, trial, winsorised_sd: 0.1, other: 0.0 };
        assert_eq!(spread(0.0001, 0.01).slices(cost), 1);
        assert_eq!(spread(0.01, 0.0).slices(cost), MOST_SLICES);
        assert!(spread(0.01, 0.01).sd(4) < spread(0.01, 0.01).sd(1));
    }

    #[test]
    fn a_spread_does_not_depend_on_which_side_is_faster() {
        let shown = |ns: [u64; 4]| SideFigures { slices_ns: ns.to_vec(), ..SideFigures::default() };
        let pilot = |factor: u64| -> Vec<Vec<SideFigures>> {
            (0..6)
                .map(|trial| {
                    let drift = 1000 + 37 * (trial * trial % 5);
                    let head = [7, 5, 9, 6].map(|noise| (drift + noise) * factor);
                    let base = shown([1000, 1010, 990, 1005]);
                    vec![base.clone(), shown(head), base]
                })
                .collect()
        };
        let (same, slower) = (Spread::of(&pilot(1), &[]), Spread::of(&pilot(3), &[]));
        assert!(
            same.trial > 0.0 && (same.trial - slower.trial).abs() < 1e-9,
            "{same:?} {slower:?}"
        );
    }

    #[test]
    fn a_metric_of_which_one_side_has_figures_does_not_pass_unseen() {
        let of = |figures| without_figures(Metric::P99, figures);
        assert_eq!(of([0, 4]).0, State::Refused);
        for (figures, has) in [([40, 0], "base"), ([4, 40], "head")] {
            let (state, why) = of(figures);
            assert_eq!(state, State::Skipped);
            assert!(why.as_ref().unwrap().starts_with(&format!("only the {has} has")), "{why:?}");
        }
    }
}
