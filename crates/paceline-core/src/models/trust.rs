//! All unsafe code of the project, each piece with the reason why it is sound.
#![expect(
    unsafe_code,
    reason = "four promises that the compiler cannot check; all are argued below"
)]

use std::{
    io,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(debug_assertions)]
use std::thread::{self, ThreadId};

/// A value that stays on the thread that made it although its type is `Send`.
///
/// All models share one interpreter, and those that steal work need `Send`. The futures and streams of a runtime per
/// core are not `Send`, but never leave their core. A safe wrapper exists (`send_wrapper`), but it stores a thread id
/// in each of a million timers: measured, 11 % of the memory of such jobs. This one is free. In debug builds, which the
/// tests use, it makes the same check.
///
/// # Soundness
///
/// Values are made in two places. The methods of `per_core::PerCore` make them within a job's future, on the core on
/// which the job was started. A core that accepts a connection makes one for it, and then serves that connection
/// itself. A job's future is made on its core, by `LocalRuntime::spawn` or in the share assigned to the core, and these
/// runtimes never move a task. A future that is sent to a core has not been polled yet, and so holds no such value.
/// `PerCore` is private to `models`, so no other code can poll one of its futures.
pub(super) struct ThreadBound<T> {
    value: T,
    #[cfg(debug_assertions)]
    home: ThreadId,
}

impl<T> ThreadBound<T> {
    pub(super) fn new(value: T) -> Self {
        ThreadBound {
            value,
            #[cfg(debug_assertions)]
            home: thread::current().id(),
        }
    }

    #[inline]
    fn check(&self) {
        #[cfg(debug_assertions)]
        assert_eq!(self.home, thread::current().id(), "a value of one core was used on another");
    }
}

// SAFETY: see above: no value is ever used or dropped on another thread.
unsafe impl<T> Send for ThreadBound<T> {}

impl<T> Deref for ThreadBound<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.check();
        &self.value
    }
}

impl<T> DerefMut for ThreadBound<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.check();
        &mut self.value
    }
}

impl<F: Future> Future for ThreadBound<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.check();
        // SAFETY: `value` is pinned whenever `self` is: it is never moved out, `ThreadBound` has no `Drop`, and
        // `DerefMut` needs a `ThreadBound` that is not pinned.
        unsafe { self.map_unchecked_mut(|this| &mut this.value) }.poll(context)
    }
}

/// Starts a stackful coroutine.
///
/// # Soundness
///
/// may requires that a coroutine does not overflow its stack and keeps no thread-local across a switch. The work is
/// that of the interpreter, or of a connection around it. Its depth is bounded (`job::bounds::DEPTH`, and each level of
/// children is its own coroutine), and the stack is several times what it uses (`models::may::STACK_WORDS`). Its only
/// thread-local is read out of line, between two switches (`perform::instrumentation`).
pub(super) fn spawn_coroutine<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<may::coroutine::JoinHandle<T>> {
    // SAFETY: see above.
    unsafe { may::coroutine::Builder::new().spawn(work) }
}

/// Reads the processor's time-stamp counter, in 10 ns; the system's clock takes 25.
///
/// # Soundness
///
/// The instruction reads a register and touches no memory. A system may forbid it to programs; the caller has checked
/// that the system's own clock is read with it (the module `clock`).
#[cfg(target_arch = "x86_64")]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: see above.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Asks for a time slice of `ns` for the calling thread: among those that want its CPU it then runs soon after it woke,
/// and gets no more of the CPU for it. Linux heeds this from 6.12 on, and earlier ones ignore it.
///
/// # Soundness
///
/// The kernel writes to the structure, and at most as many bytes as its size says. It then reads as many. Neither call
/// keeps the address.
#[cfg(target_os = "linux")]
pub(crate) fn set_time_slice(ns: u64) -> io::Result<()> {
    use nix::libc::{SYS_sched_setattr, syscall};
    // All else stays as it is: the niceness, for example.
    let mut attributes = scheduling()?;
    attributes.sched_runtime = ns;
    // SAFETY: see above.
    let set = unsafe { syscall(SYS_sched_setattr, 0, &raw const attributes, 0) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Returns how the calling thread is scheduled; see [`set_time_slice`].
#[cfg(target_os = "linux")]
fn scheduling() -> io::Result<nix::libc::sched_attr> {
    use nix::libc::{SYS_sched_getattr, sched_attr, syscall};
    let size = u32::try_from(size_of::<sched_attr>()).expect("it has 48 bytes");
    let mut attributes = sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: see above.
    let got = unsafe { syscall(SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    if got == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_time_slice_is_that_of_the_thread_alone_and_changes_nothing_else() {
        let before = scheduling().unwrap();
        let after = thread::spawn(|| {
            rustix::process::setpriority_process(None, 7).unwrap();
            set_time_slice(100_000).unwrap();
            scheduling().unwrap()
        });
        let after = after.join().unwrap();
        assert_eq!((after.sched_policy, after.sched_nice), (before.sched_policy, 7));
        // Before Linux 6.12 there is no slice to set.
        if before.sched_runtime > 0 {
            assert_eq!(after.sched_runtime, 100_000);
            assert_eq!(scheduling().unwrap().sched_runtime, before.sched_runtime);
        }
    }
}
