//! Batches: many jobs submitted to a model at once, timed with a clock that the caller provides.

use std::{
    convert::Infallible,
    fmt, io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use super::{
    All, BARRIER, INSTRUMENTATION, Mixed, Offloads, Partners, Probe, Probed, Sockets,
    StoragePolicy, Timers, perform, plain, probe, serve,
};
use crate::{
    job::{Jobs, Receipt, Steps, Waits},
    model::{Clock, Maker, Model, Runtime, Settings, Spawnable},
};

/// Where the jobs of a batch are spawned from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// From a root task, on one of the model's workers.
    Inside,
    /// From a thread that is not one of the model's.
    #[default]
    Outside,
    /// In equal shares on runtimes of one core each.
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

/// The number of jobs of the running batch; only one runs at a time.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// Returns the number of jobs that run concurrently in this process: the members of a room.
pub(super) fn jobs_of_the_batch() -> u64 {
    JOBS.load(Relaxed)
}

/// The result of a batch.
#[derive(Debug)]
pub struct Batch {
    /// The time from before the first job is spawned until the last is joined.
    pub elapsed: Duration,
    /// The receipt of each job, in the order of the jobs.
    pub receipts: Vec<io::Result<Receipt>>,
    /// The size in bytes of the future that the model was handed for each job. What it boxes is not in it. `None` if
    /// jobs hold a thread or a coroutine, so that the future lies on a stack.
    pub future_bytes: Option<usize>,
}

/// A started model with its type erased: one indirect call per batch, monomorphic inside. Dropping it stops the model.
pub trait StartedModel {
    /// Runs `count` of `jobs` concurrently and waits for all.
    fn batch(&self, jobs: Jobs, count: usize, placement: Placement, clock: Clock) -> Batch;

    /// Probes a property of the model that no job can show.
    fn probe(&self, what: Probe, clock: Clock) -> Probed;

    /// Runs an HTTP/1.1 server on a loopback address, which it reports to `bound` once it accepts connections. A
    /// request for `/<index>` runs job `index` of `jobs`; the body of the response is [`Receipt::body`].
    ///
    /// # Errors
    ///
    /// Returns only with an error, after which the caller must end the process: see [`Runtime::serve`].
    fn serve(
        &self,
        jobs: Jobs,
        bound: Box<dyn FnOnce(SocketAddr) + Send>,
    ) -> io::Result<Infallible>;
}

/// Starts a model.
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
            Waits::Timers => offer.kind::<Timers>(),
            Waits::Sockets => offer.kind::<Sockets>(),
            Waits::Partners => offer.kind::<Partners>(),
            Waits::Offloads => offer.kind::<Offloads>(),
            Waits::Mixed if R::Model::BLOCKS => offer.kind::<All>(),
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

    fn offer<F: Spawnable<Output = io::Result<Receipt>>>(self, job: impl Maker<F>) -> Batch {
        let Offer { runtime, count, placement, clock, .. } = self;
        let future_bytes = (!R::Model::BLOCKS).then_some(size_of::<F>());
        match placement {
            // The root reads the clock, because waking the worker that runs the root is not part of the batch.
            Placement::Inside => {
                let model = runtime.model();
                let root = async move {
                    let start = clock();
                    let receipts = model.gather(count, job).await;
                    Batch { elapsed: clock() - start, receipts, future_bytes }
                };
                // Of one type for all kinds of jobs, so that each model's way to run it is compiled once.
                runtime.root(root.boxed())
            }
            Placement::Outside | Placement::Dealt => {
                let start = clock();
                let ended = runtime.outside(count, job);
                let elapsed = clock() - start;
                // Outside the clock, as the order costs a model time that deals its jobs to cores that share nothing.
                Batch { elapsed, receipts: ended.into_iter().collect(), future_bytes }
            }
        }
    }
}

/// Runs a job that waits for nothing, as a future that is ready at once. `place` is the recorder slot for its times.
pub(super) async fn call(steps: &'static Steps, seed: u64, place: u32) -> io::Result<Receipt> {
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
        // A fourth word made tasks of tokio 90 ns slower: they fell into the next allocation size.
        let steps: &'static Steps = Box::leak(Box::default());
        assert_eq!(size_of_val(&call(steps, 0, 0)), 24);
    }

    /// The threads that read the clock of the batch.
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
        // A model that cannot stop needs its own process.
        let stop = MODELS.iter().filter(|entry| entry.info.foreign.is_none());
        for entry in stop.filter(|entry| entry.info.leaves.is_some()) {
            let Entry { info, .. } = entry;
            let Ok(started) = entry.start(&Settings { workers: 2 }) else { continue };
            for placement in info.placements {
                READERS.lock().unwrap().clear();
                let batch = started.batch(jobs, 4, *placement, noted);
                assert!(batch.receipts.iter().all(Result::is_ok));
                let readers = READERS.lock().unwrap().clone();
                // A model of one thread has no worker besides its caller.
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
