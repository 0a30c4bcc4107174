//! `paceline serve`: runs a model's server until Ctrl-C, for `curl`, `wrk` and other HTTP clients.

use std::{thread, time::Duration};

use clap::Args;

use super::{CliError, internal, number, ready, say, usage};
use crate::load::ServerHandle;
use paceline_core::{interrupt, job::bounds, models};

#[derive(Args)]
pub(super) struct ServeArguments {
    /// A built-in workload, or a .toml file. A request for /7 does its job 7.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    workload: String,
    /// The model that serves.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The number of its workers [default: one for each core].
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, bounds::WORKERS))]
    workers: Option<usize>,
}

/// The interval at which the server is checked.
const GLANCE: Duration = Duration::from_millis(200);

pub(super) fn run(arguments: &ServeArguments) -> Result<u8, CliError> {
    let workload = super::values::workload(&arguments.workload).map_err(usage)?;
    let entry = models::find(&arguments.model).map_err(usage)?;
    let program = ready()?;
    let mut server = ServerHandle::start(&workload, entry, arguments.workers, program)
        .map_err(|(settings, why)| if settings { usage(why) } else { internal(why) })?;
    let address = server.address();
    say(&format!(
        "{} serves {} at http://{address}/; Ctrl-C ends it",
        arguments.model, workload.name
    ))?;
    while !interrupt::interrupted() {
        thread::sleep(GLANCE);
        server.check().map_err(internal)?;
    }
    // Ctrl-C is how it is meant to end.
    Ok(0)
}
