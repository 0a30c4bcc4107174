//! `paceline advise`: measures a user's own job, and says which model to take and from which scale on.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{
    CELLS, CliError, Format, Output, RunArguments, Selection, TRIALS, budget, internal, order,
    ready, say, say_json, seed, small,
};
use crate::{
    advice::{Advice, advise},
    output::print_error,
    report::{advice_in_short, advice_text},
    run::{Order, run},
    start::refuse_debug_build,
};
use paceline_core::{interrupt, models::Entry};

#[derive(Args)]
pub(super) struct AdviseArguments {
    /// The job: a file that ends in .toml, or a built-in workload.
    #[arg(value_name = "FILE.toml|WORKLOAD")]
    workload: String,
    #[command(flatten)]
    of: Selection,
    /// Trials of each cell, a fresh process each: with fewer than 3 nothing is ranked.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = |text: &str| small(text, TRIALS))]
    trials: u32,
    /// The time for all, such as 90s or 30m.
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = budget)]
    budget: Duration,
    /// What shuffles the order; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

/// The advice as `--format json` has it.
#[derive(Serialize)]
struct SideFigures<'a> {
    /// Whether cells are missing that were asked for, because of an interrupt.
    partial: bool,
    #[serde(flatten)]
    advice: &'a Advice,
    summary: Vec<String>,
}

pub(super) fn advise_on(asked: &AdviseArguments) -> Result<u8, CliError> {
    refuse_debug_build().map_err(super::usage)?;
    let mut order = order(&asked.as_run())?;
    order.choice.in_one_class = true;
    let left_out = if asked.of.model.is_empty() { unreliable_out_of(&mut order) } else { None };
    let program = ready()?;
    let done = run(&order, program, None).map_err(internal)?;
    let advice = Advice { workload: order.workloads[0].name.clone(), ..advise(&done.cells) };
    let mut summary = advice_in_short(&advice, done.interrupted);
    summary.extend(left_out);
    match asked.output.format {
        Format::Json => {
            say_json(&SideFigures { partial: done.interrupted, advice: &advice, summary })?
        }
        Format::Table => {
            say(&advice_text(&advice, &summary))?;
            say(&format!("\nrecord: {}", done.folder.display()))?
        }
    };
    let faults = done.cells.iter().filter(|cell| cell.is_wrong()).count();
    if done.interrupted {
        let message = "interrupted; the advice is on what had ended, and the record keeps it";
        return Err(CliError(interrupt::EXIT_CODE, message.into()));
    }
    if faults > 0 {
        let (of, all) = (if faults == 1 { "cell" } else { "cells" }, done.cells.len());
        print_error(&format!(
            "{faults} {of} of {all} failed or came out invalid; the advice says which and why"
        ));
        return Ok(CELLS);
    }
    Ok(0)
}

/// Takes out the models that fail through no fault of the job, and returns the sentence that says so, if there are any.
fn unreliable_out_of(order: &mut Order) -> Option<String> {
    let reliable = |entry: &&'static Entry| entry.info.unreliable.is_none();
    let (kept, out): (Vec<_>, Vec<_>) = order.models.drain(..).partition(reliable);
    order.models = kept;
    let names: Vec<&str> = out.iter().map(|entry| entry.info.name).collect();
    let (first, is) = (names.first()?, if names.len() == 1 { "is" } else { "are" });
    let names = names.join(" and ");
    Some(format!(
        "Left out: {names}, which {is} unreliable. To include it, name models: --model {first},tokio."
    ))
}

impl AdviseArguments {
    pub(super) fn as_run(&self) -> RunArguments {
        RunArguments {
            workloads: vec![self.workload.clone()],
            of: self.of.clone(),
            trials: self.trials,
            budget: self.budget,
            placement: None,
            pin: false,
            to_the_limit: false,
            resume: false,
            all: false,
            seed: self.seed,
            output: self.output.clone(),
        }
    }
}
