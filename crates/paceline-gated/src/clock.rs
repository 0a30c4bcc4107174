//! The clock of all measurements.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Reads the monotonic clock (`CLOCK_MONOTONIC` on Linux).
#[inline]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Converts a duration to nanoseconds. A `u64` covers 584 years; longer durations saturate.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Polls `is_so` until it returns true or `time` has passed.
pub fn within(time: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = now() + time;
    while !is_so() && now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}
