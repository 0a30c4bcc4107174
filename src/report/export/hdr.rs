//! Latencies in the formats of `HdrHistogram`'s tools: <https://hdrhistogram.github.io/HdrHistogram/>.

use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

use super::{
    super::table::word,
    rows::{Row, Sheet},
};
use crate::{
    output::cut,
    record::{Cell, State},
};
use paceline_core::histogram::{Distribution, Histogram};

/// The longest name, in characters.
const NAME: usize = 200;
/// Steps for each half of the remaining distance to 100 %, the default of `HdrHistogram`.
const TICKS: u32 = 5;
/// Values are shown in milliseconds.
const NS_PER_MS: f64 = 1e6;

/// Returns an interval log, version 1.3: an interval for each cell, with the cell as its tag. Values are in
/// nanoseconds; the greatest, which readers only show, is in milliseconds. A cell has no time of measurement, so every
/// interval begins with the run, and is as long as its recorded batches. Cells without latencies are comments.
pub(super) fn log(sheet: &Sheet) -> String {
    let started = humantime::parse_rfc3339(sheet.started).ok();
    let started = started.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let seconds = started.unwrap_or(Duration::ZERO).as_secs_f64();
    let mut text = format!(
        "#[Latencies in nanoseconds, recorded by paceline in {}]\n#[Histogram log format version 1.3]\n\
         #[StartTime: {seconds:.3} (seconds since epoch), {}]\n#[BaseTime: {seconds:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        cut(sheet.id, NAME),
        cut(sheet.started, NAME),
    );
    let tag = |name: &str| cut(name, NAME).replace([' ', ','], "_");
    for (name, row) in sheet.named_as(tag) {
        match latency(row) {
            Ok((cell, latency, _)) => {
                let (length, most) =
                    (recorded_seconds(cell, latency), latency.ns_max as f64 / NS_PER_MS);
                let _ = writeln!(text, "Tag={name},0.000,{length:.3},{most:.3},{}", latency.hdr_v2);
            }
            Err(why) => {
                let _ = writeln!(text, "#{name}: {why}");
            }
        }
    }
    text
}

/// Returns the percentile text of each cell in a block that begins with `#[Cell`; values are in milliseconds. Plotters
/// take a file for each: `csplit -z FILE '/^#\[Cell/' '{*}'` splits them.
pub(super) fn percentiles(sheet: &Sheet) -> String {
    let mut text = String::new();
    for (name, row) in sheet.named(NAME) {
        if !text.is_empty() {
            text.push('\n');
        }
        match latency(row) {
            Ok((_, _, histogram)) => {
                let _ = writeln!(text, "#[Cell: {name}, latency in milliseconds]");
                block(&mut text, &histogram);
            }
            Err(why) => {
                let _ = writeln!(text, "#[Cell: {name}, no latency: {why}]");
            }
        }
    }
    if text.is_empty() {
        text.push_str("#[no cells]\n");
    }
    text
}

/// Adds a block. Nanoseconds keep all their digits: six decimals of a millisecond.
fn block(text: &mut String, histogram: &Histogram) {
    let ms = |ns: f64| ns / NS_PER_MS;
    let _ = writeln!(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n");
    for (value, share, count) in histogram.percentiles(TICKS) {
        let value = ms(value as f64);
        let _ = write!(text, "{value:12.6} {share:.12} {count:10}");
        // The last line has no such value: it would be infinite.
        let _ = match share {
            share if share < 1.0 => writeln!(text, " {:14.2}", 1.0 / (1.0 - share)),
            _ => writeln!(text),
        };
    }
    let (mean, deviation, most) = histogram.moments();
    let (mean, deviation, most) = (ms(mean), ms(deviation), ms(most as f64));
    let count = histogram.count();
    let (buckets, parts) = histogram.buckets();
    let _ = writeln!(text, "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]");
    let _ = writeln!(text, "#[Max     = {most:12.6}, Total count    = {count:12}]");
    let _ = writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {parts:12}]");
}

/// Returns the latencies of a cell, or why it has none.
fn latency<'a>(row: &Row<'a>) -> Result<(&'a Cell, &'a Distribution, Histogram), String> {
    let cell = row.recorded.ok_or("no latencies are kept of it")?;
    if let Some(latency) = cell.latency.as_ref().filter(|_| cell.state == State::Ok) {
        let histogram = latency.histogram().map_err(|why| cut(&why, NAME))?;
        return Ok((cell, latency, histogram));
    }
    let reason = cell.reason.as_deref().map(|reason| format!(": {}", cut(reason, NAME)));
    let reason = reason.unwrap_or_else(|| ", without recorded latencies".into());
    Err(format!("{}{reason}", word(cell.state)))
}

/// Returns the total time of the recorded batches, or the duration of the load.
fn recorded_seconds(cell: &Cell, latency: &Distribution) -> f64 {
    let batches = latency.count as f64 / cell.scale.max(1) as f64;
    let recorded = cell.batch_ns.map(|trial| trial.value * batches / 1e9);
    let lasted = cell.load.as_ref().map(|load| load.duration_seconds);
    lasted.or(recorded).filter(|seconds| seconds.is_finite() && *seconds >= 0.0).unwrap_or(0.0)
}
