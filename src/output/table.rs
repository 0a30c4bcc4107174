//! Plain tables.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::figures::plain;

/// The width of a table where there is no terminal to ask.
const WIDTH: usize = 120;

/// A plain table with a head.
#[must_use]
pub fn list_table(head: &[&str], rows: &[Vec<String>]) -> String {
    list_table_within(usize::MAX, head, rows)
}

/// The same, no wider than `most` columns.
#[must_use]
pub fn list_table_within(most: usize, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width().min(most) as u16)
        .set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    trimmed(&table)
}

/// The names of columns that are written in one text: `model | scale | p99`.
pub(crate) fn columns(names: &str) -> Vec<&str> {
    names.split(" | ").collect()
}

/// A table of figures, which are never wrapped: names to the left, the rest to the right.
#[must_use]
pub(crate) fn figures_table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    // A name with a line feed in it would be two rows.
    let plain = rows.iter().map(|row| row.iter().map(|field| plain(field)));
    table.set_header(head.to_vec()).add_rows(plain);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    trimmed(&table)
}

/// How many columns a terminal has, or a table without one.
pub(crate) fn width() -> usize {
    let terminal = Table::new().width().map(usize::from);
    terminal.unwrap_or(WIDTH).clamp(60, 400)
}

/// The table without spaces at the ends of its lines.
pub(crate) fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
