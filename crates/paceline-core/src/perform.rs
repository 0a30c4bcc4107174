//! The interpreter of jobs, shared by all models.

mod batch;
mod group;
mod instrumentation;
mod park;
mod pool;
mod probe;
mod recorder;
mod request;
mod serve;
mod storage;
mod talk;

pub use batch::{Batch, Placement, StartedModel, start};
pub use instrumentation::{Groups, INSTRUMENTATION, Seen};
pub use probe::{CHILDREN, PAUSE, Probe, Probed};
pub use recorder::{JobTimes, LatencyRecorder, Ticks};
pub(crate) use request::{lists, number};
pub(crate) use serve::connection;
pub use storage::{Mixed, Offloads, Partners, Sockets, StoragePolicy, Timers};

use std::{io, pin::Pin, thread};

use futures_util::future::join_all;

use crate::{
    job::{Gather, Join, Receipt, Step, Steps, Waits, compute},
    model::{Maker, Model, Spawnable, Stream},
};
use park::BARRIER;
use pool::Lease;
use storage::{All, Storage};

/// Runs `steps` on `model`, starting from `seed`. `place` is the recorder slot for its times.
///
/// The policy `K` determines the size of the future; it allocates as hand-written code would: see [`StoragePolicy`].
///
/// # Errors
///
/// Returns the first error of a connection, an exchange or a partner.
pub fn perform<M: Model, K: StoragePolicy>(
    model: M,
    steps: &'static Steps,
    seed: u64,
    place: u32,
) -> impl Future<Output = io::Result<Receipt>> + Send + 'static {
    // Captured rather than declared inside, where each would be stored twice: as argument and as variable.
    let mut receipt = Receipt::new(seed);
    // Small, so that it shares a word with `place`.
    let mut next: u16 = 0;
    let mut stream: Option<<K::Socket as Storage>::Held<M::Stream>> = None;
    let mut lease: Option<<K::Pool as Storage>::Held<Lease<M::Stream>>> = None;
    async move {
        if steps.is_whole_job() {
            INSTRUMENTATION.enter(place);
        }
        while let Some(step) = steps.get(usize::from(next)) {
            next += 1;
            match step {
                Step::Compute(rounds) => receipt.did(compute(receipt.checksum(), *rounds)),
                Step::Sleep(duration) => {
                    INSTRUMENTATION.start_sleep(place);
                    let _ = K::Timer::wait(model.sleep(*duration)).await;
                    INSTRUMENTATION.end_sleep(place, *duration);
                    receipt.waited(1);
                }
                Step::Block(duration) => {
                    thread::sleep(*duration);
                    receipt.waited(1);
                }
                Step::Yield(times) => {
                    let yields = async move {
                        for _ in 0..*times {
                            model.yield_now().await;
                        }
                    };
                    K::Timer::wait(yields).await;
                    receipt.waited(*times);
                }
                Step::Pool(pool) => {
                    // Returned before waiting for the next, which may come from the same pool.
                    drop(lease.take());
                    stream = None;
                    let taken = pool::lease(model, pool, receipt.checksum());
                    lease = Some(K::Pool::hold(Box::pin(taken).await?));
                    receipt.waited(1);
                }
                Step::Connect(server) => {
                    lease = None;
                    let connected = talk::connect(model, *server, receipt.checksum());
                    stream = Some(K::Socket::hold(K::Socket::wait(connected).await?));
                    receipt.waited(1);
                }
                Step::Say(messages) | Step::Hear(messages) => {
                    let stream: &mut M::Stream =
                        stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
                    let says = matches!(step, Step::Say(_));
                    let talked = talk::talk(stream, *messages, says, receipt);
                    receipt = Box::pin(talked).await?;
                }
                Step::Exchange { bytes, times } => {
                    let stream: Option<&mut M::Stream> = match &mut lease {
                        Some(lease) => lease.stream(),
                        None => stream.as_deref_mut(),
                    };
                    let stream = stream.ok_or(io::ErrorKind::NotConnected)?;
                    receipt = K::Socket::wait(stream.exchange(*bytes, *times, receipt)).await?;
                    if let Some(lease) = &mut lease {
                        lease.settle();
                    }
                }
                Step::Hop(times) => {
                    let last = K::Partner::wait(model.hop(*times, receipt.checksum())).await?;
                    receipt.waited(*times - 1);
                    receipt.did(last);
                }
                Step::Offload(steps) => {
                    let work = offloaded(steps, receipt.checksum());
                    receipt.went_on(K::Offload::wait(model.offload(work)).await);
                }
                Step::Gather(of) => {
                    let children = gather::<M, K::Child>(model, of, receipt).await;
                    receipt = receipt.join(children.into_iter().collect::<io::Result<Vec<_>>>()?);
                }
                Step::Group(of) => {
                    receipt = group::group::<M, K::Child>(model, of, receipt).await?;
                }
                Step::Park => {
                    if M::BLOCKS {
                        BARRIER.block();
                    } else {
                        K::Timer::wait(BARRIER.wait(place)).await;
                    }
                    receipt.waited(1);
                }
                Step::Fail => return Err(group::expected_failure()),
            }
        }
        if steps.is_whole_job() {
            INSTRUMENTATION.leave(place);
        }
        Ok(receipt)
    }
}

/// Runs `steps` that wait for nothing but the thread itself, starting from `seed`.
///
/// # Panics
///
/// Panics at any step except `compute` and `block`; the reader of workload files allows no others here.
pub fn plain(steps: &[Step], seed: u64) -> Receipt {
    let mut receipt = Receipt::new(seed);
    for step in steps {
        match step {
            Step::Compute(rounds) => receipt.did(compute(receipt.checksum(), *rounds)),
            Step::Block(duration) => {
                thread::sleep(*duration);
                receipt.waited(1);
            }
            other => unreachable!("{} waits", other.name()),
        }
    }
    receipt
}

/// Returns the call of [`plain`] with these arguments: one type for all policies.
fn offloaded(steps: &'static Steps, seed: u64) -> impl FnOnce() -> Receipt + Send + 'static {
    move || plain(steps, seed)
}

/// Runs the children of `gather` concurrently. Boxed and with an explicit type, because otherwise the interpreter's
/// future would contain itself and its type could not be inferred.
fn gather<M: Model, K: StoragePolicy>(
    model: M,
    gather: &'static Gather,
    parent: Receipt,
) -> Pin<Box<dyn Future<Output = Vec<io::Result<Receipt>>> + Send>> {
    // As small as in hand-written code: with the interpreter as their future, they took up to 5 % longer.
    if gather.of.iter().all(|steps| steps.waits() == Waits::Nothing) {
        let child = move |index| {
            let (steps, seed) = (gather.steps(index), parent.child_seed(index));
            async move { Ok(plain(steps, seed)) }
        };
        return joined(model, gather, child);
    }
    let child = move |index| {
        let (steps, seed) = (gather.steps(index), parent.child_seed(index));
        perform::<M, K>(model, steps, seed, INSTRUMENTATION.child())
    };
    joined(model, gather, child)
}

/// Runs `child` for each of a gather's children, as its definition joins them.
fn joined<M: Model, F: Spawnable>(
    model: M,
    gather: &'static Gather,
    child: impl Maker<F>,
) -> Pin<Box<dyn Future<Output = Vec<F::Output>> + Send>> {
    match gather.join {
        Join::Tasks => Box::pin(model.gather(gather.width, child)),
        Join::Future => Box::pin(join_all((0..gather.width).map(child))),
    }
}
