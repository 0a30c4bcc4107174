//! Measures latency at shares of the highest rate that a server sustained.

use super::{Served, bench::Bench};
use crate::{
    record::{AtShare, Cell, State},
    stats::FEWEST_TRIALS,
};
use paceline_core::generator::{Arrivals, Drive};

impl Bench<'_> {
    /// Measures the server of `cell`, whose knee was found, at each requested share of its rate, in enough trials for an
    /// interval. An interrupted measurement is left out.
    pub(super) fn at_shares(&mut self, served: &Served<'_>, cell: &mut Cell) {
        let Some(load) = cell.load.as_mut().filter(|load| load.knee.is_some()) else { return };
        let (kept, arrivals) = (load.rate.unwrap_or(0.0), load.arrivals);
        let trials = self.trials;
        // The search has single trials, which are too few for an interval.
        self.trials = trials.max(FEWEST_TRIALS as u32);
        for share in self.order.shares.clone() {
            let rate = kept * share;
            let drive = Drive::Open { rate, arrivals: arrivals.unwrap_or(Arrivals::Poisson) };
            let Some(cell) = self.step(served, drive, u64::MAX) else { break };
            load.at_shares.push(AtShare {
                share,
                rate,
                trials: cell.trials(),
                requests_per_second: cell.jobs_per_second,
                latency_ns_p50: cell.latency_ns_p50,
                latency_ns_p99: cell.latency_ns_p99,
                latency_ns_max: cell
                    .latency
                    .filter(|_| cell.state == State::Ok)
                    .map(|of| of.ns_max),
                state: cell.state,
                reason: cell.reason,
            });
        }
        self.trials = trials;
    }
}
