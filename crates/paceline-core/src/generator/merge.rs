//! The results of several generators of one load, merged: counts add up, and histograms merge exactly.

use super::{Drive, Interval, Loaded, Part};
use crate::{histogram::Distribution, prepared::Fault};

/// What the generators of one load saw.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedLoad {
    /// All of it.
    pub whole: Loaded,
    /// What each of them saw.
    pub each: Vec<Loaded>,
}

impl MergedLoad {
    /// Merges what each generator saw of a load.
    ///
    /// # Errors
    ///
    /// Returns a fault if a histogram cannot be read, or if no request of the window was answered.
    pub(super) fn of(each: Vec<Loaded>, drive: Drive) -> Result<Self, Fault> {
        let whole = whole(&each).map_err(Fault::Failed)?;
        match whole.without_answers(drive) {
            Some(why) => Err(Fault::Failed(why)),
            None => Ok(MergedLoad { whole, each }),
        }
    }
}

fn whole(each: &[Loaded]) -> Result<Loaded, String> {
    let [first, rest @ ..] = each else { return Err("a load needs a generator".into()) };
    let windows = each.iter().map(|one| (one.elapsed_ns, one.parts.len()));
    if windows.clone().any(|window| window != (first.elapsed_ns, first.parts.len())) {
        let windows: Vec<_> = windows.collect();
        return Err(format!("the generators had different windows: {windows:?}"));
    }
    let mut sum = first.clone();
    for one in rest {
        sum.connections += one.connections;
        sum.reconnects += one.reconnects;
        sum.offered += one.offered;
        sum.answered += one.answered;
        sum.completed += one.completed;
        sum.unfinished += one.unfinished;
        sum.late_starts += one.late_starts;
        sum.requests_per_second += one.requests_per_second;
        sum.in_flight_at_start += one.in_flight_at_start;
        sum.in_flight_at_end += one.in_flight_at_end;
        for (kind, count) in &one.errors {
            *sum.errors.entry(kind.clone()).or_default() += count;
        }
        sum.first_error = sum.first_error.or_else(|| one.first_error.clone());
        // The worst of them: each is compared with a limit.
        sum.generator_cpu_share = sum.generator_cpu_share.max(one.generator_cpu_share);
        sum.generator_awake_share = sum.generator_awake_share.max(one.generator_awake_share);
        let waited = sum.generator_waited_share.zip(one.generator_waited_share);
        sum.generator_waited_share = waited.map(|(a, b)| a.max(b));
        sum.little_error = sum.little_error.zip(one.little_error).map(|(a, b)| a.max(b));
    }
    let times = |what, of: fn(&Loaded) -> Option<&Distribution>| merged(what, each.iter().map(of));
    let or_none = |times: Option<Distribution>| times.unwrap_or_else(Distribution::empty);
    sum.latency = or_none(times("the latency", |one| Some(&one.latency))?);
    sum.service_time = or_none(times("the service time", |one| Some(&one.service_time))?);
    sum.schedule_error = times("the schedule error", |one| one.schedule_error.as_ref())?;
    sum.error_latency = times("the time of errors", |one| one.error_latency.as_ref())?;
    for (place, part) in sum.parts.iter_mut().enumerate() {
        let parts = || each.iter().map(|one| &one.parts[place]);
        part.latency = merged("the latency of a URL", parts().map(|part| part.latency.as_ref()))?;
        part.errors = parts().map(|part: &Part| part.errors).sum();
    }
    Ok(sum)
}

/// Merges one interval of the window, as each generator saw it.
///
/// # Errors
///
/// Returns a sentence if a histogram cannot be read, or if it is not the same interval.
pub(super) fn interval(each: &[Interval]) -> Result<Interval, String> {
    let [first, rest @ ..] = each else { return Err("an interval needs a generator".into()) };
    let mut sum = first.clone();
    for one in rest {
        if (one.start_ns, one.lasts_ns) != (first.start_ns, first.lasts_ns) {
            return Err("the generators cut their windows into different intervals".into());
        }
        sum.offered += one.offered;
        sum.answered += one.answered;
        sum.errors += one.errors;
        sum.late_starts += one.late_starts;
    }
    let latencies = each.iter().map(|one| one.latency.as_ref());
    sum.latency = merged("the latency of an interval", latencies)?;
    let late = each.iter().map(|one| one.schedule_error.as_ref());
    sum.schedule_error = merged("the schedule error of an interval", late)?;
    Ok(sum)
}

/// Merges a time that the generators, in their order, saw or did not see.
fn merged<'d>(
    what: &str,
    each: impl Iterator<Item = Option<&'d Distribution>>,
) -> Result<Option<Distribution>, String> {
    let seen = (1..).zip(each).filter_map(|(number, times)| Some((number, times?)));
    Distribution::merged_of(what, "generator", seen)
}

#[cfg(test)]
mod tests {
    use super::{super::tally::Tally, *};
    use crate::{generator::Arrivals, histogram::Histogram, job::mix};

    const MS: u64 = 1_000_000;
    const OPEN: Drive = Drive::Open { rate: 1000.0, arrivals: Arrivals::Uniform };

    /// Returns a second of 1000 requests, as one of several generators that take turns counts it.
    fn tallied(index: u64, of: u64) -> Loaded {
        let mut tally = Tally::new((0, 1000 * MS), true, 2, None);
        let mut events = Vec::new();
        for number in (0..1000).filter(|number| number % of == index) {
            let start = number * MS;
            let end = start + 1 + mix(number) % (7 * MS);
            events.extend([(start, number, false), (end, number, true)]);
        }
        events.sort_unstable();
        for (at, number, ends) in events {
            tally.look(at);
            let (start, request) = (number * MS, (number % 2) as usize);
            if !ends {
                tally.arrive(start, start + 1);
            } else if number.is_multiple_of(50) {
                let why = Some(Fault::Failed(format!("request {number}")));
                tally.fail(request, start, at, super::super::failure::Kind::Timeout, why);
            } else {
                tally.complete(request, start, start + 1, at);
            }
        }
        tally.look(1010 * MS);
        tally.loaded(3)
    }

    #[test]
    fn what_several_count_of_a_load_is_what_one_counts() {
        let alone = tallied(0, 1);
        let one = MergedLoad::of(vec![alone.clone()], OPEN).unwrap();
        assert_eq!(one.whole, alone);
        for of in 2..=8 {
            let each: Vec<Loaded> = (0..of).map(|index| tallied(index, of)).collect();
            let found = MergedLoad::of(each.clone(), OPEN).unwrap();
            assert_eq!(found.each, each);
            let whole = Loaded {
                // Sums of floating-point numbers, and the worst of each; the first error of the first that has one.
                requests_per_second: one.whole.requests_per_second,
                generator_cpu_share: one.whole.generator_cpu_share,
                generator_waited_share: one.whole.generator_waited_share,
                little_error: one.whole.little_error,
                connections: 3,
                ..found.whole.clone()
            };
            assert_eq!(whole, one.whole, "{of} generators");
            assert_eq!(found.whole.connections, 3 * of);
            let rate = found.whole.requests_per_second;
            assert!((rate / one.whole.requests_per_second - 1.0).abs() < 1e-9);
            assert!(found.whole.little_error.unwrap() < 0.01);
        }
    }

    #[test]
    fn the_worst_generator_is_the_one_that_is_told() {
        let mut each = vec![tallied(0, 2), tallied(1, 2)];
        each[0].generator_cpu_share = 0.5;
        each[1].generator_cpu_share = 0.75;
        each[0].generator_awake_share = 0.25;
        each[0].generator_waited_share = Some(0.125);
        each[1].generator_waited_share = Some(0.5);
        each[0].little_error = Some(0.5);
        let found = MergedLoad::of(each.clone(), OPEN).unwrap().whole;
        assert_eq!((found.generator_cpu_share, found.little_error), (0.75, Some(0.5)));
        assert_eq!((found.generator_awake_share, found.generator_waited_share), (0.25, Some(0.5)));
        each[1].little_error = None;
        each[1].generator_waited_share = None;
        let found = MergedLoad::of(each, OPEN).unwrap().whole;
        assert_eq!((found.little_error, found.generator_waited_share), (None, None));
    }

    #[test]
    fn a_histogram_that_cannot_be_read_or_a_count_that_is_off_makes_the_load_void() {
        for (spoil, why) in [
            (
                (|one| one.latency.hdr_v2.truncate(20)) as fn(&mut Loaded),
                "the latency of generator 2 is not a histogram",
            ),
            (|one| one.service_time.hdr_v2 = "%".into(), "the service time of generator 2"),
            (
                |one| one.schedule_error.as_mut().unwrap().count += 1,
                "schedule error of generator 2",
            ),
            (|one| one.error_latency.as_mut().unwrap().count += 1, "time of errors of generator 2"),
            (|one| one.parts[1].latency.as_mut().unwrap().count -= 1, "of a URL of generator 2"),
            (|one| one.elapsed_ns += 1, "different windows"),
            (|one| drop(one.parts.pop()), "different windows"),
        ] {
            let mut each: Vec<Loaded> = (0..3).map(|index| tallied(index, 3)).collect();
            spoil(&mut each[1]);
            let said = MergedLoad::of(each, OPEN).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_generator_without_an_arrival_is_no_fault_where_another_has_one() {
        let mut idle = Tally::new((0, 1000 * MS), true, 2, None);
        idle.look(1000 * MS);
        let idle = idle.loaded(1);
        let found = MergedLoad::of(vec![idle.clone(), tallied(0, 1)], OPEN).unwrap().whole;
        assert_eq!(found.latency, tallied(0, 1).latency);
        let none = MergedLoad::of(vec![idle.clone(), idle], OPEN).unwrap_err().to_string();
        assert!(none.contains("no arrival fell into the window: 1000 per second in 1s"), "{none}");
    }

    #[test]
    fn an_interval_has_the_counts_and_the_latencies_of_all() {
        let of = |times: std::ops::Range<u64>| {
            let mut latency = Histogram::default();
            times.clone().for_each(|ms| latency.record(ms * MS));
            Interval {
                start_ns: 500 * MS,
                lasts_ns: 100 * MS,
                offered: times.end - times.start + 1,
                answered: 3,
                errors: 1,
                late_starts: 2,
                latency: latency.distribution(),
                schedule_error: latency.distribution(),
            }
        };
        let all = [of(1..100), of(0..0), of(100..250)];
        let wanted =
            Interval { offered: 252, answered: 9, errors: 3, late_starts: 6, ..of(1..250) };
        assert_eq!(interval(&all), Ok(wanted));
        let later = Interval { start_ns: 600 * MS, ..of(1..2) };
        assert!(interval(&[of(1..2), later]).unwrap_err().contains("different intervals"));
        let mut torn = all;
        torn[2].latency.as_mut().unwrap().hdr_v2.clear();
        let why = interval(&torn).unwrap_err();
        assert!(why.starts_with("the latency of an interval of generator 3 is"), "{why}");
    }
}
