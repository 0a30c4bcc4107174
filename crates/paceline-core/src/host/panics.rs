//! What a host's panics said, for the parent.

use std::sync::{Mutex, PoisonError};

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the first panic's message: later ones, of those who waited, only say that it happened.
pub(super) fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        let message = panic.payload_as_str().unwrap_or("without a message").replace('\n', " ");
        first.get_or_insert(format!("panicked: {message}"));
    }));
}

/// What the first panic said, since it was last asked for.
pub(super) fn last_panic() -> String {
    let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
    first.take().unwrap_or_else(|| "panicked".into())
}
