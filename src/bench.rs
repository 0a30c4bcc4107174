//! The instrument behind `cargo bench`: every cell in fresh processes, within a budget, with criterion's report.

mod flags;
mod in_progress;
mod known;
mod options;
mod order;
mod pace;
#[cfg(test)]
mod rehearsal;
mod replay;
mod suite;
mod trial;

pub use options::{Options, Profile};
pub(crate) use replay::child as replay_child;
pub(crate) use suite::{chosen, measure};
