//! The order of the plan, in which every table and export shows cells, and the cells that are missing.

use std::path::Path;

use super::{Cell, Record};
use crate::output::{count, counted};

/// Returns the folder that a folder is in. The parent of a name alone has no name by itself.
fn parent_of(folder: &Path) -> &Path {
    let alone = if folder == Path::new(".") { ".." } else { "." };
    folder.parent().filter(|of| !of.as_os_str().is_empty()).unwrap_or(Path::new(alone))
}

impl Record {
    /// Returns the cells in the order of the plan: by workload, model, workers and scale, as requested. In the record
    /// they are in the order in which they ended, which depends on the shuffle.
    pub fn planned(&self) -> Vec<&Cell> {
        let workloads = self.workloads();
        let models: Vec<&str> = self.run.models.iter().map(|model| model.name.as_str()).collect();
        let place = |names: &[&str], name: &str| names.iter().position(|of| *of == name);
        let of = |cell: &Cell| {
            let load = cell.load.as_ref();
            let rate =
                load.and_then(|load| load.rate).filter(|_| load.is_some_and(|l| l.knee.is_none()));
            (
                place(&workloads, &cell.workload),
                // Models that the run does not list come last.
                place(&models, &cell.model).unwrap_or(usize::MAX),
                cell.workers,
                cell.scale,
                load.is_some_and(|load| load.knee.is_some()),
                // The bits of positive rates sort as the rates do.
                rate.map(f64::to_bits),
            )
        };
        let mut cells: Vec<&Cell> = self.cells.iter().collect();
        cells.sort_by_key(|cell| of(cell));
        cells
    }

    /// Returns the workloads of the cells in the order requested; cells are in the order in which they ended.
    pub fn workloads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let defined = self.run.workloads.iter().map(|defined| defined.name.as_str());
        let of_cells = || self.cells.iter().map(|cell| cell.workload.as_str());
        for name in defined.filter(|name| of_cells().any(|of| of == *name)).chain(of_cells()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns what an interrupted run lacks and what to do about it; `None` if it is complete.
    pub fn missing(&self) -> Option<String> {
        let planned = self.run.planned.filter(|planned| self.cells.len() < *planned)?;
        let place = parent_of(&self.folder).display();
        let again = match self.nodes {
            Some(_) => "go on with paceline cluster submit and collect".into(),
            None if self.run.can_be_resumed() => {
                format!("go on with paceline run --resume --out {place}")
            }
            None if self.run.instrument == "criterion" => "cargo bench measures all anew".into(),
            None => "measure again for the others".into(),
        };
        Some(format!(
            "{} is not whole: {} of its {} have ended; {again}",
            self.run.id,
            count(self.cells.len()),
            counted(planned, "cell")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_record_is_named_however_short_its_own_name_is() {
        for (folder, parent) in [("results/a", "results"), ("a", "."), (".", ".."), ("/r/a", "/r")]
        {
            assert_eq!(parent_of(Path::new(folder)), Path::new(parent));
        }
    }
}
