//! `paceline selftest`: tests the gate on this machine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    CliError, ENVIRONMENT, Format, Output, budget, internal, ready, say, say_json, say_text, seed,
    small, usage, values::TRIALS,
};
use crate::{
    gate::{
        Exit, Project,
        selftest::{KINDS, Trial, least_budget, selftest},
    },
    record::{check_writable, write_json},
    report::selftest_text,
    start::refuse_debug_build,
};
use paceline_core::{clock::utc, interrupt, job::Bound, process::Program};

const SUITES: Bound = Bound { what: "the number of suites", least: 0, most: 1000 };

#[derive(Args)]
pub(super) struct SelftestArguments {
    /// The time for the whole test. An hour is enough for every figure.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = budget)]
    budget: Duration,
    /// Kinds of work to plant slowdowns in, separated by commas [default: all].
    #[arg(long, value_delimiter = ',', value_name = "KIND", value_parser = KINDS)]
    kind: Vec<String>,
    /// The most suites of equal programs; with 0, only slowdowns are planted.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = |text: &str| small(text, SUITES))]
    suites: u32,
    /// Trials of each cell in a suite.
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = |text: &str| small(text, Bound { least: 5, ..TRIALS }))]
    trials: u32,
    /// Keep each process on as many CPUs as its cell has workers, and a planted slowdown on one.
    #[arg(long)]
    pin: bool,
    /// The seed of shuffling and resampling.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(asked: &SelftestArguments) -> Result<u8, CliError> {
    let least = least_budget(asked.suites);
    if asked.budget < least {
        let least_alone = least_budget(0).as_secs();
        let alone = if asked.suites > 0 {
            format!(", or {least_alone}s with --suites 0")
        } else {
            String::new()
        };
        return Err(usage(format!(
            "--budget {}s is too short for the self-test, which plants slowdowns for 20s each: give at least {}s{alone}",
            asked.budget.as_secs_f64(),
            least.as_secs()
        )));
    }
    refuse_debug_build().map_err(usage)?;
    let program = ready()?;
    check_writable(&asked.output.out).map_err(internal)?;
    let this = std::env::current_exe().map_err(|error| internal(error.to_string()))?;
    let project = Project::here(Path::new("."), None, None)?;
    let source = project.resolve(&this.to_string_lossy())?;
    let copy = project.build(&source, true, &|_| {})?;
    let name = format!("{}-selftest-{}", utc().replace(':', "-"), std::process::id());
    let folder: PathBuf = asked.output.out.join(name);
    let trial = Trial {
        budget: asked.budget,
        suites: asked.suites,
        trials: asked.trials,
        pin: asked.pin,
        kinds: KINDS
            .into_iter()
            .filter(|kind| asked.kind.is_empty() || asked.kind.iter().any(|k| k == kind))
            .collect(),
        seed: asked.seed,
        programs: [program.clone(), program, Program::at(copy.program)]
            .map(Program::with_own_cells),
        results: folder.clone(),
    };
    let done = selftest(&trial).map_err(|error| match error.exit {
        Exit::Usage => CliError(
            ENVIRONMENT,
            "this machine is too slow or too busy for the suites of the self-test: end other programs, or give --suites 0".into(),
        ),
        _ => error.into(),
    })?;
    write_json(&folder.join("selftest.json"), &done).map_err(internal)?;
    match asked.output.format {
        Format::Json => say_json(&done)?,
        Format::Table => {
            say_text(&selftest_text(&done))?;
            say(&format!("records: {}", folder.display()))?
        }
    };
    if done.interrupted {
        return Err(CliError(
            interrupt::EXIT_CODE,
            "interrupted; what was measured is kept".into(),
        ));
    }
    Ok(0)
}
