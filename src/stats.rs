//! Statistics: pure functions on slices.

mod best;
mod discoveries;
mod estimate;
#[cfg(test)]
mod golden;
mod nodes;
mod planning;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod simulated;
mod t;
mod trimmed;
mod usl;

pub use best::{Best, Passes, RESOLUTION, best, in_order, most_loss};
pub use discoveries::{clopper_pearson, discoveries};
pub use estimate::{
    FEWEST_TRIALS, LEVEL, difference, estimate, estimate_at, mean_of_means, standard_error,
};
pub use nodes::{FEWEST_NODES, figures_over_nodes, over_nodes};
pub use planning::{Bar, MOST_TRIALS, slices, trials_until, variance_parts};
pub use trimmed::{FEWEST, Trimmed};
pub use usl::{Fitted, Peak, USL_POINTS, Usl, usl, usl_by_variance};
mod series;
mod steps;

pub use series::{Kind, lengths, series};
pub use steps::{StepRates, step_rates, steps};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Returns the median of `values` with the least and the greatest value.
///
/// # Panics
///
/// Panics if `values` is empty.
#[must_use]
pub fn median_and_range(values: &[f64]) -> (f64, f64, f64) {
    let sorted = sorted(values);
    let last = sorted.len() - 1;
    let middle = sorted[last / 2].midpoint(sorted[last.div_ceil(2)]);
    (middle, sorted[0], sorted[last])
}

/// Returns the slope of the least-squares line through points `(x, y)`; `None` if all have the same `x`.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
    let shared = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>();
    (spread > 0.0).then(|| shared / spread)
}

/// One of two modes that times fall into.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mode {
    /// Median, in nanoseconds.
    pub ns: f64,
    /// Share of all times that belong to this mode.
    pub share: f64,
}

/// Returns the two modes of positive `times` if there are two: the median of a bimodal sample is a time that never
/// occurs.
///
/// The logarithms are split so that the variance within the two parts is least (Otsu). The parts are two modes if all
/// of these hold: each has a tenth of the times and at least 3; their means differ by a factor of at least 1.3, and by
/// Ashman's D of more than 4 + 60 / n (split this way, a normal distribution has 2.7, a uniform one 3.5, and small
/// samples more by chance); the middle third between the means holds less than 3 % of the times (normal: 21 %, uniform:
/// 17 %). With fewer than 12 times the answer is `None`: chance alone
/// leaves such gaps.
#[must_use]
pub fn modes(times: &[f64]) -> Option<[Mode; 2]> {
    const FEWEST: usize = 12;
    if times.len() < FEWEST || times.iter().any(|time| *time <= 0.0) {
        return None;
    }
    let logs = sorted(&times.iter().map(|time| time.ln()).collect::<Vec<_>>());
    let split = otsu(&logs);
    let (low, high) = logs.split_at(split);
    let least = 3.max(logs.len() / 10);
    let (low_mean, low_variance) = mean_and_variance(low);
    let (high_mean, high_variance) = mean_and_variance(high);
    let apart = high_mean - low_mean;
    let valley = (low_mean + apart / 3.0)..(high_mean - apart / 3.0);
    let in_valley = logs.iter().filter(|log| valley.contains(log)).count() as f64;
    let ashman = 4.0 + 60.0 / logs.len() as f64;
    let two = low.len() >= least
        && high.len() >= least
        && apart > 1.3_f64.ln()
        && apart > ashman * low_variance.midpoint(high_variance).sqrt()
        && in_valley < 0.03 * logs.len() as f64;
    let mode = |part: &[f64]| Mode {
        ns: median_and_range(part).0.exp(),
        share: part.len() as f64 / logs.len() as f64,
    };
    two.then(|| [mode(low), mode(high)])
}

/// Returns where to split sorted values so that the variance within both parts, weighted by their size, is least.
fn otsu(sorted: &[f64]) -> usize {
    let total: f64 = sorted.iter().sum();
    let mut below = 0.0;
    let mut best = (f64::MIN, 1);
    for (index, value) in sorted.iter().enumerate().take(sorted.len() - 1) {
        below += value;
        let (few, many) = ((index + 1) as f64, (sorted.len() - index - 1) as f64);
        let between = few * many * (below / few - (total - below) / many).powi(2);
        if between > best.0 {
            best = (between, index + 1);
        }
    }
    best.1
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulated::{normal, uniform};

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median_and_range(&[4.0, 1.0, 2.0, 9.0]), (3.0, 1.0, 9.0));
        assert_eq!(median_and_range(&[5.0]), (5.0, 5.0, 5.0));
    }

    #[test]
    fn a_slope_is_found_whatever_lies_under_it() {
        let points = [1.0, 10.0, 100.0].map(|x| (x, 7000.0 + 250.0 * x));
        assert!((slope(&points).unwrap() - 250.0).abs() < 1e-9);
        assert_eq!(slope(&[(3.0, 1.0), (3.0, 2.0)]), None);
    }

    #[test]
    fn two_modes_are_named_with_their_shares() {
        let noise = normal(1, 200);
        let times = noise.iter().enumerate().map(|(index, noise)| {
            if index % 4 == 0 {
                5_000.0 * (0.1 * noise).exp()
            } else {
                80_000.0 * (0.1 * noise).exp()
            }
        });
        let [low, high] = modes(&times.collect::<Vec<_>>()).unwrap();
        assert!((low.ns / 5_000.0 - 1.0).abs() < 0.05 && (low.share - 0.25).abs() < 1e-9);
        assert!((high.ns / 80_000.0 - 1.0).abs() < 0.05 && (high.share - 0.75).abs() < 1e-9);
    }

    #[test]
    fn one_mode_is_not_taken_for_two_in_one_of_a_hundred_series() {
        for count in [12, 15, 25, 100, 1000] {
            let mut found = 0;
            for seed in 0..1000 {
                let noise = normal(seed * 7919 + count as u64, count);
                let times = noise.iter().map(|noise| 1e6 * (0.3 * noise).exp());
                found += usize::from(modes(&times.collect::<Vec<_>>()).is_some());
                let times = uniform(seed).take(count).map(|share| 1e6 * (1.0 + 4.0 * share));
                found += usize::from(modes(&times.collect::<Vec<_>>()).is_some());
            }
            assert!(found <= 20, "{found} of 2000 series of {count}");
        }
    }

    /// Returns times whose logarithms are `count` times `at`, for each of `parts`.
    fn times(parts: &[(usize, f64)]) -> Vec<f64> {
        parts.iter().flat_map(|(count, at)| vec![at.exp(); *count]).collect()
    }

    #[test]
    fn a_mode_has_at_least_3_times_and_a_tenth_of_12_or_more() {
        let of = |low: usize, high: usize| modes(&times(&[(low, 0.0), (high, 1.0)])).is_some();
        assert_eq!([of(5, 6), of(6, 6)], [false, true]);
        assert_eq!([of(2, 10), of(3, 9), of(9, 3), of(10, 2)], [false, true, true, false]);
        assert_eq!([of(9, 91), of(10, 90), of(90, 10), of(91, 9)], [false, true, true, false]);
        let mut with_0 = times(&[(6, 0.0), (6, 1.0)]);
        with_0[0] = 0.0;
        assert_eq!(modes(&with_0), None);
    }

    #[test]
    fn modes_are_a_factor_of_1_3_apart() {
        let of = |factor: f64| modes(&times(&[(10, 0.0), (10, factor.ln())])).is_some();
        assert_eq!([of(1.29), of(1.31)], [false, true]);
    }

    #[test]
    fn modes_are_as_far_apart_as_their_spread_and_their_number_ask_for() {
        // Half of each mode is above its mean and half below it, so that `spread` is its standard deviation.
        let of = |each: usize, [low, high]: [f64; 2], apart: f64| {
            let mut all = times(&[(each, -low), (each, low)]);
            all.extend(times(&[(each, apart - high), (each, apart + high)]));
            modes(&all).is_some()
        };
        // Ashman's D of 4 + 60 / n: 9 for 12 times, 5 for 60.
        assert_eq!([of(3, [0.1; 2], 0.89), of(3, [0.1; 2], 0.91)], [false, true]);
        assert_eq!([of(15, [0.1; 2], 0.49), of(15, [0.1; 2], 0.51)], [false, true]);
        let one = [0.0, 0.1 * 2_f64.sqrt()];
        assert_eq!([of(3, one, 0.89), of(3, one, 0.91)], [false, true]);
    }

    #[test]
    fn less_than_3_of_100_times_lie_in_the_middle_third_between_two_modes() {
        // Those between are as many on each side of the middle, so the means of both modes move by as much.
        let of = |each: usize, at: f64| {
            let rest = 100 - each;
            modes(&times(&[(rest, 0.0), (each, at), (each, 3.0 - at), (rest, 3.0)])).is_some()
        };
        // Of 200 times, 4 are less than 3 % and 6 are not.
        assert_eq!([of(2, 1.2), of(3, 1.2), of(3, 1.1), of(3, 0.9)], [true, false, false, true]);
    }

    #[test]
    fn a_few_outliers_are_no_mode() {
        let mut times = normal(3, 100).iter().map(|noise| 1e6 + 1e4 * noise).collect::<Vec<_>>();
        times[..5].fill(9e6);
        assert_eq!(modes(&times), None);
    }
}
