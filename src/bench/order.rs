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
    let first_scales = first_scales(&fit, greatest);
    let is_first = |cell: &&Waiting| first_scales[cell.series] == Some(cell.scale) || cell.compares;
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
    let first_scales = first_scales(waiting, greatest);
    let price = |cell: &Waiting| {
        let first = first_scales[cell.series] == Some(cell.scale) || cell.compares;
        let is_end = cell.deep && end[cell.series] == Some(cell.scale);
        let times = if is_end { END } else { 1.0 };
        (!first, cell.need.as_secs_f64() / (times * (cell.scale as f64).sqrt()))
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

/// Returns the first scale of each series of which none has been measured: the smallest, or with fewer workers than the
/// model has elsewhere, the one at which they are compared.
fn first_scales(waiting: &[Waiting], greatest: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut first: Vec<Option<(bool, usize)>> = vec![None; greatest.len()];
    for cell in waiting.iter().filter(|cell| greatest[cell.series].is_none()) {
        let of_cell = (cell.deep || !cell.compares, cell.scale);
        let of_series = &mut first[cell.series];
        *of_series = Some(of_series.map_or(of_cell, |first| first.min(of_cell)));
    }
    first.into_iter().map(|first| first.map(|(_, scale)| scale)).collect()
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
    let mut busiest = HashMap::new();
    for cell in chosen.iter().filter(|cell| busy(cell)) {
        let scale = busiest.entry(of(cell)).or_insert(cell.scale);
        *scale = (*scale).min(cell.scale);
    }
    let mut positions: Vec<CellPosition> = vec![];
    for (index, cell) in chosen.iter().enumerate() {
        let (fewest, most) = ends[&of(cell)];
        let deep = most == cell.workers && !queues(cell);
        let compares = fewest < most && busiest.get(&of(cell)) == Some(&cell.scale);
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
mod tests {
    use super::*;
    use crate::{plan, run::shuffled};
    use paceline_core::{models, workloads};

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns cells of series that have `scales` each; a cell needs its series' factor times its scale.
    fn cells(factors: &[u32], scales: &[usize]) -> Vec<Waiting> {
        let mut cells = vec![];
        for (series, factor) in factors.iter().enumerate() {
            for scale in scales {
                let need = Duration::from_millis(u64::from(*factor) * *scale as u64);
                let index = cells.len();
                cells.push(Waiting {
                    index,
                    series,
                    deep: true,
                    compares: false,
                    scale: *scale,
                    rank: index,
                    need,
                });
            }
        }
        cells
    }

    /// Room in which no cell takes too large a part of the budget.
    fn room(left: Duration) -> Room {
        Room { budget: 1000 * SECOND, left }
    }

    /// Series and scales.
    type Cells = Vec<(usize, usize)>;

    /// Returns the cells measured and the cells left out, if every prediction is exact.
    fn run(mut waiting: Vec<Waiting>, mut left: Duration) -> (Cells, Cells) {
        let mut greatest = vec![None; 10];
        let mut measured = vec![];
        while let Some(cell) = next(&waiting, &greatest, room(left)) {
            waiting.retain(|other| *other != cell);
            greatest[cell.series] = greatest[cell.series].max(Some(cell.scale));
            left -= cell.need;
            measured.push((cell.series, cell.scale));
        }
        (measured, waiting.iter().map(|cell| (cell.series, cell.scale)).collect())
    }

    #[test]
    fn the_smallest_scales_come_first_then_the_largest_then_those_between() {
        let (measured, left_out) = run(cells(&[2, 1], &[1, 10, 100, 1000]), 100 * SECOND);
        let order = [(0, 1), (1, 1), (0, 1000), (1, 1000), (0, 10), (0, 100), (1, 10), (1, 100)];
        assert_eq!(measured, order);
        assert_eq!(left_out, []);
    }

    #[test]
    fn no_series_and_no_speed_owns_the_order_within_a_stage() {
        let mut firsts = [0_usize; 3];
        for seed in 0..300 {
            let mut waiting = cells(&[1, 10, 100], &[1, 10, 100]);
            let ranks = shuffled(waiting.len(), seed);
            waiting.iter_mut().zip(ranks).for_each(|(cell, rank)| cell.rank = rank);
            let (measured, _) = run(waiting, 100 * SECOND);
            // Stages stay separate: 3 smallest, 3 largest, 3 between.
            let stages: Vec<usize> = measured.iter().map(|(_, scale)| *scale).collect();
            assert_eq!(stages, [1, 1, 1, 100, 100, 100, 10, 10, 10]);
            for stage in measured.chunks(3) {
                firsts[stage[0].0] += 1;
            }
        }
        // 900 stages: 300 each within five standard deviations.
        assert!(firsts.iter().all(|first| (230..370).contains(first)), "{firsts:?}");
    }

    #[test]
    fn the_slowest_are_left_out_first_and_the_largest_that_fits_takes_their_place() {
        // All of series 1 and all but the largest of series 0 take 2.222 s.
        let (measured, left_out) = run(cells(&[10, 1], &[1, 10, 100, 1000]), 3 * SECOND);
        assert_eq!(left_out, [(0, 1000)]);
        assert_eq!(measured[..4], [(0, 1), (1, 1), (0, 100), (1, 1000)]);
        assert_eq!(measured.len(), 7);
    }

    #[test]
    fn a_deep_cell_goes_before_a_slow_one_of_the_same_need() {
        let cell = |index: usize, scale: usize| Waiting {
            index,
            series: index,
            deep: true,
            compares: false,
            scale,
            rank: index,
            need: 10 * SECOND,
        };
        let waiting = [cell(0, 100), cell(1, 1_000_000)];
        assert_eq!(next(&waiting, &[Some(1); 2], room(15 * SECOND)).unwrap().scale, 1_000_000);
        // But every series has its smallest scale first.
        assert_eq!(next(&waiting, &[None, Some(1)], room(15 * SECOND)).unwrap().scale, 100);
    }

    #[test]
    fn ten_thousand_connections_go_before_a_hundred_and_after_a_thousand() {
        // What `echo` took per cell on a slow machine with 2 CPUs, in milliseconds.
        let needs = [(1, 900), (10, 1000), (100, 1700), (1000, 3500), (10_000, 21_000)];
        let mut waiting = vec![];
        for series in 0..4 {
            for (scale, need) in needs {
                let index = waiting.len();
                let need = Duration::from_millis(need);
                waiting.push(Waiting {
                    index,
                    series,
                    deep: true,
                    compares: false,
                    scale,
                    rank: index,
                    need,
                });
            }
        }
        let (measured, _) = run(waiting, 4 * Duration::from_millis(900 + 3500 + 21_000));
        let deep = |of: usize| measured.iter().filter(|(_, scale)| *scale == of).count();
        assert_eq!([1, 10, 100, 1000, 10_000].map(deep), [4, 0, 0, 4, 4]);
    }

    #[test]
    fn a_scale_that_takes_a_large_part_of_the_budget_is_no_end() {
        // The scale of 1 000 has 31.6 for its 2 s, the scale of 100 has 10 for 0.5 s, or 20 if it is the end.
        let cell = |index: usize, scale: usize, millis: u64| Waiting {
            index,
            series: 0,
            deep: true,
            compares: false,
            scale,
            rank: index,
            need: Duration::from_millis(millis),
        };
        let waiting = [cell(0, 100, 500), cell(1, 1000, 2000)];
        let fit = |budget| {
            let room = Room { budget, left: 2 * SECOND };
            fitting(&waiting, &[Some(1)], room).iter().map(|cell| cell.scale).collect::<Vec<_>>()
        };
        assert_eq!(fit(24 * SECOND), [1000]);
        assert_eq!(fit(23 * SECOND), [100]);
        let fewer = waiting.map(|cell| Waiting { deep: false, ..cell });
        let room = Room { budget: 24 * SECOND, left: 2 * SECOND };
        assert_eq!(fitting(&fewer, &[Some(1)], room)[0].scale, 100, "it is not deep");
    }

    #[test]
    fn worker_counts_are_compared_at_a_scale_that_keeps_all_busy() {
        // Series 0 has one worker, series 1 all: only the latter has a use for a single job.
        let cells = cells(&[1, 1], &[1, 10, 100]).into_iter().map(|cell| Waiting {
            deep: cell.series == 1,
            compares: cell.scale == 10,
            ..cell
        });
        let (measured, left_out) = run(cells.collect(), 21 * Duration::from_millis(1));
        assert_eq!(measured, [(0, 10), (1, 1), (1, 10)]);
        assert_eq!(left_out, [(0, 1), (0, 100), (1, 100)]);
    }

    #[test]
    fn a_large_cell_does_not_take_the_time_of_many_small_ones() {
        let mut waiting = cells(&[1; 9], &[1, 10, 100]);
        let index = waiting.len();
        let need = 3 * SECOND;
        waiting.push(Waiting {
            index,
            series: 0,
            deep: true,
            compares: false,
            scale: 1000,
            rank: index,
            need,
        });
        let (measured, left_out) = run(waiting.clone(), 3 * SECOND);
        assert_eq!((measured.len(), left_out), (index, vec![(0, 1000)]));
        assert_eq!(run(waiting, 4 * SECOND).1, []);
    }

    #[test]
    fn a_cell_that_turns_out_slower_fits_only_beside_all_that_are_quicker() {
        let waiting = cells(&[1, 1], &[100, 200]);
        let ms = Duration::from_millis;
        let fits = |need, left| fits(&waiting, &[Some(1); 2], waiting[0], need, room(left));
        assert!(fits(ms(100), ms(100)));
        assert!(!fits(ms(100), ms(99)));
        // With 300 ms it comes behind the three others: 500 ms.
        assert!(fits(ms(300), ms(800)));
        assert!(!fits(ms(300), ms(799)));
    }

    #[test]
    fn a_greater_scale_that_comes_to_fit_comes_before_those_between() {
        let mut waiting = cells(&[10], &[10, 100, 1000]);
        waiting.remove(1);
        assert_eq!(next(&waiting, &[Some(100)], room(SECOND)).unwrap().scale, 10);
        waiting[1].need = SECOND / 2;
        assert_eq!(next(&waiting, &[Some(100)], room(SECOND)).unwrap().scale, 1000);
    }

    #[test]
    fn nothing_is_measured_where_nothing_fits() {
        assert_eq!(next(&cells(&[5], &[1000]), &[None], room(SECOND)), None);
        assert_eq!(next(&[], &[], room(SECOND)), None);
    }

    #[test]
    fn cells_of_one_workload_model_and_number_of_workers_are_a_series() {
        let workloads = [workloads::find("sleep").unwrap(), workloads::find("echo").unwrap()];
        let models = [models::find("tokio").unwrap(), models::find("smol").unwrap()];
        let choice = plan::Choice { scales: vec![1, 10], ..plan::Choice::default() };
        let positions = positions(&plan::cells(&workloads, &models, &choice));
        let of: Vec<_> =
            positions.iter().map(|position| (position.workload, position.series)).collect();
        assert_eq!(of, [(0, 0), (0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (1, 3)]);
        assert!(positions.iter().enumerate().all(|(at, position)| position.index == at));
        let cpu = [workloads::find("cpu").unwrap()];
        let choice = plan::Choice { workers: vec![1, 2], ..choice };
        let both = super::positions(&plan::cells(&cpu, &models[..1], &choice));
        let deep = |positions: Vec<CellPosition>| -> Vec<bool> {
            positions.iter().map(|position| position.deep).collect()
        };
        assert_eq!(deep(both), [false, false, true, true]);
        let compared: Vec<usize> = super::positions(&plan::cells(&cpu, &models[..1], &choice))
            .iter()
            .filter(|position| position.compares)
            .map(|position| position.index)
            .collect();
        assert_eq!(compared, [1, 3], "a scale of 1 keeps one of two workers busy");
        // Connections wait in the queue of a pool, and computing needs a worker in any case.
        let pool = [models::find("pool").unwrap()];
        let choice = plan::Choice { scales: vec![1000], workers: vec![2], ..choice };
        for (workload, is_deep) in [(&workloads[1..], false), (&cpu[..], true)] {
            let of_pool = super::positions(&plan::cells(workload, &pool, &choice));
            assert_eq!(deep(of_pool), [is_deep], "{}", workload[0].name);
        }
        let asyncio = [models::find("asyncio").unwrap()];
        let choice = plan::Choice { scales: vec![1000], ..plan::Choice::default() };
        assert_eq!(
            deep(super::positions(&plan::cells(&workloads[1..], &asyncio, &choice))),
            [false]
        );
    }
}
