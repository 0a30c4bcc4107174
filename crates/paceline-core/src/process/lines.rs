//! The lines that child processes write, of a bounded length: a program that floods its output must not fill the memory
//! of the one that listens.

use std::{
    fmt::Display,
    io::{BufRead, BufReader, Read},
};

use super::HostError;
use crate::models::foreign::shown;

/// The longest line that is read, in bytes. The times of a million single calls are 20 MB.
pub(super) const LONGEST: u64 = 256 << 20;

/// Hands over each line of `output` without its end, until `take` has enough. One over `longest` is the last, and torn.
pub(super) fn lines(output: impl Read, longest: u64, mut take: impl FnMut(String) -> bool) {
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

/// The error of a line that is no reply.
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
