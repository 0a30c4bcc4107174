//! Random numbers for tests, the same in every run.

use paceline_core::job::mix;

/// Numbers between 0 and 1.
pub(super) fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    let next = |state: &u64| Some(mix(*state));
    std::iter::successors(Some(mix(seed)), next).map(|state| (state >> 11) as f64 / 2_f64.powi(53))
}

/// Returns normal numbers, each the sum of twelve uniform ones.
pub(crate) fn normal(seed: u64, count: usize) -> Vec<f64> {
    let mut uniform = uniform(seed);
    (0..count).map(|_| uniform.by_ref().take(12).sum::<f64>() - 6.0).collect()
}
