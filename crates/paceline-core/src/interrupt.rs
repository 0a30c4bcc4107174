//! Signals. Ctrl-C: the first stops the run and keeps finished results, the second ends the program at once. A file that
//! grows beyond its limit: writing fails, instead of killing the program.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
};

use crate::clock::now;

/// The exit code of an interrupted program.
pub const EXIT_CODE: u8 = 130;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Handles SIGINT, SIGTERM and SIGHUP from now on. SIGHUP stays ignored if it already was, as under `nohup`.
pub fn watch() -> io::Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let ignores_hangup = ignored & (1 << (SIGHUP - 1)) != 0;
    let hangup = (!ignores_hangup).then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        // The order matters: only the second signal must find the flag set.
        flag::register_conditional_shutdown(signal, i32::from(EXIT_CODE), asked.clone())?;
        flag::register(signal, asked.clone())?;
    }
    Ok(())
}

/// Lets a write beyond the limit on the size of files fail with an error from now on: SIGXFSZ no longer ends the program
/// without a word. Children that start another program are not affected.
///
/// If the system refuses the handler, the signal stays as it was.
pub fn survive_file_limit() {
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// Returns whether an interrupt has arrived.
pub fn interrupted() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Relaxed))
}

/// Sleeps for `time`, or until an interrupt arrives. Returns whether one has.
pub fn pause(time: Duration) -> bool {
    let until = now() + time;
    while !interrupted() {
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
    true
}
