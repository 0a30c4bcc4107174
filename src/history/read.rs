//! The records in a folder, and those that cannot be read with the reason.

use std::{fs, path::Path};

use crate::record::{self, Gate, Record};

/// What is in a folder for records.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The runs.
    pub records: Vec<Record>,
    /// The gates.
    pub gates: Vec<Gate>,
    /// A sentence for each folder that holds no record, or one that cannot be read.
    pub left_out: Vec<String>,
}

/// Reads every record in the folders of `results`. One that cannot be read is no error: it is named in `left_out`.
///
/// # Errors
///
/// Returns a sentence where `results` itself cannot be read.
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
        // A gate has the head of a run only where it keeps one, and claims have none; any other folder must.
        let has_none = is_gate || folder.join("claims.json").exists();
        if !has_none || folder.join("run.json").exists() {
            match record::read_cells(&folder) {
                Ok(record) => found.records.push(record),
                Err(why) => found.left_out.push(why),
            }
        }
    }
    Ok(found)
}
