//! `paceline compare`: two recorded runs side by side, and what separate runs cannot show.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, ENVIRONMENT, Output, extent, found, say, say_json, usage};
use crate::{
    cli::Format,
    compare::{Refusal, agreement, comparable, compare_records},
    record::{Record, read},
    report::{agreement_table, comparison_table},
};

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
    /// Count how many intervals of one cell are disjoint in two of the runs, which are all of one build.
    #[arg(long)]
    agreement: bool,
    /// Compare runs of different machines too.
    #[arg(long)]
    any_machine: bool,
    /// Show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn compare(asked: &CompareArguments) -> Result<u8, CliError> {
    let base = recorded(&asked.base, &asked.output.out)?;
    let head = recorded(&asked.head, &asked.output.out)?;
    if asked.agreement {
        return agree(base, head, asked);
    }
    let comparison = compare_records(&base, &head, asked.any_machine).map_err(refused)?;
    match asked.output.format {
        Format::Json => say_json(&comparison),
        Format::Table => say(&comparison_table(&comparison, extent(asked.all))),
    }
}

fn agree(base: Record, head: Record, asked: &CompareArguments) -> Result<u8, CliError> {
    let more = asked.more.iter().map(|name| recorded(name, &asked.output.out));
    let runs = [Ok(base), Ok(head)].into_iter().chain(more).collect::<Result<Vec<_>, _>>()?;
    for run in &runs[1..] {
        comparable(&runs[0], run, asked.any_machine).map_err(refused)?;
    }
    let found = agreement(&runs);
    match asked.output.format {
        Format::Json => say_json(&found),
        Format::Table => say(&agreement_table(&found)),
    }
}

fn refused(refusal: Refusal) -> CliError {
    match refusal {
        Refusal::Machine(message) => CliError(ENVIRONMENT, message),
        Refusal::Instrument(message) => usage(message),
    }
}

/// The record in the folder `name`, or in that folder of `results`.
fn recorded(name: &Path, results: &Path) -> Result<Record, CliError> {
    read(&found(name, results, &["run.json"])?).map_err(usage)
}
