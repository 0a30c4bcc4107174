//! Footnotes on models with a known defect: they accompany the figures of such a model everywhere.

use super::table::in_order;
use paceline_core::models;

/// Returns a sentence for each model of `names` that is unreliable.
pub(super) fn remarks<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let remark =
        |name: &str| models::unreliable(name).map(|why| format!("{name} is unreliable: {why}"));
    in_order(names).into_iter().filter_map(remark).collect()
}

/// Returns the same as indented lines, to follow a table.
pub(super) fn footnotes<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let lines = remarks(names).into_iter().flat_map(|remark| ["  ".into(), remark, "\n".into()]);
    lines.collect()
}

/// Returns the model in the name of a cell, such as `echo/tokio@2/10`.
pub(super) fn model_of(cell: &str) -> &str {
    let series = cell.split('/').nth(1).unwrap_or_default();
    series.split('@').next().unwrap_or_default()
}
