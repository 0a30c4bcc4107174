//! What is known of a cell under way, and of its series.

use std::time::Duration;

use super::{known::Known, order::Place, trial::Trial};
use crate::{plan::Planned, record::Cell};

/// What is known of one workload on one model with one number of workers.
#[derive(Default)]
pub(super) struct Series {
    pub(super) known: Vec<Known>,
    /// The greatest scale that has been begun.
    pub(super) greatest: Option<usize>,
}

impl Series {
    pub(super) fn learn(&mut self, known: Known) {
        self.known.retain(|other| other.scale != known.scale);
        self.known.push(known);
    }
}

/// A cell under way.
pub(super) struct InProgress<'a> {
    pub(super) planned: &'a Planned<'a>,
    pub(super) place: Place,
    /// Whether it was put off because its warm-up was slower than predicted.
    pub(super) slow: bool,
    /// Whether the suite's server has ended under a trial of it.
    pub(super) lost_server: bool,
    /// How many processes it gets at least, and if there is time, once it has begun.
    pub(super) least: u32,
    pub(super) wanted: u32,
    /// How many batches each of them times.
    pub(super) batches: u64,
    pub(super) trials: Vec<Trial>,
    /// How long they took.
    pub(super) spent: Duration,
    pub(super) ended: Option<Cell>,
}

impl<'a> InProgress<'a> {
    pub(super) fn new(planned: &'a Planned<'a>, place: Place) -> Self {
        InProgress {
            planned,
            place,
            slow: false,
            lost_server: false,
            least: 0,
            wanted: 0,
            batches: 0,
            trials: vec![],
            spent: Duration::ZERO,
            ended: None,
        }
    }

    pub(super) fn label(&self) -> String {
        let Planned { workload, entry, scale, .. } = self.planned;
        format!("{} on {} at {scale}", workload.name, entry.info.name)
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.ended.is_none() && !self.trials.is_empty()
    }

    /// What its trials up to `wanted` take, if they are like those before.
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
