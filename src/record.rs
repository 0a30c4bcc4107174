//! The record of a run: `results/<run-id>/run.json`, and a line of `cells.jsonl` for every cell as soon as it ends.

mod criterion;

pub use criterion::{Criterion, criterion_home, read_criterion};

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    machine::{Build, Fingerprint},
    measure::Attest,
    perform::Placement,
};

/// The version of the record's shape. It changes when a reader of the older one would misread the newer.
pub const SCHEMA: u32 = 1;

/// What holds for a whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The name of its folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// `criterion` or `rounds`.
    pub instrument: String,
    /// The command line.
    pub command: Vec<String>,
    /// Seconds that it was given.
    pub budget_seconds: f64,
    /// What shuffled it; `None` where the order is fixed.
    pub seed: Option<u64>,
    /// Every other setting.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// How the program was built.
    pub build: Build,
    /// The models, as they are set up here.
    pub models: Vec<ModelInfo>,
    /// The definitions, word for word.
    pub workloads: Vec<Definition>,
}

/// A model, as `paceline models` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// What it is of.
    pub family: String,
    /// The version of its crate, or of Rust.
    pub version: String,
    /// `idiomatic`, `tuned` or `historical`.
    pub tag: String,
    /// Whether it can run here.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What it is, and every setting that is not its crate's default.
    pub note: String,
}

/// A workload's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The text of its file.
    pub source: String,
}

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Measured, every receipt right.
    Ok,
    /// Measured, and not what its label says.
    Invalid,
    /// A limit or the model itself forbids it: said beforehand.
    Refused,
    /// It would not have fitted into the budget.
    Skipped,
    /// It could not run to its end.
    Failed,
}

/// A figure with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower end of its interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Estimate {
    /// `jobs` a second, from nanoseconds a round.
    #[must_use]
    pub fn per_second(self, jobs: usize) -> Self {
        let rate = |ns: f64| jobs as f64 * 1e9 / ns;
        Estimate { value: rate(self.value), lower: rate(self.upper), upper: rate(self.lower) }
    }
}

/// A cell, ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The workload's name.
    pub workload: String,
    /// The model's name.
    pub model: String,
    /// How many jobs were offered at once.
    pub scale: usize,
    /// The model's workers; `None` for a thread per job.
    pub workers: Option<usize>,
    /// Where its batches were offered from.
    pub placement: Placement,
    /// How it ended.
    pub state: State,
    /// Why, unless it is `ok`.
    pub reason: Option<String>,
    /// Jobs a second.
    pub jobs_per_second: Option<Estimate>,
    /// Nanoseconds a round.
    pub round_ns: Option<Estimate>,
    /// What the intervals are.
    pub interval: Option<String>,
    /// How long its jobs wait at least, by their definition, in nanoseconds.
    pub floor_ns: u64,
    /// No model can do more jobs a second: by its waits, its lanes and this machine's cores.
    pub bound_jobs_per_second: Option<f64>,
    /// Every timed round, or the median of each process's, in nanoseconds.
    pub rounds_ns: Vec<u64>,
    /// What criterion found.
    pub criterion: Option<Criterion>,
    /// What the cell was seen to be, in its warm-up round.
    pub attest: Option<Attest>,
    /// CPU time of the model's process for each job, all threads, checking of receipts included.
    pub cpu_ns_per_job: Option<f64>,
    /// CPU time of the echo server for each job.
    pub server_cpu_ns_per_job: Option<f64>,
}

/// Writes the record of a run, cell by cell.
pub struct Writer {
    folder: PathBuf,
    cells: File,
}

impl Writer {
    /// Makes the folder of `run` under `results`, and writes what is known.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written.
    ///
    /// # Panics
    ///
    /// Never: what is written is plain data.
    pub fn create(results: &Path, run: &Run) -> Result<Self, String> {
        let folder = results.join(&run.id);
        let fault = |error: io::Error| {
            format!(
                "cannot write the record to {}: {error}; choose another place",
                folder.display()
            )
        };
        fs::create_dir_all(&folder).map_err(fault)?;
        let mut text = serde_json::to_string_pretty(run).expect("a run is plain data");
        text.push('\n');
        write_whole(&folder.join("run.json"), &text).map_err(fault)?;
        let cells = OpenOptions::new().create(true).append(true).open(folder.join("cells.jsonl"));
        Ok(Writer { cells: cells.map_err(fault)?, folder })
    }

    /// Where the record is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends a cell, and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written.
    ///
    /// # Panics
    ///
    /// Never: what is written is plain data.
    pub fn write(&mut self, cell: &Cell) -> Result<(), String> {
        let mut line = serde_json::to_string(cell).expect("a cell is plain data");
        line.push('\n');
        // One write: a line is either there or torn, and a torn last line is known for what it is.
        let written = self.cells.write_all(line.as_bytes()).and_then(|()| self.cells.sync_data());
        written.map_err(|error| {
            format!(
                "cannot write to {}: {error}; what is there is whole",
                self.folder.join("cells.jsonl").display()
            )
        })
    }
}

/// Writes a whole file aside and renames it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(aside, path)
}

/// Reads a record. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where it is not a record, or is one of a newer paceline.
pub fn read(folder: &Path) -> Result<(Run, Vec<Cell>), String> {
    let place = folder.display();
    let text = |name| {
        fs::read_to_string(folder.join(name)).map_err(|error| format!("{place}/{name}: {error}"))
    };
    let value: serde_json::Value = serde_json::from_str(&text("run.json")?)
        .map_err(|error| format!("{place}/run.json: {error}"))?;
    let schema = value.get("schema").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if schema > u64::from(SCHEMA) {
        return Err(format!(
            "{place} has schema {schema}, and this paceline reads up to {SCHEMA}: use a newer paceline"
        ));
    }
    let run =
        serde_json::from_value(value).map_err(|error| format!("{place}/run.json: {error}"))?;
    let cells = text("cells.jsonl")?;
    let mut read = Vec::new();
    for (index, line) in cells.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(cell) => read.push(cell),
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => return Err(format!("{place}/cells.jsonl:{}: {error}", index + 1)),
        }
    }
    Ok((run, read))
}
