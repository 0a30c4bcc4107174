//! Models of other languages beside plain scripts of the same work, in interleaved fresh processes.

use std::{
    env,
    ffi::OsStr,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use crate::{
    ENOUGH,
    estimate::{Estimate, median},
    workers,
};
use paceline_core::{
    job::{Addresses, Jobs},
    models::{self, Entry},
    process::Program,
    protocol::CellSpec,
};

/// The most that the suite and a plain script may differ by, either way.
const LIMIT: f64 = 0.03;
const PATIENCE: Duration = Duration::from_mins(2);
const PLAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cost/plain");

/// Models, what does the same work without the suite, and how many times the rounds where they compute: a process that has
/// only run for some milliseconds is still waking up.
const MODELS: [Beside; 3] =
    [("asyncio", "plain.py", 1), ("node", "plain.mjs", 3), ("go", "plain.go", 10)];

type Beside = (&'static str, &'static str, usize);

/// The work that a plain script knows by this name, and how much of it.
pub(crate) struct Work {
    name: &'static str,
    job: &'static str,
    jobs: usize,
    batches: usize,
}

#[rustfmt::skip]
const WORK: [Work; 3] = [
    Work { name: "sleep", job: r#"[{ sleep = "10ms" }]"#, jobs: 1_000, batches: 40 },
    Work { name: "exchange", job: r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 20 } }]"#, jobs: 64, batches: 20 },
    Work { name: "compute", job: "[{ compute = 20000 }]", jobs: 20, batches: 10 },
];

/// Some work, a model with its script, and what the two are called.
pub(crate) type Asked = (&'static Work, Beside, String);

/// What `filters` ask for; all, where there are none.
pub(crate) fn cells(filters: &[String]) -> Vec<Asked> {
    let all = WORK.iter().flat_map(|work| MODELS.map(|model| (work, model)));
    let all = all.map(|(work, model)| (work, model, format!("{}/{}", work.name, model.0)));
    all.filter(|(_, _, id)| filters.is_empty() || filters.iter().any(|f| id.contains(f))).collect()
}

/// Compares them, and says whether all agree.
pub(crate) fn compare(
    program: &Program,
    servers: &Addresses,
    cells: &[Asked],
    count: usize,
) -> Result<bool, String> {
    println!("{count} pairs of fresh processes, {} workers; ratio = suite / plain\n", workers());
    println!("{:24} plain ms/batch  ratio  95 % interval", "cell/model");
    let mut missed = Vec::new();
    for (work, (model, script, times), id) in cells {
        let entry = models::find(model)?;
        if let Err(reason) = (entry.info.available)() {
            println!("{id:24} skipped: {reason}");
            continue;
        }
        let plain = Plain::of(entry, script)?;
        let batches = if work.name == "compute" { work.batches * times } else { work.batches };
        let run = |suite: bool| {
            let times = if suite {
                suite_side(program, entry, work, batches, servers)
            } else {
                plain.side(work, batches, servers)
            };
            // The first batch is the warm-up.
            times.map(|times| median(&times[1..])).map_err(|why| format!("{id}: {why}"))
        };
        let (mut of_plain, mut ratios) = (Vec::new(), Vec::new());
        for index in 0..count {
            let suite_first = Jobs::seed(index) & 1 == 1;
            let (first, second) = (run(suite_first)?, run(!suite_first)?);
            let (suite, plain) = if suite_first { (first, second) } else { (second, first) };
            of_plain.push(plain);
            ratios.push((suite / plain).ln());
        }
        let ratio = Estimate::of(&ratios);
        let (mean, interval) = (ratio.mean.exp(), ratio.interval());
        println!("{id:24} {:>14.3} {mean:>6.3}  {interval}", median(&of_plain) / 1e6);
        if (mean - 1.0).abs() > LIMIT {
            missed.push(id.as_str());
        }
    }
    println!(
        "\n{}",
        match &missed[..] {
            _ if count < ENOUGH => format!("no verdict: that takes {ENOUGH} pairs"),
            [] => format!("held: all within {:.0} %", LIMIT * 100.0),
            ids => format!("missed: not within {:.0} %: {}", LIMIT * 100.0, ids.join(", ")),
        }
    );
    Ok(missed.is_empty() || count < ENOUGH)
}

/// Nanoseconds of each batch, as a fresh host tells them.
fn suite_side(
    program: &Program,
    entry: &'static Entry,
    work: &Work,
    batches: usize,
    servers: &Addresses,
) -> Result<Vec<f64>, String> {
    let workers = entry.info.workers(&[workers()])[0];
    let mut host = program.host(entry, workers).map_err(|error| error.to_string())?;
    let cell = CellSpec {
        model: entry.info.name.into(),
        workers,
        placement: entry.info.placements[0],
        workload: work.name.into(),
        source: format!("name = \"{}\"\njob = {}", work.name, work.job),
        scale: work.jobs,
        servers: servers.clone(),
    };
    host.prepare(cell, PATIENCE).map_err(|error| error.to_string())?;
    let (times, _) =
        host.batches(batches as u64 + 1, PATIENCE).map_err(|error| error.to_string())?;
    Ok(times.iter().map(|time| time.as_nanos() as f64).collect())
}

/// A program that does the same without the suite.
struct Plain {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Plain {
    /// That of `script`, run by the same program as `entry`; where that compiles, compiled.
    fn of(entry: &Entry, script: &str) -> Result<Self, String> {
        let foreign = entry.info.foreign.ok_or("this model is in Rust")?;
        let named = env::var_os(foreign.variable).filter(|name| !name.is_empty());
        let named = named.unwrap_or_else(|| foreign.programs[0].into());
        let found = foreign.program(entry.info.name).map(|(_, program)| program);
        let (program, path) = (found.unwrap_or_else(|| named.into()), format!("{PLAIN}/{script}"));
        if foreign.language != "Go" {
            let flags: &[&str] = if foreign.language == "Python" { &["-B", "-E"] } else { &[] };
            let arguments = flags.iter().map(|flag| (*flag).to_owned()).chain([path]).collect();
            return Ok(Plain { program, arguments });
        }
        let this = env::current_exe().map_err(|error| error.to_string())?;
        let built = this.with_file_name("plain-go");
        let mut go = Command::new(program);
        go.args([OsStr::new("build"), OsStr::new("-o"), built.as_os_str(), OsStr::new(&path)]);
        go.env("GO111MODULE", "off").env("CGO_ENABLED", "0").env_remove("GOFLAGS");
        said(&mut go)?;
        Ok(Plain { program: built, arguments: Vec::new() })
    }

    /// Nanoseconds of each batch, as a fresh process tells them.
    fn side(&self, work: &Work, batches: usize, servers: &Addresses) -> Result<Vec<f64>, String> {
        let servers: Vec<String> = servers.echo.iter().map(SocketAddr::to_string).collect();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(work.name);
        command.args([work.jobs.to_string(), (batches + 1).to_string(), servers.join(",")]);
        // What is taken from the interpreters is taken from these, too.
        for name in ["NODE_OPTIONS", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"] {
            command.env_remove(name);
        }
        let output = said(&mut command)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let times = text.lines().map(str::parse).collect::<Result<Vec<f64>, _>>();
        times
            .ok()
            .filter(|times| times.len() == batches + 1)
            .ok_or_else(|| format!("the plain script said {text:?}"))
    }
}

fn said(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}: {}", output.status, why.trim()))
}
