//! `OpenMetrics` text 1.0 for Prometheus and for GitLab's metrics report: times in seconds, as the standard asks for.

use std::fmt::Write;

use super::rows::{Family, OneOf, Sheet, label};

/// The longest name of a cell, in characters.
const NAME: usize = 1000;

/// Returns every sample by its family, and the state of every row. A family without samples is left out. Labels hold
/// only what is constant over runs, so that a reader can compare the values of two.
pub(super) fn openmetrics(sheet: &Sheet) -> String {
    let prefix = sheet.kind.replace(' ', "_");
    let mut families: Vec<(Family, String)> = Vec::new();
    let mut words: Vec<(&str, String)> = Vec::new();
    for (cell, row) in sheet.named(NAME) {
        let cell = format!("cell=\"{}\"", label(&cell));
        for sample in row.samples.iter().filter(|sample| sample.value.is_finite()) {
            let (name, unit, help) = sample.family;
            let family = families.iter().position(|((of, ..), _)| *of == name);
            let family = family.unwrap_or_else(|| {
                families.push((sample.family, head(&prefix, name, "gauge", unit, help)));
                families.len() - 1
            });
            let (labels, value) = (&sample.labels, sample.value);
            let _ = writeln!(families[family].1, "{prefix}_{name}{{{cell},{labels}}} {value}");
        }
        if let Some(word) = &row.state {
            state(&mut words, &prefix, &format!("{cell},{},", word.labels), word);
        }
    }
    if let Some(word) = &sheet.verdict {
        state(&mut words, &prefix, "", word);
    }
    let families = families.into_iter().map(|(_, text)| text);
    let words = words.into_iter().map(|(_, text)| text);
    families.chain(words).collect::<String>() + "# EOF\n"
}

/// Returns the lines before the samples of a family.
fn head(prefix: &str, name: &str, kind: &str, unit: &str, help: &str) -> String {
    let unit = match unit {
        "" => String::new(),
        unit => format!("# UNIT {prefix}_{name} {unit}\n"),
    };
    format!("# TYPE {prefix}_{name} {kind}\n{unit}# HELP {prefix}_{name} {help}\n")
}

/// Adds a sample for each possible word.
fn state(families: &mut Vec<(&str, String)>, prefix: &str, labels: &str, word: &OneOf) {
    let (name, help) = word.family;
    if families.last().is_none_or(|(of, _)| *of != name) {
        families.push((name, head(prefix, name, "stateset", "", help)));
    }
    let Some((_, text)) = families.last_mut() else { return };
    for of in word.all {
        let value = u8::from(*of == word.value);
        let _ = writeln!(text, "{prefix}_{name}{{{labels}{prefix}_{name}=\"{of}\"}} {value}");
    }
}
