//! GitHub's Markdown for a comment on a pull request or a step summary, at most 65 536 bytes.

mod gate;
mod run;

use std::fmt::Write;

use super::Exported;

/// No more bytes than a comment on GitHub may have characters.
const MOST: usize = 65_536;

/// What has no room is left out by whole rows, and counted.
pub(super) fn markdown(of: Exported) -> String {
    match of {
        Exported::Run(record) => run::markdown(record),
        Exported::Gate(gate) => gate::markdown(gate),
    }
}

/// A text that grows by whole lines while there is room.
struct Page {
    text: String,
    /// No line that may be left out ends behind these bytes.
    most: usize,
}

impl Page {
    /// A page that keeps so many bytes for the lines that must be there.
    fn new(reserved: usize) -> Self {
        Page { text: String::new(), most: MOST - reserved }
    }

    /// Adds a line that must be there.
    fn always(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds a line, if there is room for it.
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

/// A name as code.
fn code(name: &str) -> String {
    format!("<code>{}</code>", escaped(name))
}

/// Text that is nothing but text: every character that means something to Markdown or HTML, or that makes a link or a
/// mention, is a numeric reference. Such a reference cannot begin or end anything.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // A bare `www.` makes a link; figures keep their points.
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
