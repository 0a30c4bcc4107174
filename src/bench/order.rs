//! The order in which `cargo bench` measures cells, and the cells left out for lack of time: pure functions.
//!
//! Coarse to fine: first the smallest scale of every series, then the largest that fits, then the scales between.
//! Within each of these stages the order is shuffled, so that it depends neither on the model nor on its speed.
//!
//! The value of a cell is the square root of its scale, and twice that at the end of a deep series: its largest scale
//! that takes at most a twelfth of the budget. Depth thus comes before breadth, but no large cell takes the time of many
//! small ones. If not all fit into the budget, the smallest scale of every series comes first, then the cells with the
//! most value for their time; so the slowest are left out first.
//!
//! A model with several worker counts also needs one scale that keeps all workers busy, at which its series are compared.
//! It is among the first of both, and takes the place of the smallest in the series with fewer workers.

use std::{collections::HashMap, time::Duration};

use crate::plan::Planned;
use paceline_core::job::Demand;

/// How much more the end of a series is worth than another cell of its scale. Without it, machines slower than the one of
/// the reference run have no time for 10 000 connections; with more, they have time for nothing else.
const END: f64 = 2.0;
/// The part of the budget that the end of a series may take.
pub(super) const END_SHARE: u32 = 12;

/// The time for cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The whole budget.
    pub(super) budget: Duration,
    /// What is left of it for cells that have not begun.
    pub(super) left: Duration,
}

/// A cell that has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Its index in the plan.
    pub(super) index: usize,
    /// Its series: one workload on one model with one worker count.
    pub(super) series: usize,
    /// Whether its series is deep.
    pub(super) deep: bool,
    /// Whether worker counts are compared at its scale.
    pub(super) compares: bool,
    /// The number of jobs in a batch.
    pub(super) scale: usize,
    /// Its index in the shuffled order.
    pub(super) rank: usize,
    /// The time to measure it, as far as known.
    pub(super) need: Duration,
}

/// Returns the cell of `waiting` to measure next, with this room. `greatest` is the greatest scale of each series that
/// has been measured. `None` if nothing fits any more.
///
/// As predictions improve, a greater scale of a series may fit: it then comes before those between.
pub(super) fn next(waiting: &[Waiting], greatest: &[Option<usize>], room: Room) -> Option<Waiting> {
    let fit = fitting(waiting, greatest, room);
    let mut ends: Vec<Option<usize>> = vec![None; greatest.len()];
    for cell in &fit {
        ends[cell.series] = ends[cell.series].max(Some(cell.scale));
    }
    let comes_first = comes_first(&fit, greatest);
    let is_first = |cell: &&Waiting| comes_first(cell);
    let is_largest = |cell: &&Waiting| {
        greatest[cell.series] < Some(cell.scale) && ends[cell.series] == Some(cell.scale)
    };
    let first = |stage: &dyn Fn(&&Waiting) -> bool| {
        fit.iter().filter(stage).min_by_key(|cell| cell.rank).copied()
    };
    first(&is_first).or_else(|| first(&is_largest)).or_else(|| first(&|_| true))
}

/// Returns whether `cell` still fits now that it needs `need`, which was unknown before.
pub(super) fn fits(
    waiting: &[Waiting],
    greatest: &[Option<usize>],
    cell: Waiting,
    need: Duration,
    room: Room,
) -> bool {
    let mut waiting = waiting.to_vec();
    if let Some(own) = waiting.iter_mut().find(|other| other.index == cell.index) {
        own.need = need;
    }
    fitting(&waiting, greatest, room).iter().any(|fit| fit.index == cell.index)
}

/// Returns the cells that fit into what is left one after another, those with the most value for their time.
fn fitting(waiting: &[Waiting], greatest: &[Option<usize>], room: Room) -> Vec<Waiting> {
    let mut end = greatest.to_vec();
    for cell in waiting.iter().filter(|cell| cell.need <= room.budget / END_SHARE) {
        end[cell.series] = end[cell.series].max(Some(cell.scale));
    }
    let comes_first = comes_first(waiting, greatest);
    let price = |cell: &Waiting| {
        let is_end = cell.deep && end[cell.series] == Some(cell.scale);
        let times = if is_end { END } else { 1.0 };
        (!comes_first(cell), cell.need.as_secs_f64() / (times * (cell.scale as f64).sqrt()))
    };
    let mut cells = waiting.to_vec();
    cells.sort_by(|a, b| {
        let ((a_waits, a_price), (b_waits, b_price)) = (price(a), price(b));
        a_waits.cmp(&b_waits).then(a_price.total_cmp(&b_price)).then(a.index.cmp(&b.index))
    });
    let mut sum = Duration::ZERO;
    cells.retain(|cell| {
        let with_it = sum.saturating_add(cell.need);
        let fit = with_it <= room.left;
        sum = if fit { with_it } else { sum };
        fit
    });
    cells
}

/// Returns whether a cell comes before all others: those at which worker counts are compared, and the smallest of each
/// series of which none has been measured. A series with fewer workers than the model has elsewhere has the former alone.
fn comes_first(waiting: &[Waiting], greatest: &[Option<usize>]) -> impl Fn(&Waiting) -> bool {
    let mut first: Vec<Option<(bool, usize)>> = vec![None; greatest.len()];
    for cell in waiting.iter().filter(|cell| greatest[cell.series].is_none()) {
        let of_cell = (cell.deep || !cell.compares, cell.scale);
        let of_series = &mut first[cell.series];
        *of_series = Some(of_series.map_or(of_cell, |first| first.min(of_cell)));
    }
    move |cell| {
        let is_smallest = first[cell.series].is_some_and(|(_, scale)| scale == cell.scale);
        is_smallest || cell.compares
    }
}

/// The position of a cell: its index in the plan, its workload and its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CellPosition {
    pub(super) index: usize,
    pub(super) workload: usize,
    pub(super) series: usize,
    /// Whether its series is deep: it has the most workers of its model, because tables show no others, and more jobs are
    /// more than a longer queue.
    pub(super) deep: bool,
    /// Whether its model has several worker counts, and its scale is the smallest with a job for each worker of the most.
    pub(super) compares: bool,
}

/// Returns the positions of `chosen`, in which cells of one workload and of one series are adjacent.
pub(super) fn positions(chosen: &[Planned<'_>]) -> Vec<CellPosition> {
    let of = |cell: &Planned<'_>| (cell.workload.name.clone(), cell.entry.info.name);
    let mut ends = HashMap::new();
    for cell in chosen {
        let (fewest, most) = ends.entry(of(cell)).or_insert((cell.workers, cell.workers));
        (*fewest, *most) = ((*fewest).min(cell.workers), (*most).max(cell.workers));
    }
    let busy = |cell: &Planned<'_>| Some(cell.scale) >= ends[&of(cell)].1;
    let mut shared_scale = HashMap::new();
    for cell in chosen.iter().filter(|cell| busy(cell)) {
        let scale = shared_scale.entry(of(cell)).or_insert(cell.scale);
        *scale = (*scale).min(cell.scale);
    }
    let mut positions: Vec<CellPosition> = vec![];
    for (index, cell) in chosen.iter().enumerate() {
        let (fewest, most) = ends[&of(cell)];
        let deep = most == cell.workers && !queues(cell);
        let compares = fewest < most && shared_scale.get(&of(cell)) == Some(&cell.scale);
        let position = match positions.last() {
            None => CellPosition { index, workload: 0, series: 0, deep, compares },
            Some(last) => {
                let before = &chosen[last.index];
                let same_workload = before.workload.name == cell.workload.name;
                let same_series = same_workload && before.series() == cell.series();
                CellPosition {
                    index,
                    workload: last.workload + usize::from(!same_workload),
                    series: last.series + usize::from(!same_series),
                    deep,
                    compares,
                }
            }
        };
        positions.push(position);
    }
    positions
}

/// Returns whether more jobs are only a longer queue: those of an interpreter, which few keep busy, and those that hold
/// workers while they wait.
fn queues(cell: &Planned<'_>) -> bool {
    let Demand { floor, round_trips, hops, .. } = cell.workload.demand();
    let waits = !floor.is_zero() || round_trips > 0 || hops > 0;
    let info = &cell.entry.info;
    info.foreign.is_some() || (waits && cell.workers.is_some() && info.holds_worker())
}

#[cfg(test)]
mod tests;
