//! How many processes a cell gets, what each of them does, and how long that takes: pure functions.

use std::time::Duration;

use super::{Options, Profile};
use crate::output::long;

/// The samples that criterion is given of a cell, which are as few as it takes.
pub(super) const SAMPLES: u32 = 10;
/// Fewer processes have no interval.
pub(super) const FEWEST: usize = 3;
/// Where a batch takes longer, half as many processes with two samples each are enough.
const SLOW: Duration = Duration::from_millis(250);
/// The most timed batches of one process.
const MOST: u128 = 1000;

/// What a cell takes, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// A batch.
    pub(super) batch: Duration,
    /// What a process takes besides its batches: its start, and preparing the cell.
    pub(super) start: Duration,
}

/// How thoroughly cells are measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Samples of a cell.
    samples: u32,
    /// Processes of a cell whose batches are quick.
    processes: u32,
    /// How long the timed batches of a process last together, at least.
    slice: Duration,
    /// What criterion takes to analyse a cell; most of it goes into plots.
    pub(super) analysis: Duration,
}

impl Pace {
    pub(super) fn of(options: &Options) -> Self {
        let millis = Duration::from_millis;
        let samples = options.sample_size.unwrap_or(SAMPLES);
        let (processes, slice, analysis) = match options.profile {
            Profile::Quick => (samples.div_ceil(2), millis(10), millis(30)),
            Profile::Default => (samples, millis(20), millis(150)),
            Profile::Full => (samples, millis(50), millis(150)),
        };
        let slice = options.measurement_time.map_or(slice, |time| time / processes);
        Pace { samples, processes, slice, analysis }
    }

    /// The processes of a cell whose batches take this long.
    pub(super) fn processes(self, batch: Duration) -> u32 {
        if batch > SLOW { self.samples.div_ceil(2).min(self.processes) } else { self.processes }
    }

    /// The timed batches of one of so many processes.
    pub(super) fn batches(self, batch: Duration, processes: u32) -> u64 {
        let each = u128::from(self.samples.div_ceil(processes));
        let room = self.slice.as_nanos().div_ceil(batch.as_nanos().max(1));
        room.clamp(each, MOST) as u64
    }

    /// The time that one of its processes takes.
    pub(super) fn trial(self, cost: Cost) -> Duration {
        // The attested batch warms up, and a quick one more.
        let warm = if is_slow(cost.batch) { 1 } else { 2 };
        let batches = self.batches(cost.batch, self.processes(cost.batch));
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        cost.start.saturating_add(cost.batch.saturating_mul(warm + batches))
    }

    /// The time that the whole cell takes.
    pub(super) fn need(self, cost: Cost) -> Duration {
        self.trial(cost).saturating_mul(self.processes(cost.batch)).saturating_add(self.analysis)
    }

    /// Why a cell of this cost, seen or predicted, does not fit where `left` is left.
    pub(super) fn over(self, seen: bool, cost: Cost, left: Duration) -> String {
        let (needed, left) = (long(self.need(cost)), long(left));
        let (processes, batch) = (self.processes(cost.batch), long(cost.batch));
        let by = if seen { "warmed up" } else { "predicted" };
        format!(
            "{by}: {processes} processes with batches of {batch} take {needed}, and with all quicker cells that is \
             more than the {left} left"
        )
    }
}

/// Whether batches take so long that a process has few of them.
pub(super) fn is_slow(batch: Duration) -> bool {
    batch > SLOW
}

/// How long a host may take for work that was predicted to last so long, before it counts as hung.
pub(super) fn patience(predicted: Duration) -> Duration {
    /// A machine that is busy with something else delays even the shortest batch.
    const LEAST: Duration = Duration::from_secs(10);
    const MOST: Duration = Duration::from_mins(5);
    predicted.saturating_mul(4).saturating_add(LEAST).min(MOST)
}

/// Which cell ends with the trials that it has, where what all cells still `need` is more than is `left`: the one that
/// needs most.
pub(super) fn to_cut(need: &[Duration], left: Duration) -> Option<usize> {
    // Predictions are within a few percent; a cell is not given up for less.
    let over = need.iter().sum::<Duration>() > left.saturating_add(left / 20);
    over.then(|| (0..need.len()).max_by_key(|index| need[*index])).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        samples: 10,
        processes: 10,
        slice: Duration::from_millis(20),
        analysis: Duration::from_millis(150),
    };
    const QUICK: Pace = Pace { processes: 5, ..PACE };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn quick_cells_have_ten_processes_and_slow_ones_five_with_two_samples_each() {
        for (batch, processes, batches) in
            [(0, 10, 1000), (1, 10, 20), (15, 10, 2), (20, 10, 1), (250, 10, 1), (251, 5, 2)]
        {
            let of = PACE.processes(ms(batch));
            assert_eq!((of, PACE.batches(ms(batch), of)), (processes, batches), "{batch} ms");
            // criterion has its ten samples.
            assert!(u64::from(of) * batches >= 10);
        }
        assert_eq!((QUICK.processes(ms(1)), QUICK.batches(ms(100), 5)), (5, 2));
    }

    #[test]
    fn a_cell_costs_its_processes_their_warm_up_and_their_batches() {
        let cost = |batch, start| Cost { batch: ms(batch), start: ms(start) };
        // 10 × (30 + 2 + 20), and 5 × (30 + 1000 + 2000).
        assert_eq!(PACE.need(cost(1, 30)), ms(520 + 150));
        assert_eq!(PACE.need(cost(1000, 30)), ms(15_150 + 150));
        let why = PACE.over(false, cost(1000, 30), ms(2000));
        assert!(why.starts_with("predicted: 5 processes with batches of"), "{why}");
    }

    #[test]
    fn a_deadline_follows_from_the_prediction_and_is_bounded() {
        assert_eq!(patience(ms(1)), ms(10_004));
        assert_eq!(patience(ms(2000)), ms(18_000));
        assert_eq!(patience(Duration::MAX), Duration::from_mins(5));
    }

    #[test]
    fn the_cell_that_needs_most_is_cut_where_not_all_have_room() {
        let need = [ms(100), ms(700), ms(200)];
        assert_eq!(to_cut(&need, ms(1000)), None);
        assert_eq!(to_cut(&need, ms(960)), None, "for 40 ms nothing is given up");
        assert_eq!(to_cut(&need, ms(900)), Some(1));
        assert_eq!(to_cut(&[], Duration::ZERO), None);
    }
}
