//! Agreement of runs of one build: how many of their intervals are disjoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::{RunName, name, same_cell};
use crate::record::{Cell, Record, State};

/// How well several runs agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// The runs.
    pub runs: Vec<RunName>,
    /// Pairs of intervals of the same cell, all workloads together.
    pub total: Disjoint,
    /// The pairs by workload.
    pub workloads: Vec<WorkloadAgreement>,
    /// The disjoint pairs, with the greatest ratio first.
    pub apart: Vec<DisjointPair>,
}

/// The number of disjoint pairs of intervals. Correct 95 % intervals of one quantity are disjoint in about 0.6 % of
/// pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disjoint {
    /// Cells that have an interval in at least two runs.
    pub cells: usize,
    /// Pairs of intervals of the same cell in two runs.
    pub pairs: usize,
    /// Pairs of intervals that have no value in common.
    pub disjoint: usize,
}

impl Disjoint {
    /// Returns the share of disjoint pairs; `None` without pairs.
    pub fn share(self) -> Option<f64> {
        (self.pairs > 0).then(|| self.disjoint as f64 / self.pairs as f64)
    }
}

/// The agreement on a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadAgreement {
    /// Name of the workload.
    pub workload: String,
    /// The pairs of its cells.
    #[serde(flatten)]
    pub of: Disjoint,
}

/// A cell whose intervals in two runs are disjoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DisjointPair {
    /// The cell, as `workload/model@workers/scale`.
    pub cell: String,
    /// The runs.
    pub runs: [String; 2],
    /// The figures of both runs, in nanoseconds per batch.
    pub batch_ns: [f64; 2],
    /// The distance of the intervals: the lower end of one over the upper end of the other.
    pub ratio: f64,
}

/// Counts disjoint intervals over all pairs of `runs`. A pair skips cells that lack an interval in one of its runs.
pub fn agreement(runs: &[Record]) -> Agreement {
    let mut found = Agreement {
        runs: runs.iter().map(|record| name(&record.run)).collect(),
        total: Disjoint::default(),
        workloads: vec![],
        apart: vec![],
    };
    let mut seen: Vec<&Cell> = vec![];
    for cell in runs.iter().flat_map(|record| &record.cells) {
        if seen.iter().any(|other| same_cell(other, cell)) {
            continue;
        }
        seen.push(cell);
        let of_run = |record: &'_ Record| {
            let own = record.cells.iter().find(|other| same_cell(other, cell))?;
            let figure = own.batch_ns.filter(|of| own.state == State::Ok && of.upper > of.lower)?;
            Some((record.run.id.clone(), figure))
        };
        let figures: Vec<_> = runs.iter().filter_map(of_run).collect();
        if figures.len() < 2 {
            continue;
        }
        let mut counted = Disjoint { cells: 1, ..Disjoint::default() };
        for (index, (one_run, one)) in figures.iter().enumerate() {
            for (other_run, other) in &figures[index + 1..] {
                counted.pairs += 1;
                let ratio = (one.lower / other.upper).max(other.lower / one.upper);
                if ratio > 1.0 {
                    counted.disjoint += 1;
                    found.apart.push(DisjointPair {
                        cell: label(cell),
                        runs: [one_run.clone(), other_run.clone()],
                        batch_ns: [one.value, other.value],
                        ratio,
                    });
                }
            }
        }
        found.total.add(counted);
        match found.workloads.iter_mut().find(|of| of.workload == cell.workload) {
            Some(of) => of.of.add(counted),
            None => found
                .workloads
                .push(WorkloadAgreement { workload: cell.workload.clone(), of: counted }),
        }
    }
    found.apart.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    found
}

impl Disjoint {
    fn add(&mut self, other: Disjoint) {
        self.cells += other.cells;
        self.pairs += other.pairs;
        self.disjoint += other.disjoint;
    }
}

fn label(cell: &Cell) -> String {
    let workers = cell.workers.map_or_else(String::new, |workers| format!("@{workers}"));
    format!("{}/{}{workers}/{}", cell.workload, cell.model, cell.scale)
}
