//! All the unsafe code there is, each piece with the reason why it is sound.
#![expect(
    unsafe_code,
    reason = "three promises that the compiler cannot check; all are argued below"
)]

use std::{
    io,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(debug_assertions)]
use std::thread::{self, ThreadId};

/// A value that stays on the thread that made it, though its type says that it may move.
///
/// The interpreter is one for all models, and those that steal work need `Send`. The futures and streams of a runtime
/// per core are not `Send`, and never leave their core. A safe wrapper exists (`send_wrapper`), at the price of a
/// thread id in every timer of a million: measured, 11 % of the memory of such jobs. This one is free, and in debug
/// builds, which is how the tests run, it makes the same check.
///
/// # Soundness
///
/// Values are made by the methods of `per_core::PerCore`, which run within a job's future, on the core that the job was
/// started on, and by a core that accepts a connection, which it then serves itself. A job's future is made on that core, by `LocalRuntime::spawn` or in the share that the core was dealt,
/// and these runtimes never move a task. A future that crosses over to a core has not been polled yet, and so holds no
/// such value. `PerCore` is private to `models`: nobody else can poll one of its futures.
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
        // SAFETY: `value` is pinned whenever `self` is: it is never moved out, `ThreadBound` has no `Drop`, and `DerefMut`
        // needs an `ThreadBound` that is not pinned.
        unsafe { self.map_unchecked_mut(|this| &mut this.value) }.poll(context)
    }
}

/// Starts a stackful coroutine.
///
/// # Soundness
///
/// may asks of a coroutine that it does not overflow its stack and keeps no thread-local across a switch. The work is
/// the interpreter's, or that of a connection around it: its depth is bounded (`job::bounds::DEPTH`, and each level of children is a coroutine of its
/// own), the stack is several times what it uses (`models::may::STACK_WORDS`), and its only thread-local is read out of
/// line, between two switches (`perform::watch`).
///
/// # Errors
///
/// Returns an error where no stack can be had.
pub(super) fn spawn_coroutine<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<may::coroutine::JoinHandle<T>> {
    // SAFETY: see above.
    unsafe { may::coroutine::Builder::new().spawn(work) }
}

/// The processor's time-stamp counter: read in 10 ns, where the system's clock takes 25.
///
/// # Soundness
///
/// The instruction reads a register and touches no memory. A system may forbid it to programs; whoever calls this has
/// seen that the system's own clock is read with it (the module `clock`).
#[cfg(target_arch = "x86_64")]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: see above.
    unsafe { core::arch::x86_64::_rdtsc() }
}
