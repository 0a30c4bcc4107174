//! The instrument that says whether a change made something slower: base and head interleaved, verdicts by cell.

pub mod build;
pub mod source;
