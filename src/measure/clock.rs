//! The only clock.

use std::time::{Duration, Instant, SystemTime};

use crate::job::compute;

/// The monotonic clock that every figure comes from (`CLOCK_MONOTONIC` on Linux).
#[inline]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for names and dates only: `2026-11-22T22:10:52Z`.
#[must_use]
pub fn utc() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A duration as a number of nanoseconds, which lasts for 584 years.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time that this process has used so far, in user and system mode together.
#[must_use]
pub(super) fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Measures how long a round of `compute` takes on this machine, in nanoseconds.
#[must_use]
pub fn compute_ns() -> f64 {
    const ROUNDS: u64 = 200_000;
    let once = |seed| {
        let start = now();
        std::hint::black_box(compute(seed, ROUNDS));
        start.elapsed().as_nanos() as f64 / ROUNDS as f64
    };
    (0..5).map(once).fold(f64::INFINITY, f64::min)
}
