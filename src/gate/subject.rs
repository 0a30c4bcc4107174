//! A cell of the gate: jobs on a model, or a custom cell; and one side of it, in a fresh process.

use std::time::Duration;

use crate::{plan::Planned, session::Session};
use paceline_core::{
    custom::Variant,
    job::Workload,
    models::Entry,
    perform::Placement,
    prepared::Fault,
    process::{Host, HostError, Program},
};

/// A cell of the gate.
pub enum Subject<'a> {
    /// Batches of jobs.
    Jobs(Planned<'a>),
    /// Calls of a custom cell of the programs.
    Own(String),
}

/// One side: a program, and which variant of its custom cells.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The program.
    pub program: Program,
    /// The variant, for custom cells.
    pub variant: Variant,
}

impl Subject<'_> {
    /// Returns the name in tables and records.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Subject::Jobs(planned) => planned.name(),
            Subject::Own(name) => name.clone(),
        }
    }

    /// Returns the jobs of a batch.
    pub(super) fn jobs(&self) -> u64 {
        match self {
            Subject::Jobs(planned) => planned.scale as u64,
            Subject::Own(_) => 1,
        }
    }

    /// Returns why it cannot run here, if it cannot.
    pub(super) fn refusal(&self, session: &Session) -> Option<String> {
        match self {
            Subject::Jobs(planned) => planned.cannot_honour().or_else(|| session.refusal(planned)),
            Subject::Own(_) => None,
        }
    }

    /// Returns whether its jobs open connections.
    pub(super) fn connects(&self) -> bool {
        match self {
            Subject::Jobs(planned) => planned.workload.demand().connects > 0,
            Subject::Own(_) => false,
        }
    }

    /// Returns whether a side does not have the cell because its version is different. What the cell itself says, in a
    /// panic or as its process ends, is a crash, whatever the words.
    pub(super) fn is_unknown(&self, error: &HostError) -> bool {
        let HostError::Fault(Fault::Failed(why)) = error else { return false };
        match self {
            Subject::Jobs(_) => {
                let words =
                    ["no model is called", "unknown step `", "unknown key `", "not a request"];
                !why.starts_with("panicked") && words.iter().any(|words| why.contains(words))
            }
            Subject::Own(name) => *why == format!("no cell is called `{name}`"),
        }
    }

    /// Starts a fresh process of `arm` that has prepared the cell and not run it yet.
    pub(super) fn start(
        &self,
        arm: &Arm,
        session: &Session,
        patience: Duration,
    ) -> Result<Host, HostError> {
        match self {
            Subject::Jobs(planned) => {
                let mut host = session.host_of(&arm.program, planned)?;
                session.prepare(&mut host, planned, patience)?;
                Ok(host)
            }
            Subject::Own(name) => {
                let mut host = session.host_of_custom_cells(&arm.program)?;
                host.prepare_custom(name, arm.variant, patience)?;
                Ok(host)
            }
        }
    }
}

/// Returns the default cells of a project without its own: small batches on all models, in which the runtime's own work
/// is much of the time. A batch takes about a millisecond, so that a slice holds several.
#[must_use]
pub fn default_cells<'a>(workloads: &'a [Workload], models: &[&'static Entry]) -> Vec<Planned<'a>> {
    let mut cells = Vec::new();
    for (name, scale, chosen) in DEFAULT {
        let Some(workload) = workloads.iter().find(|workload| workload.name == *name) else {
            continue;
        };
        for entry in models {
            let info = &entry.info;
            if chosen.has(info.name) && info.unsupported_step(workload).is_none() {
                let workers = *info.workers(&[crate::machine::cores()]).first().unwrap_or(&None);
                let placement: Placement = info.placements[0];
                cells.push(Planned { workload, entry, workers, placement, scale: *scale });
            }
        }
    }
    cells
}

/// Workload, scale, and the models it is for.
///
/// `echo` leaves out the models that would be inconclusive on every machine with few cores: if they wait for each
/// answer on one of few workers, a message over loopback takes 5 or 80 µs, in two modes. It also leaves out may, whose
/// connections fail now and then: such a failure of the gate would not show a change. Pure computing differs little
/// between models, so a few of each family represent it.
const DEFAULT: &[(&str, usize, DefaultModels)] = &[
    ("empty", 1_000, DefaultModels::AllBut(&[])),
    ("echo", 50, DefaultModels::AllBut(&["sequential", "pool", "rayon", "may"])),
    ("switch", 10, DefaultModels::AllBut(&[])),
    ("cpu", 4, DefaultModels::Only(COMPUTING)),
];

const COMPUTING: &[&str] = &[
    "sequential",
    "threads",
    "pool",
    "rayon",
    "tokio",
    "tokio-current-thread",
    "smol",
    "compio",
    "monoio",
    "glommio",
];

enum DefaultModels {
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

impl DefaultModels {
    fn has(&self, model: &str) -> bool {
        match self {
            DefaultModels::AllBut(some) => !some.contains(&model),
            DefaultModels::Only(some) => some.contains(&model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_unknown_if_its_program_says_so_and_not_if_the_cell_ends_with_such_words() {
        let own = Subject::Own("parse".into());
        let failed = |why: &str| own.is_unknown(&HostError::Fault(Fault::Failed(why.into())));
        assert!(failed("no cell is called `parse`"));
        for why in ["panicked: not a request", "no cell is called `other`", "unknown key `a`"] {
            assert!(!failed(why), "{why}");
        }
        let workloads = paceline_core::workloads::built_in();
        let jobs =
            default_cells(&workloads, &paceline_core::models::MODELS.iter().collect::<Vec<_>>());
        let jobs = Subject::Jobs(jobs.into_iter().next().unwrap());
        let failed = |why: &str| jobs.is_unknown(&HostError::Fault(Fault::Failed(why.into())));
        assert!(failed("no model is called `new`: the models are all"));
        assert!(!failed("panicked: unknown key `a`"));
        let last_words = "exit status: 1; it said: no cell is called `parse`";
        assert!(!own.is_unknown(&HostError::Died(last_words.into())));
    }
}
