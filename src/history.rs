//! Recorded runs over time: series by cell, metric and machine, and their steps.

mod read;

pub use read::{Recorded, read};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    record::{Cell, Estimate, Gate, LoadFigures, Metric, Record, State},
    stats::{median_and_range, steps},
};
use paceline_core::models;

/// Recorded runs over time, as printed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct History {
    /// The series.
    pub series: Vec<Series>,
    /// A sentence for each folder whose record was left out.
    pub left_out: Vec<String>,
}

/// A figure of a cell on one machine, over runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// The cell, such as `echo/tokio@2/10`.
    pub cell: String,
    /// The text of its workload's definition, as another workload may have the same name, and what the requests of a
    /// load were. Not printed.
    #[serde(skip)]
    pub definition: Option<String>,
    /// The metric.
    pub metric: Metric,
    /// The hash of the machine's fingerprint. Figures of two machines are never in one series.
    pub fingerprint: String,
    /// The hash of the base's program, if values are ratios of head to base; `None` if they are figures in the unit of
    /// the metric.
    pub anchor: Option<String>,
    /// Whether its processes were pinned to CPUs of their own: such runs are never in a series with others.
    pub pinned: bool,
    /// `trials`, `criterion`, `load` or `gate`. Figures of different instruments are not compared.
    pub instrument: String,
    /// The figures, in the order in which their runs began.
    pub points: Vec<Point>,
    /// The first runs after a step.
    pub steps: Vec<Step>,
}

impl Series {
    /// Returns the instrument, and whether it was pinned.
    pub fn measured_by(&self) -> String {
        format!("{}{}", self.instrument, if self.pinned { ", pinned" } else { "" })
    }
}

/// The figure of one run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// Name of the run.
    pub run: String,
    /// When the run began, in UTC.
    pub started: String,
    /// The commit, if known.
    pub commit: Option<String>,
    /// The figure: nanoseconds or bytes per job, requests per second, or the ratio of head to base.
    pub value: f64,
    /// The lower end of its interval, in the unit of the figure; `None` without an interval, as of fewer than three
    /// trials, or of CPU time and memory.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
}

/// A step: the level changes here.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// The index in `points` of the first run after it.
    pub index: usize,
    /// Name of that run.
    pub run: String,
    /// The median after it over the median before it, each up to the neighbouring step: 1.05 is 5 % more.
    pub ratio: f64,
}

/// Returns the series in `records` and `gates`, each ordered by time, in the order of their first figures. Only cells
/// that are `ok` have figures. Only figures above 0 are used: steps are detected in logarithms.
pub fn series(records: &[Record], gates: &[Gate]) -> Vec<Series> {
    let mut found: Vec<Series> = Vec::new();
    for record in records {
        let run = &record.run;
        // Errors have no latency, so that a server with more of them looks faster.
        let counts = |cell: &&Cell| cell.notable_error_share().is_none();
        for cell in record.cells.iter().filter(|cell| cell.state == State::Ok).filter(counts) {
            // Two workloads may have the same name.
            let defined = run.workloads.iter().find(|defined| defined.name == cell.workload);
            let definition = defined.map(|defined| defined.source.clone());
            let requests = run.requests();
            let definition = if requests.is_empty() {
                definition
            } else {
                Some(format!("{}{requests:?}", definition.unwrap_or_default()))
            };
            let of_cell = |metric: Metric| Some((metric, metric.of(cell)?));
            for (metric, figure) in Metric::OF_RUNS.into_iter().filter_map(of_cell) {
                let name = cell_name(cell);
                let hash = &*run.fingerprint.hash;
                let machine = (hash, run.is_pinned());
                let key = (&*name, definition.as_deref(), metric, machine, None, &*run.instrument);
                add(&mut found, key, &run.id, &run.started, run.commit.as_deref(), figure);
            }
        }
    }
    for gate in gates {
        let commit = gate.head.commit.as_ref().map(|commit| {
            if gate.head.uncommitted { format!("{commit}-dirty") } else { commit.clone() }
        });
        for cell in gate.cells.iter().filter(|cell| cell.state == State::Ok) {
            let hash = &*gate.fingerprint.hash;
            let key =
                |anchor| (&*cell.cell, None, cell.metric, (hash, gate.pinned), anchor, "gate");
            let mut add = |anchor, figure| {
                add(&mut found, key(anchor), &gate.id, &gate.started, commit.as_deref(), figure);
            };
            if let Some(value) = cell.head {
                add(None, Estimate::exactly(value));
            }
            if let Some(change) = cell.change {
                let [value, lower, upper] =
                    [change.share, change.lower, change.upper].map(|share| 1.0 + share);
                add(Some(&*gate.base.program_sha256), Estimate { value, lower, upper });
            }
        }
    }
    for series in &mut found {
        // Times in UTC, in one format: they sort as text.
        series.points.sort_by(|a, b| (&a.started, &a.run).cmp(&(&b.started, &b.run)));
        series.steps = steps_of(&series.points);
    }
    found
}

/// A cell, its definition, a metric, a machine and whether runs were pinned, an anchor, and an instrument.
type Key<'a> = (&'a str, Option<&'a str>, Metric, (&'a str, bool), Option<&'a str>, &'a str);

fn add(
    found: &mut Vec<Series>,
    key: Key,
    run: &str,
    started: &str,
    commit: Option<&str>,
    figure: Estimate,
) {
    let (value, interval) = (figure.value, figure.interval());
    if !(value.is_finite() && value > 0.0) {
        return;
    }
    let of = |series: &Series| {
        let (definition, anchor) = (series.definition.as_deref(), series.anchor.as_deref());
        let machine = (&*series.fingerprint, series.pinned);
        (&*series.cell, definition, series.metric, machine, anchor, &*series.instrument) == key
    };
    let place = found.iter().position(of).unwrap_or_else(|| {
        let (cell, definition, metric, (fingerprint, pinned), anchor, instrument) = key;
        found.push(Series {
            cell: cell.into(),
            definition: definition.map(str::to_owned),
            metric,
            fingerprint: fingerprint.into(),
            pinned,
            anchor: anchor.map(str::to_owned),
            instrument: instrument.into(),
            points: vec![],
            steps: vec![],
        });
        found.len() - 1
    });
    let (run, started, commit) = (run.into(), started.into(), commit.map(str::to_owned));
    let (lower, upper) = interval.unzip();
    found[place].points.push(Point { run, started, commit, value, lower, upper });
}

/// Returns `echo/tokio@2/10`, followed by the placement if it is not the model's default.
pub(crate) fn cell_name(cell: &Cell) -> String {
    let workers = cell.workers.map_or_else(String::new, |workers| format!("@{workers}"));
    let own = models::find(&cell.model).ok().map(|entry| entry.info.placements[0]);
    let placement = match own {
        Some(own) if own != cell.placement => format!("/{}", cell.placement),
        _ => String::new(),
    };
    let load = cell.load.as_ref().map_or_else(String::new, LoadFigures::settings);
    format!("{}/{}{workers}/{}{placement}{load}", cell.workload, cell.model, cell.scale)
}

fn steps_of(points: &[Point]) -> Vec<Step> {
    let logs: Vec<f64> = points.iter().map(|point| point.value.ln()).collect();
    let found = steps(&logs);
    let ends = found.iter().copied().skip(1).chain([logs.len()]);
    let begins = std::iter::once(0).chain(found.iter().copied());
    let level = |part: &[f64]| median_and_range(part).0;
    let around = begins.zip(&found).zip(ends);
    let step = |((before, index), after): ((usize, &usize), usize)| Step {
        index: *index,
        run: points[*index].run.clone(),
        ratio: (level(&logs[*index..after]) - level(&logs[before..*index])).exp(),
    };
    around.map(step).collect()
}
