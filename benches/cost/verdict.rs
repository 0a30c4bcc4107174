//! When a ratio, and all of them together, are what is claimed.

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

/// Returns whether the claims hold: each was judged, none is off, and neither is the geometric mean of the ratios.
pub(crate) fn held(words: &[&str], mean: f64) -> bool {
    words.iter().all(|word| ["within", "open"].contains(word))
        && mean.ln().abs() <= LIMITS.1.ln_1p()
}
