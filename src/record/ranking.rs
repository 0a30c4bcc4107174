//! What of a cell may be ranked: one rule for tables and for advice.

use super::Cell;
use crate::stats::slope;

/// The shortest wait that models are ranked by, in nanoseconds: under it each timer's resolution decides.
pub const SHORTEST_RANKED_NS: u64 = 5_000_000;

impl Cell {
    /// Whether its jobs wait, and so briefly that timers would be ranked and not models.
    #[must_use]
    pub fn waits_too_briefly(&self) -> bool {
        self.floor_ns > 0 && self.floor_ns < SHORTEST_RANKED_NS
    }

    /// Whether only one process was measured, which has no interval.
    #[must_use]
    pub fn is_of_one_process(&self) -> bool {
        self.trials_ns.len() == 1 && self.criterion.is_none()
    }
}

/// The slope of memory over scales of one series, in bytes; `None` where it says nothing: the largest batch must have
/// added a MiB more than the smallest, for the kernel counts pages in bundles.
#[must_use]
pub fn bytes_per_job(series: &[&Cell]) -> Option<f64> {
    const LEAST: f64 = (1 << 20) as f64;
    let point = |cell: &&Cell| {
        let added = cell.resources?.rss_bytes_added?;
        Some((cell.scale as f64, added as f64))
    };
    let points: Vec<(f64, f64)> = series.iter().filter_map(point).collect();
    let ends = points
        .iter()
        .map(|(_, y)| *y)
        .fold((f64::MAX, f64::MIN), |(least, most), y| (least.min(y), most.max(y)));
    (ends.1 - ends.0 >= LEAST).then(|| slope(&points)).flatten().filter(|slope| *slope > 0.0)
}
