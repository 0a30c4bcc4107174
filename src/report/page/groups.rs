//! Task groups in which a child failed: how soon they were over, and what they left behind.

use super::{
    lines::Line,
    overview::nanoseconds,
    parts::{Table, name},
};
use crate::output::count;

/// What was seen in the warm-up trials; nothing where no group failed.
pub(super) fn table(workload: &str, lines: &[Line]) -> Option<Table> {
    let mut table = Table::new(
        format!("{}: groups in which a child failed, in the warm-up trial", name(workload)),
        &["model", "jobs at once", "over after the failure, at most", "children left behind"],
    );
    for line in lines {
        for cell in &line.cells {
            let Some(seen) = &cell.attest else { continue };
            let (Some(took), Some(left)) = (seen.group_ended_ns_max, seen.children_left) else {
                continue;
            };
            let (scale, left) = (count(cell.scale), count(left as usize));
            let took = nanoseconds(took as f64);
            table.rows.push(vec![name(&line.name).into(), scale.into(), took.into(), left.into()]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
