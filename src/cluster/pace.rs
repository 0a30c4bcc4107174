//! How fast a plan goes, by the clock of its folder's file system, which all nodes share.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// Returns when a file was last changed, in seconds by that clock. Unlike the time of its last write, this time is never
/// copied from another host.
pub(super) fn changed(path: &Path) -> Option<f64> {
    let of = fs::metadata(path).ok()?;
    Some(of.ctime() as f64 + of.ctime_nsec() as f64 / 1e9)
}

/// Returns about how many seconds `left` more blocks take, if they go on at the pace of those that ended. The last ones
/// run at the same time, so it is never less than one block takes.
pub(super) fn seconds_left(spans: Vec<(f64, f64)>, submitted: &[f64], left: usize) -> f64 {
    let all: f64 = spans.iter().map(|(began, ended)| ended - began).sum();
    let one = all / spans.len().max(1) as f64;
    if left == 0 { 0.0 } else { (seconds_a_block(spans, submitted) * left as f64).max(one) }
}

/// Returns the seconds that each block took, from the start of the first to the end of the last. `spans` say when each
/// began and ended, and `submitted` when blocks were handed over. Blocks at the same time share theirs. The time between
/// two blocks counts, because programs start in it and workers wait for each other. It does not count if blocks were
/// submitted in between, which may be days later.
fn seconds_a_block(mut spans: Vec<(f64, f64)>, submitted: &[f64]) -> f64 {
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    let submissions = |at: f64| submitted.iter().filter(|of| **of <= at).count();
    let (mut measured, mut idle, mut waits, mut starts) = (0.0, 0.0, 0_u32, 0_u32);
    let (mut before, mut until) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for &(began, ended) in &spans {
        measured += (ended - began.max(until)).max(0.0);
        if until < began {
            if until.is_finite() && submissions(before) == submissions(began) {
                idle += began - until;
                waits += 1;
            } else {
                starts += 1;
            }
        }
        (before, until) = (began, until.max(ended));
    }
    // The time before the first block after a submission is not known: it may have waited in a queue.
    let wait = idle / f64::from(waits.max(1));
    (measured + wait * f64::from(waits + starts)) / spans.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(spans: &[(f64, f64)], submitted: &[f64], wanted: f64) {
        let found = seconds_a_block(spans.to_vec(), submitted);
        assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted}");
    }

    #[test]
    fn a_block_takes_what_elapsed_for_it_without_the_days_between_submissions() {
        // Two workers on one machine take turns: 0.7 s of measuring, then a second until the other has noticed.
        let today = [(1.7, 2.4), (0.0, 0.7), (3.4, 4.1)];
        is(&today, &[-1.0], 1.7);
        // The rest was submitted on another day.
        let day = 86_400.0;
        let both = [&today[..], &[(day, day + 0.7), (day + 1.7, day + 2.4)]].concat();
        is(&both, &[-1.0, day - 1.0], 1.7);
        // Four nodes at the same time.
        is(&[(0.0, 600.0); 4], &[], 150.0);
        // A lost block is submitted again while others go on.
        is(&[(0.0, 10.0), (5.0, 15.0)], &[-1.0, 4.0], 7.5);
    }

    #[test]
    fn the_last_block_of_four_nodes_takes_as_long_as_any() {
        let left = |blocks| seconds_left(vec![(0.0, 600.0); 4], &[], blocks).round() as u64;
        assert_eq!([0, 1, 2, 8].map(left), [0, 600, 600, 1_200]);
    }
}
