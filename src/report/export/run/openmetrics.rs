//! The run as `OpenMetrics` text.

use super::{
    super::{
        super::table::word,
        exposition::{family, is, label, sample},
        finite,
    },
    figures::named,
};
use crate::record::{Cell, Estimate, Record, State};

/// The longest name of a cell, in characters.
const NAME: usize = 1000;
const STATES: [State; 5] =
    [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed];

/// A figure of a cell in nanoseconds.
type Time = fn(&Cell) -> Option<f64>;
/// The figure itself, or an end of its interval.
type End = fn(Estimate) -> f64;

/// Ends of the interval of jobs a second.
const RATES: [(&str, End); 3] = [
    ("throughput", |rate| rate.value),
    ("throughput_lower", |rate| rate.lower),
    ("throughput_upper", |rate| rate.upper),
];

/// Times, of which each is a family in seconds.
const TIMES: [(&str, &str, Time); 8] =
    [
        ("latency_p50", "median latency of a trial", |c| Some(c.latency_ns_p50?.value)),
        ("latency_p90", "90th percentile of all latencies", |c| {
            Some(c.latency.as_ref()?.p90()? as f64)
        }),
        ("latency_p99", "99th percentile of a trial's latency", |c| Some(c.latency_ns_p99?.value)),
        ("latency_p999", "99.9th percentile of all latencies", |c| {
            Some(c.latency.as_ref()?.p999()? as f64)
        }),
        ("latency_max", "the longest latency", |c| Some(c.latency.as_ref()?.ns_max as f64)),
        ("service_time_p99", "99th percentile of service time", |c| {
            Some(c.service_time.as_ref()?.p99()? as f64)
        }),
        ("cpu_per_job", "CPU time of a job", |c| c.cpu_ns_per_job),
        ("trial", "wall time of a batch", |c| Some(c.batch_ns?.value)),
    ];

/// The figures of cells that are `ok`, and the state of every cell. Labels hold what stays the same from run to run.
pub(super) fn openmetrics(record: &Record) -> String {
    let cells: Vec<(String, &Cell)> =
        named(record, NAME).into_iter().map(|(name, cell)| (labels(&name, cell), cell)).collect();
    let mut text = String::new();
    for (name, of) in RATES {
        let name = format!("{name}_jobs_per_second");
        let figure = |cell: &Cell| cell.jobs_per_second.map(of);
        gauge(
            &mut text,
            &cells,
            &name,
            "jobs_per_second",
            "jobs a second, or an end of it",
            figure,
        );
    }
    for (name, help, of) in TIMES {
        let seconds = |cell: &Cell| of(cell).map(|ns| ns / 1e9);
        gauge(&mut text, &cells, &format!("{name}_seconds"), "seconds", help, seconds);
    }
    gauge(&mut text, &cells, "memory_added_bytes", "bytes", "what the first batch added", |cell| {
        Some(cell.resources?.rss_bytes_added? as f64)
    });
    gauge(&mut text, &cells, "memory_max_bytes", "bytes", "most that was resident", |cell| {
        Some(cell.resources?.rss_bytes_max?.value)
    });
    family(&mut text, "paceline_run_cell_state", "stateset", "", "how a cell ended");
    for (labels, cell) in &cells {
        for state in STATES {
            let labels = format!("{labels},paceline_run_cell_state=\"{}\"", word(state));
            sample(&mut text, "paceline_run_cell_state", &labels, is(cell.state == state));
        }
    }
    text.push_str("# EOF\n");
    text
}

fn gauge(
    text: &mut String,
    cells: &[(String, &Cell)],
    name: &str,
    unit: &str,
    help: &str,
    figure: impl Fn(&Cell) -> Option<f64>,
) {
    let name = format!("paceline_run_{name}");
    let ok = cells.iter().filter(|(_, cell)| cell.state == State::Ok);
    let mut figures =
        ok.filter_map(|(labels, cell)| Some((labels, finite(figure(cell))?))).peekable();
    if figures.peek().is_some() {
        family(text, &name, "gauge", unit, help);
    }
    for (labels, value) in figures {
        sample(text, &name, labels, value);
    }
}

fn labels(name: &str, cell: &Cell) -> String {
    let workers = cell.workers.map_or_else(String::new, |workers| workers.to_string());
    format!(
        "cell=\"{}\",workload=\"{}\",model=\"{}\",scale=\"{}\",workers=\"{workers}\",placement=\"{}\"",
        label(name),
        label(&cell.workload),
        label(&cell.model),
        cell.scale,
        cell.placement
    )
}
