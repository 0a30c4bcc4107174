//! Sentences of planted advice: what people read must be what was found.

use super::*;
use crate::{
    advice::advise,
    plan::{Choice, cells},
    record::{Cell, Estimate},
};
use paceline_core::{histogram::Distribution, models, workloads};

fn cell(model: &str, scale: usize, rate: f64, processes: usize) -> Cell {
    let workload = [workloads::find("sleep").unwrap()];
    let choice = Choice { scales: vec![scale], ..Choice::default() };
    let planned = cells(&workload, &[models::find(model).unwrap()], &choice)[0];
    let around = |value: f64| Estimate { value, lower: value * 0.99, upper: value * 1.01 };
    Cell {
        jobs_per_second: Some(around(rate)),
        latency_ns_p99: Some(around(1e9 * scale as f64 / rate)),
        trials_ns: vec![1; processes],
        ..planned.measured(State::Ok, None, "planted".into())
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
    // As one line, so that what is looked for may be broken anywhere.
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
        "No model keeps up at every scale that is ranked.",
        "By throughput sequential is ahead at 1 job at once, threads at 20, tokio from 1 000 on.",
        "By p99 latency sequential is ahead",
        "monoio and glommio: refused at 20: no io_uring.",
        "not ranked refused: monoio, glommio",
        "in 1 of 126 comparisons.",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in {text}");
    }
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    let advice = advise(&crossing_cells());
    let text = advice_text(&advice, &advice_in_short(&advice, true));
    assert!(text.contains("  * Interrupted: this is partial"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    assert!(
        text.lines().any(|line| line.chars().count() > WIDTH - 15),
        "nothing was broken: {text}"
    );
}

#[test]
fn few_processes_come_with_how_often_chance_tells_equals_apart() {
    let text = shown(&[cell("threads", 5, 100.0, 3), cell("tokio", 5, 50.0, 3)]);
    assert!(text.contains("in 1 of 10 comparisons (with 5: 1 of 126;"), "{text}");
    let text = shown(&[cell("threads", 5, 100.0, 1), cell("tokio", 5, 50.0, 1)]);
    assert!(text.contains("nothing is ranked, for one process has no interval"), "{text}");
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
    assert!(text.contains("only sequential has figures") && !text.contains("enough"), "{text}");
}

#[test]
fn what_only_wide_intervals_keep_up_is_called_perhaps_enough() {
    let wide = |model, rate: f64| {
        let jobs = Estimate { value: rate, lower: rate * 0.5, upper: rate * 1.5 };
        Cell { jobs_per_second: Some(jobs), ..cell(model, 5, 100.0, 5) }
    };
    let text = shown(&[wide("sequential", 70.0), wide("tokio", 100.0)]);
    assert!(text.contains("At 5 jobs at once: a plain sequential program may be enough"), "{text}");
    assert!(
        text.contains("its median is 30 % behind tokio, but their intervals overlap"),
        "{text}"
    );
    assert!(!text.contains("program is enough") && text.contains("quieter machine"), "{text}");
}

#[test]
fn a_machine_that_others_kept_busy_is_said() {
    let with = |share| {
        let resources =
            crate::record::Resources { cpu_pressure_share: Some(share), ..Default::default() };
        let sequential = Cell { resources: Some(resources), ..cell("sequential", 5, 100.0, 5) };
        shown(&[sequential, cell("tokio", 5, 50.0, 5)])
    };
    assert!(with(0.3).contains("tasks waited for one in 30 % of the time"), "{}", with(0.3));
    assert!(!with(0.05).contains("Something else"), "{}", with(0.05));
}

#[test]
fn timers_that_differ_by_more_than_counts_are_named_as_a_part_of_it() {
    let late = |model, ns_p50| {
        let [count, ns_p90, ns_p99, ns_p999, ns_max] = [1, ns_p50, ns_p50, ns_p50, ns_p50];
        let (ns_mean, hdr_v2) = (ns_p50 as f64, String::new());
        let lateness =
            Distribution { count, ns_mean, ns_p50, ns_p90, ns_p99, ns_p999, ns_max, hdr_v2 };
        Cell { timer_lateness: Some(lateness), ..cell(model, 5, 100.0, 5) }
    };
    let text = shown(&[late("smol", 100_000), late("tokio", 1_100_000)]);
    assert!(text.contains("ended 100 µs late on smol and 1.10 ms late on tokio"), "{text}");
    // 5 % of the 10 ms that it waits are 0.5 ms.
    let text = shown(&[late("smol", 100_000), late("tokio", 590_000)]);
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
        "In two modes, so that no single figure stands for them: may at 5.",
        "may: a trial takes 5.00 µs (50 %) or 80.0 µs (50 %)",
        "but its trials fall into two modes",
        "Beware of may: its stacks are small",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in {text}");
    }
}
