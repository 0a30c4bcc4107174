//! A comment on a pull request: first the verdict, then regressed and inconclusive cells, and the rest folded.

use std::fmt::Write;

use super::{
    super::super::gate::{CHANGED, Columns, Groups, LONE, UNSEEN, overall},
    Page, code, escaped,
};
use crate::{
    output::{self, cut, shorten},
    record::{Gate, GateCell, Side},
};

/// The bytes reserved for headings, closing lines and tags.
const RESERVED: usize = 12_000;
/// The longest name in a table, in characters. Escaped, each may take 6 bytes.
const NAME: usize = 100;
pub(super) fn markdown(gate: &Gate) -> String {
    let groups = Groups::of(gate);
    let mut page = Page::new(RESERVED);
    let summary = escaped(&shorten(&gate.summary, 1000));
    page.always(&format!("### paceline gate: {}\n\n{summary}\n", overall(gate.verdict)));
    page.always(&format!("Base {}, head {}.", side(&gate.base), side(&gate.head)));
    for note in &gate.notes {
        page.line(&format!("\nNote: {}", escaped(&shorten(note, 600))));
    }
    if gate.interrupted {
        page.always("\nIt was interrupted: cells have the trials until then.");
    }
    table(&mut page, "Regressed", &CHANGED, &groups.regressed);
    table(&mut page, "Inconclusive", &UNSEEN, &groups.inconclusive);
    page.always("\n<details><summary>the rest</summary>");
    table(&mut page, "Without a verdict", &LONE, &groups.without);
    table(&mut page, "Improved", &CHANGED, &groups.improved);
    table(&mut page, "New: not gated", &LONE, &groups.new);
    table(&mut page, "Removed: not gated", &LONE, &groups.removed);
    table(&mut page, "Not regressed", &CHANGED, &groups.not_regressed);
    page.always("");
    for line in groups.closing(gate, true) {
        page.always(&format!("* {}", escaped(&line)));
    }
    page.always("\n</details>");
    page.text
}

fn table(page: &mut Page, title: &str, columns: &Columns, cells: &[&GateCell]) {
    if cells.is_empty() {
        return;
    }
    let count = cells.len();
    let (head, rule) = (columns.head.join(" | "), "|---".repeat(columns.head.len()));
    let number = output::count(count);
    page.always(&format!("\n**{title}: {number}**\n\n| {head} |\n{rule}|"));
    for (at, cell) in cells.iter().enumerate() {
        let named = [code(&cut(&cell.cell, NAME)), cell.metric.label().into()].into_iter();
        let columns = named.chain((columns.row)(cell).into_iter().map(|text| escaped(&text)));
        if !page.row(&columns.collect::<Vec<_>>()) {
            let left = output::count(count - at);
            page.always(&format!(
                "\n{left} of them left out for lack of room: the record has all."
            ));
            return;
        }
    }
}

fn side(side: &Side) -> String {
    let commit = side.commit.as_deref().map(|commit| commit.chars().take(12).collect::<String>());
    let mut text = code(&cut(&side.name, 100));
    if let Some(commit) = commit.filter(|commit| *commit != side.name) {
        let _ = write!(text, " at {}", code(&cut(&commit, 12)));
    }
    if side.uncommitted {
        text.push_str(" with changes that are not committed");
    }
    text
}
