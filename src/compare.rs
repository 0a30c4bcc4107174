//! Verdicts on pairs of trials, and comparisons of two records: pure functions on slices.

mod agreement;
mod counts;
mod crashes;
mod overall;
mod records;
mod shifts;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

pub use agreement::{Agreement, Disjoint, DisjointPair, WorkloadAgreement, agreement};
pub use counts::{JudgedCounts, judge_counts};
pub use crashes::head_crashes_more;
pub use overall::overall;
pub use records::{Comparison, Pair, Refusal, RunName, comparable, compare_records, of_one_build};
pub use shifts::{Basis, Shift};
pub use verdict::{Judged, Sample, bar, far_slower, judge, judge_against};
