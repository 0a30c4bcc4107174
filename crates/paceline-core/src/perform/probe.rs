//! Probes: properties of a model that no job can show, measured in the same way for all models.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    task::Poll,
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use crate::model::{Clock, Model, Runtime, now};

/// The property to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// Whether a future or call makes progress without being driven.
    Inert,
    /// When a task starts that was created and is not yet awaited.
    Created,
    /// What happens to children whose parent is cancelled while it waits for them.
    Cancelled,
}

impl Probe {
    /// Returns the name in the protocol for other languages.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Inert => "inert",
            Probe::Created => "created",
            Probe::Cancelled => "cancelled",
        }
    }
}

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probed {
    /// The result of [`Probe::Inert`].
    Inert {
        /// Whether a job had started [`PAUSE`] after it was made, before anything drove it.
        begun: bool,
        /// How long a sleep of [`PAUSE`] took once it was driven, in nanoseconds. It was made [`PAUSE`] before that.
        slept_ns: u64,
    },
    /// The result of [`Probe::Created`].
    Created {
        /// Whether the task started while its creator still held the thread; `None` on models where creating and
        /// awaiting is one call.
        at_once: Option<bool>,
        /// Whether the task started before it was awaited.
        before_awaited: bool,
    },
    /// The result of [`Probe::Cancelled`].
    Cancelled {
        /// Children that had started when their parent was cancelled.
        begun: u32,
        /// Children that still ran to completion.
        ended: u32,
    },
}

/// The number of children of the cancelled parent.
pub const CHILDREN: u32 = 3;

/// How long a probe waits for something to happen.
pub const PAUSE: Duration = Duration::from_millis(20);

/// Probes a started model.
pub(super) fn probe<R: Runtime>(runtime: &R, what: Probe, clock: Clock) -> Probed {
    let model = runtime.model();
    // Roots and children are boxed, so that each model's way to run them is compiled once.
    match what {
        // Not every blocking model has a root, but for them a batch of one job is the same.
        Probe::Inert if R::Model::BLOCKS => {
            let one = runtime.outside(1, move |_| inert(model, clock));
            one.into_iter().next().expect("one job gives one output")
        }
        Probe::Inert => runtime.root(inert(model, clock).boxed()),
        Probe::Created if R::Model::BLOCKS => created_in_a_batch(runtime),
        Probe::Created => runtime.root(created(model).boxed()),
        Probe::Cancelled => runtime.root(cancelled(model).boxed()),
    }
}

/// Runs `job` at once on a blocking model, where the call is the work; returns it as a future that is not yet driven on
/// an async one.
fn call<M: Model, F: Future>(job: F) -> Option<F> {
    if M::BLOCKS {
        now(job);
        return None;
    }
    Some(job)
}

async fn inert<M: Model>(model: M, clock: Clock) -> Probed {
    let begun = AtomicBool::new(false);
    let job = call::<M, _>(async { begun.store(true, SeqCst) });
    let mut timer = pin!(call::<M, _>(model.sleep(PAUSE)));
    // The event loop runs during this sleep, so it could run them if it knew of them.
    let _ = model.sleep(PAUSE).await;
    let was_begun = begun.load(SeqCst);
    let start = clock();
    if let Some(timer) = timer.as_mut().as_pin_mut() {
        let _ = timer.await;
    }
    let slept_ns = u64::try_from((clock() - start).as_nanos()).unwrap_or(u64::MAX);
    if let Some(job) = job {
        job.await;
    }
    assert!(begun.load(SeqCst), "a job that was driven has begun");
    Probed::Inert { begun: was_begun, slept_ns }
}

/// Creates a child by polling `gather` once, and checks whether it starts although nothing awaits it.
async fn created<M: Model>(model: M) -> Probed {
    let begun: &'static AtomicBool = Box::leak(Box::default());
    let child = move |_| async move { begun.store(true, SeqCst) }.boxed();
    let mut children = pin!(model.gather(1, child));
    let ended = poll_fn(|context| Poll::Ready(children.as_mut().poll(context).is_ready())).await;
    thread::sleep(PAUSE);
    let at_once = begun.load(SeqCst);
    let _ = model.sleep(PAUSE).await;
    let before_awaited = begun.load(SeqCst);
    if !ended {
        children.await;
    }
    assert!(begun.load(SeqCst), "a task that was awaited has begun");
    Probed::Created { at_once: Some(at_once), before_awaited }
}

/// Starts children that sleep, and stops waiting for them by dropping `gather`, as cancelling their parent does.
async fn cancelled<M: Model>(model: M) -> Probed {
    let counts: &'static [AtomicU32; 2] = Box::leak(Box::default());
    let [begun, ended] = counts;
    let child = move |_| {
        let child = async move {
            begun.fetch_add(1, SeqCst);
            let _ = model.sleep(2 * PAUSE).await;
            ended.fetch_add(1, SeqCst);
        };
        child.boxed()
    };
    let mut children = Box::pin(model.gather(CHILDREN as usize, child));
    poll_fn(|context| Poll::Ready(children.as_mut().poll(context).is_ready())).await;
    let _ = model.sleep(PAUSE).await;
    let seen = begun.load(SeqCst);
    drop(children);
    let _ = model.sleep(4 * PAUSE).await;
    Probed::Cancelled { begun: seen, ended: ended.load(SeqCst) }
}

/// Runs two jobs, of which the first sleeps. The first is also awaited first, so if the second has started when the
/// first ends, it started before it was awaited.
fn created_in_a_batch<R: Runtime>(runtime: &R) -> Probed {
    let begun: &'static AtomicBool = Box::leak(Box::default());
    let model = runtime.model();
    let seen = runtime.outside(2, move |index| async move {
        if index == 1 {
            begun.store(true, SeqCst);
            return true;
        }
        let _ = model.sleep(PAUSE).await;
        begun.load(SeqCst)
    });
    let before_awaited = seen.into_iter().next().expect("two jobs give two outputs");
    Probed::Created { at_once: None, before_awaited }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::now, model::Settings, models, perform::StartedModel};

    #[test]
    fn children_run_on_without_their_parent_on_tokio_and_end_with_it_on_smol() {
        let probe = |name| started(name, 1).probe(Probe::Cancelled, now);
        assert_eq!(probe("tokio"), Probed::Cancelled { begun: CHILDREN, ended: CHILDREN });
        assert_eq!(probe("smol"), Probed::Cancelled { begun: CHILDREN, ended: 0 });
    }

    fn started(name: &str, workers: usize) -> Box<dyn StartedModel> {
        models::find(name).unwrap().start(&Settings { workers }).unwrap()
    }

    #[test]
    fn a_future_is_inert_a_call_is_not_and_tokios_timer_runs_from_its_construction() {
        let probe = |name| started(name, 1).probe(Probe::Inert, now);
        let Probed::Inert { begun, slept_ns } = probe("tokio-current-thread") else { panic!() };
        // It was already due when it was driven. A timer that started only then would take the whole pause.
        assert!(!begun && slept_ns < 15_000_000, "{slept_ns}");
        let Probed::Inert { begun, slept_ns } = probe("sequential") else { panic!() };
        assert!(begun && slept_ns < 15_000_000, "{slept_ns}");
    }

    #[test]
    fn a_created_task_begins_before_it_is_awaited_but_not_while_its_creator_holds_the_only_thread()
    {
        let probe = |name, workers| started(name, workers).probe(Probe::Created, now);
        let seen = Probed::Created { at_once: Some(false), before_awaited: true };
        assert_eq!(probe("tokio-current-thread", 1), seen);
        assert_eq!(probe("smol", 1), seen);
        let other_thread = Probed::Created { at_once: Some(true), before_awaited: true };
        assert_eq!(probe("smol", 2), other_thread);
        let queued = Probed::Created { at_once: None, before_awaited: false };
        assert_eq!(probe("pool", 1), queued);
        assert_eq!(probe("threads", 1), Probed::Created { at_once: None, before_awaited: true });
    }
}
