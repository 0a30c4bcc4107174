//! The command line.

mod advise;
mod bench;
mod claims;
mod cluster;
mod compare;
mod gate;
mod help;
mod history;
mod init;
mod list;
mod load;
mod report;
mod selftest;
mod serve;
mod values;
mod variants;

pub use bench::{BENCH, bench};

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use values::{TRIALS, budget, name, number, seed, small};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, error::ErrorKind};

use crate::{
    output::{escaped, escaped_lines, folded, print, print_error},
    plan::{Choice, Planned, cells},
    record::{Cell, Record},
    report::{Extent, cells_table, floor_line, limits_table, summary, write_page},
    run::{Order, Unfit, run, unfinished},
    start::refuse_debug_build,
};
use paceline_core::{
    interrupt,
    job::bounds,
    models::{self, Entry, MODELS},
    perform::Placement,
    process::Program,
    workloads,
};

/// Run the same jobs on many concurrency models, and show which is fastest, up to how many jobs at once.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the models, and why some cannot run here.
    Models(Listing),
    /// List the built-in workloads.
    Workloads(Listing),
    /// Measure workloads on models at several scales, each trial in a fresh process.
    Run(RunArguments),
    /// Put a server under load and show its latency.
    Load(Box<load::LoadArguments>),
    /// Serve a workload until Ctrl-C, for curl, wrk and other HTTP clients.
    Serve(serve::ServeArguments),
    /// Check whether this machine is fit to measure on, and suggest what to change.
    Doctor(Listing),
    /// Find out whether a change made something slower: build both versions, measure them in turns and give verdicts.
    Gate(Box<gate::GateArguments>),
    /// Set up a crate for the gate: a bench, its lines in Cargo.toml, workflows for GitHub and ignored folders.
    Init(init::InitArguments),
    /// Test the gate on this machine: count false alarms and find planted slowdowns.
    Selftest(selftest::SelftestArguments),
    /// Measure your own job and recommend a model for each scale.
    Advise(advise::AdviseArguments),
    /// Run the same trials on many nodes, with Slurm, SSH or another scheduler, and collect them in one record.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Test each claim of the concurrency tutorial on each model.
    Claims(claims::ClaimsArguments),
    /// Compare two recorded runs. Small changes need `gate`.
    Compare(compare::CompareArguments),
    /// Show recorded runs over time, and the first run after each step.
    History(history::HistoryArguments),
    /// Make a page of charts, tables and sentences from recorded runs, or an export for other programs.
    Report(report::ReportArguments),
    /// Print a completion script for a shell.
    Completions(help::CompletionsArguments),
    /// Print the man page, or write those of all commands.
    Man(help::ManArguments),
}

#[derive(Args)]
struct Listing {
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// The selected cells of the workloads.
#[derive(Args, Clone, PartialEq)]
struct Selection {
    /// Models, separated by commas [default: all].
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = name)]
    model: Vec<String>,
    /// Scales, separated by commas [default: those of the workload].
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "JOBS", value_parser = |text: &str| number(text, bounds::SCALE))]
    scale: Vec<usize>,
    /// Worker counts, separated by commas [default: those of the workload].
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, bounds::WORKERS))]
    workers: Vec<usize>,
}

/// The output of a command that records.
#[derive(Args, Clone, PartialEq)]
struct Output {
    /// The folder for records.
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Args, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
struct RunArguments {
    /// Built-in workloads, or .toml files [default: the core workloads].
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    workloads: Vec<String>,
    #[command(flatten)]
    of: Selection,
    /// Trials of each cell, each in a fresh process.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = |text: &str| small(text, TRIALS))]
    trials: u32,
    /// The time for the whole run, such as 90s or 30m.
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = budget)]
    budget: std::time::Duration,
    /// Where jobs are offered from [default: what each model's users do].
    #[arg(long, value_enum)]
    placement: Option<From>,
    /// Pin each model to as many CPUs as it has workers, and the echo server to the others.
    #[arg(long)]
    pin: bool,
    /// Double the scale until a model refuses, fails or exceeds the budget, and report what broke first.
    #[arg(long, conflicts_with = "trials")]
    to_the_limit: bool,
    /// Resume the newest run in the folder for records; its arguments need not be repeated.
    #[arg(long)]
    resume: bool,
    /// The seed of the shuffle; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    seed: u64,
    /// Show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    Inside,
    Outside,
    Dealt,
}

/// The exit code, and the error message.
struct CliError(u8, String);

const INTERNAL: u8 = 1;
const USAGE: u8 = 2;
const CELLS: u8 = 3;
const ENVIRONMENT: u8 = 6;
const THRESHOLD: u8 = 7;

/// Returns the definition of the command line, from which `docs/reference.md` is generated.
pub fn command() -> clap::Command {
    help::with_help(Arguments::command())
}

/// Runs the program: `main` is this function.
pub fn main() -> ExitCode {
    let matches = command().try_get_matches();
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help is printed as it is: on request, and without arguments.
            if error.exit_code() == 0
                || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            {
                return ExitCode::from(help::shown(&error));
            }
            print_error(&escaped(&values::sentence(&error)));
            return ExitCode::from(USAGE);
        }
    };
    let done = match &arguments.command {
        Command::Models(listing) => list::list_models(listing.format),
        Command::Workloads(listing) => list::list_workloads(listing.format),
        Command::Run(arguments) => measure(arguments),
        Command::Load(arguments) => load::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Doctor(listing) => list::diagnose(listing.format),
        Command::Gate(arguments) => gate::run(arguments),
        Command::Init(arguments) => init::init(arguments),
        Command::Selftest(arguments) => selftest::run(arguments),
        Command::Advise(arguments) => advise::advise_on(arguments),
        Command::Cluster(command) => cluster::run(command),
        Command::Claims(arguments) => claims::test_claims(arguments),
        Command::Compare(arguments) => compare::compare(arguments),
        Command::History(arguments) => history::show(arguments),
        Command::Report(arguments) => report::report(arguments),
        Command::Completions(arguments) => help::complete(arguments),
        Command::Man(arguments) => help::man(arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(CliError(code, message)) => {
            // Line ends are escaped, because file names and other input may contain them. The output of cargo keeps its
            // lines.
            let quotes = matches!(
                arguments.command,
                Command::Gate(_) | Command::Init(_) | Command::Selftest(_)
            );
            print_error(&if quotes { escaped_lines(&message) } else { escaped(&message) });
            ExitCode::from(code)
        }
    }
}

fn measure(asked: &RunArguments) -> Result<u8, CliError> {
    refuse_debug_build().map_err(usage)?;
    let record = asked.resume.then(|| unfinished(&asked.output.out)).transpose().map_err(unfit)?;
    let arguments = match &record {
        Some(record) => &begun_with(record, asked)?,
        None => asked,
    };
    let mut order = order(arguments).map_err(|CliError(code, why)| match &record {
        // What it names was named then, not now.
        Some(Record { run, .. }) => {
            let (id, said) = (&run.id, run.command.join(" "));
            CliError(code, format!("{id} was begun by `{said}`, and now {why}"))
        }
        None => CliError(code, why),
    })?;
    if let Some(record) = &record {
        record.may_go_on(&mut order.workloads).map_err(unfit)?;
    }
    let program = ready()?;
    let done = run(&order, program, record.as_ref()).map_err(internal)?;
    let left = match asked.output.format {
        Format::Json => say_json(&done.cells)?,
        Format::Table => {
            say(&cells_table(&done.cells, extent(asked.all)))?;
            if order.to_the_limit {
                say(&limits_table(&done.cells))?;
            }
            say_text(&summary(&done.cells))?;
            if let Some(floor) = &done.run.timer_floor {
                say_text(&floor_line(floor))?;
            }
            say(&format!("record: {}", done.folder.display()))?;
            leave_page(&done.folder)?
        }
    };
    let resume = values::with_out("paceline run --resume", &arguments.output.out);
    let kept = format!("interrupted; what had ended is kept: go on with {resume}");
    finish(&done.cells, done.interrupted.then_some(&*kept), left)
}

/// Writes the page of a run to its folder and prints its path. If that fails, the record is still complete, and the
/// command ends with an error. Returns the exit code so far.
fn leave_page(folder: &Path) -> Result<u8, CliError> {
    match write_page(folder) {
        Ok(page) => say(&format!("report: {}", page.display())),
        Err(why) => {
            print_error(&format!("there is no report: {why}"));
            Ok(INTERNAL)
        }
    }
}

/// Returns the exit code of a measurement: that of an interrupt, of failed and invalid cells, or of what `left` the page.
fn finish(cells: &[Cell], interrupted: Option<&str>, left: u8) -> Result<u8, CliError> {
    if let Some(message) = interrupted {
        return Err(CliError(interrupt::EXIT_CODE, message.into()));
    }
    Ok(if cells.iter().any(Cell::is_wrong) { CELLS } else { left })
}

/// Returns the arguments that `record` was begun with. Now the same arguments must be given, or only `--resume`.
fn begun_with(record: &Record, asked: &RunArguments) -> Result<RunArguments, CliError> {
    let command = &record.run.command;
    let Ok(Arguments { command: Command::Run(begun) }) = Arguments::try_parse_from(command) else {
        let said = command.join(" ");
        return Err(usage(format!("{} was begun by another command: {said}", record.run.id)));
    };
    // These arguments do not change what is measured.
    let own = |arguments: &RunArguments| RunArguments {
        resume: true,
        budget: asked.budget,
        all: asked.all,
        output: asked.output.clone(),
        ..arguments.clone()
    };
    let nothing = Arguments::try_parse_from(["paceline", "run"]);
    let nothing = match nothing.map(|arguments| arguments.command) {
        Ok(Command::Run(nothing)) => own(&nothing),
        _ => unreachable!("run needs no arguments"),
    };
    if own(&begun) != *asked && nothing != *asked {
        let (id, said) = (&record.run.id, command.join(" "));
        return Err(usage(format!(
            "{id}, the newest run, was begun by `{said}`: repeat that with --resume, or give --resume alone"
        )));
    }
    Ok(own(&begun))
}

fn order(arguments: &RunArguments) -> Result<Order, CliError> {
    let names: Vec<&str> = match &arguments.workloads[..] {
        [] => workloads::CORE.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    let workloads = values::workloads(&names).map_err(usage)?;
    let models = chosen(&arguments.of.model)?;
    let choice = Choice {
        scales: sorted(&arguments.of.scale),
        workers: sorted(&arguments.of.workers),
        placement: arguments.placement.map(|from| match from {
            From::Inside => Placement::Inside,
            From::Outside => Placement::Outside,
            From::Dealt => Placement::Dealt,
        }),
        in_one_class: false,
    };
    // With all models, those that cannot honour a setting are shown as refused. For a model named by the user it is an
    // error.
    if !arguments.of.model.is_empty() {
        let cells = cells(&workloads, &models, &choice);
        if let Some(why) = cells.iter().find_map(Planned::cannot_honour) {
            return Err(usage(why));
        }
    }
    Ok(Order {
        workloads,
        models,
        choice,
        // A climb has single trials.
        passes: 0..if arguments.to_the_limit { 1 } else { arguments.trials },
        budget: arguments.budget,
        seed: arguments.seed,
        pin: arguments.pin,
        to_the_limit: arguments.to_the_limit,
        results: arguments.output.out.clone(),
    })
}

/// Handles Ctrl-C from now on, and returns the program for child processes.
fn ready() -> Result<Program, CliError> {
    interrupt::watch().and_then(|()| Program::this()).map_err(|error| internal(error.to_string()))
}

/// Returns the named models; all if none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static Entry>, CliError> {
    if names.is_empty() {
        return Ok(MODELS.iter().collect());
    }
    values::each_once("--model", names).map_err(usage)?;
    names.iter().map(|name| models::find(name)).collect::<Result<_, _>>().map_err(usage)
}

fn extent(all: bool) -> Extent {
    if all { Extent::All } else { Extent::Short }
}

fn usage(message: String) -> CliError {
    CliError(USAGE, message)
}

fn internal(message: String) -> CliError {
    CliError(INTERNAL, message)
}

fn unfit(why: Unfit) -> CliError {
    match why {
        Unfit::Usage(message) => CliError(USAGE, message),
        Unfit::Environment(message) => CliError(ENVIRONMENT, message),
    }
}

fn sorted(numbers: &[usize]) -> Vec<usize> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn say_json<T: serde::Serialize>(value: &T) -> Result<u8, CliError> {
    let text = serde_json::to_string_pretty(value);
    say(&text.map_err(|error| CliError(INTERNAL, error.to_string()))?)
}

/// Prints a text for people, with lines that fit the terminal.
fn say_text(text: &str) -> Result<u8, CliError> {
    say(&folded(text))
}

fn say(text: &str) -> Result<u8, CliError> {
    print(text).map(|()| 0).map_err(|message| CliError(INTERNAL, message))
}
