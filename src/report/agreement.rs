//! The agreement of runs of one build, as a table.

use crate::compare::{Agreement, Disjoint};
use crate::output::{count, counted, figures_table, percent};

/// The most pairs that are listed.
const MOST: usize = 10;

/// Returns pairs and disjoint pairs by workload and in total, and the worst of them.
pub fn agreement_table(found: &Agreement) -> String {
    let row = |name: &str, of: Disjoint| {
        let share = of.share().map_or_else(String::new, percent);
        let [cells, pairs, disjoint] = [of.cells, of.pairs, of.disjoint].map(count);
        vec![name.to_owned(), cells, pairs, disjoint, share]
    };
    let mut rows: Vec<_> = found.workloads.iter().map(|of| row(&of.workload, of.of)).collect();
    rows.push(row("total", found.total));
    let mut text = format!(
        "{}; disjoint intervals of one cell in two runs (two honest 95 % intervals are in about 0.6 % of pairs)\n\n",
        counted(found.runs.len(), "run")
    );
    text.push_str(&figures_table(&["workload", "cells", "pairs", "disjoint", "share"], &rows));
    if found.total.pairs == 0 {
        text.push_str(
            "\n\nno cell has an interval in two of the runs: each needs 3 processes of a cell",
        );
    }
    if found.apart.is_empty() {
        return text;
    }
    let apart = found.apart.iter().take(MOST).map(|pair| {
        let by = format!("{} apart", percent(pair.ratio - 1.0));
        vec![pair.cell.clone(), by, pair.runs[0].clone(), pair.runs[1].clone()]
    });
    let head = ["the farthest apart", "intervals", "in", "and"];
    format!("{text}\n\n{}", figures_table(&head, &apart.collect::<Vec<_>>()))
}
