//! Formats figures for axes and tooltips, and escapes texts for charts.

use std::fmt::Write;

use super::Unit;
use crate::output::{SIZES, TIMES, count, cut, in_unit, rate};

/// Formats a tick with no more digits than needed.
pub(super) fn tick(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count if value.fract() == 0.0 && value >= 0.0 => count(value as usize),
        Unit::Count => short(value),
        Unit::PerSecond => format!("{}/s", prefixed(value)),
        Unit::Nanoseconds => scaled(value, TIMES, short),
        Unit::Bytes => scaled(value, SIZES, short),
        Unit::Share => share(value),
        Unit::Ratio => format!("{}×", short(value)),
    }
}

/// Formats a figure with three digits.
pub(super) fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond => format!("{}/s", rate(value)),
        Unit::Nanoseconds => scaled(value, TIMES, rate),
        Unit::Bytes => scaled(value, SIZES, rate),
        Unit::Ratio => format!("{value:.3}×"),
        Unit::Count | Unit::Share => tick(unit, value),
    }
}

/// Formats a share such as 99.9 %, with as many digits as the nines need.
fn share(value: f64) -> String {
    let nines = -(1.0 - value).max(1e-12).log10();
    let digits = (nines.ceil() as usize).saturating_sub(2).min(8);
    let text = format!("{:.digits$}", value * 100.0);
    format!(
        "{} %",
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text }
    )
}

/// Formats in the unit that fits, with the digits that `digits` gives.
fn scaled(value: f64, units: &[(f64, &str)], digits: fn(f64) -> String) -> String {
    let (number, unit) = in_unit(value, units);
    format!("{} {unit}", digits(number))
}

fn prefixed(value: f64) -> String {
    let (number, prefix) = in_unit(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")]);
    format!("{}{prefix}", short(number))
}

/// Formats with at most three decimals and without trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Returns a text of at most `most` characters, escaped for XML, in one line and in one direction.
pub(super) fn text(text: &str, most: usize) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in cut(text, most).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Adds a coordinate, to a tenth.
pub(super) fn place(out: &mut String, value: f64) {
    let tenths = (value * 10.0).round();
    let value = if tenths == 0.0 { 0.0 } else { tenths / 10.0 };
    let _ = write!(out, "{value}");
}
