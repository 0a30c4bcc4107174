//! Prints the intervals of a load as they end: a line for each, as text or as JSON.

use std::time::Duration;

use serde::Serialize;

use super::{Order, bench::NoFigure};
use crate::{
    output::{Progress, count, long, print, rate},
    record::{Cell, MOSTLY_LATE, by_column, late_mark, mostly_late},
};
use paceline_core::{
    generator::{Drive, Interval, LEAST_INTERVAL_NS},
    histogram::Distribution,
};

/// The most intervals of a load: the record keeps a histogram of each.
pub const MOST_INTERVALS: u128 = 3_600;

/// How intervals are printed as they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalFormat {
    /// Not at all.
    None,
    /// In lines of text.
    Text,
    /// In lines of JSON, each an object `{"interval": …}`.
    Json,
}

/// Prints the intervals of one trial.
pub(super) struct IntervalPrinter<'a> {
    format: IntervalFormat,
    progress: &'a Progress,
    cell: Cell,
    trial: u32,
    /// Why an interval could not be printed.
    fault: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    interval: IntervalLine<'a>,
}

#[derive(Serialize)]
struct IntervalLine<'a> {
    workload: &'a str,
    model: &'a str,
    trial: u32,
    /// The latencies of which over half is the generator's own lateness.
    mostly_late: Vec<&'static str>,
    #[serde(flatten)]
    figures: &'a Interval,
}

impl<'a> IntervalPrinter<'a> {
    pub(super) fn start(order: &Order, progress: &'a Progress, cell: Cell, trial: u32) -> Self {
        let format =
            if order.every.is_some() { order.interval_format } else { IntervalFormat::None };
        let mut printer = IntervalPrinter { format, progress, cell, trial, fault: None };
        if format == IntervalFormat::Text {
            let (of, name) = (order.trials, printer.cell.server_name());
            // A closed loop has no schedule to be late for.
            let closed = matches!(order.drive, Drive::Closed);
            let mark = if closed { String::new() } else { format!("; {MOSTLY_LATE}") };
            printer.print(&format!("\n{name}, trial {} of {of}{mark}\n{}", trial + 1, head()));
        }
        printer
    }

    pub(super) fn print_interval(&mut self, interval: &Interval) {
        let Cell { workload, model, .. } = &self.cell;
        let fields = IntervalLine {
            workload,
            model,
            trial: self.trial,
            mostly_late: late_in(interval),
            figures: interval,
        };
        match self.format {
            IntervalFormat::None => {}
            IntervalFormat::Text => self.print(&line(interval)),
            IntervalFormat::Json => {
                let text = serde_json::to_string(&Line { interval: fields });
                self.print(&text.expect("an interval is plain data"));
            }
        }
    }

    /// Returns an error if an interval could not be printed: a load whose output nobody can read is ended.
    pub(super) fn check(&mut self) -> Result<(), NoFigure> {
        self.fault.take().map_or(Ok(()), |why| Err(NoFigure::Fatal(why)))
    }

    fn print(&mut self, text: &str) {
        let printed = self.progress.beside(|| print(text));
        self.fault = self.fault.take().or(printed.err());
    }
}

fn head() -> String {
    columns(
        ["time", "offered/s", "answered/s", "p50", "p99", "max", "errors", "late"]
            .map(str::to_owned),
    )
}

/// Returns the latencies of an interval of which over half is the generator's own lateness.
fn late_in(interval: &Interval) -> Vec<&'static str> {
    let late = interval.schedule_error.as_ref();
    interval.latency.as_ref().map_or_else(Vec::new, |of| mostly_late(late, &by_column(of)))
}

/// Returns the end of the interval, its offered and answered rates, the latencies of its requests, its errors, and how
/// many requests the generator itself started late.
fn line(interval: &Interval) -> String {
    let late = late_in(interval);
    let time = |name: &str, ns: Option<u64>| {
        let mark = late_mark(&late, name);
        ns.map_or_else(|| "-".into(), |ns| format!("{mark}{}", long(Duration::from_nanos(ns))))
    };
    let times = interval.latency.as_ref();
    columns([
        format!("{:.1} s", (interval.start_ns + interval.lasts_ns) as f64 / 1e9),
        rate(interval.offered_per_second()),
        rate(interval.answered_per_second()),
        time("p50", times.map(|times| times.ns_p50)),
        time("p99", times.and_then(Distribution::p99)),
        time("max", times.map(|times| times.ns_max)),
        count(interval.errors as usize),
        count(interval.late_starts as usize),
    ])
}

fn columns(fields: [String; 8]) -> String {
    fields.map(|field| format!("{field:>10}")).join(" ")
}

impl Order {
    /// Returns an error if the duration cannot be divided into such intervals.
    pub(super) fn check_intervals(&self) -> Result<(), String> {
        let Some(every) = self.every else { return Ok(()) };
        let long = |time: Duration| humantime::format_duration(time).to_string();
        if every < Duration::from_nanos(LEAST_INTERVAL_NS) || every > self.duration {
            let (least, most) =
                (long(Duration::from_nanos(LEAST_INTERVAL_NS)), long(self.duration));
            return Err(format!(
                "--every is at least {least} and at most the duration, {most}; not {}",
                long(every)
            ));
        }
        let intervals = self.duration.as_nanos().div_ceil(every.as_nanos());
        if intervals > MOST_INTERVALS {
            let (every, all) = (long(every), long(self.duration));
            let (intervals, most) = (count(intervals as usize), count(MOST_INTERVALS as usize));
            return Err(format!(
                "{all} have {intervals} intervals of {every}, and the record keeps {most}: give a longer --every"
            ));
        }
        Ok(())
    }
}

/// The median latencies among which modes are looked for: of the intervals of all trials, or of the trials if there are
/// none.
pub(super) fn medians(intervals: &[Vec<Interval>], trials: &[f64]) -> Vec<f64> {
    let of = intervals.iter().flatten();
    let each: Vec<f64> = of.filter_map(|one| Some(one.latency.as_ref()?.ns_p50 as f64)).collect();
    if each.is_empty() { trials.to_vec() } else { each }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::modes;
    use paceline_core::histogram::Histogram;

    #[test]
    fn a_server_that_is_moved_between_two_speeds_has_two_modes() {
        let interval = |ns: u64| {
            let mut times = Histogram::default();
            (0..99).for_each(|_| times.record(ns));
            Interval { latency: times.distribution(), ..Interval::default() }
        };
        let trial = |slow: u64| -> Vec<Interval> {
            (0..10).map(|n| interval(if n < slow { 80_000 } else { 5_000 } + n * 10)).collect()
        };
        let found = modes(&medians(&[trial(3), trial(5)], &[5_000.0, 80_000.0])).unwrap();
        assert!((found[0].share - 0.6).abs() < 1e-9 && (found[1].share - 0.4).abs() < 1e-9);
        assert_eq!(modes(&medians(&[trial(0), trial(0)], &[5_000.0, 5_010.0])), None);
        assert_eq!(medians(&[], &[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn a_line_stands_under_its_head_and_names_no_percentile_of_too_few() {
        let mut times = Histogram::default();
        (0..999).for_each(|_| times.record(2_000_000));
        let mut interval = Interval {
            start_ns: 500_000_000,
            lasts_ns: 500_000_000,
            offered: 1_002,
            answered: 990,
            errors: 3,
            late_starts: 0,
            latency: times.distribution(),
            schedule_error: None,
        };
        let few = line(&interval);
        let fields: Vec<&str> = few.split("  ").map(str::trim).filter(|f| !f.is_empty()).collect();
        assert_eq!(fields[..3], ["1.0 s", "2.00k", "1.98k"], "{few}");
        assert_eq!(fields[4..], ["-", "2.00 ms", "3", "0"], "{few}");
        assert_eq!(few.len(), head().len());
        times.record(2_000_000);
        interval.latency = times.distribution();
        assert!(!line(&interval).contains(" - "));
        // The median of the latencies and the longest are 2 ms; half of the starts are 1.1 ms late.
        let mut late = Histogram::default();
        (0..1_000).for_each(|n| late.record(if n < 400 { 1_000 } else { 1_100_000 }));
        interval.schedule_error = late.distribution();
        assert_eq!(line(&interval).matches(" ?2.00 ms").count(), 3, "{}", line(&interval));
        assert_eq!(line(&interval).len(), head().len());
        assert_eq!(late_in(&interval), ["p50", "p90", "p99", "max"]);
        late.record(900_000);
        (0..1_000).for_each(|_| late.record(900_000));
        interval.schedule_error = late.distribution();
        assert_eq!(late_in(&interval), ["p90", "p99", "max"]);
        interval.latency = None;
        assert_eq!(line(&interval).matches(" -").count(), 3);
    }
}
