//! The details of each series besides its throughput: latency, timers, CPU, switches and memory.

use super::table::{Extent, in_order, series_name, several_workers};
use crate::{
    output::{columns, count, figures_table, fine_percent, folded, long_ns, long_ns_f64},
    record::{Cell, Estimate, State, bytes_per_job},
};
use paceline_core::histogram::Distribution;

/// The [`COLUMNS`] of a short table.
const SHORT: [usize; 7] = [0, 1, 3, 4, 6, 8, 10];
const COLUMNS: &str = "model | scale | latencies | p50 | p99 | p99.9 | max | sleep late | CPU/job | switches | bytes/job | idle CPU | of bound";

/// Returns a row for each series of the workload: at its greatest measured scale, with the bytes per job over all
/// scales. Empty if none of these was measured.
pub(super) fn details(cells: &[&Cell], extent: Extent) -> String {
    let of = |cell: &&Cell| (cell.model.clone(), cell.workers);
    let several = several_workers(cells);
    let rows: Vec<Vec<String>> = in_order(cells.iter().map(of))
        .into_iter()
        .filter_map(|name| {
            let series: Vec<&Cell> = cells
                .iter()
                .copied()
                .filter(|cell| of(cell) == name && cell.state == State::Ok)
                .collect();
            let last = series.iter().max_by_key(|cell| cell.scale)?;
            let latency = last.latency.as_ref()?;
            let used = last.resources?;
            let estimate =
                |of: Option<Estimate>| of.map_or_else(String::new, |of| long_ns_f64(of.value));
            let late = last.timer_lateness.as_ref().map(|late| long_ns(late.ns_p50));
            let switches = used.voluntary_switches_per_job + used.involuntary_switches_per_job;
            let name = if several { series_name(&name.0, name.1) } else { name.0 };
            let idle = used.idle_cpu_share.map(fine_percent);
            Some(vec![
                name,
                count(last.scale),
                count(latency.count as usize),
                estimate(last.latency_ns_p50),
                estimate(last.latency_ns_p99),
                latency.p999().map_or_else(String::new, long_ns),
                long_ns(latency.ns_max),
                late.unwrap_or_default(),
                last.cpu_ns_per_job.map_or_else(String::new, long_ns_f64),
                format!("{switches:.2}"),
                bytes_per_job(&series)
                    .map_or_else(String::new, |bytes| count(bytes.round() as usize)),
                idle.unwrap_or_default(),
                last.share_of_bound().map_or_else(String::new, fine_percent),
            ])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = columns(COLUMNS);
    let what =
        "at the greatest scale measured: latency from the intended start, and what a job uses";
    if extent == Extent::Short {
        let pick = |row: &Vec<String>| SHORT.map(|column| row[column].clone()).to_vec();
        let rows: Vec<Vec<String>> = rows.iter().map(pick).collect();
        let head = SHORT.map(|column| head[column]);
        return format!("{}\n{}\n", folded(what), figures_table(&head, &rows));
    }
    let of = "p50 and p99 are means of the trials', p99.9 and max of all latencies together; a percentile takes 10 beyond \
              it; of bound: jobs per second as a share of what the definition's waits and this machine's cores allow";
    let table = figures_table(&head, &rows);
    format!("{}\n{}\n", folded(&format!("{what}; {of}")), table)
}

/// Returns the overshoot of `thread::sleep` here.
pub fn floor_line(floor: &Distribution) -> String {
    let (p50, max) = (long_ns(floor.ns_p50), long_ns(floor.ns_max));
    format!(
        "thread::sleep wakes {p50} late here (median; the latest {max}): a timer of a model's own may be less late"
    )
}
