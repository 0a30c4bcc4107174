//! Advice as text: a paragraph for each scale, and a summary.

mod brief;
mod phrases;
mod short;
#[cfg(test)]
mod tests;
mod trust;

pub use brief::advice_in_brief;
pub use short::advice_in_short;
pub(super) use trust::busy;

use std::fmt::Write;

use super::{
    gate::figure,
    table::{both_modes, in_order, word},
};
use crate::output::{capital, count, long_ns_f64, rate, width};
use crate::{
    advice::{Advice, AtScale, Figure, Measure, Recommended, Standing, Without},
    record::{Metric, State},
};
use phrases::{Names, at, because, enough, recommended};

/// The greatest width of a line.
const WIDTH: usize = 100;
/// The column in which the figures of a scale begin.
const INDENT: usize = 15;

/// Returns the whole advice, in lines of at most 100 columns.
pub fn advice_text(advice: &Advice, summary: &[String]) -> String {
    let names = Names::of(advice);
    let mut text = format!("\n{}: what to take\n", advice.workload);
    for scale in &advice.scales {
        text.push('\n');
        text.push_str(&wrapped(
            "",
            &format!("{}: {}", capital(&at(scale.scale)), answer(scale, &names)),
        ));
        for (label, line) in lines(scale, &names) {
            text.push_str(&wrapped(&format!("  {label:<width$}", width = INDENT - 2), &line));
        }
    }
    if !advice.bytes_per_job.is_empty() {
        let of = advice.bytes_per_job.iter();
        let of =
            of.map(|of| format!("{} {}", names.name(&of.series), count(of.bytes.round() as usize)));
        let line = format!(
            "bytes that each more job adds to memory: {}",
            of.collect::<Vec<_>>().join(", ")
        );
        let _ = write!(text, "\n{}", wrapped("", &line));
    }
    text.push_str("\nin short\n");
    for sentence in summary {
        text.push_str(&wrapped("  * ", sentence));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns what to use at this scale, and why.
fn answer(scale: &AtScale, names: &Names) -> String {
    let one = |one: &Recommended| {
        format!("{}{}", enough(one, scale.scale, names), because(one, scale, names))
    };
    format!("{}.", recommended(scale, names, one))
}

/// Returns the lines below it, each with its label.
fn lines(scale: &AtScale, names: &Names) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&'static str, String)> =
        [Measure::Throughput, Measure::P99, Measure::Memory]
            .into_iter()
            .filter(|by| !scale.figures(*by).is_empty())
            .map(|by| (title(by), standings(scale.figures(by), by, names)))
            .collect();
    for bimodal in &scale.bimodal {
        let modes = both_modes(&bimodal.modes);
        let name = names.name(&bimodal.series);
        lines.push((
            "two modes",
            format!("{name}: a batch takes {modes}; no single figure represents it"),
        ));
    }
    let mut without: Vec<String> = Vec::new();
    let how = |cell: &Without| match cell.state {
        State::Ok => cell.reason.clone(),
        state => word(state).to_owned(),
    };
    for why in in_order(scale.without.iter().map(how)) {
        let of = scale.without.iter().filter(|cell| how(cell) == why);
        let of: Vec<String> = of.map(|cell| names.name(&cell.series)).collect();
        without.push(format!("{why}: {}", of.join(", ")));
    }
    if !without.is_empty() {
        lines.push(("not ranked", without.join("; ")));
    }
    lines
}

/// Returns the best model and its interval, its ties, and the factor by which the others are behind.
fn standings(figures: &[Figure], by: Measure, names: &Names) -> String {
    let shown = |figure: &Figure| {
        let of = figure.estimate;
        let ends = of
            .interval()
            .map(|(lower, upper)| format!(" ({} to {})", shown(lower, by), shown(upper, by)));
        let ends = ends.unwrap_or_default();
        format!("{} {}{ends}", names.name(&figure.series), shown(of.value, by))
    };
    let of = |standing: Standing| figures.iter().filter(move |figure| figure.standing == standing);
    let Some(best) = of(Standing::Best).next() else {
        return format!("not ranked: {}", figures.iter().map(shown).collect::<Vec<_>>().join(", "));
    };
    let mut parts = vec![format!("best {}", shown(best))];
    let tied: Vec<String> = of(Standing::Tied).map(|figure| names.name(&figure.series)).collect();
    if !tied.is_empty() {
        parts.push(format!("tied with it: {}", tied.join(", ")));
    }
    let factor = |figure: &Figure| {
        let factor = by.times_worse(figure.estimate, best.estimate);
        let factor = if factor < 9.95 { format!("{factor:.2}") } else { rate(factor) };
        format!("{} {factor}×", names.name(&figure.series))
    };
    let behind: Vec<String> = of(Standing::Behind).map(factor).collect();
    if !behind.is_empty() {
        let how = match by {
            Measure::Throughput => "slower",
            Measure::P99 => "longer",
            Measure::Memory => "more",
        };
        parts.push(format!("{how}: {}", behind.join(", ")));
    }
    parts.join("; ")
}

fn shown(value: f64, by: Measure) -> String {
    match by {
        Measure::Throughput => format!("{}/s", rate(value)),
        Measure::P99 => long_ns_f64(value),
        Measure::Memory => figure(Metric::Memory, Some(value)),
    }
}

/// Returns the name of a measure in sentences and headings.
pub(super) fn title(by: Measure) -> &'static str {
    match by {
        Measure::Throughput => "throughput",
        Measure::P99 => "p99 latency",
        Measure::Memory => "peak memory",
    }
}

/// Wraps `text` after `label` between words; further lines are indented like the first.
fn wrapped(label: &str, text: &str) -> String {
    let within = width().min(WIDTH);
    let mut lines = String::new();
    let mut line = label.to_owned();
    let indent = label.chars().count();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > within {
            let _ = writeln!(lines, "{line}");
            (line, empty) = (" ".repeat(indent), true);
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(lines, "{line}");
    lines
}
