//! Whether a model has as many workers as its label says: too few pass every other check, and only make it slow.

use super::{Fault, Prepared};
use crate::{
    clock::now,
    job::Workload,
    models::{ModelInfo, Width},
    perform::{INSTRUMENTATION, Placement, StartedModel},
};

/// Jobs for each worker in the first batch; each further batch has so many more.
const JOBS: usize = 4;
/// Batches, until every worker was seen: on a busy machine a thread may not get a CPU within one.
const TRIES: usize = 8;
/// Rounds that a job computes in Rust: about 0.2 ms.
const ROUNDS: u64 = 200_000;
/// How long a job computes in another language, in nanoseconds.
const JOB_NS: f64 = 1e6;

impl Prepared {
    /// Checks that `arm` has the workers of this cell, by batches of jobs that only compute.
    ///
    /// # Errors
    ///
    /// Returns a fault where it has fewer.
    pub(crate) fn attest_width(&self, arm: &dyn StartedModel) -> Result<(), Fault> {
        attest_width(self.info, self.workers, self.placement, None, |_, width| {
            INSTRUMENTATION.start(now);
            let batch = width.batch(arm);
            let threads = INSTRUMENTATION.stop().threads;
            batch.map(|_| threads)
        })
    }
}

/// Checks the same of any model: `threads` runs a batch, and says how many threads ran its jobs. `compute_ns` is what a
/// round of `compute` takes in another language.
///
/// # Errors
///
/// Returns the fault of a batch, or one that says how many workers there are.
pub(crate) fn attest_width(
    info: &'static ModelInfo,
    workers: Option<usize>,
    placement: Placement,
    compute_ns: Option<f64>,
    mut threads: impl FnMut(&Workload, &Prepared) -> Result<u32, Fault>,
) -> Result<(), Fault> {
    // Offered inside, a batch stays on one of the runtimes between which nothing moves.
    let one_core = placement == Placement::Inside && info.placements[0] == Placement::Dealt;
    let least = match (info.width, workers) {
        (Width::Any, Some(workers)) if workers > 1 && !one_core => workers,
        _ => return Ok(()),
    };
    let rounds = compute_ns.map_or(ROUNDS, |ns| (JOB_NS / ns).max(1.0) as u64);
    let text = format!("name = \"width\"\njob = [{{ compute = {rounds} }}]");
    let workload =
        Workload::parse("width", &text).map_err(|error| Fault::Failed(error.to_string()))?;
    let mut most = 0;
    for batch in 1..=TRIES {
        let width = Prepared::new(info, &workload, least * JOBS * batch, workers, placement);
        most = most.max(threads(&workload, &width)?);
        if most as usize >= least {
            return Ok(());
        }
    }
    Err(Fault::Invalid(format!(
        "{} is to have {least} workers, and at most {most} of them ran jobs at once",
        info.name
    )))
}
