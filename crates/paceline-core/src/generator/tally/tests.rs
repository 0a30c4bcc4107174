//! Tests the counters on loads whose figures are known.

use super::{
    super::{Drive, loaded::SATURATED, schedule::Arrivals},
    *,
};

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
    let slow = |start: u64| (900 * MS..1990 * MS).contains(&start) && start.is_multiple_of(7 * MS);
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
            .starts_with("generator late: 21 of 2 000 starts were over 1 ms late")
    );
    // One late start of 100, or four, is chance; 5 of only 5 are not.
    for (offered, late_starts, judged) in
        [(100, 1, false), (100, 4, false), (100, 5, true), (5, 5, true), (500, 5, true)]
    {
        let few = Loaded { offered, late_starts, ..late.clone() };
        assert_eq!(few.saturated().is_some(), judged, "{late_starts} of {offered}");
    }
    assert_eq!(fine.incomplete(), None);
    let left = Loaded { unfinished: 1, ..fine.clone() };
    assert!(left.incomplete().unwrap().starts_with("not steady: 1 of 2000 requests were neither"));
    let slow = Loaded { requests_per_second: 949.0, ..fine.clone() };
    assert!(slow.unsteady(1000.0).unwrap().contains("949 of 1 000"));
    // A request still in flight at the end does not mean that the rate was missed.
    let few = Loaded { offered: 5, requests_per_second: 2.0, ..fine.clone() };
    assert_eq!(few.unsteady(2.5), None);
    assert!(Loaded { requests_per_second: 0.0, ..few }.unsteady(2.5).is_some());
    // 16 connections, and 1 % of 2000 arrivals.
    assert_eq!(Loaded { in_flight_at_end: 46, ..fine.clone() }.unsteady(1000.0), None);
    assert!(Loaded { in_flight_at_end: 47, ..fine.clone() }.unsteady(1000.0).is_some());
    // A few more wait at the end of any window, and the only connection of a server is one.
    let of_one = |in_flight_at_end| {
        Loaded { connections: 1, offered: 50, in_flight_at_end, ..fine.clone() }.unsteady(50.0)
    };
    assert_eq!(of_one(fine.in_flight_at_start + 4), None);
    assert!(of_one(fine.in_flight_at_start + 5).is_some());
}

#[test]
fn a_window_into_which_nothing_fell_is_told_from_one_without_answers() {
    let said = |drive: Drive, arrival: u64| {
        let mut tally = Tally::new((200 * MS, 700 * MS), true, 0, None);
        tally.arrive(arrival, arrival);
        tally.look(200 * MS);
        tally.look(700 * MS);
        tally.loaded(1).without_answers(drive).unwrap()
    };
    let none = said(OPEN, 0);
    assert!(none.contains("no arrival fell into the window: 1 per second in 500ms"), "{none}");
    assert!(none.ends_with("raise --rate or --duration"), "{none}");
    let none = said(RAMP, 0);
    assert!(none.contains("the window: 0.5 to 1 per second in 500ms are too few"), "{none}");
    assert!(none.ends_with("raise the rates of --ramp or its time"), "{none}");
    assert!(said(Drive::Closed, 0).contains("no request began in the window of 500ms"));
    for drive in [OPEN, RAMP, Drive::Closed] {
        assert_eq!(said(drive, 300 * MS), "no request of the window was answered");
    }
}

const OPEN: Drive = Drive::Open { rate: 1.0, arrivals: Arrivals::Uniform };
const RAMP: Drive = Drive::Ramp { from: 0.5, to: 1.0, arrivals: Arrivals::Uniform };

#[test]
fn a_window_in_which_no_answer_came_has_no_rate() {
    let said = |drive: Drive, answered: u64| {
        let mut tally = Tally::new((0, 600 * MS), true, 0, None);
        tally.arrive(0, 0);
        tally.complete(0, 0, 0, answered);
        tally.look(0);
        tally.look(answered.max(600 * MS));
        let loaded = tally.loaded(1);
        assert_eq!((loaded.completed, loaded.without_answers(drive)), (1, None));
        loaded.without_rate(drive)
    };
    for (drive, raise) in [
        (OPEN, "raise --duration"),
        (Drive::Closed, "raise --duration"),
        (RAMP, "the time of --ramp"),
    ] {
        assert_eq!(said(drive, 599 * MS), None);
        let why = said(drive, 700 * MS).unwrap();
        assert!(why.starts_with("no answer came within the window of 600ms"), "{why}");
        assert!(why.ends_with(raise), "{why}");
    }
}

#[test]
fn what_began_before_the_window_and_has_no_answer_leaves_littles_law_unknown() {
    let tally = |answered: bool| {
        let mut tally = Tally::new((10 * MS, 20 * MS), true, 0, None);
        tally.arrive(5 * MS, 5 * MS);
        tally.arrive(12 * MS, 12 * MS);
        assert_eq!(tally.in_flight(), 2);
        tally.complete(0, 12 * MS, 12 * MS, 13 * MS);
        assert_eq!(tally.in_flight(), 1);
        if answered {
            // In flight through the whole window, and after it.
            tally.complete(0, 5 * MS, 5 * MS, 26 * MS);
            assert_eq!(tally.in_flight(), 0);
        }
        tally.look(10 * MS);
        tally.look(26 * MS);
        tally.loaded(1)
    };
    let (without, with) = (tally(false), tally(true));
    assert_eq!(without.little_error, None);
    assert!(with.little_error.unwrap() < 0.001, "{with:?}");
    assert_eq!((without.answered, with.answered, with.completed), (1, 2, 1));
}

#[test]
fn a_start_is_late_beyond_a_millisecond_and_not_at_it() {
    let (give, given) = std::sync::mpsc::channel();
    let intervals = Intervals::new((0, 10 * MS), 10 * MS, give);
    let mut tally = Tally::new((0, 10 * MS), true, 0, Some(intervals));
    for late in [0, MS - 1, MS, MS + 1, 2 * MS] {
        tally.arrive(MS, MS + late);
    }
    (0..5).for_each(|_| tally.complete(0, MS, MS, 5 * MS));
    tally.look(0);
    tally.look(10 * MS);
    assert_eq!(tally.loaded(1).late_starts, 2);
    assert_eq!(given.recv().unwrap().figures().late_starts, 2);
}

#[test]
fn each_part_has_its_latencies_and_errors_and_service_begins_at_the_sending() {
    let mut tally = Tally::new((0, 100 * MS), true, 2, None);
    for _ in 0..5 {
        tally.arrive(10 * MS, 10 * MS);
    }
    tally.complete(0, 10 * MS, 13 * MS, 15 * MS);
    tally.complete(1, 10 * MS, 10 * MS, 17 * MS);
    for at in [20 * MS, 30 * MS, 40 * MS] {
        tally.fail(1, 10 * MS, at, Kind::Timeout, None);
    }
    tally.look(0);
    tally.look(100 * MS);
    let loaded = tally.loaded(1);
    let near = |found: u64, wanted: u64| assert!(found.abs_diff(wanted) < wanted / 1000 + 1);
    near(loaded.service_time.ns_max, 7 * MS);
    near(loaded.service_time.ns_p50, 2 * MS);
    let most = |part: &Part| part.latency.as_ref().map(|of| (of.count, of.ns_max / 10_000));
    assert_eq!(loaded.parts.iter().map(most).collect::<Vec<_>>(), [Some((1, 500)), Some((1, 700))]);
    assert_eq!(loaded.parts.iter().map(|part| part.errors).collect::<Vec<_>>(), [0, 3]);
    assert_eq!((loaded.failed(), loaded.offered, loaded.completed), (3, 5, 2));
}

#[test]
fn the_generators_share_of_a_cpu_is_that_between_the_two_looks() {
    let mut tally = Tally::new((0, 1000 * MS), true, 0, None);
    tally.arrive(0, 0);
    tally.complete(0, 0, 0, MS);
    let look = |now, cpu, awake, waited| {
        Some(Look { now: now * MS, cpu: cpu * MS, awake: awake * MS, waited: Some(waited * MS) })
    };
    tally.looks = [look(200, 50, 10, 7), look(2200, 950, 410, 107)];
    let loaded = tally.loaded(1);
    // 900 ms of 2 s, of which 400 ms were spent awake for nothing else.
    let shares = [
        (loaded.generator_cpu_share, 0.25),
        (loaded.generator_awake_share, 0.2),
        (loaded.generator_waited_share.unwrap(), 0.05),
    ];
    assert!(shares.iter().all(|(found, wanted)| (found - wanted).abs() < 1e-9), "{shares:?}");
}

#[test]
fn a_limit_is_passed_beyond_it_and_not_at_it() {
    let fine = tallied(|_| false);
    let limit = |ns_p99: u64, count: u64| {
        let mut late = Loaded { late_starts: 100, ..fine.clone() };
        let error = late.schedule_error.as_mut().unwrap();
        (error.ns_p99, error.count) = (ns_p99, count);
        late.saturated()
    };
    assert_eq!(limit(MS, 999), None);
    assert!(limit(MS + 1, 999).unwrap().ends_with("over 1 ms late, the limit is 1 %"));
    assert!(limit(2_500_000, 1_000).unwrap().ends_with("; the 99th percentile is 2.50 ms"));
    let busy = |generator_cpu_share| Loaded { generator_cpu_share, ..fine.clone() }.saturated();
    assert_eq!((busy(0.95), busy(0.951).is_some()), (None, true));
    // A closed loop that gets no CPU is late for nothing; an open one would be late.
    let closed = |used, generator_waited_share, others| {
        let one = Loaded { generator_cpu_share: used, generator_waited_share, ..fine.clone() };
        assert_eq!(one.kept_waiting(others), None, "an open loop");
        Loaded { schedule_error: None, ..one }.kept_waiting(others)
    };
    // A saturated server that uses both CPUs leaves it this: nothing is wrong, however long it waits.
    for (used, waited, others) in
        [(0.67, 0.3, Some(0.05)), (0.67, 0.3, None), (0.2, 0.8, Some(0.3)), (0.2, 0.75, None)]
    {
        assert_eq!(closed(used, Some(waited), others), None);
    }
    assert_eq!(closed(0.9, None, Some(1.0)), None, "the system does not tell");
    // Another program takes as much from it as a server would.
    for (waited, others) in [(0.3, Some(0.9)), (0.5, Some(0.6)), (0.76, None)] {
        assert!(closed(0.67, Some(waited), others).is_some(), "{waited} {others:?}");
    }
    let said = closed(0.125, Some(0.875), Some(0.8)).unwrap();
    assert!(said.starts_with(SATURATED) && !said.contains("as far as"), "{said}");
    assert!(said.contains("for 12.5 % of the window and waited for one for 87.5 %"), "{said}");
    assert!(said.ends_with("of which 70.0 % for other programs; the limit is 25 %"), "{said}");
    // 2 000 in two seconds: 95 % are enough, and 10 fewer than all are no miss either.
    let answered = |requests_per_second| Loaded { requests_per_second, ..fine.clone() };
    assert_eq!(answered(950.0).unsteady(1000.0), None);
    assert_eq!(answered(995.0).unsteady(1000.0), None);
    assert!(answered(949.9).unsteady(1000.0).is_some());
    // Errors are no answers, and those that had none need not keep the rate.
    let errors = BTreeMap::from([("timeout".into(), 900), ("status 500".into(), 100)]);
    let half = Loaded { errors, ..answered(500.0) };
    assert_eq!((half.failed(), half.unsteady(1000.0)), (1000, None));
    assert!(Loaded { requests_per_second: 470.0, ..half }.unsteady(1000.0).is_some());
}
