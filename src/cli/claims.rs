//! `paceline claims`: each claim of the concurrency tutorial, measured on each model.

use std::time::Duration;

use clap::Args;

use super::{
    CELLS, CliError, Format, Output, budget, chosen, extent, internal, leave_page, ready, say,
    say_json, usage, values::name,
};
use crate::{
    claims::{BUDGET, EXPERIMENTS, Experiment, Order, find, run},
    output::{counted, folded, print_error},
    report::claims_table,
    start::refuse_debug_build,
};
use paceline_core::interrupt;

#[derive(Args)]
pub(super) struct ClaimsArguments {
    /// Claims: inert, suspends, sleeps, order, created, cooperative, freezes, bridge, cancel, group, cpu, connections, simple;
    /// by default all.
    #[arg(value_name = "CLAIM")]
    claims: Vec<String>,
    /// Models, separated by commas [default: all].
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = name)]
    model: Vec<String>,
    /// The time for the whole run, such as 90s or 3m.
    #[arg(long, default_value = BUDGET, value_name = "TIME", value_parser = budget)]
    budget: Duration,
    /// Show every interval, reason and detail.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

impl ClaimsArguments {
    pub(super) fn named(&self) -> Result<Vec<&'static Experiment>, CliError> {
        self.claims.iter().map(|name| find(name)).collect::<Result<_, _>>().map_err(usage)
    }
}

pub(super) fn test_claims(asked: &ClaimsArguments) -> Result<u8, CliError> {
    refuse_debug_build().map_err(usage)?;
    let named = asked.named()?;
    // Each claim once, in the order of the tutorial.
    let is_asked = |experiment: &&Experiment| {
        named.is_empty() || named.iter().any(|named| named.name == experiment.name)
    };
    let mut models = chosen(&asked.model)?;
    let mut seen = Vec::new();
    models.retain(|entry| {
        let new = !seen.contains(&entry.info.name);
        seen.push(entry.info.name);
        new
    });
    let everywhere = !named.is_empty() || !asked.model.is_empty();
    let order = Order {
        everywhere,
        experiments: EXPERIMENTS.iter().filter(is_asked).collect(),
        models,
        budget: asked.budget,
        results: asked.output.out.clone(),
    };
    let program = ready()?;
    let done = run(&order, program).map_err(internal)?;
    let left = match asked.output.format {
        Format::Json => say_json(&done.claims)?,
        Format::Table => {
            say(&claims_table(&done.claims, extent(asked.all)))?;
            if !everywhere {
                say(&folded(&left_out()))?;
            }
            say(&format!("record: {}", done.folder.display()))?;
            leave_page(&done.folder)?
        }
    };
    if done.claims.interrupted {
        let message =
            "interrupted; the claims are judged by what had ended, and the record keeps it";
        return Err(CliError(interrupt::EXIT_CODE, message.into()));
    }
    let results = || done.claims.claims.iter().flat_map(|claim| &claim.results);
    let wrong = results().filter(|result| result.verdict.is_wrong()).count();
    if wrong > 0 {
        let all = counted(results().count(), "experiment");
        print_error(&format!(
            "{wrong} of {all} failed or came out invalid; the table says which and why"
        ));
        return Ok(CELLS);
    }
    Ok(left)
}

/// Returns which claims were not measured on every model.
fn left_out() -> String {
    let slow: Vec<&str> =
        EXPERIMENTS.iter().filter(|experiment| experiment.slow).map(|slow| slow.name).collect();
    format!(
        "by default {} are measured on one model of each kind; on every model: paceline claims {}",
        slow.join(", "),
        slow.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_help_names_every_claim() {
        let mut command = crate::cli::Arguments::command();
        let claims = command.find_subcommand_mut("claims").unwrap();
        let help = claims.render_long_help().to_string().replace('\n', " ");
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let all = EXPERIMENTS.iter().map(|experiment| experiment.name).collect::<Vec<_>>();
        assert!(help.contains(&format!("Claims: {};", all.join(", "))), "{help}");
    }
}
