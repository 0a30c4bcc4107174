//! The only places that print: results go to standard output, errors to standard error.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write},
};

/// Writes a line of results. Whoever reads them may leave early, as `head` does.
///
/// # Errors
///
/// Returns a sentence where they cannot be written, as on a full disk.
pub fn print(text: &str) -> Result<(), String> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes a file's bytes as a result.
///
/// # Errors
///
/// Returns a sentence where they cannot be written.
pub fn print_bytes(bytes: &[u8]) -> Result<(), String> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes an error. Where standard error is gone there is nobody left to tell.
pub fn print_error(message: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {message}");
}

/// Writes a remark to standard error, beside results that other programs read.
pub fn print_note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Whether bars can be shown: on a terminal that is not a dumb one, in a locale of UTF-8.
pub(crate) fn draws_bars() -> bool {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let locale =
        set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let locale = locale.to_lowercase();
    io::stdout().is_terminal()
        && set("TERM").is_some_and(|term| term != "dumb")
        && (locale.contains("utf-8") || locale.contains("utf8"))
}
