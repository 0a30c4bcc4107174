//! The window in intervals of equal length: the offered requests of each, their results and latencies.
//!
//! A request belongs to the interval of its intended start: with completions, the intervals in which a server stalls
//! would have no slow requests. An interval is thus complete once all of its requests are. The thread that drives the
//! load then only sends it; another one computes its figures.

use std::{collections::VecDeque, sync::mpsc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loaded, loaded::LATE_NS};
use crate::histogram::{Distribution, Histogram};

/// The results of the requests of an interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// When it begins, in nanoseconds since the start of the window.
    pub start_ns: u64,
    /// Its length, in nanoseconds. The last one of a window may be shorter.
    pub lasts_ns: u64,
    /// Requests with their intended start in it. In the closed loop: requests started in it.
    pub offered: u64,
    /// Answers that arrived in it, whenever their requests were meant to start.
    pub answered: u64,
    /// Requests with their intended start in it and no right answer.
    pub errors: u64,
    /// Requests that the generator reached more than a millisecond late.
    pub late_starts: u64,
    /// From the intended start of each answered request to its answer.
    pub latency: Option<Distribution>,
    /// From the intended start of each request until the generator reached it. `None` in the closed loop.
    #[serde(default)]
    pub schedule_error: Option<Distribution>,
}

impl Interval {
    /// Returns intended starts per second.
    #[must_use]
    pub fn offered_per_second(&self) -> f64 {
        self.offered as f64 * 1e9 / self.lasts_ns as f64
    }

    /// Returns answers per second.
    #[must_use]
    pub fn answered_per_second(&self) -> f64 {
        self.answered as f64 * 1e9 / self.lasts_ns as f64
    }

    /// Returns its middle, in seconds since the start of the window.
    #[must_use]
    pub fn middle_seconds(&self) -> f64 {
        (self.start_ns as f64 + self.lasts_ns as f64 / 2.0) / 1e9
    }
}

/// Returns why the counts of `intervals` do not add up to those of `loaded`, if they do not.
#[must_use]
pub fn sum_mismatch(intervals: &[Interval], loaded: &Loaded) -> Option<String> {
    let sum = |of: fn(&Interval) -> u64| intervals.iter().map(of).sum::<u64>();
    let answered = loaded.requests_per_second * loaded.elapsed_ns as f64 / 1e9;
    [
        ("requests", sum(|one| one.offered), loaded.offered),
        ("answers", sum(|one| one.answered), answered.round() as u64),
        ("late starts", sum(|one| one.late_starts), loaded.late_starts),
        (
            "latencies",
            sum(|one| one.latency.as_ref().map_or(0, |times| times.count)),
            loaded.latency.count,
        ),
        (
            "schedule errors",
            sum(|one| one.schedule_error.as_ref().map_or(0, |times| times.count)),
            loaded.schedule_error.as_ref().map_or(0, |times| times.count),
        ),
        ("nanoseconds", sum(|one| one.lasts_ns), loaded.elapsed_ns),
    ]
    .into_iter()
    .find(|(_, sum, whole)| sum != whole)
    .map(|(what, sum, whole)| {
        format!(
            "the intervals have {sum} {what} and the window {whole}: the generator counts wrongly"
        )
    })
}

/// The counters of an interval.
pub(super) struct Counted {
    counts: Interval,
    /// Its requests that are neither answered nor failed.
    under_way: u64,
    latency: Histogram,
    schedule_error: Histogram,
}

impl Counted {
    /// Computes its figures.
    pub(super) fn figures(mut self) -> Interval {
        self.counts.errors = self.counts.offered - self.latency.count();
        Interval {
            latency: self.latency.distribution(),
            schedule_error: self.schedule_error.distribution(),
            ..self.counts
        }
    }
}

/// The incomplete intervals of a window.
pub(super) struct Intervals {
    start_ns: u64,
    end_ns: u64,
    length_ns: u64,
    /// The intervals; the first is the earliest incomplete one.
    open: VecDeque<Counted>,
    /// The number of intervals before the first.
    over: u64,
    give: mpsc::Sender<Counted>,
}

impl Intervals {
    /// Divides a window into intervals of at most `length_ns`; each is sent when it is complete, in order.
    pub(super) fn new(window: (u64, u64), length_ns: u64, give: mpsc::Sender<Counted>) -> Self {
        let (start_ns, end_ns) = window;
        let mut intervals =
            Intervals { start_ns, end_ns, length_ns, open: VecDeque::new(), over: 0, give };
        intervals.at(start_ns);
        intervals
    }

    /// Returns the interval of a moment of the window.
    fn at(&mut self, moment: u64) -> &mut Counted {
        let place = ((moment - self.start_ns) / self.length_ns - self.over) as usize;
        while self.open.len() <= place {
            let start = (self.over + self.open.len() as u64) * self.length_ns;
            let lasts_ns = self.length_ns.min(self.end_ns - self.start_ns - start);
            self.open.push_back(Counted {
                counts: Interval { start_ns: start, lasts_ns, ..Interval::default() },
                under_way: 0,
                latency: Histogram::default(),
                schedule_error: Histogram::default(),
            });
        }
        &mut self.open[place]
    }

    fn has(&self, moment: u64) -> bool {
        (self.start_ns..self.end_ns).contains(&moment)
    }

    /// Counts a request of the window with its intended start at `intended`, which the generator reached `late_ns`
    /// later; `None` without a schedule.
    pub(super) fn arrive(&mut self, intended: u64, late_ns: Option<u64>) {
        if self.has(intended) {
            let of = self.at(intended);
            of.under_way += 1;
            of.counts.offered += 1;
            if let Some(late_ns) = late_ns {
                of.counts.late_starts += u64::from(late_ns > LATE_NS);
                of.schedule_error.record(late_ns);
            }
        }
    }

    /// Counts a request that ended at `now`: answered or failed.
    pub(super) fn end(&mut self, intended: u64, now: u64, is_answered: bool) {
        if is_answered && self.has(now) {
            self.at(now).counts.answered += 1;
        }
        if self.has(intended) {
            let of = self.at(intended);
            of.under_way -= 1;
            if is_answered {
                of.latency.record(now - intended);
            }
        }
    }

    /// Sends the intervals that are complete at `now`, once all starts until then have been counted.
    pub(super) fn look(&mut self, now: u64) {
        while let Some(first) = self.open.front()
            && first.under_way == 0
            && now >= self.start_ns + first.counts.start_ns + first.counts.lasts_ns
        {
            self.next();
        }
    }

    fn next(&mut self) {
        let end = self.open.front().map_or(0, |one| one.counts.start_ns + one.counts.lasts_ns);
        if self.start_ns + end < self.end_ns {
            self.at(self.start_ns + end);
        }
        if let Some(first) = self.open.pop_front() {
            self.over += 1;
            // If the parent is gone, nothing receives them, and this process ends too.
            let _ = self.give.send(first);
        }
    }

    /// Sends the rest: requests still in flight get no answer any more.
    pub(super) fn finish(&mut self) {
        while !self.open.is_empty() {
            self.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tally::Tally, *};
    use crate::job::mix;

    const MS: u64 = 1_000_000;

    /// Returns a tally and its intervals of 100 ms for a window from 200 to 1 250 ms, with 2 ms between starts. Each
    /// request is handled up to 2 ms late and takes up to 5 ms; `ends` may change when it ends, or whether it does.
    fn tallied(seed: u64, ends: impl Fn(u64, u64) -> Option<u64>) -> (Loaded, Vec<Interval>) {
        let (give, over) = mpsc::channel();
        let window = (200 * MS, 1250 * MS);
        let intervals = Intervals::new(window, 100 * MS, give);
        let mut tally = Tally::new(window, true, 0, Some(intervals));
        let mut events = Vec::new();
        for start in (0..1250).step_by(2).map(|ms| ms * MS) {
            let random = mix(seed ^ start);
            let late = random % (2 * MS);
            events.push((start + late, start, true));
            let end = start + late + mix(random) % (5 * MS);
            events.extend(ends(start, end).map(|end| (end, start, false)));
        }
        events.sort_unstable();
        for (at, start, arrives) in events {
            if arrives {
                tally.arrive(start, at);
            } else {
                tally.complete(0, start, start, at);
            }
            // As the loop does: after everything due was handled.
            tally.look(at - at % (2 * MS));
        }
        tally.look(3000 * MS);
        let loaded = tally.loaded(1);
        (loaded, over.into_iter().map(Counted::figures).collect())
    }

    #[test]
    fn the_intervals_add_up_to_the_whole_whatever_happens() {
        let stalls =
            |start, end| Some(if (500 * MS..800 * MS).contains(&start) { 800 * MS } else { end });
        let loses = |start: u64, end| (!start.is_multiple_of(14 * MS)).then_some(end);
        let never = |start, end| (start < 700 * MS).then_some(end);
        for seed in 0..20 {
            for (name, (loaded, intervals)) in [
                ("plain", tallied(seed, |_, end| Some(end))),
                ("stall", tallied(seed, stalls)),
                ("lost", tallied(seed, loses)),
                ("ends", tallied(seed, never)),
            ] {
                assert_eq!(intervals.len(), 11, "{name}");
                assert_eq!(intervals.last().unwrap().lasts_ns, 50 * MS);
                assert_eq!(sum_mismatch(&intervals, &loaded), None, "{name}");
                let errors: u64 = intervals.iter().map(|one| one.errors).sum();
                assert_eq!(errors, loaded.unfinished, "{name}");
                let all = (0..).zip(intervals.iter().filter_map(|one| one.latency.as_ref()));
                let merged = Distribution::merged("it", all).unwrap().unwrap();
                assert_eq!(merged.histogram(), loaded.latency.histogram(), "{name}");
                let all = (0..).zip(intervals.iter().filter_map(|one| one.schedule_error.as_ref()));
                let merged = Distribution::merged("it", all).unwrap().unwrap();
                let whole = loaded.schedule_error.unwrap();
                assert_eq!(merged.histogram(), whole.histogram(), "{name}");
            }
        }
    }

    #[test]
    fn a_stall_is_in_the_intervals_of_those_that_it_kept_waiting() {
        let (_, intervals) = tallied(1, |start, end| {
            Some(if (500 * MS..800 * MS).contains(&start) { 800 * MS } else { end })
        });
        let longest = |one: &Interval| one.latency.as_ref().map_or(0, |times| times.ns_max / MS);
        let seen: Vec<u64> = intervals.iter().map(longest).collect();
        assert!(seen[3] >= 299 && (199..=201).contains(&seen[4]) && (99..=101).contains(&seen[5]));
        assert!(seen[..3].iter().chain(&seen[6..]).all(|ms| *ms < 8), "{seen:?}");
        // No answers arrived during the stall, and all at once afterwards.
        let came: Vec<u64> = intervals.iter().map(|one| one.answered).collect();
        assert!(came[3] < 5 && came[4] == 0 && came[5] == 0 && came[6] > 190, "{came:?}");
        assert!(intervals[..10].iter().all(|one| one.offered == 50));
        assert!((intervals[10].offered_per_second() - 500.0).abs() < 21.0);
    }

    #[test]
    fn an_interval_is_given_away_once_its_last_request_is_over_and_not_before() {
        let (give, over) = mpsc::channel();
        let mut intervals = Intervals::new((0, 300 * MS), 100 * MS, give);
        intervals.arrive(10 * MS, Some(LATE_NS));
        intervals.arrive(110 * MS, Some(LATE_NS + 1));
        intervals.end(110 * MS, 120 * MS, true);
        intervals.look(250 * MS);
        assert!(over.try_recv().is_err());
        intervals.end(10 * MS, 260 * MS, true);
        intervals.look(260 * MS);
        let two: Vec<Interval> = over.try_iter().map(Counted::figures).collect();
        assert_eq!([two[0].offered, two[0].answered, two[0].late_starts], [1, 0, 0]);
        assert_eq!([two[1].offered, two[1].answered, two[1].late_starts], [1, 1, 1]);
        assert!(two[1].schedule_error.as_ref().unwrap().ns_max > LATE_NS);
        assert_eq!(two.len(), 2);
        intervals.finish();
        let last = over.try_iter().map(Counted::figures).next().unwrap();
        assert_eq!((last.answered, last.latency), (1, None));
    }

    #[test]
    fn a_count_that_is_lost_is_named() {
        let (loaded, intervals) = tallied(3, |_, end| Some(end));
        for (what, spoil) in [
            ("requests", (|one| one.offered -= 1) as fn(&mut Interval)),
            ("answers", |one| one.answered += 1),
            ("late starts", |one| one.late_starts += 1),
            ("latencies", |one| one.latency = None),
            ("schedule errors", |one| one.schedule_error = None),
            ("nanoseconds", |one| one.lasts_ns += 1),
        ] {
            let mut spoiled = intervals.clone();
            spoil(&mut spoiled[4]);
            let why = sum_mismatch(&spoiled, &loaded).unwrap();
            assert!(why.contains(what), "{why}");
        }
        assert!(sum_mismatch(&intervals[1..], &loaded).is_some());
    }
}
