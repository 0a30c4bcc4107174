//! The gate for a terminal: the verdict first, then what regressed, and last what is fine.

mod groups;
mod words;

use groups::REASON;
pub(super) use groups::{CHANGED, Columns, Groups, LONE, UNSEEN};
pub(super) use words::{
    crashes, detectable, figure, interval_of, needed, overall, share, verdict, why,
};

use std::fmt::Write;

use crate::{
    output::{cut, figures_table, list_table, shorten},
    record::{Gate, GateCell, Side},
};

/// The longest name in a table, in characters.
const NAME: usize = 60;
/// Returns the results of the gate for a terminal, without colours. Cells that are not regressed are one line, or with
/// `all` a table.
pub fn gate_table(gate: &Gate, all: bool) -> String {
    let groups = Groups::of(gate);
    let mut text = format!("{}: {}\n", overall(gate.verdict), shorten(&gate.summary, 1000));
    let _ = writeln!(text, "base: {}\nhead: {}", side(&gate.base), side(&gate.head));
    for note in &gate.notes {
        let _ = writeln!(text, "note: {}", shorten(note, 600));
    }
    if gate.interrupted {
        text.push_str("it was interrupted: cells have the trials until then\n");
    }
    block(&mut text, "regressed", &rows(&CHANGED, &groups.regressed));
    block(&mut text, "improved", &rows(&CHANGED, &groups.improved));
    block(&mut text, "inconclusive", &rows(&UNSEEN, &groups.inconclusive));
    block(&mut text, "new: not gated", &rows(&LONE, &groups.new));
    block(&mut text, "removed: not gated", &rows(&LONE, &groups.removed));
    block(&mut text, "without a verdict", &without(&groups.without));
    if all {
        block(&mut text, "not regressed", &rows(&CHANGED, &groups.not_regressed));
    }
    text.push('\n');
    for line in groups.closing(gate, all) {
        let _ = writeln!(text, "{line}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// Describes a side. `about` says if changes are not committed.
pub(super) fn side(side: &Side) -> String {
    let commit = side.commit.as_deref().map(|commit| commit.chars().take(12).collect::<String>());
    let mut text = cut(&side.name, 100);
    for part in commit.iter().chain([&side.about]).filter(|part| !part.is_empty()) {
        let _ = write!(text, ", {}", cut(part, 200));
    }
    text
}

fn block(text: &mut String, title: &str, table: &str) {
    if !table.is_empty() {
        let _ = writeln!(text, "\n{title}\n{table}");
    }
}

/// Returns a name and its metric: the first two columns of every table.
fn named(cell: &GateCell) -> Vec<String> {
    vec![cut(&cell.cell, NAME), cell.metric.label().to_owned()]
}

fn rows(columns: &Columns, cells: &[&GateCell]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let rows = cells.iter().map(|cell| [named(cell), (columns.row)(cell)].concat());
    figures_table(columns.head, &rows.collect::<Vec<_>>())
}

fn without(cells: &[&GateCell]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let row = |cell: &&GateCell| [named(cell), vec![why(cell, REASON)]].concat();
    list_table(&["cell", "metric", "why"], &cells.iter().map(row).collect::<Vec<_>>())
}
