//! The lines of a workload's charts: one for each model and worker count.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::name;
use crate::{
    output::listed,
    record::{Cell, State, are_loads},
    report::table::{in_order, series_name},
};
use paceline_core::models::{self, MODELS};

/// A model with one worker count, over the scales.
pub(super) struct Line<'a> {
    /// Its name, with the workers only if the model has several worker counts here.
    pub(super) name: String,
    pub(super) model: &'a str,
    /// The language of its model.
    pub(super) language: &'static str,
    pub(super) workers: Option<usize>,
    /// Selects its colour, dashes and marker: those of its model, in every chart.
    pub(super) style: usize,
    /// Its cells, ordered by scale.
    pub(super) cells: Vec<&'a Cell>,
}

impl<'a> Line<'a> {
    /// Returns its cells with figures.
    pub(super) fn measured_cells(&self) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().copied().filter(|cell| cell.state == State::Ok)
    }

    pub(super) fn at(&self, scale: usize) -> Option<&'a Cell> {
        self.cells.iter().copied().find(|cell| cell.scale == scale)
    }
}

/// Returns the lines of `cells` in the order of the registry of models, followed by unknown models.
pub(super) fn lines<'a>(cells: &[&'a Cell]) -> Vec<Line<'a>> {
    let mut by_series: BTreeMap<(usize, &str, Option<usize>), Vec<&'a Cell>> = BTreeMap::new();
    let mut others: Vec<&str> = Vec::new();
    for cell in cells {
        let style = style(&cell.model, &mut others);
        by_series.entry((style, &cell.model, cell.workers)).or_default().push(cell);
    }
    let several =
        |model: &str| by_series.keys().filter(|(_, other, _)| *other == model).count() > 1;
    let line =
        |((style, model, workers), cells): (&(usize, &'a str, Option<usize>), &Vec<&'a Cell>)| {
            let mut cells = cells.clone();
            cells.sort_by_key(|cell| cell.scale);
            let shown = if several(model) { *workers } else { None };
            Line {
                language: language(model),
                name: name(&series_name(model, shown)),
                model,
                workers: *workers,
                style: *style,
                cells,
            }
        };
    by_series.iter().map(line).collect()
}

/// Returns what these cells count per second, and what their scale is.
pub(super) fn words<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> (&'static str, &'static str) {
    if are_loads(&cells.into_iter().collect::<Vec<_>>()) {
        ("requests per second", "connections")
    } else {
        ("jobs per second", "jobs at once")
    }
}

/// Returns the language of a model. A model that this build does not know counts as Rust.
fn language(model: &str) -> &'static str {
    let foreign = models::find(model).ok().and_then(|entry| entry.info.foreign);
    foreign.map_or(OWN, |foreign| foreign.language)
}

/// The language of the models in process.
pub(super) const OWN: &str = "Rust";

/// Returns a model's index in the registry, so that its colour is the same in every chart and report.
pub(super) fn style<'a>(model: &'a str, others: &mut Vec<&'a str>) -> usize {
    let known = MODELS.iter().position(|entry| entry.info.name == model);
    known.unwrap_or_else(|| {
        let place = others.iter().position(|other| *other == model).unwrap_or_else(|| {
            others.push(model);
            others.len() - 1
        });
        MODELS.len() + place
    })
}

/// Returns the line with the most workers of each model, which charts over scales show.
pub(super) fn widest<'l, 'a>(lines: &'l [Line<'a>]) -> Vec<&'l Line<'a>> {
    let most = |line: &&Line| {
        lines.iter().filter(|other| other.model == line.model).all(|o| o.workers <= line.workers)
    };
    lines.iter().filter(most).collect()
}

/// Returns the greatest worker count of these lines.
pub(super) fn most_workers(lines: &[Line]) -> usize {
    lines.iter().filter_map(|line| line.workers).max().unwrap_or(1)
}

/// Returns the lines of each model that has several worker counts, the fewest first.
pub(super) fn by_workers<'l, 'a>(lines: &'l [Line<'a>]) -> Vec<(&'a str, Vec<&'l Line<'a>>)> {
    let mut models: Vec<&str> = lines.iter().map(|line| line.model).collect();
    models.dedup();
    let of = |model| lines.iter().filter(move |line| line.model == model && line.workers.is_some());
    let all = models.into_iter().map(|model| (model, of(model).collect::<Vec<_>>()));
    all.filter(|(_, of)| of.len() > 1).collect()
}

/// Returns the one scale at which all of `series` are compared: figures at different scales are not comparable.
///
/// It is at least the greatest worker count of `lines`, so that every worker can have a job. Of these scales, it is the
/// greatest at which the most series have a figure, by `has`. `None` if several series share no scale.
pub(super) fn common_scale<T>(
    lines: &[Line],
    series: &[T],
    has: impl Fn(&T, usize) -> bool,
) -> Option<usize> {
    let scales: BTreeSet<usize> =
        lines.iter().flat_map(|line| &line.cells).map(|cell| cell.scale).collect();
    let sharing = |scale: usize| series.iter().filter(|one| has(one, scale)).count();
    let (shared, scale) = scales
        .range(most_workers(lines)..)
        .map(|scale| (sharing(*scale), *scale))
        .max()
        .filter(|(shared, _)| *shared > 0)?;
    (shared >= series.len().min(2)).then_some(scale)
}

/// Returns a sentence that names the series without a figure at the scale of a comparison, if there are any.
pub(super) fn left_out(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(" Left out, for they lack figures at this scale: {}.", listed(names, 12))
}

/// Returns every scale, ascending.
pub(super) fn scales(cells: &[&Cell]) -> Vec<usize> {
    let mut all = in_order(cells.iter().map(|cell| cell.scale));
    all.sort_unstable();
    all
}
