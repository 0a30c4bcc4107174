//! What the suite itself costs: the same work written by hand and run through the suite, in interleaved fresh processes.
//!
//! ```text
//! cargo bench --bench cost -- [--pairs N] [FILTER]...             time per job, and the verdict
//! cargo bench --bench cost -- million [--pairs N] [FILTER]...     a million sleepers: time and memory
//! cargo bench --bench cost -- callgrind [FILTER]...               instructions per job
//! cargo bench --bench cost -- foreign [--pairs N] [FILTER]...     models of other languages beside plain scripts
//! ```
//!
//! A filter is part of a `cell/model`, such as `sleep`, `/tokio-c` or `exchange-1/compio`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench's table goes to standard output, its errors to standard error"
)]

#[path = "cost/bare.rs"]
mod bare;
#[path = "cost/estimate.rs"]
mod estimate;
#[path = "cost/foreign.rs"]
mod foreign;
#[path = "cost/tables.rs"]
mod tables;

use std::{env, io, net::SocketAddr, process::ExitCode, thread, time::Duration};

use bare::Plan;
use paceline_core::{
    child::spawned,
    clock::{nanoseconds, now},
    job::{Addresses, Jobs, Receipt, Workload},
    model::{Settings, set_servers},
    models,
    process::Program,
};
use tables::Bench;

/// The first argument of a child.
const CHILD: &str = "__cost";
/// Of jobs of 10 µs and more: the greatest geometric mean, and the greatest single ratio.
const LIMITS: (f64, f64) = (1.01, 1.02);
/// With fewer pairs there are figures, and no verdict.
const ENOUGH: usize = 10;
/// A thread for each of more jobs than that says nothing more.
const THREADS: usize = 2_000;

/// The work of a job, as it is written by hand.
#[derive(Clone, Copy)]
enum Work {
    Empty,
    Compute(u64),
    Sleep(Duration),
    Exchange,
}

/// The same work by hand and as data, how many jobs of it, and in how many batches.
struct Cell {
    name: &'static str,
    work: Work,
    job: &'static str,
    jobs: usize,
    batches: usize,
    /// Whether a job is 10 µs or more: the limits are for those.
    judged: bool,
}

const EXCHANGE: &str = r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 16 } }]"#;

#[rustfmt::skip]
const CELLS: [Cell; 7] = [
    Cell { name: "sleep", work: Work::Sleep(Duration::from_millis(1)), job: r#"[{ sleep = "1ms" }]"#, jobs: 10_000, batches: 40, judged: true },
    Cell { name: "compute-50", work: Work::Compute(50), job: "[{ compute = 50 }]", jobs: 100_000, batches: 12, judged: false },
    Cell { name: "compute-2500", work: Work::Compute(2_500), job: "[{ compute = 2500 }]", jobs: 10_000, batches: 8, judged: true },
    Cell { name: "empty", work: Work::Empty, job: "[]", jobs: 100_000, batches: 12, judged: false },
    Cell { name: "exchange-1", work: Work::Exchange, job: EXCHANGE, jobs: 1, batches: 1_000, judged: true },
    Cell { name: "exchange-64", work: Work::Exchange, job: EXCHANGE, jobs: 64, batches: 40, judged: true },
    MILLION,
];
/// A mode of its own; its only batch is the first.
#[rustfmt::skip]
const MILLION: Cell =
    Cell { name: "million", work: Work::Sleep(Duration::from_secs(1)), job: r#"[{ sleep = "1s" }]"#, jobs: 1_000_000, batches: 0, judged: false };

const MODELS: [&str; 6] = ["tokio", "tokio-current-thread", "smol", "threads", "rayon", "compio"];
#[rustfmt::skip]
const ASYNC: [&str; 8] =
    ["tokio", "tokio-current-thread", "tokio-per-core", "smol", "async-std", "compio", "monoio", "glommio"];
const COUNTED: [&str; 3] = ["tokio-current-thread", "sequential", "smol"];

fn main() -> ExitCode {
    spawned();
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let result = match &arguments[..] {
        [first, told @ ..] if first == CHILD => child(told).map(|()| true),
        _ => match Request::parse(&arguments) {
            Ok(request) => request.serve(),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(held) => ExitCode::from(u8::from(!held)),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one side of a pair and prints nanoseconds per batch, the warm-up first, then peak memory before and after.
fn child(arguments: &[String]) -> Result<(), String> {
    let [how, cell, model, workers, jobs, batches, servers] = arguments else {
        return Err(format!("a child is told 7 things, not {}", arguments.len()));
    };
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let cell = CELLS.iter().find(|known| known.name == cell).ok_or("no such cell")?;
    let (workers, jobs, batches) = (number(workers)?, number(jobs)?, number(batches)? + 1);
    let plan = Plan { work: cell.work, workers, jobs, batches };
    let servers: Vec<SocketAddr> = servers.split(',').filter_map(|at| at.parse().ok()).collect();
    let _ = bare::SERVERS.set(servers.clone());
    set_servers(Addresses { echo: servers, ..Addresses::default() });
    let before = peak_memory();
    let times = if how == "bare" { bare::run(model, plan) } else { suite(cell, model, plan)? };
    let after = peak_memory();
    let times: Vec<String> = times.iter().map(|time| nanoseconds(*time).to_string()).collect();
    println!("{}\n{before} {after}", times.join(" "));
    Ok(())
}

fn suite(cell: &Cell, model: &str, plan: Plan) -> Result<Vec<Duration>, String> {
    let entry = models::find(model)?;
    let text = format!("name = \"cost\"\njob = {}", cell.job);
    let workload = Workload::parse("cost", &text).map_err(|error| error.to_string())?;
    let (definition, placement) = (Jobs::load(&workload), entry.info.placements[0]);
    let settings = Settings { workers: plan.workers };
    let arm = entry.start(&settings).map_err(|error| error.to_string())?;
    let mut times = Vec::with_capacity(plan.batches);
    for index in 0..plan.batches {
        let batch = arm.batch(definition, plan.jobs, placement, now);
        times.push(batch.elapsed);
        // Of the first batch only: the other side has nothing like it, and callgrind counts what is outside the clock.
        let right = |(index, receipt): (usize, &io::Result<Receipt>)| {
            receipt.as_ref().is_ok_and(|receipt| *receipt == definition.expected(index))
        };
        if index == 0 && !batch.receipts.iter().enumerate().all(right) {
            return Err("a receipt is wrong".into());
        }
    }
    Ok(times)
}

/// The most memory this process has had so far, in KiB; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What the user asks for.
struct Request {
    mode: Mode,
    pairs: Option<usize>,
    filters: Vec<String>,
}

#[derive(Clone, Copy)]
enum Mode {
    Time,
    Million,
    Callgrind,
    Foreign,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut request = Request { mode: Mode::Time, pairs: None, filters: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "million" => request.mode = Mode::Million,
                "foreign" => request.mode = Mode::Foreign,
                "callgrind" => request.mode = Mode::Callgrind,
                "--pairs" => {
                    let pairs = arguments.next().and_then(|pairs| pairs.parse().ok());
                    request.pairs = Some(
                        pairs.filter(|pairs| *pairs > 0).ok_or("--pairs takes a number from 1")?,
                    );
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("unknown option {flag}: there is only --pairs N"));
                }
                filter => request.filters.push(filter.to_owned()),
            }
        }
        let all = Request { filters: Vec::new(), ..request };
        let ids: Vec<String> = match all.mode {
            Mode::Foreign => foreign::cells(&[]).into_iter().map(|(_, _, id)| id).collect(),
            _ => all.cells().into_iter().map(|(_, _, id)| id).collect(),
        };
        let unknown = |filter: &&String| !ids.iter().any(|id| id.contains(*filter));
        if let Some(filter) = request.filters.iter().find(unknown) {
            return Err(format!("nothing matches {filter}: there are {}", ids.join(", ")));
        }
        Ok(request)
    }

    /// The cells and models asked for, and what they are called.
    fn cells(&self) -> Vec<Asked> {
        let (cells, models) = match self.mode {
            Mode::Time => (&["sleep", "compute", "empty", "exchange"][..], &MODELS[..]),
            Mode::Million => (&["million"][..], &ASYNC[..]),
            Mode::Callgrind => (&["empty", "compute"][..], &COUNTED[..]),
            Mode::Foreign => (&[][..], &[][..]),
        };
        let wanted = |name: &str| cells.iter().any(|cell| name.starts_with(cell));
        let mut list = Vec::new();
        for cell in CELLS.iter().filter(|cell| wanted(cell.name)) {
            for model in models {
                let id = format!("{}/{model}", cell.name);
                let asked = self.filters.is_empty() || self.filters.iter().any(|f| id.contains(f));
                if asked && !(cell.name == "sleep" && *model == "rayon") {
                    list.push((cell, *model, id));
                }
            }
        }
        list
    }

    fn serve(&self) -> Result<bool, String> {
        let cells = self.cells();
        let program = Program::this().map_err(|error| error.to_string())?;
        let echo = program.echo().map_err(|error| format!("no echo server: {error}"))?;
        let servers: Vec<String> =
            echo.addresses().echo.iter().map(SocketAddr::to_string).collect();
        let bench = Bench { servers: servers.join(",") };
        match self.mode {
            Mode::Time => bench.time(&cells, self.pairs.unwrap_or(ENOUGH)),
            Mode::Million => bench.million(&cells, self.pairs.unwrap_or(3)),
            Mode::Callgrind => bench.callgrind(&cells),
            Mode::Foreign => foreign::compare(
                &program,
                echo.addresses(),
                &foreign::cells(&self.filters),
                self.pairs.unwrap_or(ENOUGH),
            ),
        }
    }
}

/// A cell, a model, and what the two are called.
type Asked = (&'static Cell, &'static str, String);

/// As many workers as there are cores.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
