//! The rows of a recorded run: one for each cell, in the order of the plan.

use schemars::{JsonSchema, Schema, schema_for, transform::RecursiveTransform};
use serde::Serialize;

use super::{
    super::{load::late_remark, table::word},
    columns::Columns,
    rows::{Family, Figure, OneOf, Row, Sample, Sheet, Test, TestResult, finite, label},
};
use crate::{
    history::cell_name,
    load::{METRICS, MetricUnit},
    output::{cut, shorten},
    record::{Cell, Estimate, Metric, Record, Run, State},
};
use paceline_core::perform::Placement;

/// The longest reason, in characters.
const REASON: usize = 300;

/// Returns the run as a sheet. In its test report an invalid cell is a failure: what ran was not what the label says. A
/// failed cell is an error. A refused or skipped cell is skipped, with the reason.
pub(super) fn sheet(record: &Record) -> Sheet<'_> {
    let run = &record.run;
    let blank = Cell::new("", "", 0, None, Placement::Inside, State::Ok);
    Sheet {
        kind: "paceline run",
        title: format!("paceline {}", cut(&run.id, REASON)),
        id: &run.id,
        started: &run.started,
        commit: run.commit.as_deref().unwrap_or(&run.id),
        seconds: None,
        tests: vec![],
        verdict: None,
        columns: Columns::of(&blank).names,
        rows: record.planned().into_iter().enumerate().map(row).collect(),
    }
}

fn row((index, cell): (usize, &Cell)) -> Row<'_> {
    let figures = figures(cell);
    let labels = labels(cell);
    let sample =
        |family, value| Some(Sample { family, labels: labels.clone(), value: finite(value)? });
    let ok = cell.state == State::Ok;
    Row {
        index,
        cell: cell_name(cell),
        fields: Columns::of(cell).fields,
        samples: FAMILIES
            .iter()
            .filter(|_| ok)
            .filter_map(|(family, of)| sample(*family, of(cell)))
            .collect(),
        state: Some(OneOf {
            family: ("cell_state", "how a cell ended"),
            labels: labels.clone(),
            value: word(cell.state),
            all: &["ok", "invalid", "refused", "skipped", "failed"],
        }),
        test: test(cell, &figures),
        figures,
        recorded: Some(cell),
    }
}

fn test(cell: &Cell, figures: &[Figure]) -> Test {
    let why = cell.reason.as_deref();
    let not = |kind| {
        let why = why.map_or_else(|| word(cell.state).into(), |why| shorten(why, REASON));
        TestResult::NotPassed(kind, word(cell.state), why)
    };
    let end = match cell.state {
        State::Ok => TestResult::Passed,
        State::Invalid => not("failure"),
        State::Failed => not("error"),
        State::Refused | State::Skipped => not("skipped"),
    };
    let mut lines = vec![format!("state: {}", word(cell.state))];
    lines.extend(figures.iter().map(|Figure { name, value, interval, .. }| {
        let between = interval.map(|(lower, upper)| format!(" ({lower} to {upper})"));
        format!("{name}: {value}{}", between.unwrap_or_default())
    }));
    lines.extend(late_remark(cell));
    lines.extend(why.map(|why| format!("why: {}", shorten(why, 10 * REASON))));
    Test { name: String::new(), end, body: lines.join("\n") }
}

/// Returns jobs a second, and the costs of a job or a batch, but no latency that is mostly the lateness of the load
/// generator, no rate that is only the least that a server keeps, and no latency at a knee: these formats have no room to
/// say so, and their readers follow figures over runs, as the history does. Empty if the cell is not `ok`.
fn figures(cell: &Cell) -> Vec<Figure> {
    if cell.state != State::Ok {
        return vec![];
    }
    let added = cell.resources.and_then(|used| used.rss_bytes_added);
    let late = cell.latencies_of_the_generator();
    let known = [
        ("jobs_per_second", "jobs/s", cell.exact_rate()),
        (Metric::Throughput.figure(), "ns", Metric::Throughput.of(cell)),
        ("latency_p50_ns", "ns", cell.latency_to_compare("p50")),
        ("latency_p99_ns", "ns", cell.latency_to_compare("p99")),
        (Metric::Cpu.figure(), "ns", Metric::Cpu.of(cell)),
        ("memory_added_bytes", "bytes", added.map(|added| Estimate::exactly(added as f64))),
    ];
    // The other columns of a load's table. Offered rates and counts of answers are not comparable figures, and at a knee
    // all are of another rate in each run.
    let loads = METRICS.iter().filter_map(|metric| {
        let name = metric.figure.filter(|name| known.iter().all(|(of, ..)| of != name))?;
        let unit = if metric.unit == MetricUnit::Time { "ns" } else { "share" };
        let own = metric.of(cell).filter(|_| !late.contains(&metric.name) && !cell.is_at_knee());
        Some((name, unit, own.map(Estimate::exactly)))
    });
    known
        .into_iter()
        .chain(loads)
        .filter_map(|(name, unit, estimate)| {
            let estimate = estimate?;
            let value = estimate.value;
            let around = |(lower, upper): &(f64, f64)| *lower <= value && value <= *upper;
            let interval = estimate.interval().filter(around);
            Some(Figure {
                name,
                unit,
                value: finite(Some(value))?,
                interval,
                range: interval.map(|(lower, upper)| format!("{lower:.1} to {upper:.1}")),
                note: cell.interval.clone().filter(|_| interval.is_some()),
            })
        })
        .collect()
}

fn labels(cell: &Cell) -> String {
    let workers = cell.workers.map_or_else(String::new, |workers| workers.to_string());
    let hosts = cell.load.as_ref().and_then(|load| load.hosts.as_ref());
    let nodes = hosts.map_or_else(String::new, |hosts| {
        let (server, generators) = (label(&hosts.server), label(&hosts.generators.join(" ")));
        let shared = if hosts.shared_host { "yes" } else { "no" };
        format!(
            ",server_node=\"{server}\",generator_nodes=\"{generators}\",shared_host=\"{shared}\""
        )
    });
    format!(
        "workload=\"{}\",model=\"{}\",scale=\"{}\",workers=\"{workers}\",placement=\"{}\"{nodes}",
        label(&cell.workload),
        label(&cell.model),
        cell.scale,
        cell.placement
    )
}

/// Returns the value of a cell for a family.
type FamilyValue = fn(&Cell) -> Option<f64>;

const RATE: &str = "jobs_per_second";
const S: &str = "seconds";
const RATIO: &str = "ratio";
const FAMILIES: [(Family, FamilyValue); 24] = [
    (("throughput_jobs_per_second", RATE, "jobs a second, mean of the trials"), |c| {
        Some(c.exact_rate()?.value)
    }),
    (("throughput_lower_jobs_per_second", RATE, "the lower end of its 95 % interval"), |c| {
        Some(c.exact_rate()?.interval()?.0)
    }),
    (("throughput_upper_jobs_per_second", RATE, "the upper end of its 95 % interval"), |c| {
        Some(c.exact_rate()?.interval()?.1)
    }),
    // Labels are constant over runs, so whether a rate is exact can be no label.
    (
        (
            "throughput_least_jobs_per_second",
            RATE,
            "a rate that the server keeps, and it may keep more",
        ),
        |c| c.jobs_per_second.filter(|_| c.exact_rate().is_none()).map(|rate| rate.value),
    ),
    (("bound_ratio", RATIO, "jobs a second as a share of their bound"), |c| {
        c.exact_rate().and_then(|_| c.share_of_bound())
    }),
    (("latency_p50_seconds", S, "median latency, mean of the trials"), |c| {
        Some(c.latency_to_compare("p50")?.value / 1e9)
    }),
    (("latency_p90_seconds", S, "90th percentile of all latencies"), |c| {
        own_seconds(c, "p90", c.latency.as_ref()?.p90())
    }),
    (("latency_p99_seconds", S, "99th percentile of latency, mean of the trials"), |c| {
        Some(c.latency_to_compare("p99")?.value / 1e9)
    }),
    (("latency_p999_seconds", S, "99.9th percentile of all latencies"), |c| {
        own_seconds(c, "p99.9", c.latency.as_ref()?.p999())
    }),
    (("latency_max_seconds", S, "the longest latency"), |c| {
        own_seconds(c, "max", Some(c.latency.as_ref()?.ns_max))
    }),
    (("service_time_p99_seconds", S, "99th percentile of all service times"), |c| {
        seconds(c.service_time.as_ref()?.p99()).filter(|_| !c.is_at_knee())
    }),
    (("schedule_error_p99_seconds", S, "how late the load generator started requests, p99"), |c| {
        seconds(c.load.as_ref()?.schedule_error.as_ref()?.p99()).filter(|_| !c.is_at_knee())
    }),
    (("generator_cpu_max_ratio", RATIO, "most of a CPU that the load generator used"), |c| {
        c.load.as_ref()?.generator_cpu_share_max
    }),
    (("errors_ratio", RATIO, "share of requests that were errors"), |c| {
        c.load.as_ref()?.error_share()
    }),
    (("load_errors", "errors", "requests that were errors"), |c| {
        Some(c.load.as_ref()?.failed() as f64)
    }),
    (("load_latencies", "latencies", "requests that were answered and have a latency"), |c| {
        c.load.as_ref().and(c.latency.as_ref()).map(|latency| latency.count as f64)
    }),
    (("load_connections", "connections", "connections of a load"), |c| {
        Some(c.load.as_ref()?.connections as f64)
    }),
    (("load_generators", "generators", "processes that shared a load"), |c| {
        Some(c.load.as_ref()?.generators() as f64)
    }),
    (("load_nodes", "nodes", "nodes that a load was on, the server's among them"), |c| {
        Some((c.load.as_ref()?.hosts.as_ref()?.generators.len() + 1) as f64)
    }),
    (("load_clock_uncertainty_seconds", S, "how far the common start may be off"), |c| {
        seconds(c.load.as_ref()?.hosts.as_ref()?.clock_uncertainty_ns)
    }),
    (("cpu_per_job_seconds", S, "CPU time of a job"), |c| Some(c.cpu_ns_per_job? / 1e9)),
    (("batch_seconds", S, "wall time of a batch, mean of the trials' medians"), |c| {
        Some(c.batch_ns?.value / 1e9)
    }),
    (("memory_added_bytes", "bytes", "what the first batch added, median of the trials"), |c| {
        Some(c.resources?.rss_bytes_added? as f64)
    }),
    (("memory_max_bytes", "bytes", "peak resident memory, mean of the trials"), |c| {
        Some(c.resources?.rss_bytes_max?.value)
    }),
];

/// Returns a latency unless it is mostly the lateness of the load generator, or was measured at a knee.
fn own_seconds(cell: &Cell, name: &str, ns: Option<u64>) -> Option<f64> {
    let own = !cell.is_at_knee() && !cell.latencies_of_the_generator().contains(&name);
    seconds(ns).filter(|_| own)
}

fn seconds(ns: Option<u64>) -> Option<f64> {
    Some(ns? as f64 / 1e9)
}

/// A run and its cells.
#[derive(Serialize, JsonSchema)]
pub struct RunDocument<'a> {
    /// The metadata of the run.
    pub run: &'a Run,
    /// Every cell that has ended, in the order of the plan.
    pub cells: Vec<&'a Cell>,
}

impl<'a> RunDocument<'a> {
    /// Returns all of the run but its single trials.
    pub(super) fn of(record: &'a Record) -> Self {
        RunDocument { run: &record.run, cells: record.planned() }
    }
}

/// Returns the schema of that document. Any number may be `null`: JSON cannot express one that is not finite.
pub fn run_schema() -> Schema {
    let mut schema = schema_for!(RunDocument<'_>);
    let mut nullable = RecursiveTransform(|schema: &mut Schema| {
        if schema.get("type").is_some_and(|kind| kind == "number") {
            schema.insert("type".into(), serde_json::json!(["number", "null"]));
        }
    });
    schemars::transform::Transform::transform(&mut nullable, &mut schema);
    schema
}
