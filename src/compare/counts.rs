//! The verdict on counts, such as instructions: exact ones need no statistics, and others have no verdict.

use crate::record::{Change, Counts, Verdict};

/// The result for the counts of a cell: the fields of [`crate::record::GateCell`] of the same names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedCounts {
    /// The verdict; `None` if the counts are not exact.
    pub verdict: Option<Verdict>,
    /// The change of the medians, with the least and the greatest that the counts allow; `None` if the counts are not
    /// exact, or only the base counts 0: such a change is no share.
    pub change: Option<Change>,
}

/// Judges the counts of a cell: regressed if the head counts more by at least the share `margin`, improved if it counts
/// less by as much, otherwise not regressed. If the base counts 0, anything more is regressed.
pub fn judge_counts(counts: &Counts, margin: f64) -> JudgedCounts {
    if !counts.is_exact() {
        return JudgedCounts { verdict: None, change: None };
    }
    let sorted = |counts: &[u64]| {
        let mut sorted = counts.to_vec();
        sorted.sort_unstable();
        [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]]
    };
    let (base, head) = (sorted(&counts.base), sorted(&counts.head));
    if base[1] == 0 && head[1] > 0 {
        return JudgedCounts { verdict: Some(Verdict::Regressed), change: None };
    }
    let more = |head: u64, base: u64| (head as f64 - base as f64) / base.max(1) as f64;
    let share = more(head[1], base[1]);
    let verdict = if share >= margin {
        Verdict::Regressed
    } else if share <= -margin {
        Verdict::Improved
    } else {
        Verdict::NotRegressed
    };
    let p = |is_so: bool| if is_so { 0.0 } else { 1.0 };
    let change = Change {
        share,
        lower: more(head[0], base[2]),
        upper: more(head[2], base[0]),
        p_slower: p(share > 0.0),
        p_faster: p(share < 0.0),
    };
    JudgedCounts { verdict: Some(verdict), change: Some(change) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(base: &[u64], head: &[u64]) -> Option<Verdict> {
        let counts = Counts { calls: 10, base: base.to_vec(), head: head.to_vec() };
        judge_counts(&counts, 0.005).verdict
    }

    #[test]
    fn exact_counts_are_judged_by_the_margin_alone() {
        assert_eq!(verdict(&[1000; 3], &[1004; 3]), Some(Verdict::NotRegressed));
        assert_eq!(verdict(&[1000; 3], &[1005; 3]), Some(Verdict::Regressed));
        assert_eq!(verdict(&[1000; 3], &[996; 3]), Some(Verdict::NotRegressed));
        assert_eq!(verdict(&[1000; 3], &[995; 3]), Some(Verdict::Improved));
        assert_eq!(verdict(&[1000; 3], &[0; 3]), Some(Verdict::Improved));
    }

    #[test]
    fn a_few_instructions_of_a_process_start_are_no_matter_and_widen_the_interval() {
        let (base, head) = ([7_003_002, 7_003_005, 7_003_003], [7_073_502, 7_073_505, 7_073_504]);
        let counts = Counts { calls: 100, base: base.to_vec(), head: head.to_vec() };
        let judged = judge_counts(&counts, 0.005);
        assert_eq!(judged.verdict, Some(Verdict::Regressed));
        let change = judged.change.unwrap();
        assert!(change.lower < change.share && change.share < change.upper, "{change:?}");
        assert!(change.upper - change.lower < 1e-6, "{change:?}");
        assert_eq!((change.p_slower, change.p_faster), (0.0, 1.0));
    }

    #[test]
    fn counts_that_differ_within_a_side_have_no_verdict_however_far_apart_the_sides_are() {
        assert_eq!(verdict(&[1000, 1000, 1001], &[9000; 3]), None);
        assert_eq!(verdict(&[1000; 3], &[9000, 9001, 9000]), None);
        assert_eq!(verdict(&[1000; 3], &[]), None);
    }

    #[test]
    fn a_first_allocation_is_regressed_though_it_is_no_share() {
        assert_eq!(verdict(&[0; 3], &[0; 3]), Some(Verdict::NotRegressed));
        let counts = Counts { calls: 10, base: vec![0; 3], head: vec![10; 3] };
        let judged = judge_counts(&counts, 0.005);
        assert_eq!((judged.verdict, judged.change), (Some(Verdict::Regressed), None));
    }

    #[test]
    fn the_change_is_that_of_the_medians_and_its_direction_is_certain() {
        let change = |base: [u64; 5], head: [u64; 5]| {
            let counts = Counts { calls: 10, base: base.to_vec(), head: head.to_vec() };
            judge_counts(&counts, 0.005).change.unwrap()
        };
        let base = [100_005, 100_001, 100_002, 100_003, 100_004];
        let faster = change(base, [90_000; 5]);
        assert!((faster.share - (90_000.0 / 100_003.0 - 1.0)).abs() < 1e-12, "{faster:?}");
        assert_eq!((faster.p_slower, faster.p_faster), (1.0, 0.0));
        let equal = change([100; 5], [100; 5]);
        assert_eq!((equal.share, equal.p_slower, equal.p_faster), (0.0, 1.0, 1.0));
    }
}
