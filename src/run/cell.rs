//! A cell under way: its trials so far, and the cell of the record that they make together.

use std::time::{Duration, Instant};

use crate::{
    machine::{HostActivity, cores},
    output::{batches_of, long},
    plan::Planned,
    record::{Cell, Estimate, PerTrial, Record, Resources, State, Trial, Writer},
    session::{Session, ended_by, warm},
    stats::{median_and_range, modes},
};
use paceline_core::{
    clock::{nanoseconds, now},
    histogram::Distribution,
    job::Demand,
    prepared::Fault,
    process::HostError,
    usage::Usage,
};

/// How long measured batches of one process last together, at least, where a single one is shorter.
const SLICE: Duration = Duration::from_millis(50);
/// The most measured batches of one process.
const MOST: u128 = 1000;
/// How long a started model is left without jobs, to see what it uses then.
const IDLE: Duration = Duration::from_millis(100);
/// What a trial costs besides its batches, about: a process is started and stopped.
const START: Duration = Duration::from_millis(100);
/// How long after the end of the budget a trial may go on.
const GRACE: Duration = Duration::from_secs(2);
/// A host that takes so much longer for a request than was predicted, and so many times as long, hangs.
const HANG: (Duration, u32) = (Duration::from_secs(10), 20);
/// What a unit of a receipt takes on the slowest model.
const UNIT: Duration = Duration::from_micros(100);
/// Batches of one length in a process, at least: to warm up, to time, to record.
const BATCHES: u32 = 3;
/// The kernel counts memory in pages of so many bytes.
const PAGE: f64 = 4096.0;

/// A cell under way.
pub(super) struct CellInProgress<'a> {
    planned: &'a Planned<'a>,
    wanted: u32,
    trials: Vec<Trial>,
    /// Once it has ended.
    pub(super) ended: Option<Cell>,
}

impl<'a> CellInProgress<'a> {
    /// Takes up what `record` has of it. A cell that was skipped is open again.
    pub(super) fn new(planned: &'a Planned<'a>, wanted: u32, record: Option<&Record>) -> Self {
        let trials = record.iter().flat_map(|record| &record.trials);
        let mut trials: Vec<Trial> = trials.filter(|trial| planned.is_of(trial)).cloned().collect();
        // Figures stand in the order of the passes: models are compared pass by pass.
        trials.sort_by_key(|trial| trial.trial);
        let ended = record.iter().flat_map(|record| &record.cells).find(|cell| planned.is(cell));
        let ended = ended.filter(|cell| cell.state != State::Skipped);
        CellInProgress { planned, wanted, trials, ended: ended.cloned() }
    }

    pub(super) fn label(&self) -> String {
        let Planned { workload, entry, scale, .. } = self.planned;
        format!("{} on {} at {scale}", workload.name, entry.info.name)
    }

    /// Whether this trial of it is still to be run.
    pub(super) fn needs(&self, trial: u32) -> bool {
        self.ended.is_none() && !self.trials.iter().any(|done| done.trial == trial)
    }

    pub(super) fn trials_left(&self, wanted: u32) -> u64 {
        (0..wanted).filter(|trial| self.needs(*trial)).count() as u64
    }

    /// Ends it at once where it cannot run, or cannot fit into `budget`, or has all its trials.
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
        let least = bound.saturating_mul(BATCHES * self.wanted);
        if let Some(why) = session.refusal(self.planned) {
            return self.end(self.planned.ended(State::Refused, why), writer);
        }
        if self.trials.len() >= self.wanted as usize {
            return self.end(self.cell(session), writer);
        }
        if self.trials.is_empty() && least > budget {
            let why = format!(
                "{}, and as many to warm up and to record, take at least {}, and the budget is {}",
                batches_of(self.wanted, bound),
                long(least),
                long(budget)
            );
            return self.end(self.planned.ended(State::Skipped, why), writer);
        }
        Ok(())
    }

    /// What the trials that are left will take at least; nothing where it has ended.
    pub(super) fn cost(&self, session: &Session) -> Duration {
        if self.ended.is_some() {
            return Duration::ZERO;
        }
        let left = (0..self.wanted).filter(|trial| self.needs(*trial)).count() as u32;
        let bound = self.planned.bound(session.compute_ns).saturating_mul(BATCHES);
        (START + bound.max(SLICE * 2)).saturating_mul(left)
    }

    /// Leaves it out: it would take so long, which is more than so many times its share of the budget.
    pub(super) fn leave_out(
        &mut self,
        cost: Duration,
        (share, times): (Duration, u32),
        writer: &mut Writer,
    ) -> Result<(), String> {
        let why = format!(
            "predicted: its trials take at least {}, more than {times} times its share of the budget, {}",
            long(cost),
            long(share)
        );
        self.end(self.planned.ended(State::Skipped, why), writer)
    }

    /// Runs a trial in a process of its own, and ends the cell where it is the last, or where it went wrong.
    pub(super) fn trial(
        &mut self,
        session: &mut Session,
        trial: u32,
        left: Duration,
        writer: &mut Writer,
    ) -> Result<(), String> {
        let bound = self.planned.bound(session.compute_ns);
        if left.is_zero() || left < bound.saturating_mul(BATCHES) {
            let least = long(bound);
            let why = format!("the budget was used up before it; a trial takes at least {least}");
            return self.end(self.out_of_budget(session, why), writer);
        }
        let deadline = now() + left + GRACE;
        let mut done = self.measure(session, trial, deadline);
        // The suite's server is no part of the cell: without it the trial says nothing.
        if done.as_ref().is_err_and(|error| !matches!(error, HostError::Interrupted))
            && session.revive()?
        {
            done = self.measure(session, trial, deadline);
            if done.is_err() && session.revive()? {
                return Err(format!(
                    "the suite's server ended in both tries of a trial of {}: see whether memory runs out, and go on \
                     with --resume",
                    self.label()
                ));
            }
        }
        match done {
            Ok(done) => {
                writer.write_trial(&done)?;
                self.trials.push(done);
                if self.trials.len() >= self.wanted as usize {
                    return self.end(self.cell(session), writer);
                }
                Ok(())
            }
            Err(HostError::Interrupted) => Ok(()),
            Err(HostError::Silent(_)) if now() >= deadline => {
                let why =
                    format!("a trial did not end within the {} left of the budget", long(left));
                self.end(self.out_of_budget(session, why), writer)
            }
            Err(error) => self.end(ended_by(self.planned, &error), writer),
        }
    }

    /// The cell where the budget has no room for another trial: of those that ended, or skipped for this reason.
    fn out_of_budget(&self, session: &Session, why: String) -> Cell {
        if self.trials.is_empty() {
            return self.planned.ended(State::Skipped, why);
        }
        let cell = self.cell(session);
        let (ran, wanted) = (self.trials.len(), self.wanted);
        let why = || format!("{ran} of {wanted} trials ran before the budget was used up");
        Cell { reason: cell.reason.clone().or_else(|| Some(why())), ..cell }
    }

    /// How long the host may take for its first batch, and for computing the receipts before.
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
        let before = session.mark(planned.workload.demand().connects > 0)?;
        let (times, used) = host.batches(count, of(count))?;
        let (server, meanwhile) = session.since(&before)?;
        let busiest = session.busiest_since(&before);
        let measured: Duration = times.iter().sum();
        let recorded = host.record(count, of(count))?;
        // Those of the recorded batches may not have been dropped either.
        session.since(&before)?;
        let idle_ns = if trial == 0 {
            let used = host.idle(IDLE, of(1))?;
            Some((used.cpu_ns(), nanoseconds(IDLE)))
        } else {
            None
        };
        Ok(Trial {
            workload: planned.workload.name.clone(),
            model: planned.entry.info.name.into(),
            scale: planned.scale,
            workers: planned.workers,
            placement: planned.placement,
            trial,
            times_ns: times.into_iter().map(nanoseconds).collect(),
            attest,
            used,
            server_cpu_ns: nanoseconds(server),
            server_busy_share: busiest.map(|busy| busy.div_duration_f64(measured)),
            recorded,
            idle_ns,
            host_activity: meanwhile,
        })
    }

    /// What the trials make together; failed where their histograms cannot be read.
    fn cell(&self, session: &Session) -> Cell {
        let whole = self.whole(session);
        whole.unwrap_or_else(|why| ended_by(self.planned, &HostError::Fault(Fault::Failed(why))))
    }

    fn whole(&self, session: &Session) -> Result<Cell, String> {
        let trials = &self.trials;
        let median = |trial: &Trial| {
            let times: Vec<f64> = trial.times_ns.iter().map(|ns| *ns as f64).collect();
            median_and_range(&times).0
        };
        let medians: Vec<f64> = trials.iter().map(median).collect();
        let batch_ns = Estimate::of_trials(&medians, 1.0);
        let all_times: Vec<f64> =
            trials.iter().flat_map(|trial| &trial.times_ns).map(|ns| *ns as f64).collect();
        let server_ns = trials.iter().map(|trial| trial.server_cpu_ns).sum::<u64>();
        let busiest = trials.iter().filter_map(|trial| trial.server_busy_share);
        let latency = |of: fn(&Distribution) -> Option<u64>| {
            every(trials, |trial| of(trial.recorded.latency.as_ref()?))
        };
        let per_trial = PerTrial {
            jobs_per_second: medians
                .iter()
                .map(|ns| self.planned.scale as f64 * 1e9 / ns)
                .collect(),
            latency_ns_p50: latency(|of| Some(of.ns_p50)),
            latency_ns_p99: latency(Distribution::p99),
            rss_bytes_max: every(trials, |trial| trial.attest.rss_bytes_max),
        };
        let resources = self.resources(&per_trial);
        let merged = |what: &str, of: fn(&Trial) -> &Option<Distribution>| {
            let all = trials.iter().filter_map(|trial| Some((trial.trial, of(trial).as_ref()?)));
            Distribution::merged(what, all)
        };
        Ok(Cell {
            trials_ns: medians.iter().map(|ns| *ns as u64).collect(),
            attest: trials.last().map(|trial| trial.attest.clone()),
            bound_jobs_per_second: self.planned.bound_per_second(session.compute_ns, batch_ns),
            cpu_ns_per_job: Some(resources.cpu_ns_per_job()),
            server_cpu_ns_per_job: Some(server_ns as f64 / self.jobs()),
            server_busy_share_max: busiest.reduce(f64::max),
            latency: merged("the latency", |trial| &trial.recorded.latency)?,
            latency_ns_p50: Estimate::of_trials(&per_trial.latency_ns_p50, 1.0),
            latency_ns_p99: Estimate::of_trials(&per_trial.latency_ns_p99, 1.0),
            service_time: merged("the service time", |trial| &trial.recorded.service_time)?,
            timer_lateness: merged("the lateness of sleeps", |trial| {
                &trial.recorded.timer_lateness
            })?,
            modes: modes(&all_times),
            resources: Some(resources),
            per_trial,
            ..self.planned.measured(State::Ok, batch_ns, Estimate::interval_of(trials.len()))
        })
    }

    /// The jobs of all measured batches.
    fn jobs(&self) -> f64 {
        let batches: usize = self.trials.iter().map(|trial| trial.times_ns.len()).sum();
        batches as f64 * self.planned.scale as f64
    }

    fn resources(&self, per_trial: &PerTrial) -> Resources {
        let trials = &self.trials;
        let middle = |of: &dyn Fn(&Trial) -> Option<u64>| {
            let seen: Vec<f64> = trials.iter().filter_map(of).map(|bytes| bytes as f64).collect();
            (!seen.is_empty()).then(|| median_and_range(&seen).0 as u64)
        };
        let used: Usage = trials.iter().map(|trial| trial.used).sum();
        let meanwhile: HostActivity = trials.iter().map(|trial| trial.host_activity).sum();
        let idle = trials.iter().find_map(|trial| trial.idle_ns);
        Resources {
            rss_bytes: middle(&|trial| trial.attest.rss_bytes),
            rss_bytes_added: middle(&|trial| {
                Some(trial.attest.rss_bytes_max?.saturating_sub(trial.attest.rss_bytes?))
            }),
            rss_bytes_max: Estimate::of_trials(&per_trial.rss_bytes_max, PAGE),
            idle_cpu_share: idle.map(|(used, wall)| used as f64 / wall as f64),
            threads: trials.iter().filter_map(|trial| trial.attest.process_threads).max(),
            ..Resources::of(used, self.jobs(), meanwhile)
        }
    }
}

/// A figure of each trial; none where one does not have it.
fn every(trials: &[Trial], of: impl Fn(&Trial) -> Option<u64>) -> Vec<f64> {
    let all: Option<Vec<f64>> = trials.iter().map(|trial| Some(of(trial)? as f64)).collect();
    all.unwrap_or_default()
}
