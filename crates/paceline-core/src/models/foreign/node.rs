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

/// The environment variables that change how libuv works.
pub(super) const LIBUV: [&str; 2] = ["UV_THREADPOOL_SIZE", "UV_USE_IO_URING"];

#[expect(clippy::unnecessary_wraps, reason = "other languages build a program first")]
fn command(program: &OsStr, model: &str) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.args(["--input-type=module", "-e", SOURCE, model]);
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
    unset: &const { ["NODE_OPTIONS", "NODE_DEBUG", "NODE_V8_COVERAGE", LIBUV[0], LIBUV[1]] },
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
