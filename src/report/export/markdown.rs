//! A comment on a pull request: the verdict first, what regressed, what could not be told, and the rest folded.

use std::fmt::Write;

use super::super::gate::{
    Groups, detectable, figure, interval, label, needed, overall, share, why,
};
use crate::{
    output::cut,
    record::{Gate, GateCell, Side},
};

/// No more bytes than a comment on GitHub may have characters.
const MOST: usize = 65_536;
/// What headings, closing lines and tags may take of it, beside the rows.
const RESERVED: usize = 12_000;
/// The longest name in a table, in characters. Escaped, each may take 6 bytes.
const NAME: usize = 100;
/// The longest reason.
const REASON: usize = 150;
const CHANGED: [&str; 7] = ["cell", "metric", "base", "head", "change", "95 % interval", "trials"];
const UNSEEN: [&str; 7] =
    ["cell", "metric", "change", "95 % interval", "would be found", "trials", "trials needed"];
const LONE: [&str; 4] = ["cell", "metric", "figure", "why"];

/// The gate as GitHub's Markdown, at most 65 536 bytes. What has no room is left out by whole rows, and counted.
pub(super) fn markdown(gate: &Gate) -> String {
    let groups = Groups::of(gate);
    let mut page = Page::default();
    let summary = escaped(&cut(&gate.summary, 1000));
    let _ = writeln!(page.text, "### paceline gate: {}\n\n{summary}\n", overall(gate.verdict));
    let (base, head) = (side(&gate.base), side(&gate.head));
    let _ = writeln!(page.text, "Base {base}, head {head}.");
    for note in &gate.notes {
        let _ = writeln!(page.text, "\nNote: {}", escaped(&cut(note, 600)));
    }
    if gate.interrupted {
        page.text.push_str("\nIt was interrupted: cells have the trials until then.\n");
    }
    page.table("Regressed", &CHANGED, &groups.regressed, changed);
    page.table("Inconclusive", &UNSEEN, &groups.inconclusive, unseen);
    page.text.push_str("\n<details><summary>the rest</summary>\n");
    page.table("Without a verdict", &LONE, &groups.without, lone);
    page.table("Improved", &CHANGED, &groups.improved, changed);
    page.table("New: not gated", &LONE, &groups.new, lone);
    page.table("Removed: not gated", &LONE, &groups.removed, lone);
    page.table("Not regressed", &CHANGED, &groups.not_regressed, changed);
    page.text.push('\n');
    for line in groups.closing(gate, true) {
        let _ = writeln!(page.text, "* {}", escaped(&line));
    }
    page.text.push_str("\n</details>\n");
    page.text
}

/// A text that grows by whole rows while there is room.
#[derive(Default)]
struct Page {
    text: String,
    rows: usize,
}

impl Page {
    fn table(
        &mut self,
        title: &str,
        head: &[&str],
        cells: &[&GateCell],
        row: fn(&GateCell) -> Vec<String>,
    ) {
        if cells.is_empty() {
            return;
        }
        let count = cells.len();
        let rule = "|---".repeat(head.len());
        let _ = writeln!(self.text, "\n**{title}: {count}**\n\n| {} |\n{rule}|", head.join(" | "));
        for (at, cell) in cells.iter().enumerate() {
            let columns = row(cell).iter().map(|text| escaped(text)).collect::<Vec<_>>();
            let name = escaped(&cut(&cell.cell, NAME));
            let (metric, columns) = (label(cell.metric), columns.join(" | "));
            let row = format!("| <code>{name}</code> | {metric} | {columns} |\n");
            if self.rows + row.len() > MOST - RESERVED {
                let left = count - at;
                let _ = writeln!(
                    self.text,
                    "\n{left} of them left out for lack of room: the record has all."
                );
                return;
            }
            self.rows += row.len();
            self.text.push_str(&row);
        }
    }
}

fn changed(cell: &GateCell) -> Vec<String> {
    let (change, interval) = change(cell);
    let (base, head) = (figure(cell.metric, cell.base), figure(cell.metric, cell.head));
    vec![base, head, change, interval, cell.trials.to_string()]
}

fn unseen(cell: &GateCell) -> Vec<String> {
    let (change, interval) = change(cell);
    vec![change, interval, detectable(cell), cell.trials.to_string(), needed(cell)]
}

fn change(cell: &GateCell) -> (String, String) {
    cell.change.map_or_else(Default::default, |of| (share(of.share), interval(&of)))
}

fn lone(cell: &GateCell) -> Vec<String> {
    vec![figure(cell.metric, cell.head.or(cell.base)), why(cell, REASON)]
}

fn side(side: &Side) -> String {
    let commit = side.commit.as_deref().map(|commit| commit.chars().take(12).collect::<String>());
    let mut text = format!("<code>{}</code>", escaped(&cut(&side.name, 100)));
    if let Some(commit) = commit.filter(|commit| *commit != side.name) {
        let _ = write!(text, " at <code>{}</code>", escaped(&cut(&commit, 12)));
    }
    if side.uncommitted {
        text.push_str(" with changes that are not committed");
    }
    text
}

/// Text that is nothing but text: every character that means something to Markdown or HTML, or that makes a link or a
/// mention, is a numeric reference. Such a reference cannot begin or end anything.
pub(super) fn escaped(text: &str) -> String {
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
