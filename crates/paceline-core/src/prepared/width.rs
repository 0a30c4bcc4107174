//! Checks that a model has as many workers as its label says. Too few would pass every other check and only make the
//! model slow.

use super::{Fault, Prepared};
use crate::{
    clock::now,
    job::Workload,
    models::{ModelInfo, Width},
    perform::{INSTRUMENTATION, Placement, StartedModel},
};

/// Jobs per worker in a batch.
const JOBS: usize = 4;
/// The most batches to run until every worker was seen: on a busy machine a thread may not get a CPU within one batch. The
/// jobs of batch number n take n times as long as those of the first.
const TRIES: u64 = 8;
/// The time that a job of the first batch sleeps where that holds its worker. Computing would show fewer threads of
/// Python: while one has the global lock, it may run several jobs.
const SLEEP_MS: u64 = 5;
/// The rounds of `compute` in a job of the first batch in Rust: 0.2 to 1 ms.
const ROUNDS: u64 = 200_000;
/// The time that a job of the first batch computes in another language, in nanoseconds.
const JOB_NS: f64 = 1e6;

impl Prepared {
    /// Checks that `model` has the workers of this cell.
    pub(crate) fn attest_width(&self, model: &dyn StartedModel) -> Result<(), Fault> {
        attest_width(self.info, self.workers, self.placement, None, |_, width| {
            INSTRUMENTATION.start(now);
            let batch = width.batch(model);
            let threads = INSTRUMENTATION.stop().threads;
            batch.map(|_| threads)
        })
    }
}

/// Checks the workers of any model, with jobs that hold theirs. `threads` runs a batch and returns how many threads ran
/// its jobs. `compute_ns` is the duration of a round of `compute` in another language.
///
/// # Errors
///
/// Returns the fault of a batch, or a fault that states how many workers there are.
pub(crate) fn attest_width(
    info: &'static ModelInfo,
    workers: Option<usize>,
    placement: Placement,
    compute_ns: Option<f64>,
    mut threads: impl FnMut(&Workload, &Prepared) -> Result<u32, Fault>,
) -> Result<(), Fault> {
    // A batch spawned inside stays on one of the runtimes, which share nothing.
    let one_core = placement == Placement::Inside && info.placements[0] == Placement::Dealt;
    let least = match (info.width, workers) {
        (Width::Any, Some(workers)) if workers > 1 && !one_core => workers,
        _ => return Ok(()),
    };
    let rounds = compute_ns.map_or(ROUNDS, |ns| (JOB_NS / ns).max(1.0) as u64);
    let mut most = 0;
    for batch in 1..=TRIES {
        let step = if info.holds_worker() {
            format!("sleep = \"{}ms\"", SLEEP_MS * batch)
        } else {
            format!("compute = {}", rounds * batch)
        };
        let text = format!("name = \"width\"\njob = [{{ {step} }}]");
        let workload =
            Workload::parse("width", &text).map_err(|error| Fault::Failed(error.to_string()))?;
        let width = Prepared::new(info, &workload, least * JOBS, workers, placement);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{model::Settings, models::MODELS};

    /// Children that were joined within the task of their job would block its worker one after the other.
    #[test]
    fn the_children_of_a_job_are_tasks_of_their_own() {
        const ONE_BY_ONE: Duration = Duration::from_millis(40);
        let text = "name = \"w\"\njob = [{ gather = { width = 2, of = [{ block = \"20ms\" }] } }]";
        let workload = Workload::parse("w", text).unwrap();
        let mut models = 0;
        for entry in MODELS {
            let (info, placement) = (&entry.info, entry.info.placements[0]);
            let one_core = info.width == Width::One || placement == Placement::Dealt;
            // The workers of async-std are set by a variable of the process.
            let elsewhere = info.foreign.is_some() || info.environment.is_some();
            if elsewhere || one_core || info.unsupported_step(&workload).is_some() {
                continue;
            }
            let model = entry.start(&Settings { workers: 2 }).unwrap();
            let job = Prepared::new(info, &workload, 1, Some(2), placement);
            // On a busy machine the second worker may come late.
            let at_once = (0..100).any(|_| job.batch(&*model).unwrap() < ONE_BY_ONE);
            assert!(at_once, "{}", info.name);
            models += 1;
        }
        assert!(models > 4, "{models} models");
    }
}
