//! Cells defined by a user's program: closures and commands of the crate `paceline-gated`, which serves them as a host.

use std::time::Duration;

pub use paceline_gated::{CustomCell, Variant};

use crate::{clock::nanoseconds, histogram::Histogram, prepared::Recorded};

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
