//! The instrument of load: a server under requests that a neutral generator sends, in an open loop at a rate or in a
//! closed one, and the rate at which its tail gives way.
//!
//! Every workload can be loaded: a model serves its jobs over HTTP, and a request is a job. So the generator is the
//! same for all models, in a process of its own, and the model has nothing to do but serve.

mod asking;
mod bench;
mod between;
mod condition;
mod intervals;
mod knee;
mod metrics;
mod pair;
mod server_handle;
mod shares;
mod target;
mod url;

pub use asking::{Asking, Urls, read_body};
pub use between::{between, unmeasured};
pub use condition::{Condition, MaxErrors};
pub use intervals::{Lines, MOST_INTERVALS};
pub use metrics::{METRICS, Metric, MetricUnit};
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

/// What to measure.
pub struct Order {
    /// What is asked for.
    pub target: Target,
    /// The models that serve it; none for a server that is there already.
    pub models: Vec<&'static Entry>,
    /// Their workers; `None` for as many as there are cores, where they have any.
    pub workers: Option<usize>,
    /// The number of CPUs of the server's machine.
    pub cores: usize,
    /// The statuses that count as answers of a server that is there already; every 2xx where there is none.
    pub accept: Vec<u16>,
    /// What a server that is there already is asked.
    pub asking: Asking,
    /// How long after its intended start a request must be answered; for ever where it is not said.
    pub timeout: Option<Duration>,
    /// How many requests of a trial may be errors; `None` for none at all.
    pub max_errors: Option<MaxErrors>,
    /// How requests start.
    pub drive: Drive,
    /// The processes that share the load.
    pub generators: usize,
    /// Connections; `None` for as many as an open loop may need.
    pub connections: Option<usize>,
    /// Look for the highest rate at which the 99th percentile of latency stays under this.
    pub p99_limit: Option<Duration>,
    /// The shares of that rate at which latency is measured too.
    pub shares: Vec<f64>,
    /// The length of the intervals that each window is also told by.
    pub every: Option<Duration>,
    /// How each is told once it is over.
    pub lines: Lines,
    /// Another server, where the target is one that is there already.
    pub other: Option<Target>,
    /// Whether there are two servers, which take turns to be compared.
    pub paired: bool,
    /// How long requests are sent before they count.
    pub warm_up: Duration,
    /// How long they count.
    pub duration: Duration,
    /// How long after that answers are waited for.
    pub patience: Duration,
    /// Processes for each figure.
    pub trials: u32,
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
/// The highest rate, in requests per second.
pub const MOST_RATE: f64 = 1e6;
/// How far Little's law may be off. Histograms keep 3 digits.
pub const MOST_LITTLE_ERROR: f64 = 0.01;
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
    let asked = order.asked(&order.target);
    let other = order.other.as_ref().map(|target| (target, order.asked(target)));
    let mut servers = Served::all(order, &order.target, &asked);
    servers.extend(other.iter().flat_map(|(target, asked)| Served::all(order, target, asked)));
    let mut bench = Bench {
        session: Session::start(program.clone(), &run.models)?,
        program,
        order,
        trials: order.trials,
        progress: Progress::start(u64::from(order.trials) * servers.len() as u64),
        agents: vec![],
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
        for (index, served) in servers.iter().enumerate() {
            if let Some(mut cell) = bench.knee(served, limit) {
                bench.at_shares(served, &mut cell);
                end(index, cell)?;
            }
        }
    } else {
        bench.in_turns(&servers, order.drive, &mut end)?;
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
    let (asking, target) = (&order.asking, order.target.to_string());
    Settings {
        instrument: "load",
        budget: (order.warm_up + order.duration).saturating_mul(trials.saturating_mul(models)),
        seed: Some(order.seed),
        more: vec![
            ("target", asking.urls.as_ref().map_or(target, |urls| urls.name.clone()).into()),
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
            ("method", asking.method.clone().into()),
            // A value may be a secret.
            ("headers", asking.headers.iter().map(|(name, _)| name.clone()).collect()),
            ("body_bytes", asking.body.as_ref().map(Vec::len).into()),
            ("timeout_seconds", order.timeout.map(|time| time.as_secs_f64()).into()),
            ("max_errors", order.max_errors.map(|most| most.to_string()).into()),
        ],
    }
}

/// How the load is made, as the record says it.
fn described(drive: Drive) -> (Loop, Option<f64>, Option<Arrivals>) {
    match drive {
        Drive::Open { rate, arrivals } => (Loop::Open, Some(rate), Some(arrivals)),
        Drive::Ramp { arrivals, .. } => (Loop::Open, None, Some(arrivals)),
        Drive::Closed => (Loop::Closed, None, None),
    }
}
