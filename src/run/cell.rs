//! A cell in progress: its trials so far, and its cell for the record.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::whole::whole;
use crate::{
    machine::cores,
    output::{batches_of, long},
    plan::Planned,
    record::{Cell, Record, State, Trial, Writer},
    session::{Session, USED_UP, failed_cell, some_ran, warm},
};
use paceline_core::{
    clock::{nanoseconds, now},
    job::Demand,
    prepared::Fault,
    process::HostError,
};

/// The least total length of the measured batches of a process, if a single batch is shorter.
const SLICE: Duration = Duration::from_millis(50);
/// The most measured batches of a process.
const MOST: u128 = 1000;
/// How long a started model is left without jobs to measure its idle CPU time.
const IDLE: Duration = Duration::from_millis(100);
/// The approximate cost of a trial besides its batches: to start and stop a process.
const START: Duration = Duration::from_millis(100);
/// How long a trial may exceed the end of the budget.
const GRACE: Duration = Duration::from_secs(2);
/// A host counts as hung after this duration plus this multiple of the predicted time.
const HANG: (Duration, u32) = (Duration::from_secs(10), 20);
/// The time of a unit of a checksum on the slowest model.
const UNIT: Duration = Duration::from_micros(100);
/// The fewest batches in a process: to warm up, to time, to record.
const BATCHES: u32 = 3;

/// A cell in progress.
pub(super) struct CellInProgress<'a> {
    pub(super) planned: &'a Planned<'a>,
    passes: Range<u32>,
    trials: Vec<Trial>,
    /// The longest of the trials that this program ran.
    longest: Duration,
    /// Its share of the budget, if it was put off because it takes much more, until the others have ended.
    pub(super) put_off: Option<Duration>,
    /// The result, once it has ended.
    pub(super) ended: Option<Cell>,
}

impl<'a> CellInProgress<'a> {
    /// Restores its trials from `record`. A cell that was skipped or lacks trials is open again.
    pub(super) fn new(
        planned: &'a Planned<'a>,
        passes: Range<u32>,
        record: Option<&Record>,
    ) -> Self {
        let trials = record.iter().flat_map(|record| &record.trials);
        let mut trials: Vec<Trial> = trials.filter(|trial| planned.is_of(trial)).cloned().collect();
        // Figures are in the order of the passes: models are compared pass by pass.
        trials.sort_by_key(|trial| trial.trial);
        let ended = record.iter().flat_map(|record| &record.cells).find(|cell| planned.is(cell));
        let lacks_trials = trials.len() < passes.len();
        let ended = ended.filter(|cell| match cell.state {
            State::Ok => !lacks_trials,
            state => state != State::Skipped,
        });
        let ended = ended.cloned();
        CellInProgress { planned, passes, trials, longest: Duration::ZERO, put_off: None, ended }
    }

    /// Returns whether this trial of it is still needed now.
    pub(super) fn needs(&self, trial: u32) -> bool {
        self.ended.is_none()
            && self.put_off.is_none()
            && !self.trials.iter().any(|done| done.trial == trial)
    }

    /// Returns the number of trials that it needs.
    fn wanted(&self) -> u32 {
        self.passes.len() as u32
    }

    pub(super) fn trials_left(&self) -> u32 {
        self.passes.clone().filter(|trial| self.needs(*trial)).count() as u32
    }

    /// Ends it immediately if it cannot run, does not fit into `budget`, or has all its trials.
    pub(super) fn refuse(
        &mut self,
        session: &Session,
        budget: Duration,
        writer: &mut Writer,
    ) -> Result<(), String> {
        if self.ended.is_some() {
            return Ok(());
        }
        let bound = self.planned.bound(session.compute_ns);
        let least = bound.saturating_mul(BATCHES * self.wanted());
        if let Some(why) = session.refusal(self.planned) {
            return self.end(self.planned.cell_with_reason(State::Refused, why), writer);
        }
        if self.trials.len() >= self.passes.len() {
            return self.end(self.cell(session), writer);
        }
        if self.trials.is_empty() && least > budget {
            let why = format!(
                "{}, and as many to warm up and to record, take at least {}, and the budget is {}",
                batches_of(self.wanted(), bound),
                long(least),
                long(budget)
            );
            return self.end(self.planned.cell_without_time(least, why), writer);
        }
        Ok(())
    }

    /// Returns the time that the remaining trials take at least, as far as is known; zero if it has ended or was put off.
    pub(super) fn cost(&self, session: &Session) -> Duration {
        match self.trials_left() {
            0 => Duration::ZERO,
            left => self.cost_of_a_trial(session).saturating_mul(left),
        }
    }

    /// Returns the time that a trial takes at least, as far as is known.
    pub(super) fn cost_of_a_trial(&self, session: &Session) -> Duration {
        let bound = self.planned.bound(session.compute_ns).saturating_mul(BATCHES);
        (START + bound.max(SLICE * 2)).max(self.longest)
    }

    /// Ends it with the trials that it has: the rest take more than `times` its `share` of the budget.
    pub(super) fn leave_out(
        &mut self,
        session: &Session,
        (share, times): (Duration, u32),
        writer: &mut Writer,
    ) -> Result<(), String> {
        let why = format!(
            "take at least {}, more than {times} times its share of the budget, {}",
            long(self.cost(session)),
            long(share)
        );
        let skipped = format!("predicted: its trials {why}");
        let skipped = self.planned.cell_without_time(self.cost(session), skipped);
        self.end(self.out_of_budget(session, skipped, &format!(", and the others {why}")), writer)
    }

    /// Runs a trial in a process of its own. Ends the cell after the last trial or a failure.
    pub(super) fn trial(
        &mut self,
        session: &mut Session,
        trial: u32,
        left: Duration,
        writer: &mut Writer,
    ) -> Result<(), String> {
        let bound = self.planned.bound(session.compute_ns);
        if left.is_zero() || left < bound.saturating_mul(BATCHES) {
            let least = match bound {
                Duration::ZERO => String::new(),
                bound => format!("; a trial takes at least {}", long(bound)),
            };
            let why = format!("the budget was used up before it{least}");
            let skipped = self.planned.cell_with_reason(State::Skipped, why);
            return self.end(self.out_of_budget(session, skipped, USED_UP), writer);
        }
        let begun = now();
        let deadline = now() + left + GRACE;
        let mut done = self.measure(session, trial, deadline);
        // paceline's server is not part of the cell: if it failed, the trial is invalid.
        if done.as_ref().is_err_and(|error| !matches!(error, HostError::Interrupted))
            && session.revive()?
        {
            done = self.measure(session, trial, deadline);
            if done.is_err() && session.revive()? {
                return Err(format!(
                    "paceline's server ended in both tries of a trial of {}: see whether memory runs out, and {}",
                    self.planned.label(),
                    writer.again()
                ));
            }
        }
        match done {
            Ok(done) => {
                writer.write_trial(&done)?;
                self.trials.push(done);
                self.longest = self.longest.max(now() - begun);
                if self.trials.len() >= self.passes.len() {
                    return self.end(self.cell(session), writer);
                }
                Ok(())
            }
            Err(HostError::Interrupted) => Ok(()),
            Err(HostError::Silent(_)) if now() >= deadline => {
                let why =
                    format!("a trial did not end within the {} left of the budget", long(left));
                let skipped = self.planned.cell_with_reason(State::Skipped, why);
                self.end(self.out_of_budget(session, skipped, USED_UP), writer)
            }
            Err(error) => self.end(failed_cell(self.planned, &error), writer),
        }
    }

    /// Returns the cell without room in the budget for another trial: with the trials that ended, and why there are no
    /// `more`, or `skipped` without any.
    fn out_of_budget(&self, session: &Session, skipped: Cell, more: &str) -> Cell {
        if self.trials.is_empty() {
            return skipped;
        }
        some_ran(self.cell(session), self.trials.len(), self.wanted(), more)
    }

    /// Returns the time limit of the host's first batch, with the checksums that it computes first.
    fn patience(&self, session: &Session) -> Duration {
        let Planned { workload, scale, .. } = self.planned;
        let units =
            |demand: Demand| UNIT.saturating_mul(u32::try_from(demand.units).unwrap_or(u32::MAX));
        let batch =
            self.planned.bound(session.compute_ns).saturating_add(workload.over_all(*scale, units));
        HANG.0.saturating_add(batch.saturating_mul(HANG.1 * cores() as u32))
    }

    fn end(&mut self, cell: Cell, writer: &mut Writer) -> Result<(), String> {
        writer.write(&cell)?;
        self.ended = Some(cell);
        Ok(())
    }

    fn measure(
        &self,
        session: &mut Session,
        trial: u32,
        deadline: Instant,
    ) -> Result<Trial, HostError> {
        let planned = self.planned;
        let left = |patience: Duration| patience.min(deadline.saturating_duration_since(now()));
        let mut host = session.host(planned)?;
        let attest = session.warm_up(&mut host, planned, left(self.patience(session)))?;
        let first = Duration::from_nanos(attest.elapsed_ns.max(1));
        let of = |batches: u64| {
            let all = first.saturating_mul(HANG.1.saturating_mul(batches as u32));
            left(HANG.0.saturating_add(all))
        };
        let once = warm(first, |count| Ok(host.batches(count, of(count))?.0))?;
        let count = SLICE.as_nanos().div_ceil(once.as_nanos().max(1)).clamp(1, MOST) as u64;
        let (timed, before) = session.timed(&mut host, planned, (count, of(count)), attest)?;
        let recorded = host.record(count, of(count))?;
        // Connections of the recorded batches must not have been dropped either.
        session.since(&before)?;
        let idle_ns = if trial == 0 {
            let used = host.idle(IDLE, of(1))?;
            Some((used.cpu_ns(), nanoseconds(IDLE)))
        } else {
            None
        };
        Ok(Trial { trial, recorded, idle_ns, ..timed })
    }

    /// Returns the cell of all trials; failed if their histograms cannot be read.
    fn cell(&self, session: &Session) -> Cell {
        let bound = |fastest| self.planned.bound_per_second(session.compute_ns, fastest);
        let whole = whole(self.planned, &self.trials, bound);
        whole.unwrap_or_else(|why| failed_cell(self.planned, &HostError::Fault(Fault::Failed(why))))
    }
}
