//! Formats figures for axes and tooltips, and escapes texts for charts.

use std::fmt::Write;

use super::Unit;
use crate::output::{count, cut, rate};

/// Formats a tick with no more digits than needed.
pub(super) fn tick(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count if value.fract() == 0.0 && value >= 0.0 => count(value as usize),
        Unit::Count => short(value),
        Unit::PerSecond => format!("{}/s", prefixed(value)),
        Unit::Nanoseconds => scaled(value, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")]),
        Unit::Bytes => scaled(
            value,
            &[(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")],
        ),
        Unit::Share => share(value),
        Unit::Ratio => format!("{}×", short(value)),
    }
}

/// Formats a figure with three digits.
pub(super) fn figure(unit: Unit, value: f64) -> String {
    let long = |value: f64, units: &[(f64, &str)]| {
        let (size, name) = unit_of(value, units);
        format!("{} {name}", rate(value / size))
    };
    match unit {
        Unit::PerSecond => format!("{}/s", rate(value)),
        Unit::Nanoseconds => long(value, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")]),
        Unit::Bytes => long(
            value,
            &[(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")],
        ),
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

fn unit_of<'u>(value: f64, units: &[(f64, &'u str)]) -> (f64, &'u str) {
    let fits = |(size, _): &&(f64, &str)| value.abs() >= size * 0.9995;
    *units.iter().rev().find(fits).unwrap_or(&units[0])
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let (size, name) = unit_of(value, units);
    format!("{} {name}", short(value / size))
}

fn prefixed(value: f64) -> String {
    let (size, name) = unit_of(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")]);
    format!("{}{name}", short(value / size))
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
