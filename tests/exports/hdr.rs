//! What `HdrHistogram`'s own reader finds in the interval log, and a plotter's in the percentile text.

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

/// The blocks of the percentile text: their heading, rows of numbers, and footer.
fn blocks(text: &str) -> Vec<(String, Vec<Vec<f64>>, Vec<String>)> {
    let mut blocks = Vec::new();
    for line in text.lines() {
        if line.starts_with("#[Cell: ") {
            blocks.push((line.to_owned(), vec![], vec![]));
            continue;
        }
        let (_, rows, footer) = blocks.last_mut().expect("a heading comes first");
        // As the plotter reads it: what is no comment and has numbers is a row.
        if line.starts_with('#') {
            footer.push(line.to_owned());
        } else if !line.is_empty() && !line.contains("Percentile") {
            let numbers = line.split_whitespace().map(str::parse::<f64>);
            rows.push(numbers.collect::<Result<_, _>>().unwrap_or_else(|_| panic!("{line}")));
        }
    }
    blocks
}

#[test]
fn the_percentile_text_rises_to_the_greatest_and_counts_all() {
    let record = &RUNS[0];
    let text = Export::HdrPercentiles.render(record);
    assert!(text.contains("\n       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    let blocks = blocks(&text);
    assert_eq!(blocks.len(), record.cells.len());
    for (block, cell) in blocks.iter().zip(&record.cells) {
        let (heading, rows, footer) = block;
        let Some(latency) = &cell.latency else {
            assert!(rows.is_empty() && heading.contains("no latency: "), "{heading}");
            continue;
        };
        let (last, others) = rows.split_last().unwrap();
        // The last has no fourth column, which would be infinite.
        assert!(last.len() == 3 && others.iter().all(|row| row.len() == 4), "{heading}");
        assert!(rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2]));
        assert_eq!(last[2] as u64, latency.count, "{heading}");
        assert!((last[0] * 1e6 - latency.ns_max as f64).abs() < 1.0, "{last:?} {heading}");
        let middle = others.iter().find(|row| row[1] >= 0.5).unwrap();
        assert!((middle[0] * 1e6 / latency.ns_p50 as f64 - 1.0).abs() < 2e-3, "{heading}");
        assert!((middle[3] - 1.0 / (1.0 - middle[1])).abs() < 0.01, "{middle:?}");
        let mean = footer[0].split_once("#[Mean    =").unwrap().1.split(',').next().unwrap();
        let mean: f64 = mean.trim().parse().unwrap();
        assert!((mean * 1e6 - latency.ns_mean).abs() < 1.0, "{mean} {heading}");
        assert!(footer[1].starts_with("#[Max     =") && footer[1].contains("Total count    ="));
        // 3 digits from 1 ns to an hour: as HdrHistogram counts them.
        assert_eq!(footer[2], "#[Buckets =           32, SubBuckets     =         2048]");
    }
}

#[test]
fn the_percentile_text_has_a_block_for_each_cell_whatever_there_is_in_a_run() {
    for record in &*RUNS {
        let text = Export::HdrPercentiles.render(record);
        if record.cells.is_empty() {
            assert_eq!(text, "#[no cells]\n");
        } else {
            assert_eq!(blocks(&text).len(), record.cells.len());
        }
    }
    let refused = Export::HdrPercentiles.render(&RUNS[3]);
    assert!(blocks(&refused).iter().all(|(_, rows, _)| rows.is_empty()));
}
