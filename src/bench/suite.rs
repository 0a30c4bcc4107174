//! Measures the chosen cells: refuses and skips, runs the first trials coarse to fine, and then passes over all.
//!
//! The first passes show how long trials really take, which is less than was set aside for them: after each, the cells
//! that fit by then begin too.

mod begin;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Options, Profile,
    in_progress::{InProgress, SeriesProgress},
    known::predicted,
    order::positions,
    pace::{Cost, FEWEST, Pace, SAMPLES, to_cut},
    replay::{Benchmark, Replay},
    runner::Runner,
    trial::{cell, median_ns, samples},
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
    let runner = Session::start(program, &run.models)?;
    let mut suite = Suite::new(chosen, (writer, runner), start, options);
    suite.all()?;
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
    let (cells, _) = suite.into_cells();
    Ok(Outcome { cells, folder, report, log: replay.log })
}

pub(super) struct Suite<'a, R> {
    writer: Writer,
    runner: R,
    deadline: Instant,
    budget: Duration,
    pace: Pace,
    test: bool,
    seed: u64,
    /// The number of the current pass, from 0.
    pass: u32,
    series: Vec<SeriesProgress>,
    /// Every cell, in the order of the plan.
    going: Vec<InProgress<'a>>,
}

impl<'a, R: Runner> Suite<'a, R> {
    /// Creates the suite of `chosen`, of which nothing has begun. Its budget runs from `start`.
    pub(super) fn new(
        chosen: &'a [Planned<'a>],
        (writer, runner): (Writer, R),
        start: Instant,
        options: &Options,
    ) -> Self {
        let positions = positions(chosen);
        let of_series = positions.last().map_or(0, |position| position.series + 1);
        Suite {
            writer,
            runner,
            deadline: start + options.budget,
            budget: options.budget,
            pace: Pace::of(options),
            test: options.test,
            seed: options.seed,
            pass: 0,
            series: std::iter::repeat_with(SeriesProgress::default).take(of_series).collect(),
            going: chosen
                .iter()
                .zip(positions)
                .map(|(planned, position)| InProgress::new(planned, position))
                .collect(),
        }
    }

    /// Measures all cells. They are recorded in the order in which they end.
    pub(super) fn all(&mut self) -> Result<(), String> {
        for index in 0..self.going.len() {
            if let Some(why) = self.runner.refusal(self.going[index].planned) {
                self.end(index, self.going[index].planned.cell_with_reason(State::Refused, why))?;
            }
        }
        let mut progress = Progress::start(self.trials_left());
        self.passes(&mut progress)?;
        progress.end();
        for index in 0..self.going.len() {
            let going = &self.going[index];
            if going.is_under_way() {
                let why = if interrupted() { "it was interrupted" } else { NO_ROOM };
                self.end_with_trials(index, why)?;
            } else if going.ended.is_none() && !interrupted() {
                let known = &self.series[going.position.series].known;
                let seen = known.iter().any(|known| known.scale == going.planned.scale);
                let cost = self.cost(going);
                let why = self.pace.over(seen, cost, self.unclaimed());
                self.end(index, going.planned.cell_without_time(self.pace.need(cost), why))?;
            }
        }
        Ok(())
    }

    /// Returns the cells that have ended, in the order of the plan, and what ran them.
    pub(super) fn into_cells(self) -> (Vec<Cell>, R) {
        (self.going.into_iter().filter_map(|going| going.ended).collect(), self.runner)
    }

    /// Repeats passes over every cell that has begun, each in a different order. While cells have fewer trials than they
    /// need, those for which there is time by then begin before each pass.
    fn passes(&mut self, progress: &mut Progress) -> Result<(), String> {
        for pass in 1.. {
            if pass <= FEWEST {
                self.first_trials(progress)?;
            }
            self.pass = pass;
            if !self.going.iter().any(InProgress::is_under_way) {
                return Ok(());
            }
            for index in shuffled(self.going.len(), self.seed.wrapping_add(u64::from(pass))) {
                if interrupted() || self.left().is_zero() {
                    return Ok(());
                }
                if pass >= FEWEST {
                    self.cut()?;
                }
                let going = &self.going[index];
                if going.is_under_way() {
                    progress.show(&going.planned.label(), self.left());
                    self.another(index)?;
                    progress.left(self.trials_left());
                }
            }
        }
        Ok(())
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.runner.now())
    }

    /// Returns the part of the budget for cells that have not begun: the rest is for the remaining trials of the others
    /// and for criterion.
    fn unclaimed(&self) -> Duration {
        let claimed: Duration = self.going.iter().map(|going| going.need(going.least)).sum();
        self.left().saturating_sub(claimed + self.analysis())
    }

    /// Returns the time that criterion will take for the cells that have begun.
    fn analysis(&self) -> Duration {
        let begun = self.going.iter().filter(|going| !going.trials.is_empty()).count();
        self.pace.analysis * u32::try_from(begun).unwrap_or(u32::MAX)
    }

    fn cost(&self, going: &InProgress<'_>) -> Cost {
        let known = &self.series[going.position.series].known;
        predicted(going.planned, self.runner.compute_ns(), known)
    }

    /// Returns the number of trials to come. A cell that has not begun counts if it alone fits.
    fn trials_left(&self) -> u64 {
        let unclaimed = self.unclaimed();
        let left = |going: &InProgress<'_>| match going.done() {
            _ if going.ended.is_some() => 0,
            0 => {
                let cost = self.cost(going);
                let fits = self.pace.need(cost) <= unclaimed;
                if fits { self.pace.processes(cost.batch) } else { 0 }
            }
            done => going.wanted - done,
        };
        self.going.iter().map(|going| u64::from(left(going))).sum()
    }

    /// Runs another trial of a cell in progress.
    fn another(&mut self, index: usize) -> Result<(), String> {
        let InProgress { planned, batches, .. } = self.going[index];
        let cost = self.cost(&self.going[index]);
        let begun = self.runner.now();
        self.end_trial(index, begun, |suite| {
            let warm = suite.runner.warm_up(planned, cost)?;
            suite.runner.timed(warm, planned, batches, false)
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
                let trial = Trial { trial: self.pass, ..trial };
                let now = self.runner.now();
                self.writer.write_trial(&trial)?;
                let going = &mut self.going[index];
                going.trials.push(trial);
                going.spent += now - begun;
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
        if self.runner.revive()? && !std::mem::replace(&mut going.lost_server, true) {
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

    /// Removes trials from the cells that need most, if there is no time for all of them. A cell that began late keeps
    /// those without which it has no figure.
    fn cut(&mut self) -> Result<(), String> {
        loop {
            let of = |going: &InProgress<'_>| going.need(going.wanted.min(FEWEST));
            let kept: Duration = self.going.iter().map(of).sum();
            let more = |going: &InProgress<'_>| going.need(going.wanted).saturating_sub(of(going));
            let need: Vec<Duration> = self.going.iter().map(more).collect();
            let left = self.left().saturating_sub(self.analysis() + kept);
            let Some(index) = to_cut(&need, left) else {
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
        let ended = cell(going.planned, &going.trials, Some(self.runner.compute_ns()), why);
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
