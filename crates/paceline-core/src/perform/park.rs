//! The step `park`: each job of a batch waits until the last has started.
//!
//! The suite implements it, in the same way for all models, because not every runtime has a barrier. A waiting job
//! costs its entry in a list of wakers, which is allocated before the batch, and nothing else.

use std::{
    pin::Pin,
    sync::{
        Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

/// The barrier at which the jobs of a batch wait for each other.
pub(super) struct Barrier {
    jobs: AtomicUsize,
    begun: AtomicUsize,
    open: AtomicBool,
    /// One entry for each job that releases its thread while it waits.
    wakers: RwLock<Vec<Mutex<Option<Waker>>>>,
    /// The lock of jobs that hold their thread while they wait.
    held: Mutex<()>,
    opened: Condvar,
}

/// The barrier of this process, which runs one batch at a time.
pub(super) static BARRIER: Barrier = Barrier::new();

impl Barrier {
    const fn new() -> Self {
        Barrier {
            jobs: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            wakers: RwLock::new(Vec::new()),
            held: Mutex::new(()),
            opened: Condvar::new(),
        }
    }

    /// Prepares for a batch of `jobs` jobs. If `wake` is set they are woken by wakers; otherwise they hold their
    /// threads. No job may be running.
    pub(super) fn set(&self, jobs: usize, wake: bool) {
        self.jobs.store(jobs, SeqCst);
        self.begun.store(0, SeqCst);
        self.open.store(false, SeqCst);
        let mut wakers = self.wakers.write().unwrap_or_else(PoisonError::into_inner);
        wakers.resize_with(if wake { jobs } else { 0 }, Mutex::default);
    }

    /// Waits while holding the thread.
    pub(super) fn block(&self) {
        self.arrive();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = |(): &mut ()| !self.open.load(SeqCst);
        drop(self.opened.wait_while(held, closed).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits as job `index`.
    pub(super) fn wait(&self, index: u32) -> Parked<'_> {
        Parked { barrier: self, index, arrived: false }
    }

    /// Counts a job that has started. The last one releases all.
    fn arrive(&self) {
        if self.begun.fetch_add(1, SeqCst) + 1 < self.jobs.load(SeqCst) {
            return;
        }
        self.open.store(true, SeqCst);
        // A job that saw the barrier closed holds the lock until it waits.
        drop(self.held.lock());
        self.opened.notify_all();
        for waker in &*self.wakers.read().unwrap_or_else(PoisonError::into_inner) {
            let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Stores the waker of a job. Returns whether the barrier is already open.
    fn note(&self, index: u32, waker: &Waker) -> bool {
        let wakers = self.wakers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = wakers.get(index as usize) {
            let mut noted = place.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *noted {
                Some(noted) => noted.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        // Read after storing the waker: the last job opens the barrier first and then looks at the wakers.
        self.open.load(SeqCst)
    }
}

/// A job waiting at the barrier.
pub(super) struct Parked<'b> {
    barrier: &'b Barrier,
    index: u32,
    arrived: bool,
}

impl Future for Parked<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.arrived {
            self.arrived = true;
            self.barrier.arrive();
        }
        let (barrier, index) = (self.barrier, self.index);
        if barrier.open.load(SeqCst) || barrier.note(index, context.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicU32},
        task::Wake,
        thread,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn nobody_goes_on_before_the_last_has_begun_and_then_all_are_woken() {
        let barrier = Barrier::new();
        for _ in 0..2 {
            barrier.set(3, true);
            let count = Arc::new(Count::default());
            let waker = Waker::from(count.clone());
            let mut context = Context::from_waker(&waker);
            let mut jobs: Vec<_> = (0..3).map(|index| barrier.wait(index)).collect();
            let mut poll = |job: &mut Parked<'_>| Pin::new(job).poll(&mut context).is_ready();
            assert!(!poll(&mut jobs[0]) && !poll(&mut jobs[1]));
            // A second poll does not count as a second arrival.
            assert!(!poll(&mut jobs[0]) && !poll(&mut jobs[0]));
            assert_eq!(count.0.load(SeqCst), 0);
            assert!(poll(&mut jobs[2]));
            assert_eq!(count.0.load(SeqCst), 2);
            assert!(poll(&mut jobs[0]) && poll(&mut jobs[1]));
        }
    }

    #[test]
    fn threads_that_wait_go_on_together() {
        let barrier = Barrier::new();
        for _ in 0..50 {
            barrier.set(4, false);
            let begun = AtomicU32::new(0);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        begun.fetch_add(1, SeqCst);
                        barrier.block();
                        assert_eq!(begun.load(SeqCst), 4);
                    });
                }
            });
        }
    }
}
