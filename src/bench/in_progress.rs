//! The state of a cell in progress, and of its series.

use std::time::Duration;

use super::{known::MeasuredScale, order::CellPosition};
use crate::{
    plan::Planned,
    record::{Cell, Trial},
};

/// The state of one workload on one model with one worker count.
#[derive(Default)]
pub(super) struct SeriesProgress {
    pub(super) known: Vec<MeasuredScale>,
    /// The greatest scale that has begun.
    pub(super) greatest: Option<usize>,
}

impl SeriesProgress {
    pub(super) fn learn(&mut self, known: MeasuredScale) {
        self.known.retain(|other| other.scale != known.scale);
        self.known.push(known);
    }
}

/// A cell in progress.
pub(super) struct InProgress<'a> {
    pub(super) planned: &'a Planned<'a>,
    pub(super) position: CellPosition,
    /// How often its warm-up showed that it does not fit: after the first time it is postponed, after the second it is
    /// left out.
    pub(super) unfit: u32,
    /// Whether the suite's server has ended during a trial of it.
    pub(super) lost_server: bool,
    /// The fewest processes it gets once it has begun, if there is time.
    pub(super) least: u32,
    pub(super) wanted: u32,
    /// The number of batches that each process times.
    pub(super) batches: u64,
    pub(super) trials: Vec<Trial>,
    /// The time spent on its trials.
    pub(super) spent: Duration,
    pub(super) ended: Option<Cell>,
}

impl<'a> InProgress<'a> {
    pub(super) fn new(planned: &'a Planned<'a>, position: CellPosition) -> Self {
        InProgress {
            planned,
            position,
            unfit: 0,
            lost_server: false,
            least: 0,
            wanted: 0,
            batches: 0,
            trials: vec![],
            spent: Duration::ZERO,
            ended: None,
        }
    }

    /// Returns whether it has neither begun nor ended.
    pub(super) fn is_open(&self) -> bool {
        self.ended.is_none() && self.trials.is_empty()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.ended.is_none() && !self.trials.is_empty()
    }

    /// Returns the time of its trials up to `wanted`, if they are like the previous ones.
    pub(super) fn need(&self, wanted: u32) -> Duration {
        if !self.is_under_way() {
            return Duration::ZERO;
        }
        let done = self.done();
        self.spent / done * wanted.saturating_sub(done)
    }

    pub(super) fn done(&self) -> u32 {
        u32::try_from(self.trials.len()).unwrap_or(u32::MAX)
    }
}
