//! `OpenMetrics` text 1.0 for Prometheus and for GitLab's metrics report: times in seconds, as the standard asks for.

use crate::output::cut;
use std::fmt::Write;

/// The longest value of a label, in characters.
const LABEL: usize = 1024;

/// What a family is. Its unit, where it has one, is the end of its name.
pub(super) fn family(text: &mut String, name: &str, kind: &str, unit: &str, help: &str) {
    let _ = writeln!(text, "# TYPE {name} {kind}");
    if !unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name} {help}");
}

/// A value of the family above it.
pub(super) fn sample(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}

/// A text as the value of a label, without its quotes.
pub(super) fn label(value: &str) -> String {
    cut(value, LABEL).replace('\\', "\\\\").replace('"', "\\\"")
}

/// The value of a state.
pub(super) fn is(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
