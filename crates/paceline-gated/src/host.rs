//! The child process of a gate: answers requests, one line of JSON each, on its original standard input.
//!
//! The protocol is the part of paceline's own (`paceline_core::host`) that cells of this kind need. A test of
//! `paceline-core` checks that both agree.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    os::fd::{AsFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use nix::unistd::{dup2_stdin, dup2_stdout};
use serde_json::{Value, json};

use crate::{
    allocations::so_far,
    cell::{CustomCell, Invocation, Variant},
    clock::nanoseconds,
    usage::Usage,
};

/// The argument that makes a program a host.
pub(crate) const HOST: &str = "__host";
/// The most calls whose times are reported one by one.
const MOST_RECORDED: u64 = 4_000_000;

/// Answers paceline's requests about `cells` until standard input ends. A host therefore ends with its parent.
///
/// # Errors
///
/// Returns an error if a standard stream is closed, or if this build counts allocations.
pub fn serve(cells: &[CustomCell]) -> io::Result<()> {
    if so_far().is_some() {
        let why = "it is built with the feature `allocations` of paceline-gated, which is slower: leave the feature out";
        return Err(io::Error::other(why));
    }
    let (requests, mut replies) = private_streams()?;
    let mut prepared = None;
    // A panic's message goes to standard error as usual, where the parent reads it.
    for line in BufReader::new(requests).lines() {
        let request: Result<Value, _> = serde_json::from_str(&line?);
        let reply = match request {
            Ok(request) => {
                let reply = || answer(&request, cells, &mut prepared);
                catch_unwind(AssertUnwindSafe(reply)).unwrap_or_else(|panic| {
                    Err(panic
                        .downcast_ref::<&str>()
                        .map(ToString::to_string)
                        .or_else(|| panic.downcast_ref::<String>().cloned())
                        .map_or_else(|| "panicked".into(), |said| format!("panicked: {said}")))
                })
            }
            Err(error) => Err(format!("not a request: {error}")),
        };
        let reply = reply.unwrap_or_else(|why| json!({ "fault": { "failed": why } }));
        writeln!(replies, "{reply}")?;
        replies.flush()?;
        if reply.get("stopped").is_some() {
            break;
        }
    }
    Ok(())
}

/// Reserves standard input and output for the protocol. Measured code prints to and reads from `/dev/null`.
pub(crate) fn private_streams() -> io::Result<(File, File)> {
    let own = |stream: io::Result<OwnedFd>| stream.map(File::from);
    let requests = own(io::stdin().as_fd().try_clone_to_owned())?;
    let replies = own(io::stdout().as_fd().try_clone_to_owned())?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok((requests, replies))
}

fn answer(
    request: &Value,
    cells: &[CustomCell],
    prepared: &mut Option<Invocation>,
) -> Result<Value, String> {
    let (word, more) = match request {
        Value::String(word) => (word.as_str(), &Value::Null),
        Value::Object(map) if map.len() == 1 => {
            let (word, more) = map.iter().next().expect("it has one entry");
            (word.as_str(), more)
        }
        _ => return Err("not a request".into()),
    };
    let count = || more["count"].as_u64().ok_or("the request has no count");
    match word {
        "cells" => {
            let names = |with_head: bool| -> Vec<&str> {
                let listed = cells.iter().filter(|cell| cell.is_listed());
                listed.filter(|cell| !with_head || cell.has_head()).map(CustomCell::name).collect()
            };
            Ok(json!({ "cells": { "names": names(false), "with_head": names(true) } }))
        }
        "custom" => {
            let name = more["name"].as_str().unwrap_or_default();
            let variant = match more["variant"].as_str() {
                Some("head") => Variant::Head,
                _ => Variant::Base,
            };
            let cell = cells.iter().find(|cell| cell.name() == name);
            let cell = cell.ok_or_else(|| format!("no cell is called `{name}`"))?;
            *prepared = Some(cell.prepare(variant)?);
            Ok(json!("prepared"))
        }
        "attest" => {
            let first = ready(prepared)?.first_call()?;
            Ok(json!({ "attested": {
                "elapsed_ns": nanoseconds(first.elapsed),
                "peak_in_flight": 1,
                "job_threads": 1,
                "process_threads": first.threads,
                "epolls": null,
                "rings": null,
                "completions": null,
                "rss_bytes": first.rss_bytes,
                "rss_bytes_max": first.rss_bytes_max,
                "group_ended_ns_max": null,
                "children_left": null,
            } }))
        }
        "batches" => {
            let (count, before) = (count()?, Usage::now());
            let elapsed = ready(prepared)?.time(count)?;
            let used = usage(Usage::now().since(before));
            Ok(json!({ "batches": { "batch_ns": [nanoseconds(elapsed)], "used": used } }))
        }
        "record" => {
            let times = ready(prepared)?.time_each(count()?.min(MOST_RECORDED))?;
            let ns: Vec<u64> = times.into_iter().map(nanoseconds).collect();
            Ok(json!({ "calls": { "ns": ns } }))
        }
        "idle" => {
            let before = Usage::now();
            thread::sleep(Duration::from_nanos(more["ns"].as_u64().unwrap_or(0)));
            Ok(json!({ "idled": usage(Usage::now().since(before)) }))
        }
        "usage" => Ok(json!({ "usage": usage(Usage::now()) })),
        "stop" => Ok(json!({ "stopped": { "threads_left": [] } })),
        // The wording of paceline's own hosts for a cell that they do not have.
        _ => Err(format!("no cell of this program can do `{word}`")),
    }
}

fn ready(prepared: &mut Option<Invocation>) -> Result<&mut Invocation, String> {
    prepared.as_mut().ok_or_else(|| "no cell is prepared".into())
}

fn usage(used: Usage) -> Value {
    json!({
        "user_cpu_ns": used.user_cpu_ns,
        "system_cpu_ns": used.system_cpu_ns,
        "voluntary_switches": used.voluntary_switches,
        "involuntary_switches": used.involuntary_switches,
        "minor_faults": used.minor_faults,
        "major_faults": used.major_faults,
    })
}
