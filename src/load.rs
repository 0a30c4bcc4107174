//! The instrument of load: a server under requests that a neutral generator sends, in an open loop at a rate or in a
//! closed one, and the rate at which its tail gives way.
//!
//! Every workload can be loaded: a model serves its jobs over HTTP, and a request is a job. So the generator is the
//! same for all models, in a process of its own, and the model has nothing to do but serve.

mod knee;
mod standing;
mod target;

pub use standing::Standing;
pub use target::{Target, Url};

use std::{path::PathBuf, slice, time::Duration};

use crate::{
    machine::Meanwhile,
    measure::{
        Distribution, Histogram, HostError, Program, Usage,
        interrupt::interrupted,
        load::{Arrivals, Drive, Loaded, Order as Ask, Request},
        nanoseconds,
    },
    models::Entry,
    record::{Cell, Estimate, LoadFigures, Loop, Resources, State, Writer},
    report::Progress,
    run::shuffled,
    session::Session,
    start::{Settings, begin},
    stats::median_and_range,
};
use target::Served;

/// What to measure.
pub struct Order {
    /// What is asked for.
    pub target: Target,
    /// The models that serve it; none for a server that is there already.
    pub models: Vec<&'static Entry>,
    /// Their workers; `None` for as many as there are cores, where they have any.
    pub workers: Option<usize>,
    /// How requests start.
    pub drive: Drive,
    /// Connections; `None` for as many as an open loop may need.
    pub connections: Option<usize>,
    /// Look for the highest rate at which the 99th percentile of latency stays under this.
    pub p99_limit: Option<Duration>,
    /// How long requests are sent before they count.
    pub warm_up: Duration,
    /// How long they count.
    pub duration: Duration,
    /// How long after that answers are waited for.
    pub patience: Duration,
    /// Processes for each figure.
    pub rounds: u32,
    /// What random arrivals are made from.
    pub seed: u64,
    /// Whether each server is kept on CPUs of its own.
    pub pin: bool,
    /// Where records go.
    pub results: PathBuf,
}

/// What came of it.
pub struct Outcome {
    /// A cell for each model.
    pub cells: Vec<Cell>,
    /// Where the record is.
    pub folder: PathBuf,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// Connections of an open loop, unless told otherwise: one that finds none free waits in the generator.
pub const CONNECTIONS: usize = 256;
/// How far Little's law may be off.
pub const MOST_LITTLE_ERROR: f64 = 0.05;
/// How the reason begins where Little's law does not hold.
const LITTLE: &str = "Little's law";
/// How long a process may take to start, and connections to open.
const START: Duration = Duration::from_secs(40);

/// Measures it. Cells are written to the record as they end.
///
/// # Errors
///
/// Returns a sentence where nothing could be measured or recorded at all.
pub fn load(order: &Order, program: Program) -> Result<Outcome, String> {
    let run = begin(&settings(order), &order.models, order.target.workloads());
    let mut writer = Writer::create(&order.results, &run)?;
    let mut bench = Bench {
        session: Session::start(program.clone(), &run.models)?,
        program,
        order,
        progress: Progress::start(0),
    };
    if order.pin {
        bench.session.pin_hosts()?;
    }
    let servers: Vec<Served<'_>> = match &order.target {
        Target::Workload(workload) => {
            let model = |entry: &&'static Entry| Served::model(workload, entry, order);
            order.models.iter().map(model).collect()
        }
        Target::Url(url) => vec![Served::there(url, order)],
    };
    bench.progress = Progress::start(u64::from(order.rounds) * servers.len() as u64);
    let mut cells: Vec<Option<Cell>> = vec![None; servers.len()];
    let mut end = |index: usize, cell: Cell| {
        writer.write(&cell)?;
        cells[index] = Some(cell);
        Ok(())
    };
    if let Some(limit) = order.p99_limit {
        for (index, served) in servers.iter().enumerate() {
            if let Some(cell) = bench.knee(served, limit) {
                end(index, cell)?;
            }
        }
    } else {
        bench.in_turns(&servers, order.drive, &mut end)?;
    }
    bench.progress.end();
    let cells = cells.into_iter().flatten().collect();
    Ok(Outcome { cells, folder: writer.folder().to_owned(), interrupted: interrupted() })
}

fn settings(order: &Order) -> Settings {
    let seconds = |time: Duration| time.as_secs_f64().into();
    let rounds = order.rounds * if order.p99_limit.is_some() { knee::MOST_STEPS } else { 1 };
    let models = u32::try_from(order.models.len().max(1)).unwrap_or(u32::MAX);
    Settings {
        instrument: "load",
        budget: (order.warm_up + order.duration).saturating_mul(rounds.saturating_mul(models)),
        seed: Some(order.seed),
        more: vec![
            ("target", order.target.to_string().into()),
            ("rounds", order.rounds.into()),
            ("warm_up_seconds", seconds(order.warm_up)),
            ("duration_seconds", seconds(order.duration)),
            ("patience_seconds", seconds(order.patience)),
            ("pin", order.pin.into()),
        ],
    }
}

/// What measures servers.
struct Bench<'a> {
    session: Session,
    program: Program,
    order: &'a Order,
    progress: Progress,
}

/// What one process of a server was seen to do under a load.
struct Seen {
    loaded: Loaded,
    server: Usage,
    meanwhile: Meanwhile,
}

/// Why there is no figure.
enum Lost {
    /// It is not one.
    Ended(State, String),
    /// Nobody waits for it any more.
    Interrupted,
}

impl Bench<'_> {
    /// Every round of every server, in an order shuffled anew for each: what the machine does meanwhile, it does to
    /// all. `end` is given the cell of a server as soon as it has ended; one that was interrupted has none.
    fn in_turns(
        &mut self,
        servers: &[Served<'_>],
        drive: Drive,
        end: &mut dyn FnMut(usize, Cell) -> Result<(), String>,
    ) -> Result<(), String> {
        let order = self.order;
        let mut seen: Vec<Option<Vec<Seen>>> = Vec::new();
        for (index, served) in servers.iter().enumerate() {
            let refusal = served.refusal(&self.session);
            seen.push(if refusal.is_none() { Some(Vec::new()) } else { None });
            if let Some(why) = refusal {
                end(index, served.ended(State::Refused, why, drive, order))?;
            }
        }
        for round in 0..order.rounds {
            for index in shuffled(servers.len(), order.seed.wrapping_add(u64::from(round))) {
                let (served, Some(rounds)) = (&servers[index], &mut seen[index]) else { continue };
                match self.round(served, drive, round) {
                    Ok(one) => {
                        rounds.push(one);
                        if rounds.len() == order.rounds as usize {
                            end(index, self.of(served, drive, rounds))?;
                        }
                    }
                    Err(Lost::Interrupted) => return Ok(()),
                    Err(Lost::Ended(state, why)) => {
                        seen[index] = None;
                        end(index, served.ended(state, why, drive, order))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All rounds of one server under one load; `None` where it was interrupted before the last.
    fn cell(&mut self, served: &Served<'_>, drive: Drive) -> Option<Cell> {
        let mut ended = None;
        let mut end = |_, cell| {
            ended = Some(cell);
            Ok(())
        };
        self.in_turns(slice::from_ref(served), drive, &mut end).ok()?;
        ended
    }

    /// One fresh process of the server, and one of the generator.
    fn round(&mut self, served: &Served<'_>, drive: Drive, round: u32) -> Result<Seen, Lost> {
        if interrupted() {
            return Err(Lost::Interrupted);
        }
        let order = self.order;
        let whole = order.warm_up + order.duration;
        self.progress.show(&served.label(drive), whole.saturating_mul(order.rounds - round));
        let lost = |error: HostError| match error {
            HostError::Interrupted => Lost::Interrupted,
            HostError::Fault(crate::measure::Fault::Invalid(why)) => {
                Lost::Ended(State::Invalid, why)
            }
            other => Lost::Ended(State::Failed, other.to_string()),
        };
        let mut host = served.start(&self.session, START).map_err(lost)?;
        let ask = Ask {
            addresses: vec![served.address(host.as_ref())],
            requests: served.requests.clone(),
            drive,
            connections: served.connections,
            warm_up_ns: nanoseconds(order.warm_up),
            duration_ns: nanoseconds(order.duration),
            patience_ns: nanoseconds(order.patience),
            seed: order.seed.wrapping_add(u64::from(round)),
        };
        let used = |host: &mut Option<target::Serving>| match host {
            Some(serving) => serving.host.usage(START),
            None => Ok(Usage::default()),
        };
        let before = used(&mut host).map_err(lost)?;
        let mark = self.session.mark(served.connects()).map_err(lost)?;
        let loaded = self.program.load(&ask, START);
        // A server that died says more than the generator, which only lost its connections.
        let after = used(&mut host).map_err(lost)?;
        let loaded = loaded.map_err(lost)?;
        let (_, meanwhile) = self.session.since(&mark).map_err(lost)?;
        self.progress.done();
        if let Some(why) = too_soon(&loaded, served.floor()).or_else(|| doubt(&loaded, drive)) {
            return Err(Lost::Ended(State::Invalid, why));
        }
        Ok(Seen { loaded, server: after.since(before), meanwhile })
    }

    /// What the rounds make together.
    fn of(&self, served: &Served<'_>, drive: Drive, rounds: &[Seen]) -> Cell {
        let estimate = |of: &dyn Fn(&Loaded) -> f64| {
            let values: Vec<f64> = rounds.iter().map(|seen| of(&seen.loaded)).collect();
            let (value, lower, upper) = median_and_range(&values);
            Estimate { value, lower, upper }
        };
        let merged = |of: fn(&Loaded) -> Option<&Distribution>| {
            let mut sum = Histogram::default();
            let each = rounds.iter().filter_map(|seen| of(&seen.loaded));
            each.filter_map(|one| one.histogram().ok()).for_each(|one| sum.merge(&one));
            sum.distribution()
        };
        let total =
            |of: fn(&Loaded) -> u64| rounds.iter().map(|seen| of(&seen.loaded)).sum::<u64>();
        let most = |of: &dyn Fn(&Loaded) -> Option<f64>| {
            rounds.iter().filter_map(|seen| of(&seen.loaded)).reduce(f64::max)
        };
        let requests = total(|loaded| loaded.answered).max(1) as f64;
        let meanwhile: Meanwhile = rounds.iter().map(|seen| seen.meanwhile).sum();
        let per_request = |of: fn(Usage) -> u64| {
            rounds.iter().map(|seen| of(seen.server)).sum::<u64>() as f64 / requests
        };
        let resources = served.is_ours().then(|| Resources {
            user_cpu_ns_per_job: per_request(|used| used.user_cpu_ns),
            system_cpu_ns_per_job: per_request(|used| used.system_cpu_ns),
            voluntary_switches_per_job: per_request(|used| used.voluntary_switches),
            involuntary_switches_per_job: per_request(|used| used.involuntary_switches),
            minor_faults_per_job: per_request(|used| used.minor_faults),
            major_faults_per_job: per_request(|used| used.major_faults),
            steal_share: meanwhile.steal_share(),
            cpu_pressure_share: meanwhile.pressure_share(),
            ..Resources::default()
        });
        let figures = LoadFigures {
            offered: total(|loaded| loaded.offered),
            completed: total(|loaded| loaded.completed),
            late_starts: total(|loaded| loaded.late_starts),
            reconnects: total(|loaded| loaded.reconnects),
            schedule_error: merged(|loaded| loaded.schedule_error.as_ref()),
            generator_cpu_share_max: most(&|loaded| Some(loaded.generator_cpu_share)),
            little_error_max: most(&Loaded::little_error_max),
            ..served.figures(drive, self.order)
        };
        Cell {
            jobs_per_second: Some(estimate(&|loaded| loaded.requests_per_second)),
            interval: Some(format!("median, least and greatest of {} processes", rounds.len())),
            latency: merged(|loaded| Some(&loaded.latency)),
            latency_ns_p99: Some(estimate(&|loaded| loaded.latency.ns_p99 as f64)),
            service_time: merged(|loaded| Some(&loaded.service_time)),
            cpu_ns_per_job: resources
                .map(|used| used.user_cpu_ns_per_job + used.system_cpu_ns_per_job),
            resources,
            load: Some(figures),
            ..served.blank(State::Ok)
        }
    }
}

/// Why the server cannot have waited as its jobs say, if so: receipts alone do not prove it.
fn too_soon(loaded: &Loaded, floor: Duration) -> Option<String> {
    let least = loaded.service_time.histogram().ok()?.quantile(0.0);
    // A histogram keeps 3 digits.
    (least as f64 * 1.001 < nanoseconds(floor) as f64).then(|| {
        let least = Duration::from_nanos(least);
        format!("a request was answered after {least:?}, and its job waits for {floor:?}")
    })
}

/// Why a load's figures are not the server's, or are no figures of a steady state.
fn doubt(loaded: &Loaded, drive: Drive) -> Option<String> {
    let unsteady = match drive {
        Drive::Open { rate, .. } => loaded.unsteady(rate),
        Drive::Closed => None,
    };
    let little =
        loaded.little_error_max().filter(|error| *error > MOST_LITTLE_ERROR).map(|error| {
            let (seen, most) = (error * 100.0, MOST_LITTLE_ERROR * 100.0);
            format!("{LITTLE} is off by {seen:.1} % in a steady second, the limit is {most} %")
        });
    loaded.saturated().or(unsteady).or(little)
}

/// How the load is made, as the record says it.
fn described(drive: Drive) -> (Loop, Option<f64>, Option<Arrivals>) {
    match drive {
        Drive::Open { rate, arrivals } => (Loop::Open, Some(rate), Some(arrivals)),
        Drive::Closed => (Loop::Closed, None, None),
    }
}

/// The requests of a workload: each of its jobs in turn, with the receipt that must come back.
fn requests(workload: &crate::job::Workload) -> Vec<Request> {
    const USUAL: usize = 16;
    let jobs = crate::job::Jobs::load(workload);
    let count = workload.every.as_ref().map_or(USUAL, |(nth, _)| *nth);
    let one = |index: usize| Request {
        path: format!("/{index}"),
        expect: Some(jobs.expected(index).body()),
    };
    (0..count).map(one).collect()
}
