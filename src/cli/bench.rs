//! `cargo bench`: reads its options, measures, and prints the tables and the page.

use std::process::ExitCode;

use crate::{
    bench::{Options, chosen, complete_newest, measure, replay_child},
    output::{print, print_error, print_note},
    record::Cell,
    report::{benched_table, summary, write_page},
    start::refuse_debug_build,
};
use paceline_core::{
    interrupt::{self, interrupted},
    job::Workload,
    models::{Entry, MODELS},
    process::Program,
    workloads,
};

/// The variable with which `benches/suite.rs` starts this program.
pub const BENCH: &str = "PACELINE_BENCH";

/// Runs `cargo bench`.
pub fn bench() -> ExitCode {
    if let Some(code) = replay_child() {
        return code;
    }
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
    let mut cells = chosen(&workloads, &MODELS.iter().collect::<Vec<_>>(), &options);
    let asked = |entry: &&Entry| cells.iter().any(|cell| cell.entry.info.name == entry.info.name);
    let (models, left_out) = options.choose_models(MODELS.iter().filter(asked).collect());
    cells.retain(|cell| models.iter().any(|model| model.info.name == cell.entry.info.name));
    let left_out = left_out_line(&left_out);
    let show = |text: String| print(&text).map_err(|message| (1, message));
    if options.list {
        let lines: Vec<String> =
            cells.iter().map(|cell| format!("{}: benchmark", cell.name())).collect();
        show(lines.join("\n"))?;
        if let Some(line) = &left_out {
            print_note(line);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if cells.is_empty() {
        let filter = options.filter_text.unwrap_or_default();
        return Err(usage(format!(
            "no benchmark matches `{filter}`: cargo bench -- --list shows what there is, PACELINE_PROFILE=full has \
             more workloads and PACELINE_MODELS=all more models"
        )));
    }
    if !options.test {
        refuse_debug_build().map_err(usage)?;
    }
    // A record that cannot be completed does not keep a new one from being made.
    complete_newest(&options.results).unwrap_or_else(Some).iter().for_each(|said| print_note(said));
    let program = interrupt::watch().and_then(|()| Program::this());
    let program = program.map_err(|error| (1, error.to_string()))?;
    let outcome = measure(&workloads, &models, &cells, &options, program).map_err(|e| (1, e))?;
    show(benched_table(&outcome.cells))?;
    left_out.into_iter().try_for_each(show)?;
    show(summary(&outcome.cells))?;
    show(format!("record: {}", outcome.folder.display()))?;
    let page = write_page(&outcome.folder).map_err(|why| format!("there is no report: {why}"));
    if let Ok(page) = &page {
        show(format!("report: {}", page.display()))?;
    }
    if interrupted() {
        return Err((interrupt::EXIT_CODE, "interrupted; what was measured is kept".into()));
    }
    match outcome.report {
        None => {}
        Some(Ok(report)) => {
            // criterion writes no report without plots.
            if report.exists() {
                show(format!("criterion's report: {}", report.display()))?;
            }
            show(format!("criterion's lines: {} (--verbose shows them)", outcome.log.display()))?;
        }
        Some(Err(why)) => return Err((1, why)),
    }
    let wrong = outcome.cells.iter().any(Cell::is_wrong);
    page.map_err(|why| (if wrong { 3 } else { 1 }, why))?;
    Ok(ExitCode::from(if wrong { 3 } else { 0 }))
}

/// Returns the models left out by default, and how to include them.
fn left_out_line(models: &[&str]) -> Option<String> {
    let list = models.join(", ");
    (!models.is_empty()).then(|| {
        format!(
            "left out by default: {list}; PACELINE_MODELS=all or a list of models brings them, and so does a filter \
             that names one"
        )
    })
}
