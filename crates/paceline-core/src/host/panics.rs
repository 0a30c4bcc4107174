//! Keeps the messages of a host's panics for its parent.

use std::sync::{Mutex, PoisonError};

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the message of the first panic. Later ones, in threads that waited for it, only say that it happened.
pub(super) fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        let message = panic.payload_as_str().unwrap_or("without a message").replace('\n', " ");
        first.get_or_insert(format!("panicked: {message}"));
    }));
}

/// Returns the message of the first panic since the last call.
pub(super) fn last_panic() -> String {
    let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
    first.take().unwrap_or_else(|| "panicked".into())
}
