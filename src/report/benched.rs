//! What `cargo bench` prints at its end: a short table, and a line for each reason why a figure is missing. The record
//! and the page have every cell.

use std::fmt::Write;

use super::{
    table::{in_order, word},
    unreliable::footnotes,
};
use crate::output::{count, rate};
use crate::output::{figures_table, width};
use crate::record::{Cell, State};

/// The most reasons that are shown.
const MOST_REASONS: usize = 10;

/// A block for each workload: a line for each model, a column for each scale. Of several numbers of workers the greatest
/// is shown.
#[must_use]
pub fn benched_table(cells: &[Cell]) -> String {
    let processes = |cell: &Cell| cell.trials_ns.len();
    let usual = cells.iter().filter(|cell| cell.batch_ns.is_some()).map(processes).max();
    let mut text = String::new();
    for workload in in_order(cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Cell> = cells.iter().filter(|cell| cell.workload == workload).collect();
        let of: Vec<&Cell> = of.iter().copied().filter(|cell| is_widest(cell, &of)).collect();
        let _ = writeln!(text, "\n{workload}: jobs per second, by jobs at once");
        text.push_str(&block(&of, usual.unwrap_or(0)));
        text.push('\n');
    }
    if let Some(usual) = usual {
        let _ = writeln!(
            text,
            "\n±: half of the 95 % interval between {usual} processes, or as many as stand in brackets"
        );
    }
    text.push_str(&footnotes(cells.iter().map(|cell| cell.model.as_str())));
    text.trim_end().to_owned()
}

/// Whether no other cell of its model has more workers.
fn is_widest(cell: &Cell, cells: &[&Cell]) -> bool {
    let mut others = cells.iter().filter(|other| other.model == cell.model);
    others.all(|other| other.workers <= cell.workers)
}

fn block(cells: &[&Cell], usual: usize) -> String {
    let models = in_order(cells.iter().map(|cell| cell.model.as_str()));
    let mut scales = in_order(cells.iter().map(|cell| cell.scale));
    scales.sort_unstable();
    let figures = |scales: &[usize]| {
        let row = |model: &&str| {
            let figure = |scale: &usize| {
                let mut of = cells.iter().filter(|cell| cell.model == *model);
                of.find(|cell| cell.scale == *scale).map_or_else(String::new, |c| figure(c, usual))
            };
            std::iter::once((*model).to_owned()).chain(scales.iter().map(figure)).collect()
        };
        let head: Vec<String> =
            std::iter::once("model".to_owned()).chain(scales.iter().map(|s| count(*s))).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        figures_table(&head, &models.iter().map(row).collect::<Vec<_>>())
    };
    // Where not all scales have room side by side, those next to the greatest give way.
    let mut table = figures(&scales);
    while scales.len() > 2 && table.lines().any(|line| line.chars().count() > width()) {
        scales.remove(scales.len() - 2);
        table = figures(&scales);
    }
    table
}

fn figure(cell: &Cell, usual: usize) -> String {
    let Some(jobs) = cell.jobs_per_second.filter(|_| cell.state == State::Ok) else {
        return word(cell.state).into();
    };
    let half = (jobs.upper - jobs.lower) / 2.0 / jobs.value * 100.0;
    let digits = usize::from(half < 9.95);
    let few = match cell.trials_ns.len() {
        processes if processes == usual => String::new(),
        processes => format!(" ({processes})"),
    };
    format!("{} ±{half:.digits$}%{few}", rate(jobs.value))
}

/// A line for each reason why cells have no figure, with how many there are and what helps; the most frequent first.
#[must_use]
pub fn missing(cells: &[Cell]) -> Vec<String> {
    let mut groups: Vec<(State, String, Vec<&Cell>)> = vec![];
    for cell in cells.iter().filter(|cell| cell.state != State::Ok) {
        let kind = kind(cell);
        match groups.iter_mut().find(|(state, of, _)| (*state, of) == (cell.state, &kind)) {
            Some((_, _, same)) => same.push(cell),
            None => groups.push((cell.state, kind, vec![cell])),
        }
    }
    groups.sort_by_key(|(_, _, cells)| std::cmp::Reverse(cells.len()));
    let line = |(state, _, cells): &(State, String, Vec<&Cell>)| {
        let models = in_order(cells.iter().map(|cell| cell.model.as_str())).join(", ");
        let many = if cells.len() == 1 { "cell" } else { "cells" };
        let why = match state {
            State::Skipped => {
                "no room in the budget; PACELINE_BUDGET=30m, or a filter, makes some".into()
            }
            // The greatest scale needs most.
            _ => cells
                .iter()
                .rev()
                .max_by_key(|cell| cell.scale)
                .and_then(|cell| cell.reason.clone())
                .unwrap_or_default(),
        };
        format!("{} {many} {} ({models}): {why}", cells.len(), word(*state))
    };
    let mut lines: Vec<String> = groups.iter().take(MOST_REASONS).map(line).collect();
    let rest = groups.len().saturating_sub(MOST_REASONS);
    if rest > 0 {
        lines.push(format!("{rest} other reasons: see the record"));
    }
    lines
}

/// What reasons have in common that differ in their model, their workload and their numbers alone.
pub(super) fn kind(cell: &Cell) -> String {
    let reason = match cell.state {
        State::Skipped => return String::new(),
        _ => cell.reason.as_deref().unwrap_or_default(),
    };
    let named = reason.replace(&cell.model, "").replace(&cell.workload, "");
    named.chars().filter(|c| !c.is_numeric() && !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Estimate;
    use paceline_core::perform::Placement;

    fn cell(model: &str, scale: usize, workers: usize, processes: usize) -> Cell {
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
        let text = benched_table(&[cell("tokio", 1, 2, 10), cell("tokio", 100, 2, 5)]);
        assert!(text.contains("1.00k ±2.0%  ") && text.contains("1.00k ±2.0% (5)"), "{text}");
        assert!(text.contains("between 10 processes"), "{text}");
    }

    #[test]
    fn of_several_numbers_of_workers_the_greatest_is_shown() {
        let text = benched_table(&[cell("tokio", 1, 1, 9), cell("tokio", 1, 2, 10)]);
        assert!(!text.contains("(9)"), "{text}");
    }

    #[test]
    fn a_reason_has_one_line_with_its_count_its_models_and_the_remedy() {
        let files = |scale: usize| {
            format!("needs {scale} open files, has 64; lift it with: ulimit -n {scale}")
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
        let lines = missing(&cells);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("3 cells skipped (smol, rayon): no room"), "{lines:?}");
        assert!(lines[0].contains("PACELINE_BUDGET=30m"), "{lines:?}");
        assert_eq!(lines[1], "2 cells refused (pool, rayon): pool does not support hop");
        assert!(lines[2].ends_with("ulimit -n 1000"), "{lines:?}");
    }

    /// The default profile: 9 models, 5 workloads of 7 scales, one of them with several numbers of workers.
    #[test]
    fn a_default_run_prints_at_most_80_lines() {
        let mut cells = vec![];
        for (workload, model) in (0..5).flat_map(|w| (0..9).map(move |m| (w, m))) {
            for (scale, workers) in
                (0..7).flat_map(|s| [(10_usize.pow(s), 1), (10_usize.pow(s), 2)])
            {
                let of = cell(&format!("model-{model}"), scale, workers, 10);
                cells.push(Cell { workload: format!("workload-{workload}"), ..of });
            }
        }
        for reason in 0..30 {
            let failed = without("model-1", 10, State::Failed, &"x".repeat(reason + 1));
            cells.push(Cell { workload: "workload-0".into(), ..failed });
        }
        let lines = benched_table(&cells).lines().count() + missing(&cells).len();
        // Behind these come what was left out, a summary and where four things are.
        assert!(lines + 6 <= 80, "{lines}");
    }
}
