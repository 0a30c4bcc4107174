//! The results of a load, and whether they are valid.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Drive, Interval};
use crate::{histogram::Distribution, prepared::Fault, quantity::count};

/// The greatest 99th percentile of the schedule error: above it the generator was measured, not the server.
pub const MOST_SCHEDULE_ERROR_NS: u64 = 1_000_000;
/// The fewest late starts for which the schedule error is judged: one of 100 starts is the 99th percentile, and chance.
pub const LEAST_LATE_STARTS: u64 = 5;
/// The greatest CPU share of the generator over the window: above it the generator itself may be what is measured.
pub const MOST_CPU_SHARE: f64 = 0.95;
/// The greatest share of the window for which other programs may have kept the generator of a closed loop from a CPU:
/// above it, the figures tell of them. The server may keep it waiting for longer: if it uses both of 2 CPUs, the
/// generator waits for up to 30 % of the window, and nothing is wrong.
pub const MOST_TAKEN_SHARE: f64 = 0.25;
/// The part of the generator's wait for a CPU that counts as other programs' where nobody knows what the server used.
const UNKNOWN_OTHERS: f64 = 1.0 / 3.0;
/// The beginning of the reason if the generator, and not the server, was overloaded.
pub const SATURATED: &str = "generator saturated";
/// The beginning of the reason if the generator had CPU time left, but started requests too late.
pub const LATE: &str = "generator late";
/// The beginning of the reason if the server did not keep the rate.
pub const UNSTEADY: &str = "not steady";
/// A start that is later than this counts as late.
pub const LATE_NS: u64 = 1_000_000;
/// The least completions per arrival of the window for the rate to count as reached.
pub const LEAST_REACHED: f64 = 0.95;
/// The fewest arrivals of the window without a completion in it for the rate to count as missed, and the least growth of
/// the requests in flight: a few are in flight at the end of any window.
pub const LEAST_MISSED: f64 = 5.0;
/// The greatest growth of the requests in flight over the window, as a share of those offered, beyond the number of
/// connections. More means a growing queue: latencies would continue to grow in a longer window.
pub const MOST_GROWTH: f64 = 0.01;
/// Returns whether a reason says that the generator was at fault, and not the server.
#[must_use]
pub fn is_the_generators(why: &str) -> bool {
    [SATURATED, LATE].iter().any(|begin| why.starts_with(begin))
}

/// The results of a load: the requests offered in the window and what happened to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loaded {
    /// Connections that were kept open.
    pub connections: u64,
    /// How often a connection was reopened because the server had closed it or a request on it had failed, counted from
    /// the first warm-up request.
    pub reconnects: u64,
    /// The length of the window, in nanoseconds.
    pub elapsed_ns: u64,
    /// Requests with their intended start in the window.
    pub offered: u64,
    /// All answered requests, with those of the warm-up: the divisor of the server's CPU time.
    pub answered: u64,
    /// Offered requests that were answered, in the window or within the patience after it.
    pub completed: u64,
    /// Offered requests that were neither answered nor an error.
    pub unfinished: u64,
    /// Offered requests that were an error, by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the intended start of each error until it was given up. No other time includes it.
    pub error_latency: Option<Distribution>,
    /// The first of these errors.
    pub first_error: Option<String>,
    /// The requests that have weights, each separately.
    pub parts: Vec<Part>,
    /// Offered requests that the generator reached more than a millisecond late; 0 in the closed loop.
    pub late_starts: u64,
    /// Completions per second in the window, whenever their requests started.
    pub requests_per_second: f64,
    /// Requests in flight or waiting for a connection at the start of the window.
    pub in_flight_at_start: u64,
    /// Requests in flight or waiting for a connection at the end of the window.
    pub in_flight_at_end: u64,
    /// From the intended start of each completed request to its completion.
    pub latency: Distribution,
    /// From the sending of each completed request to its completion: without the wait for a connection.
    pub service_time: Distribution,
    /// From the intended start of each request until the generator reached it: the generator's own error, part of the
    /// latency. `None` in the closed loop.
    pub schedule_error: Option<Distribution>,
    /// CPU time of the generator over the time of the window, without the time in which it only stayed awake.
    pub generator_cpu_share: f64,
    /// The share of the window in which the generator had nothing to do and stayed awake, because a start was near.
    #[serde(default)]
    pub generator_awake_share: f64,
    /// The share of the window in which the thread that drives the load was ready to run and no CPU was free for it;
    /// `None` if the system does not count it.
    #[serde(default)]
    pub generator_waited_share: Option<f64>,
    /// The relative error of Little's law: the requests in flight, integrated over the window by a counter, against
    /// those that the latencies imply. `None` if a request was not answered.
    pub little_error: Option<f64>,
}

/// One of several requests that have weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// The latency of the answered requests.
    pub latency: Option<Distribution>,
    /// The number of errors.
    pub errors: u64,
}

/// The output of the generator's process: that it is ready, that it agrees to the start, intervals as they are
/// complete, and then its results. A fault may stand in place of each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reply {
    Ready,
    Agreed,
    Interval(Box<Interval>),
    Loaded(Box<Loaded>),
    Fault(Fault),
}

impl Loaded {
    /// Returns why the figures are the generator's own and not the server's, if they are.
    #[must_use]
    pub fn saturated(&self) -> Option<String> {
        if let Some(error) = &self.schedule_error
            && error.ns_p99 > MOST_SCHEDULE_ERROR_NS
            && self.late_starts >= LEAST_LATE_STARTS
        {
            let [late, starts] = [self.late_starts, self.offered].map(|of| count(of as usize));
            let most = MOST_SCHEDULE_ERROR_NS as f64 / 1e6;
            let tail = error.p99().map_or_else(String::new, |ns| {
                format!("; the 99th percentile is {:.2} ms", ns as f64 / 1e6)
            });
            return Some(format!(
                "{LATE}: {late} of {starts} starts were over {most} ms late, the limit is 1 %{tail}"
            ));
        }
        let [used, most] = [self.generator_cpu_share, MOST_CPU_SHARE].map(|share| share * 100.0);
        (used > most)
            .then(|| format!("{SATURATED}: it used {used:.1} % of a CPU, the limit is {most} %"))
    }

    /// Returns why the figures of a closed loop tell of other programs, if they kept the generator from the CPU.
    /// `others` is their share of the CPU time that was not the generator's; the rest is the server's. `None` if nobody
    /// knows.
    ///
    /// In the open loop, a generator that waits for a CPU is late. In the closed one it is late for nothing, and uses
    /// less of a CPU the less it gets.
    #[must_use]
    pub fn kept_waiting(&self, others: Option<f64>) -> Option<String> {
        let waited = self.generator_waited_share.filter(|_| self.schedule_error.is_none())?;
        let taken = waited * others.unwrap_or(UNKNOWN_OTHERS);
        let known = if others.is_some() { "of which" } else { "of which, as far as is known," };
        (taken > MOST_TAKEN_SHARE).then(|| {
            let [used, waited, taken, most] =
                [self.generator_cpu_share, waited, taken, MOST_TAKEN_SHARE].map(|of| of * 100.0);
            format!(
                "{SATURATED}: it used a CPU for {used:.1} % of the window and waited for one for {waited:.1} %, {known} \
                 {taken:.1} % for other programs; the limit is {most} %"
            )
        })
    }

    /// Returns why there is nothing to tell of the window, if no request of it was answered.
    pub(super) fn without_answers(&self, drive: Drive) -> Option<String> {
        let window = self.window();
        (self.latency.count == 0).then(|| match drive {
            _ if let Some(first) = &self.first_error => {
                format!("no request of the window had a right answer; the first: {first}")
            }
            _ if self.offered > 0 => "no request of the window was answered".into(),
            Drive::Open { rate, .. } => format!(
                "no arrival fell into the window: {} per second in {window} are too few; raise --rate or --duration",
                // A share of a knee has many digits.
                (rate * 1e3).round() / 1e3
            ),
            Drive::Ramp { from, to, .. } => format!(
                "no arrival fell into the window: {from} to {to} per second in {window} are too few; raise the rates of \
                 --ramp or its time"
            ),
            Drive::Closed => format!(
                "no request began in the window of {window}: answers take longer than that; raise --duration"
            ),
        })
    }

    /// Returns why there is no rate, if no answer came within the window: those to its requests came after it.
    #[must_use]
    pub fn without_rate(&self, drive: Drive) -> Option<String> {
        let raise = match drive {
            Drive::Ramp { .. } => "raise the time of --ramp",
            Drive::Open { .. } | Drive::Closed => "raise --duration",
        };
        (self.requests_per_second <= 0.0).then(|| {
            format!(
                "no answer came within the window of {}, so there is no rate: answers take longer than that; {raise}",
                self.window()
            )
        })
    }

    fn window(&self) -> humantime::FormattedDuration {
        humantime::format_duration(Duration::from_nanos(self.elapsed_ns))
    }

    /// Returns why the latencies are not those of all requests, if some were neither answered nor an error: the longest
    /// are then missing.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        (self.unfinished > 0).then(|| {
            format!(
                "{UNSTEADY}: {} of {} requests were neither answered nor given up when the load ended, so the longest \
                 latencies are missing; raise --patience or --connections, or lower the rate",
                self.unfinished, self.offered
            )
        })
    }

    /// Returns the number of errors among the requests of the window.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns why the server did not keep pace with an open loop of `rate` requests per second, if it did not:
    /// completions were under 95 % of the arrivals and at least 5 fewer, or the requests in flight grew by more than
    /// the connections and 1 % of the arrivals, and by at least 5. `None` in the closed loop, which has no rate.
    #[must_use]
    pub fn unsteady(&self, rate: f64) -> Option<String> {
        self.schedule_error.as_ref()?;
        // Errors are judged separately. The other requests must have kept the rate.
        let offered = (self.offered - self.failed()) as f64;
        let achieved = self.requests_per_second;
        let seconds = self.elapsed_ns as f64 / 1e9;
        let answered = achieved * seconds;
        let not_reached = answered < LEAST_REACHED * offered && offered - answered >= LEAST_MISSED;
        let growth = self.in_flight_at_end.saturating_sub(self.in_flight_at_start);
        let grown = growth as f64 > self.connections as f64 + MOST_GROWTH * offered
            && growth as f64 >= LEAST_MISSED;
        (not_reached || grown).then(|| {
            let [answered, rate] = [achieved, rate].map(|rate| count(rate.round() as usize));
            let growth = count(growth as usize);
            format!(
                "{UNSTEADY}: {answered} of {rate} requests per second were answered, and {growth} more were in \
                 flight at the end of the window than at its start"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_and_saturation_are_the_generators_fault_and_nothing_else_is() {
        let late = format!("{LATE}: 7 of 160 starts were over 1 ms late, the limit is 1 %");
        assert!(is_the_generators(&late));
        assert!(is_the_generators(&format!("{SATURATED}: it used 99.0 % of a CPU")));
        assert!(!is_the_generators(&format!("{UNSTEADY}: the server, and then the {LATE}")));
    }
}
