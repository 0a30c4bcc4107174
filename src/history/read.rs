//! Reads the records in a folder, and lists those that cannot be read with the reason.

use std::{fs, path::Path};

use crate::record::{self, Gate, Record};

/// The contents of a folder for records.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The runs.
    pub records: Vec<Record>,
    /// The gates.
    pub gates: Vec<Gate>,
    /// A sentence for each folder without a record, or with one that cannot be read.
    pub left_out: Vec<String>,
}

/// Reads every record in the folders of `results`. One that cannot be read is not an error: `left_out` names it.
pub fn read(results: &Path) -> Result<Recorded, String> {
    let fault = |error| {
        let place = results.display();
        format!("cannot read records in {place}: {error}; name their folder with --out")
    };
    let mut folders = Vec::new();
    for entry in fs::read_dir(results).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    let mut found = Recorded::default();
    for folder in folders {
        let gate = record::read_gate(&folder);
        let is_gate = !matches!(gate, Ok(None));
        match gate {
            Ok(gate) => found.gates.extend(gate),
            Err(why) => found.left_out.push(why),
        }
        // A gate has a run's head only if it keeps one, and claims have none; any other folder must have one.
        let has_none = is_gate || folder.join("claims.json").exists();
        let has_head = folder.join("run.json").exists();
        if !has_none && !has_head {
            let folder = folder.display();
            found.left_out.push(format!(
                "{folder} has no run.json, gate.json or claims.json, so it is no record: move it elsewhere, or bring the \
                 file back"
            ));
        } else if has_head {
            match record::read_cells(&folder) {
                Ok(record) => found.records.push(record),
                Err(why) => found.left_out.push(why),
            }
        }
    }
    Ok(found)
}
