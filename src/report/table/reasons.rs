//! The reasons for missing figures in a table, and remarks on the others.

use std::fmt::Write;

use super::{Extent, in_order, series, several_workers, word};
use crate::{
    output::{count, counted, listed, long_ns, long_ns_f64, noun, percent},
    record::{Cell, State},
    stats::Mode,
};
use paceline_core::perform::Placement;

/// The most lines of reasons at the end of a run.
const MOST_REASONS: usize = 8;

/// Returns a line for each reason why cells have no figure, with their number and the remedy; most frequent first.
pub(in crate::report) fn missing(cells: &[&Cell]) -> Vec<String> {
    missing_at(cells, None)
}

/// Returns the same for servers, whose scales are connections.
pub(in crate::report) fn missing_under_load(cells: &[&Cell]) -> Vec<String> {
    missing_at(cells, Some("connection"))
}

fn missing_at(cells: &[&Cell], unit: Option<&str>) -> Vec<String> {
    let groups = by_reason(cells);
    let mut lines: Vec<String> =
        groups.iter().take(MOST_REASONS).map(|of| line(of, unit)).collect();
    let rest = groups.len().saturating_sub(MOST_REASONS);
    if rest > 0 {
        let cells: usize = groups[MOST_REASONS..].iter().map(Vec::len).sum();
        lines.push(format!(
            "{rest} more {} ({}): `paceline report --format table --all` shows them",
            noun(rest, "reason"),
            counted(cells, "cell")
        ));
    }
    lines
}

/// Returns the cells without a figure, grouped by reason; most frequent first.
pub(in crate::report) fn by_reason<'a>(cells: &[&'a Cell]) -> Vec<Vec<&'a Cell>> {
    let key = |cell: &Cell| (cell.state, kind(cell));
    let without = || cells.iter().copied().filter(|cell| cell.state != State::Ok);
    let mut groups: Vec<Vec<&Cell>> = in_order(without().map(key))
        .into_iter()
        .map(|of| without().filter(|cell| key(cell) == of).collect())
        .collect();
    groups.sort_by_key(|of| std::cmp::Reverse(of.len()));
    groups
}

/// Returns `12 cells skipped (sequential, pool; at 1 000 to 100 000): no room …`.
fn line(cells: &[&Cell], unit: Option<&str>) -> String {
    let state = cells[0].state;
    let models = in_order(cells.iter().map(|cell| cell.model.as_str())).join(", ");
    let why = match state {
        State::Skipped if was_cut_off(cells[0]) => {
            "interrupted before it had a figure: measure again (`paceline report --format table --all` shows what is known)"
                .into()
        }
        State::Skipped => {
            let too_long = of_over_half_an_hour(cells);
            format!(
                "over the time budget: give more (--budget 30m; PACELINE_BUDGET=30m with cargo bench), or choose fewer \
                 cells{too_long}"
            )
        }
        _ => why(cells),
    };
    let scales = cells.iter().map(|cell| cell.scale);
    let (least, most) = (scales.clone().min().unwrap_or(0), scales.max().unwrap_or(0));
    let from = if least == most { String::new() } else { format!("{} to ", count(least)) };
    let most = unit.map_or_else(|| count(most), |unit| counted(most, unit));
    format!("{} {} ({models}; at {from}{most}): {why}", counted(cells.len(), "cell"), word(state))
}

/// Returns the reason of cells of one kind: that of the greatest scale, which needs most. If the others have reasons of
/// their own, it says whose it is.
pub(in crate::report) fn why(cells: &[&Cell]) -> String {
    let Some(of) = cells.iter().rev().max_by_key(|cell| cell.scale) else { return String::new() };
    let why = of.reason.clone().unwrap_or_default();
    let same = cells.iter().all(|cell| cell.reason == of.reason);
    // A limit of the machine is that of all, and the greatest scale has the remedy for all.
    if same || (of.state == State::Refused && !why.contains(&of.model)) {
        why
    } else if why.starts_with(&of.model) {
        format!("for example, {why}")
    } else {
        format!("for example, {} at {}: {why}", of.model, count(of.scale))
    }
}

/// Returns "; 6 of them need over 30 min each", for which the budget that is named has no room; empty without any.
pub(in crate::report) fn of_over_half_an_hour(cells: &[&Cell]) -> String {
    const HALF_AN_HOUR: u64 = 1_800_000_000_000;
    match cells.iter().filter(|cell| cell.predicted_ns > Some(HALF_AN_HOUR)).count() {
        0 => String::new(),
        all if all == cells.len() => "; each of them needs over 30 min".into(),
        1 => "; 1 of them needs over 30 min".into(),
        some => format!("; {} of them need over 30 min each", count(some)),
    }
}

/// Returns whether a cell was skipped because its run was interrupted or killed, and not for want of time.
pub(in crate::report) fn was_cut_off(cell: &Cell) -> bool {
    let why = cell.reason.as_deref().unwrap_or_default();
    cell.state == State::Skipped
        && ["interrupted", "was killed"].iter().any(|end| why.contains(end))
}

/// Returns the common form of reasons that differ only in model, workload and numbers.
fn kind(cell: &Cell) -> String {
    let reason = match cell.state {
        State::Skipped if was_cut_off(cell) => return "cut off".into(),
        State::Skipped => return String::new(),
        _ => cell.reason.as_deref().unwrap_or_default(),
    };
    let named = reason.replace(&cell.model, "").replace(&cell.workload, "");
    named.chars().filter(|c| !c.is_numeric() && !c.is_whitespace()).collect()
}

/// Returns a line for each series and reason: cells without a figure, or with fewer trials than requested.
pub(in crate::report) fn notes(cells: &[&Cell]) -> String {
    let with =
        cells.iter().copied().filter(|cell| cell.state != State::Ok || cell.reason.is_some());
    let mut text = String::new();
    for Note { state, series, at, why } in notes_of_series(with, several_workers(cells)) {
        let _ = writeln!(text, "  {} {series} {at}: {why}", word(state));
    }
    text
}

/// Why a series has no figures.
pub(in crate::report) struct Note {
    /// How its cells ended.
    pub state: State,
    /// The series.
    pub series: String,
    /// Its scales, such as `at 10, 100`, or `over the time budget`.
    pub at: String,
    /// The reason, or the time that each scale needs.
    pub why: String,
}

/// Returns a note for each series and reason. Of a series that exceeded the budget each scale has the time that it needs.
pub(in crate::report) fn notes_of_series<'c>(
    cells: impl Iterator<Item = &'c Cell>,
    several: bool,
) -> Vec<Note> {
    let needs = |cell: &Cell| cell.predicted_ns.filter(|_| cell.state == State::Skipped);
    let key = |cell: &Cell| {
        let reason = || cell.reason.clone().unwrap_or_default();
        (cell.state, series(cell, several), needs(cell).is_none().then(reason))
    };
    let cells: Vec<_> = cells.map(|cell| (key(cell), cell)).collect();
    let keys = in_order(cells.iter().map(|(key, _)| key));
    let note = |key: &(State, String, Option<String>)| {
        let of = cells.iter().filter(|(other, _)| other == key);
        let part = |cell: &Cell| match needs(cell) {
            Some(ns) => format!("{} at {}", long_ns(ns), count(cell.scale)),
            None => count(cell.scale),
        };
        let parts = of.map(|(_, cell)| part(cell)).collect::<Vec<_>>().join(", ");
        let (state, series, reason) = key.clone();
        let (at, why) = match reason {
            None => ("over the time budget".into(), format!("trials take at least {parts}")),
            Some(why) => (format!("at {parts}"), why),
        };
        Note { state, series, at, why }
    };
    keys.into_iter().map(note).collect()
}

/// Returns a line for each kind of remark on figures: several modes, a busy server, rows that tell no models apart, fewer
/// jobs in flight than offered although they wait, groups of children, and separately ranked models.
pub(in crate::report) fn remarks(cells: &[&Cell], extent: Extent) -> Vec<String> {
    /// The most cells that a remark lists, unless all are wanted.
    const LISTED: usize = 3;
    let most = if extent == Extent::All { usize::MAX } else { LISTED };
    let several = several_workers(cells);
    let one = in_order(cells.iter().map(|cell| cell.workload.as_str())).len() == 1;
    let name = |cell: &Cell| {
        let series = series(cell, several);
        let at = format!("{series} at {}", count(cell.scale));
        if one { at } else { format!("{} {at}", cell.workload) }
    };
    let remark = |what: &str, of: Vec<String>| {
        (!of.is_empty()).then(|| format!("{what}: {}", listed(&of, most)))
    };
    let all = |of: &dyn Fn(&Cell) -> Option<String>| -> Vec<String> {
        let known = cells.iter().filter(|cell| cell.state == State::Ok);
        known.filter_map(|cell| Some(format!("{}{}", name(cell), of(cell)?))).collect()
    };
    let measured = || cells.iter().filter(|cell| cell.state == State::Ok);
    let inside = measured().filter(|cell| cell.class() == Placement::Inside);
    let inside = in_order(inside.map(|cell| cell.model.clone()));
    let outside = measured().any(|cell| cell.placement != Placement::Inside);
    let lines = [
        remark(
            "bimodal, so no single figure represents it",
            all(&|cell| Some(format!(": {}", both_modes(cell.modes.as_ref()?)))),
        ),
        remark(
            "server-bound, so not ranked (a thread of paceline's server was busy for over 90 % of the time)",
            all(&|cell| cell.is_server_bound().then(String::new)),
        ),
        remark(
            "telling no models apart, for all are within 5 % of what the definition allows",
            at_the_bound(cells, one),
        ),
        remark("fewer jobs in flight than offered, at most", all(&fewer_in_flight)),
        remark("time from a group's first failure to its end", all(&group_over)),
        remark(
            "offered from inside, so that waking the pool is not in their time",
            if outside { inside } else { vec![] },
        ),
        remark(
            "fewer trials than requested",
            all(&|cell| Some(format!(" ({})", cell.reason.clone()?))),
        ),
    ];
    lines.into_iter().flatten().collect()
}

/// Formats two modes, such as `1.20 ms (40 %) or 3.40 ms (60 %)`.
pub(in crate::report) fn both_modes(modes: &[Mode; 2]) -> String {
    let mode = |mode: &Mode| format!("{} ({})", long_ns_f64(mode.ns), percent(mode.share));
    modes.each_ref().map(mode).join(" or ")
}

/// Returns `: 1.20 ms, children left behind: 3`, if a child of a group failed.
fn group_over(cell: &Cell) -> Option<String> {
    let attest = cell.attest.as_ref()?;
    let took = long_ns(attest.group_ended_ns_max?);
    let left = attest.children_left.filter(|left| *left > 0);
    let left = left.map_or_else(String::new, |left| format!(", children left behind: {left}"));
    Some(format!(": {took}{left}"))
}

/// The share of the bound from which on a model has nothing left to gain.
const NEAR: f64 = 0.95;

/// Returns the rows of several models, such as `sleep at 10`, in which each is near its bound: no model could be better.
/// Servers get the rate that they are offered.
fn at_the_bound(cells: &[&Cell], one_workload: bool) -> Vec<String> {
    let measured = || cells.iter().filter(|cell| cell.state == State::Ok && cell.load.is_none());
    in_order(measured().map(|cell| (cell.workload.as_str(), cell.scale)))
        .into_iter()
        .filter(|row| {
            let of = || measured().filter(|cell| (cell.workload.as_str(), cell.scale) == *row);
            let models = in_order(of().map(|cell| cell.model.as_str())).len();
            models > 1 && of().all(|cell| cell.share_of_bound().is_some_and(|of| of >= NEAR))
        })
        .map(|(workload, scale)| {
            let at = format!("at {}", count(scale));
            if one_workload { at } else { format!("{workload} {at}") }
        })
        .collect()
}

/// Returns the jobs in flight, such as `: 31 415`, if jobs that could all wait at once did not. Where jobs hold a worker,
/// no more than there are can be.
fn fewer_in_flight(cell: &Cell) -> Option<String> {
    let peak = cell.attest.as_ref()?.peak_in_flight as usize;
    let waits = cell.floor_ns > 0 || cell.server_busy_share_max.is_some();
    let could = (waits && peak > cell.workers.unwrap_or(1)) || peak > 1_000;
    let is_fewer = cell.scale >= 10_000 && could && peak < cell.scale;
    is_fewer.then(|| format!(": {}", count(peak)))
}
