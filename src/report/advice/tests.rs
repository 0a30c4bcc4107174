//! Tests the sentences of planted advice against its figures.

use super::*;
use crate::{
    advice::advise,
    plan::{Choice, cells},
    record::{Cell, Estimate, PerTrial, Resources},
};
use paceline_core::{histogram::Distribution, models, perform::Placement, workloads};

fn cell(model: &str, scale: usize, rate: f64, trials: usize) -> Cell {
    let workload = [workloads::find("sleep").unwrap()];
    let choice = Choice { scales: vec![scale], in_one_class: true, ..Choice::default() };
    let planned = cells(&workload, &[models::find(model).unwrap()], &choice)[0];
    let around = |value: f64| -> Vec<f64> {
        let of = |trial: usize| 1.0 + 0.005 * (((trial + model.len()) % 5) as f64 - 2.0);
        (0..trials).map(|trial| value * of(trial)).collect()
    };
    let [rates, p99s] = [around(rate), around(1e9 * scale as f64 / rate)];
    Cell {
        jobs_per_second: Estimate::of_trials(&rates, 0.1),
        latency_ns_p99: Estimate::of_trials(&p99s, 1.0),
        per_trial: PerTrial { jobs_per_second: rates, latency_ns_p99: p99s, ..PerTrial::default() },
        ..planned.cell_with_time(State::Ok, None, "planted".into())
    }
}

fn refused(model: &str, scale: usize, why: &str) -> Cell {
    let cell = cell(model, scale, 1.0, 5);
    let (state, reason) = (State::Refused, Some(why.into()));
    Cell { state, reason, jobs_per_second: None, latency_ns_p99: None, ..cell }
}

fn shown(cells: &[Cell]) -> String {
    let advice = advise(cells);
    let text = advice_text(&advice, &advice_in_short(&advice, false));
    // Joined to one line, because a phrase may be broken anywhere.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn crossing_cells() -> Vec<Cell> {
    let series = |model: &str, rates: [f64; 3]| {
        let at = [1, 20, 1000].into_iter().zip(rates);
        at.map(|(scale, rate)| cell(model, scale, rate, 5)).collect::<Vec<_>>()
    };
    let mut cells = [
        series("sequential", [100.0, 100.0, 100.0]),
        series("threads", [97.0, 2000.0, 20_000.0]),
        series("tokio", [98.0, 1700.0, 90_000.0]),
    ]
    .concat();
    cells.push(refused("monoio", 20, "no io_uring"));
    cells.push(refused("glommio", 20, "no io_uring"));
    cells
}

#[test]
fn each_stretch_of_scales_has_its_answer_and_the_crossing_its_place() {
    let text = shown(&crossing_cells());
    for sentence in [
        "At 1 job at once: a plain sequential program is enough; it does 100 jobs a second with a p99 latency of 10.0 ms.",
        "At 20 jobs at once: a handful of threads is enough, one for each job; it does 2.00k jobs a second with a p99",
        "At 1 000 jobs at once: take tokio; it does 90.0k jobs a second with a p99 latency of 11.1 ms.",
        "No model is less than 5 % behind the best at all ranked scales.",
        "By throughput sequential is ahead at 1 job at once, threads at 20, tokio from 1 000 on.",
        "By p99 latency sequential is ahead",
        "monoio and glommio: refused at 20: no io_uring.",
        "not ranked refused: monoio, glommio",
        "less than 5 % behind the best with 95 % confidence, by 5 paired differences; one",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in {text}");
    }
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    let advice = advise(&crossing_cells());
    let text = advice_text(&advice, &advice_in_short(&advice, true));
    assert!(text.contains("  * Interrupted: this advice covers"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    assert!(
        text.lines().any(|line| line.chars().count() > WIDTH - 15),
        "nothing was broken: {text}"
    );
}

#[test]
fn too_few_trials_are_said_and_nothing_is_called_enough() {
    let text = shown(&[cell("threads", 5, 100.0, 2), cell("tokio", 5, 50.0, 2)]);
    assert!(text.contains("nothing is ranked, for fewer than 3 trials have no interval"), "{text}");
    assert!(text.contains("not ranked too few trials: threads, tokio"), "{text}");
    assert!(!text.contains("best") && !text.contains("enough"), "{text}");
}

#[test]
fn short_waits_are_shown_and_the_reason_for_no_ranking_with_them() {
    let brief = |model, rate| Cell { floor_ns: 1_000_000, ..cell(model, 5, rate, 5) };
    let text = shown(&[brief("threads", 100.0), brief("tokio", 50.0)]);
    assert!(text.contains("wait for 1.00 ms, and under 5.00 ms the resolution"), "{text}");
    assert!(text.contains("not ranked: threads 100/s") && !text.contains("enough"), "{text}");
}

#[test]
fn what_is_left_alone_is_not_called_enough() {
    let text = shown(&[cell("sequential", 5, 100.0, 5), refused("threads", 5, "no threads")]);
    assert!(
        text.contains("only sequential has figures that could be ranked")
            && !text.contains("enough"),
        "{text}"
    );
}

#[test]
fn a_model_that_keeps_up_alone_is_not_called_the_simplest_of_several() {
    let at = |model, rate| {
        let mut cell = cell(model, 5, rate, 5);
        cell.latency_ns_p99 = None;
        cell.per_trial.latency_ns_p99.clear();
        cell
    };
    let text = shown(&[at("threads", 50.0), at("compio", 100.0)]);
    assert!(text.contains("take compio (the only one measured that keeps up)"), "{text}");
    let text = shown(&[at("tokio", 99.9), at("smol", 100.0)]);
    assert!(text.contains("(the simplest of those measured that keep up"), "{text}");
}

#[test]
fn how_far_behind_at_most_is_said_of_what_is_enough() {
    let text = shown(&[cell("sequential", 5, 98.5, 5), cell("tokio-per-core", 5, 100.0, 5)]);
    assert!(text.contains("a plain sequential program is enough"), "{text}");
    assert!(
        text.contains(
            "in throughput 1 % behind tokio-per-core, with 95 % confidence at most 2.9 %"
        ),
        "{text}"
    );
    // With more variable trials it does not keep up: a tie alone is not enough.
    let wide = |mut cell: Cell| {
        for (trial, rate) in cell.per_trial.jobs_per_second.iter_mut().enumerate() {
            *rate *= 1.0 + 0.1 * ((trial * cell.model.len()) % 3) as f64;
        }
        cell
    };
    let text = shown(&[wide(cell("sequential", 5, 98.5, 5)), cell("tokio-per-core", 5, 110.0, 5)]);
    assert!(!text.contains("program is enough"), "{text}");
}

#[test]
fn a_machine_that_others_kept_busy_is_said() {
    let with = |share| {
        let resources = Resources { cpu_pressure_share: Some(share), ..Default::default() };
        let sequential = Cell { resources: Some(resources), ..cell("sequential", 5, 100.0, 5) };
        shown(&[sequential, cell("tokio", 5, 50.0, 5)])
    };
    assert!(with(0.3).contains("tasks waited for one in 30 % of the time"), "{}", with(0.3));
    assert!(!with(0.05).contains("Something else"), "{}", with(0.05));
    // Of a scale with batches of a millisecond, beside one with batches of seconds.
    let at = |scale, share, batch_ns| Cell {
        resources: Some(Resources { cpu_pressure_share: Some(share), ..Default::default() }),
        trials_ns: vec![batch_ns; 5],
        ..cell("sequential", scale, 100.0, 5)
    };
    let cells = [at(1, 0.3, 1_000_000), at(1_000, 0.001, 2_000_000_000)];
    assert!(!shown(&cells).contains("Something else"), "{}", shown(&cells));
}

/// Returns a cell whose median sleep ends so late.
fn late(model: &str, scale: usize, rate: f64, ns_p50: u64) -> Cell {
    let [count, ns_p90, ns_p99, ns_p999, ns_max] = [20, ns_p50, ns_p50, ns_p50, ns_p50];
    let (ns_mean, hdr_v2) = (ns_p50 as f64, String::new());
    let lateness = Distribution { count, ns_mean, ns_p50, ns_p90, ns_p99, ns_p999, ns_max, hdr_v2 };
    Cell { timer_lateness: Some(lateness), ..cell(model, scale, rate, 5) }
}

#[test]
fn timers_that_differ_by_more_than_counts_are_named_as_a_part_of_it() {
    let late = |model, ns_p50| late(model, 5, 100.0, ns_p50);
    let text = shown(&[late("smol", 100_000), late("tokio", 1_100_000)]);
    assert!(text.contains("ended 100 µs late on smol and 1.10 ms late on tokio"), "{text}");
    // What the quicker one is ahead by is not that its timers are later.
    let quicker = Cell {
        timer_lateness: late("tokio", 1_100_000).timer_lateness,
        ..cell("tokio", 5, 200.0, 5)
    };
    let text = shown(&[late("smol", 100_000), quicker]);
    assert!(!text.contains("Timers"), "{text}");
    // Nor is that known from a few sleeps.
    let mut few = [late("smol", 100_000), late("tokio", 1_100_000)];
    few[0].timer_lateness.as_mut().unwrap().count = 19;
    let text = shown(&few);
    assert!(!text.contains("Timers"), "{text}");
    // 5 % of its wait of 10 ms is 0.5 ms.
    let both = [late("smol", 100_000), late("tokio", 590_000)];
    let text = shown(&both);
    assert!(!text.contains("Timers"), "{text}");
    // Nor is one a part of it that is not compared.
    let bound = Cell { server_busy_share_max: Some(0.95), ..late("compio", 5_000_000) };
    let text = shown(&[&both[..], &[bound]].concat());
    assert!(!text.contains("Timers"), "{text}");
}

#[test]
fn the_lateness_of_all_sleeps_of_a_job_is_compared_with_their_wait() {
    let late = |model, ns_p50| {
        let mut cell = late(model, 5, 100.0, ns_p50);
        cell.latency = cell.timer_lateness.clone();
        cell.timer_lateness.as_mut().unwrap().count = 200;
        cell
    };
    // Ten sleeps, 60 µs later each, are 0.6 ms of its wait of 10 ms.
    let text = shown(&[late("smol", 100_000), late("tokio", 160_000)]);
    let said = "160 µs late on tokio, over all sleeps of a job at most 1.00 ms and 1.60 ms, and a job waits";
    assert!(text.contains(said), "{text}");
    let text = shown(&[late("smol", 100_000), late("tokio", 149_000)]);
    assert!(!text.contains("Timers"), "{text}");
}

#[test]
fn known_faults_two_modes_and_discontinued_leaders_are_said() {
    let modes = [5e3, 8e4].map(|ns| crate::stats::Mode { ns, share: 0.5 });
    let may = Cell { modes: Some(modes), ..cell("may", 5, 100.0, 5) };
    let text = shown(&[may, cell("async-std", 5, 200.0, 5), cell("tokio", 5, 50.0, 5)]);
    for sentence in [
        "take may",
        "in throughput 50 % behind async-std, which is discontinued and never recommended",
        "async-std is among the best somewhere, but it is discontinued",
        "less than 5 % behind the best that is not discontinued with 95 % confidence",
        "No single figure represents may at 5, whose times fall into two modes.",
        "may: a batch takes 5.00 µs (50 %) or 80.0 µs (50 %)",
        "but its batches fall into two modes",
        "Beware of may: its stacks are small",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in {text}");
    }
}

/// Returns the sentences on these cells, as if all were of one placement.
fn in_brief(cells: &[Cell]) -> Vec<String> {
    advice_in_brief(&[(Placement::Inside, advise(cells))])
}

#[test]
fn in_brief_there_is_a_sentence_for_the_scales_and_one_for_all_of_them() {
    let brief = in_brief(&crossing_cells());
    assert_eq!(
        brief[0],
        "Take a sequential program at 1 job at once, a thread for each job at 20, tokio at 1 000."
    );
    assert_eq!(brief[1], "No model is less than 5 % behind the best at all ranked scales.");
    assert!(in_brief(&[refused("tokio", 1, "no room")]).is_empty());
}

#[test]
fn in_brief_a_discontinued_model_that_is_far_ahead_is_named() {
    let of = |ahead: f64| {
        let at = |scale| [cell("async-std", scale, ahead, 5), cell("tokio", scale, 100.0, 5)];
        in_brief(&[at(10), at(100)].concat()).join(" ")
    };
    let far = "Take tokio from 10 to 100 jobs at once (in throughput up to 50 % behind async-std, which is \
               discontinued).";
    assert!(of(200.0).starts_with(far), "{}", of(200.0));
    assert!(of(101.0).starts_with("Take tokio from 10 to 100 jobs at once."), "{}", of(101.0));
}

#[test]
fn in_brief_memory_speaks_where_a_test_tells_the_recommended_model_to_take_more() {
    let heavy = |model: &str, rate: f64, bytes: f64| {
        let rss = [0.99, 1.0, 1.01, 1.0, 1.0].map(|share| bytes * share).to_vec();
        let mut cell = cell(model, 1000, rate, 5);
        cell.resources = Some(Resources {
            rss_bytes_max: Estimate::of_trials(&rss, 1.0),
            ..Resources::default()
        });
        cell.per_trial.rss_bytes_max = rss;
        cell
    };
    let of = |bytes: f64| {
        in_brief(&[heavy("tokio", 90_000.0, bytes), heavy("smol", 70_000.0, 1e7)]).join(" ")
    };
    let sentence = "At 1 000 the peak memory of tokio is 3.00 times that of smol, the least.";
    assert!(of(3e7).contains(sentence), "{}", of(3e7));
    assert!(!of(1e7).contains("memory"), "{}", of(1e7));
}

#[test]
fn one_model_for_all_scales_is_named_once_whatever_it_is_ranked_by() {
    let at = |scale| {
        [cell("threads", scale, 100.0, 5), cell("tokio", scale, 200.0, 5)]
            .map(|mut cell| {
                // A p99 takes 1 000 latencies, which the smaller scale may lack.
                if scale == 5 {
                    cell.latency_ns_p99 = None;
                    cell.per_trial.latency_ns_p99.clear();
                }
                cell
            })
            .to_vec()
    };
    let cells = [at(5), at(1000)].concat();
    let advice = advise(&cells);
    let by = |scale: usize| advice.scales[scale].recommended[0].by.len();
    assert_ne!(by(0), by(1), "{advice:?}");
    assert_eq!(in_brief(&cells), ["Take tokio from 5 to 1 000 jobs at once."]);
}

#[test]
fn in_brief_two_placements_share_each_sentence_and_one_kind_of_caveat() {
    let modes = Some([5e3, 8e4].map(|ns| crate::stats::Mode { ns, share: 0.5 }));
    let inside = [
        cell("rayon", 10, 200.0, 5),
        cell("tokio", 10, 100.0, 5),
        cell("rayon", 1000, 100.0, 5),
        Cell { modes, ..cell("tokio", 1000, 200.0, 5) },
    ];
    let outside = [
        late("threads", 10, 200.0, 50_000),
        late("compio", 10, 100.0, 1_100_000),
        late("threads", 1000, 100.0, 50_000),
        late("compio", 1000, 200.0, 1_100_000),
    ];
    let brief = |inside: &[Cell], outside: &[Cell]| {
        advice_in_brief(&[
            (Placement::Inside, advise(inside)),
            (Placement::Outside, advise(outside)),
        ])
    };
    let take = "Inside: rayon at 10 jobs at once, tokio at 1 000; outside: a thread for each job at 10 jobs at once, \
                compio at 1 000.";
    let none =
        "Inside and outside: no model is less than 5 % behind the best at all ranked scales.";
    let two_modes =
        "Inside: no single figure represents tokio at 1 000, whose times fall into two modes.";
    assert_eq!(brief(&inside, &outside), [take, none, two_modes]);
    let timers = "Outside: timers are a part of these differences, because at 10 jobs at once the median sleep ended \
                  50.0 µs late on threads and 1.10 ms late on compio.";
    assert_eq!(brief(&inside[..2], &outside[..2])[1..], [timers]);
    // Where nothing was ranked, nothing is said.
    let unknown = [refused("threads", 10, "no threads")];
    assert_eq!(brief(&inside[..2], &unknown), ["Inside: rayon at 10 jobs at once."]);
    assert_eq!(brief(&unknown, &unknown), [""; 0]);
}

#[test]
fn where_no_p99_is_ranked_nothing_is_said_of_it_but_that_throughput_alone_decides() {
    let at = |scale, with_p99: bool| {
        [cell("threads", scale, 100.0, 5), cell("tokio", scale, 200.0, 5)].map(|mut cell| {
            if !with_p99 {
                cell.latency_ns_p99 = None;
                cell.per_trial.latency_ns_p99.clear();
            }
            cell
        })
    };
    let both = "the best changes hands neither by throughput nor by p99 latency";
    let one = "the best does not change hands by throughput, as far";
    for (with, sentence, other) in [(true, both, "alone decides"), (false, one, both)] {
        let text = shown(&[at(5, with), at(1000, with)].concat());
        assert!(text.contains(sentence) && !text.contains(other), "{text}");
    }
    let text = shown(&[at(5, false), at(1000, true)].concat());
    assert!(text.contains("At 5 throughput alone decides: no model is ranked by p99"), "{text}");
}
