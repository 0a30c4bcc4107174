//! Verdicts on pairs of trials, and two records side by side: pure functions on slices.

mod crashes;
mod overall;
mod records;
mod shifts;
#[cfg(test)]
mod tests;
mod verdict;

pub use crashes::head_crashes_more;
pub use overall::overall;
pub use records::{Comparison, Pair, Refusal, RunName, compare_records};
pub use shifts::{Basis, Shift};
pub use verdict::{Judged, Sample, judge};
