//! Programs that tests write.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Writes a program. Another process does: if this one had the file open, a child that another thread starts at that
/// moment would inherit it, and Linux refuses to run a program that is open for writing ("text file busy").
pub(crate) fn write(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success(), "{}", path.display());
}
