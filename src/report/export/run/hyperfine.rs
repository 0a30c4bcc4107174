//! What hyperfine's `--export-json` writes, for its scripts: <https://github.com/sharkdp/hyperfine>.

use serde_json::{Value, json};

use super::{
    super::{super::gate::cut, finite},
    figures::named,
};
use crate::{
    record::{Cell, Record, State},
    stats::median_and_range,
};

/// The longest name, in characters.
const NAME: usize = 300;

/// The time of a round in seconds: of each process, or of each sample of criterion. Cells without such times, as those
/// of servers under load, are not in it. CPU time that is not known in user and in system mode is `null`.
pub(super) fn hyperfine(record: &Record) -> String {
    let of = named(record, NAME).into_iter().filter_map(|(name, cell)| result(&name, cell));
    format!("{:#}\n", json!({ "results": of.collect::<Value>() }))
}

fn result(name: &str, cell: &Cell) -> Option<Value> {
    let times: Vec<f64> = seconds(cell).into_iter().filter(|time| time.is_finite()).collect();
    if cell.state != State::Ok || times.is_empty() {
        return None;
    }
    let (median, least, most) = median_and_range(&times);
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let squares = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
    let deviation = (times.len() > 1).then(|| (squares / (times.len() - 1) as f64).sqrt());
    let round = |per_job: Option<f64>| finite(per_job).map(|ns| ns * cell.scale as f64 / 1e9);
    let workers = cell.workers.map_or_else(|| "-".into(), |workers| workers.to_string());
    Some(json!({
        "command": name,
        "mean": mean,
        "stddev": deviation,
        "median": median,
        "user": round(cell.resources.map(|used| used.user_cpu_ns_per_job)),
        "system": round(cell.resources.map(|used| used.system_cpu_ns_per_job)),
        "min": least,
        "max": most,
        "times": times,
        "exit_codes": vec![0; times.len()],
        "parameters": {
            "workload": cut(&cell.workload, NAME),
            "model": cut(&cell.model, NAME),
            "scale": cell.scale.to_string(),
            "workers": workers,
            "placement": cell.placement.to_string(),
        },
    }))
}

/// Seconds a round.
fn seconds(cell: &Cell) -> Vec<f64> {
    match &cell.criterion {
        Some(found) => {
            let samples = found.times_ns.iter().zip(&found.iterations);
            samples.map(|(ns, rounds)| ns / rounds / 1e9).collect()
        }
        None => cell.rounds_ns.iter().map(|ns| *ns as f64 / 1e9).collect(),
    }
}
