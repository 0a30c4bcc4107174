//! `cargo bench`: reads its options, measures, and prints the tables and the page.

use std::process::ExitCode;

use super::{CliError, finish, internal, leave_page, ready, say, usage};
use crate::{
    bench::{Options, chosen, complete_newest, measure, replay_child},
    output::{print_error, print_note},
    report::{benched_table, summary},
    start::refuse_debug_build,
};
use paceline_core::{
    interrupt::{self, interrupted},
    job::Workload,
    models::{Entry, MODELS},
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
        Ok(code) => ExitCode::from(code),
        Err(CliError(code, message)) => {
            print_error(&message);
            ExitCode::from(code)
        }
    }
}

/// What `cargo bench -- --help` prints.
const HELP: &str = "\
cargo bench [-- [FILTER] [OPTIONS]]: measures workloads on models at several scales, and shows tables, a page and
criterion's report. FILTER is a regular expression for workload/model/scale, such as 'sleep/tokio/'.

Options, most of them criterion's:
  --list                     list the benchmarks, and measure nothing
  --exact                    FILTER is a whole name
  --sample-size N            samples of each benchmark [default: 10]
  --measurement-time SECONDS the least time that the batches of a benchmark take together
  --save-baseline NAME, --baseline NAME, --baseline-lenient NAME, --discard-baseline
  --verbose                  show criterion's lines, which otherwise go to a file
  --noplot                   no plots in criterion's report

Environment:
  PACELINE_PROFILE           quick, default or full
  PACELINE_MODELS            all, or names separated by commas
  PACELINE_BUDGET            the time to measure, such as 90s or 30m
  PACELINE_SEED              the seed of the order
  PACELINE_RESULTS           the folder for records

docs/running.md says more.";

fn run() -> Result<u8, CliError> {
    if std::env::args_os().skip(1).any(|word| word == "--help" || word == "-h") {
        return say(HELP);
    }
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
    if options.list {
        let lines: Vec<String> =
            cells.iter().map(|cell| format!("{}: benchmark", cell.name())).collect();
        // An empty line would be a name to test runners.
        if !lines.is_empty() {
            say(&lines.join("\n"))?;
        }
        if let Some(line) = &left_out {
            print_note(line);
        }
        return Ok(0);
    }
    if options.is_of_ignored() {
        print_note("no benchmark is ignored, so --ignored runs none");
        return Ok(0);
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
    let outcome = measure(&workloads, &models, &cells, &options, ready()?).map_err(internal)?;
    say(benched_table(&outcome.cells).trim_start_matches('\n'))?;
    left_out.iter().try_for_each(|line| say(line).map(drop))?;
    say(&summary(&outcome.cells))?;
    say(&format!("record: {}", outcome.folder.display()))?;
    let left = leave_page(&outcome.folder)?;
    if interrupted() {
        let message = "interrupted; what was measured is kept";
        return Err(CliError(interrupt::EXIT_CODE, message.into()));
    }
    if let Some(report) = outcome.report {
        let report = report.map_err(internal)?;
        let log = format!("{} (--verbose shows them)", outcome.log.display());
        // criterion writes no report without plots.
        say(&if report.exists() {
            format!("criterion's report: {}, its lines: {log}", report.display())
        } else {
            format!("criterion's lines: {log}")
        })?;
    }
    finish(&outcome.cells, None, left)
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
