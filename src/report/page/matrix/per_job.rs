//! The matrix of memory per job: a slope over all scales, so a row has a single field.

use super::{Chip, Field, Line, why};
use crate::{
    record::{Cell, State, bytes_per_job, bytes_per_job_at_most},
    report::page::{lines as models, overview::bytes},
};
use paceline_core::perform::Placement;

/// The most models of a class in a field; the section of the workload has all.
const NAMED: usize = 7;

/// The description of the figures.
pub(super) const NOTE: &str = "The resident memory that one more job adds to the model's process: the slope over all \
    scales. The least is first, each model has its own figure, and none is ranked: a slope has no interval. Models with \
    “under” come first: their largest scale adds less than 1 MiB more than the smallest, and how much less is not known. \
    Fields of such models alone are hatched.";

/// Returns the models of one workload in each placement class, the least memory first.
pub(super) fn field(lines: &[models::Line], apart: bool) -> Field {
    let classes = [("in", Placement::Inside), ("out", Placement::Outside)];
    let of = classes.map(|(word, class)| (word, MemoryOfClass::of(lines, class)));
    if of.iter().any(|(_, memory)| !memory.slopes.is_empty()) {
        let shown = of.iter().filter_map(|(word, memory)| {
            Some(Line { class: if apart { word } else { "" }, ..memory.line()? })
        });
        return Field { lines: shown.collect(), ..Field::default() };
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

/// The models of one placement class, with bytes per job.
struct MemoryOfClass<'l> {
    /// The most that a job of each can add, if its memory grew too little for a slope.
    under: Vec<(f64, &'l models::Line<'l>)>,
    /// The slopes of the others, the least first.
    slopes: Vec<(f64, &'l models::Line<'l>)>,
}

impl<'l> MemoryOfClass<'l> {
    fn of(lines: &'l [models::Line<'l>], class: Placement) -> Self {
        let known = |figure: fn(&[&Cell]) -> Option<f64>| {
            let of = lines.iter().filter_map(|line| {
                let cells = line.measured_cells().filter(|cell| cell.class() == class);
                Some((figure(&cells.collect::<Vec<_>>())?, line))
            });
            of.collect::<Vec<_>>()
        };
        let mut slopes = known(bytes_per_job);
        slopes.sort_by(|one, other| one.0.total_cmp(&other.0));
        MemoryOfClass { under: known(bytes_per_job_at_most), slopes }
    }

    /// Returns its line; `None` if nothing is known of its models. Those without a slope come first, as they use less,
    /// however little that may be: without them, the worst would seem to be the best.
    fn line(&self) -> Option<Line> {
        let chip = |(_, line): &(f64, &models::Line)| Chip::of(line);
        let (figure, chips, behind) = match (&self.under[..], &self.slopes[..]) {
            ([], []) => return None,
            ([], [least, behind @ ..]) => (bytes(least.0), vec![chip(least)], behind),
            (under, slopes) => {
                let most = under.iter().map(|(most, _)| *most).fold(f64::NAN, f64::max);
                let chips = under.iter().take(NAMED - 1).map(chip).collect();
                (format!("under {}", bytes(most)), chips, slopes)
            }
        };
        let shown = behind.iter().take(NAMED - chips.len());
        let shown: Vec<(String, Chip)> = shown.map(|slope| (bytes(slope.0), chip(slope))).collect();
        let more = self.under.len() + self.slopes.len() - chips.len() - shown.len();
        Some(Line { figure, chips, behind: shown, more, ..Line::default() })
    }
}
