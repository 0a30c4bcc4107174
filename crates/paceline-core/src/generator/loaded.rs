//! What a load was seen to be, and whether it can be believed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;
use crate::{histogram::Distribution, prepared::Fault};

/// A load whose schedule error is above this at the 99th percentile is the generator's own, not the server's.
pub const MOST_SCHEDULE_ERROR_NS: u64 = 1_000_000;
/// The least late starts at which the schedule error is judged: of 100 starts, one is the 99th percentile, and chance.
pub const LEAST_LATE_STARTS: u64 = 5;
/// A generator that is on a CPU for more of the window than this may itself be what is measured.
pub const MOST_CPU_SHARE: f64 = 0.95;
/// How the reason begins where the generator, and not the server, gave way.
pub const SATURATED: &str = "generator saturated";
/// How the reason begins where the generator had CPU time to spare, and came to its starts too late.
pub const LATE: &str = "generator late";
/// How the reason begins where the server did not keep the rate.
pub const UNSTEADY: &str = "not steady";
/// A start that is later than this is counted as late.
pub const LATE_NS: u64 = 1_000_000;
/// The least completions for each arrival of the window at which the rate counts as reached.
pub const LEAST_REACHED: f64 = 0.95;
/// The least arrivals of the window that must have no completion in it for the rate to count as missed: a request or two
/// are under way at the end of any window.
pub const LEAST_MISSED: f64 = 5.0;
/// By how much the requests in flight may grow over the window, as a share of those offered, over and above the number
/// of connections. More is a queue that grows: latencies would go on growing in a longer window.
pub const MOST_GROWTH: f64 = 0.01;
/// One load: what was offered in the window and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loaded {
    /// Connections that were kept open.
    pub connections: u64,
    /// How often a connection was opened again, because the server had closed it or a request on it had failed, from the
    /// first warm-up request on.
    pub reconnects: u64,
    /// The length of the window, in nanoseconds.
    pub elapsed_ns: u64,
    /// Requests whose intended start lies in the window.
    pub offered: u64,
    /// All requests that were answered, those of the warm-up too: what the server's CPU time is divided by.
    pub answered: u64,
    /// Those offered that were answered, in the window or within the patience after it.
    pub completed: u64,
    /// Those offered that were neither answered nor an error.
    pub unfinished: u64,
    /// Those offered that were an error, by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the intended start of each of these to when it was given up. It is in none of the other times.
    pub error_latency: Option<Distribution>,
    /// What the first of them was.
    pub first_error: Option<String>,
    /// The requests that have weights, each by itself.
    pub parts: Vec<Part>,
    /// Those of them that the generator came to more than a millisecond late; 0 in the closed loop.
    pub late_starts: u64,
    /// Completions in the window, whenever they were started, per second.
    pub requests_per_second: f64,
    /// Requests that were under way or waited for a connection at the start of the window.
    pub in_flight_at_start: u64,
    /// The same at its end.
    pub in_flight_at_end: u64,
    /// From the intended start to the completion of each that was completed.
    pub latency: Distribution,
    /// From the sending to the completion of each that was completed: without the wait for a connection.
    pub service_time: Distribution,
    /// From the intended start of each to when the generator came to it: its own fault, part of the latency. `None` in
    /// the closed loop.
    pub schedule_error: Option<Distribution>,
    /// CPU time of the generator over the time of the window.
    pub generator_cpu_share: f64,
    /// How far the requests in flight, integrated over the window by a counter, are from what the latencies say they
    /// are, as a share: Little's law. `None` where a request was not answered.
    pub little_error: Option<f64>,
}

/// One of several requests that have weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// The latency of those that were answered.
    pub latency: Option<Distribution>,
    /// How many were errors.
    pub errors: u64,
}

/// What the generator's process prints: intervals as they end, and then one of the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reply {
    Interval(Box<Interval>),
    Loaded(Box<Loaded>),
    Fault(Fault),
}

impl Loaded {
    /// Why the figures are the generator's own and not the server's, if they are.
    #[must_use]
    pub fn saturated(&self) -> Option<String> {
        if let Some(error) = &self.schedule_error
            && error.ns_p99 > MOST_SCHEDULE_ERROR_NS
            && self.late_starts >= LEAST_LATE_STARTS
        {
            let (late, starts) = (self.late_starts, self.offered);
            let seen = error.ns_p99 as f64 / 1e6;
            let most = MOST_SCHEDULE_ERROR_NS as f64 / 1e6;
            return Some(format!(
                "{LATE}: {late} of {starts} starts were over {most} ms late, the limit is 1 %; the 99th \
                 percentile is {seen:.2} ms"
            ));
        }
        let seen = self.generator_cpu_share;
        (seen > MOST_CPU_SHARE).then(|| {
            format!(
                "{SATURATED}: it used {:.1} % of a CPU, the limit is {} %",
                seen * 100.0,
                MOST_CPU_SHARE * 100.0
            )
        })
    }

    /// How many requests of the window were errors.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Why the server did not keep pace with an open loop of `rate` requests per second, if it did not: completions
    /// were under 95 % of the arrivals and at least 5 fewer, or the requests in flight grew by more than the connections and 1 % of the
    /// arrivals. `None` in the closed loop, which has no rate.
    #[must_use]
    pub fn unsteady(&self, rate: f64) -> Option<String> {
        self.schedule_error.as_ref()?;
        // Errors are judged by themselves. What is not one must have kept the rate.
        let offered = (self.offered - self.failed()) as f64;
        let achieved = self.requests_per_second;
        let seconds = self.elapsed_ns as f64 / 1e9;
        let answered = achieved * seconds;
        let not_reached = answered < LEAST_REACHED * offered && offered - answered >= LEAST_MISSED;
        let growth = self.in_flight_at_end.saturating_sub(self.in_flight_at_start);
        let grown = growth as f64 > self.connections as f64 + MOST_GROWTH * offered;
        (not_reached || grown).then(|| {
            format!(
                "{UNSTEADY}: {achieved:.0} of {rate:.0} requests per second were answered, and {growth} more were in \
                 flight at the end of the window than at its start"
            )
        })
    }
}
