//! Latencies in the format of `HdrHistogram`'s tools: <https://hdrhistogram.github.io/HdrHistogram/>.

use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

use super::{
    super::table::word,
    rows::{Row, Sheet},
};
use crate::{
    output::{cut, shorten},
    record::{Cell, State},
};
use paceline_core::histogram::Distribution;

/// The longest name, in characters.
const NAME: usize = 200;

/// Returns an interval log, version 1.3: an interval for each cell, with the cell as its tag. Values are in
/// nanoseconds; the greatest, which readers only show, is in milliseconds. A cell has no time of measurement, so every
/// interval begins with the run, and is as long as its recorded batches, or all trials. Cells without latencies are
/// comments.
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
            Ok((cell, latency)) => {
                let (length, most) = (recorded_seconds(cell, latency), latency.ns_max as f64 / 1e6);
                let _ = writeln!(text, "Tag={name},0.000,{length:.3},{most:.3},{}", latency.hdr_v2);
            }
            Err(why) => {
                let _ = writeln!(text, "#{name}: {why}");
            }
        }
    }
    text
}

/// Returns the latencies of a cell, or why it has none.
fn latency<'a>(row: &Row<'a>) -> Result<(&'a Cell, &'a Distribution), String> {
    let cell = row.recorded.ok_or("no latencies are kept of it")?;
    if let Some(latency) = cell.latency.as_ref().filter(|_| cell.state == State::Ok) {
        latency.histogram().map_err(|why| shorten(&why, NAME))?;
        return Ok((cell, latency));
    }
    let reason = cell.reason.as_deref().map(|reason| format!(": {}", shorten(reason, NAME)));
    let reason = reason.unwrap_or_else(|| ", without recorded latencies".into());
    Err(format!("{}{reason}", word(cell.state)))
}

/// Returns the total time of the recorded batches, or of a load's trials: the histogram is of all of them.
fn recorded_seconds(cell: &Cell, latency: &Distribution) -> f64 {
    let batches = latency.count as f64 / cell.scale.max(1) as f64;
    let recorded = cell.batch_ns.map(|trial| trial.value * batches / 1e9);
    let trials = cell.trials().max(1) as f64;
    let lasted = cell.load.as_ref().map(|load| load.duration_seconds * trials);
    lasted.or(recorded).filter(|seconds| seconds.is_finite() && *seconds >= 0.0).unwrap_or(0.0)
}
