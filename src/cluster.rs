//! A run in blocks: planned once, worked on any number of nodes by whatever scheduler there is, and collected into one
//! record that is complete or says what is missing.
//!
//! A block is one workload at one scale in one pass, with all models in shuffled order, on one node: a slow node slows
//! all models of a comparison alike. Nodes share nothing but a folder. Files in it decide what succeeded; the scheduler
//! says only what is waiting, running or gone.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use serde::Serialize;

use crate::{
    machine::hex,
    output::remedy,
    record::{json, write_whole},
};

mod beside;
mod call;
mod collect;
mod collect_load;
mod engine;
mod hosts;
mod jobs;
mod manifest;
mod meeting;
mod merge;
mod node;
mod pace;
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
pub use hosts::{LoadOptions, LoadPlan, PORT, PlanNode};
pub use manifest::manifest;
pub use part::{Done, Part};
pub use plan::{Block, Plan, PlanFolder, make};
pub use status::{BlockState, BlockStatus, Status, Watch};
pub use submit::{Submitted, cancel, submit};
pub use work::{Worked, work};

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

impl Fault {
    /// The sentence.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Fault::Usage(why) | Fault::Environment(why) | Fault::Failed(why) => why,
        }
    }
}

/// Writes a whole file of a plan's folder, or nothing.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| write_whole(path, bytes));
    written.map_err(|error| unwritable_file(path, &error))
}

/// Writes `value` to such a file.
fn write_json_file(path: &Path, value: &impl Serialize) -> Result<(), Fault> {
    write_file(path, &json(value))
}

/// Returns `BYTES` random bytes as hexadecimal digits.
fn random<const BYTES: usize>() -> io::Result<String> {
    let mut random = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(hex(&random))
}

/// Returns the fault of a file of a plan's folder that cannot be written.
fn unwritable_file(path: &Path, error: &io::Error) -> Fault {
    let (host, path, remedy) = (node::host_name(), path.display(), remedy(error));
    Fault::Failed(format!("cannot write to {path}: {error} on {host}; {remedy}, and try again"))
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Fault::Failed(why)
    }
}
