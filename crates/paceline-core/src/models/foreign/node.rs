//! node's model: JavaScript on its event loop.

use std::{ffi::OsStr, io, process::Command};

use super::Foreign;
use crate::{
    models::{Bridge, Driver, Entry, Family, ModelInfo},
    perform::Placement,
};

static NODE: Foreign = Foreign {
    language: "JavaScript",
    variable: "PACELINE_NODE",
    // On some Debian releases `node` was a different program.
    programs: &["node", "nodejs"],
    install: "install Node.js 18 or newer (apt-get install nodejs)",
    command,
};

/// Passed on the command line, so no file is written.
const SOURCE: &str = include_str!("node/interpreter.mjs");

#[expect(clippy::unnecessary_wraps, reason = "other languages build a program first")]
fn command(program: &OsStr, model: &str) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.args(["--input-type=module", "-e", SOURCE, model]);
    // node's defaults are measured.
    command.env_remove("NODE_OPTIONS");
    Ok(command)
}

pub(in crate::models) const ENTRY: Entry = Entry::out_of_process(ModelInfo {
    name: "node",
    family: Family::OutOfProcess,
    foreign: Some(&NODE),
    note: "an event loop on one thread, an async function for each job, awaited by Promise.all; offload by messages to \
           `workers` worker threads; sleep by setTimeout, of whole milliseconds and armed again where it came early; as a \
           server, node:http",
    placements: &[Placement::Inside],
    bridge: Bridge::Workers,
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    available: || NODE.available("node"),
    ..ModelInfo::DEFAULT
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_no_longer_than_an_argument_may_be() {
        // The limit of Linux: 32 pages, including the final 0 byte.
        assert!(SOURCE.len() < 32 * 4096);
    }
}
