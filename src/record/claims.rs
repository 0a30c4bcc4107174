//! What `paceline claims` found: each claim of the concurrency tutorial, with its figures and a verdict on every model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Estimate, ModelRecord};
use crate::machine::{Build, Fingerprint};

/// The version of [`Claims`]' shape. Additions do not change it.
pub const CLAIMS_SCHEMA: u32 = 1;

/// What is said of a claim on a model: what was measured, what needs no measurement, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimVerdict {
    /// The figures are as the claim says, and so are both ends of their intervals.
    Holds,
    /// They are not, and neither end of their intervals is: `why` says what the model does instead.
    Contradicted,
    /// Nothing was measured: the language leaves no other answer, and `why` says which.
    ByDefinition,
    /// The model has no such thing as the claim speaks of: `why` says what it lacks.
    DoesNotApply,
    /// The intervals contain both answers.
    Inconclusive,
    /// A receipt was wrong, or another model ran than the label says.
    Invalid,
    /// A limit, or the model itself, forbids the experiment: said beforehand.
    Refused,
    /// The budget was used up before it.
    Skipped,
    /// It could not run to its end.
    Failed,
}

impl ClaimVerdict {
    /// All of them, in the order of tables.
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

    /// As people read it.
    #[must_use]
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

    /// Whether it was to be measured and came to nothing: what makes the command end with exit code 3.
    #[must_use]
    pub fn is_wrong(self) -> bool {
        matches!(self, ClaimVerdict::Invalid | ClaimVerdict::Failed)
    }
}

/// A figure of an experiment: the mean of the processes that it ran in, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimFigure {
    /// What it is, in words.
    pub name: String,
    /// Its unit: `ms`, `×`, `bytes`, `threads`, …
    pub unit: String,
    /// The geometric mean; where a process found 0 or less, the plain mean.
    pub value: f64,
    /// The lower end of its interval; with fewer than three processes, or all alike, the mean itself.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
    /// What it would be if the claim were true to the letter; `None` where the claim names no figure.
    pub ideal: Option<f64>,
    /// What each process found, in the order in which they ran.
    pub values: Vec<f64>,
}

impl ClaimFigure {
    /// The figure that `values` make, one of each process.
    ///
    /// # Panics
    ///
    /// Panics where there is none, or one is not finite.
    #[must_use]
    pub fn new(name: &str, unit: &str, ideal: Option<f64>, values: Vec<f64>) -> Self {
        let made = Estimate::of_trials(&values, 0.0).expect("every process found a finite figure");
        let Estimate { value, lower, upper } = made;
        ClaimFigure { name: name.into(), unit: unit.into(), value, lower, upper, ideal, values }
    }
}

/// A claim on one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimResult {
    /// The model's name.
    pub model: String,
    /// Its workers; `None` for a thread per job.
    pub workers: Option<usize>,
    /// What is said of the claim.
    pub verdict: ClaimVerdict,
    /// Why, in one sentence; `None` only where the claim holds and nothing is to be added.
    pub why: Option<String>,
    /// What was measured; empty where nothing was.
    pub figures: Vec<ClaimFigure>,
    /// In how many processes, one after another.
    pub repetitions: u32,
}

/// A claim, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Its name, on the command line too.
    pub name: String,
    /// What is claimed.
    pub sentence: String,
    /// How that is measured.
    pub method: String,
    /// Every model, in the order of tables; some with several numbers of workers.
    pub results: Vec<ClaimResult>,
}

/// What came of all of them.
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
    /// Seconds that it was given.
    pub budget_seconds: f64,
    /// Seconds that it took so far.
    pub seconds: f64,
    /// Processes that each experiment was to have.
    pub repetitions: u32,
    /// What the intervals are.
    pub interval: String,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// How the program was built.
    pub build: Build,
    /// The models, as they are set up here.
    pub models: Vec<ModelRecord>,
    /// Whether it was interrupted before its end.
    pub interrupted: bool,
    /// The claims, in the order of the tutorial.
    pub claims: Vec<Claim>,
}
