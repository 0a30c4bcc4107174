//! The files of a record: written line by line, valid even if a run is killed, and resumed; see `read` for reading.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Cell, Claims, Gate, GateTrial, Nodes, Run, State, Trial};
use crate::output::remedy;

/// The metadata of a run.
pub const RUN: &str = "run.json";
/// The cells that have ended.
pub const CELLS: &str = "cells.jsonl";
/// The trials.
pub const TRIALS: &str = "trials.jsonl";
/// The nodes, if a cluster measured it.
pub const NODES: &str = "nodes.json";
pub(super) const CLAIMS: &str = "claims.json";
pub(super) const GATE: &str = "gate.json";
pub(super) const GATE_TRIALS: &str = "gate_trials.jsonl";

/// The files that show the kind of a record: a run, a gate, claims.
pub const KINDS: [&str; 3] = [RUN, GATE, CLAIMS];

/// All files of records.
pub const PARTS: [&str; 7] = [RUN, CELLS, TRIALS, NODES, GATE, GATE_TRIALS, CLAIMS];

/// What to do after a run broke off.
const RESUME: &str = "go on with --resume";
/// The same for what cannot be resumed.
const MEASURE: &str = "measure again";

/// Returns the name of a part that was packed by gzip.
pub(super) fn packed(name: &str) -> String {
    format!("{name}.gz")
}

/// Writes the record of a run, line by line.
pub struct Writer {
    folder: PathBuf,
    cells: File,
    trials: File,
    /// What to do after it could not be written to.
    again: &'static str,
}

impl Writer {
    /// Creates the folder of `run` under `results`, and writes its metadata.
    pub fn create(results: &Path, run: &Run) -> Result<Self, String> {
        let folder = results.join(&run.id);
        fs::create_dir_all(&folder)
            .and_then(|()| write_whole(&folder.join(RUN), &json(run)))
            .map_err(|error| {
                // An empty folder would be taken for a damaged record.
                let _ = fs::remove_dir(&folder);
                unwritable(&folder, &error)
            })?;
        Self::open(folder, if run.can_be_resumed() { RESUME } else { MEASURE })
    }

    /// Creates a writer for a part of a cluster's run in `folder`; `again` says what to do after it could not be written
    /// to.
    pub fn part(folder: &Path, again: &'static str) -> Result<Self, String> {
        Self::open(folder.to_owned(), again)
    }

    /// Resumes the record in `folder`, unless another process writes to it. A torn last line is cut off.
    pub fn resume(folder: &Path) -> Result<Self, String> {
        if let Some(packed) =
            [CELLS, TRIALS].map(packed).iter().find(|name| folder.join(name).exists())
        {
            let packed = folder.join(packed);
            return Err(format!("{0} is packed: gunzip {0}, then resume", packed.display()));
        }
        let writer = Self::open(folder.to_owned(), RESUME)?;
        for name in [CELLS, TRIALS] {
            cut_torn_line(&folder.join(name)).map_err(|error| unwritable(folder, &error))?;
        }
        Ok(writer)
    }

    fn open(folder: PathBuf, again: &'static str) -> Result<Self, String> {
        let open = |name| {
            let file = OpenOptions::new().create(true).append(true).open(folder.join(name));
            file.map_err(|error| unwritable(&folder, &error))
        };
        let (cells, trials) = (open(CELLS)?, open(TRIALS)?);
        // On a file system without locks, only this check is lost.
        if matches!(cells.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            let folder = folder.display();
            return Err(format!("another paceline writes to {folder}: wait for it, or stop it"));
        }
        Ok(Writer { folder, cells, trials, again })
    }

    /// Returns the folder of the record.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what to do after the measurement broke off, such as "go on with --resume".
    pub fn again(&self) -> &'static str {
        self.again
    }

    /// Appends a cell, and waits until it is on disk if something was measured for it. Hundreds of cells that were only
    /// left out would take a small budget several times over; they reach the disk with the next cell, or at the end.
    pub fn write(&mut self, cell: &Cell) -> Result<(), String> {
        let path = self.folder.join(CELLS);
        if was_left_out(cell.state) {
            append_line(&mut self.cells, &path, self.again, cell, |_| Ok(()))
        } else {
            append(&mut self.cells, &path, self.again, cell)
        }
    }

    /// Appends a trial, and waits until it is on disk.
    pub fn write_trial(&mut self, trial: &Trial) -> Result<(), String> {
        append(&mut self.trials, &self.folder.join(TRIALS), self.again, trial)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Cells that were left out last have not been waited for.
        let _ = self.cells.sync_data();
    }
}

/// Writes the results of `paceline claims` so far to one file in `folder`, `claims.json`.
pub fn write_claims(folder: &Path, claims: &Claims) -> Result<(), String> {
    write_json(&folder.join(CLAIMS), claims)
}

/// The trials of a gate, one a line, in `gate_trials.jsonl`.
pub struct GateTrials {
    folder: PathBuf,
    file: File,
}

impl GateTrials {
    /// Creates the file in the folder of a record.
    pub fn create(folder: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().create(true).append(true).open(folder.join(GATE_TRIALS));
        let file = file.map_err(|error| unwritable(folder, &error))?;
        Ok(GateTrials { folder: folder.to_owned(), file })
    }

    /// Appends a trial, and waits until it is on disk: nothing is measured during that time.
    pub fn write(&mut self, trial: &GateTrial) -> Result<(), String> {
        append(&mut self.file, &self.folder.join(GATE_TRIALS), MEASURE, trial)
    }
}

/// Writes the gate whose record is in `folder` to one file, `gate.json`.
pub fn write_gate(folder: &Path, gate: &Gate) -> Result<(), String> {
    write_json(&folder.join(GATE), gate)
}

/// Returns whether a cell has no figure because nothing was measured for it.
fn was_left_out(state: State) -> bool {
    matches!(state, State::Refused | State::Skipped)
}

/// Appends a line in one write, and waits until it is on disk: it is complete or torn, and a torn last line is
/// recognised.
pub(crate) fn append(
    file: &mut File,
    path: &Path,
    again: &str,
    value: &impl Serialize,
) -> Result<(), String> {
    append_line(file, path, again, value, File::sync_data)
}

fn append_line(
    file: &mut File,
    path: &Path,
    again: &str,
    value: &impl Serialize,
    sync: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), String> {
    let mut line = serde_json::to_string(value).expect("it is plain data");
    line.push('\n');
    file.write_all(line.as_bytes()).and_then(|()| sync(file)).map_err(|error| {
        let (path, remedy) = (path.display(), remedy(&error));
        format!("cannot write to {path}: {error}; {remedy}, and {again}")
    })
}

pub(super) fn unwritable(folder: &Path, error: &io::Error) -> String {
    let (folder, remedy) = (folder.display(), remedy(error));
    format!("cannot write the record to {folder}: {error}; {remedy}, or choose another place")
}

/// Bytes that a folder for records must have room for: less than any record has.
const ROOM: usize = 4 << 10;

/// Checks that records can be written below `results`, before any time is spent on one. Creates the folder.
pub fn check_writable(results: &Path) -> Result<(), String> {
    let probe = results.join(format!(".paceline-probe-{}", std::process::id()));
    let tried = fs::create_dir_all(results).and_then(|()| {
        let written = File::create(&probe).and_then(|mut file| {
            file.write_all(&[0; ROOM])?;
            file.sync_all()
        });
        written.and(fs::remove_file(&probe))
    });
    tried.map_err(|error| {
        let _ = fs::remove_file(&probe);
        unwritable(results, &error)
    })
}

/// Writes a whole file aside and renames it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&aside, path)).inspect_err(|_| {
        // A partial file is removed if the disk is full.
        let _ = fs::remove_file(&aside);
    })
}

/// Writes `bytes` to a file, whole or not at all; if that fails, the previous contents stay.
pub fn write_text(path: &Path, bytes: &[u8]) -> Result<(), String> {
    // A path that is not a plain file, such as /dev/stdout, cannot be replaced by a rename.
    let plain = fs::metadata(path).map_or(true, |there| there.is_file());
    let written = if plain { write_whole(path, bytes) } else { fs::write(path, bytes) };
    written.map_err(|error| {
        let (path, remedy) = (path.display(), remedy(&error));
        format!("cannot write {path}: {error}; {remedy}, or choose another place with -o")
    })
}

/// Writes `value` to a file, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| write_whole(path, &json(value)));
    written.map_err(|error| unwritable(folder, &error))
}

/// Returns the content of a file of JSON that people may read.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("it is plain data");
    text.push(b'\n');
    text
}

/// Cuts off a last line that a crash tore.
pub(crate) fn cut_torn_line(path: &Path) -> io::Result<()> {
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Record {
    /// The folder of the record.
    pub folder: PathBuf,
    /// The metadata of the run.
    pub run: Run,
    /// The cells that have ended.
    pub cells: Vec<Cell>,
    /// The trials, also of cells that have not ended.
    pub trials: Vec<Trial>,
    /// The nodes, if a cluster measured it.
    pub nodes: Option<Nodes>,
}

impl Record {
    /// Checks that its trials have times and mergeable histograms, as a resumed run needs.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the first damaged line.
    pub fn check_trials(&self) -> Result<(), String> {
        let place = self.folder.join(TRIALS);
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

/// Returns the message for a damaged line.
pub(super) fn not_ours(place: &Path, index: usize, why: &str) -> String {
    let (place, line) = (place.display(), index + 1);
    format!(
        "{place}, line {line}, is damaged ({why}): delete this line to keep all others, or leave this record out"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_without_a_measurement_do_not_wait_for_the_disk() {
        assert!([State::Refused, State::Skipped].into_iter().all(was_left_out));
        assert!(![State::Ok, State::Invalid, State::Failed].into_iter().any(was_left_out));
    }

    #[test]
    fn a_float_that_is_read_is_the_one_that_was_written() {
        for seed in 0..10_000 {
            let written = paceline_core::job::mix(seed) as f64 / 1e9;
            let read: f64 = serde_json::from_str(&written.to_string()).unwrap();
            assert_eq!(read.to_bits(), written.to_bits(), "{written}");
        }
    }
}
