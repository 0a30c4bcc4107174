//! Records the times of a batch's jobs while they run, in memory that is allocated beforehand.

use std::{
    iter,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// Reads a counter that increases at a constant rate. It times jobs, because it is cheaper to read than the clock.
pub type Ticks = fn() -> u64;

/// Storage for the times of a batch.
pub struct LatencyRecorder {
    ticks: Ticks,
    ticks_per_ns: f64,
    times: Box<[Times]>,
    jobs: usize,
    /// The number of slots in use: those of the jobs come first, then those of their children.
    taken: AtomicUsize,
    lateness: Box<[AtomicU64]>,
    woken: AtomicUsize,
    /// Sleeps of children without a slot.
    lost: AtomicUsize,
}

#[derive(Default)]
struct Times {
    began: AtomicU64,
    ended: AtomicU64,
    asleep: AtomicU64,
}

/// The recorded times of a batch.
#[derive(Debug)]
pub struct JobTimes {
    /// When each job was first polled and when it produced its receipt, in ticks.
    pub jobs: Vec<(u64, u64)>,
    /// How much longer than requested each sleep took, in nanoseconds, in no particular order.
    pub lateness_ns: Vec<u64>,
    /// Sleeps that did not fit.
    pub lost: usize,
}

impl LatencyRecorder {
    /// Allocates storage for `jobs` jobs, `children` children of theirs, and `sleeps` sleeps in total.
    pub fn new(
        ticks: Ticks,
        ticks_per_ns: f64,
        jobs: usize,
        children: usize,
        sleeps: usize,
    ) -> Self {
        let times = iter::repeat_with(Times::default).take(jobs + children).collect();
        let lateness = iter::repeat_with(AtomicU64::default).take(sleeps).collect();
        LatencyRecorder {
            ticks,
            ticks_per_ns,
            times,
            jobs,
            taken: AtomicUsize::new(jobs),
            lateness,
            woken: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        }
    }

    /// Returns whether a batch of `jobs` jobs fits.
    pub fn holds(&self, jobs: usize) -> bool {
        self.jobs >= jobs
    }

    /// Takes the times of a batch of `jobs` jobs, and frees the slots for the next.
    pub fn take(&self, jobs: usize) -> JobTimes {
        let woken = self.woken.swap(0, Relaxed);
        self.taken.store(self.jobs, Relaxed);
        let kept = woken.min(self.lateness.len());
        JobTimes {
            jobs: self.times[..jobs.min(self.jobs)]
                .iter()
                .map(|times| (times.began.load(Relaxed), times.ended.load(Relaxed)))
                .collect(),
            lateness_ns: self.lateness[..kept].iter().map(|late| late.load(Relaxed)).collect(),
            lost: woken - kept + self.lost.swap(0, Relaxed),
        }
    }

    #[inline]
    pub(super) fn start_job(&self, place: u32) {
        if let Some(times) = self.times.get(place as usize) {
            times.began.store((self.ticks)(), Relaxed);
        }
    }

    #[inline]
    pub(super) fn end_job(&self, place: u32) {
        if let Some(times) = self.times.get(place as usize) {
            times.ended.store((self.ticks)(), Relaxed);
        }
    }

    #[inline]
    pub(super) fn child(&self) -> u32 {
        u32::try_from(self.taken.fetch_add(1, Relaxed)).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(super) fn start_sleep(&self, place: u32) {
        if let Some(times) = self.times.get(place as usize) {
            times.asleep.store((self.ticks)(), Relaxed);
        }
    }

    #[inline]
    pub(super) fn end_sleep(&self, place: u32, duration: Duration) {
        let now = (self.ticks)();
        let Some(times) = self.times.get(place as usize) else {
            self.lost.fetch_add(1, Relaxed);
            return;
        };
        if let Some(late) = self.lateness.get(self.woken.fetch_add(1, Relaxed)) {
            let slept = now.saturating_sub(times.asleep.load(Relaxed)) as f64 / self.ticks_per_ns;
            late.store((slept - duration.as_nanos() as f64).max(0.0) as u64, Relaxed);
        }
    }
}
