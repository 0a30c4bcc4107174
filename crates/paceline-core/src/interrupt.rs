//! Ctrl-C: the first stops what is under way and keeps what has ended, the second ends the program at once.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// The exit code of an interrupted program.
pub const EXIT_CODE: u8 = 130;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes Ctrl-C, and the signal that asks to end, from now on.
///
/// # Errors
///
/// Returns an error where the system does not allow it.
pub fn watch() -> io::Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        // In this order: only the second signal finds the flag set.
        flag::register_conditional_shutdown(signal, i32::from(EXIT_CODE), asked.clone())?;
        flag::register(signal, asked.clone())?;
    }
    Ok(())
}

/// Whether an interrupt has come.
#[must_use]
pub fn interrupted() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Relaxed))
}
