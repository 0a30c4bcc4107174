//! Two runs side by side, as people read them.

use std::{fmt::Write, time::Duration};

use super::{
    table::{in_order, series_name, word},
    unreliable::footnotes,
};
use crate::{
    compare::{Basis, Comparison, Pair, Shift},
    output::{columns, count, figures_table, long, plain_lines, rate},
    record::{Metric, Presence, State},
};

/// Why no small change is to be read off the table. The figure was measured on shared virtual machines of 2 CPUs.
const PLAINLY: &str = "separate runs cannot show small changes: measured one after the other instead of interleaved, the same\nprogram varies about 15 times as much (variance). `paceline gate` interleaves both, and gives verdicts.\n";

/// A block for each workload: every cell and metric with its change and interval, and what has none and why.
#[must_use]
pub fn comparison_table(comparison: &Comparison) -> String {
    let mut text = format!("{PLAINLY}\n");
    let [base, head] = [&comparison.base, &comparison.head];
    let _ = writeln!(text, "base {}, head {}", base.id, head.id);
    for (what, differ) in [
        ("machines", &comparison.machine_differences),
        ("versions", &comparison.version_differences),
    ] {
        if !differ.is_empty() {
            let _ = writeln!(text, "the {what} differ: {}", differ.join(", "));
        }
    }
    for workload in in_order(comparison.cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Pair> =
            comparison.cells.iter().filter(|cell| cell.workload == workload).collect();
        let _ = writeln!(
            text,
            "\n{workload}: what the head takes of a job, and how much more than the base"
        );
        let rows: Vec<Vec<String>> =
            of.iter().flat_map(|cell| cell.shifts.iter().map(|shift| row(cell, shift))).collect();
        if !rows.is_empty() {
            let head = columns("cell | metric | base | head | change | interval");
            let _ = writeln!(text, "{}", figures_table(&head, &rows));
        }
        for cell in of {
            if let Some(reason) = &cell.reason {
                let _ = writeln!(text, "  {} {}: {reason}", states(cell), name(cell));
            }
        }
    }
    text.push_str(&footnotes(comparison.cells.iter().map(|cell| cell.model.as_str())));
    text.push_str(
        "\ninterval: 95 %, of at least 5 processes each; ~ as far as the two runs' own intervals allow; less is better\n",
    );
    plain_lines(&text)
}

fn row(cell: &Pair, shift: &Shift) -> Vec<String> {
    let interval = match (shift.lower, shift.upper) {
        (Some(lower), Some(upper)) => {
            let mark = if shift.basis == Basis::Intervals { "~" } else { "" };
            format!("{mark}{:+.1} to {:+.1} %", lower * 100.0, upper * 100.0)
        }
        _ => "none".into(),
    };
    let metric = match shift.metric {
        Metric::Throughput => "time",
        other => other.name(),
    };
    vec![
        name(cell),
        metric.into(),
        figure(shift.metric, shift.base),
        figure(shift.metric, shift.head),
        format!("{:+.1} %", shift.share * 100.0),
        interval,
    ]
}

fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Memory => format!("{} B", rate(value)),
        // Times under a nanosecond are none: a Duration would cut them to it.
        _ if value < 100.0 => format!("{} ns", rate(value)),
        _ => long(Duration::from_nanos(value as u64)),
    }
}

fn name(cell: &Pair) -> String {
    let series = series_name(&cell.model, cell.workers);
    format!("{series} at {}, {}", count(cell.scale), cell.placement)
}

/// How it ended, on both sides where they differ.
fn states(cell: &Pair) -> String {
    let of = |state: Option<State>| state.map_or("absent", word);
    match cell.presence {
        Presence::Both if cell.base_state == cell.head_state => of(cell.base_state).into(),
        _ => format!("{} to {}", of(cell.base_state), of(cell.head_state)),
    }
}
