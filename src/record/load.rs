//! The load on a server.

use std::{borrow::Borrow, collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use serde_json::Value;

use super::{Against, Estimate, Node, Run, State};
use crate::output::{fine_percent, long, long_ns, noun};
use paceline_core::{
    generator::{Arrivals, Interval, is_the_generators},
    histogram::Distribution,
    prepared::ServerSeen,
};

/// How requests start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loop {
    /// At times set beforehand: the latency of a stall counts for all requests that it delays.
    #[default]
    Open,
    /// On each connection as soon as the previous answer is complete: a stall hides the requests that it prevents.
    Closed,
}

/// The load on a server, and its results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadFigures {
    /// How requests started.
    #[serde(rename = "loop")]
    pub looped: Loop,
    /// The intended starts per second in the open loop; `None` for a ramp.
    pub rate: Option<f64>,
    /// The first and last rate over the window, for a ramp.
    pub ramp: Option<Ramp>,
    /// The distribution of arrivals.
    pub arrivals: Option<Arrivals>,
    /// The number of connections.
    pub connections: u64,
    /// Seconds of requests before the window, in each trial.
    pub warm_up_seconds: f64,
    /// Seconds of the window.
    pub duration_seconds: f64,
    /// Requests that were meant to start, over all trials.
    pub offered: u64,
    /// Requests with a right answer.
    pub completed: u64,
    /// The time limit of an answer after its intended start, if one was set.
    pub timeout_seconds: Option<f64>,
    /// Requests that were errors, by kind, if they were counted. No other figure includes them.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// From the intended start of each failed request until its error.
    pub error_latency: Option<Distribution>,
    /// The first error.
    pub first_error: Option<String>,
    /// The URLs that were requested by weight.
    #[serde(default)]
    pub by_url: Vec<UrlFigures>,
    /// Requests that the generator reached more than a millisecond late.
    pub late_starts: u64,
    /// The number of reopened connections: the server had closed them, or a request on them had failed.
    pub reconnects: u64,
    /// From the intended start of each request until the generator reached it.
    pub schedule_error: Option<Distribution>,
    /// The greatest share of the window for which the generator used a CPU, other than to stay awake.
    pub generator_cpu_share_max: Option<f64>,
    /// The greatest share of the window in which the generator had nothing to do and stayed awake, because a start was
    /// near.
    pub generator_awake_share_max: Option<f64>,
    /// The greatest share of the window in which the generator was ready to run and no CPU was free for it.
    pub generator_waited_share_max: Option<f64>,
    /// The processes that shared the load, each with its part; none in records from before there could be several.
    #[serde(default)]
    pub generators: Vec<GeneratorFigures>,
    /// What the model's processes were seen to be, with the greatest of each figure; `None` for a server that was there
    /// already.
    pub server: Option<ServerSeen>,
    /// The greatest error of Little's law in a trial; `None` if requests were left unanswered.
    pub little_error_max: Option<f64>,
    /// The search for the knee, if it was requested; the cell's other figures are at the highest rate that was kept.
    pub knee: Option<Knee>,
    /// The server at shares of that rate, if requested.
    #[serde(default)]
    pub at_shares: Vec<AtShare>,
    /// The comparison with the server that took turns with it, if there was one.
    pub against: Option<Against>,
    /// The intervals of each trial's window, by intended start, if requested.
    #[serde(default)]
    pub intervals: Vec<Vec<Interval>>,
    /// Where the server and the generators were, if on several nodes.
    pub hosts: Option<Hosts>,
}

/// The nodes of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hosts {
    /// The server's node.
    pub server: String,
    /// The node of each generator.
    pub generators: Vec<String>,
    /// Whether two of them have one boot id or clock: they are one machine, and the figures are not those of a network.
    pub shared_host: bool,
    /// How far the common start of the generators may be off by any of their clocks; no other figure has two clocks.
    pub clock_uncertainty_ns: Option<u64>,
}

/// Returns "server on a, generators on b and c".
pub(crate) fn roles(server: &str, generators: &[impl Borrow<str>]) -> String {
    let noun = noun(generators.len(), "generator");
    format!("server on {server}, {noun} on {}", generators.join(" and "))
}

impl Hosts {
    /// Describes the nodes of a load, the server's first. A node without a boot id shares none: clocks tell machines
    /// apart too, once they have been compared.
    pub fn of(server: &Node, generators: &[Node]) -> Self {
        let all = std::iter::once(server).chain(generators).map(|node| &*node.boot_id);
        let mut machines: Vec<&str> = all.filter(|id| !id.is_empty()).collect();
        machines.sort_unstable();
        Hosts {
            server: server.id.clone(),
            generators: generators.iter().map(|node| node.id.clone()).collect(),
            shared_host: machines.windows(2).any(|two| two[0] == two[1]),
            clock_uncertainty_ns: None,
        }
    }

    /// Returns "server on a, generators on b and c", with how close the common start was, and whether one machine passed
    /// for several.
    pub fn sentence(&self) -> String {
        let clocks = self.clock_uncertainty_ns.map_or_else(String::new, |ns| {
            format!("; start agreed within {}", long(Duration::from_nanos(ns)))
        });
        let shared = if self.shared_host {
            "; shared host, so not ranked: nodes with one boot id or clock are one machine, without a network between them"
        } else {
            ""
        };
        format!("{}{clocks}{shared}", roles(&self.server, &self.generators))
    }
}

/// A rate that changes linearly, in requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ramp {
    /// The rate at the start of the window, and before.
    pub from: f64,
    /// The rate at its end.
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
    /// The reason, unless it is `ok`.
    pub reason: Option<String>,
    /// The number of its processes.
    pub trials: usize,
    /// Answers per second.
    pub requests_per_second: Option<Estimate>,
    /// The median latency of a trial.
    pub latency_ns_p50: Option<Estimate>,
    /// The 99th percentile of a trial.
    pub latency_ns_p99: Option<Estimate>,
    /// The longest latency.
    pub latency_ns_max: Option<u64>,
    /// The latencies among `p50`, `p99` and `max` of which over half is the generator's own lateness.
    #[serde(default)]
    pub mostly_late: Vec<String>,
    /// The share of requests that were errors, if errors were counted. They have no latency.
    pub error_share: Option<f64>,
}

impl AtShare {
    /// Returns "2.00 % of requests were errors"; `None` if none was.
    pub fn errors(&self) -> Option<String> {
        let share = self.error_share.filter(|share| *share > 0.0)?;
        Some(format!("{} of requests were errors", fine_percent(share)))
    }

    /// Formats its share as it was asked for: `12.5 %`.
    pub(crate) fn percent(&self) -> String {
        format!("{} %", (self.share * 1e8).round() / 1e6)
    }
}

/// Returns the latencies that tables show, by the names of their columns.
pub(crate) fn by_column(of: &Distribution) -> [(&'static str, Option<u64>); 5] {
    [
        ("p50", Some(of.ns_p50)),
        ("p90", of.p90()),
        ("p99", of.p99()),
        ("p99.9", of.p999()),
        ("max", Some(of.ns_max)),
    ]
}

/// Returns those of `latencies`, each with the name of its column, of which over half is the lateness of the generator,
/// `late`, at the same percentile: they say more of the generator than of the server.
pub fn mostly_late(
    late: Option<&Distribution>,
    latencies: &[(&'static str, Option<u64>)],
) -> Vec<&'static str> {
    let late = late.map(by_column).unwrap_or_default();
    let is_late = |(name, latency): &&(&'static str, Option<u64>)| {
        let late = late.iter().find(|(of, _)| of == name).and_then(|(_, late)| *late);
        let (Some(late), Some(latency)) = (late, *latency) else { return false };
        is_over_half(&[late as f64], &[latency as f64])
    };
    latencies.iter().filter(is_late).map(|(name, _)| *name).collect()
}

/// Returns whether over half of `latency` is `late`, in the mean over trials: one figure of each, in nanoseconds.
pub(super) fn is_over_half(late: &[f64], latency: &[f64]) -> bool {
    // Of a latency of 0, lateness of 0 is no part.
    let share = |(late, latency): (&f64, &f64)| (late / latency.max(1.0)).min(1.0);
    late.iter().zip(latency).map(share).sum::<f64>() / late.len() as f64 > 0.5
}

/// The meaning of the mark of a rate that is only the least that a server keeps.
pub(crate) const LEAST: &str = "≥: the server may keep a higher rate; none was tried, or the generator was late or saturated at the next";

/// The meaning of the mark of a latency that is mostly the generator's lateness.
pub(crate) const MOSTLY_LATE: &str = "?: over half of it is the generator's own lateness";

/// Returns the mark of the latency `name` if it is one of `late`, which [`mostly_late`] returned.
pub(crate) fn late_mark(late: &[impl AsRef<str>], name: &str) -> &'static str {
    if late.iter().any(|of| of.as_ref() == name) { "?" } else { "" }
}

impl Run {
    /// Returns what a load was asked beside the cell: its requests, what counts as an answer, how long they were made, and
    /// by how many generators. What is not set is left out. Figures of loads that differ in it do not compare.
    pub fn requests(&self) -> BTreeMap<&'static str, &Value> {
        const NAMES: [&str; 11] = [
            "method",
            "headers",
            "body_bytes",
            "body_hash",
            "urls_hash",
            "expect",
            "timeout_seconds",
            "max_errors",
            "generators",
            "duration_seconds",
            "warm_up_seconds",
        ];
        let is_default = |name: &str, value: &Value| {
            let none = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            none || name == "generators" && *value == 1
        };
        let names = NAMES.into_iter().filter(|_| self.instrument == "load");
        let asked = names.filter_map(|name| Some((name, self.settings.get(name)?)));
        asked.filter(|(name, value)| !is_default(name, value)).collect()
    }
}

impl LoadFigures {
    /// Returns a load without results.
    pub fn new(
        looped: Loop,
        rate: Option<f64>,
        arrivals: Option<Arrivals>,
        connections: u64,
    ) -> Self {
        LoadFigures { looped, rate, arrivals, connections, ..LoadFigures::default() }
    }

    /// Returns what tells loads of one name apart, such as `/500 per second`: their figures do not compare. The rate of
    /// a knee is a result, and differs from run to run.
    pub fn settings(&self) -> String {
        let rate = match (&self.knee, self.ramp, self.rate.filter(|rate| rate.is_finite())) {
            (Some(knee), ..) => format!("/knee within {}", long_ns(knee.limit_ns)),
            (_, Some(Ramp { from, to }), _) => format!("/{from} to {to} per second"),
            (.., Some(rate)) => format!("/{rate} per second"),
            (.., None) => String::new(),
        };
        let spread = self.arrivals.filter(|spread| *spread != Arrivals::Poisson);
        let spread = spread.map(|spread| format!("/{spread:?}").to_lowercase());
        let on = self.hosts.as_ref().map(|hosts| roles(&hosts.server, &hosts.generators));
        let on = on.map(|on| format!("/{on}"));
        format!("{rate}{}{}", spread.unwrap_or_default(), on.unwrap_or_default())
    }

    /// Returns the number of generators.
    pub fn generators(&self) -> usize {
        self.generators.len().max(1)
    }

    /// Returns the greatest 99th percentile of a generator's lateness.
    pub fn latest_generator_ns(&self) -> Option<u64> {
        self.generators.iter().filter_map(|one| one.schedule_error_ns_p99).max()
    }

    /// Returns the number of requests that were errors.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns the share of requests that were errors.
    pub fn error_share(&self) -> Option<f64> {
        (self.offered > 0).then(|| self.failed() as f64 / self.offered as f64)
    }
}

/// One of the generators that shared a load, over all trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorFigures {
    /// Its connections.
    pub connections: u64,
    /// Requests that it was meant to start.
    pub offered: u64,
    /// Requests with a right answer.
    pub completed: u64,
    /// Requests that it reached more than a millisecond late.
    pub late_starts: u64,
    /// The 99th percentile of how late it reached them, if there are 10 beyond it.
    pub schedule_error_ns_p99: Option<u64>,
    /// The greatest share of a window for which it used a CPU.
    pub cpu_share_max: Option<f64>,
}

/// One of several URLs requested by weight, over all trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UrlFigures {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The relative frequency of its requests.
    pub weight: u32,
    /// Requests with a right answer.
    pub completed: u64,
    /// Requests that were errors.
    pub errors: u64,
    /// The median of their latencies, in nanoseconds.
    pub latency_ns_p50: Option<u64>,
    /// The 99th percentile, if there are 10 latencies beyond it.
    pub latency_ns_p99: Option<u64>,
    /// The longest latency, in nanoseconds.
    pub latency_ns_max: Option<u64>,
}

impl UrlFigures {
    /// Returns the method and the path, as reports name a URL.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Returns the share of its requests that were errors; `None` if it had no request.
    pub fn error_share(&self) -> Option<f64> {
        let all = self.completed + self.errors;
        (all > 0).then(|| self.errors as f64 / all as f64)
    }

    /// Returns which of its percentiles are mostly the lateness of the generator, which is late for all URLs alike. Of
    /// the longest latency it cannot be said: the latest start may have been of another URL.
    pub fn mostly_late(&self, late: Option<&Distribution>) -> Vec<&'static str> {
        mostly_late(late, &[("p50", self.latency_ns_p50), ("p99", self.latency_ns_p99)])
    }
}

/// The search for the highest sustainable rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// The limit of the 99th percentile of latency, in nanoseconds.
    pub limit_ns: u64,
    /// Every rate that was tried, in order.
    pub steps: Vec<KneeStep>,
    /// Why the next rate was not kept; `None` if the highest possible rate was.
    pub gave_way: Option<String>,
}

impl Knee {
    /// Returns whether the rate is only the least that the server keeps: no higher one was tried, or the generator gave
    /// way at the next.
    #[must_use]
    pub fn is_least(&self) -> bool {
        self.gave_way.as_deref().is_none_or(is_the_generators)
    }
}

/// A rate that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KneeStep {
    /// Requests per second.
    pub rate: f64,
    /// The 99th percentile of latency, if there is one.
    pub latency_ns_p99: Option<f64>,
    /// Whether over half of that is the generator's own lateness.
    #[serde(default)]
    pub mostly_late: bool,
    /// Why it was not kept; `None` if it was.
    pub gave_way: Option<String>,
}
