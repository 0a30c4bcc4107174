//! The table at the end of a run.

use std::fmt::Write;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::figures::{count, long, rate};
use crate::record::{Cell, State};

/// The width of a table where there is no terminal to ask.
const WIDTH: usize = 120;

/// A plain table with a head.
#[must_use]
pub fn list_table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width() as u16)
        .set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    trimmed(&table)
}

/// Every cell: a block for each workload, in the order in which they came, and under it what has no figure and why.
#[must_use]
pub fn cells_table(cells: &[Cell]) -> String {
    let mut text = String::new();
    for workload in in_order(cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Cell> = cells.iter().filter(|cell| cell.workload == workload).collect();
        let _ = writeln!(text, "\n{workload}: jobs per second");
        for block in blocks(&of) {
            let _ = writeln!(text, "{block}");
        }
        text.push_str(&notes(&of));
    }
    text.push_str(
        "\n* the best of its row, and whatever its interval does not tell from it; ± half of the interval\n",
    );
    text
}

/// How many cells ended how.
#[must_use]
pub fn summary(cells: &[Cell]) -> String {
    let states = [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed];
    let counted = states.map(|state| {
        let count = cells.iter().filter(|cell| cell.state == state).count();
        (count > 0).then(|| format!("{count} {}", word(state)))
    });
    let counted = counted.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("{} cells: {}", cells.len(), if counted.is_empty() { "none".into() } else { counted })
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Invalid => "invalid",
        State::Refused => "refused",
        State::Skipped => "skipped",
        State::Failed => "failed",
    }
}

/// The name of a series: the model's, with its workers where a workload is run with several numbers of them.
fn series(cell: &Cell, several: bool) -> String {
    match cell.workers {
        Some(workers) if several => format!("{}@{workers}", cell.model),
        _ => cell.model.clone(),
    }
}

fn blocks(cells: &[&Cell]) -> Vec<String> {
    const COLUMN: usize = 15;
    let several = several_workers(cells.iter().copied());
    let names = in_order(cells.iter().map(|cell| series(cell, several)));
    let scales = in_order(cells.iter().map(|cell| cell.scale));
    let best = |scale: usize| {
        let of_scale = cells.iter().filter(|cell| cell.scale == scale);
        let rates = of_scale.filter_map(|cell| cell.jobs_per_second);
        rates.max_by(|a, b| a.value.total_cmp(&b.value))
    };
    let wide = names.iter().map(|name| name.chars().count() + 2).max().unwrap_or(0).max(COLUMN);
    let per_block = ((width() - 12) / wide).max(1);
    let block = |names: &[String]| {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let head = std::iter::once("scale").chain(names.iter().map(String::as_str));
        table.set_header(head.collect::<Vec<_>>());
        for scale in &scales {
            let figure = |name: &String| {
                let mut of = cells.iter();
                let cell = of.find(|c| c.scale == *scale && series(c, several) == *name);
                cell.map_or_else(String::new, |cell| figure(cell, best(*scale).map(|b| b.lower)))
            };
            table.add_row(std::iter::once(count(*scale)).chain(names.iter().map(figure)));
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(8)));
        }
        trimmed(&table)
    };
    names.chunks(per_block).map(block).collect()
}

fn figure(cell: &Cell, best_lower: Option<f64>) -> String {
    match cell.jobs_per_second {
        Some(jobs) if cell.state == State::Ok => {
            let mark = if best_lower.is_some_and(|best| jobs.upper >= best) { "*" } else { "" };
            let half = (jobs.upper - jobs.lower) / 2.0 / jobs.value * 100.0;
            let digits = usize::from(half < 9.95);
            format!("{mark}{} ±{half:.digits$}%", rate(jobs.value))
        }
        _ => word(cell.state).to_owned(),
    }
}

/// Every cell without a figure, with its reason, a line for each series and reason; and where fewer jobs were in
/// flight than were offered although they wait.
fn notes(cells: &[&Cell]) -> String {
    let several = several_workers(cells.iter().copied());
    let mut lines: Vec<(String, Vec<String>, String)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.state != State::Ok) {
        let who = format!("  {} {}", word(cell.state), series(cell, several));
        let why = cell.reason.clone().unwrap_or_default();
        match lines.iter_mut().find(|(name, _, reason)| *name == who && *reason == why) {
            Some((_, scales, _)) => scales.push(count(cell.scale)),
            None => lines.push((who, vec![count(cell.scale)], why)),
        }
    }
    let mut text = String::new();
    for (who, scales, why) in lines {
        let _ = writeln!(text, "{who} at {}: {why}", scales.join(", "));
    }
    let fewer: Vec<String> =
        cells.iter().filter_map(|cell| fewer_in_flight(cell, several)).collect();
    if !fewer.is_empty() {
        let _ = writeln!(text, "  in flight at once, at most: {}", fewer.join(", "));
    }
    text
}

/// "tokio at 100 000: 31 415", where jobs that could all wait at once did not.
fn fewer_in_flight(cell: &Cell, several: bool) -> Option<String> {
    let peak = cell.attest.as_ref()?.peak_in_flight as usize;
    let waits = cell.round_ns?.value > 0.0 && cell.scale >= 10_000;
    (waits && peak > 1000 && peak < cell.scale)
        .then(|| format!("{} at {}: {}", series(cell, several), count(cell.scale), count(peak)))
}

fn several_workers<'c>(cells: impl Iterator<Item = &'c Cell> + Clone) -> bool {
    let models = in_order(cells.clone().map(|cell| &cell.model));
    models.iter().any(|model| {
        let of = cells.clone().filter(|cell| cell.model == **model);
        in_order(of.map(|cell| cell.workers)).len() > 1
    })
}

/// Each value once, in the order of its first appearance.
fn in_order<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

fn width() -> usize {
    let terminal = Table::new().width().map(usize::from);
    terminal.unwrap_or(WIDTH).clamp(60, 400)
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// "11 rounds of 1.20 s", for predictions.
#[must_use]
pub(crate) fn rounds_of(rounds: u32, round: std::time::Duration) -> String {
    format!("{rounds} rounds of {}", long(round))
}
