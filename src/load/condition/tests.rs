//! Tests conditions on cells whose figures are known.

use super::*;
use crate::record::{Estimate, Knee, Resources, State};
use paceline_core::{histogram::Histogram, perform::Placement};

/// Returns a cell with 990 right answers of 20 ms, and 10 errors.
fn cell() -> Cell {
    let mut times = Histogram::default();
    (0..990).for_each(|_| times.record(20_000_000));
    let mut load = LoadFigures::new(Loop::Closed, None, None, 8);
    load.offered = 1_000;
    load.errors = [("status 503".to_owned(), 7), ("timeout".to_owned(), 3)].into();
    load.generator_cpu_share_max = Some(0.25);
    Cell {
        latency: times.distribution(),
        latency_ns_p50: Some(Estimate::exactly(20e6)),
        jobs_per_second: Some(Estimate::exactly(9_900.0)),
        load: Some(load),
        ..Cell::new("w", "tokio", 8, None, Placement::Inside, State::Ok)
    }
}

#[test]
fn a_condition_is_broken_by_what_passes_its_bound_and_by_nothing_else() {
    let cell = cell();
    for (text, broken) in [
        ("p50>20ms", None),
        ("p50 >= 20ms", Some("p50 of tokio is 20 ms")),
        ("p50>19.9ms", Some("p50 of tokio is 20 ms")),
        ("P50<0.03s", Some("p50 of tokio is 20 ms")),
        ("p50<=20000us", Some("is 20 ms")),
        ("p50<20000000ns", None),
        ("max>19_000µs", Some("max of tokio is ")),
        ("rate<9900", None),
        ("req/s<9_901", Some("req/s of tokio is 9900 per second")),
        ("errors>0.1%", Some("the error rate of tokio is 1 %")),
        ("errors>1%", None),
        ("errors>=1e0%", Some("the error rate of tokio is 1 %")),
        ("errors>0.1e1%", None),
        ("errors>9", Some("the number of errors of tokio is 10")),
        ("errors>10", None),
        ("generator>80%", None),
        ("conns<8", None),
        ("latencies<1000", Some("latencies of tokio is 990")),
        // Not measured: 990 latencies are too few for a 99th percentile, and a closed loop has no late starts.
        ("p99>20ms", Some("p99 of tokio was not measured: too few")),
        ("p99<20ms", Some("p99 of tokio was not measured")),
        ("p99.9>1s", Some("was not measured")),
        ("service-p99>1s", Some("service p99 of tokio was not measured")),
        ("late p99>1ms", Some("late p99 of tokio was not measured")),
        ("cpu>1s", Some("CPU/req of tokio was not measured")),
    ] {
        let found = Condition::parse(text).unwrap().violation(&cell);
        match (&found, broken) {
            (None, None) => {}
            (Some(found), Some(said)) => assert!(found.contains(said), "{text}: {found}"),
            _ => panic!("{text}: {found:?}"),
        }
    }
    let reason = Some("the server is gone".into());
    let failed = Cell { state: State::Failed, reason, ..cell };
    for metric in &METRICS {
        let condition = Condition { metric, ..Condition::parse("errors>=5").unwrap() };
        let said = condition.violation(&failed).unwrap();
        assert!(said.ends_with("was not measured: the server is gone"), "{said}");
    }
}

#[test]
fn a_server_at_a_url_is_named_with_its_path_and_a_time_has_no_more_digits_than_a_nanosecond() {
    let mut cell = cell();
    (cell.model, cell.workload) = ("127.0.0.1:80".into(), "/b?c=1".into());
    cell.latency_ns_p50 = Some(Estimate::exactly(20_217_850.574_282_98));
    let said = Condition::parse("p50>20ms").unwrap().violation(&cell).unwrap();
    assert_eq!(said, "p50>20ms: p50 of 127.0.0.1:80/b?c=1 is 20.217851 ms");
    let said = Condition::parse("p99>20ms").unwrap().violation(&cell).unwrap();
    assert!(said.starts_with("p99>20ms: p99 of 127.0.0.1:80/b?c=1 was not measured"), "{said}");
}

#[test]
fn what_a_load_never_has_is_told_from_what_it_has_too_little_for() {
    let mut cell = cell();
    let why = |text: &str, cell: &Cell| Condition::parse(text).unwrap().violation(cell).unwrap();
    let few = "was not measured: too few requests for the percentile";
    for (text, wanted) in [
        ("cpu>1us", "the CPU time of a server at a URL is not known"),
        ("late-p99>1ms", "a closed loop has no schedule"),
        ("of-bound<50%", "no bound is known"),
        ("p99>1ms", few),
        ("service-p99>1ms", few),
    ] {
        let said = why(text, &cell);
        assert!(said.contains(wanted), "{text}: {said}");
    }
    cell.load.as_mut().unwrap().looped = Loop::Open;
    assert!(why("late-p99>1ms", &cell).contains(few));
    cell.resources = Some(Resources::default());
    assert!(!why("cpu>1us", &cell).contains("URL"));
}

#[test]
fn a_latency_that_is_mostly_the_generators_lateness_breaks_no_bound_of_the_server() {
    let late = |ns: u64, text: &str| {
        let mut times = Histogram::default();
        (0..990).for_each(|_| times.record(ns));
        let mut cell = cell();
        cell.load.as_mut().unwrap().schedule_error = times.distribution();
        Condition::parse(text).unwrap().violation(&cell).unwrap_or_default()
    };
    assert_eq!(late(9_900_000, "p50>19ms"), "p50>19ms: p50 of tokio is 20 ms");
    for text in ["p50>19ms", "p50>=20ms", "max>19ms", "p50<20ms"] {
        let said = late(10_100_000, text);
        assert!(said.contains("was not measured: over half of its 20"), "{text}: {said}");
    }
    // With the generator's lateness it is below the bound, so without it too.
    assert_eq!([late(10_100_000, "p50>21ms"), late(10_100_000, "rate<9900")], ["", ""]);
    assert_eq!(late(10_100_000, "p50<21ms"), "p50<21ms: p50 of tokio is 20 ms");
}

#[test]
fn a_rate_that_is_only_the_least_is_below_no_bound() {
    let knee = |why: &str, text: &str| {
        let mut cell = cell();
        let knee = Knee { limit_ns: 1, steps: vec![], gave_way: Some(why.into()) };
        cell.load.as_mut().unwrap().knee = Some(knee);
        Condition::parse(text).unwrap().violation(&cell).unwrap_or_default()
    };
    assert!(knee("status 503", "rate<9901").ends_with("tokio is 9900 per second"));
    let least = |text: &str| knee("generator late: 9 of 100 starts", text);
    for text in ["rate<9901", "rate>9900"] {
        assert!(least(text).contains("was not measured: at least 9900 per"), "{}", least(text));
    }
    assert_eq!(least("rate<9900"), "");
    assert!(least("rate>9899").ends_with("tokio is 9900 per second"));
}

#[test]
fn what_is_no_condition_is_said_with_what_there_is() {
    for (text, why) in [
        ("p99", "'p99>20ms'"),
        ("p99=20ms", "'p99>20ms'"),
        ("", "'p99>20ms'"),
        (">5", "there is no metric \"\""),
        (
            "p95>20ms",
            "choose one of conns, req/s, of bound, errors, latencies, p50, p90, p99, p99.9, max",
        ),
        ("mean>20ms", "rate for req/s"),
        ("p99>20", "ns, us, ms or s"),
        ("p99>20min", "not \"20min\""),
        ("p99>-1ms", "not \"-1ms\""),
        ("p99>infs", "not \"infs\""),
        ("p99>1e999s", "not \"1e999s\""),
        ("p99>20%", "a time"),
        ("rate<9900ms", "without a unit"),
        ("rate<", "not \"\""),
        ("errors>1ms", "0.1% or 5"),
        ("errors>NaN%", "0.1% or 5"),
        ("generator>1", "a share, such as 80%"),
    ] {
        let said = Condition::parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn errors_are_too_many_beyond_the_share_or_the_number_that_is_said() {
    for (text, errors, passed) in [
        ("1%", 10, false),
        ("1%", 11, true),
        ("0", 0, false),
        ("0", 1, true),
        ("0%", 1, true),
        ("10", 10, false),
        ("10", 11, true),
        ("100%", 1_000, false),
        ("0.7%", 7, false),
        ("0.7%", 8, true),
        ("2.9%", 29, false),
    ] {
        let most = MaxErrors::parse(text).unwrap();
        assert_eq!(most.is_passed(errors, 1_000), passed, "{errors} of {text}");
        assert_eq!(most.to_string(), text);
    }
    for text in ["", "%", "101%", "-1", "1.5", "many", "1 in 10", "1e400"] {
        assert!(MaxErrors::parse(text).is_err(), "{text}");
    }
}
