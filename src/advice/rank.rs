//! Orders the figures of one scale, with the standing of each relative to the best.

use super::{APART, Figure, Measure, Series, Standing, Unranked, Without, choose::is_discontinued};
use crate::{
    record::{Cell, Estimate, RankedBy, State},
    stats::{Passes, best, most_loss},
};
use paceline_core::perform::Placement;

impl Measure {
    fn of(self, cell: &Cell) -> Option<Estimate> {
        match self {
            Measure::Throughput => cell.jobs_per_second,
            Measure::P99 => cell.own_latency("p99"),
            Measure::Memory => cell.resources?.rss_bytes_max,
        }
    }

    /// Returns logarithms of the figure in each pass, where higher is better; `None` if one lacks the figure.
    fn passes(self, cell: &Cell) -> Option<Passes> {
        let logs = cell.passes(match self {
            Measure::Throughput => RankedBy::Rate,
            Measure::P99 => RankedBy::P99,
            Measure::Memory => RankedBy::Memory,
        })?;
        let are_there = !logs.is_empty() && logs.iter().all(|(_, log)| log.is_finite());
        are_there.then_some(logs)
    }

    /// Returns how many times worse `one` is than `best`: 1 if they are equal.
    pub fn times_worse(self, one: Estimate, best: Estimate) -> f64 {
        match self {
            Measure::Throughput => best.value / one.value,
            Measure::P99 | Measure::Memory => one.value / best.value,
        }
    }

    /// Returns the share of the best figure by which `one` is behind it.
    pub(super) fn behind(self, one: Estimate, best: Estimate) -> f64 {
        let more = (one.value - best.value) / best.value;
        if self == Measure::Throughput { -more } else { more }
    }

    /// Returns the greatest share by which it is behind `best`, over the passes of both.
    fn behind_at_most(self, one: &[(u32, f64)], best: &[(u32, f64)]) -> Option<f64> {
        let of_best = most_loss(one, best)?;
        // If lower is better, the loss is a share of the model's own figure.
        Some(if self == Measure::Throughput { of_best } else { of_best / (1.0 - of_best) })
    }
}

/// Returns the placement class in which most of these cells can be ranked. Classes are not comparable, so it is one
/// class for all scales: else the best of one would seem to overtake the best of the other.
pub(super) fn class_of_most(cells: &[&Cell]) -> Placement {
    let of = |class: Placement| cells.iter().filter(|cell| can_be_ranked(cell, class)).count();
    if of(Placement::Inside) > of(Placement::Outside) {
        Placement::Inside
    } else {
        Placement::Outside
    }
}

fn can_be_ranked(cell: &Cell, class: Placement) -> bool {
    cell.state == State::Ok
        && cell.class() == class
        && !cell.has_too_few_trials()
        && !cell.is_server_bound()
}

/// Returns the ranked cells: those of `class` with at least three trials that the suite's server did not limit.
/// Otherwise, why none is ranked.
pub(super) fn ranked<'c>(
    measured: &[&'c Cell],
    class: Placement,
) -> Result<Vec<&'c Cell>, Unranked> {
    if measured.is_empty() {
        return Err(Unranked::NoFigure);
    }
    if measured.iter().any(|cell| cell.waits_too_briefly()) {
        return Err(Unranked::ShortWaits);
    }
    if measured.iter().any(|cell| cell.is_shared_host()) {
        return Err(Unranked::SharedHost);
    }
    let ranked: Vec<&'c Cell> =
        measured.iter().copied().filter(|cell| can_be_ranked(cell, class)).collect();
    match ranked.len() {
        0 if measured.iter().any(|cell| cell.is_server_bound()) => Err(Unranked::ServerBound),
        0 if measured.iter().any(|cell| can_be_ranked(cell, cell.class())) => {
            Err(Unranked::OtherPlacement)
        }
        0 => Err(Unranked::TooFewTrials),
        1 => Err(Unranked::Alone),
        _ if lacks(&ranked, Measure::Throughput) && lacks(&ranked, Measure::P99) => {
            Err(Unranked::GivenRate)
        }
        _ => Ok(ranked),
    }
}

/// Returns whether a server under load lacks the figure of its own, so that none is ranked by it.
fn lacks(ranked: &[&Cell], by: Measure) -> bool {
    ranked.iter().any(|cell| cell.load.is_some() && by.passes(cell).is_none())
}

/// Returns the figures of these cells: the `ranked` ones with the best first, then the others in the order of the
/// cells. If one of `ranked` lacks the figure, none is ranked by it.
pub(super) fn figures(measured: &[&Cell], by: Measure, ranked: &[&Cell]) -> Vec<Figure> {
    let passes: Option<Vec<Passes>> = ranked.iter().map(|cell| by.passes(cell)).collect();
    let passes = passes.unwrap_or_default();
    let found = best(&passes);
    let value = |place: &usize| by.of(ranked[*place]).map_or(f64::NAN, |of| of.value);
    let standard = (0..passes.len())
        .filter(|place| !is_discontinued(&ranked[*place].model))
        .min_by(|a, b| match by {
            Measure::Throughput => value(b).total_cmp(&value(a)),
            Measure::P99 | Measure::Memory => value(a).total_cmp(&value(b)),
        });
    let figure = |cell: &&Cell| {
        let place = ranked.iter().position(|other| std::ptr::eq(*other, *cell));
        let (standing, at_most) = match (&found, place) {
            (Some(found), Some(place)) => (
                match place {
                    _ if place == found.best => Standing::Best,
                    _ if found.behind[place] => Standing::Behind,
                    _ => Standing::Tied,
                },
                standard.and_then(|best| by.behind_at_most(&passes[place], &passes[best])),
            ),
            _ => (Standing::Unranked, None),
        };
        Some(Figure { series: Series::of(cell), estimate: by.of(cell)?, standing, at_most })
    };
    let mut figures: Vec<Figure> = measured.iter().filter_map(figure).collect();
    figures.sort_by(|a, b| {
        let order = |standing: Standing| match standing {
            Standing::Best => 0,
            Standing::Tied | Standing::Behind => 1,
            Standing::Unranked => 2,
        };
        let (a_value, b_value) = (a.estimate.value, b.estimate.value);
        let better = match by {
            _ if a.standing == Standing::Unranked => std::cmp::Ordering::Equal,
            Measure::Throughput => b_value.total_cmp(&a_value),
            Measure::P99 | Measure::Memory => a_value.total_cmp(&b_value),
        };
        order(a.standing).cmp(&order(b.standing)).then(better)
    });
    figures
}

/// Returns why this cell is not ranked among those of `class`, if it is not.
pub(super) fn without(cell: &Cell, class: Option<Placement>) -> Option<Without> {
    let reason = if cell.state != State::Ok {
        cell.reason.clone().unwrap_or_default()
    } else if cell.has_too_few_trials() {
        "too few trials".into()
    } else if cell.is_server_bound() {
        "server-bound: a thread of paceline's echo server was busy for over 90 % of the time".into()
    } else {
        let others = class.filter(|class| cell.class() != *class)?;
        let from = match cell.placement {
            Placement::Dealt => "outside (dealt to the cores)".to_owned(),
            placement => placement.to_string(),
        };
        format!("{APART} {from}, and the others {others}")
    };
    Some(Without { series: Series::of(cell), state: cell.state, reason })
}
