//! Sentences of planted advice: what people read must be what was found.

use super::*;
use crate::{
    advice::advise,
    models,
    plan::{Choice, cells},
    record::{Cell, Estimate},
    workloads,
};

fn cell(model: &str, scale: usize, rate: f64, processes: usize) -> Cell {
    let workload = [workloads::find("sleep").unwrap()];
    let choice = Choice { scales: vec![scale], ..Choice::default() };
    let planned = cells(&workload, &[models::find(model).unwrap()], &choice)[0];
    let around = |value: f64| Estimate { value, lower: value * 0.99, upper: value * 1.01 };
    Cell {
        jobs_per_second: Some(around(rate)),
        latency_ns_p99: Some(around(1e9 * scale as f64 / rate)),
        rounds_ns: vec![1; processes],
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
        series("threads", [99.0, 2000.0, 20_000.0]),
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
        "At 1 job at once: a plain sequential program is enough.",
        "At 20 jobs at once: a handful of threads is enough, one for each job.",
        "At 1 000 jobs at once: take tokio.",
        "No model keeps up at all of these scales.",
        "By throughput threads is ahead up to 20 jobs at once, tokio from 1 000 on.",
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
    assert!(text.contains("in 1 of 10 comparisons; --rounds 5 makes that 1 of 126."), "{text}");
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
