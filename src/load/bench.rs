//! Runs the trials of servers under load, each in a fresh process of the server and of the generator, checks them, and
//! combines them to cells.

use std::{
    slice,
    time::{Duration, Instant},
};

use super::{
    Order, START,
    attested::lost,
    checks::{shown_bound, too_soon, why_invalid},
    condition::too_many_errors,
    intervals::{IntervalPrinter, medians},
    pair::turns,
    target::{Served, Serving},
    totals::{by_url, errors, generators},
};
use crate::{
    machine::HostActivity,
    output::{Progress, long},
    record::{Cell, Estimate, LoadFigures, PerTrial, Resources, State},
    session::{INTERRUPTED, Session, USED_UP, some_ran},
    stats::modes,
};
use paceline_core::{
    clock::{nanoseconds, now},
    generator::{
        Agent, Drive, Interval, Loaded, MergedLoad, Options, Order as GeneratorOrder, Share,
        sum_mismatch,
    },
    histogram::Distribution,
    interrupt::interrupted,
    prepared::ServerSeen,
    process::{HostError, Program},
    usage::Usage,
};

/// Measures servers under load.
pub(super) struct Bench<'a> {
    pub(super) session: Session,
    pub(super) program: Program,
    pub(super) order: &'a Order,
    /// Processes for each figure.
    pub(super) trials: u32,
    pub(super) progress: Progress,
    /// The nodes that the generators are on; none if they are on this one.
    pub(super) agents: Vec<Agent>,
    /// When the budget is used up; `None` without one.
    pub(super) deadline: Option<Instant>,
}

/// The results of one process of a server.
pub(super) struct TrialResult {
    pub(super) loaded: Loaded,
    /// The results of each generator.
    pub(super) each: Vec<Loaded>,
    intervals: Vec<Interval>,
    server: Usage,
    /// What its process was seen to be, if it is ours.
    attested: Option<ServerSeen>,
    host_activity: HostActivity,
}

/// The reason why a trial has no figure.
pub(super) enum NoFigure {
    /// The cell has ended in this state, for this reason.
    Ended(State, String),
    /// The run was interrupted.
    Interrupted,
    /// No load can go on: an interval could not be printed, or a generator on another node was lost.
    Fatal(String),
}

/// What takes the cell of the server at an index.
type End<'a> = &'a mut dyn FnMut(usize, Cell) -> Result<(), String>;

/// The index of a server that an interrupt left without a cell, and its trials that had ended.
type CutOff = (usize, Vec<TrialResult>);

impl Bench<'_> {
    /// Runs every trial of every server, trial by trial in a new order, so that disturbances of the machine affect all
    /// servers alike. `end` gets the cell of a server as soon as it has ended. Returns the trials of the servers that an
    /// interrupt left without a cell, with their indices.
    pub(super) fn run_trials(
        &mut self,
        servers: &[Served<'_>],
        drive: Drive,
        end: End<'_>,
    ) -> Result<Vec<CutOff>, String> {
        let order = self.order;
        let mut seen: Vec<Option<Vec<TrialResult>>> = Vec::new();
        for (index, served) in servers.iter().enumerate() {
            let refusal = served.refusal(&self.session, order.generators);
            seen.push(if refusal.is_none() { Some(Vec::new()) } else { None });
            if let Some(why) = refusal {
                end(index, served.ended(State::Refused, why, drive, order))?;
            }
        }
        for trial in 0..self.trials {
            for index in turns(order.paired, order.seed, servers.len(), trial) {
                let (served, Some(trials)) = (&servers[index], &mut seen[index]) else { continue };
                if self.is_out_of_time() {
                    let cell = self.cut_short(served, drive, trials);
                    seen[index] = None;
                    end(index, cell)?;
                    continue;
                }
                match self.trial(served, drive, trial) {
                    Ok(one) => {
                        trials.push(one);
                        if trials.len() == self.trials as usize {
                            let cell = self.cell_of_trials(served, drive, trials);
                            seen[index] = None;
                            end(index, cell)?;
                        }
                    }
                    Err(NoFigure::Interrupted) => {
                        let left = |(index, of): (usize, Option<_>)| Some((index, of?));
                        return Ok(seen.into_iter().enumerate().filter_map(left).collect());
                    }
                    Err(NoFigure::Fatal(why)) => return Err(why),
                    Err(NoFigure::Ended(state, why)) => {
                        seen[index] = None;
                        end(index, served.ended(state, why, drive, order))?;
                    }
                }
            }
        }
        Ok(vec![])
    }

    /// Ends the cells of servers that an interrupt cut off, with the trials that had ended.
    pub(super) fn keep_cut_off(
        &self,
        servers: &[Served<'_>],
        drive: Drive,
        left: &[CutOff],
        end: End<'_>,
    ) -> Result<(), String> {
        for (index, trials) in left.iter().filter(|(_, trials)| !trials.is_empty()) {
            end(*index, self.cell_of_some(&servers[*index], drive, trials, INTERRUPTED))?;
        }
        Ok(())
    }

    /// Runs all trials of one server under one load; `None` if it was interrupted before the last.
    pub(super) fn cell(&mut self, served: &Served<'_>, drive: Drive) -> Option<Cell> {
        let mut ended = None;
        let mut end = |_, cell| {
            ended = Some(cell);
            Ok(())
        };
        self.run_trials(slice::from_ref(served), drive, &mut end).ok()?;
        ended
    }

    /// Runs a trial: a fresh process of the server, and one of each generator.
    fn trial(
        &mut self,
        served: &Served<'_>,
        drive: Drive,
        trial: u32,
    ) -> Result<TrialResult, NoFigure> {
        if interrupted() {
            return Err(NoFigure::Interrupted);
        }
        let order = self.order;
        let whole = order.warm_up + order.duration;
        self.progress.show(&served.label(drive), whole.saturating_mul(self.trials - trial));
        let mut host = served.start(&self.session, START).map_err(lost)?;
        let listen = self.session.listen.as_ref();
        let generator_order = GeneratorOrder {
            addresses: served.addresses(host.as_ref()),
            same_server: true,
            host: served.host(),
            requests: served.requests.list.clone(),
            every: served.requests.every.clone(),
            // A model's server answers with 200.
            accept: if served.is_ours() { vec![200] } else { order.accept.clone() },
            drive,
            connections: served.connections,
            warm_up_ns: nanoseconds(order.warm_up),
            duration_ns: nanoseconds(order.duration),
            patience_ns: nanoseconds(order.patience),
            interval_ns: order.every.map(nanoseconds),
            seed: order.seed.wrapping_add(u64::from(trial)),
            options: Options {
                headers: order.request_options.headers.clone(),
                body: order.request_options.body.clone().unwrap_or_default(),
                weights: served.requests.weights.clone(),
                timeout_ns: order.timeout.map(nanoseconds),
                counts_errors: order.max_errors.is_some(),
                share: Share::default(),
                plan: listen.map_or_else(Vec::new, |listen| listen.plan.clone()),
                // A server that is there already knows nothing of it.
                token: listen.filter(|_| served.is_ours()).map(|listen| listen.token.clone()),
            },
        };
        let used = |host: &mut Option<Serving>, patience| match host {
            Some(serving) => serving.host.usage(patience),
            None => Ok(Usage::default()),
        };
        let before = used(&mut host, START).map_err(lost)?;
        if let Some(serving) = &mut host {
            serving.host.watch(false, START).map_err(lost)?;
        }
        let mark = self.session.mark(served.connects()).map_err(lost)?;
        let own = Usage::now();
        let mut intervals = Vec::new();
        let mut printer =
            IntervalPrinter::start(order, &self.progress, served.blank(State::Ok), trial);
        printer.check()?;
        let mut over = |one: Interval| {
            printer.print_interval(&one);
            intervals.push(one);
        };
        let together = if self.agents.is_empty() {
            self.program.load_together(&generator_order, order.generators, START, &mut over)
        } else {
            Agent::load_together(&mut self.agents, &generator_order, START, &mut over)
        };
        printer.check()?;
        let (MergedLoad { whole: loaded, each }, after) = match together {
            Ok(together) => (together, used(&mut host, START).map_err(lost)?),
            // If the server died, its error is the cause, and the generator's lost connections are the effect. A server
            // that only does not answer explains less than the generator's error.
            Err(error) => {
                // A generator that was lost says nothing about the server.
                if let Some((node, why)) = self.agents.iter().find_map(Agent::lost) {
                    let void = format!("the generator on {node} was lost, so the load is void");
                    return Err(NoFigure::Fatal(format!("{void}: {why}; run the block again")));
                }
                return Err(match used(&mut host, order.patience) {
                    Ok(_) | Err(HostError::Silent(_)) => lost(error),
                    Err(died) => lost(died),
                });
            }
        };
        let (echo, meanwhile) = self.session.since(&mark).map_err(lost)?;
        let used = after.since(before);
        // A generator that has ended on this machine is in the CPU time of this process. What a server used that was
        // already running is not known, nor how much each of several generators kept the others waiting.
        let is_known = served.is_ours() && self.agents.is_empty() && order.generators == 1;
        let [generator, by_server] =
            [Usage::now().since(own), used].map(|of| Duration::from_nanos(of.cpu_ns()));
        let others =
            if is_known { meanwhile.share_of_others(generator, by_server + echo) } else { None };
        self.progress.done();
        if let Some(why) = too_many_errors(&loaded, order.max_errors) {
            return Err(NoFigure::Ended(State::Failed, why));
        }
        let early = too_soon(&loaded.service_time, served.floor())
            .map_err(|why| NoFigure::Ended(State::Failed, format!("the service time is {why}")))?;
        let doubt = early.or_else(|| why_invalid(&loaded, &each, drive, others));
        let apart = || order.every.and_then(|_| sum_mismatch(&intervals, &loaded));
        check(&loaded, drive, doubt.or_else(apart))?;
        let attested = match &mut host {
            Some(serving) => Some(self.attested(served, serving, &generator_order)?),
            None => None,
        };
        Ok(TrialResult {
            loaded,
            each,
            intervals,
            server: used,
            attested,
            host_activity: meanwhile,
        })
    }

    /// Returns whether another trial would end after the deadline.
    fn is_out_of_time(&self) -> bool {
        let whole = self.order.warm_up + self.order.duration;
        self.deadline.is_some_and(|end| end.saturating_duration_since(now()) < whole)
    }

    /// Returns the cell of a server that has no time left: of the trials that ended, or skipped.
    fn cut_short(&self, served: &Served<'_>, drive: Drive, trials: &[TrialResult]) -> Cell {
        if trials.is_empty() {
            let trial = long(self.order.warm_up + self.order.duration);
            let why = format!("the budget was used up before it; a trial takes at least {trial}");
            return served.ended(State::Skipped, why, drive, self.order);
        }
        self.cell_of_some(served, drive, trials, USED_UP)
    }

    /// Returns the cell of the trials that ended, with the reason `why` there are no more.
    fn cell_of_some(
        &self,
        served: &Served<'_>,
        drive: Drive,
        trials: &[TrialResult],
        why: &str,
    ) -> Cell {
        some_ran(self.cell_of_trials(served, drive, trials), trials.len(), self.trials, why)
    }

    /// Returns the cell of all trials; failed if one of their histograms cannot be read.
    fn cell_of_trials(&self, served: &Served<'_>, drive: Drive, trials: &[TrialResult]) -> Cell {
        let cell = self.figures_of(served, drive, trials);
        cell.unwrap_or_else(|why| served.ended(State::Failed, why, drive, self.order))
    }

    fn figures_of(
        &self,
        served: &Served<'_>,
        drive: Drive,
        trials: &[TrialResult],
    ) -> Result<Cell, String> {
        // A figure of each trial; empty if one of them lacks it.
        let every = |of: &dyn Fn(&Loaded) -> Option<f64>| -> Vec<f64> {
            let all: Option<Vec<f64>> = trials.iter().map(|seen| of(&seen.loaded)).collect();
            all.unwrap_or_default()
        };
        let late = |of: fn(&Distribution) -> Option<u64>| {
            every(&|loaded| Some(of(loaded.schedule_error.as_ref()?)? as f64))
        };
        let per_trial = PerTrial {
            jobs_per_second: every(&|loaded| Some(loaded.requests_per_second)),
            latency_ns_p50: every(&|loaded| Some(loaded.latency.ns_p50 as f64)),
            latency_ns_p99: every(&|loaded| loaded.latency.p99().map(|ns| ns as f64)),
            schedule_error_ns_p50: late(|of| Some(of.ns_p50)),
            schedule_error_ns_p99: late(Distribution::p99),
            ..PerTrial::default()
        };
        // One request more or less in the whole duration.
        let resolution = 1.0 / self.order.duration.as_secs_f64();
        let merged = |what: &str, of: fn(&Loaded) -> Option<&Distribution>| {
            let all = (0..).zip(trials).filter_map(|(n, seen)| Some((n, of(&seen.loaded)?)));
            Distribution::merged(what, all)
        };
        let total =
            |of: fn(&Loaded) -> u64| trials.iter().map(|seen| of(&seen.loaded)).sum::<u64>();
        let most = |of: &dyn Fn(&Loaded) -> Option<f64>| {
            trials.iter().filter_map(|seen| of(&seen.loaded)).reduce(f64::max)
        };
        let requests = total(|loaded| loaded.answered).max(1) as f64;
        let meanwhile: HostActivity = trials.iter().map(|seen| seen.host_activity).sum();
        let used: Usage = trials.iter().map(|seen| seen.server).sum();
        let resources = served.is_ours().then(|| Resources::of(used, requests, meanwhile));
        let figures = LoadFigures {
            offered: total(|loaded| loaded.offered),
            completed: total(|loaded| loaded.completed),
            late_starts: total(|loaded| loaded.late_starts),
            reconnects: total(|loaded| loaded.reconnects),
            errors: errors(trials),
            error_latency: merged("the time of errors", |loaded| loaded.error_latency.as_ref())?,
            first_error: trials.iter().find_map(|seen| seen.loaded.first_error.clone()),
            by_url: by_url(served, trials)?,
            schedule_error: merged("the schedule error", |loaded| loaded.schedule_error.as_ref())?,
            generator_cpu_share_max: most(&|loaded| Some(loaded.generator_cpu_share)),
            generator_awake_share_max: most(&|loaded| Some(loaded.generator_awake_share)),
            generator_waited_share_max: most(&|loaded| loaded.generator_waited_share),
            little_error_max: most(&|loaded| loaded.little_error),
            generators: generators(trials)?,
            server: trials.iter().filter_map(|seen| seen.attested).reduce(ServerSeen::max),
            intervals: match self.order.every {
                Some(_) => trials.iter().map(|seen| seen.intervals.clone()).collect(),
                None => vec![],
            },
            ..served.figures(drive, self.order)
        };
        let steady = !matches!(drive, Drive::Ramp { .. });
        let medians = steady.then(|| medians(&figures.intervals, &per_trial.latency_ns_p50));
        let jobs_per_second = Estimate::of_trials(&per_trial.jobs_per_second, resolution);
        let seconds = self.order.duration.as_secs_f64() * trials.len() as f64;
        let offered = match drive {
            Drive::Closed => f64::INFINITY,
            Drive::Open { .. } | Drive::Ramp { .. } => figures.offered as f64 / seconds,
        };
        Ok(Cell {
            jobs_per_second,
            bound_jobs_per_second: self.bound(served, offered, &per_trial.jobs_per_second),
            modes: medians.and_then(|medians| modes(&medians)),
            interval: Some(Estimate::interval_of(trials.len())),
            latency: merged("the latency", |loaded| Some(&loaded.latency))?,
            latency_ns_p50: Estimate::of_percentiles(&per_trial.latency_ns_p50),
            latency_ns_p99: Estimate::of_percentiles(&per_trial.latency_ns_p99),
            per_trial,
            service_time: merged("the service time", |loaded| Some(&loaded.service_time))?,
            cpu_ns_per_job: resources.and_then(|used| used.cpu_ns_per_job()),
            resources,
            load: Some(figures),
            ..served.blank(State::Ok)
        })
    }

    /// Returns the bound of a server at the rate `offered`, in requests per second; `None` if its `trials`, in the
    /// same unit, refute it.
    pub(super) fn bound(&self, served: &Served<'_>, offered: f64, trials: &[f64]) -> Option<f64> {
        let own = served.bound(self.session.compute_ns, f64::INFINITY);
        shown_bound(own, offered, trials)
    }
}

/// Checks that a trial has figures. `doubt` is why they are not those that the load was meant to have, if so.
fn check(loaded: &Loaded, drive: Drive, doubt: Option<String>) -> Result<(), NoFigure> {
    let invalid = doubt.map(|why| (State::Invalid, why));
    match invalid.or_else(|| Some((State::Failed, loaded.without_rate(drive)?))) {
        Some((state, why)) => Err(NoFigure::Ended(state, why)),
        None => Ok(()),
    }
}
