//! The only clock.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

pub use paceline_gated::clock::{nanoseconds, now};

use crate::{job::compute, perform::Ticks};

/// Reads the monotonic clock in the form that the kernel's timers take.
#[must_use]
pub(crate) fn timer_clock() -> rustix::time::Timespec {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)
}

/// The wall clock, for names and dates only: `2026-11-22T22:10:52Z`.
#[must_use]
pub fn utc() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Three clocks at one moment. They go apart where the machine sleeps or is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The monotonic clock, which stands still while the machine is suspended.
    pub steady: Duration,
    /// The same with the time in which the machine was suspended.
    pub boot: Duration,
    /// The wall clock.
    pub wall: Duration,
}

impl Clocks {
    /// What they show now.
    #[must_use]
    pub fn now() -> Self {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
        };
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

/// CPU time that this process has used so far, in user and system mode together.
#[must_use]
pub(super) fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// What the times of single jobs are taken from: on x86-64 the counter that the system's own clock is made of, where it
/// is; elsewhere that clock.
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

/// How many ticks a nanosecond has: by two readings of both clocks, far enough apart that their own time is less than
/// a millionth of it. The first call of a process takes 50 ms.
#[must_use]
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

/// A clock for one round: its first reading is also kept in ticks, for [`begun`].
pub(super) fn noting() -> Instant {
    if BEGUN.load(Relaxed) == 0 {
        BEGUN.store(ticks()().max(1), Relaxed);
    }
    now()
}

/// The tick at which the round began whose clock was [`noting`], and makes ready for the next.
pub(super) fn begun() -> u64 {
    BEGUN.swap(0, Relaxed)
}

/// Returns how long a round of `compute` takes on this machine, in nanoseconds: measured once in a process, so that all of
/// a run agree.
#[must_use]
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
