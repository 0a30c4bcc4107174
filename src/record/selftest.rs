//! The results of `paceline selftest`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    machine::Fingerprint,
    stats::{StepRates, clopper_pearson},
};

/// A share of cases, with its 95 % Clopper–Pearson interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Share {
    /// Cases with the property.
    pub hits: u64,
    /// All cases.
    pub of: u64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Share {
    /// Returns the share `hits` of `of` cases. Without cases, the share is unknown.
    pub fn new(hits: u64, of: u64) -> Self {
        let (lower, upper) = if of == 0 { (0.0, 1.0) } else { clopper_pearson(hits, of, 0.95) };
        Share { hits, of, lower, upper }
    }
}

/// Suites of equal programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Equal {
    /// The most cells judged in a suite.
    pub cells: usize,
    /// Trials of a cell.
    pub trials: u32,
    /// Median seconds of a suite.
    pub seconds: f64,
    /// Suites with the verdict `regressed`.
    pub false_regressed: Share,
    /// Suites without a verdict because their null arm fired or their trials were disturbed.
    pub environment: Share,
    /// Drawn suites with the verdict `regressed`: in a recorded suite, the sides of each cell change places.
    pub drawn_false_regressed: Share,
    /// The same with tests against half of the margin instead of no change.
    pub drawn_false_regressed_against_half: Share,
    /// Cells called not regressed.
    pub not_regressed: Share,
    /// 95 % intervals that contain the true change, which is 0.
    pub covered: Share,
    /// Trials dropped because of the machine.
    pub dropped: Share,
}

/// A planted slowdown.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Planted {
    /// The kind of work.
    pub kind: String,
    /// The slowdown, in percent.
    pub percent: u32,
    /// Real gates of one cell with the verdict `regressed`.
    pub found: Share,
    /// Median number of trials of such a gate.
    pub trials: u32,
    /// Median of the change that the gates reported, in percent.
    pub said_percent: f64,
    /// Median of the least change that the gates report to find in 8 of 10 cases, in percent.
    pub detectable_percent: f64,
    /// Gates of one cell, resampled from the recorded trials, with the verdict `regressed`.
    pub drawn_found: Share,
    /// The same with tests against half of the margin instead of no change.
    pub drawn_found_against_half: Share,
    /// The same for one of 48 cells, of which no other changed: it must pass a stricter test.
    pub drawn_found_of_48: Share,
    /// 95 % intervals of the real gates that contain the true change.
    pub covered: Share,
}

/// The result of a self-test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct SelfTest {
    /// When it began, in UTC.
    pub started: String,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// Seconds that it took.
    pub seconds: f64,
    /// Seconds of a gate of one cell.
    pub gate_seconds: f64,
    /// Whether processes were pinned to CPUs.
    pub pinned: bool,
    /// Equal programs.
    pub equal: Equal,
    /// Planted slowdowns.
    pub planted: Vec<Planted>,
    /// Equal programs beside a neighbour that computes in bursts.
    pub equal_beside_neighbour: Equal,
    /// Slowdowns of 5 % beside the same neighbour.
    pub planted_beside_neighbour: Vec<Planted>,
    /// The step detector of `paceline history`, on simulated series.
    pub steps: Vec<StepRates>,
    /// Milliseconds to judge 200 cells of 200 trials.
    pub judged_ms: f64,
    /// Whether it was interrupted.
    pub interrupted: bool,
}
