//! JMH's JSON results as its visualisers read them: <https://github.com/openjdk/jmh>, <https://jmh.morethan.io>.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{
    super::super::gate::cut,
    figures::{Figure, costs, throughput},
};
use crate::record::{Cell, Loop, Record};

/// The longest part of a name, in characters.
const NAME: usize = 100;
/// The percentiles that JMH writes.
const PERCENTILES: [&str; 10] =
    ["0.0", "50.0", "90.0", "95.0", "99.0", "99.9", "99.99", "99.999", "99.9999", "100.0"];

/// What may make cells of one model and scale differ, and its value in a cell.
type Axis = (&'static str, fn(&Cell) -> String);

const AXES: [Axis; 3] = [("workers", workers), ("placement", placement), ("load", load)];

/// Jobs a second, in the mode `thrpt`. The workload is the class and the model the method, which is how visualisers
/// group them. The scale is a parameter; workers, placement and load are where a model has several in its workload.
pub(super) fn jmh(record: &Record) -> String {
    let several = AXES.map(|(_, of)| several(record, of));
    let results = record.cells.iter().filter_map(|cell| {
        let figure = throughput(cell)?;
        let mut params = Map::new();
        params.insert("scale".into(), cell.scale.to_string().into());
        for ((name, of), several) in AXES.iter().zip(&several) {
            if several.contains(cell.workload.as_str()) {
                params.insert((*name).into(), of(cell).into());
            }
        }
        Some(result(cell, &figure, &params))
    });
    format!("{:#}\n", results.collect::<Value>())
}

/// The workloads in which a model has cells of more than one `axis`.
fn several(record: &Record, axis: fn(&Cell) -> String) -> HashSet<&str> {
    let mut seen: HashMap<(&str, &str), String> = HashMap::new();
    let mut found = HashSet::new();
    for cell in &record.cells {
        let value = axis(cell);
        let first = seen.entry((&cell.workload, &cell.model)).or_insert_with(|| value.clone());
        if *first != value {
            found.insert(cell.workload.as_str());
        }
    }
    found
}

fn workers(cell: &Cell) -> String {
    cell.workers.map_or_else(|| "-".into(), |workers| workers.to_string())
}

fn placement(cell: &Cell) -> String {
    cell.placement.to_string()
}

fn load(cell: &Cell) -> String {
    match &cell.load {
        None => "-".into(),
        Some(load) if load.knee.is_some() => "knee".into(),
        Some(load) => match (load.looped, load.rate) {
            (Loop::Open, Some(rate)) => format!("open-{rate}/s"),
            (Loop::Open, None) => "open".into(),
            (Loop::Closed, _) => "closed".into(),
        },
    }
}

fn result(cell: &Cell, figure: &Figure, params: &Map<String, Value>) -> Value {
    let jobs = cell.scale as f64 * 1e9;
    // A list for each process, which is what JMH calls a fork.
    let raw: Vec<Vec<f64>> = if let Some(found) = &cell.criterion {
        let samples = found.times_ns.iter().zip(&found.iterations);
        vec![samples.map(|(ns, rounds)| jobs * rounds / ns).filter(|r| r.is_finite()).collect()]
    } else {
        let rounds = cell.rounds_ns.iter().filter(|ns| **ns > 0);
        rounds.map(|ns| vec![jobs / *ns as f64]).collect()
    };
    let secondary: Map<String, Value> = costs(cell)
        .into_iter()
        .filter(|figure| figure.name != "time_per_job_ns")
        .map(|figure| (figure.name.to_owned(), metric(&figure, figure.unit, &[])))
        .collect();
    json!({
        "benchmark": format!("paceline.{}.{}", part(&cell.workload), part(&cell.model)),
        "mode": "thrpt",
        "threads": cell.workers.unwrap_or(cell.scale),
        "forks": raw.len().max(1),
        "warmupIterations": 1,
        "warmupTime": "single-shot",
        "warmupBatchSize": cell.scale,
        "measurementIterations": raw.first().map_or(1, Vec::len).max(1),
        "measurementTime": "single-shot",
        "measurementBatchSize": cell.scale,
        "params": params,
        "primaryMetric": metric(figure, "ops/s", &raw),
        "secondaryMetrics": secondary,
    })
}

/// A score. Its confidence is the cell's interval, whatever that is of, and its error half of it. Where there is none,
/// JMH writes `"NaN"` as text.
fn metric(figure: &Figure, unit: &str, raw: &[Vec<f64>]) -> Value {
    let (error, confidence) = figure.interval.map_or_else(
        || (json!("NaN"), json!(["NaN", "NaN"])),
        |(lower, upper)| (json!((upper - lower) / 2.0), json!([lower, upper])),
    );
    let mut scores: Vec<f64> = raw.iter().flatten().copied().collect();
    if scores.is_empty() {
        scores.push(figure.value);
    }
    scores.sort_by(f64::total_cmp);
    let percentile = |name: &&str| {
        let share = name.parse::<f64>().unwrap_or_default() / 100.0;
        let place = (share * scores.len() as f64).ceil() as usize;
        let score = scores[place.clamp(1, scores.len()) - 1];
        ((*name).to_owned(), json!(score))
    };
    json!({
        "score": figure.value,
        "scoreError": error,
        "scoreConfidence": confidence,
        "scorePercentiles": PERCENTILES.iter().map(percentile).collect::<Map<_, _>>(),
        "scoreUnit": unit,
        "rawData": raw,
    })
}

/// A part of a name: dots divide names, and visualisers take spaces and `=` for the beginnings of parameters.
fn part(name: &str) -> String {
    let plain = cut(name, NAME);
    plain.chars().map(|c| if matches!(c, '.' | ' ' | '=') { '_' } else { c }).collect()
}
