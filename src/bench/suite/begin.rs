//! Begins cells: those that fit, coarse to fine, each with its first trial.

use std::time::Duration;

use super::{
    super::{
        in_progress::InProgress,
        known::{MeasuredScale, predicted, to_probe},
        order::{CellPosition, Room, Waiting, fits, next},
        pace::Cost,
        runner::Runner,
        trial::{cpu_ns, median_ns},
    },
    Suite,
};
use crate::{output::Progress, plan::Planned, record::State, run::shuffled};
use paceline_core::interrupt::interrupted;

/// Extra time for the first process of a model, which may have to read or build files for later ones.
const FIRST_START: Duration = Duration::from_secs(5);

/// The longest batch that is not taken for one that hangs, if nothing is known of it.
const LONGEST: Duration = Duration::from_mins(5);

impl<R: Runner> Suite<'_, R> {
    /// Runs the first trial of every cell for which there is time, coarse to fine.
    pub(super) fn first_trials(&mut self, progress: &mut Progress) -> Result<(), String> {
        let order = shuffled(self.going.len(), self.seed);
        let mut ranks = vec![0; order.len()];
        order.iter().enumerate().for_each(|(rank, index)| ranks[*index] = rank);
        while !interrupted() {
            let waiting: Vec<Waiting> = self.waiting(&ranks);
            let Some(cell) = next(&waiting, &self.greatest(), self.room()) else {
                return Ok(());
            };
            progress.show(&self.going[cell.index].planned.label(), self.left());
            self.first(cell, &waiting)?;
            self.probe(cell.series)?;
            progress.left(self.trials_left());
        }
        Ok(())
    }

    /// Warms up few jobs of a series whose greatest scale no figure predicts well, so that it is not left out for what one
    /// job takes.
    fn probe(&mut self, series: usize) -> Result<(), String> {
        let of_series =
            |going: &&InProgress<'_>| going.position.series == series && going.is_open();
        let open: Vec<&InProgress<'_>> = self.going.iter().filter(of_series).collect();
        let cells: Vec<&Planned<'_>> = open.iter().map(|going| going.planned).collect();
        let (compute_ns, known) = (self.runner.compute_ns(), &self.series[series].known);
        let probed = to_probe(&cells, compute_ns, known, self.pace, self.budget);
        let Some(going) = open.iter().find(|going| Some(going.planned.scale) == probed) else {
            return Ok(());
        };
        let (index, planned) = (going.position.index, going.planned);
        let warm = self.runner.warm_up(planned, predicted(planned, compute_ns, known));
        match warm.and_then(|mut warm| self.runner.again(&mut warm).map(|()| warm)) {
            Ok(warm) => {
                self.series[series].learn(warm.known(planned.scale));
                Ok(())
            }
            Err(error) => self.record_failure(index, &error),
        }
    }

    /// Runs the first trial of a cell if its warm-up shows that the cell fits; otherwise postpones it.
    fn first(&mut self, waiting: Waiting, all: &[Waiting]) -> Result<(), String> {
        let index = waiting.index;
        let planned = self.going[index].planned;
        let begun = self.runner.now();
        let fits = |suite: &Self, cost: Cost| {
            let need = suite.pace.need(cost).saturating_sub(suite.runner.now() - begun);
            fits(all, &suite.greatest(), waiting, need, suite.room())
        };
        let mut cost = self.cost(&self.going[index]);
        cost.start += FIRST_START;
        if self.test {
            // Nothing is measured, so no prediction tells a slow cell from one that hangs.
            cost.batch = LONGEST;
        }
        let warm = self.runner.warm_up(planned, cost);
        let warm = warm.and_then(|mut warm| {
            if !fits(self, warm.cost) && warm.cost.batch * 2 < self.left() {
                self.runner.again(&mut warm)?;
            }
            Ok(warm)
        });
        let warm = match warm {
            Ok(warm) => warm,
            Err(error) => return self.record_failure(index, &error),
        };
        let cost = warm.cost;
        if !self.test && !fits(self, cost) {
            self.series[waiting.series].learn(warm.known(planned.scale));
            self.going[index].unfit += 1;
            return Ok(());
        }
        let of_series = &mut self.series[waiting.series];
        of_series.greatest = of_series.greatest.max(Some(waiting.scale));
        if self.test {
            return self.end(index, planned.cell_with_time(State::Ok, None, String::new()));
        }
        let going = &mut self.going[index];
        going.least = self.pace.least(cost.batch);
        going.wanted = self.pace.processes(cost.batch);
        going.batches = self.pace.batches(cost.batch, going.wanted);
        let batches = going.batches;
        self.end_trial(index, begun, |suite| suite.runner.timed(warm, planned, batches, true))?;
        if let Some(trial) = self.going[index].trials.first() {
            let batch = Duration::from_nanos(median_ns(trial) as u64);
            let cpu_ns = cpu_ns(trial);
            let cost = Cost { batch, ..cost };
            self.series[waiting.series].learn(MeasuredScale { scale: planned.scale, cost, cpu_ns });
        }
        Ok(())
    }

    /// Returns the greatest scale of each series that has begun.
    fn greatest(&self) -> Vec<Option<usize>> {
        self.series.iter().map(|series| series.greatest).collect()
    }

    fn room(&self) -> Room {
        Room { budget: self.budget, left: self.unclaimed() }
    }

    /// Returns the cells that have not begun, with the time that their series predicts.
    fn waiting(&self, ranks: &[usize]) -> Vec<Waiting> {
        let open = self.going.iter().filter(|going| going.is_open() && going.unfit < 2);
        let waiting = |going: &InProgress<'_>| {
            let CellPosition { index, series, deep, compares, .. } = going.position;
            let need = self.pace.need(self.cost(going));
            let (scale, rank) = (going.planned.scale, ranks[index]);
            Waiting { index, series, deep, compares, scale, rank, need }
        };
        open.map(waiting).collect()
    }
}
