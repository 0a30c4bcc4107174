//! The figures of one scale in their order, and how each stands to the best.

use super::{Figure, Measure, Series, Standing, Unranked, Without};
use crate::record::{Cell, Estimate, State};

impl Measure {
    fn of(self, cell: &Cell) -> Option<Estimate> {
        match self {
            Measure::Throughput => cell.jobs_per_second,
            Measure::P99 => cell.latency_ns_p99,
            Measure::Memory => cell.resources?.rss_bytes_max,
        }
    }

    /// How many times worse `one` is than `best`, by their medians: 1 where it is as good.
    #[must_use]
    pub fn times_worse(self, one: Estimate, best: Estimate) -> f64 {
        match self {
            Measure::Throughput => best.value / one.value,
            Measure::P99 | Measure::Memory => one.value / best.value,
        }
    }

    /// By what share of the best one's median `one` is behind it.
    pub(super) fn behind(self, one: Estimate, best: Estimate) -> f64 {
        let more = (one.value - best.value) / best.value;
        if self == Measure::Throughput { -more } else { more }
    }

    /// Whether the interval of `one` lies wholly behind that of `best`.
    pub(super) fn told_apart(self, one: Estimate, best: Estimate) -> bool {
        match self {
            Measure::Throughput => one.upper < best.lower,
            Measure::P99 | Measure::Memory => one.lower > best.upper,
        }
    }
}

/// Why nothing is ranked of these cells, which were all measured.
pub(super) fn unranked(measured: &[&Cell]) -> Option<Unranked> {
    if measured.is_empty() {
        Some(Unranked::NoFigure)
    } else if measured.iter().any(|cell| cell.waits_too_briefly()) {
        Some(Unranked::ShortWaits)
    } else if measured.iter().all(|cell| cell.is_of_one_process()) {
        Some(Unranked::OneProcess)
    } else if measured.iter().filter(|cell| !cell.is_of_one_process()).count() == 1 {
        Some(Unranked::Alone)
    } else {
        None
    }
}

/// The figures of these cells: the best first where they are `ranked`, in the order of the cells otherwise. Those of one
/// process stand last, unranked.
pub(super) fn figures(measured: &[&Cell], by: Measure, ranked: bool) -> Vec<Figure> {
    let figure = |cell: &&Cell| {
        let standing =
            if ranked && !cell.is_of_one_process() { Standing::Behind } else { Standing::Unranked };
        Some(Figure { series: Series::of(cell), estimate: by.of(cell)?, standing })
    };
    let mut figures: Vec<Figure> = measured.iter().filter_map(figure).collect();
    if !ranked {
        return figures;
    }
    figures.sort_by(|a, b| {
        let last = |figure: &Figure| figure.standing == Standing::Unranked;
        let (a_value, b_value) = (a.estimate.value, b.estimate.value);
        let better = match by {
            Measure::Throughput => b_value.total_cmp(&a_value),
            Measure::P99 | Measure::Memory => a_value.total_cmp(&b_value),
        };
        last(a).cmp(&last(b)).then(better)
    });
    let best = figures.first().filter(|first| first.standing != Standing::Unranked);
    let Some(best) = best.map(|best| best.estimate) else { return figures };
    for (place, figure) in figures.iter_mut().enumerate() {
        figure.standing = match figure.standing {
            Standing::Unranked => Standing::Unranked,
            _ if place == 0 => Standing::Best,
            _ if by.told_apart(figure.estimate, best) => Standing::Behind,
            _ => Standing::Tied,
        };
    }
    figures
}

/// Why this cell cannot be ranked among others, if so.
pub(super) fn without(cell: &Cell) -> Option<Without> {
    let reason = if cell.state != State::Ok {
        cell.reason.clone().unwrap_or_default()
    } else if cell.is_of_one_process() {
        "one process only, which has no interval".into()
    } else {
        return None;
    };
    Some(Without { series: Series::of(cell), state: cell.state, reason })
}
