//! A run in blocks: planned once, worked on any number of nodes by whatever scheduler there is, and collected into one
//! record that is complete or says what is missing.
//!
//! A block is one workload at one scale in one pass, with all models in shuffled order, on one node: a slow node slows
//! all models of a comparison alike. Nodes share nothing but a folder. Files in it decide what succeeded; the scheduler
//! says only what is waiting, running or gone.

mod call;
mod collect;
mod collect_load;
mod engine;
mod hosts;
mod jobs;
mod manifest;
mod merge;
mod node;
mod part;
mod plan;
mod roles;
mod status;
mod submit;
#[cfg(test)]
mod tests;
mod work;

pub use collect::{Collected, collect};
pub use engine::{BUILT_IN, Engine};
pub use hosts::{LoadPlan, PORT, PlanNode};
pub use manifest::manifest;
pub use part::{Done, Part};
pub use plan::{Block, Plan, PlanFolder, make};
pub use status::{BlockState, BlockStatus, Status, Watch};
pub use submit::{Submitted, cancel, submit};
pub use work::{Worked, work};

use std::{io, path::Path};

use crate::output::remedy;

/// Why a command on a plan cannot do what it was told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for does not fit.
    Usage(String),
    /// This machine, or this build, is not the one.
    Environment(String),
    /// Something could not be read, written or reached.
    Failed(String),
}

/// Returns the sentence for a file or folder of a plan that cannot be written.
fn unwritable(place: &Path, error: &io::Error) -> String {
    let (place, remedy) = (place.display(), remedy(error));
    format!("cannot write to {place}: {error}; {remedy}, and call this again")
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Fault::Failed(why)
    }
}
