//! Multiple tests: which are discoveries, and the interval of a share.

use statrs::distribution::{Beta, ContinuousCDF};

/// Returns which of the tests with p-values `p` are discoveries if at most a share `rate` of them may be false
/// (Benjamini and Hochberg, 1995): all up to the k-th smallest, for the greatest k with p at most `rate` · k / n.
///
/// A NaN stands for a test that could not be made: it is never a discovery, and counts in n.
#[must_use]
pub fn discoveries(p: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<f64> = p.to_vec();
    order.sort_unstable_by(f64::total_cmp);
    let count = order.len() as f64;
    let passes = |(rank, p): (usize, &f64)| *p <= rate * (rank + 1) as f64 / count;
    let last = order.iter().enumerate().rfind(|found| passes(*found)).map(|(_, p)| *p);
    p.iter().map(|p| last.is_some_and(|last| *p <= last)).collect()
}

/// Returns the two-sided interval of a share observed as `hits` of `trials`, at `level` (Clopper and Pearson, 1934). It
/// covers the true share with a probability of at least `level`. (0, 1) without trials.
///
/// A one-sided bound at 95 % is an end of the interval at 90 %.
///
/// # Panics
///
/// Panics if there are more hits than trials, or `level` is not between 0 and 1.
#[must_use]
pub fn clopper_pearson(hits: u64, trials: u64, level: f64) -> (f64, f64) {
    assert!(hits <= trials, "{hits} hits of {trials} trials");
    let beyond = (1.0 - level) / 2.0;
    let (some, none) = (hits as f64, (trials - hits) as f64);
    let beta = |hits: f64, misses: f64, p: f64| {
        Beta::new(hits, misses).expect("both are at least 1").inverse_cdf(p)
    };
    let lower = if hits == 0 { 0.0 } else { beta(some, none + 1.0, beyond) };
    let upper = if hits == trials { 1.0 } else { beta(some + 1.0, none, 1.0 - beyond) };
    (lower, upper)
}
