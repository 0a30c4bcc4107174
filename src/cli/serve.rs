//! `paceline serve`: a model as a server that stays, for `curl`, `wrk` and whatever else speaks HTTP.

use std::{thread, time::Duration};

use clap::Args;

use super::{CliError, internal, number, ready, say, usage};
use crate::load::ServerHandle;
use paceline_core::{interrupt, job::bounds, models, workloads};

#[derive(Args)]
pub(super) struct ServeArguments {
    /// A built-in workload, or a file that ends in .toml: a request for /7 does its job 7.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    workload: String,
    /// The model that serves.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// How many workers it has; as many as there are cores where it is not said.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, bounds::WORKERS))]
    workers: Option<usize>,
}

/// How often it is looked whether the server still stands.
const GLANCE: Duration = Duration::from_millis(200);

pub(super) fn run(arguments: &ServeArguments) -> Result<u8, CliError> {
    let workload = workloads::find(&arguments.workload).map_err(usage)?;
    let entry = models::find(&arguments.model).map_err(usage)?;
    let program = ready()?;
    let mut standing = ServerHandle::start(&workload, entry, arguments.workers, program)
        .map_err(|(settings, why)| if settings { usage(why) } else { internal(why) })?;
    let address = standing.address();
    say(&format!(
        "{} serves {} at http://{address}/; Ctrl-C ends it",
        arguments.model, workload.name
    ))?;
    while !interrupt::interrupted() {
        thread::sleep(GLANCE);
        standing.check().map_err(internal)?;
    }
    // Whoever started it ended it: that is no fault.
    Ok(0)
}
