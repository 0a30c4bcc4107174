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

use values::{TRIALS, budget, number, seed, small};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, error::ErrorKind};

use crate::{
    output::{escaped, escaped_lines, print, print_error},
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

/// The same jobs on every concurrency model, each number with a verified receipt.
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
    /// Put a server under load, and show its latency.
    Load(Box<load::LoadArguments>),
    /// Serve a workload until Ctrl-C, for curl, wrk and other HTTP clients.
    Serve(serve::ServeArguments),
    /// Check whether this machine is fit to measure on, and say what to change.
    Doctor(Listing),
    /// Find out whether a change made something slower: build both versions, measure them in turns, give verdicts.
    Gate(Box<gate::GateArguments>),
    /// Set a crate up for the gate: a bench, its lines in Cargo.toml, workflows for GitHub and ignored folders.
    Init(init::InitArguments),
    /// Test the gate on this machine: count false alarms and find planted slowdowns.
    Selftest(selftest::SelftestArguments),
    /// Measure your own job, and say which model to take and from which scale on.
    Advise(advise::AdviseArguments),
    /// The same trials on many nodes, by Slurm, SSH or another scheduler, and one record of them.
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
    /// Print what a shell reads to complete commands and options.
    Completions(help::CompletionsArguments),
    /// Print the manual page, or write those of all commands.
    Man(help::ManArguments),
}

#[derive(Args)]
struct Listing {
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Which cells of the workloads.
#[derive(Args, Clone, PartialEq)]
struct Selection {
    /// Models, separated by commas; all where none is named.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    model: Vec<String>,
    /// Scales, separated by commas; the workload's own where none is named.
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "JOBS", value_parser = |text: &str| number(text, bounds::SCALE))]
    scale: Vec<usize>,
    /// Numbers of workers, separated by commas; the workload's own where none is named.
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, bounds::WORKERS))]
    workers: Vec<usize>,
}

/// Where the result goes.
#[derive(Args, Clone, PartialEq)]
struct Output {
    /// The folder for records.
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    /// How to show the result.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Args, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
struct RunArguments {
    /// Built-in workloads, or files that end in .toml; all core workloads where none is named.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    workloads: Vec<String>,
    #[command(flatten)]
    of: Selection,
    /// Processes for each cell.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = |text: &str| small(text, TRIALS))]
    trials: u32,
    /// The time for all, such as 90s or 30m.
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = budget)]
    budget: std::time::Duration,
    /// Where jobs are offered from; each model's own where it is not said.
    #[arg(long, value_enum)]
    placement: Option<From>,
    /// Keep each model on as many CPUs as it has workers, and the echo server on the others.
    #[arg(long)]
    pin: bool,
    /// Double the scale until a model refuses, fails or leaves the budget, and say what broke first.
    #[arg(long, conflicts_with = "trials")]
    to_the_limit: bool,
    /// Go on with the newest run in the folder for records, which other arguments need not repeat.
    #[arg(long)]
    resume: bool,
    /// What shuffles the order; recorded.
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

/// What went wrong, and with which exit code.
struct CliError(u8, String);

const INTERNAL: u8 = 1;
const USAGE: u8 = 2;
const CELLS: u8 = 3;
const ENVIRONMENT: u8 = 6;
const THRESHOLD: u8 = 7;

/// Returns the definition of the command line, from which `docs/reference.md` is generated.
#[must_use]
pub fn command() -> clap::Command {
    help::with_help(Arguments::command())
}

/// What `main` is.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command().try_get_matches();
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Without arguments, and where it is asked for, help is shown whole.
            if error.exit_code() == 0
                || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            {
                let _ = error.print();
                return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
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
        Command::Claims(arguments) => claims::put_to_the_test(arguments),
        Command::Compare(arguments) => compare::compare(arguments),
        Command::History(arguments) => history::show(arguments),
        Command::Report(arguments) => report::report(arguments),
        Command::Completions(arguments) => help::complete(arguments),
        Command::Man(arguments) => help::man(arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(CliError(code, message)) => {
            // Names of files and other text of users may contain line ends. Cargo's own words are quoted in lines.
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
    let record =
        if asked.resume { Some(unfinished(&asked.output.out).map_err(unfit)?) } else { None };
    let arguments = match &record {
        Some(record) => &begun_with(record, asked)?,
        None => asked,
    };
    let mut order = order(arguments)?;
    if let Some(record) = &record {
        record.may_go_on(&mut order.workloads).map_err(unfit)?;
    }
    let program = ready()?;
    let done = run(&order, program, record.as_ref()).map_err(internal)?;
    match asked.output.format {
        Format::Json => say_json(&done.cells)?,
        Format::Table => {
            say(&cells_table(&done.cells, extent(asked.all)))?;
            if order.to_the_limit {
                say(&limits_table(&done.cells))?;
            }
            say(&summary(&done.cells))?;
            if let Some(floor) = &done.run.timer_floor {
                say(&floor_line(floor))?;
            }
            say(&format!("record: {}", done.folder.display()))?;
            leave_page(&done.folder)?
        }
    };
    let kept = "interrupted; what had ended is kept, and --resume goes on with the rest";
    finish(&done.cells, done.interrupted.then_some(kept))
}

/// Leaves the page of a run in its folder, and says where. That it cannot be written takes nothing from the record.
fn leave_page(folder: &Path) -> Result<u8, CliError> {
    match write_page(folder) {
        Ok(page) => say(&format!("report: {}", page.display())),
        Err(why) => {
            print_error(&format!("there is no report: {why}"));
            Ok(0)
        }
    }
}

/// The exit code of a measurement: of an interrupt, if there was one, or that of cells where one failed or is invalid.
fn finish(cells: &[Cell], interrupted: Option<&str>) -> Result<u8, CliError> {
    if let Some(message) = interrupted {
        return Err(CliError(interrupt::EXIT_CODE, message.into()));
    }
    Ok(if cells.iter().any(Cell::is_wrong) { CELLS } else { 0 })
}

/// The arguments that `record` was begun with. What is asked for now must be the same, or nothing but to go on.
fn begun_with(record: &Record, asked: &RunArguments) -> Result<RunArguments, CliError> {
    let command = &record.run.command;
    let Ok(Arguments { command: Command::Run(begun) }) = Arguments::try_parse_from(command) else {
        let said = command.join(" ");
        return Err(usage(format!("{} was begun by another command: {said}", record.run.id)));
    };
    // What does not change what is measured.
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
    let workloads =
        names.into_iter().map(workloads::find).collect::<Result<Vec<_>, _>>().map_err(usage)?;
    let mut known: Vec<&str> = workloads.iter().map(|w| w.name.as_str()).collect();
    known.sort_unstable();
    if let Some([twice, _]) = known.array_windows().find(|[one, next]| one == next) {
        return Err(usage(format!("two workloads are called `{twice}`: give one another name")));
    }
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
    // Of all models those that cannot are shown as refused; one that was named is a mistake.
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
        // A climb is of single trials.
        passes: 0..if arguments.to_the_limit { 1 } else { arguments.trials },
        budget: arguments.budget,
        seed: arguments.seed,
        pin: arguments.pin,
        to_the_limit: arguments.to_the_limit,
        results: arguments.output.out.clone(),
    })
}

/// The program that child processes run, once Ctrl-C is taken.
fn ready() -> Result<Program, CliError> {
    interrupt::watch().and_then(|()| Program::this()).map_err(|error| internal(error.to_string()))
}

/// The models that were named; all where none was.
fn chosen(names: &[String]) -> Result<Vec<&'static Entry>, CliError> {
    if names.is_empty() {
        return Ok(MODELS.iter().collect());
    }
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

fn say(text: &str) -> Result<u8, CliError> {
    print(text).map(|()| 0).map_err(|message| CliError(INTERNAL, message))
}
