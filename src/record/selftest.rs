//! What `paceline selftest` found of the gate.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    machine::Fingerprint,
    stats::{StepRates, clopper_pearson},
};

/// A share of cases, with its Clopper–Pearson interval of 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Share {
    /// Cases in which it was so.
    pub hits: u64,
    /// Cases.
    pub of: u64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Share {
    /// `hits` of so many cases. Of none, nothing is known.
    #[must_use]
    pub fn new(hits: u64, of: u64) -> Self {
        let (lower, upper) = if of == 0 { (0.0, 1.0) } else { clopper_pearson(hits, of, 0.95) };
        Share { hits, of, lower, upper }
    }
}

/// Suites of equal programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Equal {
    /// Cells of a suite, at most: those that were judged.
    pub cells: usize,
    /// Trials of a cell.
    pub trials: u32,
    /// Seconds that a suite took, the median.
    pub seconds: f64,
    /// Suites that said `regressed`.
    pub false_regressed: Share,
    /// Suites whose null arm fired, or whose trials were disturbed: they say nothing.
    pub environment: Share,
    /// The same of suites drawn from the recorded trials of the real ones.
    pub drawn_false_regressed: Share,
    /// Cells called not regressed.
    pub not_regressed: Share,
    /// Intervals of 95 % that contain the truth, which is no change.
    pub covered: Share,
    /// Trials that were dropped because of the machine.
    pub dropped: Share,
}

/// A planted slowdown.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Planted {
    /// What does it.
    pub kind: String,
    /// How much, in percent.
    pub percent: u32,
    /// Real gates of one cell that said `regressed`.
    pub found: Share,
    /// Trials of such a gate, the median.
    pub trials: u32,
    /// What the gates said, in percent: the median.
    pub said_percent: f64,
    /// The least change that such a gate finds in 8 of 10 cases, in percent: the median of what they say themselves.
    pub detectable_percent: f64,
    /// Gates of one cell drawn from the recorded trials, that said `regressed`.
    pub drawn_found: Share,
    /// The same as one of 48 cells, of which no other changed: it must pass a stricter test.
    pub drawn_found_of_48: Share,
    /// Intervals of 95 % of the real gates that contain the truth.
    pub covered: Share,
}

/// What came of it.
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
    /// Equal programs.
    pub equal: Equal,
    /// Planted slowdowns.
    pub planted: Vec<Planted>,
    /// Equal programs beside a neighbour that computes in bursts.
    pub equal_beside_neighbour: Equal,
    /// Slowdowns of 5 % beside it.
    pub planted_beside_neighbour: Vec<Planted>,
    /// The step detector of `paceline history`, on made series.
    pub steps: Vec<StepRates>,
    /// Milliseconds in which 200 cells of 200 trials are judged.
    pub judged_ms: f64,
    /// Whether it was interrupted.
    pub interrupted: bool,
}
