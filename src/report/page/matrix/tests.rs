//! Tests of the matrix.

use std::time::Duration;

use super::*;
use crate::{
    record::{Estimate, Knee, LoadFigures, Loop, PerTrial, Resources},
    start::{Settings, begin},
};

/// Returns a cell whose trials are around `rate`, and whose jobs take as many nanoseconds of CPU time.
fn cell(model: &str, placement: Placement, rate: f64) -> Cell {
    let mut trials: Vec<f64> = [0.99, 1.0, 1.01, 1.0].map(|share| rate * share).to_vec();
    trials.rotate_left(model.len() % 4);
    let figure = Estimate::of_trials(&trials, 0.0);
    Cell {
        jobs_per_second: figure,
        latency_ns_p99: figure,
        cpu_ns_per_job: Some(rate),
        per_trial: PerTrial {
            jobs_per_second: trials.clone(),
            cpu_ns_per_job: trials,
            ..PerTrial::default()
        },
        ..Cell::new("echo", model, 10, Some(2), placement, State::Ok)
    }
}

/// Returns each line as text: its class, figure, note and models.
fn read(by: By, cells: &[Cell]) -> Vec<String> {
    let cells: Vec<&Cell> = cells.iter().collect();
    lines(&field(by, &models::lines(&cells), 10, true))
}

fn lines(field: &Field) -> Vec<String> {
    let line = |line: &Line| {
        let chips: Vec<&str> = line.chips.iter().map(|chip| chip.name.as_str()).collect();
        let behind = line.behind.iter().map(|(figure, chip)| format!(", {figure} {}", chip.name));
        let behind: String = behind.collect();
        format!("{} {} {} {}{behind}", line.class, line.figure, line.note, chips.join(","))
            .replace("  ", " ")
    };
    field
        .lines
        .iter()
        .map(line)
        .chain([field.why.clone()])
        .filter(|text| !text.is_empty())
        .collect()
}

fn four() -> Vec<Cell> {
    vec![
        cell("tokio", Placement::Inside, 100.0),
        cell("smol", Placement::Inside, 99.9),
        cell("threads", Placement::Outside, 500.0),
        cell("compio", Placement::Dealt, 50.0),
    ]
}

#[test]
fn each_placement_has_a_best_of_its_own_with_its_ties() {
    assert_eq!(read(RATE, &four()), ["in 100 tokio,smol", "out 500 threads"]);
    assert_eq!(read(CPU, &four()), ["in 99.9 ns smol,tokio", "out 50.0 ns compio"]);
}

#[test]
fn who_is_best_is_not_said_where_a_model_lacks_the_figures_of_single_trials() {
    let mut cells = four();
    // Two others could be compared, but the first might be the best.
    cells.push(cell("rayon", Placement::Inside, 90.0));
    cells[0].per_trial.cpu_ns_per_job.clear();
    assert_eq!(read(CPU, &cells), ["in from 90.0 ns not ranked ", "out 50.0 ns compio"]);
    for cell in &mut cells {
        cell.per_trial.jobs_per_second.truncate(2);
    }
    let up_to = ["in up to 100 not ranked ", "out up to 500 not ranked "];
    assert_eq!(read(RATE, &cells), up_to);
}

#[test]
fn of_rates_that_are_the_least_none_is_said_to_be_the_greatest() {
    let at_knee = |gave_way: Option<&str>| {
        let gave_way = gave_way.map(str::to_owned);
        let knee = Some(Knee { limit_ns: 1, steps: vec![], gave_way });
        let load = Some(LoadFigures { knee, ..LoadFigures::new(Loop::Open, None, None, 4) });
        four()[2..].iter().map(|of| Cell { load: load.clone(), ..of.clone() }).collect::<Vec<_>>()
    };
    assert_eq!(read(RATE, &at_knee(None)), ["out at least 500 not ranked "]);
    assert_eq!(read(RATE, &at_knee(Some("slow"))), ["out up to 500 not ranked "]);
}

#[test]
fn a_model_beside_one_that_lacks_the_figure_is_not_alone() {
    let mut cells = four();
    cells[0].latency_ns_p99 = None;
    assert_eq!(read(P99, &cells)[0], "in from 99.9 ns not ranked ");
}

#[test]
fn a_model_with_nothing_to_compare_it_with_is_alone_and_not_the_best() {
    assert_eq!(read(RATE, &four()[..1]), ["in 100 alone tokio"]);
}

#[test]
fn what_was_not_measured_says_why() {
    let mut cells = four();
    for cell in &mut cells {
        cell.state = State::Skipped;
    }
    cells[3].state = State::Refused;
    assert_eq!(read(RATE, &cells), ["over budget, refused"]);
    cells[2].reason = Some("1 process of it ended, 3 are needed: it was interrupted".into());
    assert_eq!(read(RATE, &cells), ["interrupted, over budget, refused"]);
    assert_eq!(read(RATE, &[]), [""; 0]);
    let mut recorded = run("rounds");
    let matrix = |run: &Run| {
        Matrix::of(run, "m", &[("echo", "w".into(), cells.iter().collect())]).render().unwrap()
    };
    assert!(matrix(&recorded).contains("it takes 1 000 latencies in each trial"));
    recorded.instrument = "criterion".into();
    let text = matrix(&recorded);
    let command = "paceline run echo --model tokio,smol,threads,compio --budget 30m";
    assert!(text.contains("cargo bench times whole batches"), "{text}");
    assert!(text.contains(command), "{text}");
}

fn run(instrument: &'static str) -> Run {
    let settings = Settings { instrument, budget: Duration::ZERO, seed: None, more: vec![] };
    begin(&settings, &[], &[])
}

/// Returns the same cells at `scale`. Each of their jobs adds as many KiB as the rate of its model.
fn with_memory(scale: usize) -> Vec<Cell> {
    let at = |cell: Cell| {
        let each = cell.cpu_ns_per_job.unwrap_or_default() as u64 * 1024;
        let resources =
            Resources { rss_bytes_added: Some(each * scale as u64), ..Resources::default() };
        Cell { scale, resources: Some(resources), ..cell }
    };
    four().into_iter().map(at).collect()
}

#[test]
fn memory_per_job_is_the_slope_of_each_model_in_its_class_the_least_first() {
    let read = |scales: &[usize]| {
        let cells: Vec<Cell> = scales.iter().flat_map(|scale| with_memory(*scale)).collect();
        let cells: Vec<&Cell> = cells.iter().collect();
        lines(&per_job::field(&models::lines(&cells), true))
    };
    let slopes = ["in 99.0 KiB smol, 100 KiB tokio", "out 50.0 KiB compio, 500 KiB threads"];
    assert_eq!(read(&[1, 100]), slopes);
    // 400 KiB and 200 KiB more are under a MiB, for 4 more jobs; 2 000 KiB are not.
    let under = ["in under 256 KiB tokio,smol", "out under 256 KiB compio, 500 KiB threads"];
    assert_eq!(read(&[1, 5]), under);
    assert_eq!(read(&[1, 2]), ["too little to tell"]);
    assert_eq!(read(&[100]), ["one scale only"]);
    assert_eq!(read(&[]), [""; 0]);
    let all: Vec<Cell> = [1, 100].into_iter().flat_map(with_memory).collect();
    let rows = [("echo", "w".to_owned(), all.iter().collect())];
    let text = Matrix::of(&run("rounds"), "m", &rows).render().unwrap();
    let shown = "<strong>500 KiB</strong> <span class=\"chip";
    assert!(text.contains(shown) && text.contains("all scales together"), "{text}");
}
