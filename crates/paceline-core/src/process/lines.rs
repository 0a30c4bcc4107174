//! Reads lines that child processes write, with a limit on their length: a program that floods its output must not fill
//! the reader's memory.

use std::{
    fmt::Display,
    io::{BufRead, BufReader, Read},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use super::HostError;
use crate::{clock::now, models::foreign::shown};

/// How often a wait for a line checks whether it is over.
const GLANCE: Duration = Duration::from_millis(100);

/// The longest line that is read, in bytes. The times of a million single calls take 20 MB.
pub(crate) const LONGEST: u64 = 256 << 20;

/// Passes each line of `output`, without its line end, to `take` until it returns false. A line over `longest` bytes is
/// cut and is the last.
pub(crate) fn lines(output: impl Read, longest: u64, mut take: impl FnMut(String) -> bool) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        let read = output.by_ref().take(longest).read_line(&mut line);
        if !read.is_ok_and(|read| read > 0) {
            break;
        }
        let torn = line.len() as u64 == longest && !line.ends_with('\n');
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        if !take(line) || torn {
            break;
        }
    }
}

/// Waits for a line that a reading thread passes on. Returns `None` if that thread has ended.
///
/// # Errors
///
/// Returns an error if no line arrives within `patience`, or `is_over` returns true.
pub(crate) fn receive<T>(
    lines: &Receiver<T>,
    patience: Duration,
    is_over: &dyn Fn() -> bool,
) -> Result<Option<T>, HostError> {
    let deadline = now() + patience;
    loop {
        let left = deadline.saturating_duration_since(now());
        match lines.recv_timeout(left.min(GLANCE)) {
            Ok(line) => return Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if is_over() => return Err(HostError::Interrupted),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                return Err(HostError::Silent(patience));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Returns the error for a line that is not a reply.
pub(crate) fn no_reply(line: &str, why: &dyn Display) -> HostError {
    HostError::Died(format!("it said {}: {why}", shown(line.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_far_as_it_may_be_long_and_nothing_behind_it() {
        let read = |text: &str| {
            let mut read = vec![];
            lines(text.as_bytes(), 5, |line| {
                read.push(line);
                true
            });
            read
        };
        assert_eq!(read("a\r\n\nbcde\nf"), ["a", "", "bcde", "f"]);
        assert_eq!(read("a\nbcdefghi\nj\n"), ["a", "bcdef"]);
    }
}
