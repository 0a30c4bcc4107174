//! What the suite itself costs: the same work written by hand and run through the suite, in interleaved fresh processes.
//!
//! ```text
//! cargo bench --bench cost -- [--pairs N] [FILTER]...             time per job, and the verdict
//! cargo bench --bench cost -- million [--pairs N] [FILTER]...     a million sleepers: time and memory
//! cargo bench --bench cost -- callgrind [FILTER]...               instructions per job
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

use std::{
    env,
    io::{self, ErrorKind},
    net::SocketAddr,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use bare::Plan;
use paceline::{
    job::{Jobs, Receipt, Workload},
    measure::{Program, nanoseconds, now, spawned},
    model::{Settings, set_echo_servers},
    models,
};

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

/// The same work by hand and as data, how many jobs of it, and in how many rounds.
struct Cell {
    name: &'static str,
    work: Work,
    job: &'static str,
    jobs: usize,
    rounds: usize,
    /// Whether a job is 10 µs or more: the limits are for those.
    judged: bool,
}

const EXCHANGE: &str = r#"[{ connect = "echo" }, { exchange = { bytes = 100, times = 16 } }]"#;

#[rustfmt::skip]
const CELLS: [Cell; 7] = [
    Cell { name: "sleep", work: Work::Sleep(Duration::from_millis(1)), job: r#"[{ sleep = "1ms" }]"#, jobs: 10_000, rounds: 40, judged: true },
    Cell { name: "compute-50", work: Work::Compute(50), job: "[{ compute = 50 }]", jobs: 100_000, rounds: 12, judged: false },
    Cell { name: "compute-2500", work: Work::Compute(2_500), job: "[{ compute = 2500 }]", jobs: 10_000, rounds: 8, judged: true },
    Cell { name: "empty", work: Work::Empty, job: "[]", jobs: 100_000, rounds: 12, judged: false },
    Cell { name: "exchange-1", work: Work::Exchange, job: EXCHANGE, jobs: 1, rounds: 1_000, judged: true },
    Cell { name: "exchange-64", work: Work::Exchange, job: EXCHANGE, jobs: 64, rounds: 40, judged: true },
    MILLION,
];
/// A mode of its own; its only round is the first.
#[rustfmt::skip]
const MILLION: Cell =
    Cell { name: "million", work: Work::Sleep(Duration::from_secs(1)), job: r#"[{ sleep = "1s" }]"#, jobs: 1_000_000, rounds: 0, judged: false };

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

/// Runs one side of a pair and prints nanoseconds per round, the warm-up first, then peak memory before and after.
fn child(arguments: &[String]) -> Result<(), String> {
    let [how, cell, model, workers, jobs, rounds, servers] = arguments else {
        return Err(format!("a child is told 7 things, not {}", arguments.len()));
    };
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let cell = CELLS.iter().find(|known| known.name == cell).ok_or("no such cell")?;
    let (workers, jobs, rounds) = (number(workers)?, number(jobs)?, number(rounds)? + 1);
    let plan = Plan { work: cell.work, workers, jobs, rounds };
    let servers: Vec<SocketAddr> = servers.split(',').filter_map(|at| at.parse().ok()).collect();
    let _ = bare::SERVERS.set(servers.clone());
    set_echo_servers(servers);
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
    let (definition, placement) = (Jobs::load(&workload), entry.about.placements[0]);
    let settings = Settings { workers: plan.workers };
    let arm = entry.start(&settings).map_err(|error| error.to_string())?;
    let mut times = Vec::with_capacity(plan.rounds);
    for round in 0..plan.rounds {
        let batch = arm.batch(definition, plan.jobs, placement, now);
        times.push(batch.elapsed);
        // Of the first round only: the other side has nothing like it, and callgrind counts what is outside the clock.
        let right = |(index, receipt): (usize, &io::Result<Receipt>)| {
            receipt.as_ref().is_ok_and(|receipt| *receipt == definition.expected(index))
        };
        if round == 0 && !batch.receipts.iter().enumerate().all(right) {
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
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut request = Request { mode: Mode::Time, pairs: None, filters: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "million" => request.mode = Mode::Million,
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
        let unknown = |filter: &&String| !all.cells().iter().any(|(_, _, id)| id.contains(*filter));
        if let Some(filter) = request.filters.iter().find(unknown) {
            let ids: Vec<_> = all.cells().into_iter().map(|(_, _, id)| id).collect();
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
        let servers: Vec<String> = echo.addresses().iter().map(SocketAddr::to_string).collect();
        let bench = Bench { servers: servers.join(",") };
        match self.mode {
            Mode::Time => bench.time(&cells, self.pairs.unwrap_or(ENOUGH)),
            Mode::Million => bench.million(&cells, self.pairs.unwrap_or(3)),
            Mode::Callgrind => bench.callgrind(&cells),
        }
    }
}

/// One side of a pair: what a child said.
struct Side {
    /// The median of its rounds, in nanoseconds.
    round: f64,
    /// How much its peak memory grew, in KiB.
    memory: f64,
}

/// A cell, a model, and what the two are called.
type Asked = (&'static Cell, &'static str, String);

struct Bench {
    servers: String,
}

impl Bench {
    /// What one side printed; under callgrind what that did, for its count is in its messages.
    fn side(
        &self,
        how: &str,
        (cell, model): (&Cell, &str),
        [workers, jobs, rounds]: [usize; 3],
        callgrind: bool,
    ) -> Result<String, String> {
        let this = env::current_exe().map_err(|error| error.to_string())?;
        let mut command =
            Command::new(if callgrind { "valgrind".as_ref() } else { this.as_path() });
        if callgrind {
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&this);
        }
        command.args([CHILD, how, cell.name, model]);
        command.args([workers, jobs, rounds].map(|number| number.to_string())).arg(&self.servers);
        if let Some(variable) = models::find(model)?.about.environment {
            command.env(variable, workers.to_string());
        }
        let output = command.output().map_err(|error| match error.kind() {
            ErrorKind::NotFound if callgrind => {
                "valgrind is missing: apt-get install valgrind".into()
            }
            _ => format!("a child did not start: {error}"),
        })?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let (cell, status) = (cell.name, output.status);
            return Err(format!("{how} {cell}/{model} ended with {status}: {}", said.trim()));
        }
        Ok(if callgrind { said.into() } else { String::from_utf8_lossy(&output.stdout).into() })
    }

    /// Pairs of fresh processes, bare and suite, in an order that a fixed seed draws.
    fn pairs(
        &self,
        cell: &Cell,
        model: &str,
        jobs: usize,
        pairs: usize,
    ) -> Result<Vec<[Side; 2]>, String> {
        let run = |how| {
            let said = self.side(how, (cell, model), [workers(), jobs, cell.rounds], false)?;
            Side::read(&said).ok_or_else(|| format!("{how} {}/{model} said {said:?}", cell.name))
        };
        let pair = |index: usize| {
            if Jobs::seed(index) & 1 == 0 {
                Ok([run("bare")?, run("suite")?])
            } else {
                let suite = run("suite")?;
                Ok([run("bare")?, suite])
            }
        };
        (0..pairs).map(pair).collect()
    }

    fn time(&self, cells: &[Asked], count: usize) -> Result<bool, String> {
        println!("{count} pairs of fresh processes, {} workers; ratio = suite / bare\n", workers());
        println!("{:34} bare ns/job  ratio  95 % interval       more ns", "cell/model");
        let mut judged: Vec<(Estimate, &str)> = Vec::new();
        for (cell, model, id) in cells.iter().filter(|asked| available(asked)) {
            let jobs = if *model == "threads" { cell.jobs.min(THREADS) } else { cell.jobs };
            let pairs = self.pairs(cell, model, jobs, count)?;
            let of = |what: fn(f64, f64) -> f64| -> Vec<f64> {
                pairs.iter().map(|[bare, suite]| what(bare.round, suite.round)).collect()
            };
            let bare = median(of(|bare, _| bare)) / jobs as f64;
            let more = Estimate::of(of(|bare, suite| suite - bare)).mean / jobs as f64;
            let ratio = Estimate::of(of(|bare, suite| (suite / bare).ln()));
            let (mean, interval) = (ratio.mean.exp(), ratio.interval());
            println!("{id:34} {bare:>11.1} {mean:>6.3}  {interval:16} {more:>10.1}");
            if cell.judged {
                judged.push((ratio, id));
            }
        }
        Ok(verdict(&judged, count))
    }

    fn million(&self, cells: &[Asked], count: usize) -> Result<bool, String> {
        println!("{count} pairs of fresh processes, {} workers; medians\n", workers());
        println!("{:28}  bare s suite s  ratio   bare MiB suite MiB  ratio", "cell/model");
        for (cell, model, id) in cells.iter().filter(|asked| available(asked)) {
            let pairs = self.pairs(cell, model, cell.jobs, count)?;
            let of = |what: &dyn Fn(&[Side; 2]) -> f64| median(pairs.iter().map(what).collect());
            let [bare, suite] = [0, 1].map(|side| of(&|pair| pair[side].round / 1e9));
            let ratio = of(&|[bare, suite]| suite.round / bare.round);
            print!("{id:28} {bare:>7.3} {suite:>7.3} {ratio:>6.3}   ");
            let [bare, suite] = [0, 1].map(|side| of(&|pair| pair[side].memory / 1024.0));
            let ratio = of(&|[bare, suite]| suite.memory / bare.memory);
            println!("{bare:>8.1} {suite:>9.1} {ratio:>6.3}");
        }
        Ok(true)
    }

    /// Instructions per job: the slope between 2 and 6 rounds, so that neither start-up nor checking counts.
    fn callgrind(&self, cells: &[Asked]) -> Result<bool, String> {
        const JOBS: usize = 2_000;
        println!("instructions per job, 1 worker\n");
        println!("{:34}      bare     suite    more", "cell/model");
        for (cell, model, id) in cells {
            let count = |how, rounds| {
                let said = self.side(how, (cell, model), [1, JOBS, rounds], true)?;
                let count = said.lines().find_map(|line| line.split_once("Collected : "));
                let count = count.and_then(|(_, count)| count.trim().parse::<f64>().ok());
                count.ok_or_else(|| format!("callgrind gave no count: {said}"))
            };
            let slope =
                |how| Ok::<f64, String>((count(how, 5)? - count(how, 1)?) / (4 * JOBS) as f64);
            let (bare, suite) = (slope("bare")?, slope("suite")?);
            println!("{id:34} {bare:>9.1} {suite:>9.1} {:>7.1}", suite - bare);
        }
        Ok(true)
    }
}

/// Whether the model can run here; says why it is skipped where it cannot.
fn available((_, model, id): &Asked) -> bool {
    let works = models::find(model).and_then(|entry| (entry.about.available)());
    works.map_err(|reason| println!("{id:34} skipped: {reason}")).is_ok()
}

impl Side {
    fn read(output: &str) -> Option<Self> {
        let numbers =
            |line: &str| line.split(' ').map(|n| n.parse().ok()).collect::<Option<Vec<f64>>>();
        let mut lines = output.lines();
        let (rounds, memory) = (numbers(lines.next()?)?, numbers(lines.next()?)?);
        // The first is the warm-up, unless it is the only one.
        let timed = if rounds.len() > 1 { rounds[1..].to_vec() } else { rounds };
        Some(Side { round: median(timed), memory: memory.last()? - memory.first()? })
    }
}

/// Says whether the limits hold, as far as there is anything to judge.
fn verdict(judged: &[(Estimate, &str)], pairs: usize) -> bool {
    let Some((worst, id)) = judged.iter().max_by(|a, b| a.0.mean.total_cmp(&b.0.mean)) else {
        return true;
    };
    let mean = judged.iter().map(|(ratio, _)| ratio.mean).sum::<f64>() / judged.len() as f64;
    let (mean, most, interval) = (mean.exp(), worst.mean.exp(), worst.interval());
    println!("\njobs of 10 µs and more, {} cells:", judged.len());
    println!("geometric mean {mean:.4}, to be at most {}", LIMITS.0);
    println!("worst          {most:.4} {interval} {id}, to be at most {}", LIMITS.1);
    let held = mean <= LIMITS.0 && most <= LIMITS.1;
    println!(
        "{}",
        match held {
            _ if pairs < ENOUGH => "no verdict: that takes 10 pairs",
            true => "held",
            false => "missed",
        }
    );
    held || pairs < ENOUGH
}

/// A 20 %-trimmed mean and the half-width of its 95 % interval (Yuen 1974).
struct Estimate {
    mean: f64,
    half: f64,
}

impl Estimate {
    fn of(mut values: Vec<f64>) -> Self {
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        values.sort_by(f64::total_cmp);
        let cut = values.len() / 5;
        let kept = values[cut..values.len() - cut].to_vec();
        let (least, most, h) = (kept[0], kept[kept.len() - 1], kept.len() as f64);
        for value in &mut values {
            *value = value.clamp(least, most);
        }
        let centre = average(&values);
        let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
        let half = student(kept.len() - 1) * (squares / (h * (h - 1.0))).sqrt();
        Estimate { mean: average(&kept), half }
    }

    /// The interval of a mean of logarithms, as ratios.
    fn interval(&self) -> String {
        match self.half {
            half if half.is_nan() => "[unknown]".into(),
            half => format!("[{:.3}, {:.3}]", (self.mean - half).exp(), (self.mean + half).exp()),
        }
    }
}

/// Student's t for 95 %, two-sided.
fn student(freedom: usize) -> f64 {
    #[rustfmt::skip]
    const TABLE: [f64; 31] = [
        f64::INFINITY, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    TABLE[freedom.min(30)]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (below, above) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[below], values[above])
}

/// As many workers as there are cores.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
