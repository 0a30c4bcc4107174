//! Advice on planted cells, whose answers are known.

use super::*;
use crate::{
    plan::{Choice, cells},
    record::{Hosts, LoadFigures, Loop, PerTrial, Resources},
    stats::Mode,
};
use paceline_core::{models, perform::Placement, workloads};

/// Returns five figures around `value` that differ by `percent`, in a different order for each model.
fn spread(model: &str, value: f64, percent: f64) -> Vec<f64> {
    let of = |pass: usize| [-1.0, 0.5, 0.0, 1.0, -0.5][(pass + model.len()) % 5];
    (0..5).map(|pass| value * (percent / 100.0 * of(pass)).exp()).collect()
}

/// Returns a cell of 5 trials: `rate` jobs a second and a p99 of `p99` ms, each ± `percent`.
fn cell(model: &str, scale: usize, rate: f64, p99: f64, percent: f64) -> Cell {
    let workload = [workloads::find("sleep").unwrap()];
    let choice = Choice { scales: vec![scale], ..Choice::default() };
    let planned = cells(&workload, &[models::find(model).unwrap()], &choice)[0];
    let [rates, p99s] = [rate, p99 * 1e6].map(|value| spread(model, value, percent));
    Cell {
        placement: Placement::Outside,
        jobs_per_second: Estimate::of_trials(&rates, 0.1),
        latency_ns_p99: Estimate::of_trials(&p99s, 1.0),
        per_trial: PerTrial { jobs_per_second: rates, latency_ns_p99: p99s, ..PerTrial::default() },
        ..planned.cell_with_time(State::Ok, None, "planted".into())
    }
}

/// Returns the cell with the first `n` of its trials.
fn first(n: usize, mut cell: Cell) -> Cell {
    cell.per_trial.jobs_per_second.truncate(n);
    cell.per_trial.latency_ns_p99.truncate(n);
    cell
}

fn ended(model: &str, scale: usize, state: State, reason: &str) -> Cell {
    let cell = cell(model, scale, 1.0, 1.0, 0.0);
    let reason = Some(reason.into());
    Cell { state, reason, jobs_per_second: None, latency_ns_p99: None, ..cell }
}

fn names(series: &[Series]) -> Vec<&str> {
    series.iter().map(|series| series.model.as_str()).collect()
}

fn recommended(at: &AtScale) -> Vec<&str> {
    at.recommended.iter().map(|one| one.series.model.as_str()).collect()
}

#[test]
fn the_order_of_simplicity_covers_every_model_and_is_as_documented() {
    let mut models: Vec<&str> = models::MODELS.iter().map(|entry| entry.info.name).collect();
    models.sort_by_key(|model| simplicity(model));
    assert_eq!(
        models[..9],
        [
            "sequential",
            "threads",
            "pool",
            "rayon",
            "tokio-current-thread",
            "tokio",
            "smol",
            "tokio+rayon",
            "tokio-per-core"
        ]
    );
    let foreign = models.iter().position(|model| *model == "asyncio").unwrap();
    assert_eq!(models[foreign - 2..foreign], ["may", "async-std"]);
    assert!(models.iter().all(|model| simplicity(model) < simplicity("nobody")));
}

fn standings(figures: &[Figure]) -> Vec<(&str, Standing)> {
    figures.iter().map(|figure| (figure.series.model.as_str(), figure.standing)).collect()
}

#[test]
fn what_no_test_tells_from_the_best_is_tied_and_keeps_up_only_if_it_is_surely_near() {
    let noisy = |percent| {
        advise(&[
            cell("pool", 10, 50.0, 20.0, 1.0),
            cell("tokio", 10, 98.0, 10.2, percent),
            cell("smol", 10, 100.0, 10.0, percent),
        ])
    };
    let advice = noisy(5.0);
    let expected =
        [("smol", Standing::Best), ("tokio", Standing::Tied), ("pool", Standing::Behind)];
    assert_eq!(standings(&advice.scales[0].throughput), expected);
    assert_eq!(standings(&advice.scales[0].p99), expected);
    assert_eq!(recommended(&advice.scales[0]), ["smol"], "tied with it is not as good as it");
    assert!(advice.scales[0].recommended[0].gaps.is_empty());
    let quiet = noisy(0.5);
    assert_eq!(recommended(&quiet.scales[0]), ["tokio"], "simpler than smol, and as good");
    let gap = &quiet.scales[0].recommended[0].gaps[0];
    assert!((gap.share - 0.02).abs() < 1e-3 && gap.best.model == "smol");
    assert!(gap.at_most.is_some_and(|at_most| at_most > gap.share && at_most < MARGIN), "{gap:?}");
    assert!(advice.broke.is_empty() && advice.scales[0].without.is_empty());
}

#[test]
fn only_the_class_of_most_cells_is_ranked() {
    let inside = Cell { placement: Placement::Inside, ..cell("tokio", 10, 900.0, 1.0, 1.0) };
    let dealt = Cell { placement: Placement::Dealt, ..cell("compio", 10, 80.0, 20.0, 1.0) };
    let at = &advise(&[inside, dealt, cell("pool", 10, 100.0, 10.0, 1.0)]).scales[0];
    let expected =
        [("pool", Standing::Best), ("compio", Standing::Behind), ("tokio", Standing::Unranked)];
    assert_eq!(standings(&at.throughput), expected);
    assert_eq!(recommended(at), ["pool"]);
    assert_eq!(at.without[0].reason, "offered from inside, and the others outside");
}

#[test]
fn no_model_overtakes_one_of_the_other_placement_class() {
    let at =
        |model, scale, rate, placement| Cell { placement, ..cell(model, scale, rate, 1.0, 1.0) };
    let (inside, outside) = (Placement::Inside, Placement::Outside);
    let cells = [
        // More models can be ranked inside at 1, and more outside at 10.
        at("tokio", 1, 100.0, inside),
        at("rayon", 1, 90.0, inside),
        at("pool", 10, 300.0, outside),
        at("threads", 10, 200.0, outside),
        at("sequential", 10, 100.0, outside),
        at("tokio", 10, 900.0, inside),
    ];
    let advice = advise(&cells);
    assert!(advice.crossings.is_empty(), "{:?}", advice.crossings);
    assert_eq!(advice.scales[0].unranked, Some(Unranked::OtherPlacement));
    assert_eq!(recommended(&advice.scales[1]), ["pool"]);
}

#[test]
fn a_percentile_that_one_model_lacks_ranks_nobody() {
    let mut few = cell("tokio", 10, 50.0, 1.0, 1.0);
    (few.latency_ns_p99, few.per_trial.latency_ns_p99) = (None, vec![]);
    let at = &advise(&[few, cell("pool", 10, 100.0, 30.0, 1.0)]).scales[0];
    assert_eq!(standings(&at.p99), [("pool", Standing::Unranked)]);
    assert_eq!(
        (recommended(at), &at.recommended[0].by[..]),
        (vec!["pool"], &[Measure::Throughput][..])
    );
}

#[test]
fn a_sequential_program_is_enough_where_it_keeps_up_and_only_there() {
    let cells = [
        cell("sequential", 1, 98.0, 10.1, 0.1),
        cell("tokio", 1, 99.0, 10.0, 0.1),
        cell("sequential", 20, 98.0, 200.0, 0.1),
        cell("tokio", 20, 1900.0, 10.0, 0.1),
    ];
    let advice = advise(&cells);
    assert_eq!(recommended(&advice.scales[0]), ["sequential"], "1 % is within the margin");
    assert_eq!(advice.scales[0].throughput[1].standing, Standing::Behind, "certain, and too small");
    assert_eq!(recommended(&advice.scales[1]), ["tokio"]);
    assert_eq!(advice.everywhere.map(|series| series.model).as_deref(), Some("tokio"));
}

#[test]
fn a_certain_difference_counts_from_the_margin_on() {
    let at = |rate: f64| {
        let cells = [cell("threads", 1, rate, 10.0, 0.1), cell("tokio", 1, 100.0, 10.0, 0.1)];
        recommended(&advise(&cells).scales[0]).join(" ")
    };
    assert_eq!((at(95.4).as_str(), at(94.5).as_str()), ("threads", "tokio"));
}

#[test]
fn the_best_changes_hands_where_tests_say_so_and_not_in_a_tie() {
    let series = |model: &str, rates: [f64; 4]| {
        [1, 10, 100, 1000]
            .into_iter()
            .zip(rates)
            .map(|(scale, rate)| cell(model, scale, rate, 10.0, 4.0))
            .collect::<Vec<_>>()
    };
    let cells = [
        series("threads", [100.0, 500.0, 1000.0, 1000.0]),
        series("tokio", [99.0, 400.0, 1010.0, 2000.0]),
    ]
    .concat();
    let advice = advise(&cells);
    let [crossing] = &advice.crossings[..] else { panic!("{:?}", advice.crossings) };
    assert_eq!(
        (names(&crossing.ahead), crossing.up_to),
        (vec!["threads"], 100),
        "tied there still"
    );
    assert_eq!((names(&crossing.then), crossing.from), (vec!["tokio"], 1000));
    assert!(crossing.overtaken && crossing.by == Measure::Throughput);

    // A model that ties at first and falls back later does not lead "from there on".
    let smol = series("smol", [50.0, 300.0, 900.0, 1990.0]);
    let later = [cell("smol", 5000, 1000.0, 10.0, 4.0), cell("tokio", 5000, 2000.0, 10.0, 4.0)];
    let advice = advise(&[cells, smol, later.to_vec()].concat());
    assert_eq!(names(&advice.crossings[0].then), ["tokio"]);

    // By medians alone, the best changes at every scale.
    let cells = [
        series("threads", [100.0, 99.0, 100.0, 99.0]),
        series("tokio", [99.0, 100.0, 99.0, 100.0]),
    ]
    .concat();
    assert!(advise(&cells).crossings.is_empty());
}

#[test]
fn a_leader_that_breaks_is_not_called_overtaken() {
    let cells = [
        cell("threads", 10, 100.0, 10.0, 1.0),
        cell("tokio", 10, 50.0, 20.0, 1.0),
        cell("smol", 10, 40.0, 20.0, 1.0),
        ended("threads", 100, State::Refused, "needs 100 threads, has 64"),
        cell("tokio", 100, 500.0, 20.0, 1.0),
        cell("smol", 100, 400.0, 20.0, 1.0),
    ];
    let advice = advise(&cells);
    assert!(!advice.crossings[0].overtaken);
    let expected = Broke {
        series: advice.crossings[0].ahead[0].clone(),
        state: State::Refused,
        scales: vec![100],
        reason: "needs 100 threads, has 64".into(),
        went_to: Some(10),
    };
    assert_eq!(advice.broke, [expected]);
    assert_eq!(advice.scales[1].without[0].state, State::Refused);
}

#[test]
fn where_none_keeps_up_in_both_there_is_one_for_throughput_and_one_for_latency() {
    let cells = [cell("pool", 10, 100.0, 30.0, 1.0), cell("tokio", 10, 60.0, 10.0, 1.0)];
    let at = &advise(&cells).scales[0];
    assert!(at.keeping_up.is_empty());
    assert_eq!(recommended(at), ["pool", "tokio"]);
    assert_eq!(at.recommended[0].by, [Measure::Throughput]);
    assert_eq!(at.recommended[1].by, [Measure::P99]);
}

#[test]
fn nothing_is_ranked_where_all_are_refused_or_one_is_left() {
    let refused = |model| ended(model, 10, State::Refused, "no io_uring");
    let advice = advise(&[refused("monoio"), refused("glommio")]);
    assert_eq!(advice.scales[0].unranked, Some(Unranked::NoFigure));
    assert_eq!((advice.scales[0].without.len(), advice.broke.len()), (2, 2));
    assert!(advice.broke.iter().all(|broke| broke.went_to.is_none()));
    assert!(advice.everywhere.is_none() && advice.scales[0].recommended.is_empty());

    let advice = advise_alone(refused("monoio"));
    assert_eq!(advice.scales[0].unranked, Some(Unranked::Alone));
    assert!(advice.scales[0].recommended.is_empty());
    assert_eq!(advise(&[]).scales, []);
}

fn advise_alone(beside: Cell) -> Advice {
    advise(&[beside, cell("sequential", 10, 100.0, 10.0, 1.0)])
}

#[test]
fn a_load_on_a_shared_host_ranks_and_recommends_nothing() {
    let shared = |model, rate, shared_host| {
        let mut load = LoadFigures::new(Loop::Closed, None, None, 10);
        load.hosts = Some(Hosts {
            server: "a".into(),
            generators: vec!["b".into()],
            shared_host,
            clock_uncertainty_ns: None,
        });
        Cell { load: Some(load), ..cell(model, 10, rate, 10.0, 1.0) }
    };
    let of = |is_shared| {
        let cells = [shared("tokio", 1.0, is_shared), shared("smol", 100.0, is_shared)];
        advise(&cells).scales[0].clone()
    };
    assert_eq!(of(false).unranked, None);
    let at = of(true);
    assert_eq!(at.unranked, Some(Unranked::SharedHost));
    assert!(at.recommended.is_empty() && at.keeping_up.is_empty());
}

#[test]
fn three_nodes_are_three_differences_however_many_trials_they_have() {
    let pairs = |nodes: &[&str]| {
        let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
        let on = |model, rate| Cell { nodes: nodes.clone(), ..cell(model, 10, rate, 10.0, 1.0) };
        let at = advise(&[on("tokio", 90.0), on("smol", 50.0)]).scales.remove(0);
        (at.trials, at.pairs)
    };
    assert_eq!(pairs(&[]), (Some(5), Some(5)));
    assert_eq!(pairs(&["a", "b", "c", "a", "b"]), (Some(5), Some(3)));
}

#[test]
fn servers_at_a_rate_that_they_were_given_are_ranked_by_p99_alone() {
    let served = |model, rate, p99| {
        let load = LoadFigures::new(Loop::Open, Some(rate), None, 10);
        Cell { load: Some(load), ..cell(model, 10, rate, p99, 1.0) }
    };
    let both = || [served("tokio", 900.0, 20.0), served("smol", 100.0, 10.0)];
    let at = advise(&both()).scales.remove(0);
    assert_eq!(
        (at.unranked, recommended(&at), names(&at.keeping_up)),
        (None, vec!["smol"], vec!["smol"])
    );
    assert_eq!(at.recommended[0].by, [Measure::P99]);
    assert_eq!(at.throughput.len(), 2);
    assert!(at.throughput.iter().all(|figure| figure.standing == Standing::Unranked));
    let without = both().map(|mut cell| {
        cell.per_trial.latency_ns_p99.clear();
        cell
    });
    let at = advise(&without).scales.remove(0);
    assert_eq!((at.unranked, recommended(&at)), (Some(Unranked::GivenRate), vec![]));
}

#[test]
fn a_server_bound_cell_is_neither_ranked_nor_recommended() {
    let bound = |model, rate, busy| Cell {
        server_busy_share_max: Some(busy),
        ..cell(model, 10, rate, 10.0, 1.0)
    };
    let of = |busy| advise(&[bound("tokio", 900.0, busy), bound("smol", 50.0, 0.5)]);
    assert_eq!(recommended(&of(0.9).scales[0]), ["tokio"]);
    let at = of(0.95).scales.remove(0);
    assert_eq!((at.unranked, recommended(&at)), (Some(Unranked::Alone), vec![]));
    assert!(at.without[0].reason.starts_with("server-bound"), "{:?}", at.without);
    let all = advise(&[bound("tokio", 900.0, 0.95), bound("smol", 50.0, 0.95)]);
    assert_eq!(all.scales[0].unranked, Some(Unranked::ServerBound));
}

#[test]
fn waits_too_brief_for_timers_rank_and_recommend_nothing() {
    let brief = |model, rate| Cell { floor_ns: 4_999_999, ..cell(model, 10, rate, 10.0, 1.0) };
    let at = &advise(&[brief("tokio", 1.0), brief("smol", 100.0)]).scales[0];
    assert_eq!(at.unranked, Some(Unranked::ShortWaits));
    assert!(at.recommended.is_empty() && at.keeping_up.is_empty());
    assert!(at.throughput.iter().all(|figure| figure.standing == Standing::Unranked));
    assert_eq!(at.throughput[0].series.model, "tokio", "shown in the order of the cells");
}

#[test]
fn fewer_than_three_trials_are_not_ranked() {
    for n in [1, 2] {
        let few = |model, rate| first(n, cell(model, 10, rate, 10.0, 1.0));
        let at = &advise(&[few("tokio", 1.0), few("smol", 100.0)]).scales[0];
        assert_eq!(at.unranked, Some(Unranked::TooFewTrials));
        assert!(at.recommended.is_empty() && at.without.len() == 2);

        let five = |model, rate| cell(model, 10, rate, 10.0, 1.0);
        let at = &advise(&[few("smol", 900.0), five("tokio", 50.0), five("may", 40.0)]).scales[0];
        assert_eq!((at.unranked, recommended(at)), (None, vec!["tokio"]));
        assert_eq!(standings(&at.throughput)[2], ("smol", Standing::Unranked));
        assert_eq!(at.trials, Some(5));
    }
}

#[test]
fn two_modes_are_named_and_a_recommendation_says_so() {
    let modes = [Mode { ns: 5e3, share: 0.4 }, Mode { ns: 8e4, share: 0.6 }];
    let two = Cell { modes: Some(modes), ..cell("threads", 10, 100.0, 10.0, 1.0) };
    let at = &advise(&[two, cell("tokio", 10, 60.0, 10.0, 1.0)]).scales[0];
    assert!(at.recommended[0].bimodal);
    assert_eq!((at.bimodal[0].series.model.as_str(), at.bimodal[0].modes), ("threads", modes));
}

#[test]
fn what_is_discontinued_is_ranked_and_never_recommended() {
    let cells = [cell("async-std", 10, 100.0, 10.0, 1.0), cell("tokio", 10, 60.0, 20.0, 1.0)];
    let at = &advise(&cells).scales[0];
    assert_eq!(at.throughput[0].series.model, "async-std");
    assert_eq!(recommended(at), ["tokio"]);
    assert!((at.recommended[0].gaps[0].share - 0.4).abs() < 1e-9, "the gap is not hidden");
    // Nor where no test tells them apart.
    let cells = [cell("async-std", 10, 100.0, 10.0, 40.0), cell("tokio", 10, 80.0, 10.0, 40.0)];
    let at = &advise(&cells).scales[0];
    assert_eq!(standings(&at.throughput)[1], ("tokio", Standing::Tied));
    let gap = &at.recommended[0].gaps[0];
    assert_eq!((&*gap.best.model, gap.at_most, gap.by), ("async-std", None, Measure::Throughput));
    assert!((gap.share - 0.2).abs() < 0.01, "{gap:?}");
}

#[test]
fn memory_is_ranked_by_the_peak_and_its_slope_over_scales_is_found() {
    let of = |model, scale: usize, bytes: f64| {
        let most = spread(model, bytes, 3.0);
        let resources = Resources {
            rss_bytes_max: Estimate::of_trials(&most, 4096.0),
            rss_bytes_added: Some((bytes - 5e6) as u64),
            ..Resources::default()
        };
        let mut cell = cell(model, scale, 100.0, 10.0, 1.0);
        cell.per_trial.rss_bytes_max = most;
        Cell { resources: Some(resources), ..cell }
    };
    let cells = [
        of("threads", 10, 6e6),
        of("tokio", 10, 5.85e6),
        of("threads", 1010, 16e6),
        of("tokio", 1010, 6e6),
    ];
    let advice = advise(&cells);
    let standings: Vec<Standing> = advice.scales.iter().map(|at| at.memory[1].standing).collect();
    assert_eq!(standings, [Standing::Tied, Standing::Behind]);
    let [threads] = &advice.bytes_per_job[..] else { panic!("{:?}", advice.bytes_per_job) };
    assert!(threads.series.model == "threads" && (threads.bytes - 10_000.0).abs() < 1.0);
}

#[test]
fn a_model_with_a_known_fault_comes_with_it() {
    let cells = [cell("may", 10, 100.0, 10.0, 1.0), cell("tokio", 10, 60.0, 20.0, 1.0)];
    let at = &advise(&cells).scales[0];
    assert_eq!(recommended(at), ["may"]);
    assert!(at.recommended[0].caveat.as_ref().unwrap().contains("connection fails"));
}
