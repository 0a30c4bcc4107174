//! The instrument behind `cargo bench`: every cell timed by criterion, within a budget.

mod options;
mod suite;

pub use options::{Options, Profile};

use std::process::ExitCode;

use crate::{
    job::Workload,
    measure::{Program, spawned},
    models::MODELS,
    record::Cell,
    report::{closing_table, print, print_error, summary, write_page},
    start::refuse_debug_build,
    workloads,
};

/// What `benches/suite.rs` is.
#[must_use]
pub fn main() -> ExitCode {
    spawned();
    match run() {
        Ok(code) => code,
        Err((code, message)) => {
            print_error(&message);
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<ExitCode, (u8, String)> {
    let usage = |message| (2, message);
    let options = Options::from_environment().map_err(usage)?;
    let named = options.profile.workloads();
    let workloads = workloads::built_in();
    let of_profile = |w: &Workload| named.is_empty() || named.contains(&w.name.as_str());
    let workloads: Vec<_> = workloads.into_iter().filter(of_profile).collect();
    let models: Vec<_> = MODELS.iter().collect();
    let cells = suite::chosen(&workloads, &models, &options);
    let show = |text: String| print(&text).map_err(|message| (1, message));
    if options.list {
        let lines: Vec<String> =
            cells.iter().map(|cell| format!("{}: benchmark", cell.name())).collect();
        show(lines.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if cells.is_empty() {
        let filter = options.filter_text.unwrap_or_default();
        return Err(usage(format!(
            "no benchmark matches `{filter}`: cargo bench -- --list shows all, PACELINE_PROFILE=full has more"
        )));
    }
    if !options.test {
        refuse_debug_build().map_err(usage)?;
    }
    let program = Program::this().map_err(|error| (1, error.to_string()))?;
    let outcome =
        suite::measure(&workloads, &models, &cells, &options, program).map_err(|e| (1, e))?;
    show(closing_table(&outcome.cells))?;
    show(summary(&outcome.cells))?;
    show(format!("record: {}", outcome.folder.display()))?;
    match write_page(&outcome.folder) {
        Ok(page) => show(format!("report: {}", page.display()))?,
        Err(why) => print_error(&format!("there is no report: {why}")),
    }
    show(format!("criterion's report: {}", outcome.report.display()))?;
    Ok(ExitCode::from(if outcome.cells.iter().any(Cell::is_wrong) { 3 } else { 0 }))
}
