//! Measures latency at shares of the highest rate that a server sustained.

use super::{Served, bench::Bench};
use crate::{
    record::{AtShare, Cell, LoadFigures, State},
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
            load.at_shares.push(at_share(share, rate, cell));
        }
        self.trials = trials;
    }
}

fn at_share(share: f64, rate: f64, cell: Cell) -> AtShare {
    let shown = ["p50", "p99", "max"];
    let late = cell.latencies_of_the_generator().into_iter();
    AtShare {
        share,
        rate,
        trials: cell.trials(),
        requests_per_second: cell.jobs_per_second,
        latency_ns_p50: cell.latency_ns_p50,
        latency_ns_p99: cell.latency_ns_p99,
        error_share: cell.load.as_ref().and_then(LoadFigures::error_share),
        mostly_late: late.filter(|name| shown.contains(name)).map(str::to_owned).collect(),
        latency_ns_max: cell.latency.filter(|_| cell.state == State::Ok).map(|of| of.ns_max),
        state: cell.state,
        reason: cell.reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Loop;
    use paceline_core::histogram::Histogram;

    #[test]
    fn a_share_names_its_latencies_that_are_mostly_the_generators_lateness() {
        let times = |median: u64, slow: u64| {
            let mut times = Histogram::default();
            (0..1_000).for_each(|n| times.record(if n < 950 { median } else { slow }));
            times.distribution()
        };
        let late = |median: u64, slow: u64| {
            let schedule_error = times(median, slow);
            let load =
                LoadFigures { schedule_error, ..LoadFigures::new(Loop::Open, None, None, 1) };
            let cell =
                Cell { latency: times(1_000_000, 8_000_000), load: Some(load), ..Cell::default() };
            at_share(0.5, 10.0, Cell { state: State::Ok, ..cell }).mostly_late
        };
        assert_eq!(late(490_000, 3_900_000), [""; 0]);
        assert_eq!(late(490_000, 4_100_000), ["p99", "max"]);
        assert_eq!(late(510_000, 3_900_000), ["p50"]);
    }

    #[test]
    fn a_share_says_how_many_requests_were_errors() {
        let errors = |count| {
            let mut load = LoadFigures::new(Loop::Open, None, None, 1);
            load.offered = 400;
            load.errors = [("timeout".to_owned(), count)].into();
            at_share(0.5, 10.0, Cell { load: Some(load), ..Cell::default() }).errors()
        };
        assert_eq!(errors(0), None);
        assert_eq!(errors(6).unwrap(), "1.50 % of requests were errors");
    }
}
