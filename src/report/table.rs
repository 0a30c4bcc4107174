//! The table at the end of a run.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{details::details, unreliable::footnotes};
use crate::{
    output::{count, list_table, long, plain_lines, rate, trimmed, width},
    record::{Cell, SHORTEST_RANKED_NS, State, leaders, same_class},
    stats::{FEWEST_TRIALS, Mode},
};
use paceline_core::perform::Placement;

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
        text.push_str(&details(&of));
    }
    let _ = writeln!(text, "\n{}", marks());
    if cells.iter().any(|cell| cell.state == State::Skipped) {
        text.push_str(
            "skipped: more time than the cell's share of the budget; a longer budget (PACELINE_BUDGET=30m, --budget 30m) gives more\n",
        );
    }
    plain_lines(&text)
}

/// What the marks of a table mean.
pub(super) fn marks() -> String {
    format!(
        "* the best of its row, or tied with it: no paired test over the passes tells it to be slower (5 %, Holm over all models);\n\
         what is offered from inside is ranked apart from the rest; ± half of the 95 % interval; fewer than {FEWEST_TRIALS} trials\n\
         (n=1, n=2) and waits under {} ms are not ranked",
        SHORTEST_RANKED_NS / 1_000_000
    )
}

/// What broke first in each series of cells whose scales were climbed.
#[must_use]
pub fn limits_table(cells: &[Cell]) -> String {
    let of = |cell: &Cell| (cell.workload.clone(), cell.model.clone(), cell.workers);
    let rows: Vec<Vec<String>> = in_order(cells.iter().map(of))
        .into_iter()
        .map(|name| {
            let series: Vec<&Cell> = cells.iter().filter(|cell| of(cell) == name).collect();
            let went = series.iter().rev().find(|cell| cell.state == State::Ok);
            let broke = series.iter().find(|cell| cell.state != State::Ok);
            let end = broke.map_or_else(
                || "nothing, up to the greatest scale there is".into(),
                |cell| {
                    let why = cell.reason.clone().unwrap_or_default();
                    format!("{} {}: {why}", count(cell.scale), word(cell.state))
                },
            );
            let went = went.map_or_else(|| "none".into(), |cell| count(cell.scale));
            vec![name.0, series_name(&name.1, name.2), went, end]
        })
        .collect();
    let table = list_table(&["workload", "model", "went to", "what broke first"], &rows);
    let footnotes = footnotes(cells.iter().map(|cell| cell.model.as_str()));
    plain_lines(format!("{table}\n{footnotes}").trim_end())
}

pub(super) fn series_name(model: &str, workers: Option<usize>) -> String {
    workers.map_or_else(|| model.to_owned(), |workers| format!("{model}@{workers}"))
}

/// How many cells ended how.
#[must_use]
pub fn summary(cells: &[Cell]) -> String {
    counted(&cells.iter())
}

/// The same of any cells.
pub(super) fn counted<'c>(cells: &(impl ExactSizeIterator<Item = &'c Cell> + Clone)) -> String {
    let states = [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed];
    let counted = states.map(|state| {
        let count = cells.clone().filter(|cell| cell.state == state).count();
        (count > 0).then(|| format!("{count} {}", word(state)))
    });
    let counted = counted.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("{} cell{}: {counted}", cells.len(), if cells.len() == 1 { "" } else { "s" })
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Invalid => "invalid",
        State::Refused => "refused",
        State::Skipped => "skipped",
        State::Failed => "failed",
    }
}

/// The name of a series: the model's, with its workers where a workload is run with several numbers of them.
pub(super) fn series(cell: &Cell, several: bool) -> String {
    match cell.workers {
        Some(_) if several => series_name(&cell.model, cell.workers),
        _ => cell.model.clone(),
    }
}

fn blocks(cells: &[&Cell]) -> Vec<String> {
    const SCALE: usize = 11;
    const COLUMN: usize = 13;
    let several = several_workers(cells);
    let names = in_order(cells.iter().map(|cell| series(cell, several)));
    let scales = in_order(cells.iter().map(|cell| cell.scale));
    let block = |names: &[String]| {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let head = std::iter::once("scale").chain(names.iter().map(String::as_str));
        table.set_header(head.collect::<Vec<_>>());
        for scale in &scales {
            let row: Vec<&Cell> = cells.iter().copied().filter(|c| c.scale == *scale).collect();
            let leads = leaders(&row);
            let figure = |name: &String| {
                let cell = row.iter().position(|cell| series(cell, several) == *name);
                cell.map_or_else(String::new, |place| figure(row[place], leads[place]))
            };
            table.add_row(std::iter::once(count(*scale)).chain(names.iter().map(figure)));
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(8)));
        }
        trimmed(&table)
    };
    // As many columns side by side as the width has room for.
    let mut blocks: Vec<(usize, Vec<String>)> = Vec::new();
    for name in names {
        let wide = name.chars().count().max(COLUMN) + 2;
        match blocks.last_mut() {
            Some((used, of)) if *used + wide <= width() => {
                *used += wide;
                of.push(name);
            }
            _ => blocks.push((SCALE + wide, vec![name])),
        }
    }
    blocks.iter().map(|(_, names)| block(names)).collect()
}

/// Jobs a second with half of the interval, marked where the cell `leads` its row; or how the cell ended.
pub(super) fn figure(cell: &Cell, leads: bool) -> String {
    match cell.jobs_per_second {
        Some(jobs) if cell.state == State::Ok => {
            let mark = if leads { "*" } else { "" };
            format!("{mark}{} {}", rate(jobs.value), spread(cell)).trim_end().to_owned()
        }
        _ => word(cell.state).to_owned(),
    }
}

/// "±1.2%", or "n=1" where there are too few trials.
pub(super) fn spread(cell: &Cell) -> String {
    let half = cell.jobs_per_second.and_then(crate::record::Estimate::half_percent);
    match half {
        _ if (1..FEWEST_TRIALS).contains(&cell.trials()) => format!("n={}", cell.trials()),
        Some(half) => format!("±{half:.*}%", usize::from(half < 9.95)),
        None => String::new(),
    }
}

/// Every cell without a figure, or of fewer trials than were asked for, with its reason, a line for each series and reason; where fewer jobs were in flight
/// than were offered although they wait; and which models are unreliable.
pub(super) fn notes(cells: &[&Cell]) -> String {
    let several = several_workers(cells);
    let mut lines: Vec<(String, Vec<String>, String)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.state != State::Ok || cell.reason.is_some()) {
        let who = format!("  {} {}", word(cell.state), series(cell, several));
        let why = cell.reason.clone().unwrap_or_default();
        // Of a series that grew over its budget the first prediction says it all; the record has the others.
        let same = |reason: &String| *reason == why || cell.state == State::Skipped;
        match lines.iter_mut().find(|(name, _, reason)| *name == who && same(reason)) {
            Some((_, scales, _)) => scales.push(count(cell.scale)),
            None => lines.push((who, vec![count(cell.scale)], why)),
        }
    }
    let mut text = String::new();
    for (who, scales, why) in lines {
        let _ = writeln!(text, "{who} at {}: {why}", scales.join(", "));
    }
    for cell in cells.iter().filter(|cell| cell.modes.is_some()) {
        let mode = |mode: &Mode| {
            let time = long(std::time::Duration::from_nanos(mode.ns as u64));
            format!("{time} ({:.0} %)", mode.share * 100.0)
        };
        let modes: Vec<String> = cell.modes.iter().flatten().map(mode).collect();
        let who = series(cell, several);
        let (scale, modes) = (count(cell.scale), modes.join(" or "));
        let _ = writeln!(
            text,
            "  bimodal {who} at {scale}: a batch takes {modes}; no single figure stands for it"
        );
    }
    let bound = cells.iter().filter(|cell| cell.is_server_bound());
    let bound: Vec<String> =
        bound.map(|cell| format!("{} at {}", series(cell, several), count(cell.scale))).collect();
    if !bound.is_empty() {
        let _ = writeln!(
            text,
            "  server-bound, so not ranked (a thread of the suite's server was busy for over 90 % of the time): {}",
            bound.join(", ")
        );
    }
    let fewer: Vec<String> =
        cells.iter().filter_map(|cell| fewer_in_flight(cell, several)).collect();
    if !fewer.is_empty() {
        let _ = writeln!(text, "  in flight at once, at most: {}", fewer.join(", "));
    }
    let groups: Vec<String> = cells.iter().filter_map(|cell| group_over(cell, several)).collect();
    if !groups.is_empty() {
        let _ = writeln!(text, "  groups over after their first failure: {}", groups.join(", "));
    }
    let measured = || cells.iter().filter(|cell| cell.state == State::Ok);
    let inside: Vec<String> = in_order(
        measured()
            .filter(|cell| same_class(cell.placement, Placement::Inside))
            .map(|cell| cell.model.clone()),
    );
    if !inside.is_empty() && measured().any(|cell| cell.placement != Placement::Inside) {
        let _ = writeln!(
            text,
            "  offered from inside, so that waking the pool is not in their time: {}",
            inside.join(", ")
        );
    }
    text.push_str(&footnotes(cells.iter().map(|cell| cell.model.as_str())));
    text
}

/// "tokio at 10: 1.2ms, 3 children left behind", where a child of a group failed.
fn group_over(cell: &Cell, several: bool) -> Option<String> {
    let attest = cell.attest.as_ref()?;
    let took = long(std::time::Duration::from_nanos(attest.group_ended_ns_max?));
    let left = attest.children_left.filter(|left| *left > 0);
    let left = left.map_or_else(String::new, |left| format!(", {left} children left behind"));
    Some(format!("{} at {}: {took}{left}", series(cell, several), count(cell.scale)))
}

/// "tokio at 100 000: 31 415", where jobs that could all wait at once did not.
fn fewer_in_flight(cell: &Cell, several: bool) -> Option<String> {
    let peak = cell.attest.as_ref()?.peak_in_flight as usize;
    let waits = cell.batch_ns?.value > 0.0 && cell.scale >= 10_000;
    (waits && peak > 1000 && peak < cell.scale)
        .then(|| format!("{} at {}: {}", series(cell, several), count(cell.scale), count(peak)))
}

pub(super) fn several_workers(cells: &[&Cell]) -> bool {
    let models = in_order(cells.iter().map(|cell| &cell.model));
    models.iter().any(|model| {
        let of = cells.iter().filter(|cell| cell.model == **model);
        in_order(of.map(|cell| cell.workers)).len() > 1
    })
}

/// Each value once, in the order of its first appearance.
pub(super) fn in_order<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
