//! The matrix of memory per job: a slope over all scales, so a row has a single field.

use super::{Chip, Field, Line, why};
use crate::{
    record::{Cell, State, bytes_per_job},
    report::page::{lines as models, overview::bytes},
};
use paceline_core::perform::Placement;

/// The most models of a class in a field; the section of the workload has all.
const NAMED: usize = 7;

/// The description of the figures.
pub(super) const NOTE: &str = "The resident memory that one more job adds to the model's process: the slope over all \
    scales. The least is first, each model has its own figure, and none is ranked: a slope has no interval. Models are left \
    out, and fields hatched, where the largest scale adds under 1 MiB more than the smallest: too little to tell.";

/// Returns the models of one workload in each placement class, the least memory first.
pub(super) fn field(lines: &[models::Line], apart: bool) -> Field {
    let classes = [("in", Placement::Inside), ("out", Placement::Outside)];
    let of = classes.into_iter().filter_map(|(word, class)| {
        let line = of_class(lines, class)?;
        Some(Line { class: if apart { word } else { "" }, ..line })
    });
    let shown: Vec<Line> = of.collect();
    if !shown.is_empty() {
        return Field { lines: shown, ..Field::default() };
    }
    let cells = || lines.iter().flat_map(|line| line.cells.iter().copied());
    if cells().next().is_none() {
        return Field::default();
    }
    let several =
        |line: &models::Line| line.measured_cells().filter(|cell| is_known(cell)).count() > 1;
    let too_little =
        if lines.iter().any(several) { "too little to tell" } else { "one scale only" };
    let measured = cells().any(|cell| cell.state == State::Ok);
    let why = if measured { too_little.to_owned() } else { why(cells(), |_| too_little) };
    Field { class: "none", why, ..Field::default() }
}

/// Returns whether the memory that the cell's jobs add was measured.
pub(super) fn is_known(cell: &Cell) -> bool {
    cell.resources.is_some_and(|used| used.rss_bytes_added.is_some())
}

fn of_class(lines: &[models::Line], class: Placement) -> Option<Line> {
    let figure = |line| -> Option<(f64, &models::Line)> {
        let line: &models::Line = line;
        let of = line.measured_cells().filter(|cell| cell.class() == class);
        Some((bytes_per_job(&of.collect::<Vec<_>>())?, line))
    };
    let mut all: Vec<(f64, &models::Line)> = lines.iter().filter_map(figure).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (least, behind) = all.split_first()?;
    let shown = behind.iter().take(NAMED - 1);
    Some(Line {
        figure: bytes(least.0),
        chips: vec![Chip::of(least.1)],
        behind: shown.map(|(value, line)| (bytes(*value), Chip::of(line))).collect(),
        more: behind.len().saturating_sub(NAMED - 1),
        ..Line::default()
    })
}
