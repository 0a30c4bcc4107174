//! Whether a server under load is what the label of its model says.

use std::time::Duration;

use super::{
    START,
    bench::{Bench, NoFigure},
    target::{Served, Serving},
};
use crate::{record::State, session::state_of};
use paceline_core::{
    generator::{Drive, Order as GeneratorOrder},
    prepared::ServerSeen,
    process::HostError,
};

/// How long requests are sent for their jobs' threads to be counted.
const COUNTING: Duration = Duration::from_millis(100);

/// Returns what a failed process leaves in place of a figure.
pub(super) fn lost(error: HostError) -> NoFigure {
    match error {
        HostError::Interrupted => NoFigure::Interrupted,
        other => NoFigure::Ended(state_of(&other), other.to_string()),
    }
}

impl Bench<'_> {
    /// Returns what was seen of a server since the load `order` began. The threads that run jobs are counted afterwards,
    /// under a short load of their own, because counting takes time from each job. Once is enough for all trials.
    pub(super) fn attested(
        &self,
        served: &Served<'_>,
        serving: &mut Serving,
        order: &GeneratorOrder,
    ) -> Result<ServerSeen, NoFigure> {
        let mut seen = serving.host.seen(START).map_err(lost)?;
        if served.job_threads.get().is_none() {
            serving.host.watch(true, START).map_err(lost)?;
            let mut moment = GeneratorOrder {
                drive: Drive::Closed,
                warm_up_ns: 0,
                duration_ns: COUNTING.as_nanos() as u64,
                interval_ns: None,
                ..order.clone()
            };
            // A server that is behind answers late, and its errors have been counted.
            moment.options.timeout_ns = None;
            moment.options.counts_errors = true;
            self.program.load_together(&moment, 1, START, &mut |_| {}).map_err(lost)?;
            let counted = serving.host.seen(START).map_err(lost)?;
            let _ = served.job_threads.set(counted.job_threads);
        }
        seen.job_threads = served.job_threads.get().copied().flatten();
        served
            .is_as_labelled(&seen)
            .map(|()| seen)
            .map_err(|why| NoFigure::Ended(State::Invalid, why))
    }
}
