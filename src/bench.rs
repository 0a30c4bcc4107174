//! The instrument behind `cargo bench`: every cell timed by criterion, within a budget.

mod options;
mod suite;

pub use options::{Options, Profile};

use std::process::ExitCode;

use crate::{
    measure::{Program, spawned},
    models::MODELS,
    record::State,
    report::{cells_table, summary},
    workloads,
};

/// What `benches/suite.rs` is.
#[must_use]
pub fn main() -> ExitCode {
    spawned();
    match run() {
        Ok(code) => code,
        Err((code, message)) => {
            say_wrong(&message);
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<ExitCode, (u8, String)> {
    let usage = |message| (2, message);
    let options = Options::from_environment().map_err(usage)?;
    let named = options.profile.workloads();
    let workloads = workloads::built_in();
    let of_profile =
        |w: &crate::job::Workload| named.is_empty() || named.contains(&w.name.as_str());
    let workloads: Vec<_> = workloads.into_iter().filter(of_profile).collect();
    let models: Vec<_> = MODELS.iter().collect();
    let cells = suite::chosen(&workloads, &models, &options);
    if options.list {
        say(&cells
            .iter()
            .map(|cell| format!("{}: benchmark", suite::id(cell)))
            .collect::<Vec<_>>()
            .join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    if cells.is_empty() {
        let filter = options.filter_text.unwrap_or_default();
        return Err(usage(format!(
            "no benchmark matches `{filter}`: cargo bench -- --list shows all, PACELINE_PROFILE=full has more"
        )));
    }
    if !options.test {
        crate::start::refuse_debug_build().map_err(usage)?;
    }
    let program = Program::this().map_err(|error| (1, error.to_string()))?;
    let outcome =
        suite::measure(&workloads, &models, &cells, &options, program).map_err(|e| (1, e))?;
    say(&cells_table(&outcome.cells));
    say(&summary(&outcome.cells));
    say(&format!("record: {}", outcome.folder.display()));
    say(&format!("criterion's report: {}", outcome.report.display()));
    let wrong = |cell: &crate::record::Cell| matches!(cell.state, State::Failed | State::Invalid);
    Ok(ExitCode::from(if outcome.cells.iter().any(wrong) { 3 } else { 0 }))
}

#[expect(clippy::print_stdout, reason = "results go to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "errors go to standard error")]
fn say_wrong(text: &str) {
    eprintln!("error: {text}");
}
