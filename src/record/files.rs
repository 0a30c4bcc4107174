//! The files of a record: written line by line, whole whenever a run is killed, and taken up again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{CLAIMS_SCHEMA, Cell, Claims, NODES_SCHEMA, Nodes, Run, SCHEMA, State, Trial};

/// What holds for a whole run.
pub const RUN: &str = "run.json";
/// The cells that ended.
pub const CELLS: &str = "cells.jsonl";
/// The trials.
pub const ROUNDS: &str = "trials.jsonl";
/// The nodes, where a cluster measured it.
pub const NODES: &str = "nodes.json";
const CLAIMS: &str = "claims.json";
pub(super) const GATE: &str = "gate.json";
pub(super) const GATE_ROUNDS: &str = "gate_trials.jsonl";

/// The files that tell what a folder records: a run, a gate, claims.
pub const KINDS: [&str; 3] = [RUN, GATE, CLAIMS];

/// All files that records are made of.
pub const PARTS: [&str; 7] = [RUN, CELLS, ROUNDS, NODES, GATE, GATE_ROUNDS, CLAIMS];

/// Writes the record of a run, line by line.
pub struct Writer {
    folder: PathBuf,
    cells: File,
    trials: File,
    /// How it is gone on with.
    again: &'static str,
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
        let mut text = serde_json::to_string_pretty(run).expect("a run is plain data");
        text.push('\n');
        fs::create_dir_all(&folder)
            .and_then(|()| write_whole(&folder.join(RUN), text.as_bytes()))
            .map_err(|error| unwritable(&folder, &error))?;
        Self::open(folder, "--resume")
    }

    /// Writes the cells and trials of a part of a cluster's run to `folder`, which `again` is the command to go on from.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written.
    pub fn part(folder: &Path, again: &'static str) -> Result<Self, String> {
        Self::open(folder.to_owned(), again)
    }

    /// Takes up the record in `folder`. A last line that was torn is cut off.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written, or another process writes to it.
    pub fn resume(folder: &Path) -> Result<Self, String> {
        let writer = Self::open(folder.to_owned(), "--resume")?;
        for name in [CELLS, ROUNDS] {
            cut_torn_line(&folder.join(name)).map_err(|error| unwritable(folder, &error))?;
        }
        Ok(writer)
    }

    fn open(folder: PathBuf, again: &'static str) -> Result<Self, String> {
        let open = |name| {
            let file = OpenOptions::new().create(true).append(true).open(folder.join(name));
            file.map_err(|error| unwritable(&folder, &error))
        };
        let (cells, trials) = (open(CELLS)?, open(ROUNDS)?);
        // Where the file system has no locks, nothing is lost but this check.
        if matches!(cells.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            let folder = folder.display();
            return Err(format!("another paceline writes to {folder}: wait for it, or stop it"));
        }
        Ok(Writer { folder, cells, trials, again })
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
    pub fn write(&mut self, cell: &Cell) -> Result<(), String> {
        append(&mut self.cells, &self.folder.join(CELLS), self.again, cell)
    }

    /// Appends a trial, and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written.
    pub fn write_trial(&mut self, trial: &Trial) -> Result<(), String> {
        append(&mut self.trials, &self.folder.join(ROUNDS), self.again, trial)
    }
}

/// Writes what `paceline claims` has found so far, in `folder`: all of it in one file, `claims.json`.
///
/// # Errors
///
/// Returns a sentence where it cannot be written.
pub fn write_claims(folder: &Path, claims: &Claims) -> Result<(), String> {
    write_json(&folder.join(CLAIMS), claims)
}

/// One write: a line is either there or torn, and a torn last line is known for what it is.
pub(crate) fn append(
    file: &mut File,
    path: &Path,
    again: &str,
    value: &impl Serialize,
) -> Result<(), String> {
    let mut line = serde_json::to_string(value).expect("it is plain data");
    line.push('\n');
    file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(|error| {
        format!("cannot write to {}: {error}; make room and go on with {again}", path.display())
    })
}

pub(super) fn unwritable(folder: &Path, error: &io::Error) -> String {
    format!("cannot write the record to {}: {error}; choose another place", folder.display())
}

/// Writes a whole file aside and renames it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&aside, path)).inspect_err(|_| {
        // What has no room is not left lying there half.
        let _ = fs::remove_file(&aside);
    })
}

/// Writes `bytes` to a file, whole or not at all; what was there before stays where they cannot be written.
///
/// # Errors
///
/// Returns a sentence where they cannot be written.
pub fn write_text(path: &Path, bytes: &[u8]) -> Result<(), String> {
    // What is no file, such as /dev/stdout, cannot be renamed to.
    let plain = fs::metadata(path).map_or(true, |there| there.is_file());
    let written = if plain { write_whole(path, bytes) } else { fs::write(path, bytes) };
    written.map_err(|error| {
        format!("cannot write {}: {error}; choose another place with -o", path.display())
    })
}

/// Writes `value` to a file, whole or not at all.
///
/// # Errors
///
/// Returns a sentence where it cannot be written.
///
/// # Panics
///
/// Never: what is written is plain data.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(value).expect("it is plain data");
    text.push('\n');
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| write_whole(path, text.as_bytes()));
    written.map_err(|error| unwritable(folder, &error))
}

fn cut_torn_line(path: &Path) -> io::Result<()> {
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

/// A record, read.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it is.
    pub folder: PathBuf,
    /// What holds for the whole run.
    pub run: Run,
    /// The cells that have ended.
    pub cells: Vec<Cell>,
    /// The trials, of cells that have not ended too.
    pub trials: Vec<Trial>,
    /// Where it ran, where a cluster measured it.
    pub nodes: Option<Nodes>,
}

impl Record {
    /// The workloads that have cells, in the order in which they were asked for: cells stand in that in which they ended.
    #[must_use]
    pub fn workloads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let defined = self.run.workloads.iter().map(|defined| defined.name.as_str());
        let of_cells = || self.cells.iter().map(|cell| cell.workload.as_str());
        for name in defined.filter(|name| of_cells().any(|of| of == *name)).chain(of_cells()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Checks that its trials have times, and histograms that can be merged: who goes on with a run needs both.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the first line that is damaged.
    pub fn check_trials(&self) -> Result<(), String> {
        let place = self.folder.join(ROUNDS);
        for (index, trial) in self.trials.iter().enumerate() {
            let timed = !trial.times_ns.is_empty();
            let timed = timed.then_some(()).ok_or_else(|| "its times_ns is empty".into());
            timed
                .and_then(|()| trial.recorded.check())
                .map_err(|why| not_ours(&place, index, &why))?;
        }
        Ok(())
    }

    /// What is missing from a run that was cut off, and how to go on with it, if so.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let planned = self.run.planned.filter(|planned| self.cells.len() < *planned)?;
        let place = self.folder.parent().unwrap_or(&self.folder).display();
        let again = match self.nodes {
            Some(_) => "paceline cluster submit and collect".into(),
            None => format!("paceline run --resume --out {place}"),
        };
        Some(format!(
            "{} is not whole: {} of its {planned} cells have ended; go on with {again}",
            self.run.id,
            self.cells.len()
        ))
    }
}

/// Reads a record. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where it is not a record, or is one of a newer paceline.
pub fn read(folder: &Path) -> Result<Record, String> {
    let mut record = read_cells(folder)?;
    // Runs of criterion have none.
    if folder.join(ROUNDS).exists() {
        record.trials = lines(&folder.join(ROUNDS))?;
    }
    Ok(record)
}

/// The same without its trials, which are most of it: what shows cells needs no more.
///
/// # Errors
///
/// Returns a sentence where it is not a record, or is one of a newer paceline.
pub fn read_cells(folder: &Path) -> Result<Record, String> {
    let run: Run = whole(folder, RUN, SCHEMA)?;
    // A run that was killed at once has none.
    let there = folder.join(CELLS).exists();
    let mut cells: Vec<Cell> = if there { lines(&folder.join(CELLS))? } else { vec![] };
    if run.instrument == "trials" {
        measured_later(&mut cells);
    }
    let nodes = folder.join(NODES).exists();
    let nodes = if nodes { Some(whole(folder, NODES, NODES_SCHEMA)?) } else { None };
    Ok(Record { folder: folder.to_owned(), run, cells, trials: vec![], nodes })
}

/// Leaves out the lines of cells that were skipped and that `--resume` has measured since.
fn measured_later(cells: &mut Vec<Cell>) {
    let of = |cell: &Cell| {
        let Cell { workload, model, scale, workers, placement, .. } = cell.clone();
        (workload, model, scale, workers, placement)
    };
    for index in (0..cells.len())
        .rev()
        .filter(|index| cells[*index].state == State::Skipped)
        .collect::<Vec<_>>()
    {
        if cells[index + 1..].iter().any(|later| of(later) == of(&cells[index])) {
            cells.remove(index);
        }
    }
}

/// Reads what `paceline claims` found, from `claims.json` in `folder`; `None` where there is no such file.
///
/// # Errors
///
/// Returns a sentence where it is not such a record, or is one of a newer paceline.
pub fn read_claims(folder: &Path) -> Result<Option<Claims>, String> {
    if folder.join(CLAIMS).exists() {
        whole(folder, CLAIMS, CLAIMS_SCHEMA).map(Some)
    } else {
        Ok(None)
    }
}

/// The file `name` in `folder`, if its schema is `current`.
pub(crate) fn whole<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    current: u32,
) -> Result<T, String> {
    let path = folder.join(name);
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| fault(&error))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| fault(&error))?;
    let schema = value.get("schema").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let place = folder.display();
    if schema > u64::from(current) {
        return Err(format!(
            "{place} has schema {schema}, and this paceline reads {current}: use a newer paceline"
        ));
    }
    if schema < u64::from(current) {
        return Err(format!(
            "{place} has schema {schema}, of an older paceline, and this one reads {current}: measure again"
        ));
    }
    serde_json::from_value(value).map_err(|error| fault(&error))
}

/// What is said of a damaged line.
fn not_ours(place: &Path, index: usize, why: &str) -> String {
    let (place, line) = (place.display(), index + 1);
    format!("{place}, line {line}, is nothing that paceline writes ({why}): leave this record out")
}

/// The lines of a file. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where it cannot be read.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let place = path.display();
    // As bytes: a torn line may end in the middle of a character.
    let text = fs::read(path).map_err(|error| format!("{place}: {error}"))?;
    let mut read = Vec::new();
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            // Without its end even a line that can be read may have lost some of its last number.
            _ if !line.ends_with(b"\n") => {}
            Ok(value) => read.push(value),
            Err(error) => return Err(not_ours(path, index, &error.to_string())),
        }
    }
    Ok(read)
}
