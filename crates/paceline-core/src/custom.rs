//! Cells defined by a user's program: closures and commands of the crate `paceline-gated`, measured by a host.

use std::time::Duration;

use paceline_gated::Invocation;
pub use paceline_gated::{CustomCell, Variant};

use crate::{
    clock::nanoseconds,
    histogram::Histogram,
    prepared::{Attestation, Fault, Recorded},
};

/// Makes the first call, and returns the attestation of it.
pub(crate) fn attest(invocation: &mut Invocation) -> Result<Attestation, Fault> {
    let first = invocation.first_call().map_err(Fault::Failed)?;
    Ok(Attestation {
        elapsed_ns: nanoseconds(first.elapsed),
        peak_in_flight: 1,
        job_threads: 1,
        process_threads: first.threads,
        rss_bytes: first.rss_bytes,
        rss_bytes_max: first.rss_bytes_max,
        ..Attestation::default()
    })
}

/// Records the time of each of `count` calls.
pub(crate) fn record(invocation: &mut Invocation, count: u64) -> Result<Recorded, Fault> {
    let calls = invocation.time_each(count).map_err(Fault::Failed)?;
    Ok(recorded(calls.into_iter()))
}

/// Converts the times of single calls to the form in which hosts report jobs.
pub(crate) fn recorded(calls: impl Iterator<Item = Duration>) -> Recorded {
    let mut latency = Histogram::default();
    let mut total = Duration::ZERO;
    for call in calls {
        latency.record(nanoseconds(call));
        total += call;
    }
    Recorded {
        latency: latency.distribution(),
        times_ns: vec![nanoseconds(total)],
        ..Recorded::default()
    }
}
