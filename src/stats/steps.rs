//! Detects where a series steps from one level to another and stays there: L1 Potts, by exact dynamic programming.

use std::ops::Range;

use super::{
    median_and_range,
    series::{Kind, lengths, series},
};
use paceline_core::job::mix;

/// The fewest values in a segment.
const LEAST: usize = 3;

/// Returns where `values` step: the index of the first value after each step, ascending.
///
/// Of all ways to cut them into segments of at least 3 values, it takes the one with the least `sum |value - median of
/// its segment| + P · steps`. Absolute distances tolerate outliers, and a median tolerates a step that has only begun.
/// The penalty is
///
/// `P = s · (4 + 1.5 ln n) · (1 + ρ) / (1 - ρ)`
///
/// * `s` is the scale of the noise: the root mean square difference of neighbours over `√(2 (1 - ρ))`. Differences
///   are independent of levels. Squares weigh rare outliers and two modes, which by chance form runs that look like
///   steps.
/// * `ln n`: longer series have more places for a chance step, and longer runs.
/// * `(1 + ρ) / (1 - ρ)` is how much more the mean of a long segment varies if neighbours are correlated (AR(1)).
///
/// `ρ` and `s` come from the residuals of a first cut with `P = 7 s₁`, `s₁` the mean absolute difference of neighbours
/// over 1.128 (its value for a normal distribution). `ρ` is the correlation of neighbours with values clipped at 3
/// robust standard deviations, plus `1 / n` for each segment, to correct for the fitted levels; it is 0 to 0.9. The
/// constants are from simulation: [`step_rates`] measures the error rates.
///
/// Time and memory grow with the square of the number of values. Fewer than 6 values, or values that are not all
/// finite, have no step.
#[must_use]
pub fn steps(values: &[f64]) -> Vec<usize> {
    if values.len() < 2 * LEAST || values.iter().any(|value| !value.is_finite()) {
        return vec![];
    }
    let costs = costs(values);
    let count = values.len() as f64;
    let apart = values.array_windows().map(|[one, next]| (next - one).abs()).sum::<f64>();
    let first = cut(&costs, 7.0 * apart / (count - 1.0) / 1.128);
    let noise = noise(values, &first);
    let rho = noise.correlation;
    let penalty = noise.scale * (4.0 + 1.5 * count.ln()) * (1.0 + rho) / (1.0 - rho);
    // Without noise, a minimal penalty keeps segments of equal values whole.
    cut(&costs, penalty.max(apart * 1e-9))
}

struct Noise {
    scale: f64,
    correlation: f64,
}

/// Returns the noise about the levels between `steps`.
fn noise(values: &[f64], steps: &[usize]) -> Noise {
    let mut segments: Vec<Vec<f64>> = Vec::new();
    let mut from = 0;
    for to in steps.iter().copied().chain([values.len()]) {
        let level = median_and_range(&values[from..to]).0;
        segments.push(values[from..to].iter().map(|value| value - level).collect());
        from = to;
    }
    let count = values.len() as f64;
    let far: Vec<f64> = segments.iter().flatten().map(|rest| rest.abs()).collect();
    let robust = 3.0 * 1.4826 * median_and_range(&far).0;
    let most = if robust > 0.0 { robust } else { f64::INFINITY };
    let (mut shared, mut own, mut jumps, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for segment in &segments {
        own += segment.iter().map(|rest| rest.clamp(-most, most).powi(2)).sum::<f64>();
        for [one, next] in segment.array_windows() {
            shared += one.clamp(-most, most) * next.clamp(-most, most);
            jumps += (next - one).powi(2);
            pairs += 1.0;
        }
    }
    let fitted = segments.len() as f64;
    let raw = if own > 0.0 { shared / own } else { 0.0 };
    let correlation =
        ((raw * count + fitted) / (count - 3.0 * fitted).max(0.5 * count)).clamp(0.0, 0.9);
    Noise { scale: (jumps / pairs / 2.0 / (1.0 - correlation)).sqrt(), correlation }
}

/// Returns `costs[from][len - 1]`: the sum of absolute distances of `len` values from their median.
fn costs(values: &[f64]) -> Vec<Vec<f64>> {
    let of = |from: usize| {
        let mut sorted: Vec<f64> = Vec::with_capacity(values.len() - from);
        let mut cost = 0.0;
        let next = |value: &f64| {
            // A new value adds its distance from the nearest median so far: any value between the two middle ones.
            if let Some(last) = sorted.len().checked_sub(1) {
                let (low, high) = (sorted[last / 2], sorted[last.div_ceil(2)]);
                cost += (low - value).max(value - high).max(0.0);
            }
            sorted.insert(sorted.partition_point(|other| other < value), *value);
            cost
        };
        values[from..].iter().map(next).collect()
    };
    (0..values.len()).map(of).collect()
}

/// Returns the cheapest cut if each step costs `penalty`.
fn cut(costs: &[Vec<f64>], penalty: f64) -> Vec<usize> {
    let count = costs.len();
    // For each prefix of the values: its least cost, and where its last segment begins.
    let mut best = vec![(f64::INFINITY, 0); count + 1];
    best[0].0 = -penalty;
    for to in LEAST..=count {
        for from in 0..=to - LEAST {
            let cost = best[from].0 + penalty + costs[from][to - from - 1];
            if cost < best[to].0 {
                best[to] = (cost, from);
            }
        }
    }
    let begins = std::iter::successors(Some(best[count].1), |to| Some(best[*to].1));
    let mut steps: Vec<usize> = begins.take_while(|step| *step > 0).collect();
    steps.reverse();
    steps
}

/// The accuracy of [`steps`] on series of one kind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct StepRates {
    /// The kind of series.
    pub kind: String,
    /// The number of series.
    pub series: usize,
    /// Series without a step in which one was found; 0 for a kind with a step.
    pub with_false_steps: usize,
    /// Series in which the planted step was found, at most one value off; `None` for a kind without a step.
    pub found: Option<usize>,
}

impl StepRates {
    /// Adds the series of `more`, of the same kind.
    pub fn add(&mut self, more: &StepRates) {
        self.series += more.series;
        self.with_false_steps += more.with_false_steps;
        self.found = self.found.zip(more.found).map(|(all, more)| all + more);
    }
}

/// Measures how often [`steps`] finds a false step in series of 10 to 200 values of every [`Kind`], and how often it
/// finds a step that was planted into white noise. `which` numbers the series of each kind, so that a few can be made at
/// a time. The same `seed` gives the same rates.
#[must_use]
pub fn step_rates(which: Range<u64>, seed: u64) -> Vec<StepRates> {
    let series_per_kind = (which.end - which.start) as usize;
    let seeds = |kind: usize| which.clone().map(move |i| mix(seed ^ mix(i) ^ kind as u64));
    let still = Kind::ALL.iter().enumerate().map(|(index, kind)| StepRates {
        kind: kind.name().into(),
        series: series_per_kind,
        with_false_steps: seeds(index)
            .filter(|seed| !steps(&series(*kind, lengths(*seed), *seed)).is_empty())
            .count(),
        found: None,
    });
    let planted = PLANTED.iter().enumerate().map(|(index, (before, after, size))| StepRates {
        kind: format!("step of {size} sigma, {before} values before and {after} after"),
        series: series_per_kind,
        with_false_steps: 0,
        found: Some(
            seeds(100 + index).filter(|seed| is_found(*before, *after, *size, *seed)).count(),
        ),
    });
    still.chain(planted).collect()
}

/// Values before a step, values after it, and its size in standard deviations.
const PLANTED: [(usize, usize, f64); 8] = [
    (6, 6, 3.0),
    (20, 6, 3.0),
    (50, 6, 3.0),
    (20, 3, 5.0),
    (20, 4, 5.0),
    (50, 3, 5.0),
    (50, 4, 5.0),
    (20, 3, 10.0),
];

fn is_found(before: usize, after: usize, size: f64, seed: u64) -> bool {
    let mut values = series(Kind::White, before + after, seed);
    values[before..].iter_mut().for_each(|value| *value += size);
    steps(&values).iter().any(|step| step.abs_diff(before) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_where_it_is_and_none_where_there_is_none() {
        let mut values = vec![1.0; 20];
        assert_eq!(steps(&values), [0; 0]);
        values[12..].fill(2.0);
        assert_eq!(steps(&values), [12]);
        values[17..].fill(1.5);
        assert_eq!(steps(&values), [12, 17]);
        assert_eq!(steps(&[1.0, 1.0, 9.0, 9.0, 9.0]), [0; 0]);
        assert_eq!(steps(&[1.0, 1.0, 1.0, f64::NAN, 9.0, 9.0]), [0; 0]);
    }

    #[test]
    fn six_values_may_have_a_step_and_fewer_or_none_have_none() {
        assert_eq!(steps(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0]), [3]);
        assert_eq!(steps(&[]), [0; 0]);
    }

    /// The figures of this test and of the next are from a second implementation of what [`steps`] documents, in Python.
    #[test]
    fn the_noise_about_levels_is_that_of_the_definition() {
        #[track_caller]
        fn near(values: &[f64], steps: &[usize], scale: f64, correlation: f64) {
            let found = noise(values, steps);
            assert!((found.scale - scale).abs() < 1e-9, "scale {}", found.scale);
            assert!((found.correlation - correlation).abs() < 1e-9, "{}", found.correlation);
        }
        let spiky =
            [0.0, 3.0, -1.0, 2.0, 1.0, -2.0, 0.0, 1.0, 10.0, 12.0, 9.0, 11.0, 30.0, 10.0, 8.0];
        near(&spiky, &[8], 5.761_880_142_151_558, 0.037_281_680_604_259_59);
        near(&spiky, &[], 16.916_952_150_265_83, 0.886_186_818_100_027_3);
        let wave = [0.0, 1.0, 3.0, 4.0, 4.0, 3.0, 1.0, 0.0, -1.0, -3.0, -4.0, -4.0, -3.0, -1.0];
        near(&wave, &[], 2.974_248_450_643_262_5, 0.9);
        let zigzag = [0.0, 3.0, -2.0, 1.0, -1.0, 2.0, -3.0, 0.0, 1.0, -2.0, 2.0, -1.0];
        near(&zigzag, &[], 2.383_656_473_113_980_7, 0.0);
        // More than half of the values are at their level: nothing is clipped then.
        let mut one = [0.0; 10];
        one[5] = 1.0;
        near(&one, &[], 0.360_041_149_911_547_8, 1.0 / 7.0);
        near(&[1.0, 1.0, 1.0, 5.0, 5.0, 5.0], &[3], 0.0, 2.0 / 3.0);
    }

    #[test]
    fn a_step_is_found_from_the_size_on_that_the_penalty_asks_for() {
        let noise = [
            0.3, -0.8, 0.5, 1.1, -0.4, -1.2, 0.9, 0.1, -0.6, 0.7, -0.2, 0.4, 1.3, -0.9, 0.2, -0.5,
            0.8, -1.0, 0.6, -0.1, 0.0, 1.0, -0.7, -0.3,
        ];
        let with = |at: usize, size: f64| {
            let mut values = noise;
            values[at..].iter_mut().for_each(|value| *value += size);
            steps(&values)
        };
        let sizes = [
            (12, 1.820_745_489_631_271),
            (16, 1.813_217_524_613_345_5),
            (20, 2.674_689_188_239_612_7),
        ];
        for (at, size) in sizes {
            assert_eq!((with(at, size * 0.997), with(at, size * 1.003)), (vec![], vec![at]));
        }
    }

    #[test]
    fn the_rates_of_a_few_series_at_a_time_add_up_to_those_of_all() {
        let mut added = step_rates(0..3, 1);
        added.iter_mut().zip(&step_rates(3..9, 1)).for_each(|(all, more)| all.add(more));
        assert_eq!(format!("{added:?}"), format!("{:?}", step_rates(0..9, 1)));
    }

    #[test]
    fn the_cost_of_a_segment_is_the_distance_from_its_median() {
        let values = series(Kind::StudentT, 30, 4);
        let costs = costs(&values);
        for from in 0..30 {
            for to in from + 1..=30 {
                let middle = median_and_range(&values[from..to]).0;
                let cost = values[from..to].iter().map(|v| (v - middle).abs()).sum::<f64>();
                assert!((costs[from][to - from - 1] - cost).abs() < 1e-9, "{from} to {to}");
            }
        }
    }

    #[test]
    fn neither_scale_nor_level_nor_sign_moves_a_step() {
        let mut values = series(Kind::White, 40, 2);
        values[25..].iter_mut().for_each(|value| *value += 6.0);
        let found = steps(&values);
        assert_eq!(found.len(), 1);
        assert_eq!(steps(&values.iter().map(|v| 7.0 - 1e6 * v).collect::<Vec<_>>()), found);
    }

    /// Uses three hundred series of white noise and a hundred of each other kind.
    #[test]
    fn at_most_one_in_a_hundred_series_has_a_false_step_and_most_steps_are_found() {
        let rates = step_rates(0..100, 1);
        let still = rates.iter().filter(|of| of.found.is_none());
        let wrong: usize = still.clone().map(|of| of.with_false_steps).sum();
        let more = (0..200).map(|seed| mix(seed + 77));
        let more = more.filter(|s| !steps(&series(Kind::White, lengths(*s), *s)).is_empty());
        let (wrong, all) = (wrong + more.count(), 100 * still.count() + 200);
        assert!(wrong * 100 <= all, "{wrong} of {all}: {rates:#?}");
        // Twelve values alone are too few; the other steps are mostly found.
        for of in rates.iter().filter(|of| of.found.is_some()).skip(1) {
            assert!(of.found.unwrap() > 50, "{of:?}");
        }
    }
}
