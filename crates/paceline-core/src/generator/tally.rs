//! The counters of a running load. Their memory is allocated before the clock starts.

use std::collections::BTreeMap;

use super::{
    failure::Kind,
    flight::Flight,
    interval::Intervals,
    loaded::{LATE_NS, Loaded, Part},
};
use crate::{
    clock::{cpu_time, nanoseconds},
    histogram::{Distribution, Histogram},
    prepared::Fault,
    usage::waited_for_cpu,
};

/// What this process had used of CPUs at a moment, in nanoseconds.
#[derive(Clone, Copy)]
struct Look {
    now: u64,
    cpu: u64,
    /// The part of it in which the generator only stayed awake.
    awake: u64,
    /// The time for which this thread had waited for a CPU, if the system tells.
    waited: Option<u64>,
}

/// The counters of a load.
pub(super) struct Tally {
    flight: Flight,
    /// The measured window, in nanoseconds since the clock started.
    start_ns: u64,
    end_ns: u64,
    offered: u64,
    answered: u64,
    late_starts: u64,
    latency: Histogram,
    service_time: Histogram,
    /// `None` in the closed loop, which has no schedule.
    schedule_error: Option<Histogram>,
    /// Completions in the window.
    completed: u64,
    /// Requests with their intended start before the window and no answer yet.
    earlier: u64,
    /// The part of their latencies in the window, minus the part of the window's own latencies after it.
    crossing_ns: i128,
    pub(super) reconnects: u64,
    /// The errors of the window, their latencies, and the first error.
    errors: BTreeMap<Kind, u64>,
    error_latency: Histogram,
    pub(super) first_error: Option<Fault>,
    /// Latencies and errors of each request with a weight.
    parts: Vec<(Histogram, u64)>,
    /// The time spent awake before starts, for nothing else.
    pub(super) awake_ns: u64,
    /// The first check after the window's start, and after its end.
    looks: [Option<Look>; 2],
    /// The same by intervals, if requested.
    intervals: Option<Intervals>,
}

impl Tally {
    /// Returns empty counters of a window. `parts` is the number of requests that are also counted separately.
    pub(super) fn new(
        (start_ns, end_ns): (u64, u64),
        has_schedule: bool,
        parts: usize,
        intervals: Option<Intervals>,
    ) -> Self {
        Tally {
            flight: Flight::new(vec![start_ns, end_ns]),
            start_ns,
            end_ns,
            offered: 0,
            answered: 0,
            late_starts: 0,
            latency: Histogram::default(),
            service_time: Histogram::default(),
            schedule_error: has_schedule.then(Histogram::default),
            completed: 0,
            earlier: 0,
            crossing_ns: 0,
            reconnects: 0,
            errors: BTreeMap::new(),
            error_latency: Histogram::default(),
            first_error: None,
            parts: vec![(Histogram::default(), 0); parts],
            awake_ns: 0,
            looks: [None; 2],
            intervals,
        }
    }

    /// Returns the number of requests that have arrived and are not completed.
    pub(super) fn in_flight(&self) -> u64 {
        self.flight.level()
    }

    /// Reads the CPU time if the window has started or ended since the last check. A process that slept across the edge
    /// used none in between, so the reading may be late.
    pub(super) fn look(&mut self, now: u64) {
        for (look, border) in self.looks.iter_mut().zip([self.start_ns, self.end_ns]) {
            if look.is_none() && now >= border {
                *look = Some(Look {
                    now,
                    cpu: nanoseconds(cpu_time()),
                    awake: self.awake_ns,
                    waited: waited_for_cpu().map(nanoseconds),
                });
            }
        }
        if let Some(intervals) = &mut self.intervals {
            intervals.look(now);
        }
    }

    /// Counts a request with its intended start at `intended`, handled at `now`.
    pub(super) fn arrive(&mut self, intended: u64, now: u64) {
        self.flight.arrive(intended, now);
        self.earlier += u64::from(intended < self.start_ns);
        if self.is_measured(intended) {
            let late = now - intended;
            self.offered += 1;
            self.late_starts += u64::from(late > LATE_NS);
            if let Some(times) = &mut self.schedule_error {
                times.record(late);
            }
            if let Some(intervals) = &mut self.intervals {
                intervals.arrive(intended, self.schedule_error.is_some().then_some(late));
            }
        }
    }

    /// Counts the answer to a request sent at `sent`.
    pub(super) fn complete(&mut self, request: usize, intended: u64, sent: u64, now: u64) {
        self.end(intended, now, true);
        self.answered += 1;
        self.completed += u64::from(self.flight.interval().is_some());
        if self.is_measured(intended) {
            self.latency.record(now - intended);
            self.service_time.record(now - sent);
            if let Some((latency, _)) = self.parts.get_mut(request) {
                latency.record(now - intended);
            }
        }
    }

    /// Counts a failed request. Its time is in no latency of answered requests.
    pub(super) fn fail(
        &mut self,
        request: usize,
        intended: u64,
        now: u64,
        kind: Kind,
        why: Option<Fault>,
    ) {
        self.end(intended, now, false);
        if self.is_measured(intended) {
            *self.errors.entry(kind).or_default() += 1;
            self.error_latency.record(now - intended);
            self.first_error = self.first_error.take().or(why);
            if let Some((_, errors)) = self.parts.get_mut(request) {
                *errors += 1;
            }
        }
    }

    /// Counts a request that is no longer in flight.
    fn end(&mut self, intended: u64, now: u64, is_answered: bool) {
        self.flight.complete(now);
        if let Some(intervals) = &mut self.intervals {
            intervals.end(intended, now, is_answered);
        }
        let after = i128::from(now.saturating_sub(self.end_ns));
        if self.is_measured(intended) {
            self.crossing_ns -= after;
        } else if intended < self.start_ns {
            self.earlier = self.earlier.saturating_sub(1);
            self.crossing_ns += i128::from(now.saturating_sub(self.start_ns)) - after;
        }
    }

    fn is_measured(&self, intended: u64) -> bool {
        (self.start_ns..self.end_ns).contains(&intended)
    }

    /// Returns the figures once the window has ended.
    pub(super) fn loaded(mut self, connections: u64) -> Loaded {
        if let Some(mut intervals) = self.intervals.take() {
            intervals.finish();
        }
        self.flight.advance(self.end_ns.max(self.flight.at()));
        let elapsed_ns = self.end_ns - self.start_ns;
        let times = |of: &Histogram| of.distribution().unwrap_or_else(Distribution::empty);
        let latency = times(&self.latency);
        let error_latency = self.error_latency.distribution();
        let unfinished = self.offered - latency.count - self.error_latency.count();
        let area = self.flight.areas[0] as f64;
        let sum = |of: &Distribution| of.ns_mean * of.count as f64;
        let told =
            sum(&latency) + error_latency.as_ref().map_or(0.0, sum) + self.crossing_ns as f64;
        let all = unfinished == 0 && self.earlier == 0;
        let [Some(first), Some(last)] = self.looks else {
            unreachable!("the window has been looked at when it is over")
        };
        let share = |ns: u64| ns as f64 / (last.now - first.now).max(1) as f64;
        let awake = last.awake - first.awake;
        let used = last.cpu.saturating_sub(first.cpu);
        Loaded {
            connections,
            reconnects: self.reconnects,
            elapsed_ns,
            offered: self.offered,
            answered: self.answered,
            completed: latency.count,
            unfinished,
            late_starts: self.late_starts,
            requests_per_second: self.completed as f64 / (elapsed_ns as f64 / 1e9),
            in_flight_at_start: self.flight.levels[0],
            in_flight_at_end: self.flight.levels.last().copied().unwrap_or(0),
            latency,
            service_time: times(&self.service_time),
            schedule_error: self.schedule_error.as_ref().and_then(Histogram::distribution),
            generator_cpu_share: share(used.saturating_sub(awake)),
            generator_awake_share: share(awake),
            generator_waited_share: last
                .waited
                .zip(first.waited)
                .map(|(last, first)| share(last.saturating_sub(first))),
            errors: self.errors.iter().map(|(kind, count)| (kind.to_string(), *count)).collect(),
            error_latency,
            first_error: self.first_error.as_ref().map(ToString::to_string),
            parts: self.parts.iter().map(part).collect(),
            little_error: all.then(|| (area - told).abs() / area.max(1.0)),
        }
    }
}

fn part((latency, errors): &(Histogram, u64)) -> Part {
    Part { latency: latency.distribution(), errors: *errors }
}

#[cfg(test)]
mod tests;
