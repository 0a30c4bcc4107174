//! What the gate found: both sides, the trials of every cell, and the verdicts that follow from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;
use crate::machine::Fingerprint;

/// The version of [`Gate`]'s shape. Additions do not change it.
pub const GATE_SCHEMA: u32 = 2;

/// What is compared. Of each, less is better.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Wall time of a job in batches: what throughput is the inverse of. Nanoseconds.
    Throughput,
    /// Median latency of a job. Nanoseconds.
    P50,
    /// 99th percentile of a job's latency. Nanoseconds.
    P99,
    /// CPU time of a job, user and system. Nanoseconds.
    Cpu,
    /// Resident memory that the first batch adds, over its jobs: with what all jobs share, unlike the slope over scales
    /// that tables call bytes/job. Bytes.
    Memory,
}

impl Metric {
    /// All of them, in the order of tables.
    pub const ALL: [Metric; 5] =
        [Metric::Throughput, Metric::P50, Metric::P99, Metric::Cpu, Metric::Memory];

    /// Its name, on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::Throughput => "throughput",
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::Cpu => "cpu",
            Metric::Memory => "memory",
        }
    }

    /// What its figures are called in files, the unit last.
    #[must_use]
    pub fn figure(self) -> &'static str {
        match self {
            Metric::Throughput => "time_per_job_ns",
            Metric::P50 => "latency_p50_ns",
            Metric::P99 => "latency_p99_ns",
            Metric::Cpu => "cpu_per_job_ns",
            Metric::Memory => "memory_per_job_bytes",
        }
    }
}

/// What the gate says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The head is slower: rejected, and by the margin at least.
    Regressed,
    /// The head is faster: rejected, and by the margin at least.
    Improved,
    /// The run could have seen the clear margin, and it is not there.
    NotRegressed,
    /// The run could not have told.
    Inconclusive,
}

/// What the gate says of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// A cell failed or is invalid: a process of the head crashed more often than the base's, or a side cannot run it.
    Failed,
    /// A cell regressed.
    Regressed,
    /// None did, and of each it could have been seen.
    Passed,
    /// None did, and of some it could not have been seen.
    Inconclusive,
    /// The null arm fired in a cell, or the machine was not fit, and nothing of more weight was found.
    EnvironmentInvalid,
    /// Nothing was compared: no cell has figures of both sides, or both sides are the same program.
    Nothing,
}

/// How it comes that base and head are the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// Base and head are the same source.
    SameSource,
    /// The sources differ only in files that no build reads, such as documentation and tests.
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
    /// How it comes.
    pub sameness: Sameness,
    /// The same in a sentence, with the likely reasons.
    pub why: String,
}

/// Which sides have a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Both: it is gated.
    Both,
    /// The head alone: it is new.
    Head,
    /// The base alone: it was removed.
    Base,
}

/// One of the two that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// What was asked for: a revision, `working tree`, `tokio@1.50.0`, or a path.
    pub name: String,
    /// What was built, in words.
    pub about: String,
    /// The commit, where it is one.
    pub commit: Option<String>,
    /// Whether changes that are not committed are in it.
    pub uncommitted: bool,
    /// Dependencies that were set to a version.
    pub dependencies: Vec<String>,
    /// A hash of the program that was measured, in hexadecimal digits.
    pub program_sha256: String,
}

/// A change: how much more the head takes than the base, as a share. `0.05` is 5 % slower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The 20 % trimmed mean.
    pub share: f64,
    /// The lower end of its two-sided 95 % interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
    /// The chance of such a rise or more where there is none.
    pub p_slower: f64,
    /// The chance of such a fall or more.
    pub p_faster: f64,
}

/// Trials of a cell, and those that crashed: the process died, hung or failed. A trial is one process of a side in a
/// trial, those of the pilot included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crashes {
    /// Trials of each side.
    pub trials: u32,
    /// Crashes of the base.
    pub base: u32,
    /// Crashes of the head.
    pub head: u32,
    /// Crashes of the base's copy.
    pub copy: u32,
}

/// A cell and metric, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateCell {
    /// The cell: `echo/tokio/10`, or the name that a program gave to one of its own.
    pub cell: String,
    /// What was compared.
    pub metric: Metric,
    /// Which sides have it.
    pub presence: Presence,
    /// How it ended.
    pub state: State,
    /// Why, unless it is `ok`.
    pub reason: Option<String>,
    /// The verdict; only where it is `ok` and both sides have it.
    pub verdict: Option<Verdict>,
    /// A change below this share is never called one.
    pub margin: f64,
    /// A change of this share must have been visible before a cell is called not regressed.
    pub clear_margin: f64,
    /// The standard deviation that the layout of code gives, in logarithms, where it is known.
    pub layout_sd: f64,
    /// The base's figure, the median of trials, in the unit of the metric.
    pub base: Option<f64>,
    /// The head's.
    pub head: Option<f64>,
    /// How they differ.
    pub change: Option<Change>,
    /// The least change that would be found in 8 of 10 such runs, as a share.
    pub detectable: Option<f64>,
    /// Trials that count.
    pub trials: u32,
    /// Trials that were dropped, because of the machine or because a process crashed.
    pub dropped: u32,
    /// How often each side crashed.
    #[serde(default)]
    pub crashes: Crashes,
    /// Trials that would make the clear margin visible, where these did not.
    pub trials_needed: Option<u32>,
    /// Pairs of slices in a trial.
    pub slices: u32,
    /// Batches, or calls, in a slice.
    pub iterations: u64,
    /// The base against its rebuilt copy.
    pub null: Option<Change>,
    /// Whether the null arm called that a change: then the cell is void, and has no verdict.
    pub null_fired: bool,
    /// Whether it was measured again by itself, because its null arm fired at first. All figures are of the second time,
    /// but for the crashes, which are of both.
    #[serde(default)]
    pub again: bool,
    /// `ln(head / base)` of every trial that counts: all that verdicts follow from.
    pub log_ratios: Vec<f64>,
    /// `ln(copy / base)` of the same trials.
    pub null_log_ratios: Vec<f64>,
}

/// What one side showed of a cell in a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideFigures {
    /// The time of each slice, in nanoseconds.
    pub slices_ns: Vec<u64>,
    /// CPU time of the process in all of them, in nanoseconds.
    pub cpu_ns: u64,
    /// Latency of its jobs, in batches of their own: the median and the 99th percentile, in nanoseconds.
    pub latency_ns: Option<(u64, u64)>,
    /// What its first batch added to resident memory, in bytes.
    pub memory_bytes: Option<u64>,
}

/// A trial of a cell: a fresh process each of the base, of the head, and of the base's copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateTrial {
    /// The cell.
    pub cell: String,
    /// Which trial it is; those of the pilot come before, and are counted apart.
    pub trial: u32,
    /// Whether it is of the pilot, whose figures are only used to plan the others.
    pub pilot: bool,
    /// Jobs of a batch; 1 for a cell of a program's own.
    pub jobs: u64,
    /// Batches of a slice.
    pub iterations: u64,
    /// Whether it is of the second time that the cell was measured: then those of the first time do not count.
    #[serde(default)]
    pub again: bool,
    /// Why it does not count, if so. No reason depends on which side is faster.
    pub dropped: Option<String>,
    /// Whether the process of the base, of the head and of the copy crashed.
    #[serde(default)]
    pub crashed: [bool; 3],
    /// The base, the head and the copy; nothing where one of them crashed.
    pub sides: Vec<SideFigures>,
}

/// A gate: all of it, so that every verdict can be computed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// [`GATE_SCHEMA`].
    pub schema: u32,
    /// The name of its run's folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// What it is compared with.
    pub base: Side,
    /// What is judged.
    pub head: Side,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// What shuffled cells and slices.
    pub seed: u64,
    /// The share of false discoveries that is allowed among those found (Benjamini and Hochberg).
    pub false_discovery_rate: f64,
    /// Seconds that it took, building excluded.
    pub seconds: f64,
    /// Whether it was interrupted: cells have the trials until then.
    pub interrupted: bool,
    /// Why base and head are the same program, where they are and the cells have one half only.
    #[serde(default)]
    pub same_program: Option<SameProgram>,
    /// The verdict on all.
    pub verdict: Overall,
    /// Why, in a sentence.
    pub summary: String,
    /// What else must be known, in sentences: margins that the head has and that do not count.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Every cell and metric.
    pub cells: Vec<GateCell>,
}
