//! Measures the overhead of the suite: fresh processes do the same work through the suite and in plain programs, by turns.
//!
//! ```text
//! cargo bench --bench cost -- [--pairs N] [--limit TIME] [--json] [FILTER]...           time per job, and the verdict
//! cargo bench --bench cost -- foreign [--pairs N] [--limit TIME] [--json] [FILTER]...   models of other languages
//! cargo bench --bench cost -- million [--pairs N] [FILTER]...                           a million sleepers
//! cargo bench --bench cost -- callgrind [FILTER]...                                     instructions per job
//! cargo bench --bench cost -- symbols [--pairs N] [FILTER]...                           CPU time by symbol
//! ```
//!
//! A filter is a part of `/cell/model/`, such as `sleep`, `/tokio/`, `/tokio-c` or `exchange/compio`.

#[path = "cost/cells.rs"]
mod cells;
#[path = "cost/pairs.rs"]
mod pairs;
#[path = "cost/plain.rs"]
mod plain;
#[path = "cost/symbols.rs"]
mod symbols;
#[path = "cost/tables.rs"]
mod tables;
#[path = "cost/verdict.rs"]
mod verdict;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    net::SocketAddr,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use cells::{Cell, WORK, cells};
use paceline::stats::median_and_range;
use paceline_core::{
    child::spawned,
    clock::{nanoseconds, now},
    job::{Addresses, Jobs},
    layout,
    model::{Settings, set_servers},
    models,
    process::Program,
    protocol::CellSpec,
};
use pairs::{Effort, interleave};
use plain::{Plain, listed, output_of, this};

/// The first argument of a child.
const CHILD: &str = "__cost";
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Time,
    Foreign,
    Million,
    Callgrind,
    Symbols,
}

fn main() -> ExitCode {
    spawned();
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let result = match &arguments[..] {
        [first, told @ ..] if first == CHILD => child(told).map(|()| true),
        _ => match Request::parse(&arguments) {
            Ok(request) => request.serve(),
            Err(message) => {
                eprintln!("error: {message}");
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(held) => ExitCode::from(u8::from(!held)),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The figures of one process.
struct Side {
    /// The median of its batches.
    batch_ns: f64,
    /// The growth of its peak memory; 0 for a script.
    memory_kib: f64,
}

impl Side {
    /// Parses what a process prints: the nanoseconds of each batch, with the warm-up first. A program in Rust adds a line
    /// with the sum of its outputs, and its peak memory before and after.
    fn read(text: &str, batches: usize) -> Result<(Self, Option<u64>), String> {
        let wrong = || format!("a side said {text:?}");
        let lines: Vec<&str> = text.lines().collect();
        let (times, rest) = lines.split_at_checked(batches).ok_or_else(wrong)?;
        let times: Result<Vec<f64>, _> = times.iter().map(|line| line.parse()).collect();
        let rest: Option<Vec<u64>> = match rest {
            [] => Some(vec![]),
            [line] => line.split(' ').map(|number| number.parse().ok()).collect(),
            _ => None,
        };
        let (times, rest) = (times.map_err(|_| wrong())?, rest.ok_or_else(wrong)?);
        // The first batch is the warm-up, unless it is the only one.
        let counted = if batches > 1 { &times[1..] } else { &times };
        let memory_kib = match rest[..] {
            [_, before, after] => after.saturating_sub(before) as f64,
            _ => 0.0,
        };
        Ok((Side { batch_ns: median(counted), memory_kib }, rest.first().copied()))
    }
}

fn median(values: &[f64]) -> f64 {
    median_and_range(values).0
}

/// Returns a worker for each core.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Runs the suite's side of a pair, and prints what [`Side::read`] reads.
fn child(arguments: &[String]) -> Result<(), String> {
    let [work, model, workers, jobs, batches, servers] = arguments else {
        return Err(format!("a child is told 6 things, not {}", arguments.len()));
    };
    layout::shift();
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let work = WORK.iter().find(|known| known.name == work).ok_or("no such work")?;
    let (workers, jobs, batches) = (number(workers)?, number(jobs)?, number(batches)? + 1);
    let echo: Vec<SocketAddr> = servers.split(',').filter_map(|at| at.parse().ok()).collect();
    set_servers(Addresses { echo, ..Addresses::default() });
    let entry = models::find(model)?;
    let (definition, placement) = (Jobs::load(&work.workload()), entry.info.placements[0]);
    let model = entry.start(&Settings { workers }).map_err(|error| error.to_string())?;
    let before = peak_memory();
    let mut times = Vec::with_capacity(batches);
    for index in 0..batches {
        let batch = model.batch(definition, jobs, placement, now);
        times.push(batch.elapsed);
        // Only in the first batch: callgrind also counts what is outside the clock.
        let wrong = |(index, receipt): (usize, &std::io::Result<_>)| {
            !receipt.as_ref().is_ok_and(|receipt| *receipt == definition.expected(index))
        };
        if index == 0 && batch.receipts.iter().enumerate().any(wrong) {
            return Err("a receipt is wrong".into());
        }
    }
    let after = peak_memory();
    for time in times {
        println!("{}", nanoseconds(time));
    }
    println!("0 {before} {after}");
    Ok(())
}

/// Returns the peak memory of this process in KiB; 0 if the system does not show it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Returns the command that runs the suite's side of a cell.
fn suite_command(cell: &Cell, numbers: [usize; 3], servers: &Addresses) -> Result<Command, String> {
    let mut command = Command::new(this()?);
    command.args([CHILD, cell.work.name, cell.model]);
    command.args(numbers.map(|number| number.to_string())).arg(listed(servers));
    Ok(command)
}

/// Returns the command that runs the suite's side of a cell, or the plain side.
fn command_of(
    cell: &Cell,
    suite: bool,
    numbers: [usize; 3],
    (built, servers): (&BTreeMap<&str, Plain>, &Addresses),
) -> Result<Command, String> {
    if suite {
        return suite_command(cell, numbers, servers);
    }
    Ok(built[cell.program].command(cell, numbers, servers))
}

fn suite_side(cell: &Cell, program: &Program, servers: &Addresses) -> Result<Side, String> {
    let jobs = cell.work.jobs_on(cell.model);
    let entry = models::find(cell.model)?;
    if entry.info.foreign.is_none() {
        let mut command = suite_command(cell, [workers(), jobs, cell.work.batches], servers)?;
        let text = output_of(cell.model, workers(), &mut command)?;
        return Side::read(&text, cell.work.batches + 1).map(|(side, _)| side);
    }
    let wide = entry.info.workers(&[workers()])[0];
    let mut host = program.host(entry, wide).map_err(|error| error.to_string())?;
    let spec = CellSpec {
        model: cell.model.into(),
        workers: wide,
        placement: entry.info.placements[0],
        workload: cell.work.name.into(),
        source: cell.work.source(),
        scale: jobs,
        servers: servers.clone(),
        listen: None,
    };
    host.prepare(spec, PATIENCE).map_err(|error| error.to_string())?;
    let times = host.batches(cell.work.batches as u64 + 1, PATIENCE);
    let (times, _) = times.map_err(|error| error.to_string())?;
    let times: Vec<f64> = times[1..].iter().map(|time| time.as_nanos() as f64).collect();
    Ok(Side { batch_ns: median(&times), memory_kib: 0.0 })
}

/// The user's options.
struct Request {
    mode: Mode,
    pairs: Option<usize>,
    limit: Duration,
    json: bool,
    filters: Vec<String>,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let limit = Duration::from_mins(30);
        let mut request =
            Request { mode: Mode::Time, pairs: None, limit, json: false, filters: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "million" => request.mode = Mode::Million,
                "foreign" => request.mode = Mode::Foreign,
                "callgrind" => request.mode = Mode::Callgrind,
                "symbols" => request.mode = Mode::Symbols,
                "--json" => request.json = true,
                "--pairs" => {
                    let pairs = arguments.next().and_then(|pairs| pairs.parse().ok());
                    let pairs = pairs.filter(|pairs| *pairs > 0);
                    request.pairs = Some(pairs.ok_or("--pairs takes a number from 1")?);
                }
                "--limit" => {
                    let time =
                        arguments.next().and_then(|time| humantime::parse_duration(time).ok());
                    request.limit = time.ok_or("--limit takes a time such as 25m or 3h")?;
                }
                flag if flag.starts_with('-') => {
                    return Err(format!(
                        "there is no option {flag}: there are --pairs, --limit and --json"
                    ));
                }
                filter => request.filters.push(filter.to_owned()),
            }
        }
        if request.json && ![Mode::Time, Mode::Foreign].contains(&request.mode) {
            return Err("--json is for times: leave it out, or leave out the mode".into());
        }
        let known = cells(request.mode);
        for filter in &request.filters {
            if !known.iter().any(|cell| matches(cell, filter)) {
                let works: BTreeSet<&str> = known.iter().map(|cell| cell.work.name).collect();
                let models: BTreeSet<&str> = known.iter().map(|cell| cell.model).collect();
                let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
                let (works, models) = (list(works), list(models));
                return Err(format!(
                    "nothing matches {filter}: there are {works}, each on {models}"
                ));
            }
        }
        Ok(request)
    }

    fn serve(&self) -> Result<bool, String> {
        let mut cells = cells(self.mode);
        cells.retain(|cell| {
            let asked = self.filters.is_empty() || self.filters.iter().any(|f| matches(cell, f));
            let there = || models::find(cell.model).and_then(|entry| (entry.info.available)());
            asked && there().map_err(|why| eprintln!("{} is left out: {why}", cell.id)).is_ok()
        });
        // Nothing is built while something is measured.
        let mut built: BTreeMap<&str, Plain> = BTreeMap::new();
        for cell in &cells {
            if !built.contains_key(cell.program) {
                built.insert(cell.program, Plain::of(cell)?);
            }
        }
        let program = Program::this().map_err(|error| error.to_string())?;
        let echo = program.echo().map_err(|error| format!("no echo server: {error}"))?;
        let servers = echo.addresses();
        let side = |index: usize, suite: bool| {
            let cell = &cells[index];
            if suite {
                suite_side(cell, &program, servers)
            } else {
                built[cell.program].side(cell, servers)
            }
        };
        match self.mode {
            Mode::Time | Mode::Foreign => {
                let pairs = self.pairs.unwrap_or(100);
                let effort = Effort { pairs, limit: self.limit, json: self.json };
                return Ok(interleave(&cells, effort, side));
            }
            Mode::Million => tables::million(&cells, self.pairs.unwrap_or(3), side)?,
            Mode::Callgrind => tables::callgrind(&cells, &built, servers)?,
            Mode::Symbols => {
                symbols::symbols(&cells, self.pairs.unwrap_or(5), &built, servers)?;
            }
        }
        Ok(true)
    }
}

fn matches(cell: &Cell, filter: &str) -> bool {
    format!("/{}/", cell.id).contains(filter)
}
