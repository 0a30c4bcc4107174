//! The cells of a workload as the lines of its charts: one for each model and number of workers.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::{listed, name};
use crate::{
    record::{Cell, State},
    report::table::{in_order, series_name},
};
use paceline_core::models::{self, MODELS};

/// One model with so many workers, over the scales.
pub(super) struct Line<'a> {
    /// What it is called: with its workers only where a model has several numbers of them here.
    pub(super) name: String,
    pub(super) model: &'a str,
    /// What its model is written in.
    pub(super) language: &'static str,
    pub(super) workers: Option<usize>,
    /// Which colour, dash and marker it has: those of its model, in every chart.
    pub(super) style: usize,
    /// Its cells, by scale.
    pub(super) cells: Vec<&'a Cell>,
}

impl<'a> Line<'a> {
    /// Its cells that have figures.
    pub(super) fn measured(&self) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().copied().filter(|cell| cell.state == State::Ok)
    }

    pub(super) fn at(&self, scale: usize) -> Option<&'a Cell> {
        self.cells.iter().copied().find(|cell| cell.scale == scale)
    }
}

/// The lines of `cells`, in the order of the registry of models; others behind, as they come.
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

/// What a model is written in. One that this build does not know is taken for one in Rust.
fn language(model: &str) -> &'static str {
    let foreign = models::find(model).ok().and_then(|entry| entry.info.foreign);
    foreign.map_or(OWN, |foreign| foreign.language)
}

/// The language of the models in process.
pub(super) const OWN: &str = "Rust";

/// The place of a model in the registry: its colour stays the same in every chart and report.
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

/// Of each model the line with the most workers: what charts over scales show.
pub(super) fn widest<'l, 'a>(lines: &'l [Line<'a>]) -> Vec<&'l Line<'a>> {
    let most = |line: &&Line| {
        lines.iter().filter(|other| other.model == line.model).all(|o| o.workers <= line.workers)
    };
    lines.iter().filter(most).collect()
}

/// The greatest number of workers of these lines.
pub(super) fn most_workers(lines: &[Line]) -> usize {
    lines.iter().filter_map(|line| line.workers).max().unwrap_or(1)
}

/// The lines of each model that has several numbers of workers, the fewest first.
pub(super) fn by_workers<'l, 'a>(lines: &'l [Line<'a>]) -> Vec<(&'a str, Vec<&'l Line<'a>>)> {
    let mut models: Vec<&str> = lines.iter().map(|line| line.model).collect();
    models.dedup();
    let of = |model| lines.iter().filter(move |line| line.model == model && line.workers.is_some());
    let all = models.into_iter().map(|model| (model, of(model).collect::<Vec<_>>()));
    all.filter(|(_, of)| of.len() > 1).collect()
}

/// The one scale at which all of `series` are compared: series at different scales are no comparison.
///
/// It is at least the greatest number of workers of `lines`, so that every worker can have a job. Of such scales it is
/// one at which the most series have figures, as `has` says, and of these the greatest. `None` where several series
/// share none.
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

/// A sentence that names the series without a figure at the scale of a comparison, if any.
pub(super) fn left_out(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(" Left out, for they lack figures at this scale: {}.", listed(names, 12))
}

/// Every scale, ascending.
pub(super) fn scales(cells: &[&Cell]) -> Vec<usize> {
    let mut all = in_order(cells.iter().map(|cell| cell.scale));
    all.sort_unstable();
    all
}
