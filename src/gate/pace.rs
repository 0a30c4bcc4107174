//! How many slices a round has, and how many rounds a cell: fixed from the pilot's variances and the budget, before
//! any difference is looked at.

use std::time::Duration;

use super::{
    margins::Margin,
    round::{BASE, log_ratio, slice_ratios},
};
use crate::{
    record::{Metric, Shown},
    stats::{Bar, Trimmed, slices, variance_parts},
};

/// How long a slice is meant to last: of the 5 to 20 ms that were found good, the short end, for more of them fit.
pub(super) const SLICE: Duration = Duration::from_millis(6);
/// The same where latency is recorded: the 99th percentile needs many jobs.
pub(super) const RECORDED_SLICE: Duration = Duration::from_millis(30);
/// So many latencies are wanted in such a slice.
pub(super) const LATENCIES: u64 = 1_000;
/// The most batches of a slice.
pub(super) const MOST_ITERATIONS: u64 = 1 << 32;
/// Rounds of the pilot.
pub(super) const PILOT: u32 = 6;
/// Slices of each side in them.
pub(super) const PILOT_SLICES: u32 = 4;
/// Slices of each side in a round, at most. A pilot often takes what lies between processes for what lies between slices,
/// and then asks for as many as it may: with 12, at most a fifth of the time is lost where it was right, and rounds are
/// left where it was wrong.
const MOST_SLICES: u32 = 12;
/// Rounds, unless something else follows from the budget or the spread.
pub(super) const ROUNDS: u32 = 40;
/// With fewer, the trimmed mean has no variance to speak of.
pub(super) const FEWEST: u32 = 5;
/// Rounds that a cell is given at most, however noisy it is.
pub(super) const MOST: u32 = 1_000;
/// A deviation of six rounds is uncertain: the true one is at most so many times it in 8 of 10 cases, for
/// √(5 / χ²(0.2; 5)) = 1.46. Who plans with the bare figure plans too few rounds in every second case.
const UNCERTAIN: f64 = 1.46;
/// The share of cases in which a change that is there is to be found.
pub(super) const POWER: f64 = 0.8;

/// What a round costs, as the pilot saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    rounds: u32,
    total: Duration,
    slices: Duration,
}

impl Cost {
    /// Adds a round, in which a slice of all sides took so long.
    pub(super) fn add(&mut self, round: Duration, slice: Duration) {
        self.rounds += 1;
        self.total += round;
        self.slices += slice;
    }

    /// A slice of all sides.
    fn slice(self) -> Duration {
        self.slices / self.rounds.max(1)
    }

    /// All that is not slices of the pilot: processes, warming up, latency.
    fn start(self) -> Duration {
        (self.total / self.rounds.max(1)).saturating_sub(self.slice() * PILOT_SLICES)
    }

    /// A round of so many slices of each side.
    pub(super) fn round(self, slices: u32) -> Duration {
        self.start() + self.slice() * slices
    }
}

/// How much the logarithms of ratios vary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// The variance between slices of a round.
    pub(super) slice: f64,
    /// The variance between rounds, without what comes from slices.
    pub(super) round: f64,
    /// What a round's median deviates in the pilot, as the trimmed mean feels it: winsorised.
    pub(super) felt: f64,
    /// The greatest such deviation of a metric that no slices are averaged for.
    pub(super) other: f64,
}

impl Spread {
    /// Of the rounds of a pilot, of all sides against the base.
    pub(super) fn of(pilot: &[Vec<Shown>], metrics: &[Metric]) -> Self {
        let others = |round: &Vec<Shown>| round.len().saturating_sub(1);
        let count = pilot.iter().map(others).min().unwrap_or(0);
        let mut spread = Spread::default();
        for side in 1..=count {
            let rounds: Vec<Vec<f64>> =
                pilot.iter().map(|round| slice_ratios(&round[BASE], &round[side])).collect();
            let (slice, round) = variance_parts(&rounds);
            // The mean over the sides: each is an estimate of the same.
            spread.slice += slice / count as f64;
            spread.round += round.max(0.0) / count as f64;
            let times = ratios_of(pilot, Metric::Throughput, side);
            spread.felt += felt(&times) / count as f64;
            for metric in metrics.iter().filter(|metric| **metric != Metric::Throughput) {
                spread.other = spread.other.max(felt(&ratios_of(pilot, *metric, side)));
            }
        }
        spread
    }

    /// Slices of each side in a round (Kalibera and Jones).
    pub(super) fn slices(self, cost: Cost) -> u32 {
        let (start, slice) = (cost.start().as_secs_f64(), cost.slice().as_secs_f64());
        slices(start, slice, self.slice, self.round, MOST_SLICES)
    }

    /// What a round of so many slices deviates, to plan with.
    pub(super) fn sd(self, slices: u32) -> f64 {
        let of = |slices: u32| self.round + self.slice / f64::from(slices.max(1));
        let scaled = if of(PILOT_SLICES) > 0.0 { of(slices) / of(PILOT_SLICES) } else { 1.0 };
        UNCERTAIN * (self.felt * scaled.sqrt()).max(self.other)
    }
}

fn ratios_of(pilot: &[Vec<Shown>], metric: Metric, side: usize) -> Vec<f64> {
    pilot.iter().filter_map(|round| log_ratio(metric, &round[BASE], &round[side])).collect()
}

/// The deviation of one value that the standard error of the trimmed mean of these follows from.
fn felt(values: &[f64]) -> f64 {
    Trimmed::of(values).map_or(0.0, |of| of.se * (values.len() as f64).sqrt())
}

/// Rounds that a cell of this spread wishes for, so that a change of its clear margin would be found at `alpha`.
pub(super) fn wish(sd: f64, margin: Margin, alpha: f64) -> u32 {
    let bar = Bar { alpha, power: POWER, margin: margin.margin.ln_1p() };
    let needed = bar.rounds_needed(margin.clear.ln_1p(), sd, margin.layout_sd);
    needed.unwrap_or(MOST).clamp(ROUNDS, MOST)
}

/// Rounds of each cell: what it wishes for, but no more than a number that is the same for all and fits into `left`.
/// Each item is a wish, and what a round costs. An empty list where not even [`FEWEST`] of each fit.
pub(super) fn rounds(cells: &[(u32, Duration)], left: Duration) -> Vec<u32> {
    let at = |most: u32| cells.iter().map(move |(wish, cost)| ((*wish).min(most), *cost));
    let fits = |most| at(most).map(|(rounds, cost)| cost * rounds).sum::<Duration>() <= left;
    let Some(most) = (FEWEST..=MOST).rev().find(|most| fits(*most)) else { return vec![] };
    at(most).map(|(rounds, _)| rounds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_rich_budget_grants_all_wishes_and_a_tight_one_cuts_the_noisy_cells_first() {
        let cells = [(40, 100 * MS), (40, 50 * MS), (160, 100 * MS)];
        assert_eq!(rounds(&cells, Duration::from_mins(1)), [40, 40, 160]);
        assert_eq!(rounds(&cells, Duration::from_secs(15)), [40, 40, 90]);
        assert_eq!(rounds(&cells, Duration::from_secs(5)), [20, 20, 20]);
        assert!(rounds(&cells, Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn calm_cells_get_the_usual_number_and_noisy_ones_what_makes_the_change_visible() {
        let margin = Margin::default();
        assert_eq!(wish(0.001, margin, 0.001), ROUNDS);
        let noisy = wish(0.1, margin, 0.001);
        assert!(noisy > ROUNDS && noisy < 2 * ROUNDS, "{noisy}");
        assert_eq!(wish(3.0, margin, 0.001), MOST);
    }

    #[test]
    fn noise_between_slices_asks_for_slices_and_noise_between_rounds_for_rounds() {
        let mut cost = Cost::default();
        cost.add(100 * MS, 18 * MS);
        assert_eq!(cost.round(PILOT_SLICES), 100 * MS);
        let spread = |slice, round| Spread { slice, round, felt: 0.1, other: 0.0 };
        assert_eq!(spread(0.0001, 0.01).slices(cost), 1);
        assert_eq!(spread(0.01, 0.0).slices(cost), MOST_SLICES);
        assert!(spread(0.01, 0.01).sd(4) < spread(0.01, 0.01).sd(1));
    }

    #[test]
    fn a_spread_does_not_depend_on_which_side_is_faster() {
        let shown = |ns: [u64; 4]| Shown { slices_ns: ns.to_vec(), ..Shown::default() };
        let pilot = |factor: u64| -> Vec<Vec<Shown>> {
            (0..6)
                .map(|round| {
                    let drift = 1000 + 37 * (round * round % 5);
                    let head = [7, 5, 9, 6].map(|noise| (drift + noise) * factor);
                    let base = shown([1000, 1010, 990, 1005]);
                    vec![base.clone(), shown(head), base]
                })
                .collect()
        };
        let (same, slower) = (Spread::of(&pilot(1), &[]), Spread::of(&pilot(3), &[]));
        assert!(
            same.round > 0.0 && (same.round - slower.round).abs() < 1e-9,
            "{same:?} {slower:?}"
        );
    }
}
