//! The files of a gate's record.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use super::{
    GATE_SCHEMA, Gate, GateTrial,
    files::{GATE, GATE_ROUNDS, append, lines, unwritable, whole, write_json},
};

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

/// The trials of the gate whose record is in `folder`. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where they cannot be read.
pub fn read_gate_trials(folder: &Path) -> Result<Vec<GateTrial>, String> {
    lines(&folder.join(GATE_ROUNDS))
}

/// Reads what a gate found, from `gate.json` in `folder`; `None` where there is no such file.
///
/// # Errors
///
/// Returns a sentence where it is not the record of a gate, or is one of a newer paceline.
pub fn read_gate(folder: &Path) -> Result<Option<Gate>, String> {
    if folder.join(GATE).exists() { whole(folder, GATE, GATE_SCHEMA).map(Some) } else { Ok(None) }
}
