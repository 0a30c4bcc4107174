//! Tests of ranks.

use super::*;
use crate::record::{Knee, LoadFigures, Metric};
use paceline_core::histogram::Histogram;

#[test]
fn a_server_bound_cell_is_not_ranked() {
    let cell = |model: &str, server_busy_share_max| Cell {
        trials_ns: vec![1_000_000; 5],
        server_busy_share_max,
        ..Cell::new("echo", model, 10, Some(2), Placement::Outside, State::Ok)
    };
    let [one, bound, other] = [cell("a", Some(0.5)), cell("b", Some(0.95)), cell("c", None)];
    assert_eq!(leaders(&[&one, &bound, &other]), [true, false, true]);
}

#[test]
fn a_cell_is_server_bound_where_a_thread_of_the_server_was_busy_for_over_nine_tenths() {
    let bound = |server_busy_share_max| {
        let cell = Cell::new("echo", "tokio", 9, Some(2), Placement::Inside, State::Ok);
        Cell { server_busy_share_max, ..cell }.is_server_bound()
    };
    assert_eq!([None, Some(0.9), Some(0.91)].map(bound), [false, false, true]);
}

#[test]
fn equal_percentiles_are_off_by_as_much_as_a_histogram_rounds() {
    let of =
        |trials: &[f64]| Estimate::of_percentiles(trials).map(|of| [of.lower, of.value, of.upper]);
    assert_eq!(of(&[2e6; 3]), Some([1.998e6, 2e6, 2.002e6]));
    assert_eq!((of(&[2e6; 2]), of(&[])), (Some([2e6; 3]), None));
}

#[test]
fn a_rate_is_the_inverse_of_a_time_and_what_is_not_finite_has_none() {
    let rate = Estimate { value: 2e6, lower: 0.0, upper: f64::INFINITY }.per_second(3);
    assert_eq!((rate.value, rate.interval()), (1_500.0, None));
    assert!(rate.lower.is_nan() && rate.upper.is_nan(), "{rate:?}");
    let jobs_per_second = Some(Estimate { value: 500.0, lower: 400.0, upper: 625.0 });
    let time = Metric::Throughput.of(&Cell { jobs_per_second, ..cell("a", vec![]) });
    assert_eq!(time, Some(Estimate { value: 2e6, lower: 1.6e6, upper: 2.5e6 }));
}

#[test]
fn what_was_given_or_is_mostly_the_generators_is_ranked_nowhere() {
    let times = |ns: u64| {
        let mut times = Histogram::default();
        (0..1_000).for_each(|_| times.record(ns));
        times.distribution()
    };
    let served = |looped, late: u64| {
        let load =
            LoadFigures { schedule_error: times(late), ..LoadFigures::new(looped, None, None, 4) };
        let per_trial = PerTrial {
            jobs_per_second: vec![1.0, 2.0, 3.0],
            latency_ns_p50: vec![1e6; 3],
            latency_ns_p99: vec![1e6; 3],
            ..PerTrial::default()
        };
        let known = Estimate::of_percentiles(&per_trial.latency_ns_p50);
        let latency = times(1_000_000);
        let load = Some(load);
        Cell {
            latency,
            latency_ns_p50: known,
            latency_ns_p99: known,
            load,
            per_trial,
            ..cell("a", vec![])
        }
    };
    let told = |cell: &Cell| {
        [RankedBy::Rate, RankedBy::P50, RankedBy::P99].map(|by| cell.passes(by).is_some())
    };
    assert_eq!(told(&served(Loop::Closed, 0)), [true; 3]);
    assert_eq!(told(&served(Loop::Open, 400_000)), [false, true, true]);
    assert_eq!(told(&served(Loop::Open, 600_000)), [false; 3]);
    let spoiled = |spoil: fn(&mut LoadFigures)| {
        let mut cell = served(Loop::Closed, 0);
        if let Some(load) = &mut cell.load {
            spoil(load);
        }
        told(&cell)
    };
    assert_eq!(spoiled(|load| load.errors = [("timeout".into(), 1)].into()), [false; 3]);
    let knee = |load: &mut LoadFigures| {
        load.knee = Some(Knee { limit_ns: 1, steps: vec![], gave_way: None });
    };
    assert_eq!(spoiled(knee), [false; 3]);
    assert_eq!(served(Loop::Open, 600_000).own_latency("p99"), None);
    // The median alone is late.
    let mut tail = Histogram::default();
    (0..1_000).for_each(|n| tail.record(if n < 900 { 1_000_000 } else { 8_000_000 }));
    let slow = Estimate::of_percentiles(&[8e6; 3]);
    let late = served(Loop::Open, 600_000);
    let late = Cell { latency: tail.distribution(), latency_ns_p99: slow, ..late };
    assert_eq!(told(&late), [false, false, true]);
    assert_eq!([late.own_latency("p50"), late.own_latency("p99")], [None, slow]);
    let fine = served(Loop::Open, 400_000);
    assert_eq!(fine.own_latency("p50"), fine.latency_ns_p50);
}

#[test]
fn a_mean_over_trials_is_the_generators_by_its_trials_and_not_by_all_latencies_together() {
    let times = |of: [(usize, u64); 2]| {
        let mut times = Histogram::default();
        for (count, ns) in of {
            (0..count).for_each(|_| times.record(ns));
        }
        times.distribution()
    };
    // The tail of one trial is 5 ms and decides that of all latencies together. Those of the others are 1 ms, of which
    // the generator was late by 0.8 ms.
    let schedule_error = times([(4_700, 10_000), (300, 800_000)]);
    let load = LoadFigures { schedule_error, ..LoadFigures::new(Loop::Open, None, None, 4) };
    let latency = times([(4_900, 200_000), (100, 5_000_000)]);
    let latency_ns_p99 = Estimate::of_percentiles(&[5e6, 1e6, 1e6, 1e6, 1e6]);
    let of = |late: [f64; 5]| {
        let per_trial = PerTrial {
            latency_ns_p99: vec![5e6, 1e6, 1e6, 1e6, 1e6],
            schedule_error_ns_p99: late.to_vec(),
            ..PerTrial::default()
        };
        let (latency, load) = (latency.clone(), Some(load.clone()));
        Cell { per_trial, latency, latency_ns_p99, load, ..cell("a", vec![]) }
    };
    assert_eq!(of([8e5; 5]).own_latency("p99"), None);
    assert_eq!(of([8e5; 5]).latencies_of_the_generator(), ["p99"]);
    // Late in one trial of five, it is not the generator's.
    assert_eq!(of([5e6, 1e5, 1e5, 1e5, 1e5]).own_latency("p99"), latency_ns_p99);
    // Older records have no lateness of a trial.
    let older = Cell { per_trial: PerTrial::default(), ..of([8e5; 5]) };
    assert_eq!(older.own_latency("p99"), latency_ns_p99);
}

#[test]
fn what_is_over_half_of_a_latency_is_one_rule_for_a_trial_and_for_all_latencies_together() {
    for (late, latency, is_late) in
        [(0, 0, false), (1, 0, true), (1, 2, false), (1, 3, false), (2, 3, true), (9, 3, true)]
    {
        let times = |ns: u64| {
            let mut times = Histogram::default();
            (0..1_000).for_each(|_| times.record(1_000 * ns));
            times.distribution()
        };
        let load = LoadFigures {
            schedule_error: times(late),
            ..LoadFigures::new(Loop::Open, None, None, 4)
        };
        let all = Cell { latency: times(latency), load: Some(load), ..cell("a", vec![]) };
        let per_trial = PerTrial {
            latency_ns_p50: vec![1e3 * latency as f64],
            schedule_error_ns_p50: vec![1e3 * late as f64],
            ..PerTrial::default()
        };
        for of in [all.clone(), Cell { per_trial, ..all }] {
            let found = of.latencies_of_the_generator().contains(&"p50");
            assert_eq!(found, is_late, "{late} of {latency}");
        }
    }
}

#[test]
fn requests_per_second_are_of_a_server_that_sets_its_rate_or_whose_knee_was_searched() {
    let of = |load: Option<LoadFigures>| {
        let jobs_per_second = Some(Estimate::exactly(5.0));
        Cell { jobs_per_second, load, ..cell("a", vec![]) }.requests_per_second().is_some()
    };
    let open = LoadFigures::new(Loop::Open, Some(5.0), None, 1);
    let closed = LoadFigures::new(Loop::Closed, None, None, 1);
    assert_eq!([None, Some(open.clone()), Some(closed)].map(of), [false, false, true]);
    // The least that a server keeps is no figure of it.
    for (gave_way, is_found) in [
        (Some("the 99th percentile is 9.00 ms"), true),
        (Some("generator late: 9 of 100 starts"), false),
        (None, false),
    ] {
        let gave_way = gave_way.map(str::to_owned);
        let knee = Some(Knee { limit_ns: 1, steps: vec![], gave_way });
        assert_eq!(of(Some(LoadFigures { knee, ..open.clone() })), is_found, "{is_found}");
    }
}

fn cell(model: &str, trials_ns: Vec<u64>) -> Cell {
    let cell = Cell::new("sleep", model, 10, Some(2), Placement::Outside, State::Ok);
    Cell { trials_ns, ..cell }
}

#[test]
fn waits_are_ranked_from_5_milliseconds_on_and_where_there_are_none() {
    let brief = |floor_ns| Cell { floor_ns, ..cell("a", vec![]) }.waits_too_briefly();
    assert_eq!([0, 1, SHORTEST_RANKED_NS - 1].map(brief), [false, true, true]);
    assert_eq!([SHORTEST_RANKED_NS, u64::MAX].map(brief), [false, false]);
}

#[test]
fn a_cell_has_the_trials_of_its_rates_or_of_its_times() {
    let times = cell("a", vec![1_000_000, 2_000_000]);
    assert_eq!((times.trials(), times.has_too_few_trials()), (2, true));
    assert_eq!(times.rates(), [10_000.0, 5_000.0]);
    let per_trial = PerTrial { jobs_per_second: vec![7.0, 8.0, 9.0], ..PerTrial::default() };
    let rates = Cell { per_trial, ..times };
    assert_eq!((rates.trials(), rates.has_too_few_trials()), (3, false));
    assert_eq!(rates.rates(), [7.0, 8.0, 9.0]);
}

#[test]
fn the_share_of_a_bound_takes_both_and_is_positive() {
    let share = |figure: f64, bound_jobs_per_second| {
        let jobs_per_second = Estimate::of_trials(&[figure], 1.0);
        Cell { jobs_per_second, bound_jobs_per_second, ..cell("a", vec![]) }.share_of_bound()
    };
    assert_eq!(share(50.0, Some(200.0)), Some(0.25));
    assert_eq!(share(50.0, None), None);
    assert_eq!(share(0.0, Some(200.0)), None);
    assert_eq!(share(50.0, Some(0.0)), None);
    assert_eq!(
        Cell { bound_jobs_per_second: Some(1.0), ..cell("a", vec![]) }.share_of_bound(),
        None
    );
}

#[test]
fn models_lead_within_their_class_and_a_class_of_one_has_no_leader() {
    let fast = vec![1_000_000, 1_010_000, 990_000];
    let slow: Vec<u64> = fast.iter().map(|ns| ns * 2).collect();
    let inside = |of: Cell| Cell { placement: Placement::Inside, ..of };
    let cells = [cell("a", fast.clone()), cell("b", slow.clone()), inside(cell("c", slow.clone()))];
    let all: Vec<&Cell> = cells.iter().collect();
    assert_eq!(leaders(&all), [true, false, false], "no other is inside");
    let four = [&cells[0], &cells[1], &cells[2], &inside(cell("d", fast.clone()))];
    assert_eq!(leaders(&four), [true, false, false, true]);
    // Each reason not to be ranked leaves one cell, which leads nothing.
    let beside = |of: Cell| leaders(&[&cells[1], &of]);
    assert_eq!(beside(cell("e", fast.clone())), [false, true]);
    assert_eq!(beside(cell("e", fast[..2].to_vec())), [false, false]);
    assert_eq!(beside(Cell { floor_ns: 1, ..cell("e", fast.clone()) }), [false, false]);
    assert_eq!(beside(Cell { state: State::Failed, ..cell("e", fast.clone()) }), [false, false]);
    // A cell without the figure might be the best.
    let mut with_cpu = cells.clone();
    with_cpu[0].per_trial.cpu_ns_per_job = vec![1.0, 1.01, 0.99];
    let of = |cells: &[Cell]| leaders_by(&[&cells[0], &cells[1]], RankedBy::Cpu);
    assert_eq!(of(&with_cpu), [false, false]);
    with_cpu[1].per_trial.cpu_ns_per_job = vec![2.0, 2.01, 1.99];
    assert_eq!(of(&with_cpu), [true, false], "less is better");
    // One that was infinitely fast is no cell to be led by.
    let endless = cell("f", vec![0; 3]);
    assert_eq!(leaders(&[&cells[0], &cells[1], &endless]), [true, false, false]);
}

#[test]
fn memory_per_job_is_a_slope_over_at_least_a_mebibyte() {
    const MIB: u64 = 1 << 20;
    let of = |points: &[(usize, u64)]| {
        let cells: Vec<Cell> = points
            .iter()
            .map(|(scale, bytes)| Cell {
                scale: *scale,
                resources: Some(crate::record::Resources {
                    rss_bytes_added: Some(*bytes),
                    ..crate::record::Resources::default()
                }),
                ..cell("a", vec![])
            })
            .collect();
        bytes_per_job(&cells.iter().collect::<Vec<_>>())
    };
    assert_eq!(of(&[(1, 100), (1025, 100 + MIB)]), Some(1024.0));
    assert_eq!(of(&[(1, 100), (1025, 99 + MIB)]), None);
    assert_eq!(of(&[(1, 5 * MIB), (1025, MIB)]), None, "memory that falls");
    assert_eq!(of(&[(10, MIB), (10, 9 * MIB)]), None, "one scale has no slope");
    assert_eq!(of(&[(1, 0), (2, MIB), (3, 0)]), None, "memory that does not grow with scale");
    assert_eq!(of(&[]), None);
    assert_eq!(bytes_per_job(&[&cell("a", vec![])]), None);
}

#[test]
fn a_median_over_trials_is_the_generators_by_its_trials_too() {
    let times = (0..1_000).fold(Histogram::default(), |mut times, _| {
        times.record(1_000_000);
        times
    });
    let of = |late: f64| {
        let per_trial = PerTrial {
            latency_ns_p50: vec![1e6; 3],
            schedule_error_ns_p50: vec![late; 3],
            ..PerTrial::default()
        };
        let load = LoadFigures {
            schedule_error: times.distribution(),
            ..LoadFigures::new(Loop::Open, None, None, 4)
        };
        let latency = times.distribution();
        let cell = Cell { per_trial, latency, load: Some(load), ..cell("a", vec![]) };
        cell.late_in_trials("p50")
    };
    assert_eq!([of(6e5), of(1e5)], [Some(true), Some(false)]);
}

#[test]
fn a_node_counts_once_however_many_trials_it_has() {
    let of = |nodes: &[&str]| {
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        let cell = Cell { nodes, ..cell("a", vec![2, 2, 8, 4]) };
        cell.passes(RankedBy::Rate).unwrap().len()
    };
    assert_eq!(of(&["n1", "n1", "n2", "n3"]), 3);
    assert_eq!(of(&[]), 4);
}

#[test]
fn cells_are_loads_if_one_is_and_no_batch_was_measured() {
    let load =
        Cell { load: Some(LoadFigures::new(Loop::Open, None, None, 4)), ..cell("a", vec![1]) };
    let batch = cell("a", vec![1]);
    let refused = Cell { state: State::Refused, ..cell("a", vec![]) };
    assert!(are_loads(&[&load, &refused]));
    assert!(!are_loads(&[&load, &batch]) && !are_loads(&[&batch]) && !are_loads(&[&refused]));
}

#[test]
fn a_cell_of_an_older_record_has_the_cpu_time_of_its_trials_and_no_bound_that_one_of_them_exceeds()
{
    // The second trial had by far the most jobs.
    let old = |bound: f64, load: Option<LoadFigures>| Cell {
        cpu_ns_per_job: Some(190.0),
        bound_jobs_per_second: Some(bound),
        load,
        per_trial: PerTrial {
            jobs_per_second: vec![71.8, 46.4, 42.8],
            cpu_ns_per_job: vec![100.0, 200.0, 400.0],
            ..PerTrial::default()
        },
        ..cell("a", vec![])
    };
    let read = old(54.08, None).by_rules_of_now();
    assert!((read.cpu_ns_per_job.unwrap() - 200.0).abs() < 1e-9, "{:?}", read.cpu_ns_per_job);
    let bound = |bound, load| old(bound, load).by_rules_of_now().bound_jobs_per_second;
    assert_eq!([54.08, 70.3, 70.5].map(|most| bound(most, None)), [None, None, Some(70.5)]);
    // A rate that was given is exceeded by chance in some trials.
    let served = |looped| Some(LoadFigures::new(looped, None, None, 4));
    assert_eq!([Loop::Closed, Loop::Open].map(|of| bound(54.08, served(of))), [None, Some(54.08)]);
    let without = Cell { per_trial: PerTrial::default(), ..old(54.08, None) };
    assert_eq!(without.clone().by_rules_of_now(), without);
}
