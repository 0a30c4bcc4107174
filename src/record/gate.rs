//! The results of the gate: both sides, the trials of every cell, and the verdicts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metric, State};
use crate::machine::Fingerprint;

/// The version of [`Gate`]'s format. Additions do not change it.
pub const GATE_SCHEMA: u32 = 2;

/// The gate's verdict on a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The head is slower: significantly, and by at least the margin.
    Regressed,
    /// The head is faster: significantly, and by at least the margin.
    Improved,
    /// The run could have detected the clear margin, and excludes it.
    NotRegressed,
    /// The run could not decide.
    Inconclusive,
}

/// The gate's verdict on the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// A cell failed or is invalid: a process of the head crashed more often than the base's, or a side cannot run it.
    Failed,
    /// A cell regressed.
    Regressed,
    /// No cell regressed, and each would have shown it.
    Passed,
    /// No cell regressed, but some could not have shown it.
    Inconclusive,
    /// The null arm fired in a cell, or the machine was not fit, and nothing more serious was found.
    EnvironmentInvalid,
    /// Nothing was compared: no cell has figures of both sides, or both sides are the same program.
    Nothing,
}

/// Why base and head are the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// Base and head are the same source.
    SameSource,
    /// The sources differ only in files that builds do not read, such as documentation and tests.
    Unreachable,
    /// The sources differ, and built the same bytes of a program that reads nothing else at run time: paceline's own
    /// hosts. Nothing is measured.
    NotAffected,
    /// The sources differ, and the difference did not reach the program.
    Unreached,
}

/// Base and head are the same program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SameProgram {
    /// The kind of sameness.
    pub sameness: Sameness,
    /// A sentence with the likely reasons.
    pub why: String,
}

/// Which sides have a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Both: the cell is gated.
    Both,
    /// The head alone: the cell is new.
    Head,
    /// The base alone: the cell was removed.
    Base,
}

/// One of the two sides of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// What the user named: a revision, `working tree`, `tokio@1.50.0`, or a path.
    pub name: String,
    /// A description of what was built.
    pub about: String,
    /// The commit, if it is one.
    pub commit: Option<String>,
    /// Whether it contains uncommitted changes.
    pub uncommitted: bool,
    /// Dependencies that were set to a version.
    pub dependencies: Vec<String>,
    /// SHA-256 of the measured program, in hexadecimal digits.
    pub program_sha256: String,
}

/// A change: the head's relative increase over the base. `0.05` is 5 % slower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The 20 % trimmed mean.
    pub share: f64,
    /// The lower end of its two-sided 95 % interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
    /// The p-value of such an increase or more without a true change.
    pub p_slower: f64,
    /// The p-value of such a decrease or more without a true change.
    pub p_faster: f64,
}

/// Processes of a cell, and those that crashed: died, hung or failed. Here a trial is one process of a side, the
/// pilot's included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crashes {
    /// Processes of each side.
    pub trials: u32,
    /// Crashes of the base.
    pub base: u32,
    /// Crashes of the head.
    pub head: u32,
    /// Crashes of the base's copy.
    pub copy: u32,
}

/// The counts of a cell: its instructions or its allocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// The calls of each count.
    pub calls: u64,
    /// The counts of the base, each of the same calls in fresh processes.
    pub base: Vec<u64>,
    /// The counts of the head.
    pub head: Vec<u64>,
}

impl Counts {
    /// Returns whether the counts of each side are exact.
    pub fn is_exact(&self) -> bool {
        [&self.base, &self.head].into_iter().all(|counts| Counts::agree(counts))
    }

    /// Returns whether the counts of a side are equal within 0.01 %. The start of a process, where an address may decide
    /// a few instructions, makes a difference of less than that.
    pub(crate) fn agree(counts: &[u64]) -> bool {
        let (least, most) = (counts.iter().min(), counts.iter().max());
        least.zip(most).is_some_and(|(least, most)| most - least <= most / 10_000)
    }
}

/// A comparison of a cell and metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateCell {
    /// The cell: `echo/tokio/10`, or the name of a custom cell.
    pub cell: String,
    /// The metric compared.
    pub metric: Metric,
    /// Which sides have it.
    pub presence: Presence,
    /// How it ended.
    pub state: State,
    /// The reason, unless it is `ok`.
    pub reason: Option<String>,
    /// The verdict; only if it is `ok` and both sides have the cell.
    pub verdict: Option<Verdict>,
    /// The least share that is called a change.
    pub margin: f64,
    /// The share of a change that must have been detectable before a cell is called not regressed.
    pub clear_margin: f64,
    /// The standard deviation caused by the layout of code, in logarithms, if known.
    pub layout_sd: f64,
    /// The base's figure, the median over trials or the count of a call, in the unit of the metric.
    pub base: Option<f64>,
    /// The head's figure.
    pub head: Option<f64>,
    /// The change of the head.
    pub change: Option<Change>,
    /// The least change that would be found in 8 of 10 such runs, as a share.
    pub detectable: Option<f64>,
    /// The counts, if the metric is one. They take no part in trials: a verdict rests on their being exact.
    pub counts: Option<Counts>,
    /// The number of trials that count; of a counted metric, the number of counts of each side.
    pub trials: u32,
    /// The number of trials dropped, because of the machine or a crash.
    pub dropped: u32,
    /// How often each side crashed.
    #[serde(default)]
    pub crashes: Crashes,
    /// The number of trials that would make the clear margin detectable, if these did not.
    pub trials_needed: Option<u32>,
    /// Pairs of slices in a trial.
    pub slices: u32,
    /// Batches, or calls, in a slice.
    pub iterations: u64,
    /// The base against its rebuilt copy.
    pub null: Option<Change>,
    /// Whether the null arm called that a change: the cell is then void, and has no verdict.
    pub null_fired: bool,
    /// Whether the cell was measured again alone because its null arm fired at first. All figures are from the second
    /// time, except crashes, which are from both.
    #[serde(default)]
    pub again: bool,
    /// `ln(head / base)` of every trial that counts: the basis of all verdicts.
    pub log_ratios: Vec<f64>,
    /// `ln(copy / base)` of the same trials.
    pub null_log_ratios: Vec<f64>,
}

/// The figures of one side of a cell in a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideFigures {
    /// The time of each slice, in nanoseconds.
    pub slices_ns: Vec<u64>,
    /// CPU time of the process over all slices, in nanoseconds.
    pub cpu_ns: u64,
    /// Latency of its jobs, from separate batches: the median and the 99th percentile, in nanoseconds. The percentile is
    /// 0 if there are fewer than 1 000 latencies.
    pub latency_ns: Option<(u64, u64)>,
    /// Resident memory that its first batch added, in bytes.
    pub memory_bytes: Option<u64>,
}

/// A trial of a cell: a fresh process of the base, of the head, and of the base's copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateTrial {
    /// The cell.
    pub cell: String,
    /// Number of the trial; the pilot's trials come before, and are counted separately.
    pub trial: u32,
    /// Whether it belongs to the pilot, whose figures are only used for planning.
    pub pilot: bool,
    /// Jobs of a batch; 1 for a custom cell.
    pub jobs: u64,
    /// Batches of a slice.
    pub iterations: u64,
    /// Whether it is from the second measurement of the cell: the first trials then do not count.
    #[serde(default)]
    pub again: bool,
    /// Why it does not count, if it does not. No reason depends on which side is faster.
    pub dropped: Option<String>,
    /// Whether the processes of the base, the head and the copy crashed.
    #[serde(default)]
    pub crashed: [bool; 3],
    /// The base, the head and the copy; empty if one of them crashed.
    pub sides: Vec<SideFigures>,
}

/// A gate: complete, so that every verdict can be recomputed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// [`GATE_SCHEMA`].
    pub schema: u32,
    /// The name of its folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// The side compared with.
    pub base: Side,
    /// The side that is judged.
    pub head: Side,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// The seed of the order of cells and slices.
    pub seed: u64,
    /// Whether processes were pinned to CPUs.
    #[serde(default)]
    pub pinned: bool,
    /// The share of discoveries that may be false (Benjamini and Hochberg).
    pub false_discovery_rate: f64,
    /// Seconds that it took, without building.
    pub seconds: f64,
    /// Whether it was interrupted: cells then have the trials until that moment.
    pub interrupted: bool,
    /// Why base and head are the same program, if they are and the cells have one variant only.
    pub same_program: Option<SameProgram>,
    /// The verdict on all cells.
    pub verdict: Overall,
    /// The reason, in a sentence.
    pub summary: String,
    /// Further facts, in sentences: margins that the head has and that do not count.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Every cell and metric.
    pub cells: Vec<GateCell>,
}
