//! Pairs of children, bare and suite, and the tables of what they say.

use std::{env, io::ErrorKind, process::Command};

use crate::{
    Asked, CHILD, Cell, ENOUGH, LIMITS, THREADS,
    estimate::{Estimate, median},
    workers,
};
use paceline_core::{job::Jobs, models};

/// One side of a pair: what a child said.
struct Side {
    /// The median of its batches, in nanoseconds.
    batch: f64,
    /// How much its peak memory grew, in KiB.
    memory: f64,
}

/// What runs pairs, and prints what they say.
pub(crate) struct Bench {
    pub(crate) servers: String,
}

impl Bench {
    /// What one side printed; under callgrind what that did, for its count is in its messages.
    fn side(
        &self,
        how: &str,
        (cell, model): (&Cell, &str),
        [workers, jobs, batches]: [usize; 3],
        callgrind: bool,
    ) -> Result<String, String> {
        let this = env::current_exe().map_err(|error| error.to_string())?;
        let mut command =
            Command::new(if callgrind { "valgrind".as_ref() } else { this.as_path() });
        if callgrind {
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&this);
        }
        command.args([CHILD, how, cell.name, model]);
        command.args([workers, jobs, batches].map(|number| number.to_string())).arg(&self.servers);
        if let Some(variable) = models::find(model)?.info.environment {
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
            let said = self.side(how, (cell, model), [workers(), jobs, cell.batches], false)?;
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

    pub(crate) fn time(&self, cells: &[Asked], count: usize) -> Result<bool, String> {
        println!("{count} pairs of fresh processes, {} workers; ratio = suite / bare\n", workers());
        println!("{:34} bare ns/job  ratio  95 % interval       more ns", "cell/model");
        let mut judged: Vec<(Estimate, &str)> = Vec::new();
        for (cell, model, id) in cells.iter().filter(|asked| available(asked)) {
            let jobs = if *model == "threads" { cell.jobs.min(THREADS) } else { cell.jobs };
            let pairs = self.pairs(cell, model, jobs, count)?;
            let of = |what: fn(f64, f64) -> f64| -> Vec<f64> {
                pairs.iter().map(|[bare, suite]| what(bare.batch, suite.batch)).collect()
            };
            let bare = median(&of(|bare, _| bare)) / jobs as f64;
            let more = Estimate::of(&of(|bare, suite| suite - bare)).mean / jobs as f64;
            let ratio = Estimate::of(&of(|bare, suite| (suite / bare).ln()));
            let (mean, interval) = (ratio.mean.exp(), ratio.interval());
            println!("{id:34} {bare:>11.1} {mean:>6.3}  {interval:16} {more:>10.1}");
            if cell.judged {
                judged.push((ratio, id));
            }
        }
        Ok(verdict(&judged, count))
    }

    pub(crate) fn million(&self, cells: &[Asked], count: usize) -> Result<bool, String> {
        println!("{count} pairs of fresh processes, {} workers; medians\n", workers());
        println!("{:28}  bare s suite s  ratio   bare MiB suite MiB  ratio", "cell/model");
        for (cell, model, id) in cells.iter().filter(|asked| available(asked)) {
            let pairs = self.pairs(cell, model, cell.jobs, count)?;
            let of = |what: &dyn Fn(&[Side; 2]) -> f64| {
                median(&pairs.iter().map(what).collect::<Vec<_>>())
            };
            let [bare, suite] = [0, 1].map(|side| of(&|pair| pair[side].batch / 1e9));
            let ratio = of(&|[bare, suite]| suite.batch / bare.batch);
            print!("{id:28} {bare:>7.3} {suite:>7.3} {ratio:>6.3}   ");
            let [bare, suite] = [0, 1].map(|side| of(&|pair| pair[side].memory / 1024.0));
            let ratio = of(&|[bare, suite]| suite.memory / bare.memory);
            println!("{bare:>8.1} {suite:>9.1} {ratio:>6.3}");
        }
        Ok(true)
    }

    /// Instructions per job: the slope between 2 and 6 batches, so that neither start-up nor checking counts.
    pub(crate) fn callgrind(&self, cells: &[Asked]) -> Result<bool, String> {
        const JOBS: usize = 2_000;
        println!("instructions per job, 1 worker\n");
        println!("{:34}      bare     suite    more", "cell/model");
        for (cell, model, id) in cells {
            let count = |how, batches| {
                let said = self.side(how, (cell, model), [1, JOBS, batches], true)?;
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
    let works = models::find(model).and_then(|entry| (entry.info.available)());
    works.map_err(|reason| println!("{id:34} skipped: {reason}")).is_ok()
}

impl Side {
    fn read(output: &str) -> Option<Self> {
        let numbers =
            |line: &str| line.split(' ').map(|n| n.parse().ok()).collect::<Option<Vec<f64>>>();
        let mut lines = output.lines();
        let (batches, memory) = (numbers(lines.next()?)?, numbers(lines.next()?)?);
        // The first is the warm-up, unless it is the only one.
        let timed = if batches.len() > 1 { &batches[1..] } else { &batches };
        Some(Side { batch: median(timed), memory: memory.last()? - memory.first()? })
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
