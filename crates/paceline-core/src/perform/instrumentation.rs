//! Counts jobs in flight and the threads that run them, for attestation, and records on a [`LatencyRecorder`] when each
//! job begins and ends, for latency. Both are off in timed batches.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{group::Children, recorder::LatencyRecorder};
use crate::model::Clock;

/// The instrumentation of this process, which runs one cell at a time. While it is off, it costs a job two reads of a
/// byte that nobody writes, and two more for each sleep.
pub struct Instrumentation {
    mode: AtomicU8,
    epoch: AtomicU32,
    in_flight: AtomicU32,
    peak: AtomicU32,
    threads: AtomicU32,
    recorder: OnceLock<LatencyRecorder>,
    clock: OnceLock<Clock>,
    groups_failed: AtomicU32,
    group_ns_max: AtomicU64,
    children_left: AtomicU32,
}

const OFF: u8 = 0;
const COUNTING: u8 = 1;
const RECORDING: u8 = 2;

/// The counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The greatest number of jobs that had begun and not ended.
    pub peak_in_flight: u32,
    /// The distinct threads that began or ended a job.
    pub threads: u32,
    /// The groups in which a child failed; `None` if there are none.
    pub groups: Option<Groups>,
}

/// Figures of the groups in which a child failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The longest time from the first failure in a group until the group ended, in nanoseconds.
    pub ended_ns_max: u64,
    /// Children still running when their group ended, summed over all groups.
    pub children_left: u32,
}

/// The only instance.
pub static INSTRUMENTATION: Instrumentation = Instrumentation {
    mode: AtomicU8::new(OFF),
    epoch: AtomicU32::new(0),
    in_flight: AtomicU32::new(0),
    peak: AtomicU32::new(0),
    threads: AtomicU32::new(0),
    recorder: OnceLock::new(),
    clock: OnceLock::new(),
    groups_failed: AtomicU32::new(0),
    group_ns_max: AtomicU64::new(0),
    children_left: AtomicU32::new(0),
};

thread_local! {
    static LAST_EPOCH: Cell<u32> = const { Cell::new(0) };
}

impl Instrumentation {
    /// Starts counting from zero. `clock` is read when groups end. No job may be running.
    pub fn start(&self, clock: Clock) {
        let _ = self.clock.set(clock);
        self.epoch.fetch_add(1, Relaxed);
        self.group_ns_max.store(0, Relaxed);
        let counters = [&self.in_flight, &self.peak, &self.threads];
        for counter in counters.into_iter().chain([&self.groups_failed, &self.children_left]) {
            counter.store(0, Relaxed);
        }
        self.mode.store(COUNTING, Relaxed);
    }

    /// Stops counting and returns the counts.
    pub fn stop(&self) -> Seen {
        self.mode.store(OFF, Relaxed);
        let groups = Groups {
            ended_ns_max: self.group_ns_max.load(Relaxed),
            children_left: self.children_left.load(Relaxed),
        };
        Seen {
            peak_in_flight: self.peak.load(Relaxed),
            threads: self.threads.load(Relaxed),
            groups: (self.groups_failed.load(Relaxed) > 0).then_some(groups),
        }
    }

    /// Starts counting a group's children, if the batch is counted. The counter is never freed.
    pub(super) fn group(&self) -> Option<&'static Children> {
        (self.mode.load(Relaxed) == COUNTING).then(|| &*Box::leak(Box::default()))
    }

    /// Records that a group has ended.
    pub(super) fn group_over(&self, children: &Children) {
        let Some(failed) = children.failed() else { return };
        let took = self.now().saturating_duration_since(failed).as_nanos();
        self.groups_failed.fetch_add(1, Relaxed);
        self.group_ns_max.fetch_max(u64::try_from(took).unwrap_or(u64::MAX), Relaxed);
        self.children_left.fetch_add(children.left(), Relaxed);
    }

    /// Returns the time. Only valid in a batch that is counted.
    pub(super) fn now(&self) -> Instant {
        self.clock.get().expect("it was started with one")()
    }

    /// Returns the recorder of this process, creating it with `make` on the first call.
    pub fn recorder(&self, make: impl FnOnce() -> LatencyRecorder) -> &LatencyRecorder {
        self.recorder.get_or_init(make)
    }

    /// Switches the recording of times on or off. No job may be running.
    pub fn record(&self, on: bool) {
        self.mode.store(if on { RECORDING } else { OFF }, Relaxed);
    }

    /// Notes that a job has started.
    #[inline]
    pub(super) fn enter(&self, place: u32) {
        if self.mode.load(Relaxed) != OFF {
            self.note_start(place);
        }
    }

    /// Notes that a job has ended.
    #[inline]
    pub(super) fn leave(&self, place: u32) {
        if self.mode.load(Relaxed) != OFF {
            self.note_end(place);
        }
    }

    /// Returns a recorder slot for a child that is about to be spawned.
    #[inline]
    pub(super) fn child(&self) -> u32 {
        if self.mode.load(Relaxed) == RECORDING {
            return self.recorder.get().map_or(u32::MAX, LatencyRecorder::child);
        }
        u32::MAX
    }

    /// Notes that a job or child starts to sleep.
    #[inline]
    pub(super) fn start_sleep(&self, place: u32) {
        if self.mode.load(Relaxed) == RECORDING {
            self.note_sleep(place);
        }
    }

    /// Notes that a sleep of `duration` has ended.
    #[inline]
    pub(super) fn end_sleep(&self, place: u32, duration: Duration) {
        if self.mode.load(Relaxed) == RECORDING {
            self.note_wake(place, duration);
        }
    }

    // Work that is done only while the instrumentation is on is kept out of line, so that jobs of timed batches stay
    // small.

    #[cold]
    #[inline(never)]
    fn note_start(&self, place: u32) {
        if self.mode.load(Relaxed) == COUNTING {
            self.peak.fetch_max(self.in_flight.fetch_add(1, Relaxed) + 1, Relaxed);
            self.see_thread();
        } else {
            self.note(|recorder| recorder.start_job(place));
        }
    }

    #[cold]
    #[inline(never)]
    fn note_end(&self, place: u32) {
        if self.mode.load(Relaxed) == COUNTING {
            self.in_flight.fetch_sub(1, Relaxed);
            self.see_thread();
        } else {
            self.note(|recorder| recorder.end_job(place));
        }
    }

    #[cold]
    #[inline(never)]
    fn note_sleep(&self, place: u32) {
        self.note(|recorder| recorder.start_sleep(place));
    }

    #[cold]
    #[inline(never)]
    fn note_wake(&self, place: u32, duration: Duration) {
        self.note(|recorder| recorder.end_sleep(place, duration));
    }

    #[inline]
    fn note(&self, note: impl FnOnce(&LatencyRecorder)) {
        if let Some(recorder) = self.recorder.get() {
            note(recorder);
        }
    }

    // Out of line: a stackful coroutine may continue on another thread, and must not keep the address of a thread-local
    // across that.
    #[inline(never)]
    fn see_thread(&self) {
        let epoch = self.epoch.load(Relaxed);
        if LAST_EPOCH.replace(epoch) != epoch {
            self.threads.fetch_add(1, Relaxed);
        }
    }
}
