//! The only places that print: results go to standard output, errors to standard error.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write},
};

/// Returns what to do about an error of writing, to be followed by another way out.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room",
        ErrorKind::FileTooLarge => "lift the limit on the size of files (ulimit -f unlimited)",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "make it writable",
        ErrorKind::NotFound => "make its folder",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "move the file that is in its place",
        ErrorKind::IsADirectory => "name a file in that folder",
        _ => "mend that",
    }
}

/// Returns what to say if results cannot be printed.
pub(crate) fn unprinted(error: &io::Error) -> String {
    let remedy = remedy(error);
    format!("cannot write to standard output: {error}; {remedy}, or send the output elsewhere")
}

/// Writes a line of results. The reader may close the pipe early, as `head` does.
pub fn print(text: &str) -> Result<(), String> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unprinted(&error)),
        _ => Ok(()),
    }
}

/// Writes a file's bytes as a result.
pub fn print_bytes(bytes: &[u8]) -> Result<(), String> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unprinted(&error)),
        _ => Ok(()),
    }
}

/// Writes an error; the program then ends with a code other than 0. A closed standard error is ignored: nothing can be reported then.
pub fn print_error(message: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {message}");
}

/// Writes a warning: what was done is whole but for this.
pub fn print_warning(message: &str) {
    let _ = writeln!(io::stderr().lock(), "warning: {message}");
}

/// Writes a note to standard error, separate from results that other programs read.
pub fn print_note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Returns whether results are coloured: on a terminal that is not `dumb`, unless `NO_COLOR` is set; `CLICOLOR_FORCE`
/// colours a pipe too.
pub(crate) fn is_coloured() -> bool {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    forced || io::stdout().is_terminal() && set("TERM").is_none_or(|term| term != "dumb")
}
