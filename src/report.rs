//! Reports of whole records: tables, charts, the page, and exports for other programs.

mod advice;
pub mod chart;
mod claims;
mod compare;
mod details;
mod export;
mod gate;
mod history;
mod load;
mod page;
mod selftest;
mod table;
mod unreliable;

pub use advice::{advice_in_brief, advice_in_short, advice_text};
pub use claims::claims_table;
pub use compare::{agreement_table, comparison_table};
pub use details::floor_line;
pub use export::{Export, Exported, RunDocument, run_schema};
pub use gate::gate_table;
pub use history::{history_csv, history_table};
pub use load::load_table;
pub use page::{Charts, Sources, page};
pub use selftest::selftest_text;
pub use table::{Extent, benched_table, cells_table, limits_table, summary};

use std::path::{Path, PathBuf};

use crate::output;
use crate::record::{Record, read_cells, read_claims, write_whole};

/// Returns the table that the instrument of a run printed at its end, from its record.
pub fn run_table(record: &Record, extent: Extent) -> String {
    let cells = record.planned();
    let table = match record.run.instrument.as_str() {
        "load" => load_table(cells.iter().copied(), extent),
        "criterion" if extent == Extent::Short => benched_table(cells.iter().copied()),
        _ => cells_table(cells.iter().copied(), extent),
    };
    format!("{table}\n{}", output::folded(&summary(cells.iter().copied())))
}

/// The file name of a run's page.
pub const PAGE: &str = "report.html";

/// Writes the page of the record in `folder` there, and returns its path.
pub fn write_page(folder: &Path) -> Result<PathBuf, String> {
    let text = match read_claims(folder)? {
        Some(claims) => page(&Sources { claims: &[claims], ..Sources::default() }),
        None => page(&Sources { records: &[read_cells(folder)?], ..Sources::default() }),
    };
    let file = folder.join(PAGE);
    write_whole(&file, text.as_bytes()).map_err(|error| {
        let (place, remedy, folder) = (file.display(), output::remedy(&error), folder.display());
        format!("cannot write {place}: {error}; {remedy}, and paceline report {folder} makes it")
    })?;
    Ok(file)
}
