//! Wakes the loop at a moment: by a timer with nanoseconds on Linux, by the poller's timeout of milliseconds elsewhere.

use std::{io, time::Duration};

use mio::{Registry, Token};

use crate::clock::timer_clock;

/// Wakes a poller at moments counted from [`Pace::start`].
///
/// The timer is in the poller, because epoll's own timeout is rounded up to a millisecond. Timer slack does not matter:
/// the kernel applies it to timeouts of system calls, not to timers with a descriptor.
#[cfg(target_os = "linux")]
pub(super) struct Pace {
    timer: rustix::fd::OwnedFd,
    /// The reading of the timer's clock at the start.
    origin: Duration,
    /// The current setting, so that an unchanged moment needs no call.
    set_ns: u64,
}

#[cfg(target_os = "linux")]
impl Pace {
    /// Returns a timer whose alarms arrive as events of `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use rustix::{
            fd::AsRawFd,
            time::{TimerfdClockId, TimerfdFlags, timerfd_create},
        };
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let descriptor = timer.as_raw_fd();
        let interest = mio::Interest::READABLE;
        registry.register(&mut mio::unix::SourceFd(&descriptor), token, interest)?;
        Ok(Pace { timer, origin: Duration::ZERO, set_ns: u64::MAX })
    }

    /// Sets the current moment as zero.
    pub(super) fn start(&mut self) {
        let now = timer_clock();
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
        self.origin = Duration::new(now.tv_sec.unsigned_abs(), nanoseconds);
        self.set_ns = u64::MAX;
    }

    /// Moves zero to a later moment.
    pub(super) fn shift(&mut self, by_ns: u64) {
        self.origin += Duration::from_nanos(by_ns);
        self.set_ns = u64::MAX;
    }

    /// Records that the alarm rang and is not set any more. Returns the moment it was set to.
    pub(super) fn rang(&mut self) -> Option<u64> {
        let set_ns = std::mem::replace(&mut self.set_ns, u64::MAX);
        (set_ns != u64::MAX).then_some(set_ns)
    }

    /// Sets the alarm to a moment; a past one rings at once. Returns the timeout that the poller needs.
    pub(super) fn wake_at(&mut self, at_ns: u64, _now_ns: u64) -> io::Result<Option<Duration>> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        if self.set_ns != at_ns {
            let at = self.origin + Duration::from_nanos(at_ns);
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec {
                tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: at.subsec_nanos().into(),
            };
            let alarm = Itimerspec { it_interval: zero, it_value: value };
            // Setting it also clears an alarm that rang and was not read.
            timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &alarm)?;
            self.set_ns = at_ns;
        }
        Ok(None)
    }
}

/// Wakes a poller at moments by its timeout.
#[cfg(not(target_os = "linux"))]
pub(super) struct Pace;

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
impl Pace {
    pub(super) fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Pace)
    }

    pub(super) fn start(&mut self) {}

    pub(super) fn shift(&mut self, _by_ns: u64) {}

    pub(super) fn rang(&mut self) -> Option<u64> {
        None
    }

    pub(super) fn wake_at(&mut self, at_ns: u64, now_ns: u64) -> io::Result<Option<Duration>> {
        Ok(Some(Duration::from_nanos(at_ns.saturating_sub(now_ns))))
    }
}
