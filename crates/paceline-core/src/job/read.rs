//! Workload files: parses TOML into a checked [`Workload`], or returns an error that points at the mistake.

mod calibration;
mod steps;

use std::{ops::Range, path::Path, time::Duration};

use toml::de::DeTable;

use super::{
    Demand, Step, Steps, bounds, chosen_below,
    text::{Text, Value, did_you_mean},
};
use crate::file::read_text;

pub use super::text::ReadError;
use calibration::Calibration;
use steps::Position;

/// A named job, the scales to run it at, and a sentence that says what it shows.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The name.
    pub name: String,
    /// What the workload shows, in one sentence.
    pub about: String,
    /// The numbers of concurrent jobs, ascending.
    pub scales: Vec<usize>,
    /// The numbers of workers.
    pub workers: Workers,
    /// The job.
    pub job: Steps,
    /// A job that replaces one job in each `nth`: see [`is_chosen`](super::is_chosen).
    pub every: Option<(usize, Steps)>,
    /// The text of the file, with durations of `compute` converted to rounds. Other processes receive this text.
    pub source: String,
    /// The ranges of `source` that hold converted rounds.
    calibrated: Vec<Range<usize>>,
}

/// The numbers of workers that a workload runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One worker per core.
    Cores,
    /// 1, 2, 4, … up to the number of cores.
    UpToCores,
    /// These numbers.
    List(Vec<usize>),
}

impl Workers {
    /// Returns the numbers, ascending, for a machine with `cores` cores.
    pub fn on(&self, cores: usize) -> Vec<usize> {
        match self {
            Workers::Cores => vec![cores],
            Workers::UpToCores => {
                let doubled = std::iter::successors(Some(1), |n| Some(n * 2));
                doubled.take_while(|n| *n < cores).chain([cores]).collect()
            }
            Workers::List(list) => list.clone(),
        }
    }
}

const KEYS: [&str; 6] = ["name", "about", "scale", "workers", "job", "every"];

impl Workload {
    /// Reads the file at `path` and parses it as [`calibrated`](Self::calibrated) does.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file and, if possible, the line and column.
    pub fn read(path: &Path, compute_ns: fn() -> f64) -> Result<Self, ReadError> {
        let file = path.display().to_string();
        let fault = |message| ReadError { file: file.clone(), place: None, message };
        let text = read_text(path, bounds::FILE).map_err(fault)?;
        Self::calibrated(&file, &text, compute_ns)
    }

    /// Parses `text`, which errors call `file`. A `compute` step takes rounds, not a duration.
    pub fn parse(file: &str, text: &str) -> Result<Self, ReadError> {
        Reader(Text { file, text }, Calibration::by(None)).workload()
    }

    /// Parses `text`. If a step gives a duration for `compute`, it is converted to rounds by `compute_ns`, which
    /// returns the nanoseconds of one round. The rounds are also stored in `source`, so every process does the same
    /// work.
    pub fn calibrated(file: &str, text: &str, compute_ns: fn() -> f64) -> Result<Self, ReadError> {
        Reader(Text { file, text }, Calibration::by(Some(compute_ns))).workload()
    }

    /// Returns the demand of a job: for each field, the maximum of the usual and the other job.
    pub fn demand(&self) -> Demand {
        let usual = Demand::of(&self.job);
        let Some((_, other)) = &self.every else { return usual };
        usual.max(Demand::of(other))
    }

    /// Returns the shortest time that a batch of `jobs` jobs can take on any model: the critical-path wait of its
    /// longest job.
    pub fn critical_path_wait(&self, jobs: usize) -> Duration {
        let usual = Demand::of(&self.job).floor;
        match &self.every {
            None => usual,
            // Job 0 runs the other steps and job 1 the usual ones: `nth` is at least 2.
            Some((_, other)) if jobs == 1 => Demand::of(other).floor,
            Some((_, other)) => usual.max(Demand::of(other).floor),
        }
    }

    /// Returns the sum of the critical-path waits of `jobs` jobs.
    pub fn total_wait(&self, jobs: usize) -> Duration {
        self.over_all(jobs, |demand| demand.floor)
    }

    /// Returns the sum of `wait` over `jobs` jobs, usual and other ones in their proportion.
    pub fn over_all(&self, jobs: usize, wait: impl Fn(Demand) -> Duration) -> Duration {
        let times = |steps: &Steps, jobs: usize| {
            wait(Demand::of(steps)).saturating_mul(u32::try_from(jobs).unwrap_or(u32::MAX))
        };
        match &self.every {
            None => times(&self.job, jobs),
            Some((nth, other)) => {
                let others = chosen_below(jobs, *nth);
                times(&self.job, jobs - others).saturating_add(times(other, others))
            }
        }
    }

    /// Returns how many connections all pools keep open in total.
    pub fn pooled(&self) -> u64 {
        fn within(steps: &[Step]) -> u64 {
            let of = |step: &Step| match step {
                Step::Pool(pool) => pool.size as u64,
                step => step.inner().into_iter().map(|steps| within(steps)).sum(),
            };
            steps.iter().map(of).sum()
        }
        within(&self.job) + self.every.as_ref().map_or(0, |(_, steps)| within(steps))
    }

    /// Returns whether a step or variant of this name occurs, at any depth.
    pub fn has(&self, name: &str) -> bool {
        self.step_names().contains(name)
    }
}

struct Reader<'a>(Text<'a>, Calibration);

impl<'a> Reader<'a> {
    fn workload(&self) -> Result<Workload, ReadError> {
        let root = self.0.parse()?;
        let top = root.span().start..root.span().start;
        let table = root.get_ref();
        self.only(table, &KEYS, "a workload")?;
        let name = self.need(table, "name", top.clone(), "a workload")?;
        let job = self.need(table, "job", top, "a workload")?;
        let list = |key| table.get(key).map(|value| self.numbers(value, key)).transpose();
        let workers = match table.get("workers") {
            Some(value) => self.workers(value)?,
            None => Workers::Cores,
        };
        let steps = self.job(job)?;
        let every = table.get("every").map(|of| self.every(of, |job| self.job(job))).transpose()?;
        let other = every.as_ref().map(|(_, steps)| &**steps);
        self.room(job, &steps, other)?;
        self.parking(job, &steps, other)?;
        let (source, calibrated) = self.1.source(self.0.text);
        Ok(Workload {
            name: self.name(name)?,
            about: match table.get("about") {
                Some(about) => self.0.string(about, "about is a sentence")?.to_owned(),
                None => String::new(),
            },
            scales: list("scale")?.unwrap_or_else(|| vec![1, 10, 100]),
            workers,
            job: steps,
            every,
            source,
            calibrated,
        })
    }

    /// Reads a name, which becomes part of paths and benchmark identifiers.
    fn name(&self, value: &Value<'a>) -> Result<String, ReadError> {
        let name = self.0.string(value, "name is a word such as \"service\"")?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_+.".contains(c);
        let most = bounds::NAME;
        if name.is_empty() || name.len() > most || !name.chars().all(plain) || name.starts_with('.')
        {
            let rule = "of the characters a-z 0-9 - _ + . and does not begin with a dot";
            return self.0.wrong(value, format!("a name has 1 to {most} {rule}, unlike {name:?}"));
        }
        Ok(name.to_owned())
    }

    fn numbers(&self, value: &Value<'a>, key: &str) -> Result<Vec<usize>, ReadError> {
        let bound = if key == "scale" { bounds::SCALE } else { bounds::WORKERS };
        let list = self.0.array(value, &format!("{key} is a list such as [1, 10, 100]"))?;
        let mut numbers = Vec::new();
        for item in list {
            numbers.push(self.0.number(item, bound)? as usize);
        }
        let most = bounds::NUMBERS;
        if numbers.is_empty() || numbers.len() > most || !numbers.is_sorted_by(|a, b| a < b) {
            return self
                .0
                .wrong(value, format!("{key} lists 1 to {most} numbers, each more than the last"));
        }
        Ok(numbers)
    }

    fn workers(&self, value: &Value<'a>) -> Result<Workers, ReadError> {
        match self.0.string(value, "") {
            Ok("cores") => Ok(Workers::Cores),
            Ok("1..cores") => Ok(Workers::UpToCores),
            Ok(other) => self.0.wrong(
                value,
                format!(
                    "workers is \"cores\", \"1..cores\" or a list such as [1, 2], not {other:?}"
                ),
            ),
            Err(_) => self.numbers(value, "workers").map(Workers::List),
        }
    }

    fn every(
        &self,
        value: &Value<'a>,
        job: impl Fn(&Value<'a>) -> Result<Steps, ReadError>,
    ) -> Result<(usize, Steps), ReadError> {
        let table = self.0.table(value, "every is a table { nth = 10, job = [..] }")?;
        self.only(table, &["nth", "job"], "every")?;
        let nth = self.0.number(self.need(table, "nth", value.span(), "every")?, bounds::NTH)?;
        Ok((nth as usize, job(self.need(table, "job", value.span(), "every")?)?))
    }

    /// Reads a whole job and checks its demand against the bounds.
    fn job(&self, value: &Value<'a>) -> Result<Steps, ReadError> {
        let steps = self.steps(value, Position::JOB)?;
        Demand::most_of(&steps).check().or_else(|message| self.0.wrong(value, message))?;
        Ok(steps)
    }

    fn need<'v>(
        &self,
        table: &'v DeTable<'a>,
        key: &str,
        span: Range<usize>,
        of: &str,
    ) -> Result<&'v Value<'a>, ReadError> {
        table.get(key).ok_or_else(|| self.0.error(span, format!("{of} needs the key `{key}`")))
    }

    fn only(&self, table: &DeTable<'a>, known: &[&str], of: &str) -> Result<(), ReadError> {
        match table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            None => Ok(()),
            Some(key) => {
                let hint = did_you_mean(key.get_ref(), known.iter().copied());
                let (unknown, known) = (key.get_ref(), known.join(", "));
                let message =
                    format!("unknown key `{unknown}`: {hint}the keys of {of} are {known}");
                Err(self.0.error(key.span(), message))
            }
        }
    }
}
