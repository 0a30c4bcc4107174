//! The table at the end of a run on a terminal: a line for each model, its throughput over the scales as bars.
//!
//! Who reads a pipe or a file gets every cell instead, in [`cells_table`](super::cells_table); so does who sets
//! `TERM=dumb` or has no UTF-8.

use std::{fmt::Write, time::Duration};

use super::table::{cells_table, figure, in_order, notes, series_name, several_workers};
use crate::{
    output::{columns, count, draws_bars, figures_table, long, plain_lines},
    record::{Cell, State, bytes_per_job},
};

/// What is shown of cells at the end of a run: in short on a terminal, every cell where there is none.
#[must_use]
pub fn closing_table(cells: &[Cell]) -> String {
    if draws_bars() { compact_table(cells) } else { cells_table(cells) }
}

/// A block for each workload, with a line for each model and number of workers.
#[must_use]
pub fn compact_table(cells: &[Cell]) -> String {
    let mut text = String::new();
    for workload in in_order(cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Cell> = cells.iter().filter(|cell| cell.workload == workload).collect();
        let mut scales = in_order(of.iter().map(|cell| cell.scale));
        scales.sort_unstable();
        let (Some(first), Some(last)) = (scales.first(), scales.last()) else { continue };
        let range = if first == last {
            count(*first)
        } else {
            format!("{} to {}", count(*first), count(*last))
        };
        let _ = writeln!(text, "\n{workload}: jobs per second at {range} at once");
        text.push_str(&block(&of, &scales));
        text.push('\n');
        text.push_str(&notes(&of));
    }
    text.push_str("\nbars: throughput over the scales, logarithmic, of one model each; a dot is a cell without a figure\n");
    plain_lines(&text)
}

fn block(cells: &[&Cell], scales: &[usize]) -> String {
    let several = several_workers(cells);
    let rows = in_order(cells.iter().map(|cell| (cell.model.clone(), cell.workers)))
        .into_iter()
        .map(|(model, workers)| {
            let of: Vec<&Cell> = cells
                .iter()
                .copied()
                .filter(|cell| cell.model == model && cell.workers == workers)
                .collect();
            let measured: Vec<&Cell> =
                of.iter().copied().filter(|cell| cell.state == State::Ok).collect();
            let rate_at = |scale: &usize| {
                measured
                    .iter()
                    .find(|cell| cell.scale == *scale)
                    .and_then(|cell| cell.jobs_per_second)
            };
            let bars: Vec<Option<f64>> =
                scales.iter().map(|scale| rate_at(scale).map(|of| of.value)).collect();
            let best = measured
                .iter()
                .copied()
                .filter(|cell| cell.jobs_per_second.is_some())
                .max_by(|a, b| {
                    let value = |cell: &Cell| cell.jobs_per_second.map_or(f64::NAN, |of| of.value);
                    value(a).total_cmp(&value(b))
                });
            let last = measured.iter().max_by_key(|cell| cell.scale);
            let p99 = last.and_then(|cell| cell.latency_ns_p99);
            let cpu = last.and_then(|cell| cell.cpu_ns_per_job);
            let ns = |ns: f64| long(Duration::from_nanos(ns.max(0.0) as u64));
            vec![
                if several { series_name(&model, workers) } else { model },
                sparks(&bars),
                best.map_or_else(String::new, |cell| figure(cell, false)),
                best.map_or_else(String::new, |cell| count(cell.scale)),
                last.map_or_else(String::new, |cell| count(cell.scale)),
                p99.map_or_else(String::new, |of| ns(of.value)),
                cpu.map_or_else(String::new, ns),
                bytes_per_job(&measured).map_or_else(String::new, |bytes| count(bytes as usize)),
            ]
        });
    figures_table(
        &columns("model | scales | most | at | greatest | its p99 | its CPU/job | bytes/job"),
        &rows.collect::<Vec<_>>(),
    )
}

/// Eight heights, and what stands for no figure.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NONE: char = '·';

/// A bar for each figure, by its logarithm between the least and the greatest of them all; a dot where there is none.
#[must_use]
pub(super) fn sparks(figures: &[Option<f64>]) -> String {
    let log = |figure: &Option<f64>| {
        figure.filter(|figure| figure.is_finite() && *figure > 0.0).map(f64::ln)
    };
    let logs: Vec<Option<f64>> = figures.iter().map(log).collect();
    let known = || logs.iter().flatten().copied();
    let (least, most) =
        (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let bar = |log: f64| match most - least {
        range if range > 0.0 => BARS[((log - least) / range * 7.0).round() as usize],
        _ => BARS[0],
    };
    logs.into_iter().map(|log| log.map_or(NONE, bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_the_logarithm_and_what_is_no_figure_is_a_dot() {
        let figures = [Some(1.0), Some(10.0), Some(100.0), None, Some(f64::NAN), Some(0.0)];
        assert_eq!(sparks(&figures), "▁▅█···");
        assert_eq!(sparks(&[Some(3.0), Some(3.0)]), "▁▁");
        assert_eq!(sparks(&[]), "");
    }
}
