//! A host as a server: the other way to run a model, until its process ends.
//!
//! The main thread is inside [`StartedModel::serve`], so a separate thread answers the parent.

use std::{
    io::{self, Write},
    process, thread,
};

use super::{Requests, interpreter::Interpreter, say};
use crate::{
    job::{Jobs, Workload},
    models,
    perform::StartedModel,
    prepared::Fault,
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

/// Answers `requests` until there are no more. Exits if the serving interpreter ends.
pub(super) fn answer(interpreter: &mut Interpreter, requests: Requests) -> ! {
    for line in requests {
        let used = interpreter.usage().unwrap_or_else(|why| end(format_args!("{why}")));
        let said = say(&match serde_json::from_str(&line) {
            Ok(Request::Usage) => Reply::Usage(used),
            Ok(_) => Reply::Fault(Fault::Failed("this process is a server".into())),
            Err(error) => Reply::Fault(Fault::Failed(format!("not a request: {error}"))),
        });
        if let Err(error) = said {
            end(format_args!("cannot answer: {error}"));
        }
    }
    process::exit(0)
}

/// Serves until the process ends, and answers `requests` in the meantime.
pub(super) fn serve(arm: &dyn StartedModel, jobs: Jobs, requests: Requests) -> ! {
    // A panicking job would end a connection, or a worker with all jobs waiting for it, without any report.
    std::panic::set_hook(Box::new(|panic| {
        end(format_args!("panicked: {}", panic.payload_as_str().unwrap_or("without a message")))
    }));
    let bound = move |address| {
        let answer = move || {
            say(&Reply::Serving { address })?;
            for line in requests {
                say(&match serde_json::from_str(&line) {
                    Ok(Request::Usage) => usage(),
                    Ok(_) => Reply::Fault(Fault::Failed("this process is a server".into())),
                    Err(error) => Reply::Fault(Fault::Failed(format!("not a request: {error}"))),
                })?;
            }
            io::Result::Ok(())
        };
        if let Err(error) = thread::Builder::new().name("answers".into()).spawn(answer) {
            end(format_args!("cannot answer: {error}"));
        }
    };
    let Err(error) = arm.serve(jobs, Box::new(bound));
    end(format_args!("the server ended: {error}"))
}

/// Exits at once: other threads may still be serving, and cannot be waited for.
fn end(why: std::fmt::Arguments) -> ! {
    // Lets an answer that is being written finish.
    let _answer = io::stdout().lock();
    let _ = writeln!(io::stderr(), "{why}");
    process::exit(1)
}
