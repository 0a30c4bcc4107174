//! What `HdrHistogram`'s own reader finds in the interval log.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    },
};
use paceline::report::Export;

use crate::{RUNS, cell_of, ok};

/// A histogram, the seconds that it is of, and the greatest as the log says it.
type Interval = (Histogram<u64>, f64, f64);

/// The tags of a log and their histograms, and how often it says when it began.
fn intervals(text: &str) -> (HashMap<String, Interval>, usize) {
    let (mut found, mut starts) = (HashMap::new(), 0);
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        match entry.unwrap_or_else(|error| panic!("{error:?}: {text}")) {
            LogEntry::Interval(interval) => {
                let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                let read = Deserializer::new().deserialize(&mut &*bytes).unwrap();
                let tag = interval.tag().unwrap().as_str().to_owned();
                assert!(!tag.contains([' ', ',']), "{tag}");
                let figures = (read, interval.duration().as_secs_f64(), interval.max());
                assert!(found.insert(tag, figures).is_none(), "a tag twice");
            }
            LogEntry::StartTime(start) | LogEntry::BaseTime(start) => {
                // 2026-11-25T02:00:00Z
                assert_eq!(start.as_secs(), 1_795_572_000);
                starts += 1;
            }
        }
    }
    (found, starts)
}

#[test]
fn the_log_has_an_interval_for_each_cell_with_latencies_and_the_same_counts() {
    let record = &RUNS[0];
    let text = Export::HdrLog.render(record);
    let (found, starts) = intervals(&text);
    assert_eq!((found.len(), starts), (ok(record).len(), 2));
    let cell = cell_of(record, "tokio", 1_000);
    let latency = cell.latency.as_ref().unwrap();
    let (histogram, seconds, most) = &found["sleep/tokio@8/1000"];
    assert_eq!(histogram.len(), latency.count);
    assert_eq!(histogram.max(), latency.ns_max);
    assert!((most * 1e6 - latency.ns_max as f64).abs() < 1_000.0, "{most} ms");
    let recorded = cell.batch_ns.unwrap().value * latency.count as f64 / 1_000.0 / 1e9;
    assert!((seconds - recorded).abs() < 1e-3, "{seconds} s");
    // Five trials of 3 s.
    let loads = found.iter().filter(|(tag, _)| tag.starts_with("serve-service/"));
    let loads: Vec<f64> = loads.map(|(_, (_, seconds, _))| *seconds).collect();
    assert!(!loads.is_empty() && loads.iter().all(|of| (of - 15.0).abs() < 1e-9), "{loads:?}");
    // What has no latencies is said, too.
    let comments: Vec<&str> = text.lines().filter(|line| line.starts_with("#sleep/")).collect();
    assert!(comments.iter().any(|line| line.contains("refused: needs 100256 threads")), "{text}");
}

#[test]
fn the_log_can_be_read_whatever_there_is_in_a_run() {
    for record in &*RUNS {
        let (found, _) = intervals(&Export::HdrLog.render(record));
        let whole = ok(record)
            .into_iter()
            .filter(|cell| cell.latency.as_ref().is_some_and(|times| times.histogram().is_ok()));
        assert_eq!(found.len(), whole.count());
    }
    let text = Export::HdrLog.render(&RUNS[5]);
    assert!(text.lines().any(|line| line.starts_with('#') && line.contains("not a histogram")));
}
