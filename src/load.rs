//! The load instrument: measures a server under requests in an open loop at a rate or in a closed loop, and finds the
//! highest rate at which its tail latency stays within a limit.
//!
//! Every workload can be loaded: a model serves its jobs over HTTP, one job for each request. The generator is the same
//! for all models, and runs in its own process, so that a model only serves.

mod attested;
mod bench;
mod between;
mod checks;
mod condition;
mod intervals;
mod knee;
mod metrics;
mod pair;
mod request_options;
mod server_handle;
mod shares;
mod target;
mod totals;
mod url;

pub use between::{between, unmeasured};
pub use condition::{Condition, MaxErrors};
pub use intervals::{IntervalFormat, MOST_INTERVALS};
pub use metrics::{METRICS, Metric, MetricUnit};
pub use request_options::{RequestOptions, Urls, read_body};
pub use server_handle::ServerHandle;
pub use target::Target;
pub use url::Url;

use std::{path::PathBuf, time::Duration};

use crate::{
    output::Progress,
    record::{Cell, Loop, Writer},
    session::Session,
    start::{Settings, begin},
};
use bench::Bench;
use paceline_core::{
    generator::{Arrivals, Drive},
    interrupt::interrupted,
    models::Entry,
    process::Program,
};
use target::Served;

/// The settings of a load.
pub struct Order {
    /// The target.
    pub target: Target,
    /// The models that serve it; empty for a server that is already running.
    pub models: Vec<&'static Entry>,
    /// Their workers; `None` for a worker on each core, if they have workers.
    pub workers: Option<usize>,
    /// The number of CPUs of the server's machine.
    pub cores: usize,
    /// The statuses that count as answers of a running server; if empty, every 2xx.
    pub accept: Vec<u16>,
    /// The requests to a running server.
    pub request_options: RequestOptions,
    /// The time from its intended start within which a request must be answered; `None` without a limit.
    pub timeout: Option<Duration>,
    /// How many requests of a trial may be errors; `None` if none may.
    pub max_errors: Option<MaxErrors>,
    /// How requests start.
    pub drive: Drive,
    /// The number of processes that share the load.
    pub generators: usize,
    /// The number of connections; `None` for as many as an open loop may need.
    pub connections: Option<usize>,
    /// The limit of the 99th percentile of latency, if the highest rate within it is to be found.
    pub p99_limit: Option<Duration>,
    /// The shares of that rate at which latency is also measured.
    pub shares: Vec<f64>,
    /// The length of intervals, each of which has its own figures.
    pub every: Option<Duration>,
    /// How intervals are printed as they end.
    pub interval_format: IntervalFormat,
    /// Another running server to compare with.
    pub other: Option<Target>,
    /// Whether two servers take turns, to be compared.
    pub paired: bool,
    /// The time before the duration, in which requests do not count.
    pub warm_up: Duration,
    /// The time in which requests count.
    pub duration: Duration,
    /// The time after the duration in which the last answers are awaited.
    pub patience: Duration,
    /// Processes for each figure.
    pub trials: u32,
    /// The seed of random arrivals.
    pub seed: u64,
    /// Whether each server is pinned to CPUs of its own.
    pub pin: bool,
    /// The folder for records.
    pub results: PathBuf,
}

/// The result of a load.
pub struct Outcome {
    /// A cell for each server.
    pub cells: Vec<Cell>,
    /// The folder of the record.
    pub folder: PathBuf,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// The default number of connections of an open loop. A request that finds none free waits in the generator.
pub const CONNECTIONS: usize = 256;
/// The lowest rate, in requests per second: a start in a quarter of an hour. The longest window is an hour.
pub const LEAST_RATE: f64 = 1e-3;
/// The highest rate, in requests per second.
pub const MOST_RATE: f64 = 1e6;
/// The greatest relative error of Little's law. Histograms keep 3 digits.
pub const MOST_LITTLE_ERROR: f64 = 0.01;
/// The beginning of the reason if Little's law does not hold.
const LITTLE: &str = "Little's law";
/// The time limit for a process to start, and for connections to open.
const START: Duration = Duration::from_secs(40);

/// Runs the load. Cells are written to the record as they end.
///
/// # Errors
///
/// Returns a sentence if nothing at all could be measured or recorded.
pub fn load(order: &Order, program: Program) -> Result<Outcome, String> {
    let run = begin(&settings(order), &order.models, order.target.workloads());
    let mut writer = Writer::create(&order.results, &run)?;
    let requests = order.requests(&order.target);
    let other = order.other.as_ref().map(|target| (target, order.requests(target)));
    let mut servers = Served::all(order, &order.target, &requests);
    servers
        .extend(other.iter().flat_map(|(target, requests)| Served::all(order, target, requests)));
    let mut bench = Bench {
        session: Session::start(program.clone(), &run.models)?,
        program,
        order,
        trials: order.trials,
        progress: Progress::start(u64::from(order.trials) * servers.len() as u64),
        agents: vec![],
        deadline: None,
    };
    if order.pin {
        bench.session.pin_hosts()?;
    }
    let mut cells: Vec<Option<Cell>> = vec![None; servers.len()];
    let mut end = |index: usize, cell: Cell| {
        cells[index] = Some(cell);
        pair::keep(order.paired, &mut cells, index, &mut |cell| writer.write(cell))
    };
    if let Some(limit) = order.p99_limit {
        bench.knees(&servers, limit, &mut end)?;
    } else {
        let left = bench.run_trials(&servers, order.drive, &mut end)?;
        bench.keep_cut_off(&servers, order.drive, &left, &mut end)?;
    }
    bench.progress.end();
    pair::keep_lone(order.paired, &cells, &mut |cell| writer.write(cell))?;
    let cells = cells.into_iter().flatten().collect();
    Ok(Outcome { cells, folder: writer.folder().to_owned(), interrupted: interrupted() })
}

fn settings(order: &Order) -> Settings {
    let seconds = |time: Duration| time.as_secs_f64().into();
    let trials = order.trials * if order.p99_limit.is_some() { knee::MOST_STEPS } else { 1 };
    let models = order.models.len().max(1) + usize::from(order.other.is_some());
    let models = u32::try_from(models).unwrap_or(u32::MAX);
    let (request_options, target) = (&order.request_options, order.target.to_string());
    Settings {
        instrument: "load",
        budget: (order.warm_up + order.duration).saturating_mul(trials.saturating_mul(models)),
        seed: Some(order.seed),
        more: vec![
            (
                "target",
                request_options.urls.as_ref().map_or(target, |urls| urls.name.clone()).into(),
            ),
            ("trials", order.trials.into()),
            ("generators", order.generators.into()),
            ("warm_up_seconds", seconds(order.warm_up)),
            ("duration_seconds", seconds(order.duration)),
            ("patience_seconds", seconds(order.patience)),
            ("every_seconds", order.every.map(|every| every.as_secs_f64()).into()),
            ("shares", order.shares.clone().into()),
            ("against", order.against().into()),
            ("pin", order.pin.into()),
            ("expect", order.accept.clone().into()),
            ("method", request_options.method.clone().into()),
            // Names only: a value may be a secret.
            ("headers", request_options.headers.iter().map(|(name, _)| name.clone()).collect()),
            ("body_bytes", request_options.body.as_ref().map(Vec::len).into()),
            (
                "body_hash",
                request_options.body.as_ref().map(|body| request_options::short_hash(body)).into(),
            ),
            ("urls_hash", request_options.urls.as_ref().map(Urls::hash).into()),
            ("timeout_seconds", order.timeout.map(|time| time.as_secs_f64()).into()),
            ("max_errors", order.max_errors.map(|most| most.to_string()).into()),
        ],
    }
}

/// Returns the loop, the rate and the arrivals for the record.
fn described(drive: Drive) -> (Loop, Option<f64>, Option<Arrivals>) {
    match drive {
        Drive::Open { rate, arrivals } => (Loop::Open, Some(rate), Some(arrivals)),
        Drive::Ramp { arrivals, .. } => (Loop::Open, None, Some(arrivals)),
        Drive::Closed => (Loop::Closed, None, None),
    }
}
