//! Loads over time, at shares of the knee, and of servers that took turns.

use paceline::record::{
    Against, AtShare, Cell, Estimate, LoadFigures, Ramp, Record, State, UrlFigures,
};
use paceline_core::{generator::Interval, histogram::Histogram};

/// The record with intervals and several URLs for each open loop of a fixed rate, one of which is a ramp; with shares
/// for each knee; and with a comparison for one cell.
pub(crate) fn told(record: &mut Record) {
    for cell in &mut record.cells {
        let name = cell.model.clone();
        let Cell { state: State::Ok, load: Some(load), .. } = cell else { continue };
        if load.knee.is_some() {
            load.at_shares = [0.25, 0.5, 0.755].map(|share| at_share(share, load)).into();
        } else if load.rate.is_some() {
            load.intervals = (0..3).map(intervals).collect();
            load.by_url = urls("/orders").into();
            if name == "pool" {
                (load.rate, load.ramp) = (None, Some(Ramp { from: 100.0, to: 1_300.0 }));
            }
        } else {
            load.against = Some(against());
        }
    }
}

/// A URL that was answered often, one that was answered once, and one that never was.
pub(crate) fn urls(last: &str) -> [UrlFigures; 3] {
    let one = |method: &str, path: &str, weight, completed, errors, ns: [Option<u64>; 3]| {
        let [latency_ns_p50, latency_ns_p99, latency_ns_max] = ns;
        let (method, path) = (method.to_owned(), path.to_owned());
        UrlFigures {
            method,
            path,
            weight,
            completed,
            errors,
            latency_ns_p50,
            latency_ns_p99,
            latency_ns_max,
        }
    };
    [
        one("GET", "/items?page=1", 12, 4_321, 7, [5_110_000, 6_220_000, 17_300_000].map(Some)),
        one("GET", "/health", 1, 1, 0, [Some(2_440_000), None, Some(2_550_000)]),
        one("POST", last, 3, 0, 1_093, [None; 3]),
    ]
}

pub(crate) fn against() -> Against {
    let ratio = |value: f64| Some(Estimate { value, lower: value - 0.03, upper: value + 0.04 });
    Against {
        base: "smol".into(),
        pairs: 5,
        level: 0.98125,
        requests_per_second: ratio(0.8125),
        latency_p50: ratio(1.015_625),
        latency_p99: ratio(1.4375),
        error_shares: [0.0; 2],
    }
}

pub(crate) fn at_share(share: f64, load: &LoadFigures) -> AtShare {
    let estimate = |value: f64| Some(Estimate { value, lower: value * 0.97, upper: value * 1.02 });
    let rate = load.rate.unwrap() * share;
    AtShare {
        share,
        rate,
        state: State::Ok,
        reason: None,
        trials: 3,
        requests_per_second: estimate(rate * 0.999),
        latency_ns_p50: estimate(5_200_000.0),
        latency_ns_p99: estimate(6_000_000.0 + 1e6 * share),
        latency_ns_max: Some(31_000_007),
        mostly_late: vec![],
        error_share: None,
    }
}

/// Ten seconds, the fourth of which lost some requests, and the last of which had none.
fn intervals(trial: u64) -> Vec<Interval> {
    let one = |second: u64| {
        let mut times = Histogram::default();
        let count = if second == 9 { 0 } else { 300 * (second + 1) };
        (0..count).for_each(|n| times.record(5_000_000 + (n * 7 + trial * 311) % 900_000));
        Interval {
            start_ns: second * 1_000_000_000,
            lasts_ns: 1_000_000_000,
            offered: count + if second == 3 { 17 } else { 0 },
            answered: count,
            errors: if second == 3 { 17 } else { 0 },
            late_starts: 0,
            latency: times.distribution(),
            schedule_error: None,
        }
    };
    (0..10).map(one).collect()
}
