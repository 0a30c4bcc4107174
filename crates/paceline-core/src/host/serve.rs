//! A host as a server: the other way to run a model, until its process ends.
//!
//! The main thread is inside [`StartedModel::serve`], so a separate thread answers the parent.

use std::{
    io::{self, Write},
    process, thread,
};

use super::{Requests, interpreter::Interpreter, process_group::ProcessGroup, say};
use crate::{
    job::{Jobs, Workload},
    models,
    perform::StartedModel,
    prepared::{Fault, ServerSeen, ServerWatch},
    protocol::{CellSpec, Reply, Request},
    usage::Usage,
};

/// Checks that the cell's model can serve its jobs.
pub(super) fn check(cell: &CellSpec) -> Result<(), String> {
    let workload = Workload::parse(&cell.workload, &cell.source).map_err(|e| e.to_string())?;
    models::find(&cell.model)?.info.unsupported_as_server_step(&workload).map_or(Ok(()), Err)
}

/// Answers the request that every host accepts at any time.
pub(super) fn usage() -> Reply {
    Reply::Usage(Usage::now())
}

/// Answers a request to a server, whose usage so far is `used`. `watched` is how it was when it was last asked to watch.
fn reply<W>(
    line: &str,
    used: Usage,
    watched: &mut Option<W>,
    watch: impl FnOnce(bool) -> W,
    seen: impl FnOnce(W) -> ServerSeen,
) -> Reply {
    let failed = |why: String| Reply::Fault(Fault::Failed(why));
    match serde_json::from_str(line) {
        Ok(Request::Usage) => Reply::Usage(used),
        Ok(Request::Watch { counting }) => {
            *watched = Some(watch(counting));
            Reply::Watching
        }
        Ok(Request::Seen) => watched.take().map_or_else(
            || failed("nobody watches this server".into()),
            |of| Reply::Seen(seen(of)),
        ),
        Ok(_) => failed("this process is a server".into()),
        Err(error) => failed(format!("not a request: {error}")),
    }
}

/// Answers `requests` until there are no more. Exits if the serving interpreter ends.
pub(super) fn answer(interpreter: &mut Interpreter, requests: Requests) -> ! {
    let mut watched = None;
    for line in requests {
        let used = interpreter.usage().unwrap_or_else(|why| end(format_args!("{why}")));
        let watch = |_| ProcessGroup::of_this_process().reset_memory_peak();
        if let Err(error) = say(&reply(&line, used, &mut watched, watch, seen_of_group)) {
            end(format_args!("cannot answer: {error}"));
        }
    }
    process::exit(0)
}

/// Returns what is seen of an interpreter's processes, whose resident memory was `rss_bytes`.
fn seen_of_group(rss_bytes: Option<u64>) -> ServerSeen {
    let group = ProcessGroup::of_this_process();
    ServerSeen {
        process_threads: group.threads(),
        epolls: group.epolls(),
        rss_bytes,
        rss_bytes_max: rss_bytes.and_then(|_| group.memory_peak()),
        ..ServerSeen::default()
    }
}

/// Serves until the process ends, and answers `requests` in the meantime.
pub(super) fn serve(model: &dyn StartedModel, jobs: Jobs, requests: Requests) -> ! {
    // A panicking job would end a connection, or a worker with all jobs waiting for it, without any report.
    std::panic::set_hook(Box::new(|panic| {
        end(format_args!("panicked: {}", panic.payload_as_str().unwrap_or("without a message")))
    }));
    let bound = move |address| {
        let answer = move || {
            say(&Reply::Serving { address })?;
            let mut watched = None;
            for line in requests {
                say(&reply(
                    &line,
                    Usage::now(),
                    &mut watched,
                    ServerWatch::start,
                    ServerWatch::seen,
                ))?;
            }
            io::Result::Ok(())
        };
        if let Err(error) = thread::Builder::new().name("answers".into()).spawn(answer) {
            end(format_args!("cannot answer: {error}"));
        }
    };
    let Err(error) = model.serve(jobs, Box::new(bound));
    end(format_args!("the server ended: {error}"))
}

/// Exits at once: other threads may still be serving, and cannot be waited for.
fn end(why: std::fmt::Arguments) -> ! {
    // Lets an answer that is being written finish.
    let _answer = io::stdout().lock();
    let _ = writeln!(io::stderr(), "{why}");
    process::exit(1)
}
