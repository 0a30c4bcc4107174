//! The only module that reads a clock.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

pub use paceline_gated::clock::{nanoseconds, now, within};

use crate::{job::compute, perform::Ticks};

/// Reads the monotonic clock as a `timespec`, the form that kernel timers take.
pub(crate) fn timer_clock() -> rustix::time::Timespec {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)
}

fn read(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Reads the monotonic clock in nanoseconds. All processes of one machine see the same.
pub(crate) fn timer_ns() -> u64 {
    let now = timer_clock();
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Returns the wall-clock time, such as `2026-11-22T22:10:52Z`. Use it for names and dates only.
pub fn utc() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Reads the wall clock, as the time since 1970. Use it to compare the clocks of nodes, and for nothing else.
pub fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Three clocks read at one moment. They diverge if the machine is suspended or its clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The monotonic clock, which stops while the machine is suspended.
    pub steady: Duration,
    /// The monotonic clock including time suspended.
    pub boot: Duration,
    /// The wall clock.
    pub wall: Duration,
}

impl Clocks {
    /// Reads the three clocks.
    pub fn now() -> Self {
        Clocks {
            steady: read(rustix::time::ClockId::Monotonic),
            #[cfg(target_os = "linux")]
            boot: read(rustix::time::ClockId::Boottime),
            #[cfg(not(target_os = "linux"))]
            boot: read(rustix::time::ClockId::Monotonic),
            wall: read(rustix::time::ClockId::Realtime),
        }
    }
}

/// Returns the CPU time that this process has used so far, user and system mode together.
pub(super) fn cpu_time() -> Duration {
    read(rustix::time::ClockId::ProcessCPUTime)
}

/// Returns the counter that times single jobs: on x86-64 the time-stamp counter if the system's clock is based on it,
/// otherwise the system's clock.
pub(super) fn ticks() -> Ticks {
    static TICKS: OnceLock<Ticks> = OnceLock::new();
    *TICKS.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
            if std::fs::read_to_string(SOURCE).is_ok_and(|source| source.trim() == "tsc") {
                return crate::models::time_stamp;
            }
        }
        || {
            static FIRST: OnceLock<Instant> = OnceLock::new();
            nanoseconds(now() - *FIRST.get_or_init(now))
        }
    })
}

/// Returns the number of ticks per nanosecond. It reads both clocks twice, 50 ms apart, so the cost of reading them is
/// less than a millionth of the interval. Only the first call in a process waits these 50 ms.
pub fn ticks_per_ns() -> f64 {
    const APART: Duration = Duration::from_millis(50);
    static FOUND: OnceLock<f64> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let ticks = ticks();
        let read = || (ticks(), now());
        let (tick, start) = read();
        thread::sleep(APART);
        let (last, end) = read();
        (last - tick) as f64 / (end - start).as_nanos() as f64
    })
}

static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Reads the clock for a batch. The first reading is also stored in ticks, for [`begun`].
pub(super) fn noting() -> Instant {
    if BEGUN.load(Relaxed) == 0 {
        BEGUN.store(ticks()().max(1), Relaxed);
    }
    now()
}

/// Returns the tick at which the batch timed by [`noting`] began, and resets it for the next batch.
pub(super) fn begun() -> u64 {
    BEGUN.swap(0, Relaxed)
}

/// Returns the duration of one round of `compute` on this machine, in nanoseconds. It is measured once per process, so
/// every use in a run sees the same value.
pub fn compute_ns() -> f64 {
    const ROUNDS: u64 = 200_000;
    static MEASURED: OnceLock<f64> = OnceLock::new();
    let once = |seed| {
        let start = now();
        std::hint::black_box(compute(seed, ROUNDS));
        (now() - start).as_nanos() as f64 / ROUNDS as f64
    };
    *MEASURED.get_or_init(|| (0..20).map(once).fold(f64::INFINITY, f64::min))
}
