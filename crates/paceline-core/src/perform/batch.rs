//! Batches: many jobs offered to a model at once, timed by a clock that the caller brings.

use std::{
    convert::Infallible,
    fmt, io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    All, BARRIER, INSTRUMENTATION, Mixed, Partners, Probe, Probed, Sockets, StoragePolicy, Timers,
    perform, plain, probe, serve,
};
use crate::{
    job::{Jobs, Receipt, Steps, Waits},
    model::{Clock, Model, Runtime, Settings},
};

/// Where a batch is offered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// From a root task, on one of the model's workers.
    Inside,
    /// From a thread that is none of the model's.
    Outside,
    /// Dealt out in equal shares to runtimes of one core each.
    Dealt,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::Inside => "inside",
            Placement::Outside => "outside",
            Placement::Dealt => "dealt",
        })
    }
}

/// How many jobs the batch under way has; it has one at a time.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// How many jobs this process runs at once: the members of a room.
pub(super) fn jobs_of_the_batch() -> u64 {
    JOBS.load(Relaxed)
}

/// What became of a batch.
#[derive(Debug)]
pub struct Batch {
    /// From before the first job was spawned until the last was joined.
    pub elapsed: Duration,
    /// Every job's receipt, in the order of the jobs.
    pub receipts: Vec<io::Result<Receipt>>,
}

/// A started model, erased: one indirect call for a batch, monomorphic inside. Dropping it stops the model.
pub trait StartedModel {
    /// Offers `count` of `jobs` at once and waits for all.
    fn batch(&self, jobs: Jobs, count: usize, placement: Placement, clock: Clock) -> Batch;

    /// Looks at what no job can say of the model.
    fn probe(&self, what: Probe, clock: Clock) -> Probed;

    /// Is an HTTP/1.1 server on a loopback address, which it says to `bound` once it accepts connections. A request
    /// for `/<index>` does job `index` of `jobs`; the body of the response is [`Receipt::body`].
    ///
    /// # Errors
    ///
    /// Returns only with an error, after which the process is to be ended: see [`Runtime::serve`].
    fn serve(
        &self,
        jobs: Jobs,
        bound: Box<dyn FnOnce(SocketAddr) + Send>,
    ) -> io::Result<Infallible>;
}

/// Starts a model.
///
/// # Errors
///
/// Returns the error of [`Runtime::start`].
pub fn start<R: Runtime + 'static>(settings: &Settings) -> io::Result<Box<dyn StartedModel>> {
    Ok(Box::new(Started(R::start(settings)?)))
}

struct Started<R>(R);

impl<R: Runtime> StartedModel for Started<R> {
    fn batch(&self, jobs: Jobs, count: usize, placement: Placement, clock: Clock) -> Batch {
        JOBS.store(count as u64, Relaxed);
        if jobs.park() {
            BARRIER.set(count, !R::Model::BLOCKS);
        }
        let offer = Offer { runtime: &self.0, jobs, count, placement, clock };
        match jobs.waits() {
            Waits::Nothing => {
                offer.offer(move |index| call(jobs.steps(index), Jobs::seed(index), index as u32))
            }
            _ if R::Model::BLOCKS => offer.kind::<All>(),
            Waits::Timers => offer.kind::<Timers>(),
            Waits::Sockets => offer.kind::<Sockets>(),
            Waits::Partners => offer.kind::<Partners>(),
            Waits::Mixed => offer.kind::<Mixed>(),
        }
    }

    fn probe(&self, what: Probe, clock: Clock) -> Probed {
        probe::probe(&self.0, what, clock)
    }

    fn serve(
        &self,
        jobs: Jobs,
        bound: Box<dyn FnOnce(SocketAddr) + Send>,
    ) -> io::Result<Infallible> {
        serve::serve(&self.0, jobs, bound)
    }
}

struct Offer<'r, R> {
    runtime: &'r R,
    jobs: Jobs,
    count: usize,
    placement: Placement,
    clock: Clock,
}

impl<R: Runtime> Offer<'_, R> {
    fn kind<K: StoragePolicy>(self) -> Batch {
        let (model, jobs) = (self.runtime.model(), self.jobs);
        self.offer(move |index| {
            perform::<R::Model, K>(model, jobs.steps(index), Jobs::seed(index), index as u32)
        })
    }

    fn offer<F>(self, job: impl Fn(usize) -> F + Copy + Send + Sync + 'static) -> Batch
    where
        F: Future<Output = io::Result<Receipt>> + Send + 'static,
    {
        let Offer { runtime, count, placement, clock, .. } = self;
        match placement {
            // The clock is read by the root: waking the worker that runs it is not part of the batch.
            Placement::Inside => {
                let model = runtime.model();
                runtime.root(async move {
                    let start = clock();
                    let receipts = model.gather(count, job).await;
                    Batch { elapsed: clock() - start, receipts }
                })
            }
            Placement::Outside | Placement::Dealt => {
                let start = clock();
                let receipts = runtime.outside(count, job);
                Batch { elapsed: clock() - start, receipts }
            }
        }
    }
}

/// A job that waits for nothing, as a future that is ready at once. `place` is where its times are noted.
#[expect(clippy::unused_async, reason = "batches are of futures, and this one is ready at once")]
async fn call(steps: &'static Steps, seed: u64, place: u32) -> io::Result<Receipt> {
    INSTRUMENTATION.enter(place);
    let receipt = plain(steps, seed);
    INSTRUMENTATION.leave(place);
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        thread::{self, ThreadId},
        time::Instant,
    };

    use super::*;
    use crate::{
        job::Workload,
        model::Settings,
        models::{Entry, MODELS, Width},
    };

    #[test]
    fn a_job_that_waits_for_nothing_is_three_words() {
        // One more made tasks of tokio 90 ns slower: they were the next size of allocation.
        let steps: &'static Steps = Box::leak(Box::default());
        assert_eq!(size_of_val(&call(steps, 0, 0)), 24);
    }

    /// Who read the clock of the batch.
    static READERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

    fn noted() -> Instant {
        READERS.lock().unwrap().push(thread::current().id());
        crate::clock::now()
    }

    #[test]
    fn the_root_of_a_batch_is_polled_on_a_worker_inside_and_on_the_caller_elsewhere() {
        let workload = Workload::parse("test", "name = \"test\"\njob = []").unwrap();
        let (jobs, caller) = (Jobs::load(&workload), thread::current().id());
        let mut insides = 0;
        // Those that cannot stop need a process of their own.
        let stop = MODELS.iter().filter(|entry| entry.info.foreign.is_none());
        for entry in stop.filter(|entry| entry.info.leaves.is_some()) {
            let Entry { info, .. } = entry;
            let Ok(started) = entry.start(&Settings { workers: 2 }) else { continue };
            for placement in info.placements {
                READERS.lock().unwrap().clear();
                let batch = started.batch(jobs, 4, *placement, noted);
                assert!(batch.receipts.iter().all(Result::is_ok));
                let readers = READERS.lock().unwrap().clone();
                // A model of one thread has no other worker than its caller.
                let away = *placement == Placement::Inside && info.width != Width::One;
                let right = |reader: &ThreadId| (*reader != caller) == away;
                assert!(
                    readers.len() == 2 && readers.iter().all(right),
                    "{} {placement}",
                    info.name
                );
                insides += usize::from(away);
            }
        }
        assert!(insides >= 5, "only {insides} batches were offered from inside");
    }
}
