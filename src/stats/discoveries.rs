//! Many tests at once: which of them count, and what a share of them that came out tells.

use statrs::distribution::{Beta, ContinuousCDF};

/// Which of the tests with the chances `p` are discoveries, where at most a share `rate` of those found may be false
/// (Benjamini and Hochberg, 1995): all up to the k-th least, for the greatest k whose chance is at most `rate` · k / n.
///
/// A chance that is not a number is that of a test that could not be made: it is never a discovery, and counts in n.
#[must_use]
pub fn discoveries(p: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<f64> = p.to_vec();
    order.sort_unstable_by(f64::total_cmp);
    let count = order.len() as f64;
    let passes = |(rank, p): (usize, &f64)| *p <= rate * (rank + 1) as f64 / count;
    let last = order.iter().enumerate().rfind(|found| passes(*found)).map(|(_, p)| *p);
    p.iter().map(|p| last.is_some_and(|last| *p <= last)).collect()
}

/// The two-sided interval of the share of which `hits` of `trials` came out, at `level` (Clopper and Pearson, 1934). It
/// covers the truth in at least that share of all cases. (0, 1) where there was no trial.
///
/// A one-sided bound at 95 % is an end of the interval at 90 %.
///
/// # Panics
///
/// Panics where there are more hits than trials, or `level` is not between 0 and 1.
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
