//! Marks, ranks and notes of planted cells.

use super::*;
use crate::{
    plan::{Choice, cells},
    record::{Estimate, PerTrial},
};
use paceline_core::{models, workloads};

/// Of five trials that differ by `percent`, each model in its own way.
fn cell(model: &str, rate: f64, percent: f64, floor_ns: u64) -> Cell {
    let workload = [workloads::find("sleep").unwrap()];
    let choice = Choice { scales: vec![10], ..Choice::default() };
    let planned = cells(&workload, &[models::find(model).unwrap()], &choice);
    let trial = Estimate { value: 1.0, lower: 1.0, upper: 1.0 };
    let measured = planned[0].measured(State::Ok, Some(trial), "test".into());
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

#[test]
fn the_best_is_marked_with_all_that_no_test_tells_from_it() {
    let cells = [
        cell("tokio", 100.0, 5.0, LONG),
        cell("smol", 98.0, 5.0, LONG),
        // Its interval overlaps that of tokio, and it is slower in every pass.
        Cell {
            per_trial: slower(&cell("tokio", 100.0, 5.0, LONG)),
            ..cell("rayon", 95.0, 5.0, LONG)
        },
        cell("pool", 50.0, 1.0, LONG),
    ];
    let table = cells_table(&cells);
    assert!(table.contains("*99.9 ±") && table.contains("*97.9 ±"), "{table}");
    assert!(table.contains(" 94.9 ±") && table.contains(" 50.0 ±"), "{table}");
    assert!(!table.contains("*94.9") && !table.contains("*50.0"), "{table}");
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
    let table = cells_table(&cells);
    assert!(
        table.contains("*200") && table.contains("*100 ") && !table.contains("*150"),
        "{table}"
    );
    assert!(
        !table.contains("*90") && table.contains("not in their time: tokio, smol\n"),
        "{table}"
    );
    assert!(!cells_table(&cells[1..3]).contains("*1"), "one alone is the best of nothing");
}

#[test]
fn waits_too_short_for_timers_and_too_few_trials_are_not_ranked() {
    let brief = [cell("tokio", 100.0, 5.0, 1_000_000), cell("pool", 50.0, 5.0, 1_000_000)];
    assert!(cells_table(&brief).contains(" 99.9 ±") && !cells_table(&brief).contains("*99.9"));
    let two = |mut of: Cell| {
        of.per_trial.jobs_per_second.truncate(2);
        of
    };
    let few = [two(cell("tokio", 100.0, 5.0, LONG)), two(cell("pool", 50.0, 5.0, LONG))];
    assert!(cells_table(&few).contains(" 99.9 n=2") && !cells_table(&few).contains("*99.9"));
}

#[test]
fn an_unreliable_model_is_called_so_under_every_table_of_it() {
    let cells = [cell("tokio", 100.0, 5.0, 10_000_000), cell("may", 90.0, 5.0, 10_000_000)];
    let remark = "may is unreliable: in optimised builds";
    for text in [cells_table(&cells), limits_table(&cells), crate::report::compact_table(&cells)] {
        assert_eq!(text.matches(remark).count(), 1, "{text}");
    }
    assert!(!cells_table(&cells[..1]).contains("unreliable"));
}

#[test]
fn what_has_no_figure_is_in_the_table_and_has_its_reason_under_it() {
    let mut refused = cell("threads", 1.0, 0.0, 0);
    (refused.state, refused.jobs_per_second) = (State::Refused, None);
    refused.reason = Some("needs more than there is".into());
    let table = cells_table(&[refused.clone()]);
    assert!(table.contains("refused threads at 10: needs more than there is"), "{table}");
    assert_eq!(summary(&[refused]), "1 cell: 1 refused");
}
