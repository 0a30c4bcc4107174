//! `paceline compare`: compares two recorded runs, or counts how often several runs of one build disagree.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, ENVIRONMENT, Output, extent, say, say_json, say_text, usage};
use crate::{
    cli::Format,
    compare::{Refusal, agreement, comparable, compare_records, of_one_build},
    record::{KINDS, PARTS, RUN, Record, read},
    report::{agreement_table, comparison_table},
};
use paceline_core::job::did_you_mean;

#[derive(Args)]
pub(super) struct CompareArguments {
    /// The run to compare with: its folder, or its name in the folder for records.
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The run to compare.
    #[arg(value_name = "HEAD")]
    head: PathBuf,
    /// More runs, with --agreement.
    #[arg(value_name = "RUN", requires = "agreement")]
    more: Vec<PathBuf>,
    /// Count the cells whose intervals are disjoint between two runs; all runs must be of one build.
    #[arg(long)]
    agreement: bool,
    /// Compare runs of different machines too, and with --agreement of different builds.
    #[arg(long)]
    any_machine: bool,
    /// Show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn compare(asked: &CompareArguments) -> Result<u8, CliError> {
    let base = read_record(&asked.base, &asked.output.out)?;
    let head = read_record(&asked.head, &asked.output.out)?;
    if asked.agreement {
        return agree(base, head, asked);
    }
    let folder = |of: &Record| of.folder.canonicalize().unwrap_or_else(|_| of.folder.clone());
    if folder(&base) == folder(&head) {
        let place = base.folder.display();
        return Err(usage(format!("BASE and HEAD are both the record {place}: name two")));
    }
    let comparison = compare_records(&base, &head, asked.any_machine).map_err(refused)?;
    match asked.output.format {
        Format::Json => say_json(&comparison),
        Format::Table => say(&comparison_table(&comparison, extent(asked.all))),
    }
}

fn agree(base: Record, head: Record, asked: &CompareArguments) -> Result<u8, CliError> {
    let more = asked.more.iter().map(|name| read_record(name, &asked.output.out));
    let runs = [Ok(base), Ok(head)].into_iter().chain(more).collect::<Result<Vec<_>, _>>()?;
    for run in &runs[1..] {
        comparable(&runs[0], run, asked.any_machine).map_err(refused)?;
        if !asked.any_machine {
            of_one_build(&runs[0], run).map_err(refused)?;
        }
    }
    let found = agreement(&runs);
    match asked.output.format {
        Format::Json => say_json(&found),
        Format::Table => say_text(&agreement_table(&found)),
    }
}

fn refused(refusal: Refusal) -> CliError {
    match refusal {
        Refusal::Machine(message) => CliError(ENVIRONMENT, message),
        Refusal::Instrument(message) => usage(message),
    }
}

/// Reads the run in the folder `name`, or in that folder of `results`.
fn read_record(name: &Path, results: &Path) -> Result<Record, CliError> {
    read(&find_record(name, results, &["run.json"])?).map_err(usage)
}

/// Finds the folder `name`, here or in `results`, that has one of the files `kinds`.
pub(super) fn find_record(
    name: &Path,
    results: &Path,
    kinds: &[&str],
) -> Result<PathBuf, CliError> {
    let mut places = vec![name.to_owned(), results.join(name)];
    places.dedup();
    let is_one = |place: &&PathBuf| kinds.iter().any(|kind| place.join(kind).exists());
    if let Some(folder) = places.iter().find(is_one) {
        return Ok(folder.clone());
    }
    let unread =
        |place: &PathBuf| place.join(RUN).try_exists().err().map(|error| (place.clone(), error));
    if let Some((place, error)) = places.iter().find_map(unread) {
        let place = place.display();
        if error.kind() == std::io::ErrorKind::NotADirectory {
            return Err(usage(format!("{place} is a file: name the folder of a record")));
        }
        return Err(usage(format!(
            "{place} cannot be read: {error}; make it readable, with all folders above it, or name another"
        )));
    }
    let holds_some = |place: &PathBuf| {
        let inside = std::fs::read_dir(place).into_iter().flatten().flatten();
        inside.into_iter().any(|entry| is_one(&&entry.path()))
    };
    if let Some(place) = places.iter().find(|place| holds_some(place)) {
        let place = place.display();
        return Err(usage(format!(
            "{place} is a folder of records: name one of them, or --out {place}"
        )));
    }
    let has = match kinds {
        [one] => format!("a {one}"),
        _ => format!("one of {}", kinds.join(", ")),
    };
    let other_kind = |place: &&PathBuf| KINDS.iter().any(|kind| place.join(kind).exists());
    if let Some(place) = places.iter().find(other_kind) {
        let place = place.display();
        return Err(usage(format!("{place} is a record of another kind: name one that has {has}")));
    }
    // A part of a record whose head is lost.
    if let Some(place) = places.iter().find(|place| parts(place).next().is_some()) {
        let (found, place) = (parts(place).collect::<Vec<_>>().join(", "), place.display());
        return Err(usage(format!(
            "{place} is no whole record: it has {found}, but not {has}: bring that back from a copy, or name another"
        )));
    }
    let all = names_in(results);
    let hint = did_you_mean(&name.to_string_lossy(), all.iter().map(String::as_str));
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Err(usage(format!(
        "there is no record in {}: {hint}name a folder that has {has}",
        places.join(" or ")
    )))
}

/// Returns the names of a record's files in `folder`.
fn parts(folder: &Path) -> impl Iterator<Item = &'static str> + '_ {
    PARTS.into_iter().filter(|part| folder.join(part).exists())
}

/// Returns the names of the records in `results`.
fn names_in(results: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(results).into_iter().flatten().flatten();
    let records = folders.filter(|entry| parts(&entry.path()).next().is_some());
    records.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
