//! Measures the chosen cells: refuses and skips, runs the first trials coarse to fine, and then passes over all.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Options, Profile,
    in_progress::{InProgress, SeriesProgress},
    known::{MeasuredScale, predicted},
    order::{CellPosition, Room, Waiting, fits, next, positions},
    pace::{Cost, FEWEST, Pace, SAMPLES, to_cut},
    replay::{Benchmark, Replay},
    trial::{WarmHost, cell, cpu_ns, median_ns, samples},
};
use crate::{
    output::{Building, Progress, long},
    plan::{Choice, Planned, cells},
    record::{Cell, Run, State, Trial, Writer},
    run::shuffled,
    session::{Session, failed_cell},
    start::{Settings, begin},
};
use paceline_core::{
    clock::now,
    interrupt::interrupted,
    job::Workload,
    models::Entry,
    process::{HostError, Program},
};

/// Extra time for the first process of a model, which may have to read or build files for later ones.
const FIRST_START: Duration = Duration::from_secs(5);

/// The reason why a cell has fewer trials.
const NO_ROOM: &str = "the budget has no room for more";

/// The result of the suite.
pub(crate) struct Outcome {
    /// The cells, in the order of the plan.
    pub(crate) cells: Vec<Cell>,
    pub(crate) folder: PathBuf,
    /// criterion's report, or why there is none; `None` if there was nothing to analyse.
    pub(crate) report: Option<Result<PathBuf, String>>,
    /// The file with criterion's output.
    pub(crate) log: PathBuf,
}

/// Returns the cells that the filter and the profile select.
pub(crate) fn chosen<'a>(
    workloads: &'a [Workload],
    models: &[&'static Entry],
    options: &Options,
) -> Vec<Planned<'a>> {
    let mut all = cells(workloads, models, &Choice::default());
    all.retain(|cell| options.profile.scales(&cell.workload.scales).contains(&cell.scale));
    all.retain(|cell| options.matches(&cell.name()));
    all
}

/// Measures `chosen`, and writes the record.
pub(crate) fn measure(
    workloads: &[Workload],
    models: &[&'static Entry],
    chosen: &[Planned<'_>],
    options: &Options,
    program: Program,
) -> Result<Outcome, String> {
    let start = now();
    let settings = Settings {
        instrument: "criterion",
        budget: options.budget,
        seed: Some(options.seed),
        more: vec![
            ("profile", options.profile.name().into()),
            ("filter", options.filter_text.clone().into()),
            ("samples", options.sample_size.unwrap_or(SAMPLES).into()),
        ],
    };
    let run = Run { planned: Some(chosen.len()), ..begin(&settings, models, workloads) };
    let writer = Writer::create(&options.results, &run)?;
    let folder = writer.folder().to_owned();
    let path = program.path().to_owned();
    let pace = Pace::of(options);
    let of_series = positions(chosen).last().map_or(0, |position| position.series + 1);
    let mut suite = Suite {
        writer,
        session: Session::start(program, &run.models)?,
        deadline: start + options.budget,
        budget: options.budget,
        pace,
        test: options.test,
        seed: options.seed,
        series: std::iter::repeat_with(SeriesProgress::default).take(of_series).collect(),
        going: vec![],
    };
    suite.all(chosen)?;
    let replay = Replay {
        program: &path,
        plots: options.profile != Profile::Quick,
        verbose: options.verbose,
        log: folder.join("criterion.log"),
    };
    let benchmarks = suite.benchmarks(options.sample_size.unwrap_or(SAMPLES));
    let wanted = !benchmarks.is_empty() && !interrupted();
    let report = wanted.then(|| {
        let line = Building::start();
        line.show("criterion analyses and plots the samples");
        replay.run(&benchmarks)
    });
    let cells = suite.going.into_iter().filter_map(|going| going.ended).collect();
    Ok(Outcome { cells, folder, report, log: replay.log })
}

struct Suite<'a> {
    writer: Writer,
    session: Session,
    deadline: Instant,
    budget: Duration,
    pace: Pace,
    test: bool,
    seed: u64,
    series: Vec<SeriesProgress>,
    /// Every cell, in the order of the plan.
    going: Vec<InProgress<'a>>,
}

impl<'a> Suite<'a> {
    /// Measures all cells. They are recorded in the order in which they end.
    fn all(&mut self, chosen: &'a [Planned<'a>]) -> Result<(), String> {
        let positions = chosen.iter().zip(positions(chosen));
        self.going =
            positions.map(|(planned, position)| InProgress::new(planned, position)).collect();
        for index in 0..self.going.len() {
            if let Some(why) = self.session.refusal(self.going[index].planned) {
                self.end(index, self.going[index].planned.cell_with_reason(State::Refused, why))?;
            }
        }
        let mut progress = Progress::start(self.trials_left());
        self.first_trials(&mut progress)?;
        self.passes(&mut progress)?;
        progress.end();
        for index in 0..self.going.len() {
            if self.going[index].is_under_way() {
                let why = if interrupted() { "it was interrupted" } else { NO_ROOM };
                self.end_with_trials(index, why)?;
            }
        }
        Ok(())
    }

    /// Runs the first trial of every cell for which there is time, coarse to fine.
    fn first_trials(&mut self, progress: &mut Progress) -> Result<(), String> {
        let order = shuffled(self.going.len(), self.seed);
        let mut ranks = vec![0; order.len()];
        order.iter().enumerate().for_each(|(rank, index)| ranks[*index] = rank);
        while !interrupted() {
            let waiting: Vec<Waiting> = self.waiting(&ranks);
            let Some(cell) = next(&waiting, &self.greatest(), self.room()) else {
                for cell in waiting {
                    let going = &self.going[cell.index];
                    let why = self.pace.over(going.slow, self.cost(going), self.unclaimed());
                    self.end(cell.index, going.planned.cell_with_reason(State::Skipped, why))?;
                }
                return Ok(());
            };
            progress.show(&self.going[cell.index].planned.label(), self.left());
            self.first(cell, &waiting)?;
            progress.left(self.trials_left());
        }
        Ok(())
    }

    /// Repeats passes over every cell that has begun, each in a different order.
    fn passes(&mut self, progress: &mut Progress) -> Result<(), String> {
        let most = self.going.iter().map(|going| going.wanted).max().unwrap_or(0);
        // The last pass is for cells that lost a trial with the suite's server.
        for pass in 1..=most {
            for index in shuffled(self.going.len(), self.seed.wrapping_add(u64::from(pass))) {
                if interrupted() {
                    return Ok(());
                }
                if pass >= FEWEST {
                    self.cut()?;
                } else if self.left().is_zero() {
                    return Ok(());
                }
                let going = &self.going[index];
                if going.is_under_way() && going.done() <= pass {
                    progress.show(&going.planned.label(), self.left());
                    self.another(index)?;
                    progress.left(self.trials_left());
                }
            }
        }
        Ok(())
    }

    /// Returns the greatest scale of each series that has begun.
    fn greatest(&self) -> Vec<Option<usize>> {
        self.series.iter().map(|series| series.greatest).collect()
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(now())
    }

    /// Returns the part of the budget for cells that have not begun: the rest is for the remaining trials of the others
    /// and for criterion.
    fn unclaimed(&self) -> Duration {
        let claimed: Duration = self.going.iter().map(|going| going.need(going.least)).sum();
        self.left().saturating_sub(claimed + self.analysis())
    }

    fn room(&self) -> Room {
        Room { budget: self.budget, left: self.unclaimed() }
    }

    /// Returns the time that criterion will take for the cells that have begun.
    fn analysis(&self) -> Duration {
        let begun = self.going.iter().filter(|going| !going.trials.is_empty()).count();
        self.pace.analysis * u32::try_from(begun).unwrap_or(u32::MAX)
    }

    fn cost(&self, going: &InProgress<'_>) -> Cost {
        let known = &self.series[going.position.series].known;
        predicted(going.planned, self.session.compute_ns, known)
    }

    /// Returns the cells that have not begun, with the time that their series predicts.
    fn waiting(&self, ranks: &[usize]) -> Vec<Waiting> {
        let open =
            self.going.iter().filter(|going| going.ended.is_none() && going.trials.is_empty());
        let waiting = |going: &InProgress<'_>| {
            let CellPosition { index, series, deep, .. } = going.position;
            let need = self.pace.need(self.cost(going));
            Waiting { index, series, deep, scale: going.planned.scale, rank: ranks[index], need }
        };
        open.map(waiting).collect()
    }

    fn trials_left(&self) -> u64 {
        let left = |going: &InProgress<'_>| match going.done() {
            _ if going.ended.is_some() => 0,
            0 => self.pace.processes(self.cost(going).batch),
            done => going.wanted - done,
        };
        self.going.iter().map(|going| u64::from(left(going))).sum()
    }

    /// Runs the first trial of a cell if its warm-up shows that the cell fits; otherwise postpones it, once.
    fn first(&mut self, waiting: Waiting, all: &[Waiting]) -> Result<(), String> {
        let index = waiting.index;
        let planned = self.going[index].planned;
        let begun = now();
        let fits = |suite: &Self, cost: Cost| {
            let need = suite.pace.need(cost).saturating_sub(now() - begun);
            fits(all, &suite.greatest(), waiting, need, suite.room())
        };
        let mut cost = self.cost(&self.going[index]);
        cost.start += FIRST_START;
        let warm = WarmHost::up(&self.session, planned, cost);
        let warm = warm.and_then(|mut warm| {
            if !fits(self, warm.cost) && warm.cost.batch * 2 < self.left() {
                warm.again()?;
            }
            Ok(warm)
        });
        let warm = match warm {
            Ok(warm) => warm,
            Err(error) => return self.record_failure(index, &error),
        };
        let cost = warm.cost;
        if !self.test && !fits(self, cost) {
            let known = MeasuredScale { scale: planned.scale, cost, cpu_ns: (0.0, 0.0) };
            self.series[waiting.series].learn(known);
            if std::mem::replace(&mut self.going[index].slow, true) {
                let why = self.pace.over(true, cost, self.unclaimed());
                return self.end(index, planned.cell_with_reason(State::Skipped, why));
            }
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
        let order = (0, batches);
        self.end_trial(index, begun, |suite| warm.timed(&mut suite.session, planned, order))?;
        if let Some(trial) = self.going[index].trials.first() {
            let batch = Duration::from_nanos(median_ns(trial) as u64);
            let cpu_ns = cpu_ns(trial);
            let cost = Cost { batch, ..cost };
            self.series[waiting.series].learn(MeasuredScale { scale: planned.scale, cost, cpu_ns });
        }
        Ok(())
    }

    /// Runs another trial of a cell in progress.
    fn another(&mut self, index: usize) -> Result<(), String> {
        let InProgress { planned, batches, .. } = self.going[index];
        let cost = self.cost(&self.going[index]);
        let order = (self.going[index].done(), batches);
        self.end_trial(index, now(), |suite| {
            WarmHost::up(&suite.session, planned, cost)?.timed(&mut suite.session, planned, order)
        })
    }

    /// Records the result of a trial, and ends the cell after the last trial or a failure.
    fn end_trial(
        &mut self,
        index: usize,
        begun: Instant,
        trial: impl FnOnce(&mut Self) -> Result<Trial, HostError>,
    ) -> Result<(), String> {
        match trial(self) {
            Ok(trial) => {
                self.writer.write_trial(&trial)?;
                let going = &mut self.going[index];
                going.trials.push(trial);
                going.spent += now() - begun;
                if going.done() >= going.wanted {
                    return self.end_with_trials(index, "");
                }
                Ok(())
            }
            Err(error) => self.record_failure(index, &error),
        }
    }

    /// Ends a cell whose process gave no figure; the results of earlier processes are kept.
    fn record_failure(&mut self, index: usize, error: &HostError) -> Result<(), String> {
        if matches!(error, HostError::Interrupted) {
            return Ok(());
        }
        // The suite's server is not part of the cell: if it failed, the trial is repeated once.
        let going = &mut self.going[index];
        if self.session.revive()? && !std::mem::replace(&mut going.lost_server, true) {
            return Ok(());
        }
        let ended = match error {
            HostError::Silent(patience) => going.planned.cell_with_reason(
                State::Failed,
                format!(
                    "its process {} gave no answer within {}, a multiple of what was predicted: it hangs, or the machine \
                     was kept from it; see whether paceline run {} --model {} hangs too",
                    going.done() + 1,
                    long(*patience),
                    going.planned.workload.name,
                    going.planned.entry.info.name
                ),
            ),
            error => failed_cell(going.planned, error),
        };
        let trials_ns = going.trials.iter().map(|trial| median_ns(trial) as u64).collect();
        self.end(index, Cell { trials_ns, ..ended })
    }

    /// Removes trials from the cells that need most, if there is no time for all of them.
    fn cut(&mut self) -> Result<(), String> {
        loop {
            let need: Vec<Duration> =
                self.going.iter().map(|going| going.need(going.wanted)).collect();
            let Some(index) = to_cut(&need, self.left().saturating_sub(self.analysis())) else {
                return Ok(());
            };
            let going = &mut self.going[index];
            going.wanted -= 1;
            if going.done() >= going.wanted {
                self.end_with_trials(index, NO_ROOM)?;
            }
        }
    }

    fn end_with_trials(&mut self, index: usize, why: &str) -> Result<(), String> {
        let going = &self.going[index];
        let ended = cell(going.planned, &going.trials, Some(self.session.compute_ns), why);
        self.end(index, ended)
    }

    fn end(&mut self, index: usize, cell: Cell) -> Result<(), String> {
        self.writer.write(&cell)?;
        self.going[index].ended = Some(cell);
        Ok(())
    }

    /// Returns the input for criterion: the cells with a figure and enough batches for the samples that it needs.
    fn benchmarks(&self, samples_wanted: u32) -> Vec<Benchmark> {
        let of = |going: &InProgress<'_>| {
            going.ended.as_ref().filter(|cell| cell.batch_ns.is_some())?;
            Some(Benchmark {
                group: going.planned.workload.name.clone(),
                function: going.planned.series(),
                scale: going.planned.scale,
                samples_ns: samples(&going.trials, samples_wanted)?,
            })
        };
        self.going.iter().filter_map(of).collect()
    }
}
