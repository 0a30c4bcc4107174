//! Tests of the order and of what is left out.

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
    assert_eq!(deep(super::positions(&plan::cells(&workloads[1..], &asyncio, &choice))), [false]);
}
