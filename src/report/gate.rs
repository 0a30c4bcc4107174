//! The gate as a terminal shows it: the verdict first, then what regressed, and last what is fine.

mod groups;
mod words;

pub(super) use groups::Groups;
pub(super) use words::{
    crashes, detectable, figure, interval, label, needed, overall, share, verdict, why,
};

use std::fmt::Write;

use crate::{
    output::{cut, figures_table, list_table},
    record::{Gate, GateCell, Side},
};

/// The longest name in a table, in characters.
const NAME: usize = 60;
/// The longest reason, in characters.
const REASON: usize = 200;

/// What the gate found, for a terminal, without colours. Cells that are not regressed are one line, or with `all` a
/// table.
#[must_use]
pub fn gate_table(gate: &Gate, all: bool) -> String {
    let groups = Groups::of(gate);
    let mut text = format!("{}: {}\n", overall(gate.verdict), cut(&gate.summary, 1000));
    let _ = writeln!(text, "base: {}\nhead: {}", side(&gate.base), side(&gate.head));
    for note in &gate.notes {
        let _ = writeln!(text, "note: {}", cut(note, 600));
    }
    if gate.interrupted {
        text.push_str("it was interrupted: cells have the trials until then\n");
    }
    block(&mut text, "regressed", &changes(&groups.regressed));
    block(&mut text, "improved", &changes(&groups.improved));
    block(&mut text, "inconclusive", &unseen(&groups.inconclusive));
    block(&mut text, "new: not gated", &lone(&groups.new));
    block(&mut text, "removed: not gated", &lone(&groups.removed));
    block(&mut text, "without a verdict", &without(&groups.without));
    if all {
        block(&mut text, "not regressed", &changes(&groups.not_regressed));
    }
    text.push('\n');
    for line in groups.closing(gate, all) {
        let _ = writeln!(text, "{line}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// What a side is. That changes are not committed is among the words of `about`.
fn side(side: &Side) -> String {
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

/// A name and its metric: the first two columns of every table.
fn named(cell: &GateCell) -> Vec<String> {
    vec![cut(&cell.cell, NAME), label(cell.metric).to_owned()]
}

fn changes(cells: &[&GateCell]) -> String {
    const HEAD: [&str; 7] = ["cell", "metric", "base", "head", "change", "95 % interval", "trials"];
    rows(&HEAD, cells, |cell| {
        vec![
            figure(cell.metric, cell.base),
            figure(cell.metric, cell.head),
            cell.change.map_or_else(String::new, |change| share(change.share)),
            cell.change.map_or_else(String::new, |change| interval(&change)),
            cell.trials.to_string(),
        ]
    })
}

fn unseen(cells: &[&GateCell]) -> String {
    const HEAD: [&str; 7] =
        ["cell", "metric", "change", "95 % interval", "would be found", "trials", "trials needed"];
    rows(&HEAD, cells, |cell| {
        vec![
            cell.change.map_or_else(String::new, |change| share(change.share)),
            cell.change.map_or_else(String::new, |change| interval(&change)),
            detectable(cell),
            cell.trials.to_string(),
            needed(cell),
        ]
    })
}

fn lone(cells: &[&GateCell]) -> String {
    rows(&["cell", "metric", "figure", ""], cells, |cell| {
        vec![figure(cell.metric, cell.head.or(cell.base)), why(cell, REASON)]
    })
}

fn rows(head: &[&str], cells: &[&GateCell], of: impl Fn(&GateCell) -> Vec<String>) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let rows = cells.iter().map(|cell| [named(cell), of(cell)].concat()).collect::<Vec<_>>();
    figures_table(head, &rows)
}

fn without(cells: &[&GateCell]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let row = |cell: &&GateCell| [named(cell), vec![why(cell, REASON)]].concat();
    list_table(&["cell", "metric", "why"], &cells.iter().map(row).collect::<Vec<_>>())
}
