//! Completes the record of a `cargo bench` that was killed: its trials are written as they end, its cells after their
//! last trial.

use std::{fs, path::Path};

use super::trial::cell;
use crate::{
    output::counted,
    plan::Planned,
    record::{Cell, Record, State, TRIALS, Trial, Writer, read, read_cells},
};
use paceline_core::{job::Workload, models};

/// The reason why a cell has no figure.
const KILLED: &str = "cargo bench was killed";

/// Completes the newest record of `cargo bench` in `results` if that run was killed, and returns what to tell the user.
pub(crate) fn complete_newest(results: &Path) -> Result<Option<String>, String> {
    let Ok(entries) = fs::read_dir(results) else { return Ok(None) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Names begin with the date.
    let newest = names.filter(|name| name.contains("-criterion-")).max();
    newest.map_or(Ok(None), |name| complete(&results.join(name)))
}

/// Completes the record in `folder` if its `cargo bench` was killed, and returns what to tell the user.
pub(crate) fn complete(folder: &Path) -> Result<Option<String>, String> {
    // What cannot be read at all is for the reader of the record to say.
    let is_bench = |record: Record| record.run.instrument == "criterion";
    if !folder.join(TRIALS).exists() || !read_cells(folder).is_ok_and(is_bench) {
        return Ok(None);
    }
    // Read again under the writer's lock: until now, another process may have written.
    let mut writer = Writer::resume(folder)?;
    let record = read(folder)?;
    let kept = kept(&record);
    for (cell, _) in &kept {
        writer.write(cell)?;
    }
    let trials: usize = kept.iter().map(|(_, trials)| trials).sum();
    let figures = kept.iter().filter(|(cell, _)| cell.state == State::Ok).count();
    Ok((trials > 0).then(|| {
        let (trials, cells) = (counted(trials, "trial"), counted(kept.len(), "cell that had not ended"));
        let (folder, figures) = (folder.display(), counted(figures, "figure"));
        format!(
            "a cargo bench was killed, and {trials} of {cells} are kept, which makes {figures}; paceline report {folder} shows them"
        )
    }))
}

/// Returns the cells that have trials and have not ended, with their numbers of trials.
fn kept(record: &Record) -> Vec<(Cell, usize)> {
    let parsed = record.run.workloads.iter();
    let workloads: Vec<Workload> =
        parsed.filter_map(|of| Workload::parse(&of.name, &of.source).ok()).collect();
    let mut open: Vec<(Planned<'_>, Vec<Trial>)> = Vec::new();
    for trial in &record.trials {
        if let Some((_, trials)) = open.iter_mut().find(|(planned, _)| planned.is_of(trial)) {
            trials.push(trial.clone());
            continue;
        }
        let workload = workloads.iter().find(|workload| workload.name == trial.workload);
        let (Some(workload), Ok(entry)) = (workload, models::find(&trial.model)) else { continue };
        let Trial { workers, placement, scale, .. } = *trial;
        let planned = Planned { workload, entry, workers, placement, scale };
        if !record.cells.iter().any(|cell| planned.is(cell)) {
            open.push((planned, vec![trial.clone()]));
        }
    }
    // The time of a round of `compute` is lost, and with it the bound.
    open.iter()
        .map(|(planned, trials)| (cell(planned, trials, None, KILLED), trials.len()))
        .collect()
}
