//! Counts jobs in flight and the threads that ran them: the attestation that a batch was what its label says.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

/// The counters of this process, which runs one cell at a time. While they are off they cost a job two reads of a
/// flag that nobody writes.
pub struct Watch {
    on: AtomicBool,
    epoch: AtomicU32,
    in_flight: AtomicU32,
    peak: AtomicU32,
    threads: AtomicU32,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The greatest number of jobs that had begun and not ended.
    pub peak_in_flight: u32,
    /// The distinct threads that began or ended a job.
    pub threads: u32,
}

/// The one watch.
pub static WATCH: Watch = Watch {
    on: AtomicBool::new(false),
    epoch: AtomicU32::new(0),
    in_flight: AtomicU32::new(0),
    peak: AtomicU32::new(0),
    threads: AtomicU32::new(0),
};

thread_local! {
    static LAST_EPOCH: Cell<u32> = const { Cell::new(0) };
}

impl Watch {
    /// Begins to count, from zero. No job may be under way.
    pub fn start(&self) {
        self.epoch.fetch_add(1, Relaxed);
        for counter in [&self.in_flight, &self.peak, &self.threads] {
            counter.store(0, Relaxed);
        }
        self.on.store(true, Relaxed);
    }

    /// Stops counting.
    pub fn stop(&self) -> Seen {
        self.on.store(false, Relaxed);
        Seen { peak_in_flight: self.peak.load(Relaxed), threads: self.threads.load(Relaxed) }
    }

    #[inline]
    pub(super) fn enter(&self) {
        if self.on.load(Relaxed) {
            self.peak.fetch_max(self.in_flight.fetch_add(1, Relaxed) + 1, Relaxed);
            self.see_thread();
        }
    }

    #[inline]
    pub(super) fn leave(&self) {
        if self.on.load(Relaxed) {
            self.in_flight.fetch_sub(1, Relaxed);
            self.see_thread();
        }
    }

    // Out of line: a stackful coroutine may go on on another thread, and must not keep the address of a thread-local
    // across that.
    #[inline(never)]
    fn see_thread(&self) {
        let epoch = self.epoch.load(Relaxed);
        if LAST_EPOCH.replace(epoch) != epoch {
            self.threads.fetch_add(1, Relaxed);
        }
    }
}
