//! How many processes a cell gets, what each of them measures, and how long that takes: pure functions.

use std::time::Duration;

use super::{Options, Profile};
use crate::{
    output::{counted, long},
    stats::FEWEST_TRIALS,
};

/// The number of samples of a cell for criterion, which is its minimum.
pub(super) const SAMPLES: u32 = 10;
/// With fewer processes there is no interval.
pub(super) const FEWEST: u32 = FEWEST_TRIALS as u32;
/// If a batch takes longer, half as many processes with two samples each are enough.
const SLOW: Duration = Duration::from_millis(100);
/// If a batch takes longer than this, a second sample of a process costs more than it adds: each process has one, and
/// there are as many processes as the time allows.
const VERY_SLOW: Duration = Duration::from_secs(1);
/// The most timed batches of a process.
const MOST: u128 = 1000;

/// The cost of a cell, as far as known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// A batch.
    pub(super) batch: Duration,
    /// The overhead of a process besides its first batch and the timed ones: its start, preparing the cell, warming up.
    pub(super) start: Duration,
}

/// The thoroughness of the measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The samples of a cell.
    samples: u32,
    /// The processes of a cell with quick batches.
    processes: u32,
    /// The least total time of the timed batches of each of `processes`; where there are fewer, each has more.
    slice: Duration,
    /// The time criterion takes to analyse a cell on two cores, mostly for plots.
    pub(super) analysis: Duration,
}

impl Pace {
    pub(super) fn of(options: &Options) -> Self {
        let samples = options.sample_size.unwrap_or(SAMPLES);
        let pace = Pace::for_profile(options.profile);
        let processes = samples.div_ceil(pace.samples / pace.processes);
        let slice = options.measurement_time.map_or(pace.slice, |time| time / processes);
        Pace { samples, processes, slice, ..pace }
    }

    pub(super) fn for_profile(profile: Profile) -> Self {
        let millis = Duration::from_millis;
        let (processes, slice, analysis) = match profile {
            Profile::Quick => (SAMPLES / 2, millis(10), millis(15)),
            Profile::Default => (SAMPLES, millis(10), millis(75)),
            Profile::Full => (SAMPLES, millis(50), millis(75)),
        };
        Pace { samples: SAMPLES, processes, slice, analysis }
    }

    /// Returns the processes of a cell whose batches take `batch`.
    pub(super) fn processes(self, batch: Duration) -> u32 {
        match batch {
            batch if batch > VERY_SLOW => self.samples,
            batch if batch > SLOW => self.samples.div_ceil(2),
            _ => self.processes,
        }
    }

    /// Returns the timed batches of one of `processes`.
    pub(super) fn batches(self, batch: Duration, processes: u32) -> u64 {
        let each = u128::from(self.samples.div_ceil(processes));
        let slice = self.slice * self.processes / processes;
        let room = slice.as_nanos().div_ceil(batch.as_nanos().max(1));
        room.clamp(each, MOST) as u64
    }

    /// Returns the time of one of its processes.
    pub(super) fn trial(self, cost: Cost) -> Duration {
        let batches = self.batches(cost.batch, self.processes(cost.batch));
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        cost.start.saturating_add(cost.batch.saturating_mul(batches.saturating_add(1)))
    }

    /// Returns the fewest processes of a cell: enough for an interval of a slow one, with more if time is left.
    pub(super) fn least(self, batch: Duration) -> u32 {
        if batch > SLOW { FEWEST } else { self.processes(batch) }
    }

    /// Returns the least time of a cell.
    pub(super) fn need(self, cost: Cost) -> Duration {
        self.trial(cost).saturating_mul(self.least(cost.batch)).saturating_add(self.analysis)
    }

    /// Returns why a cell of this cost, measured or predicted, does not fit into `left`.
    pub(super) fn over(self, seen: bool, cost: Cost, left: Duration) -> String {
        let (needed, left) = (long(self.need(cost)), long(left));
        let processes = counted(self.least(cost.batch) as usize, "process");
        let batch = long(cost.batch);
        let by = if seen { "warmed up" } else { "predicted" };
        format!(
            "{by}: {processes} with batches of {batch} take {needed}; the budget has {left} left, for the cells before it \
             too"
        )
    }
}

/// Returns the time limit of a host for work of this predicted time, after which it counts as hung.
pub(super) fn patience(predicted: Duration) -> Duration {
    /// Other load on the machine delays even the shortest batch.
    const LEAST: Duration = Duration::from_secs(10);
    const MOST: Duration = Duration::from_mins(5);
    predicted.saturating_mul(4).saturating_add(LEAST).min(MOST)
}

/// Returns the cell that loses a trial if all cells `need` more than is `left`: the one that needs most.
pub(super) fn to_cut(need: &[Duration], left: Duration) -> Option<usize> {
    // Predictions are within a few percent; no cell is cut for less.
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
        for (batch, processes, batches) in [
            (0, 10, 1000),
            (1, 10, 20),
            (15, 10, 2),
            (20, 10, 1),
            (100, 10, 1),
            (101, 5, 2),
            (1001, 10, 1),
        ] {
            let of = PACE.processes(ms(batch));
            assert_eq!((of, PACE.batches(ms(batch), of)), (processes, batches), "{batch} ms");
            // criterion has its ten samples.
            assert!(u64::from(of) * batches >= 10);
        }
        assert_eq!((QUICK.processes(ms(1)), QUICK.batches(ms(100), 5)), (5, 2));
    }

    #[test]
    fn the_time_asked_for_is_measured_however_many_processes_share_it() {
        let asked = Pace { slice: ms(500), ..PACE };
        for (batch, measured) in [(20, 5000), (150, 5250), (1500, 15_000)] {
            let of = asked.processes(ms(batch));
            let batches = asked.batches(ms(batch), of);
            assert_eq!(u64::from(of) * batches * batch, measured, "{batch} ms");
        }
    }

    #[test]
    fn a_cell_costs_its_processes_their_warm_up_and_their_batches() {
        let cost = |batch, start| Cost { batch: ms(batch), start: ms(start) };
        // 10 × (30 + 1 + 20), 10 × (30 + 25 + 25), and 3 × (30 + 500 + 1000) of five.
        assert_eq!(PACE.need(cost(1, 30)), ms(510 + 150));
        assert_eq!(PACE.need(cost(25, 30)), ms(800 + 150));
        assert_eq!(PACE.need(cost(500, 30)), ms(4_590 + 150));
        let why = PACE.over(false, cost(1000, 30), ms(2000));
        assert!(why.starts_with("predicted: 3 processes with batches of"), "{why}");
    }

    #[test]
    fn a_deadline_follows_from_the_prediction_and_is_bounded() {
        assert_eq!(patience(ms(1)), ms(10_004));
        assert_eq!(patience(ms(2000)), ms(18_000));
        assert_eq!(patience(Duration::MAX), Duration::from_mins(5));
    }

    #[test]
    fn the_cell_that_needs_most_gets_less_where_not_all_have_room() {
        let need = [ms(100), ms(700), ms(200)];
        assert_eq!(to_cut(&need, ms(1000)), None);
        assert_eq!(to_cut(&need, ms(960)), None, "for 40 ms nothing is given up");
        assert_eq!(to_cut(&need, ms(900)), Some(1));
        assert_eq!(to_cut(&[], Duration::ZERO), None);
    }
}
