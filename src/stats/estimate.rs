//! The estimate of a figure from the trials of a cell: one value from each fresh process.

use super::trimmed::Trimmed;

/// With fewer trials there is no interval and no rank.
pub const FEWEST_TRIALS: usize = 3;
/// The level of every interval over trials.
pub const LEVEL: f64 = 0.95;

/// Returns the mean of the figure over `trials` and the ends of its 95 % interval; `None` without trials, or if one is
/// not finite. Both ends are the mean with fewer than [`FEWEST_TRIALS`].
///
/// See [`estimate_at`].
#[must_use]
pub fn estimate(trials: &[f64], resolution: f64) -> Option<(f64, f64, f64)> {
    estimate_at(LEVEL, trials, resolution)
}

/// Returns the mean and the ends of the interval at another `level`.
///
/// The mean is geometric, because times and rates vary by factors: x = ln(figure), and exp(mean ± t(n − 1) · s / √n) is
/// the interval. If a figure is 0 or less, it has no logarithm and the plain scale is used. Trials that are all equal
/// differ by less than the clock shows: half the interval is then its `resolution`, in the unit of the figure.
#[must_use]
pub fn estimate_at(level: f64, trials: &[f64], resolution: f64) -> Option<(f64, f64, f64)> {
    let logs = trials.iter().all(|figure| *figure > 0.0);
    let x: Vec<f64> =
        trials.iter().map(|figure| if logs { figure.ln() } else { *figure }).collect();
    let found = mean(&x)?;
    let back = |x: f64| if logs { x.exp() } else { x };
    if found.se == 0.0 {
        let value = trials[0];
        let half = if trials.len() < FEWEST_TRIALS { 0.0 } else { resolution };
        return Some((value, value - half, value + half));
    }
    let value = back(found.mean);
    if trials.len() < FEWEST_TRIALS {
        return Some((value, value, value));
    }
    let (lower, upper) = found.interval(level);
    Some((value, back(lower), back(upper)))
}

/// Returns the plain mean of `values` with its standard error, as a [`Trimmed`] mean without trimming.
pub(super) fn mean(values: &[f64]) -> Option<Trimmed> {
    let count = values.len() as f64;
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    // Explicit, because rounding can make the mean of equal values differ from them.
    if values.iter().all(|value| value.total_cmp(&values[0]).is_eq()) {
        return Some(Trimmed { mean: values[0], se: 0.0, df: count - 1.0 });
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some(Trimmed { mean, se: (squares / (count - 1.0) / count).sqrt(), df: count - 1.0 })
}

/// Returns the standard error of the mean of `values`, in their unit; `None` if there are fewer than [`FEWEST_TRIALS`], or
/// one is not finite.
#[must_use]
pub fn standard_error(values: &[f64]) -> Option<f64> {
    mean(values).filter(|_| values.len() >= FEWEST_TRIALS).map(|mean| mean.se)
}

/// Returns by how much the mean of `head` exceeds that of `base`, for unpaired values with unequal variances (Welch,
/// 1938). `None` if one of them has fewer than [`FEWEST_TRIALS`], or a value is not finite.
///
/// Its intervals cover random variation within each side. They cannot cover a lasting difference between the sides,
/// such as a machine that is slower today.
#[must_use]
pub fn difference(base: &[f64], head: &[f64]) -> Option<Trimmed> {
    if base.len().min(head.len()) < FEWEST_TRIALS {
        return None;
    }
    let (base, head) = (mean(base)?, mean(head)?);
    sum(&[head, Trimmed { mean: -base.mean, ..base }]).finite()
}

/// Returns the mean of the means of `groups`, each of which weighs the same, with the standard error that their values
/// give it. `None` without groups, if one has fewer than [`FEWEST_TRIALS`] values, or if a value is not finite.
#[must_use]
pub fn mean_of_means(groups: &[Vec<f64>]) -> Option<Trimmed> {
    let of = |group: &Vec<f64>| mean(group).filter(|_| group.len() >= FEWEST_TRIALS);
    let means = groups.iter().map(of).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())?;
    let (all, count) = (sum(&means), means.len() as f64);
    Trimmed { mean: all.mean / count, se: all.se / count, ..all }.finite()
}

/// Returns the sum of independent means, with the degrees of freedom of Welch (1938) and Satterthwaite (1946).
fn sum(means: &[Trimmed]) -> Trimmed {
    let se = means.iter().fold(0.0_f64, |se, one| se.hypot(one.se));
    let spread: f64 = means.iter().map(|one| one.se.powi(4) / one.df).sum();
    // Without any spread, any number of degrees gives the same result: that of the smallest is taken.
    let least = || means.iter().map(|one| one.df).fold(f64::INFINITY, f64::min);
    let df = if spread > 0.0 { se.powi(4) / spread } else { least() };
    Trimmed { mean: means.iter().map(|one| one.mean).sum(), se, df }
}

#[expect(clippy::print_stdout, reason = "docs/validity.md has what they print")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{simulated::normal, t::t_quantile};

    /// Returns the share of 4 000 cells of `n` trials whose interval contains the long-run mean.
    fn covered(n: usize) -> f64 {
        const CELLS: usize = 4_000;
        let noise = normal(7 + n as u64, CELLS * n);
        let covers = noise.chunks(n).filter(|noise| {
            let trials: Vec<f64> = noise.iter().map(|z| 5e6 * (0.2 * z).exp()).collect();
            let (_, lower, upper) = estimate(&trials, 1.0).unwrap();
            lower <= 5e6 && 5e6 <= upper
        });
        covers.count() as f64 / CELLS as f64
    }

    #[test]
    fn intervals_contain_the_long_run_mean_in_95_of_100_cells() {
        for n in [3, 5, 20] {
            let covered = covered(n);
            println!(
                "intervals of {n} trials contain the long-run mean in {:.1} %",
                covered * 100.0
            );
            assert!((0.93..=0.97).contains(&covered), "{n} trials: {covered}");
        }
    }

    #[test]
    fn two_runs_of_one_build_are_disjoint_in_at_most_1_of_100_pairs() {
        let noise = normal(99, 40_000);
        let interval = |noise: &[f64]| {
            let trials: Vec<f64> = noise.iter().map(|z| (0.2 * z).exp()).collect();
            estimate(&trials, 0.0).unwrap()
        };
        let pairs = noise.chunks(10).map(|both| (interval(&both[..5]), interval(&both[5..])));
        let disjoint = pairs.filter(|(a, b)| a.2 < b.1 || b.2 < a.1).count();
        println!("two runs of 5 trials have disjoint intervals in {disjoint} of 4000 pairs");
        assert!(disjoint <= 40, "{disjoint} of 4000");
    }

    #[test]
    fn few_trials_have_no_interval_and_equal_ones_the_resolution_of_the_clock() {
        assert_eq!(estimate(&[], 1.0), None);
        assert_eq!(estimate(&[1.0, f64::NAN, 2.0], 1.0), None);
        assert_eq!(estimate(&[7.0], 1.0), Some((7.0, 7.0, 7.0)));
        let [value, lower, upper] = estimate(&[2.0, 8.0], 1.0).map(<[f64; 3]>::from).unwrap();
        assert!([value, lower, upper].iter().all(|of| (of - 4.0).abs() < 1e-12));
        assert_eq!(estimate(&[7.0; 3], 0.5), Some((7.0, 6.5, 7.5)));
        assert_eq!(mean(&[7.0; 3]), Some(Trimmed { mean: 7.0, se: 0.0, df: 2.0 }));
    }

    #[test]
    fn figures_that_may_be_0_are_averaged_as_they_are() {
        let (value, lower, upper) = estimate(&[0.0, 1.0, 2.0], 1.0).unwrap();
        assert!((value - 1.0).abs() < 1e-12);
        let half = t_quantile(0.975, 2.0) / 3_f64.sqrt();
        assert!((lower - (1.0 - half)).abs() < 1e-9 && (upper - (1.0 + half)).abs() < 1e-9);
    }
}
