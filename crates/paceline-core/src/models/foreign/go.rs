//! Go's model: goroutines.

mod build;

use std::{ffi::OsStr, io, process::Command};

use super::Foreign;
use crate::{
    models::{Driver, Entry, Family, ModelInfo},
    perform::Placement,
};

static GO: Foreign = Foreign {
    language: "Go",
    variable: "PACELINE_GO",
    programs: &["go"],
    install: "install Go 1.19 or newer (apt-get install golang-go)",
    command,
};

/// Returns the interpreter's command. `program` is the tool chain, which builds the interpreter once.
fn command(program: &OsStr, model: &str) -> io::Result<Command> {
    let mut command = Command::new(build::built(program)?);
    command.arg(model);
    Ok(command)
}

pub(in crate::models) const ENTRY: Entry = Entry::out_of_process(ModelInfo {
    name: "go",
    family: Family::OutOfProcess,
    foreign: Some(&GO),
    note: "a goroutine for each job, GOMAXPROCS is `workers`; offload is a plain call, as a goroutine that blocks or \
           computes holds up no other; as a server, net/http",
    placements: &[Placement::Inside],
    // Go replaces a blocked thread by another, up to its own limit on threads.
    more_threads: 10_000,
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    unset: &["GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"],
    available: || GO.available("go"),
    ..ModelInfo::DEFAULT
});
