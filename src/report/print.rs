//! The only places that print: results go to standard output, errors to standard error.

use std::io::{self, ErrorKind, Write};

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

/// Writes an error. Where standard error is gone there is nobody left to tell.
pub fn print_error(message: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {message}");
}
