//! Finds changes over the scales: where the best model changes, and where models break.

use super::{AtScale, Broke, Crossing, Figure, Measure, Series, Standing};
use crate::record::{Cell, State};

/// Divides the scales into as few stretches as possible in which some model leads throughout: it is the best or tied.
/// Where a stretch ends, every model that led throughout is significantly behind or has no figure, and the next leaders
/// were so somewhere before. Tests thus support each crossing, and noise causes none among models that tie. Scales
/// without a ranking are skipped.
pub(super) fn crossings(scales: &[AtScale], by: Measure) -> Vec<Crossing> {
    let mut crossings: Vec<Crossing> = Vec::new();
    let mut before: Option<(Vec<Series>, usize)> = None;
    for at in scales {
        let figures = at.figures(by);
        let leading = |figure: &&Figure| matches!(figure.standing, Standing::Best | Standing::Tied);
        let leaders: Vec<Series> =
            figures.iter().filter(leading).map(|figure| figure.series.clone()).collect();
        if leaders.is_empty() {
            continue;
        }
        let Some((ahead, up_to)) = before.take() else {
            before = Some((leaders, at.scale));
            continue;
        };
        let still: Vec<Series> =
            ahead.iter().filter(|one| leaders.contains(one)).cloned().collect();
        if !still.is_empty() {
            if let Some(last) = crossings.last_mut() {
                last.then.clone_from(&still);
            }
            before = Some((still, at.scale));
            continue;
        }
        let behind = |figure: &Figure| figure.standing == Standing::Behind;
        let overtaken =
            figures.iter().any(|figure| behind(figure) && ahead.contains(&figure.series));
        before = Some((leaders.clone(), at.scale));
        crossings.push(Crossing { by, ahead, up_to, then: leaders, from: at.scale, overtaken });
    }
    crossings
}

/// Returns each series that lacks a figure somewhere, with an entry for each state in which its cells ended.
pub(super) fn broke(cells: &[&Cell]) -> Vec<Broke> {
    let mut all = Vec::new();
    for series in all_series(cells) {
        let mut of: Vec<&Cell> =
            cells.iter().copied().filter(|cell| Series::of(cell) == series).collect();
        of.sort_by_key(|cell| cell.scale);
        let went_to = of.iter().rev().find(|cell| cell.state == State::Ok).map(|cell| cell.scale);
        for state in [State::Invalid, State::Failed, State::Refused, State::Skipped] {
            let ended: Vec<&&Cell> = of.iter().filter(|cell| cell.state == state).collect();
            let Some(first) = ended.first() else { continue };
            all.push(Broke {
                series: series.clone(),
                state,
                scales: ended.iter().map(|cell| cell.scale).collect(),
                reason: first.reason.clone().unwrap_or_default(),
                went_to,
            });
        }
    }
    all
}

/// Returns each series once, in the order of the cells.
pub(super) fn all_series(cells: &[&Cell]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for cell in cells {
        let series = Series::of(cell);
        if !all.contains(&series) {
            all.push(series);
        }
    }
    all
}
