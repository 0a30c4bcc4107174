//! The load that a server was under.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Against, Estimate, State};
use paceline_core::{
    generator::{Arrivals, Interval},
    histogram::Distribution,
};

/// How requests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loop {
    /// At times set beforehand: a server that stalls is charged for all that it keeps waiting.
    Open,
    /// On each connection when the answer before is whole: what a stall keeps from starting is hidden.
    Closed,
}

/// The load that a server was under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadFigures {
    /// How requests started.
    #[serde(rename = "loop")]
    pub looped: Loop,
    /// How many were meant to start in a second, in the open loop; `None` where that was a ramp.
    pub rate: Option<f64>,
    /// From which rate to which it went over the window, if it did.
    #[serde(default)]
    pub ramp: Option<Ramp>,
    /// How they were spread.
    pub arrivals: Option<Arrivals>,
    /// Connections.
    pub connections: u64,
    /// How long requests were sent before they counted, in each trial.
    pub warm_up_seconds: f64,
    /// How long they counted.
    pub duration_seconds: f64,
    /// Requests that were meant to start, all trials together.
    pub offered: u64,
    /// Those of them that were answered as they should be.
    pub completed: u64,
    /// How long after its intended start each had to be answered, where that was said.
    #[serde(default)]
    pub timeout_seconds: Option<f64>,
    /// Those of them that were errors, by kind, where they were counted. They are in no other figure.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// From the intended start of each error to when it was one.
    #[serde(default)]
    pub error_latency: Option<Distribution>,
    /// What the first error was.
    #[serde(default)]
    pub first_error: Option<String>,
    /// The URLs that were asked for by weight.
    #[serde(default)]
    pub by_url: Vec<UrlFigures>,
    /// Those of them that the generator came to more than a millisecond late.
    pub late_starts: u64,
    /// How often a connection was opened again: the server had closed it, or a request on it had failed.
    pub reconnects: u64,
    /// From the intended start of each to when the generator came to it.
    pub schedule_error: Option<Distribution>,
    /// CPU time of the generator over that of the window, at most.
    pub generator_cpu_share_max: Option<f64>,
    /// The greatest error of Little's law in a trial; `None` where requests were left unanswered.
    pub little_error_max: Option<f64>,
    /// Where the tail gave way, if that was looked for; the cell's other figures are of the rate that was kept.
    pub knee: Option<Knee>,
    /// What the server did at shares of that rate, if it was asked to.
    #[serde(default)]
    pub at_shares: Vec<AtShare>,
    /// How it compares with the server that took turns with it, if one did.
    #[serde(default)]
    pub against: Option<Against>,
    /// The intervals of each trial's window, by intended start, where they were asked for.
    #[serde(default)]
    pub intervals: Vec<Vec<Interval>>,
}

/// A rate that changes evenly, in requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ramp {
    /// At the start of the window, and before.
    pub from: f64,
    /// At its end.
    pub to: f64,
}

/// A server at a share of the highest rate that it kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtShare {
    /// The share of that rate.
    pub share: f64,
    /// Requests per second that were offered.
    pub rate: f64,
    /// How it ended.
    pub state: State,
    /// Why, unless it is `ok`.
    pub reason: Option<String>,
    /// Its processes.
    pub trials: usize,
    /// Answers per second.
    pub requests_per_second: Option<Estimate>,
    /// The median latency of a trial.
    pub latency_ns_p50: Option<Estimate>,
    /// The 99th percentile of a trial.
    pub latency_ns_p99: Option<Estimate>,
    /// The longest latency of all.
    pub latency_ns_max: Option<u64>,
}

impl LoadFigures {
    /// Of a load that has not been.
    #[must_use]
    pub fn new(
        looped: Loop,
        rate: Option<f64>,
        arrivals: Option<Arrivals>,
        connections: u64,
    ) -> Self {
        LoadFigures {
            looped,
            rate,
            ramp: None,
            arrivals,
            connections,
            warm_up_seconds: 0.0,
            duration_seconds: 0.0,
            offered: 0,
            completed: 0,
            timeout_seconds: None,
            errors: BTreeMap::new(),
            error_latency: None,
            first_error: None,
            by_url: Vec::new(),
            late_starts: 0,
            reconnects: 0,
            schedule_error: None,
            generator_cpu_share_max: None,
            little_error_max: None,
            knee: None,
            at_shares: vec![],
            against: None,
            intervals: vec![],
        }
    }

    /// Requests that were errors.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Their share of all requests.
    #[must_use]
    pub fn error_share(&self) -> Option<f64> {
        (self.offered > 0).then(|| self.failed() as f64 / self.offered as f64)
    }
}

/// One of several URLs that were asked for by weight, all trials together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UrlFigures {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// How often it was asked for, compared with the others.
    pub weight: u32,
    /// Requests that were answered as they should be.
    pub completed: u64,
    /// Requests that were errors.
    pub errors: u64,
    /// The median of their latencies, in nanoseconds.
    pub latency_ns_p50: Option<u64>,
    /// The 99th percentile, where there are 10 latencies beyond it.
    pub latency_ns_p99: Option<u64>,
    /// The longest.
    pub latency_ns_max: Option<u64>,
}

/// A staircase of rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// The limit of the 99th percentile of latency, in nanoseconds.
    pub limit_ns: u64,
    /// Every rate that was tried, in this order.
    pub steps: Vec<KneeStep>,
    /// Why the next rate was not kept; `None` where the highest that is tried was.
    pub gave_way: Option<String>,
}

/// A rate that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KneeStep {
    /// Requests per second.
    pub rate: f64,
    /// The 99th percentile of latency, where it is one.
    pub latency_ns_p99: Option<f64>,
    /// Why it was not kept; `None` where it was.
    pub gave_way: Option<String>,
}
