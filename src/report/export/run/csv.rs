//! A row for each cell, every column with its unit in its name.

use super::{super::csv::written, columns::Columns, figures::named};
use crate::record::{Cell, Record, State};
use paceline_core::perform::Placement;

/// Every cell. What a cell does not have is an empty field; so is a number that is not finite.
pub(super) fn csv(record: &Record) -> String {
    let blank = Cell::new("", "", 0, None, Placement::Inside, State::Ok);
    let head = std::iter::once(Columns::of("", &blank).names);
    let cells = named(record, usize::MAX).into_iter();
    written(head.chain(cells.map(|(name, cell)| Columns::of(&name, cell).fields)))
}
