//! Reads records. Files and their contents are separate functions, so that fuzzers need no files.

use std::{collections::HashSet, fs, io::Read, path::Path};

use flate2::read::MultiGzDecoder;
use paceline_core::file;
use serde::de::DeserializeOwned;

use super::{
    CLAIMS_SCHEMA, Cell, Claims, GATE_SCHEMA, Gate, GateTrial, NODES_SCHEMA, Run, SCHEMA,
    files::{CELLS, CLAIMS, GATE, GATE_TRIALS, NODES, RUN, Record, TRIALS, not_ours, packed},
};

/// The greatest size of a record's file that is read, in bytes.
const MOST: u64 = 1 << 30;

/// Reads a record. A last line torn by a crash is left out. A record of a newer paceline is an error, here and below.
pub fn read(folder: &Path) -> Result<Record, String> {
    // Loads have no trials.
    let trials = text_if_any(folder, TRIALS)?;
    with_nodes(assemble(folder, &text(folder, RUN)?, &text_if_any(folder, CELLS)?, &trials)?)
}

/// Reads a record without its trials, which are most of it and not needed to show cells.
pub fn read_cells(folder: &Path) -> Result<Record, String> {
    // A run that was killed early has no cells.
    with_nodes(assemble(folder, &text(folder, RUN)?, &text_if_any(folder, CELLS)?, b"")?)
}

/// Adds the nodes to a record if a cluster measured it.
fn with_nodes(mut record: Record) -> Result<Record, String> {
    if record.folder.join(NODES).exists() {
        record.nodes = Some(whole(&record.folder, NODES, NODES_SCHEMA)?);
    }
    Ok(record)
}

/// Reads the file `name` in `folder`, if its schema is `current`.
fn whole<T: DeserializeOwned>(folder: &Path, name: &str, current: u32) -> Result<T, String> {
    parse(&folder.join(name), &text(folder, name)?, current)
}

/// Reads the lines of the file at `path`. A last line torn by a crash is left out.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let text = file::read(path, MOST).map_err(|why| format!("{}: {why}", path.display()))?;
    parse_lines(path, &text)
}

/// Assembles the record from the texts of the files in `folder`.
pub(crate) fn assemble(
    folder: &Path,
    run: &[u8],
    cells: &[u8],
    trials: &[u8],
) -> Result<Record, String> {
    let run: Run = parse(&folder.join(RUN), run, SCHEMA)?;
    let mut cells: Vec<Cell> = parse_lines(&folder.join(CELLS), cells)?;
    if run.instrument == "trials" {
        keep_last(&mut cells);
    }
    let cells = cells.into_iter().map(Cell::by_rules_of_now).collect();
    let trials = parse_lines(&folder.join(TRIALS), trials)?;
    Ok(Record { folder: folder.to_owned(), run, cells, trials, nodes: None })
}

/// Keeps only the last line of each cell. `--resume` writes another line for a cell that was skipped or lacked trials.
fn keep_last(cells: &mut Vec<Cell>) {
    let mut seen = HashSet::new();
    let is_last = |cell: &Cell| {
        let Cell { scale, workers, placement, .. } = *cell;
        seen.insert((cell.workload.clone(), cell.model.clone(), scale, workers, placement))
    };
    // From the last line to the first, so the flags are popped in the order of the lines.
    let mut last: Vec<bool> = cells.iter().rev().map(is_last).collect();
    cells.retain(|_| last.pop() == Some(true));
}

/// Reads a gate from `gate.json` in `folder`; `None` without such a file.
pub fn read_gate(folder: &Path) -> Result<Option<Gate>, String> {
    let there = folder.join(GATE).exists();
    there.then(|| gate_of(folder, &text(folder, GATE)?)).transpose()
}

/// Reads the trials of the gate whose record is in `folder`. A last line torn by a crash is left out.
pub fn read_gate_trials(folder: &Path) -> Result<Vec<GateTrial>, String> {
    lines(&folder.join(GATE_TRIALS))
}

/// Reads claims from `claims.json` in `folder`; `None` without such a file.
pub fn read_claims(folder: &Path) -> Result<Option<Claims>, String> {
    let there = folder.join(CLAIMS).exists();
    there.then(|| claims_of(folder, &text(folder, CLAIMS)?)).transpose()
}

/// Parses the text of `gate.json` in `folder`.
pub(crate) fn gate_of(folder: &Path, text: &[u8]) -> Result<Gate, String> {
    parse(&folder.join(GATE), text, GATE_SCHEMA)
}

/// Parses the text of `claims.json` in `folder`.
pub(crate) fn claims_of(folder: &Path, text: &[u8]) -> Result<Claims, String> {
    parse(&folder.join(CLAIMS), text, CLAIMS_SCHEMA)
}

fn text(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    file::read(&path, MOST).map_err(|why| format!("{}: {why}", path.display()))
}

/// Reads a file, or the copy of it that gzip packed; empty if there is neither.
fn text_if_any(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let packed = packed(name);
    match [name, &packed].map(|name| folder.join(name).exists()) {
        [true, _] => text(folder, name),
        [false, true] => {
            let unpacked = unpacked(&text(folder, &packed)?);
            unpacked.map_err(|why| format!("{}: {why}", folder.join(packed).display()))
        }
        [false, false] => Ok(vec![]),
    }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    match MultiGzDecoder::new(packed).take(MOST).read_to_end(&mut text) {
        Ok(bytes) if (bytes as u64) < MOST => Ok(text),
        Ok(_) => Err("cannot be unpacked: it has over 1 GiB".into()),
        Err(why) => Err(format!(
            "cannot be unpacked: {why}; bring it back from a copy, or leave this record out"
        )),
    }
}

/// Parses the text of the file at `path`, if its schema is `current`.
pub(crate) fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &[u8],
    current: u32,
) -> Result<T, String> {
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
    // Parsed from the text, so that an error has its line.
    serde_json::from_slice(text).map_err(|error| damaged(&error))
}

/// Returns serde's message without the line and column that it appends.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Parses the lines of the text of the file at `path`: a torn one may end in the middle of a character.
pub(crate) fn parse_lines<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<Vec<T>, String> {
    let mut read = Vec::new();
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            // Without its line end, even a readable line may have lost digits of its last number.
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
