//! The files of a record: written line by line, whole whenever a run is killed, and taken up again; see `read` for the
//! way back.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Cell, Claims, Gate, GateTrial, Nodes, Run, Trial};

/// What holds for a whole run.
pub const RUN: &str = "run.json";
/// The cells that ended.
pub const CELLS: &str = "cells.jsonl";
/// The trials.
pub const ROUNDS: &str = "trials.jsonl";
/// The nodes, where a cluster measured it.
pub const NODES: &str = "nodes.json";
pub(super) const CLAIMS: &str = "claims.json";
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

/// The trials of a gate, a line each, in `gate_trials.jsonl`.
pub struct GateTrials {
    folder: PathBuf,
    file: File,
}

impl GateTrials {
    /// Makes the file in the folder of a record.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written.
    pub fn create(folder: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().create(true).append(true).open(folder.join(GATE_ROUNDS));
        let file = file.map_err(|error| unwritable(folder, &error))?;
        Ok(GateTrials { folder: folder.to_owned(), file })
    }

    /// Appends a trial, and waits until it is on the disk: nothing is measured meanwhile.
    ///
    /// # Errors
    ///
    /// Returns a sentence where it cannot be written.
    pub fn write(&mut self, trial: &GateTrial) -> Result<(), String> {
        append(&mut self.file, &self.folder.join(GATE_ROUNDS), "--resume", trial)
    }
}

/// Writes the gate whose record is in `folder`: all of it in one file, `gate.json`.
///
/// # Errors
///
/// Returns a sentence where it cannot be written.
pub fn write_gate(folder: &Path, gate: &Gate) -> Result<(), String> {
    write_json(&folder.join(GATE), gate)
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
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
}

/// What is said of a damaged line.
pub(super) fn not_ours(place: &Path, index: usize, why: &str) -> String {
    let (place, line) = (place.display(), index + 1);
    format!(
        "{place}, line {line}, is damaged ({why}): delete this line to keep all others, or leave this record out"
    )
}
