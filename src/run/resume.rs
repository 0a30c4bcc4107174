//! Finds the run to resume, and checks that the machine and the definitions are the same.

use std::{fs, io, path::Path};

use crate::{
    machine::{build, fingerprint},
    record::{Record, read},
    start::model_info,
};
use paceline_core::{job::Workload, models};

/// The reason why a run cannot be resumed.
pub enum Unfit {
    /// The request differs from the run.
    Usage(String),
    /// The machine or the build differs.
    Environment(String),
}

/// Returns the newest run of this instrument in `results`.
pub fn unfinished(results: &Path) -> Result<Record, Unfit> {
    let none = || {
        let place = results.display();
        Unfit::Usage(format!(
            "{place} has no run to go on with: begin one without --resume, or say where it is with --out"
        ))
    };
    let entries = fs::read_dir(results).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => none(),
        _ => Unfit::Usage(format!("{} cannot be read: {error}", results.display())),
    })?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.contains("-trials-")).collect();
    // Names begin with the date.
    names.sort_unstable();
    while let Some(newest) = names.pop() {
        let folder = results.join(newest);
        // A run that was killed before it wrote anything does not count.
        if !folder.join("run.json").exists() {
            continue;
        }
        let record = read(&folder).map_err(Unfit::Usage)?;
        if record.run.can_be_resumed() {
            record.check_trials().map_err(Unfit::Usage)?;
            return Ok(record);
        }
    }
    Err(none())
}

impl Record {
    /// Checks that this run may be resumed here, and restores the rounds that durations of `compute` had.
    pub fn may_go_on(&self, workloads: &mut [Workload]) -> Result<(), Unfit> {
        let id = &self.run.id;
        for workload in workloads {
            let begun = self.run.workloads.iter().find(|begun| begun.name == workload.name);
            let Some(same) = begun.and_then(|begun| workload.as_recorded(&begun.source)) else {
                return Err(Unfit::Usage(format!(
                    "the definition of `{}` has changed since {id} began: begin a new run without --resume",
                    workload.name
                )));
            };
            *workload = same;
        }
        let here = fingerprint();
        if here.hash != self.run.fingerprint.hash {
            return Err(Unfit::Environment(format!(
                "{id} was begun on another machine or with another build (fingerprint {}, here {}): begin a new run \
                 without --resume",
                self.run.fingerprint.hash, here.hash
            )));
        }
        if build() != self.run.build {
            return Err(Unfit::Environment(format!(
                "{id} was begun by another build of paceline: begin a new run without --resume"
            )));
        }
        for begun in &self.run.models {
            let Ok(entry) = models::find(&begun.name) else { continue };
            let here = model_info(entry).version;
            if here != begun.version {
                return Err(Unfit::Environment(format!(
                    "{id} was begun with {} {}, and here is {here}: begin a new run without --resume",
                    begun.name, begun.version
                )));
            }
        }
        Ok(())
    }
}
