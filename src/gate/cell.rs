//! A cell in progress: its calibration, its pilot, and the trials that count so far.

use std::time::Duration;

use super::{
    disturbed::{Idle, Moment, head_does_not_wait},
    pace::{self, Cost},
    staging::StagingArea,
    subject::{Arm, Subject},
    trial::{BASE, COPY, HEAD, Lost, Pace, figure, log_ratio, trial},
};
use crate::{
    compare::head_crashes_more,
    output::{counted, long},
    record::{Counts, Crashes, GateTrial, GateTrials, Metric, Presence, SideFigures, State},
    session::Session,
};
use paceline_core::{
    clock::now,
    interrupt::interrupted,
    job::mix,
    process::{Host, HostError},
};

/// Consecutive crashes of one side after which a cell is given up.
const CRASHES: u32 = 3;

/// The context of a trial besides the cell.
pub(super) struct Surroundings<'a> {
    pub(super) stage: StagingArea,
    pub(super) arms: Vec<Arm>,
    pub(super) session: &'a mut Session,
    pub(super) trials: &'a mut GateTrials,
    pub(super) seed: u64,
    /// The time limit of a process for one answer.
    pub(super) patience: Duration,
}

/// What was counted, or how the cell ends without it.
pub(super) type Counted = Result<Counts, (State, String)>;

/// A cell in progress.
pub(super) struct CellInProgress<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) name: String,
    pub(super) presence: Presence,
    /// How it ended before it had its trials.
    pub(super) ended: Option<(State, String)>,
    pub(super) pace: Pace,
    /// Whether latency is measured.
    recorded: bool,
    /// The figures of the sides in the pilot, used only for planning.
    pilot: Vec<Vec<SideFigures>>,
    /// The figures of the sides in the trials that count.
    pub(super) trials: Vec<Vec<SideFigures>>,
    /// Why the machine invalidated other trials.
    pub(super) disturbed: Vec<String>,
    /// Trials that do not count because a process crashed.
    pub(super) lost: u32,
    /// The first trials, if the cell is measured again.
    first: Option<Vec<Vec<SideFigures>>>,
    /// The number of first trials, with those that do not count.
    before: usize,
    /// The cost of a trial.
    pub(super) cost: Cost,
    /// What was counted, or why it could not be.
    pub(super) counts: Vec<(Metric, Counted)>,
    /// The figure of a new cell: time of a job, in nanoseconds.
    pub(super) alone: Option<f64>,
    /// Crashes over all trials, with the pilot.
    pub(super) crashes: Crashes,
    /// Consecutive crashes of each side until now.
    in_a_row: [u32; 3],
    /// The reason of each side's first crash.
    first_crash: [Option<String>; 3],
    tried: u32,
    /// What each side did while others ran, over all trials, with the pilot.
    idle: [Idle; 3],
}

impl<'a> CellInProgress<'a> {
    pub(super) fn new(subject: Subject<'a>, metrics: &[Metric], session: &Session) -> Self {
        let ended = subject.refusal(session).map(|why| (State::Refused, why));
        CellInProgress {
            name: subject.name(),
            presence: Presence::Both,
            ended,
            pace: Pace { slices: pace::PILOT_SLICES, iterations: 1, recorded: 0 },
            recorded: metrics.iter().any(|metric| matches!(metric, Metric::P50 | Metric::P99)),
            pilot: vec![],
            trials: vec![],
            disturbed: vec![],
            lost: 0,
            first: None,
            before: 0,
            cost: Cost::default(),
            counts: vec![],
            alone: None,
            crashes: Crashes::default(),
            in_a_row: [0; 3],
            first_crash: [const { None }; 3],
            tried: 0,
            idle: [Idle::default(); 3],
            subject,
        }
    }

    /// Returns whether it can have trials.
    pub(super) fn is_gated(&self) -> bool {
        self.ended.is_none() && self.presence == Presence::Both
    }

    /// Finds out which sides have the cell, and how many batches fit into a slice: the same for all sides. A process
    /// that dies gets two more attempts: the trials will show how often it does.
    pub(super) fn calibrate(&mut self, around: &Surroundings<'_>) {
        for chances in (0..CRASHES).rev() {
            match self.calibrated(around) {
                Ok(()) => return,
                Err(Uncalibrated { died: true, .. }) if chances > 0 => {}
                Err(Uncalibrated { state, why, .. }) => return self.end(state, why),
            }
        }
    }

    fn calibrated(&mut self, around: &Surroundings<'_>) -> Result<(), Uncalibrated> {
        let begin =
            |side: usize| self.subject.start(&around.arms[side], around.session, around.patience);
        match (begin(BASE), begin(HEAD)) {
            (Err(HostError::Interrupted), _) | (_, Err(HostError::Interrupted)) => Ok(()),
            (Err(base), Err(head)) if base.to_string() == head.to_string() => {
                Err(Uncalibrated::of(&base, base.to_string()))
            }
            (Err(base), Err(head)) => {
                Err(Uncalibrated::of(&base, format!("base: {base}; head: {head}")))
            }
            (Ok(_), Err(head)) if self.subject.is_unknown(&head) => {
                self.presence = Presence::Base;
                Ok(())
            }
            (Ok(_), Err(head)) => Err(Uncalibrated::of(&head, format!("head: {head}"))),
            (Err(base), Ok(head)) if self.subject.is_unknown(&base) => {
                self.presence = Presence::Head;
                self.count(head, HEAD, around.patience)
            }
            (Err(base), Ok(_)) => Err(Uncalibrated::of(&base, format!("base: {base}"))),
            (Ok(base), Ok(_)) => self.count(base, BASE, around.patience),
        }
    }

    fn end(&mut self, state: State, why: String) {
        self.ended.get_or_insert((state, why));
    }

    /// Returns how many batches fit into a slice.
    fn count(
        &mut self,
        mut host: Host,
        side: usize,
        patience: Duration,
    ) -> Result<(), Uncalibrated> {
        let jobs = self.subject.jobs();
        let mut batches = 1_u64;
        let counted = host.attest(patience).and_then(|_| {
            loop {
                let (times, _) = host.batches(batches, patience)?;
                let took: Duration = times.iter().sum();
                let each = took.as_secs_f64() / batches as f64;
                if took * 4 >= pace::SLICE || batches >= pace::MOST_ITERATIONS {
                    return Ok(each.max(1e-12));
                }
                batches = (batches * 4).min(pace::MOST_ITERATIONS);
            }
        });
        match counted {
            Ok(each) => {
                let fit = (pace::SLICE.as_secs_f64() / each) as u64;
                self.pace.iterations = fit.clamp(1, pace::MOST_ITERATIONS);
                if self.recorded {
                    self.pace.recorded = pace::recorded(jobs, each);
                }
                self.alone = Some(each * 1e9 / jobs as f64);
                Ok(())
            }
            Err(HostError::Interrupted) => Ok(()),
            Err(error) => {
                let lost = Lost { side, error };
                let why = lost.to_string();
                Err(Uncalibrated { state: state_of(&lost), ..Uncalibrated::of(&lost.error, why) })
            }
        }
    }

    /// Returns whether it needs another trial for `wanted` that count. Dropped trials are replaced, up to half as many.
    pub(super) fn needs(&self, wanted: u32) -> bool {
        let most = wanted.saturating_add(wanted.div_ceil(2));
        self.is_gated() && self.trials.len() < wanted as usize && self.tried < most
    }

    /// Runs a trial of the pilot.
    pub(super) fn pilot(&mut self, around: &mut Surroundings<'_>) -> Result<(), String> {
        let start = now();
        if let Some(sides) = self.trial(around, true)? {
            let slices = sides.iter().flat_map(|shown| &shown.slices_ns).sum::<u64>();
            self.cost.add(now() - start, Duration::from_nanos(slices) / self.pace.slices);
            self.pilot.push(sides);
        }
        Ok(())
    }

    /// Runs a trial, which counts unless it is dropped.
    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) -> Result<(), String> {
        self.tried += 1;
        if let Some(sides) = self.trial(around, false)? {
            self.trials.push(sides);
        }
        Ok(())
    }

    /// Returns whether it is measured for the second time.
    pub(super) fn is_again(&self) -> bool {
        self.first.is_some()
    }

    /// Sets the trials aside to measure the cell again. Crashes still count.
    pub(super) fn begin_again(&mut self) {
        self.before = self.kept();
        self.first = Some(std::mem::take(&mut self.trials));
        self.disturbed.clear();
        (self.lost, self.tried) = (0, 0);
    }

    /// Restores the first trials if the second have too few for a verdict: the cell then stays void.
    pub(super) fn settle(&mut self) {
        if self.trials.len() < pace::FEWEST as usize
            && let Some(first) = self.first.take()
        {
            self.trials = first;
        }
    }

    /// Returns the number of trials since it began, without the pilot.
    fn kept(&self) -> usize {
        self.before + self.trials.len() + self.disturbed.len() + self.lost as usize
    }

    fn trial(
        &mut self,
        around: &mut Surroundings<'_>,
        pilot: bool,
    ) -> Result<Option<Vec<SideFigures>>, String> {
        let number = if pilot { self.crashes.trials as usize } else { self.kept() };
        let of_cell = self.name.bytes().fold(around.seed, |seed, byte| mix(seed ^ u64::from(byte)));
        let seed = mix(of_cell.wrapping_add(number as u64).wrapping_add(u64::from(pilot) << 32));
        let gone = |error: HostError| format!("the echo server: {error}");
        let before = around.session.mark(false).map_err(gone)?;
        let start = Moment::now(before.server_cpu);
        let Surroundings { arms, session, patience, .. } = around;
        let outcome = trial(&self.subject, arms, session, self.pace, seed, *patience);
        if interrupted() {
            return Ok(None);
        }
        let after = around.session.mark(false).map_err(gone)?;
        let ended = Moment::now(after.server_cpu + outcome.started);
        for (all, of_trial) in self.idle.iter_mut().zip(outcome.idle) {
            all.add(of_trial.unwrap_or_default());
        }
        let (mut sides, mut lost) = (vec![], vec![]);
        for (side, of) in outcome.sides.into_iter().enumerate() {
            match of {
                Ok(shown) => sides.push(shown),
                Err(error) => lost.push(Lost { side, error }),
            }
        }
        if !lost.is_empty() {
            sides.clear();
        }
        let crashed = [BASE, HEAD, COPY].map(|side| lost.iter().any(|lost| lost.side == side));
        // A crash is never a disturbance, so the machine is not consulted.
        let crash = lost.first().map(ToString::to_string);
        let disturbed = ended.disturbed_since(&start).or(outcome.overflow);
        let disturbed = disturbed.filter(|_| crash.is_none());
        around.trials.write(&GateTrial {
            cell: self.name.clone(),
            trial: number as u32,
            pilot,
            jobs: self.subject.jobs(),
            iterations: self.pace.iterations,
            again: self.is_again(),
            dropped: crash.clone().or_else(|| disturbed.clone()),
            crashed,
            sides: sides.clone(),
        })?;
        self.count_crashes(&lost);
        match (crash, disturbed) {
            (Some(_), _) => self.lost += u32::from(!pilot),
            // A pilot is only for planning: a disturbed one is better than none.
            (None, Some(why)) if !pilot => self.disturbed.push(why),
            _ => return Ok(Some(sides)),
        }
        Ok(None)
    }

    /// Counts crashes. A process that died, hung or failed costs the trial. Several in a row on one side end the cell,
    /// and so do jobs that did not do what their definition says.
    fn count_crashes(&mut self, lost: &[Lost]) {
        self.crashes.trials += 1;
        for side in [BASE, HEAD, COPY] {
            let Some(lost) = lost.iter().find(|lost| lost.side == side) else {
                self.in_a_row[side] = 0;
                continue;
            };
            self.in_a_row[side] += 1;
            let Crashes { base, head, copy, .. } = &mut self.crashes;
            *[base, head, copy][side] += 1;
            self.first_crash[side].get_or_insert_with(|| lost.to_string());
            if lost.is_invalid() {
                self.end(State::Invalid, lost.to_string());
            } else if self.in_a_row[side] >= CRASHES {
                self.end(State::Failed, format!("{CRASHES} trials in a row: {lost}"));
            }
        }
    }

    /// Returns why the head cannot be judged by its surviving trials: it crashes more often than the base.
    pub(super) fn head_crashes(&self) -> Option<String> {
        let first = self.first_crash[HEAD].as_ref().filter(|_| head_crashes_more(self.crashes))?;
        let Crashes { trials, base, head, copy } = self.crashes;
        Some(format!(
            "the head crashed in {head} of {}, the base and its copy in {} of {}; the first was {first}",
            counted(trials as usize, "trial"),
            base + copy,
            2 * trials
        ))
    }

    /// Returns why the head's figures are not its own, if they are not.
    pub(super) fn head_does_not_wait(&self) -> Option<String> {
        head_does_not_wait(self.idle)
    }

    /// Returns why it has too few trials, if crashes are the reason.
    pub(super) fn too_many_crashes(&self) -> Option<String> {
        let first = self.first_crash.iter().flatten().next()?;
        let Crashes { trials, base, head, copy } = self.crashes;
        (self.lost as usize >= self.disturbed.len().max(1)).then(|| {
            format!(
                "{} of {} lost: crashes of the base {base}, of the head {head}, of the base's copy {copy}; the first was {first}",
                self.lost,
                counted(trials as usize, "trial")
            )
        })
    }

    /// Returns the spread of its figures between trials and between slices of the pilot: the worst over all metrics. It
    /// does not show which side is faster.
    pub(super) fn spread(&self, metrics: &[Metric]) -> pace::Spread {
        pace::Spread::of(&self.pilot, metrics)
    }

    /// Returns `ln(other / base)` of each trial that has both.
    pub(super) fn log_ratios(&self, metric: Metric, other: usize) -> Vec<f64> {
        self.trials.iter().filter_map(|r| log_ratio(metric, &r[BASE], &r[other])).collect()
    }

    /// Returns a side's figure in each trial that has one.
    pub(super) fn figures(&self, metric: Metric, side: usize) -> Vec<f64> {
        let (jobs, iterations) = (self.subject.jobs(), self.pace.iterations);
        self.trials.iter().filter_map(|r| figure(metric, &r[side], jobs, iterations)).collect()
    }

    /// Returns the time of a trial.
    pub(super) fn trial_time(&self) -> Duration {
        self.cost.trial(self.pace.slices)
    }

    /// Returns its label for progress.
    pub(super) fn label(&self) -> String {
        format!("{} (a trial of {})", self.name, long(self.trial_time()))
    }
}

/// The reason why a cell could not be calibrated.
struct Uncalibrated {
    state: State,
    why: String,
    /// Whether a process ended by itself, so that another attempt may succeed.
    died: bool,
}

impl Uncalibrated {
    fn of(error: &HostError, why: String) -> Self {
        Uncalibrated { state: State::Failed, why, died: matches!(error, HostError::Died(_)) }
    }
}

fn state_of(lost: &Lost) -> State {
    if lost.is_invalid() { State::Invalid } else { State::Failed }
}
