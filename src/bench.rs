//! The instrument behind `cargo bench`: every cell in fresh processes, within a budget, with criterion's report.

mod flags;
mod in_progress;
mod killed;
mod known;
mod options;
mod order;
mod pace;
#[cfg(test)]
mod rehearsal;
mod replay;
mod runner;
mod suite;
mod trial;

pub(crate) use killed::{complete, complete_newest};
pub use options::{Options, Profile};
pub(crate) use replay::child as replay_child;
pub(crate) use suite::{chosen, measure};
