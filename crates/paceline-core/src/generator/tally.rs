//! The counters of a running load. Their memory is allocated before the clock starts.

use std::{collections::BTreeMap, time::Duration};

use super::{
    failure::Kind,
    flight::Flight,
    interval::Intervals,
    loaded::{LATE_NS, Loaded, Part},
};
use crate::{
    clock::cpu_time,
    histogram::{Distribution, Histogram},
    prepared::Fault,
};

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
    /// The moment and the CPU time of the first check after the window's start, and after its end.
    looks: [Option<(u64, Duration)>; 2],
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
                *look = Some((now, cpu_time()));
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
                intervals.arrive(intended, late > LATE_NS);
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
        let [Some((from, used)), Some((to, used_then))] = self.looks else {
            unreachable!("the window has been looked at when it is over")
        };
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
            generator_cpu_share: (used_then.saturating_sub(used)).as_secs_f64()
                / ((to - from).max(1) as f64 / 1e9),
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
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Returns two seconds after one of warm-up, with 1000 requests a second of 10 ms each, each handled 20 us late;
    /// those for which `slow` is true take a second.
    fn tallied(slow: impl Fn(u64) -> bool) -> Loaded {
        let mut events = Vec::new();
        for start in (0..3000).map(|index| index * MS) {
            let end = start + if slow(start) { 1000 * MS } else { 10 * MS };
            events.extend([(start + 20_000, start, true), (end, start, false)]);
        }
        events.sort_unstable();
        let mut tally = Tally::new((1000 * MS, 3000 * MS), true, 0, None);
        for (at, start, arrives) in events {
            tally.look(at);
            if arrives { tally.arrive(start, at) } else { tally.complete(0, start, start + 5, at) }
        }
        tally.loaded(16)
    }

    #[test]
    fn only_what_was_meant_for_the_window_is_counted() {
        let loaded = tallied(|_| false);
        assert_eq!((loaded.offered, loaded.completed, loaded.unfinished), (2000, 2000, 0));
        assert_eq!((loaded.in_flight_at_start, loaded.in_flight_at_end), (10, 10));
        assert!((loaded.requests_per_second - 1000.0).abs() < 1.0);
        // A histogram keeps 3 digits.
        assert_eq!(loaded.latency.ns_max / 20_000, 10 * MS / 20_000);
        assert_eq!(loaded.schedule_error.as_ref().unwrap().ns_max / 100, 20_000 / 100);
        assert_eq!((loaded.saturated(), loaded.unsteady(1000.0)), (None, None));
    }

    #[test]
    fn littles_law_holds_wherever_all_are_answered_and_no_error_of_the_tally_passes() {
        fn end(start: u64) -> u64 {
            start + MS - 1
        }
        let slow =
            |start: u64| (900 * MS..1990 * MS).contains(&start) && start.is_multiple_of(7 * MS);
        for loaded in [tallied(|_| false), tallied(slow), tallied(|_| true)] {
            assert!(loaded.little_error.unwrap() < 0.001, "{loaded:?}");
        }
        // Each waits half a millisecond for a connection, and takes another half.
        let planted = |plant: fn(&mut Tally, u64)| {
            let mut tally = Tally::new((0, 1000 * MS), true, 0, None);
            for start in (0..1000).map(|index| index * MS) {
                tally.arrive(start, start);
                plant(&mut tally, start);
            }
            tally.look(1000 * MS);
            tally.loaded(1).little_error
        };
        let right = planted(|tally, start| tally.complete(0, start, start + MS / 2, end(start)));
        assert!(right.unwrap() < 0.001, "{right:?}");
        let at_sending =
            planted(|tally, start| tally.complete(0, start + MS / 2, start + MS / 2, end(start)));
        assert!((at_sending.unwrap() - 0.5).abs() < 0.01, "{at_sending:?}");
        let twice = planted(|tally, start| {
            tally.complete(0, start, start, end(start));
            tally.latency.record(if start.is_multiple_of(10 * MS) { MS } else { 0 });
            tally.offered += 1;
        });
        assert!((twice.unwrap() - 0.1).abs() < 0.01, "{twice:?}");
        let unanswered = planted(|tally, start| {
            if start > 0 {
                tally.complete(0, start, start, end(start));
            }
        });
        assert_eq!(unanswered, None);
    }

    #[test]
    fn each_limit_is_named_when_it_is_passed() {
        let fine = tallied(|_| false);
        let busy = Loaded { generator_cpu_share: 0.96, ..fine.clone() };
        assert!(busy.saturated().unwrap().contains("96.0 %"));
        let mut late = fine.clone();
        late.schedule_error.as_mut().unwrap().ns_p99 = 2 * MS;
        late.late_starts = 21;
        assert!(
            late.saturated()
                .unwrap()
                .starts_with("generator late: 21 of 2000 starts were over 1 ms late")
        );
        // One late start of 100, or four, is chance; 5 of only 5 are not.
        for (offered, late_starts, judged) in
            [(100, 1, false), (100, 4, false), (100, 5, true), (5, 5, true), (500, 5, true)]
        {
            let few = Loaded { offered, late_starts, ..late.clone() };
            assert_eq!(few.saturated().is_some(), judged, "{late_starts} of {offered}");
        }
        let slow = Loaded { requests_per_second: 949.0, ..fine.clone() };
        assert!(slow.unsteady(1000.0).unwrap().contains("949 of 1000"));
        // A request still in flight at the end does not mean that the rate was missed.
        let few = Loaded { offered: 5, requests_per_second: 2.0, ..fine.clone() };
        assert_eq!(few.unsteady(2.5), None);
        assert!(Loaded { requests_per_second: 0.0, ..few }.unsteady(2.5).is_some());
        // 16 connections, and 1 % of 2000 arrivals.
        assert_eq!(Loaded { in_flight_at_end: 46, ..fine.clone() }.unsteady(1000.0), None);
        assert!(Loaded { in_flight_at_end: 47, ..fine }.unsteady(1000.0).is_some());
    }

    #[test]
    fn a_window_into_which_nothing_fell_is_told_from_one_without_answers() {
        let said = |rate: Option<f64>, arrival: u64| {
            let mut tally = Tally::new((200 * MS, 700 * MS), true, 0, None);
            tally.arrive(arrival, arrival);
            tally.look(200 * MS);
            tally.look(700 * MS);
            tally.loaded(1).without_answers(rate).unwrap()
        };
        let none = said(Some(1.0), 0);
        assert!(none.contains("no arrival fell into the window: 1 per second in 500ms"), "{none}");
        assert!(said(None, 0).contains("no request began in the window of 500ms"));
        for rate in [Some(1.0), None] {
            assert_eq!(said(rate, 300 * MS), "no request of the window was answered");
        }
    }
}
