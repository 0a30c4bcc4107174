//! When a ratio, and all of them together, are what is claimed.

use paceline::stats::{LEVEL, mean_of_means};

/// The fewest pairs for a verdict.
pub(crate) const ENOUGH: usize = 10;
/// The greatest distance from 1 of a claimed ratio, and of the geometric mean of all claimed ratios.
const LIMITS: (f64, f64) = (0.03, 0.01);

/// Judges a ratio in both directions: a suite that is faster than plain code is as wrong as one that is slower.
pub(crate) fn word((mean, lower, upper): (f64, f64, f64)) -> &'static str {
    let far = |ratio: f64| ratio.ln().abs() > LIMITS.0.ln_1p();
    match () {
        () if far(mean) => "off",
        () if far(lower) || far(upper) => "open",
        () => "within",
    }
}

/// Returns the geometric mean of several ratios, each of which has its own `pairs`, with the ends of its 95 % interval;
/// `None` if one has too few. All weigh the same, and the interval contains what repeating these comparisons would vary.
pub(crate) fn overall(pairs: &[&[f64]]) -> Option<(f64, f64, f64)> {
    let logs = |ratios: &&[f64]| ratios.iter().map(|ratio| ratio.ln()).collect();
    let found = mean_of_means(&pairs.iter().map(logs).collect::<Vec<_>>())?;
    let (lower, upper) = found.interval(LEVEL);
    Some((found.mean.exp(), lower.exp(), upper.exp()))
}

/// Returns whether both ends of an interval are within ±0.5 % of its mean, at which nothing more is measured.
pub(crate) fn is_narrow((mean, lower, upper): (f64, f64, f64)) -> bool {
    const NARROW: f64 = 0.005;
    mean / lower <= 1.0 + NARROW && upper / mean <= 1.0 + NARROW
}

/// Returns whether the claims hold: each was judged, none is off, and neither is the geometric mean of the ratios.
pub(crate) fn held(words: &[&str], mean: f64) -> bool {
    words.iter().all(|word| ["within", "open"].contains(word))
        && mean.ln().abs() <= LIMITS.1.ln_1p()
}
