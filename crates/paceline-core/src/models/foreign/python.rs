//! Python's models: the event loop with and without a process pool, the pools, and the caller's thread alone.

use std::{ffi::OsStr, io, process::Command};

use super::Foreign;
use crate::{
    models::{Bridge, Driver, Entry, Family, ModelInfo, Unsupported, Width, pool, sequential},
    perform::Placement,
};

/// The language. `-B` prevents compiled files, `-E` ignores Python's environment variables.
static PYTHON: Foreign = Foreign {
    language: "Python",
    variable: "PACELINE_PYTHON",
    programs: &["python3", "python"],
    install: "install Python 3.11 or newer (apt-get install python3)",
    command,
};

/// The modules, each before those that import it. They are passed on the command line, so no file is written.
const SOURCES: [(&str, &str); 7] = [
    ("grouping", include_str!("python/grouping.py")),
    ("receipts", include_str!("python/receipts.py")),
    ("blocking", include_str!("python/blocking.py")),
    ("looping", include_str!("python/looping.py")),
    ("probing", include_str!("python/probing.py")),
    ("serving", include_str!("python/serving.py")),
    ("interpreter", include_str!("python/interpreter.py")),
];

#[expect(clippy::unnecessary_wraps, reason = "other languages build a program first")]
fn command(program: &OsStr, model: &str) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.args(["-B", "-E", "-c", include_str!("python/boot.py")]);
    command.args(SOURCES.iter().flat_map(|(name, text)| [name, text])).arg(model);
    Ok(command)
}

/// The common description of event-loop models.
const LOOP: ModelInfo = ModelInfo {
    family: Family::OutOfProcess,
    foreign: Some(&PYTHON),
    placements: &[Placement::Inside],
    width: Width::One,
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    unsupported: &[TASKS_ALWAYS],
    ..ModelInfo::DEFAULT
};

/// The common description of models whose jobs are calls.
const CALLS: ModelInfo = ModelInfo {
    placements: &[Placement::Outside],
    width: Width::Any,
    timers: Driver::Blocking,
    sockets: Driver::Blocking,
    unsupported: pool::ENTRY.info.unsupported,
    ..LOOP
};

const TASKS_ALWAYS: Unsupported = Unsupported {
    step: "gather.future",
    why: "asyncio.gather makes a task of each of its coroutines",
};

pub(in crate::models) const ASYNCIO: Entry = Entry::out_of_process(ModelInfo {
    name: "asyncio",
    note: "an event loop on one thread, a task for each job; offload by to_thread; streams by open_connection; garbage \
           collection as Python has it",
    available: || PYTHON.available("asyncio"),
    ..LOOP
});

pub(in crate::models) const UVLOOP: Entry = Entry::out_of_process(ModelInfo {
    name: "uvloop",
    note: "asyncio on uvloop's event loop, whose timers are of whole milliseconds; one that is early is set again",
    unset: &super::node::LIBUV,
    available: || PYTHON.available("uvloop"),
    ..LOOP
});

pub(in crate::models) const WITH_PROCESSES: Entry = Entry::out_of_process(ModelInfo {
    name: "asyncio+processes",
    note: "asyncio whose offload goes to a ProcessPoolExecutor of `workers` forked processes, by run_in_executor",
    available: || PYTHON.available("asyncio+processes"),
    width: Width::Any,
    bridge: Bridge::Workers,
    ..LOOP
});

pub(in crate::models) const THREADS: Entry = Entry::out_of_process(ModelInfo {
    name: "python-threads",
    note: "a ThreadPoolExecutor of `workers` threads, a submit for each job; as a server, a worker holds a connection \
           until it closes",
    available: || PYTHON.available("python-threads"),
    ..CALLS
});

pub(in crate::models) const PROCESSES: Entry = Entry::out_of_process(ModelInfo {
    name: "python-processes",
    note: "a ProcessPoolExecutor of `workers` forked processes, a submit for each job, which is a message each way; as a \
           server, `workers` forked processes that accept beside each other, each of which holds a connection until it \
           closes",
    available: || PYTHON.available("python-processes"),
    ..CALLS
});

pub(in crate::models) const SEQUENTIAL: Entry = Entry::out_of_process(ModelInfo {
    name: "python-sequential",
    note: "one job after another on the main thread; as a server, one connection after another",
    available: || PYTHON.available("python-sequential"),
    width: Width::One,
    unsupported: sequential::ENTRY.info.unsupported,
    ..CALLS
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_is_longer_than_an_argument_may_be() {
        // The limit of Linux: 32 pages, including the final 0 byte.
        assert!(SOURCES.iter().all(|(_, text)| text.len() < 32 * 4096));
    }
}
