//! The results of `paceline claims`: each claim of the concurrency tutorial, with its figures and a verdict on every
//! model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Estimate, ModelRecord};
use crate::machine::{Build, Fingerprint};

/// The version of [`Claims`]' format. Additions do not change it.
pub const CLAIMS_SCHEMA: u32 = 1;

/// The verdict of a claim on a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimVerdict {
    /// The figures agree with the claim, with both ends of their intervals.
    Holds,
    /// The figures disagree with the claim, with both ends of their intervals: `why` says what the model does instead.
    Contradicted,
    /// Nothing was measured: the language allows only one answer, given in `why`.
    ByDefinition,
    /// The model lacks the subject of the claim, which `why` names.
    DoesNotApply,
    /// The intervals contain both answers.
    Inconclusive,
    /// A checksum was wrong, or another model ran than the label says.
    Invalid,
    /// A limit or the model itself excludes the experiment; known before it runs.
    Refused,
    /// The budget was used up before the experiment.
    Skipped,
    /// The experiment could not run to its end.
    Failed,
}

impl ClaimVerdict {
    /// All verdicts, in the order of tables.
    pub const ALL: [ClaimVerdict; 9] = [
        ClaimVerdict::Holds,
        ClaimVerdict::Contradicted,
        ClaimVerdict::ByDefinition,
        ClaimVerdict::DoesNotApply,
        ClaimVerdict::Inconclusive,
        ClaimVerdict::Invalid,
        ClaimVerdict::Refused,
        ClaimVerdict::Skipped,
        ClaimVerdict::Failed,
    ];

    /// Returns the verdict in words.
    pub fn word(self) -> &'static str {
        match self {
            ClaimVerdict::Holds => "holds",
            ClaimVerdict::Contradicted => "contradicted",
            ClaimVerdict::ByDefinition => "by definition",
            ClaimVerdict::DoesNotApply => "does not apply",
            ClaimVerdict::Inconclusive => "inconclusive",
            ClaimVerdict::Invalid => "invalid",
            ClaimVerdict::Refused => "refused",
            ClaimVerdict::Skipped => "skipped",
            ClaimVerdict::Failed => "failed",
        }
    }

    /// Returns whether it should have been measured and was not: the command then ends with exit code 3.
    pub fn is_wrong(self) -> bool {
        matches!(self, ClaimVerdict::Invalid | ClaimVerdict::Failed)
    }
}

/// A figure of an experiment: the mean over its processes, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimFigure {
    /// Its description.
    pub name: String,
    /// Its unit: `ms`, `×`, `bytes`, `threads`, …
    pub unit: String,
    /// The geometric mean; the plain mean if a process measured 0 or less.
    pub value: f64,
    /// The lower end of its interval; the mean itself with fewer than three processes, or if all are equal.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
    /// Its value if the claim were exactly true; `None` if the claim names no figure.
    pub ideal: Option<f64>,
    /// The value of each process, in the order in which they ran.
    pub values: Vec<f64>,
}

impl ClaimFigure {
    /// Returns the figure of `values`, one from each process.
    ///
    /// # Panics
    ///
    /// Panics if there are no values, or one is not finite.
    pub fn new(name: &str, unit: &str, ideal: Option<f64>, values: Vec<f64>) -> Self {
        let made = Estimate::of_trials(&values, 0.0).expect("every process found a finite figure");
        let Estimate { value, lower, upper } = made;
        ClaimFigure { name: name.into(), unit: unit.into(), value, lower, upper, ideal, values }
    }
}

/// The result of a claim on one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimResult {
    /// The model's name.
    pub model: String,
    /// Its workers; `None` for a thread per job.
    pub workers: Option<usize>,
    /// The verdict.
    pub verdict: ClaimVerdict,
    /// The reason, in one sentence; `None` only if the claim holds and there is nothing to add.
    pub why: Option<String>,
    /// The figures; empty if nothing was measured.
    pub figures: Vec<ClaimFigure>,
    /// The number of processes, one after another.
    pub repetitions: u32,
}

/// A claim and its results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Its name, on the command line too.
    pub name: String,
    /// The claim in one sentence.
    pub sentence: String,
    /// How it is measured.
    pub method: String,
    /// Every model, in the order of tables; some with several worker counts.
    pub results: Vec<ClaimResult>,
}

/// The results of all claims.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Claims {
    /// [`CLAIMS_SCHEMA`].
    pub schema: u32,
    /// The name of its folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// The command line.
    pub command: Vec<String>,
    /// The time budget in seconds.
    pub budget_seconds: f64,
    /// Seconds that it took so far.
    pub seconds: f64,
    /// Planned number of processes of each experiment.
    pub repetitions: u32,
    /// How the intervals are computed.
    pub interval: String,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// How the program was built.
    pub build: Build,
    /// The models, as configured here.
    pub models: Vec<ModelRecord>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// The claims, in the order of the tutorial.
    pub claims: Vec<Claim>,
}
