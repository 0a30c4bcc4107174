//! The gate as `OpenMetrics` text.

use super::{
    exposition::{self, is, label},
    finite,
};
use crate::record::{Crashes, Gate, GateCell, Metric, Overall, Verdict};

const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Regressed, "regressed"),
    (Verdict::Improved, "improved"),
    (Verdict::NotRegressed, "not-regressed"),
    (Verdict::Inconclusive, "inconclusive"),
];
const OVERALL: [(Overall, &str); 6] = [
    (Overall::Failed, "failed"),
    (Overall::Regressed, "regressed"),
    (Overall::Passed, "passed"),
    (Overall::Inconclusive, "inconclusive"),
    (Overall::EnvironmentInvalid, "environment-invalid"),
    (Overall::Nothing, "nothing"),
];

/// Both sides' figures, the changes, the trials and the verdicts. Labels hold what stays the same from gate to gate, so
/// that a reader can put the values of two gates side by side.
pub(super) fn openmetrics(gate: &Gate) -> String {
    let mut text = String::new();
    for metric in Metric::ALL {
        figures(&mut text, gate, metric);
    }
    ratio(&mut text, gate, "change", "how much more the head takes than the base", |cell| {
        cell.change.map(|change| change.share)
    });
    ratio(&mut text, gate, "change_lower", "the lower end of its 95 % interval", |cell| {
        cell.change.map(|change| change.lower)
    });
    ratio(&mut text, gate, "change_upper", "the upper end of its 95 % interval", |cell| {
        cell.change.map(|change| change.upper)
    });
    ratio(&mut text, gate, "null_change", "the base's copy against the base", |cell| {
        cell.null.map(|change| change.share)
    });
    ratio(&mut text, gate, "detectable", "the least change that would be found", |cell| {
        cell.detectable
    });
    family(&mut text, "trials", "gauge", "", "trials that count");
    for cell in &gate.cells {
        sample(&mut text, "trials", &of(cell), f64::from(cell.trials));
    }
    family(&mut text, "dropped_trials", "gauge", "", "trials that were dropped");
    for cell in &gate.cells {
        sample(&mut text, "dropped_trials", &of(cell), f64::from(cell.dropped));
    }
    family(&mut text, "crashed_trials", "gauge", "", "trials of a side whose process crashed");
    for cell in &gate.cells {
        let Crashes { base, head, copy, .. } = cell.crashes;
        for (side, crashes) in [("base", base), ("head", head), ("copy", copy)] {
            let labels = format!("{},side=\"{side}\"", of(cell));
            sample(&mut text, "crashed_trials", &labels, f64::from(crashes));
        }
    }
    family(&mut text, "cell_verdict", "stateset", "", "the verdict on a cell");
    for cell in &gate.cells {
        for (verdict, word) in VERDICTS.iter().filter(|_| cell.verdict.is_some()) {
            let labels = format!("{},paceline_gate_cell_verdict=\"{word}\"", of(cell));
            sample(&mut text, "cell_verdict", &labels, is(cell.verdict == Some(*verdict)));
        }
    }
    family(&mut text, "verdict", "stateset", "", "the verdict on all");
    for (verdict, word) in OVERALL {
        let labels = format!("paceline_gate_verdict=\"{word}\"");
        sample(&mut text, "verdict", &labels, is(gate.verdict == verdict));
    }
    text.push_str("# EOF\n");
    text
}

fn figures(text: &mut String, gate: &Gate, metric: Metric) {
    let (name, unit, help) = match metric {
        Metric::Throughput => ("time_per_job_seconds", "seconds", "wall time of a job in batches"),
        Metric::P50 => ("latency_p50_seconds", "seconds", "median latency of a job"),
        Metric::P99 => ("latency_p99_seconds", "seconds", "99th percentile of a job's latency"),
        Metric::Cpu => ("cpu_per_job_seconds", "seconds", "CPU time of a job"),
        Metric::Memory => ("memory_per_job_bytes", "bytes", "resident memory that a job adds"),
    };
    let cells: Vec<&GateCell> = gate.cells.iter().filter(|cell| cell.metric == metric).collect();
    if cells.is_empty() {
        return;
    }
    family(text, name, "gauge", unit, help);
    let scale = if metric == Metric::Memory { 1.0 } else { 1e9 };
    for cell in cells {
        for (side, value) in [("base", cell.base), ("head", cell.head)] {
            if let Some(value) = finite(value) {
                let labels = format!("cell=\"{}\",side=\"{side}\"", label(&cell.cell));
                sample(text, name, &labels, value / scale);
            }
        }
    }
}

fn ratio(
    text: &mut String,
    gate: &Gate,
    name: &str,
    help: &str,
    value: impl Fn(&GateCell) -> Option<f64>,
) {
    let name = format!("{name}_ratio");
    family(text, &name, "gauge", "ratio", help);
    for cell in &gate.cells {
        if let Some(value) = finite(value(cell)) {
            sample(text, &name, &of(cell), value);
        }
    }
}

fn family(text: &mut String, name: &str, kind: &str, unit: &str, help: &str) {
    exposition::family(text, &format!("paceline_gate_{name}"), kind, unit, help);
}

fn sample(text: &mut String, name: &str, labels: &str, value: f64) {
    exposition::sample(text, &format!("paceline_gate_{name}"), labels, value);
}

fn of(cell: &GateCell) -> String {
    format!("cell=\"{}\",metric=\"{}\"", label(&cell.cell), cell.metric.name())
}
