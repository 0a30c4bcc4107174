//! The run and its cells as one JSON document: its shape is `docs/schema/report.json`.

use schemars::{JsonSchema, Schema, schema_for, transform::RecursiveTransform};
use serde::Serialize;

use crate::record::{Cell, Record, Run};

/// A run and its cells.
#[derive(Serialize, JsonSchema)]
pub struct RunDocument<'a> {
    /// What holds for the whole run.
    pub run: &'a Run,
    /// Every cell that has ended, in this order.
    pub cells: &'a [Cell],
}

/// All of the run but its single trials. Numbers that are not finite are `null`.
pub(super) fn json(record: &Record) -> String {
    let document = RunDocument { run: &record.run, cells: &record.cells };
    let text = serde_json::to_string_pretty(&document);
    text.expect("a record is made of numbers, words and lists") + "\n"
}

/// The shape of that document. A number may be `null` wherever it stands: JSON has nothing else for one that is not
/// finite.
#[must_use]
pub fn run_schema() -> Schema {
    let mut schema = schema_for!(RunDocument<'_>);
    let mut nullable = RecursiveTransform(|schema: &mut Schema| {
        if schema.get("type").is_some_and(|kind| kind == "number") {
            schema.insert("type".into(), serde_json::json!(["number", "null"]));
        }
    });
    schemars::transform::Transform::transform(&mut nullable, &mut schema);
    schema
}
