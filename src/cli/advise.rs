//! `paceline advise`: measures a user's own job and recommends a model for each scale.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{
    CELLS, CliError, Format, Output, RunArguments, Selection, TRIALS, budget, internal, order,
    ready, say, say_json, seed, small,
};
use crate::{
    advice::{Advice, advise},
    output::{counted, print_error},
    report::{advice_in_short, advice_text},
    run::{Order, run},
    start::refuse_debug_build,
};
use paceline_core::{interrupt, models::Entry};

#[derive(Args)]
pub(super) struct AdviseArguments {
    /// The job: a .toml file, or a built-in workload.
    #[arg(value_name = "FILE.toml|WORKLOAD")]
    workload: String,
    #[command(flatten)]
    of: Selection,
    /// Trials of each cell, each in a fresh process. With fewer than 3, nothing is ranked.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = |text: &str| small(text, TRIALS))]
    trials: u32,
    /// The time for the whole run, such as 90s or 30m.
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = budget)]
    budget: Duration,
    /// The seed of the shuffle; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

/// The output of `--format json`.
#[derive(Serialize)]
struct AdviceOutput<'a> {
    /// Whether requested cells are missing because of an interrupt.
    partial: bool,
    #[serde(flatten)]
    advice: &'a Advice,
    summary: Vec<String>,
}

pub(super) fn advise_on(asked: &AdviseArguments) -> Result<u8, CliError> {
    refuse_debug_build().map_err(super::usage)?;
    let mut order = order(&asked.as_run())?;
    order.choice.in_one_class = true;
    let left_out = if asked.of.model.is_empty() { remove_unreliable(&mut order) } else { None };
    let program = ready()?;
    let done = run(&order, program, None).map_err(internal)?;
    let advice = Advice { workload: order.workloads[0].name.clone(), ..advise(&done.cells) };
    let mut summary = advice_in_short(&advice, done.interrupted);
    summary.extend(left_out);
    match asked.output.format {
        Format::Json => {
            say_json(&AdviceOutput { partial: done.interrupted, advice: &advice, summary })?
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
        let all = counted(done.cells.len(), "cell");
        print_error(&format!(
            "{faults} of {all} failed or came out invalid; the advice says which and why"
        ));
        return Ok(CELLS);
    }
    Ok(0)
}

/// Removes the models with a known defect. Returns a sentence that names them, if there are any.
fn remove_unreliable(order: &mut Order) -> Option<String> {
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
