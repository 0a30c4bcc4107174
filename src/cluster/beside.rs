//! Blocks that were measured at the same time on one machine. Its clock since boot tells, whatever the wall clock says.

use std::collections::BTreeMap;

/// When a block was measured on a machine, in seconds by that clock.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) block: String,
    pub(super) boot_id: String,
    pub(super) began: f64,
    pub(super) ended: f64,
}

/// How long two blocks may overlap, in seconds: a block begins a little before it describes its node.
const SLACK: f64 = 1.0;

/// Returns the blocks that were measured while another was measured on their machine, each with such another.
pub(super) fn beside(mut spans: Vec<Span>) -> BTreeMap<String, String> {
    spans.sort_by(|a, b| a.boot_id.cmp(&b.boot_id).then(a.began.total_cmp(&b.began)));
    let mut beside = BTreeMap::new();
    // Of those that have begun, the one that ends last.
    let mut last: Option<&Span> = None;
    for span in &spans {
        let before = last.filter(|last| last.boot_id == span.boot_id);
        if let Some(before) = before.filter(|before| span.began + SLACK < before.ended) {
            for (one, other) in [(before, span), (span, before)] {
                beside.entry(one.block.clone()).or_insert_with(|| other.block.clone());
            }
        }
        if before.is_none_or(|before| before.ended < span.ended) {
            last = Some(span);
        }
    }
    beside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_overlap_on_one_machine_are_found_and_those_of_two_machines_are_not() {
        let span = |block: &str, boot_id: &str, began: f64, ended: f64| Span {
            block: block.into(),
            boot_id: boot_id.into(),
            began,
            ended,
        };
        let found = beside(vec![
            span("4", "b", 100.0, 200.0),
            span("3", "a", 180.0, 300.0),
            span("0", "a", 100.0, 200.0),
            span("1", "a", 110.0, 120.0),
            span("2", "a", 130.0, 140.0),
            span("5", "a", 299.5, 310.0),
        ]);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(one, other)| (&**one, &**other)).collect();
        assert_eq!(found, [("0", "1"), ("1", "0"), ("2", "0"), ("3", "0")]);
    }
}
