//! The page of a run, or of claims, in its folder, as an instrument leaves it behind.

use std::path::{Path, PathBuf};

use super::{Sources, page};
use crate::record::{read_cells, read_claims, write_text};

/// What the page of a run is called.
pub const PAGE: &str = "report.html";

/// Writes the page of the record in `folder` there, from what is recorded, and returns where it is.
///
/// # Errors
///
/// Returns a sentence where the record cannot be read or the page not be written. The record itself is as it was.
pub fn write_page(folder: &Path) -> Result<PathBuf, String> {
    let text = match read_claims(folder)? {
        Some(claims) => page(&Sources { claims: &[claims], ..Sources::default() }),
        None => page(&Sources { records: &[read_cells(folder)?], ..Sources::default() }),
    };
    let file = folder.join(PAGE);
    write_text(&file, text.as_bytes())?;
    Ok(file)
}
