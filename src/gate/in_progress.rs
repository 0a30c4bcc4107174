//! A gate in progress: calibrates and pilots all cells, plans and runs their trials, and judges them.

use std::time::{Duration, Instant};

use super::{
    build::GateError,
    cell::{CellInProgress, Surroundings},
    counts::{Counter, counted},
    margins::Margins,
    pace,
    standing::standing,
    trial::{BASE, COPY, HEAD},
};
use crate::{
    compare::{Judged, Sample, judge},
    output::{self, Progress, for_option, long},
    record::{GateCell, Metric, Presence, State, Verdict},
    run::shuffled,
    stats::median_and_range,
};
use paceline_core::{clock::now, interrupt::interrupted};

/// The share of discoveries that may be false.
pub(super) const RATE: f64 = 0.05;
/// The same share at each of two looks (Pocock).
const RATE_OF_TWO: f64 = 0.030;
/// The share of the remaining time that is planned: trials vary, and the last must end in time.
pub(super) const PLANNED: f64 = 0.93;

/// The settings declared beforehand.
pub(super) struct Plan {
    pub(super) metrics: Vec<Metric>,
    pub(super) margins: Margins,
    pub(super) budget: Duration,
    pub(super) trials: Option<u32>,
    pub(super) slices: Option<u32>,
    pub(super) top_up: bool,
}

impl Plan {
    /// Returns the share of discoveries that may be false at a look.
    pub(super) fn rate(&self) -> f64 {
        if self.top_up { RATE_OF_TWO } else { RATE }
    }
}

/// A gate in progress.
pub(super) struct GateInProgress<'a, 's> {
    pub(super) start: Instant,
    pub(super) plan: Plan,
    pub(super) cells: Vec<CellInProgress<'a>>,
    pub(super) around: Surroundings<'s>,
    pub(super) counter: Counter,
}

impl GateInProgress<'_, '_> {
    /// Runs the gate to its end, or until it is interrupted.
    pub(super) fn run(&mut self) -> Result<Vec<GateCell>, GateError> {
        let cells = self.looks()?;
        let is_void = |going: &CellInProgress<'_>| {
            cells.iter().any(|cell| cell.null_fired && cell.cell == going.name)
        };
        let again = self.once_more(&is_void);
        if again.is_empty() {
            return Ok(cells);
        }
        for (cell, trials) in self.cells.iter_mut().zip(&again) {
            if *trials > 0 {
                cell.begin_again();
            }
        }
        self.trials(&again)?;
        self.cells.iter_mut().for_each(CellInProgress::settle);
        let is_again =
            |name: &str| self.cells.iter().any(|cell| cell.name == name && cell.is_again());
        // A verdict from undisturbed trials stands: measuring other cells again cannot change it.
        Ok(standing(&cells, self.judged(), |was, _| {
            !is_again(&was.cell) || (was.verdict == Some(Verdict::Regressed) && !was.null_fired)
        }))
    }

    /// Measures all cells and, with two looks, the open ones a second time.
    fn looks(&mut self) -> Result<Vec<GateCell>, GateError> {
        self.calibrate()?;
        self.count();
        if self.plan.metrics.iter().all(|metric| metric.is_count()) {
            return Ok(self.judged());
        }
        if self.plan.slices.is_none() || self.plan.trials.is_none() {
            self.pilot()?;
        }
        for cell in self.cells.iter_mut().filter(|cell| cell.is_gated()) {
            let slices = || cell.spread(&self.plan.metrics).slices(cell.cost);
            cell.pace.slices = self.plan.slices.unwrap_or_else(slices);
        }
        let budget = self.left().mul_f64(PLANNED);
        let wanted = self.planned(if self.plan.top_up { budget / 2 } else { budget })?;
        self.trials(&wanted)?;
        let cells = self.judged();
        if !self.plan.top_up || interrupted() {
            return Ok(cells);
        }
        let open = |going: &CellInProgress<'_>| {
            let mut of = cells.iter().filter(|cell| cell.cell == going.name);
            of.any(|cell| cell.verdict == Some(Verdict::Inconclusive))
        };
        let again = self.topped_up(&open);
        self.trials(&again)?;
        // A test that rejects at its first look has rejected (Pocock).
        Ok(standing(&cells, self.judged(), |was, is| {
            was.verdict == Some(Verdict::Regressed) && !is.null_fired
        }))
    }

    pub(super) fn left(&self) -> Duration {
        self.plan.budget.saturating_sub(now() - self.start)
    }

    fn too_short(&self, needed: Duration) -> GateError {
        let budget = long(self.plan.budget);
        let (cells, needed) = (output::counted(self.cells.len(), "cell"), for_option(needed));
        GateError::usage(format!(
            "the budget of {budget} is too small for a verdict on {cells}: give --budget {needed}, or name fewer cells"
        ))
    }

    fn calibrate(&mut self) -> Result<(), GateError> {
        let progress = Progress::start(self.cells.len() as u64);
        for index in 0..self.cells.len() {
            if interrupted() {
                break;
            }
            let left = self.left();
            if left.is_zero() {
                progress.end();
                // A cell's trials take far longer than its calibration.
                let each = self.plan.budget / u32::try_from(index.max(1)).unwrap_or(u32::MAX);
                return Err(self.too_short(each * 10 * self.cells.len() as u32));
            }
            let cell = &mut self.cells[index];
            if cell.is_gated() {
                progress.show(&format!("calibrating {}", cell.name), left);
                cell.calibrate(&self.around);
            }
            progress.done();
        }
        progress.end();
        Ok(())
    }

    fn pilot(&mut self) -> Result<(), GateError> {
        let count = self.cells.len();
        let mut progress = Progress::start(u64::from(pace::PILOT) * count as u64);
        for trial in 0..pace::PILOT {
            self.around.stage.refresh();
            for (done, index) in
                shuffled(count, self.around.seed ^ u64::from(trial)).into_iter().enumerate()
            {
                if interrupted() {
                    break;
                }
                let left = self.left();
                let trials = trial as usize * count + done;
                if left.is_zero() {
                    progress.end();
                    let each = self.plan.budget.div_f64(trials.max(1) as f64);
                    let all = each * (pace::PILOT + pace::FEWEST) * count as u32;
                    return Err(self.too_short(all));
                }
                let cell = &mut self.cells[index];
                if cell.is_gated() {
                    progress.show(&format!("a first look at {}", cell.name), left);
                    cell.pilot(&mut self.around)?;
                }
                progress.left((pace::PILOT as usize * count - trials - 1) as u64);
            }
        }
        progress.end();
        Ok(())
    }

    /// Plans the trials of each cell, before any difference is looked at.
    fn planned(&self, left: Duration) -> Result<Vec<u32>, GateError> {
        if let Some(trials) = self.plan.trials {
            return Ok(vec![trials; self.cells.len()]);
        }
        let gated = self.cells.iter().filter(|cell| cell.is_gated()).count();
        let metrics = self.plan.metrics.iter().filter(|metric| !metric.is_count()).count();
        let wishes = self.wishes(|cell| {
            if !cell.is_gated() {
                return 0;
            }
            let margin = self.plan.margins.of(&cell.name);
            let sd = cell.spread(&self.plan.metrics).sd(cell.pace.slices);
            pace::wish(sd, margin, self.plan.rate(), gated * metrics)
        });
        let trials = pace::trials(&wishes, left);
        if trials.is_empty() && gated > 0 && !interrupted() {
            let costs = wishes.iter().filter(|(wish, _)| *wish > 0).map(|(_, cost)| *cost);
            let fewest = costs.sum::<Duration>() * pace::FEWEST;
            let looks = if self.plan.top_up { 2 } else { 1 };
            let begun = self.plan.budget.saturating_sub(self.left());
            return Err(self.too_short(begun + (fewest * looks).div_f64(PLANNED)));
        }
        Ok(trials)
    }

    /// Returns the trials that each cell wants, and the time of one.
    fn wishes(&self, wish: impl Fn(&CellInProgress<'_>) -> u32) -> Vec<(u32, Duration)> {
        self.cells.iter().map(|cell| (wish(cell), cell.trial_time())).collect()
    }

    /// Returns the trials at the second look: open cells get the rest of the time.
    fn topped_up(&self, open: &dyn Fn(&CellInProgress<'_>) -> bool) -> Vec<u32> {
        let left = self.left().mul_f64(PLANNED);
        let wish = |cell: &CellInProgress<'_>| {
            if cell.is_gated() && open(cell) { pace::MOST } else { 0 }
        };
        let more = pace::trials(&self.wishes(wish), left);
        let have = self.cells.iter().map(|cell| cell.trials.len() as u32);
        have.enumerate().map(|(index, have)| have + more.get(index).unwrap_or(&0)).collect()
    }

    /// Returns the trials for void cells alone, in what is left of the budget: once, and as many as they had. Empty if
    /// there is no void cell, or no time for half of those: with far fewer, no null arm would fire again.
    fn once_more(&self, is_void: &dyn Fn(&CellInProgress<'_>) -> bool) -> Vec<u32> {
        let left = self.left().mul_f64(PLANNED);
        let wishes = self.wishes(|cell| if is_void(cell) { cell.trials.len() as u32 } else { 0 });
        let none = wishes.iter().all(|(had, _)| *had == 0);
        if none || left.is_zero() || interrupted() {
            return vec![];
        }
        pace::trials_again(&wishes, left)
    }

    /// Runs the wanted trials of each cell. Each pass shuffles the order again.
    fn trials(&mut self, wanted: &[u32]) -> Result<(), GateError> {
        let todo = |cells: &[CellInProgress<'_>]| -> u64 {
            let left = cells.iter().zip(wanted).map(|(cell, wanted)| {
                if cell.needs(*wanted) { u64::from(*wanted) - cell.trials.len() as u64 } else { 0 }
            });
            left.sum()
        };
        let mut progress = Progress::start(todo(&self.cells));
        for pass in 0_u64.. {
            let order = shuffled(self.cells.len(), self.around.seed.wrapping_add(1 + pass));
            let needy: Vec<usize> =
                order.into_iter().filter(|at| self.cells[*at].needs(wanted[*at])).collect();
            if needy.is_empty() {
                break;
            }
            self.around.stage.refresh();
            for index in needy {
                let left = self.left();
                // A fixed number of trials counts instead of the time.
                if interrupted() || (left.is_zero() && self.plan.trials.is_none()) {
                    progress.end();
                    return Ok(());
                }
                let cell = &mut self.cells[index];
                progress.show(&cell.label(), left);
                cell.step(&mut self.around)?;
                progress.left(todo(&self.cells));
            }
        }
        progress.end();
        Ok(())
    }

    /// Returns whether the machine disturbed at most half of the trials: of all cells, and of each that has too few for
    /// a verdict. Crashes count as undisturbed.
    pub(super) fn is_enough(&self) -> bool {
        let calm = |cell: &CellInProgress<'_>| cell.trials.len() + cell.lost as usize;
        let disturbed: usize = self.cells.iter().map(|cell| cell.disturbed.len()).sum();
        let is_enough_of = |cell: &CellInProgress<'_>| {
            cell.trials.len() >= pace::FEWEST as usize || cell.disturbed.len() <= calm(cell)
        };
        disturbed <= self.cells.iter().map(calm).sum() && self.cells.iter().all(is_enough_of)
    }

    /// Judges every cell and metric together.
    fn judged(&self) -> Vec<GateCell> {
        let mut cells: Vec<GateCell> = self
            .cells
            .iter()
            .flat_map(|going| self.plan.metrics.iter().map(|metric| self.cell(going, *metric)))
            .collect();
        let gated: Vec<usize> = (0..cells.len())
            .filter(|at| !cells[*at].metric.is_count())
            .filter(|at| cells[*at].state == State::Ok && cells[*at].presence == Presence::Both)
            .collect();
        let samples: Vec<Sample<'_>> = gated
            .iter()
            .map(|at| {
                let GateCell {
                    log_ratios, null_log_ratios, margin, clear_margin, layout_sd, ..
                } = &cells[*at];
                Sample {
                    log_ratios,
                    null: null_log_ratios,
                    margin: *margin,
                    clear_margin: *clear_margin,
                    layout_sd: *layout_sd,
                }
            })
            .collect();
        let judged = judge(&samples, self.plan.rate());
        for (at, judged) in gated.into_iter().zip(judged) {
            let Judged { verdict, change, detectable, trials_needed, null, null_fired } = judged;
            let cell = &mut cells[at];
            cell.verdict = verdict;
            cell.change = change;
            cell.detectable = detectable;
            cell.trials_needed = trials_needed;
            cell.null = null;
            cell.null_fired = null_fired;
            if null_fired {
                let share = null.map_or(0.0, |null| 100.0 * null.share);
                let again = if cell.again { ", measured again by itself too" } else { "" };
                cell.reason = Some(format!(
                    "void: the base differs from its own copy by {share:+.1} %{again}"
                ));
            }
        }
        cells
    }

    /// Returns a cell and metric without a verdict.
    fn cell(&self, going: &CellInProgress<'_>, metric: Metric) -> GateCell {
        let middle = |side| {
            let figures = going.figures(metric, side);
            (!figures.is_empty()).then(|| median_and_range(&figures).0)
        };
        let alone = || going.alone.filter(|_| metric == Metric::Throughput);
        let (log_ratios, null_log_ratios) =
            (going.log_ratios(metric, HEAD), going.log_ratios(metric, COPY));
        let (state, reason) = match &going.ended {
            Some((state, why)) => (*state, Some(why.clone())),
            None if going.presence == Presence::Base => {
                (State::Ok, Some("the head does not have it".into()))
            }
            None if going.presence == Presence::Head => {
                (State::Ok, Some("new: the base does not have it, so it is not gated".into()))
            }
            None if metric.is_count() => (State::Ok, None),
            None if let Some(why) = going.head_crashes().or_else(|| going.head_does_not_wait()) => {
                (State::Failed, Some(why))
            }
            None if log_ratios.len() >= pace::FEWEST as usize => (State::Ok, None),
            None => too_few(going, metric, log_ratios.len()),
        };
        let margin = self.plan.margins.of(&going.name);
        let cell = GateCell {
            cell: going.name.clone(),
            metric,
            presence: going.presence,
            state,
            reason,
            verdict: None,
            margin: margin.margin,
            clear_margin: margin.clear,
            layout_sd: margin.layout_sd,
            base: middle(BASE),
            head: if going.presence == Presence::Head { alone() } else { middle(HEAD) },
            change: None,
            detectable: None,
            trials: log_ratios.len() as u32,
            dropped: going.disturbed.len() as u32 + going.lost,
            crashes: going.crashes,
            trials_needed: None,
            slices: going.pace.slices,
            iterations: going.pace.iterations,
            null: None,
            null_fired: false,
            again: going.is_again(),
            counts: None,
            log_ratios,
            null_log_ratios,
        };
        if metric.is_count() { counted(cell, going, margin) } else { cell }
    }
}

/// Returns why there are too few trials for a verdict.
fn too_few(going: &CellInProgress<'_>, metric: Metric, have: usize) -> (State, Option<String>) {
    let fewest = pace::FEWEST;
    if let Some(why) = going.too_many_crashes() {
        return (State::Failed, Some(why));
    }
    if going.trials.len() > have {
        let have = [BASE, HEAD].map(|side| going.figures(metric, side).len());
        return pace::without_figures(metric, have);
    }
    if let Some(why) = going.disturbed.first().filter(|_| going.disturbed.len() > have) {
        let disturbed = output::counted(going.disturbed.len(), "trial");
        let why = format!("the machine disturbed {disturbed}, the first because {why}");
        return (State::Skipped, Some(why));
    }
    (
        State::Skipped,
        Some(format!(
            "{} before the time was up; a verdict needs {fewest}",
            output::counted(have, "trial")
        )),
    )
}
