//! GitHub's Markdown for a comment on a pull request or a step summary, at most 65 536 bytes.

mod gate;
mod run;

use std::fmt::Write;

use super::Exported;

/// The byte limit, from the limit on characters of a GitHub comment.
const MOST: usize = 65_536;

/// Returns the comment. If it does not fit, whole rows are left out and counted.
pub(super) fn markdown(of: Exported) -> String {
    match of {
        Exported::Run(record) => run::markdown(record),
        Exported::Gate(gate) => gate::markdown(gate),
    }
}

/// A text that grows by whole lines while there is room.
struct Page {
    text: String,
    /// The limit in bytes for lines that may be left out.
    most: usize,
}

impl Page {
    /// Returns a page that reserves this many bytes for required lines.
    fn new(reserved: usize) -> Self {
        Page { text: String::new(), most: MOST - reserved }
    }

    /// Adds a required line.
    fn always(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds a line if there is room for it. Returns whether there was.
    fn line(&mut self, line: &str) -> bool {
        let room = self.text.len() + line.len() < self.most;
        if room {
            self.always(line);
        }
        room
    }

    /// Adds a row of a table.
    fn row(&mut self, columns: &[String]) -> bool {
        self.line(&format!("| {} |", columns.join(" | ")))
    }
}

/// Formats a name as code.
fn code(name: &str) -> String {
    format!("<code>{}</code>", escaped(name))
}

/// Escapes text: every character that has a meaning in Markdown or HTML, or makes a link or a mention, becomes a
/// numeric reference. Such a reference cannot begin or end anything.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // A bare `www.` makes a link; figures keep their decimal points.
    let mut before = ' ';
    for c in text.chars() {
        let harmless = matches!(c, ' ' | '/' | '-' | '+' | '%' | ',' | '(' | ')' | ';');
        let point = c == '.' && !before.eq_ignore_ascii_case(&'w');
        before = c;
        if point || c.is_ascii_alphanumeric() || !c.is_ascii() || harmless {
            safe.push(c);
        } else {
            let _ = write!(safe, "&#{};", u32::from(c));
        }
    }
    safe
}
