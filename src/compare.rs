//! Verdicts on pairs of rounds, and two records side by side: pure functions on slices.

mod overall;
#[cfg(test)]
mod tests;
mod verdict;

pub use overall::overall;
pub use verdict::{Judged, Sample, judge};
