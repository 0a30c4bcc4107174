//! Marks, ranks and notes of planted cells.

use std::slice;

use super::*;
use crate::{
    plan::{Choice, cells},
    record::{Estimate, PerTrial},
};
use paceline_core::{job::bounds, models, perform::Placement, prepared::Attestation, workloads};

/// Returns a cell of five trials that differ by `percent`, differently for each model.
fn cell(model: &str, rate: f64, percent: f64, floor_ns: u64) -> Cell {
    let workload = [workloads::find("sleep").unwrap()];
    let choice = Choice { scales: vec![10], ..Choice::default() };
    let planned = cells(&workload, &[models::find(model).unwrap()], &choice);
    let trial = Estimate { value: 1.0, lower: 1.0, upper: 1.0 };
    let measured = planned[0].cell_with_time(State::Ok, Some(trial), "test".into());
    let turn = model.len();
    let rates: Vec<f64> = (0..5)
        .map(|pass| rate * (1.0 + percent / 100.0 * [-1.0, 0.5, 0.0, 1.0, -0.5][(pass + turn) % 5]))
        .collect();
    Cell {
        jobs_per_second: Estimate::of_trials(&rates, 1.0),
        per_trial: PerTrial { jobs_per_second: rates, ..PerTrial::default() },
        floor_ns,
        placement: Placement::Outside,
        ..measured
    }
}

const LONG: u64 = 10_000_000;

fn short(cells: &[Cell]) -> String {
    cells_table(cells, Extent::Short)
}

#[test]
fn the_best_is_marked_with_all_that_no_test_tells_from_it() {
    let cells = [
        cell("tokio", 100.0, 5.0, LONG),
        cell("smol", 98.0, 5.0, LONG),
        // Its interval overlaps tokio's, and it is slower in every pass.
        Cell {
            per_trial: slower(&cell("tokio", 100.0, 5.0, LONG)),
            ..cell("rayon", 95.0, 5.0, LONG)
        },
        cell("pool", 50.0, 1.0, LONG),
    ];
    let table = short(&cells);
    assert!(table.contains("*99.9 ±") && table.contains("=97.9 ±"), "{table}");
    assert!(table.contains(" 94.9 ±") && table.contains(" 50.0 ±"), "{table}");
    assert!(!table.contains("=94.9") && !table.contains("=50.0"), "{table}");
}

#[test]
fn the_widest_interval_is_rounded_as_in_the_table() {
    let smol = cell("smol", 1000.0, 1.0, LONG);
    for (half, said) in [(124.0, "±12%"), (12.4, "±1.2%"), (1270.0, "±127%")] {
        let (lower, upper) = (1000.0 - half, 1000.0 + half);
        let jobs_per_second = Some(Estimate { value: 1000.0, lower, upper });
        let wide = Cell { jobs_per_second, ..cell("tokio", 1000.0, 1.0, LONG) };
        // Narrower than any that is tried above.
        let even = Estimate { value: 1000.0, lower: 999.0, upper: 1001.0 };
        let smol = Cell { jobs_per_second: Some(even), ..smol.clone() };
        let text = legend(&[&wide, &smol], 5, Fields::Trials);
        assert!(text.contains(&format!("the widest: {said} (sleep tokio at 10)")), "{text}");
        assert!(figure(&wide, "").ends_with(said), "{}", figure(&wide, ""));
    }
}

#[test]
fn only_marks_that_are_in_the_table_are_explained() {
    let fast = || cell("tokio", 100.0, 5.0, LONG);
    let tied = [fast(), cell("smol", 98.0, 5.0, LONG), cell("pool", 50.0, 1.0, LONG)];
    let told = |cells: &[Cell]| short(cells).replace('\n', " ");
    assert!(told(&tied).contains("* fastest at its scale, = tied with it: "), "{}", told(&tied));
    let apart = told(&[fast(), cell("pool", 50.0, 1.0, LONG)]);
    assert!(apart.contains(" *") && apart.contains("* fastest at its scale: "), "{apart}");
    assert!(!apart.contains('=') || !apart.contains("= tied"), "{apart}");
    // Several models of which none is ranked: why, and nothing of marks.
    let brief = told(&[cell("tokio", 100.0, 1.0, 1), cell("pool", 50.0, 1.0, 1)]);
    assert!(brief.contains("nothing is ranked: ") && !brief.contains('*'), "{brief}");
    // Nor are models that have no scale in common.
    let apart = told(&[fast(), Cell { scale: 100, ..cell("smol", 98.0, 5.0, LONG) }]);
    assert!(apart.contains("nothing is ranked: ") && !apart.contains('*'), "{apart}");
    let alone = told(&[fast()]);
    assert!(!alone.contains('*') && !alone.contains("ranked"), "{alone}");
    assert!(alone.contains("each figure: 5 trials"), "{alone}");
}

#[test]
fn rows_in_which_all_models_are_at_their_bound_are_named_as_telling_none_apart() {
    let bound = |model: &str, scale: usize, share: f64| {
        let of = cell(model, 97.0, 1.0, LONG);
        let bound_jobs_per_second = of.jobs_per_second.map(|jobs| jobs.value / share);
        Cell { scale, bound_jobs_per_second, ..of }
    };
    let mut cells = vec![bound("tokio", 10, 0.97), bound("smol", 10, 0.96)];
    cells.extend([bound("tokio", 100, 0.99), bound("smol", 100, 0.4)]);
    cells.push(bound("tokio", 1000, 0.99));
    let text = short(&cells);
    let line = text.lines().find(|line| line.contains("telling no models apart")).unwrap();
    let of: String = text[text.find(line).unwrap()..].lines().take(2).collect();
    assert!(of.contains("at 10") && !of.contains("at 100") && !of.contains("1 000"), "{text}");
    // Without a bound nobody knows.
    cells[1].bound_jobs_per_second = None;
    assert!(!short(&cells).contains("telling no models apart"));
}

fn slower(than: &Cell) -> PerTrial {
    let slow = |(pass, rate): (usize, &f64)| rate * (0.95 + 0.001 * (pass % 2) as f64);
    let jobs_per_second = than.per_trial.jobs_per_second.iter().enumerate().map(slow).collect();
    PerTrial { jobs_per_second, ..PerTrial::default() }
}

#[test]
fn only_cells_of_one_class_are_ranked_together() {
    let inside = |of: Cell| Cell { placement: Placement::Inside, ..of };
    let cells = [
        inside(cell("tokio", 200.0, 1.0, LONG)),
        inside(cell("smol", 150.0, 1.0, LONG)),
        cell("pool", 100.0, 1.0, LONG),
        Cell { placement: Placement::Dealt, ..cell("compio", 90.0, 1.0, LONG) },
    ];
    let table = short(&cells);
    assert!(
        table.contains("*200") && table.contains("*100 ") && !table.contains("*150"),
        "{table}"
    );
    assert!(!table.contains("*90") && table.contains("not in their time: tokio, smol"), "{table}");
    assert!(!short(&cells[1..3]).contains("*1"), "one alone is the best of nothing");
}

#[test]
fn waits_too_short_for_timers_and_too_few_trials_are_not_ranked() {
    let brief = [cell("tokio", 100.0, 5.0, 1_000_000), cell("pool", 50.0, 5.0, 1_000_000)];
    assert!(short(&brief).contains(" 99.9 ±") && !short(&brief).contains("*99.9"));
    let two = |mut of: Cell| {
        of.per_trial.jobs_per_second.truncate(2);
        of
    };
    let few = [two(cell("tokio", 100.0, 5.0, LONG)), two(cell("pool", 50.0, 5.0, LONG))];
    assert!(short(&few).contains(" 99.9 n=2") && !short(&few).contains("*99.9"));
}

#[test]
fn what_has_no_figure_is_in_the_table_and_has_its_reason_under_it() {
    let mut refused = cell("threads", 1.0, 0.0, 0);
    (refused.state, refused.jobs_per_second) = (State::Refused, None);
    refused.reason = Some("needs more than there is".into());
    let all = cells_table([&refused], Extent::All);
    assert!(all.contains("refused threads at 10: needs more than there is"), "{all}");
    let table = short(slice::from_ref(&refused));
    assert!(table.contains("1 cell refused (threads; at 10): needs more than there is"), "{table}");
    assert_eq!(summary(&[refused]), "1 cell: 1 refused");
}

fn benched(model: &str, scale: usize, workers: usize, processes: usize) -> Cell {
    let rate = Estimate { value: 1000.0, lower: 980.0, upper: 1020.0 };
    Cell {
        jobs_per_second: Some(rate),
        batch_ns: Some(rate),
        trials_ns: vec![1; processes],
        ..Cell::new("cpu", model, scale, Some(workers), Placement::Inside, State::Ok)
    }
}

fn without(model: &str, scale: usize, state: State, reason: &str) -> Cell {
    let cell = Cell::new("cpu", model, scale, Some(2), Placement::Inside, state);
    Cell { reason: Some(reason.into()), ..cell }
}

#[test]
fn every_figure_says_how_many_processes_stand_behind_it() {
    let text = benched_table(&[benched("tokio", 1, 2, 10), benched("tokio", 100, 2, 5)]);
    assert!(text.contains("1.00k ±2.0%  ") && text.contains("1.00k ±2.0% (5)"), "{text}");
    assert!(text.contains("each figure: 10 trials; other numbers in brackets"), "{text}");
}

#[test]
fn of_several_numbers_of_workers_the_greatest_is_shown() {
    let text = benched_table(&[benched("tokio", 1, 1, 9), benched("tokio", 1, 2, 10)]);
    assert!(!text.contains("(9)") && text.contains("1 cell with fewer"), "{text}");
}

#[test]
fn a_reason_has_one_line_with_its_count_its_models_and_the_remedy() {
    let files = |scale: usize| {
        format!(
            "needs {scale} open files, has 64; raise the hard limit as root: sudo prlimit --pid $$ --nofile={scale}"
        )
    };
    let cells = [
        without("pool", 1, State::Refused, "pool does not support hop"),
        without("rayon", 1, State::Refused, "rayon does not support hop"),
        without("tokio", 1000, State::Refused, &files(1000)),
        without("smol", 100, State::Refused, &files(100)),
        without("smol", 100, State::Skipped, "predicted: 5 processes"),
        without("smol", 1000, State::Skipped, "warmed up: 10 processes"),
        without("rayon", 1000, State::Skipped, "predicted: 7 processes"),
    ];
    let interrupted = "1 process of it ended, 3 are needed: it was interrupted";
    let cut_off = without("pool", 10, State::Skipped, interrupted);
    let lines = missing(&cells.iter().chain([&cut_off]).collect::<Vec<_>>());
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines[0].starts_with("3 cells skipped (smol, rayon; at 100 to 1 000): over the time"),
        "{lines:?}"
    );
    assert!(lines[0].contains("PACELINE_BUDGET=30m"), "{lines:?}");
    assert_eq!(
        lines[1],
        "2 cells refused (pool, rayon; at 1): for example, pool does not support hop"
    );
    assert!(lines[2].ends_with("--nofile=1000"), "{lines:?}");
    // More time is no remedy for it.
    assert!(lines[3].starts_with("1 cell skipped (pool; at 10): interrupted"), "{lines:?}");
}

#[test]
fn numbers_of_one_cell_are_not_said_of_others_and_cells_of_hours_are_promised_no_room() {
    let late = |ms: u32| format!("5 of {ms} trials: {ms} ms late");
    let cells = [
        without("tokio", 10, State::Invalid, &late(4)),
        without("smol", 100, State::Invalid, &late(3)),
        Cell {
            predicted_ns: Some(1_800_000_000_001),
            ..without("smol", 1000, State::Skipped, "predicted: its trials take 30.1 min")
        },
        Cell {
            predicted_ns: Some(1_800_000_000_000),
            ..without("smol", 10, State::Skipped, "predicted: its trials take 30.0 min")
        },
        without("smol", 20, State::Skipped, "the server ended"),
    ];
    let lines = missing(&cells.iter().collect::<Vec<_>>());
    let of = |what: &str| lines.iter().find(|line| line.contains(what)).unwrap();
    let invalid = of("invalid");
    assert!(invalid.ends_with(": for example, smol at 100: 5 of 3 trials: 3 ms late"), "{invalid}");
    let skipped = of("skipped");
    assert!(skipped.ends_with("; 1 of them needs over 30 min"), "{skipped}");
    let alone = missing(&[&cells[0]]);
    assert!(alone[0].ends_with("(tokio; at 10): 5 of 4 trials: 4 ms late"), "{alone:?}");
}

/// The default profile: 9 models, 5 workloads of 7 scales, one of them with several worker counts.
#[test]
fn a_default_run_prints_at_most_80_lines() {
    let mut cells = vec![];
    for (workload, model) in (0..5).flat_map(|w| (0..9).map(move |m| (w, m))) {
        for (scale, workers) in (0..7).flat_map(|s| [(10_usize.pow(s), 1), (10_usize.pow(s), 2)]) {
            let of = benched(&format!("model-{model}"), scale, workers, 10);
            cells.push(Cell { workload: format!("workload-{workload}"), ..of });
        }
    }
    for reason in 0..30 {
        let failed = without("model-1", 10, State::Failed, &"x".repeat(reason + 1));
        cells.push(Cell { workload: "workload-0".into(), ..failed });
    }
    let lines = benched_table(&cells).lines().count();
    // What was left out, a summary and the paths of four things follow.
    assert!(lines + 6 <= 80, "{lines}");
}

#[test]
fn a_narrow_table_has_figures_alone_and_says_what_its_dash_means() {
    let cells = [
        benched("tokio", 1_000_000, 2, 5),
        benched("tokio", 20_000, 2, 10),
        without("tokio", 10, State::Skipped, "no room"),
        without("tokio", 100, State::Invalid, "wrong"),
    ];
    let shown = |cell: &Cell| in_column(cell, "*", Fields::Figures, 10);
    assert_eq!(cells.each_ref().map(shown), ["*1.00k", "*1.00k", "-", "invalid"]);
    let legend = legend(&cells.iter().collect::<Vec<_>>(), 10, Fields::Figures);
    assert!(legend.contains("-: skipped or refused"), "{legend}");
    let scales = [7, 100, 1500, 20_000, 1_000_000];
    assert_eq!(scales.map(brief_count), ["7", "100", "1 500", "20k", "1M"]);
}

#[test]
fn each_scale_that_exceeds_the_budget_has_the_time_that_it_needs() {
    let over = |scale, seconds: u64| Cell {
        predicted_ns: Some(seconds * 1_000_000_000),
        ..without("smol", scale, State::Skipped, "predicted: 3 processes")
    };
    let cells = [over(10, 1), over(1_000_000, 60_000), without("smol", 2, State::Failed, "why")];
    let lines = notes(&cells.iter().collect::<Vec<_>>());
    let needs = "skipped smol over the time budget: trials take at least 1.00 s at 10, 16.7 h at 1 000 000\n";
    assert!(lines.contains(needs) && lines.contains("failed smol at 2: why\n"), "{lines}");
}

#[test]
fn remarks_name_every_cell_where_all_is_asked_for() {
    let in_flight = |model, peak_in_flight, workers| Cell {
        scale: 10_000,
        workers,
        attest: Some(Attestation { peak_in_flight, ..Attestation::default() }),
        ..cell(model, 100.0, 1.0, LONG)
    };
    // A worker of `pool` holds one job, so its two workers have as many as they can.
    let cells = [
        in_flight("threads", 404, None),
        in_flight("pool", 2, Some(2)),
        in_flight("tokio", 5_000, Some(2)),
        in_flight("smol", 6_000, Some(2)),
        in_flight("compio", 7_000, Some(2)),
    ];
    let cells: Vec<&Cell> = cells.iter().collect();
    let of = |extent| {
        let remarks = figure_remarks(&cells, extent).into_iter();
        remarks.filter(|line| line.starts_with("fewer jobs in flight")).collect::<String>()
    };
    let [short, all] = [of(Extent::Short), of(Extent::All)];
    assert!(short.contains("threads at 10 000: 404") && short.ends_with(" and 1 more"), "{short}");
    assert!(all.contains("compio") && all.contains("7 000") && !all.contains("pool"), "{all}");
}

#[test]
fn a_climb_that_was_cut_off_did_not_reach_the_greatest_scale() {
    let at = |scale| [Cell { scale, ..cell("tokio", 100.0, 1.0, LONG) }];
    let cut_off = limits_table(&at(64));
    assert!(cut_off.contains("nothing so far: it was interrupted"), "{cut_off}");
    let whole = limits_table(&at(bounds::SCALE.most as usize));
    assert!(whole.contains("nothing, up to the greatest scale there is"), "{whole}");
}
