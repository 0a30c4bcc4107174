//! Errors of the gate: one sentence, and the exit code.

use std::{error::Error, fmt, io, path::Path};

use paceline_core::interrupt::EXIT_CODE;

/// The cause of the error, which determines the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The system: a file that cannot be written, a full disk.
    Internal,
    /// The user's request: a revision that does not exist or does not build, a folder without a project, too small a
    /// budget.
    Usage,
    /// An interrupt: Ctrl-C.
    Interrupted,
}

impl Exit {
    /// Returns the exit code of the program.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::Interrupted => EXIT_CODE,
        }
    }
}

/// The reason why there is no verdict at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateError {
    /// The exit code.
    pub exit: Exit,
    /// One lowercase sentence that says what to do. The compiler's output follows on separate lines.
    pub message: String,
}

impl GateError {
    pub(in crate::gate) fn usage(message: impl Into<String>) -> Self {
        GateError { exit: Exit::Usage, message: message.into() }
    }

    pub(in crate::gate) fn internal(message: impl Into<String>) -> Self {
        GateError { exit: Exit::Internal, message: message.into() }
    }

    pub(in crate::gate) fn interrupted() -> Self {
        let message = "interrupted while building".into();
        GateError { exit: Exit::Interrupted, message }
    }

    /// Returns the error for a file of the user that cannot be read.
    pub(in crate::gate) fn reading(path: &Path, error: &io::Error) -> Self {
        GateError::usage(format!("cannot read {}: {error}", path.display()))
    }

    /// Returns the error for a file or folder of the gate that cannot be written.
    pub(in crate::gate) fn writing(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        GateError::internal(if error.kind() == io::ErrorKind::StorageFull {
            no_space(&path.to_string())
        } else {
            format!(
                "cannot write to {path}: {error}; make it writable, or set CARGO_TARGET_DIR to a folder that is"
            )
        })
    }

    /// Returns `otherwise`, unless a tool's output means that the disk is full.
    pub(in crate::gate) fn of_tool(said: &[String], place: &Path, otherwise: GateError) -> Self {
        let full = said.iter().any(|line| line.contains("No space left on device"));
        let place = place.display().to_string();
        if full { GateError::internal(no_space(&place)) } else { otherwise }
    }
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for GateError {}

impl From<String> for GateError {
    fn from(message: String) -> Self {
        GateError::internal(message)
    }
}

fn no_space(place: &str) -> String {
    format!(
        "no space is left on the disk of {place}; free some, or set CARGO_TARGET_DIR to a folder on another disk"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_to_be_full_whoever_noticed_it() {
        let place = Path::new("/here");
        let by_us = GateError::writing(place, &io::ErrorKind::StorageFull.into());
        let line = "error: failed to write `x`: No space left on device (os error 28)";
        let by_tool = GateError::of_tool(&[line.into()], place, GateError::usage("other"));
        assert_eq!(by_us, by_tool);
        assert!(by_us.message.starts_with("no space is left on the disk of /here; free some"));
        assert_eq!(by_us.exit.code(), 1);
        let other = GateError::of_tool(&["error: E1".into()], place, GateError::usage("other"));
        assert_eq!((other.exit.code(), other.message.as_str()), (2, "other"));
    }
}
