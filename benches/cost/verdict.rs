//! When a ratio, and all of them together, are what is claimed.

use paceline::stats::{Trimmed, estimate, standard_error};

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
    let count = pairs.len() as f64;
    let (mut logs, mut variance, mut over_df) = (0.0, 0.0, 0.0);
    for ratios in pairs {
        let x: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        let se = standard_error(&x)?;
        logs += estimate(ratios, 0.0)?.0.ln();
        variance += se * se;
        over_df += se.powi(4) / (x.len() as f64 - 1.0);
    }
    let mean = logs / count;
    // The degrees of freedom are those of Welch and Satterthwaite; without any variation they do not matter.
    let df = if over_df > 0.0 { variance * variance / over_df } else { 1.0 };
    let (lower, upper) =
        Trimmed { mean, se: variance.sqrt() / count, df }.interval(paceline::stats::LEVEL);
    (!pairs.is_empty()).then_some((mean.exp(), lower.exp(), upper.exp()))
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
