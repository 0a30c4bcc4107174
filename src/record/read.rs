//! Reading records: their files, and what these say, told apart so that fuzzers need no files.

use std::{fs, path::Path};

use paceline_core::file;
use serde::de::DeserializeOwned;

use super::{
    CLAIMS_SCHEMA, Cell, Claims, GATE_SCHEMA, Gate, GateTrial, NODES_SCHEMA, Run, SCHEMA, State,
    files::{CELLS, CLAIMS, GATE, GATE_ROUNDS, NODES, ROUNDS, RUN, Record, not_ours},
};

/// The longest file of a record that is read, in bytes.
const MOST: u64 = 1 << 30;

/// Reads a record. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where it is not a record, or is one of a newer paceline.
pub fn read(folder: &Path) -> Result<Record, String> {
    // Runs of criterion have no trials.
    let trials = text_if_any(folder, ROUNDS)?;
    with_nodes(assemble(folder, &text(folder, RUN)?, &text_if_any(folder, CELLS)?, &trials)?)
}

/// The same without its trials, which are most of it: what shows cells needs no more.
///
/// # Errors
///
/// Returns a sentence where it is not a record, or is one of a newer paceline.
pub fn read_cells(folder: &Path) -> Result<Record, String> {
    // A run that was killed at once has no cells.
    with_nodes(assemble(folder, &text(folder, RUN)?, &text_if_any(folder, CELLS)?, b"")?)
}

/// The same with its nodes, where a cluster measured it.
fn with_nodes(mut record: Record) -> Result<Record, String> {
    if record.folder.join(NODES).exists() {
        record.nodes = Some(whole(&record.folder, NODES, NODES_SCHEMA)?);
    }
    Ok(record)
}

/// What the file `name` in `folder` says, if its schema is `current`.
///
/// # Errors
///
/// Returns a sentence where it cannot be read, or is of another schema.
pub(crate) fn whole<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    current: u32,
) -> Result<T, String> {
    parse(&folder.join(name), &text(folder, name)?, current)
}

/// What the lines of the file at `path` say. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where it cannot be read, or a line is not one of ours.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let text = file::read(path, MOST).map_err(|why| format!("{}: {why}", path.display()))?;
    parse_lines(path, &text)
}

/// The record that the files in `folder` are, whose texts these are.
pub(crate) fn assemble(
    folder: &Path,
    run: &[u8],
    cells: &[u8],
    trials: &[u8],
) -> Result<Record, String> {
    let run: Run = parse(&folder.join(RUN), run, SCHEMA)?;
    let mut cells: Vec<Cell> = parse_lines(&folder.join(CELLS), cells)?;
    if run.instrument == "trials" {
        measured_later(&mut cells);
    }
    let trials = parse_lines(&folder.join(ROUNDS), trials)?;
    Ok(Record { folder: folder.to_owned(), run, cells, trials, nodes: None })
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

/// Reads what a gate found, from `gate.json` in `folder`; `None` where there is no such file.
///
/// # Errors
///
/// Returns a sentence where it is not the record of a gate, or is one of a newer paceline.
pub fn read_gate(folder: &Path) -> Result<Option<Gate>, String> {
    let there = folder.join(GATE).exists();
    there.then(|| gate_of(folder, &text(folder, GATE)?)).transpose()
}

/// The trials of the gate whose record is in `folder`. A last line that was torn by a crash is left out.
///
/// # Errors
///
/// Returns a sentence where they cannot be read.
pub fn read_gate_trials(folder: &Path) -> Result<Vec<GateTrial>, String> {
    lines(&folder.join(GATE_ROUNDS))
}

/// Reads what `paceline claims` found, from `claims.json` in `folder`; `None` where there is no such file.
///
/// # Errors
///
/// Returns a sentence where it is not such a record, or is one of a newer paceline.
pub fn read_claims(folder: &Path) -> Result<Option<Claims>, String> {
    let there = folder.join(CLAIMS).exists();
    there.then(|| claims_of(folder, &text(folder, CLAIMS)?)).transpose()
}

/// The gate that `gate.json` in `folder` is, whose text this is.
pub(crate) fn gate_of(folder: &Path, text: &[u8]) -> Result<Gate, String> {
    parse(&folder.join(GATE), text, GATE_SCHEMA)
}

/// The claims that `claims.json` in `folder` is, whose text this is.
pub(crate) fn claims_of(folder: &Path, text: &[u8]) -> Result<Claims, String> {
    parse(&folder.join(CLAIMS), text, CLAIMS_SCHEMA)
}

fn text(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    file::read(&path, MOST).map_err(|why| format!("{}: {why}", path.display()))
}

/// The same, empty where there is no such file.
fn text_if_any(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    if folder.join(name).exists() { text(folder, name) } else { Ok(vec![]) }
}

/// What the file at `path` says, whose text this is, if its schema is `current`.
fn parse<T: DeserializeOwned>(path: &Path, text: &[u8], current: u32) -> Result<T, String> {
    let folder = path.parent().unwrap_or(path);
    let place = folder.display();
    let damaged = |error: &serde_json::Error| {
        let (path, line) = (path.display(), error.line().max(1));
        let kept = fs::read(folder.join(CELLS)).unwrap_or_default();
        let kept = match kept.split(|byte| *byte == b'\n').count().saturating_sub(1) {
            0 => String::new(),
            lines => {
                format!("; the lines of {CELLS} ({lines}) are not lost, and need a whole {RUN}")
            }
        };
        let why = without_place(error);
        format!(
            "{path} is damaged at line {line} ({why}): bring it back from a copy, or leave this record out{kept}"
        )
    };
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| damaged(&error))?;
    let Some(schema) = value.get("schema").and_then(serde_json::Value::as_u64) else {
        let path = path.display();
        return Err(format!(
            "{path} is no record of paceline, for it has no \"schema\": name another folder, or leave this one out"
        ));
    };
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
    // From the text, so that an error has its line.
    serde_json::from_slice(text).map_err(|error| damaged(&error))
}

/// What is wrong, without the line and column that serde appends.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// What the lines of the file at `path` say, whose text this is: a torn one may end in the middle of a character.
pub(crate) fn parse_lines<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<Vec<T>, String> {
    let mut read = Vec::new();
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            // Without its end even a line that can be read may have lost some of its last number.
            _ if !line.ends_with(b"\n") => {}
            Ok(value) => read.push(value),
            Err(error) => {
                let why = format!("{} at column {}", without_place(&error), error.column());
                return Err(not_ours(path, index, &why));
            }
        }
    }
    Ok(read)
}
