//! All of the gate as JSON: its shape is `docs/schema/gate.json`.

use crate::record::Gate;

/// The record itself. Numbers that are not finite are `null`.
pub(super) fn json(gate: &Gate) -> String {
    let text = serde_json::to_string_pretty(gate);
    text.expect("a gate is made of numbers, words and lists") + "\n"
}
