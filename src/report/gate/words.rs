//! The words for a cell of the gate, and its figures with their units.

use super::super::table::word;
use crate::{
    output::{self, SIZES, TIMES, count, in_unit, rate, shorten},
    record::{Change, Crashes, GateCell, Metric, Overall, State, Verdict},
};

/// Returns the overall verdict.
pub(in super::super) fn overall(verdict: Overall) -> &'static str {
    match verdict {
        Overall::Failed => "failed",
        Overall::Regressed => "regressed",
        Overall::Passed => "passed",
        Overall::Inconclusive => "inconclusive",
        Overall::EnvironmentInvalid => "environment invalid",
        Overall::Nothing => "nothing compared",
    }
}

/// Returns the verdict on a cell.
pub(in super::super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "regressed",
        Verdict::Improved => "improved",
        Verdict::NotRegressed => "not regressed",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// Formats a figure with its unit; empty without one.
pub(in super::super) fn figure(metric: Metric, value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return String::new() };
    if metric.is_count() {
        return counted(value);
    }
    if metric.is_rate() {
        return format!("{}/s", rate(value));
    }
    let units = if metric == Metric::Memory { SIZES } else { TIMES };
    let (size, unit) = in_unit(value.abs(), units);
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{} {unit}", rate(size))
}

/// Formats a count of a call. It is exact, so small changes must show.
fn counted(value: f64) -> String {
    if value >= 100.0 { count(value.round() as usize) } else { rate(value) }
}

/// Formats a share, such as `+5.2 %`; empty for NaN.
pub(in super::super) fn share(share: f64) -> String {
    if !share.is_finite() {
        return String::new();
    }
    let percent = share.abs() * 100.0;
    let digits = usize::from(percent < 99.95);
    let shown = format!("{percent:.digits$}");
    let sign = match share {
        _ if shown == "0.0" => "±",
        share if share < 0.0 => "−",
        _ => "+",
    };
    format!("{sign}{shown} %")
}

/// Formats the interval of a cell's change; `exact` for a count.
pub(in super::super) fn interval_of(cell: &GateCell) -> String {
    match &cell.change {
        Some(_) if cell.counts.is_some() => "exact".into(),
        change => change.as_ref().map_or_else(String::new, interval),
    }
}

/// Formats an interval, such as `+3.1 % to +7.4 %`.
fn interval(change: &Change) -> String {
    let (lower, upper) = (share(change.lower), share(change.upper));
    if lower.is_empty() || upper.is_empty() {
        return String::new();
    }
    format!("{lower} to {upper}")
}

/// Returns the least change that would be found.
pub(in super::super) fn detectable(cell: &GateCell) -> String {
    cell.detectable.map_or_else(String::new, share)
}

/// Returns the trials that would decide.
pub(in super::super) fn needed(cell: &GateCell) -> String {
    cell.trials_needed.map_or_else(|| "unknown".into(), |trials| trials.to_string())
}

/// Returns the number of crashes of each side; empty without crashes.
pub(in super::super) fn crashes(of: Crashes) -> String {
    let Crashes { trials, base, head, copy } = of;
    if base + head + copy == 0 {
        return String::new();
    }
    format!(
        "crashes in {}: the base {base}, the head {head}, the base's copy {copy}",
        output::counted(trials as usize, "trial")
    )
}

/// Returns its state and the reason, in at most `most` characters; empty if it is `ok` without a reason.
pub(in super::super) fn why(cell: &GateCell, most: usize) -> String {
    let reason = cell.reason.as_deref().map(|reason| shorten(reason, most));
    match (cell.state, reason) {
        (State::Ok, reason) => reason.unwrap_or_default(),
        (state, None) => word(state).to_owned(),
        (state, Some(reason)) => format!("{}: {reason}", word(state)),
    }
}
