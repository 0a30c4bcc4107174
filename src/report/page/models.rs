//! The models: versions, settings, and what each was seen to be.

use std::collections::BTreeMap;

use super::parts::{Data, Table, name, reason};
use crate::{
    output::count,
    record::{Cell, ModelRecord},
};
use paceline_core::prepared::Attestation;

/// A row for each model of the run.
pub(super) fn table(models: &[ModelRecord], cells: &[&Cell]) -> Table {
    let mut table = Table::new(
        "Models: version, set-up, and what their processes were seen to be",
        &[
            "model",
            "family",
            "version",
            "tag",
            "cells",
            "threads that ran jobs",
            "most jobs in flight",
            "waits with",
            "what it is",
        ],
    )
    .with_prose(&[8]);
    let mut of: BTreeMap<&str, Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        of.entry(&cell.model).or_default().push(cell);
    }
    for model in models {
        let cells = of.get(model.name.as_str()).map_or(&[][..], Vec::as_slice);
        if cells.is_empty() {
            continue;
        }
        let seen: Vec<&Attestation> =
            cells.iter().filter_map(|cell| cell.attest.as_ref()).collect();
        let what = match (&model.reason, &model.unreliable) {
            (Some(why), _) => format!("cannot run here: {}", reason(Some(why))),
            (None, Some(why)) => {
                format!("unreliable: {}; {}", reason(Some(why)), reason(Some(&model.note)))
            }
            (None, None) => reason(Some(&model.note)),
        };
        table.rows.push(vec![
            name(&model.name).into(),
            Data::of(name(&model.family)).class("l"),
            name(&model.version).into(),
            Data::of(name(&model.tag)).class("l"),
            count(cells.len()).into(),
            range(seen.iter().map(|seen| u64::from(seen.job_threads))).into(),
            seen.iter()
                .map(|seen| seen.peak_in_flight)
                .max()
                .map_or_else(String::new, |most| count(most as usize))
                .into(),
            Data::of(driver(&seen)).class("l"),
            what.into(),
        ]);
    }
    table
}

/// `1 to 4`, or the one number.
fn range(numbers: impl Iterator<Item = u64> + Clone) -> String {
    match (numbers.clone().min(), numbers.max()) {
        (Some(least), Some(most)) if least < most => format!("{least} to {most}"),
        (Some(only), _) => only.to_string(),
        _ => String::new(),
    }
}

/// What the kernel showed of the process.
fn driver(seen: &[&Attestation]) -> String {
    let has = |of: fn(&Attestation) -> Option<u64>| {
        seen.iter().any(|seen| of(seen).is_some_and(|n| n > 0))
    };
    match (has(|seen| seen.rings), has(|seen| seen.epolls)) {
        (true, _) => "io_uring".into(),
        (false, true) => "epoll".into(),
        _ if seen.is_empty() => String::new(),
        _ => "blocking calls".into(),
    }
}
