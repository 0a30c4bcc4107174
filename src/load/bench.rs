//! Trials of servers under load: each a fresh process of the server and one of the generator, checked, and what they
//! make together.

use std::{collections::BTreeMap, slice, time::Duration};

use super::{
    LITTLE, MOST_LITTLE_ERROR, Order, START,
    intervals::Teller,
    pair::turns,
    target::{Served, Serving},
};
use crate::{
    machine::HostActivity,
    output::{Progress, long},
    record::{
        Cell, Estimate, GeneratorFigures, LoadFigures, PerTrial, Resources, State, UrlFigures,
    },
    session::{Session, state_of},
};
use paceline_core::{
    clock::nanoseconds,
    generator::{
        Agent, Drive, Interval, Loaded, Options, Order as Ask, Part, Share, Together, do_not_add_up,
    },
    histogram::Distribution,
    interrupt::interrupted,
    process::{HostError, Program},
    usage::Usage,
};

/// What measures servers.
pub(super) struct Bench<'a> {
    pub(super) session: Session,
    pub(super) program: Program,
    pub(super) order: &'a Order,
    /// Processes for each figure.
    pub(super) trials: u32,
    pub(super) progress: Progress,
    /// The nodes that the generators are on; none if they are on this one.
    pub(super) agents: Vec<Agent>,
}

/// What one process of a server was seen to do under a load.
struct Seen {
    loaded: Loaded,
    /// What each generator saw of it.
    each: Vec<Loaded>,
    intervals: Vec<Interval>,
    server: Usage,
    host_activity: HostActivity,
}

/// Why there is no figure.
pub(super) enum Lost {
    /// It is not one.
    Ended(State, String),
    /// Nobody waits for it any more.
    Interrupted,
    /// What was seen of it could not be printed.
    Untold(String),
}

impl Bench<'_> {
    /// Every trial of every server, in an order shuffled anew for each: what the machine does meanwhile, it does to
    /// all. `end` is given the cell of a server as soon as it has ended; one that was interrupted has none.
    pub(super) fn in_turns(
        &mut self,
        servers: &[Served<'_>],
        drive: Drive,
        end: &mut dyn FnMut(usize, Cell) -> Result<(), String>,
    ) -> Result<(), String> {
        let order = self.order;
        let mut seen: Vec<Option<Vec<Seen>>> = Vec::new();
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
                match self.trial(served, drive, trial) {
                    Ok(one) => {
                        trials.push(one);
                        if trials.len() == self.trials as usize {
                            let cell = self.of(served, drive, trials).unwrap_or_else(|why| {
                                served.ended(State::Failed, why, drive, order)
                            });
                            end(index, cell)?;
                        }
                    }
                    Err(Lost::Interrupted) => return Ok(()),
                    Err(Lost::Untold(why)) => return Err(why),
                    Err(Lost::Ended(state, why)) => {
                        seen[index] = None;
                        end(index, served.ended(state, why, drive, order))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All trials of one server under one load; `None` where it was interrupted before the last.
    pub(super) fn cell(&mut self, served: &Served<'_>, drive: Drive) -> Option<Cell> {
        let mut ended = None;
        let mut end = |_, cell| {
            ended = Some(cell);
            Ok(())
        };
        self.in_turns(slice::from_ref(served), drive, &mut end).ok()?;
        ended
    }

    /// One fresh process of the server, and one of the generator.
    fn trial(&mut self, served: &Served<'_>, drive: Drive, trial: u32) -> Result<Seen, Lost> {
        if interrupted() {
            return Err(Lost::Interrupted);
        }
        let order = self.order;
        let whole = order.warm_up + order.duration;
        self.progress.show(&served.label(drive), whole.saturating_mul(self.trials - trial));
        let lost = |error: HostError| match error {
            HostError::Interrupted => Lost::Interrupted,
            other => Lost::Ended(state_of(&other), other.to_string()),
        };
        let mut host = served.start(&self.session, START).map_err(lost)?;
        let listen = self.session.listen.as_ref();
        let ask = Ask {
            addresses: served.addresses(host.as_ref()),
            same_server: true,
            host: served.host(),
            requests: served.asked.requests.clone(),
            every: served.asked.every.clone(),
            // The servers that models are answer with 200.
            accept: if served.is_ours() { vec![200] } else { order.accept.clone() },
            drive,
            connections: served.connections,
            warm_up_ns: nanoseconds(order.warm_up),
            duration_ns: nanoseconds(order.duration),
            patience_ns: nanoseconds(order.patience),
            interval_ns: order.every.map(nanoseconds),
            seed: order.seed.wrapping_add(u64::from(trial)),
            options: Options {
                headers: order.asking.headers.clone(),
                body: order.asking.body.clone().unwrap_or_default(),
                weights: served.asked.weights.clone(),
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
        let mark = self.session.mark(served.connects()).map_err(lost)?;
        let mut intervals = Vec::new();
        let mut teller = Teller::start(order, &self.progress, served.blank(State::Ok), trial);
        teller.told()?;
        let mut over = |one: Interval| {
            teller.tell(&one);
            intervals.push(one);
        };
        let together = if self.agents.is_empty() {
            self.program.load_together(&ask, order.generators, START, &mut over)
        } else {
            Agent::load_together(&mut self.agents, &ask, START, &mut over)
        };
        teller.told()?;
        let (Together { whole: loaded, each }, after) = match together {
            Ok(together) => (together, used(&mut host, START).map_err(lost)?),
            // A server that died says more than the generator, which only lost its connections. One that is silent says
            // less.
            Err(error) => {
                // What another node did not do is nothing that the server can be judged by.
                if let Some(node) = self.agents.iter().find_map(Agent::lost) {
                    let void = format!("the generator on {node} was lost, so the load is void");
                    return Err(Lost::Untold(format!("{void}: {error}; submit again")));
                }
                return Err(match used(&mut host, order.patience) {
                    Ok(_) | Err(HostError::Silent(_)) => lost(error),
                    Err(died) => lost(died),
                });
            }
        };
        let (_, meanwhile) = self.session.since(&mark).map_err(lost)?;
        self.progress.done();
        if let Some(why) = too_many_errors(&loaded, order) {
            return Err(Lost::Ended(State::Failed, why));
        }
        let early = too_soon(&loaded.service_time, served.floor())
            .map_err(|why| Lost::Ended(State::Failed, format!("the service time is {why}")))?;
        let doubt = early.or_else(|| doubt(&loaded, &each, drive));
        let apart = || order.every.and_then(|_| do_not_add_up(&intervals, &loaded));
        if let Some(why) = doubt.or_else(apart) {
            return Err(Lost::Ended(State::Invalid, why));
        }
        Ok(Seen { loaded, each, intervals, server: after.since(before), host_activity: meanwhile })
    }

    /// What the trials make together, or which histogram of theirs cannot be read.
    fn of(&self, served: &Served<'_>, drive: Drive, trials: &[Seen]) -> Result<Cell, String> {
        // A figure of each trial; none where one does not have it.
        let every = |of: &dyn Fn(&Loaded) -> Option<f64>| -> Vec<f64> {
            let all: Option<Vec<f64>> = trials.iter().map(|seen| of(&seen.loaded)).collect();
            all.unwrap_or_default()
        };
        let per_trial = PerTrial {
            jobs_per_second: every(&|loaded| Some(loaded.requests_per_second)),
            latency_ns_p50: every(&|loaded| Some(loaded.latency.ns_p50 as f64)),
            latency_ns_p99: every(&|loaded| loaded.latency.p99().map(|ns| ns as f64)),
            ..PerTrial::default()
        };
        // One request more or less in the whole time.
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
            little_error_max: most(&|loaded| loaded.little_error),
            generators: generators(trials)?,
            intervals: match self.order.every {
                Some(_) => trials.iter().map(|seen| seen.intervals.clone()).collect(),
                None => vec![],
            },
            ..served.figures(drive, self.order)
        };
        Ok(Cell {
            jobs_per_second: Estimate::of_trials(&per_trial.jobs_per_second, resolution),
            interval: Some(Estimate::interval_of(trials.len())),
            latency: merged("the latency", |loaded| Some(&loaded.latency))?,
            latency_ns_p50: Estimate::of_trials(&per_trial.latency_ns_p50, 1.0),
            latency_ns_p99: Estimate::of_trials(&per_trial.latency_ns_p99, 1.0),
            per_trial,
            service_time: merged("the service time", |loaded| Some(&loaded.service_time))?,
            cpu_ns_per_job: resources.map(|used| used.cpu_ns_per_job()),
            resources,
            load: Some(figures),
            ..served.blank(State::Ok)
        })
    }
}

/// Why the load ended in more errors than it may have, if so.
fn too_many_errors(loaded: &Loaded, order: &Order) -> Option<String> {
    let (failed, all) = (loaded.failed(), loaded.offered);
    let most = order.max_errors.filter(|most| most.is_passed(failed, all))?;
    let kinds: Vec<String> =
        loaded.errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let (kinds, share) = (kinds.join(", "), 100.0 * failed as f64 / all.max(1) as f64);
    let first = loaded.first_error.as_deref().unwrap_or_default();
    Some(format!(
        "{failed} of {all} requests were errors ({share:.2} %), --max-errors is {most}: {kinds}; the first: {first}"
    ))
}

fn errors(trials: &[Seen]) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (kind, count) in trials.iter().flat_map(|seen| &seen.loaded.errors) {
        *sum.entry(kind.clone()).or_default() += count;
    }
    sum
}

/// The figures of each generator over all trials, with the worst where there is a limit.
fn generators(trials: &[Seen]) -> Result<Vec<GeneratorFigures>, String> {
    let one = |index: usize| {
        let each = || trials.iter().filter_map(|seen| seen.each.get(index));
        let total = |of: fn(&Loaded) -> u64| each().map(of).sum();
        let late = (0..).zip(each()).filter_map(|(n, one)| Some((n, one.schedule_error.as_ref()?)));
        let late = Distribution::merged("the schedule error of a generator", late)?;
        Ok(GeneratorFigures {
            connections: each().next().map_or(0, |one| one.connections),
            offered: total(|one| one.offered),
            completed: total(|one| one.completed),
            late_starts: total(|one| one.late_starts),
            schedule_error_ns_p99: late.as_ref().and_then(Distribution::p99),
            cpu_share_max: each().map(|one| one.generator_cpu_share).reduce(f64::max),
        })
    };
    (0..trials.first().map_or(0, |seen| seen.each.len())).map(one).collect()
}

/// The figures of each URL that has a weight.
fn by_url(served: &Served<'_>, trials: &[Seen]) -> Result<Vec<UrlFigures>, String> {
    let one = |(place, weight): (usize, &u32)| {
        let request = &served.asked.requests[place];
        let parts = || trials.iter().filter_map(|seen| seen.loaded.parts.get(place));
        let latencies =
            (0..).zip(parts()).filter_map(|(n, part)| Some((n, part.latency.as_ref()?)));
        let latency = Distribution::merged("the latency of a URL", latencies)?;
        Ok(UrlFigures {
            method: request.method.clone(),
            path: request.path.clone(),
            weight: *weight,
            completed: latency.as_ref().map_or(0, |latency| latency.count),
            errors: parts().map(|part: &Part| part.errors).sum(),
            latency_ns_p50: latency.as_ref().map(|latency| latency.ns_p50),
            latency_ns_p99: latency.as_ref().and_then(Distribution::p99),
            latency_ns_max: latency.as_ref().map(|latency| latency.ns_max),
        })
    };
    served.asked.weights.iter().enumerate().map(one).collect()
}

/// Why the server cannot have waited as its jobs say, if so: receipts alone do not prove it.
///
/// # Errors
///
/// Returns a sentence where the times cannot be read.
fn too_soon(service_time: &Distribution, floor: Duration) -> Result<Option<String>, String> {
    let least = service_time.histogram()?.quantile(0.0);
    // A histogram keeps 3 digits.
    Ok((least as f64 * 1.001 < nanoseconds(floor) as f64).then(|| {
        let [least, floor] = [Duration::from_nanos(least), floor].map(long);
        format!("a request was answered after {least}, and its job waits for {floor}")
    }))
}

/// Why a load's figures are not the server's, or are no figures of a steady state. Each of its generators has the limits
/// of one.
fn doubt(loaded: &Loaded, each: &[Loaded], drive: Drive) -> Option<String> {
    let saturated = each.iter().enumerate().find_map(|(index, one)| {
        let why = one.saturated()?;
        let (which, of) = (index + 1, each.len());
        Some(if of == 1 { why } else { format!("{why} (generator {which} of {of})") })
    });
    let unsteady = match drive {
        Drive::Open { rate, .. } => loaded.unsteady(rate),
        // What a ramp is for is to pass what the server can do: its intervals say where.
        Drive::Ramp { .. } | Drive::Closed => None,
    };
    let little = loaded.little_error.filter(|error| *error > MOST_LITTLE_ERROR).map(|error| {
        let (seen, most) = (error * 100.0, MOST_LITTLE_ERROR * 100.0);
        format!(
            "{LITTLE} is off by {seen:.1} %, the limit is {most} %: the generator counts wrongly"
        )
    });
    saturated.or(unsteady).or(little)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::histogram::Histogram;

    #[test]
    fn a_server_that_answers_before_its_job_can_have_waited_has_no_figure() {
        let mut times = Histogram::default();
        for ns in [5_300_000, 5_000_100, 7_000_000] {
            times.record(ns);
        }
        let floor = Duration::from_millis(5);
        assert_eq!(too_soon(&times.distribution().unwrap(), floor), Ok(None));
        times.record(4_900_000);
        let mut early = times.distribution().unwrap();
        let why = too_soon(&early, floor).unwrap().unwrap();
        assert!(why.contains("answered after 4.") && why.contains("waits for 5.00 ms"), "{why}");
        early.hdr_v2.truncate(20);
        assert!(too_soon(&early, floor).unwrap_err().starts_with("not a histogram"));
    }
}
