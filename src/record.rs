//! The record of a run: `results/<run-id>/run.json`, a line of `cells.jsonl` for every cell as soon as it ends, and a
//! line of `trials.jsonl` for every trial that had a process of its own.

mod claims;
mod files;
mod gate;
mod gate_files;
mod load;
mod nodes;
mod ranking;
mod selftest;

pub use claims::{CLAIMS_SCHEMA, Claim, ClaimFigure, ClaimResult, ClaimVerdict, Claims};
pub use files::{
    CELLS, KINDS, NODES, PARTS, ROUNDS, RUN, Record, Writer, read, read_cells, read_claims,
    write_claims, write_json, write_text,
};
pub(crate) use files::{append, lines, whole};
pub use gate::{
    Change, Crashes, GATE_SCHEMA, Gate, GateCell, GateTrial, Metric, Overall, Presence,
    SameProgram, Sameness, Side, SideFigures, Verdict,
};
pub use gate_files::{GateTrials, read_gate, read_gate_trials, write_gate};
pub use load::{Knee, KneeStep, LoadFigures, Loop};
pub use nodes::{Counted, LeftOut, NODES_SCHEMA, Node, Nodes};
pub(crate) use ranking::logarithms;
pub use ranking::{
    MOST_SERVER_BUSY, PerTrial, SHORTEST_RANKED_NS, bytes_per_job, leaders, same_class,
};
pub use selftest::{Equal, Planted, SelfTest, Share};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    machine::{Build, Fingerprint, HostActivity},
    stats::{FEWEST_TRIALS, Mode, estimate},
};
use paceline_core::{
    histogram::Distribution,
    perform::Placement,
    prepared::{Attestation, Recorded},
    usage::Usage,
};

/// The version of the record's shape. It changes when a reader of the older one would misread the newer.
pub const SCHEMA: u32 = 2;

/// What holds for a whole run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The name of its folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// `criterion` or `trials`.
    pub instrument: String,
    /// The command line.
    pub command: Vec<String>,
    /// Seconds that it was given.
    pub budget_seconds: f64,
    /// What shuffled it; `None` where the order is fixed.
    pub seed: Option<u64>,
    /// Every other setting.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// How the program was built.
    pub build: Build,
    /// The commit of the repository that it was run in, with `-dirty` where changes are not committed; `None` where
    /// there is no git or no repository.
    #[serde(default)]
    pub commit: Option<String>,
    /// The models, as they are set up here.
    pub models: Vec<ModelRecord>,
    /// The definitions, word for word.
    pub workloads: Vec<Definition>,
    /// How many cells it is of; `None` where that shows only while it runs.
    #[serde(default)]
    pub planned: Option<usize>,
    /// How much later than it was told to `thread::sleep` wakes a thread here from a millisecond. The kernel may add
    /// its timer slack to such a sleep, so a model with a timer of its own may be less late.
    #[serde(default)]
    pub timer_floor: Option<Distribution>,
}

/// A model, as `paceline models` shows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelRecord {
    /// Its name.
    pub name: String,
    /// What it is of.
    pub family: String,
    /// The version of its crate, or of Rust.
    pub version: String,
    /// The features that its crate is built with, beyond `default`; empty for models without a crate.
    #[serde(default)]
    pub features: Vec<String>,
    /// `idiomatic`, `tuned` or `historical`.
    pub tag: String,
    /// Whether it can run here.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Why its cells may fail through no fault of the job or the machine, where it has such a known defect.
    #[serde(default)]
    pub unreliable: Option<String>,
    /// What it is, and every setting that is not its crate's default.
    pub note: String,
}

/// A workload's definition.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The text of its file.
    pub source: String,
}

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Measured, every receipt right.
    Ok,
    /// Measured, and not what its label says.
    Invalid,
    /// A limit or the model itself forbids it: said beforehand.
    Refused,
    /// It would not have fitted into the budget.
    Skipped,
    /// It could not run to its end.
    Failed,
}

/// A figure of a cell, from one value of each trial: their geometric mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower end of its interval. Both ends are the figure itself where it has none: with fewer than three trials.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Run {
    /// Whether its processes were kept on CPUs of their own.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.settings.get("pin").and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
}

impl Estimate {
    /// Of `trials`, one value of each; `resolution` is what the clock cannot tell apart, in the unit of the values.
    /// `None` without trials, or where one has no finite value.
    #[must_use]
    pub fn of_trials(trials: &[f64], resolution: f64) -> Option<Self> {
        let (value, lower, upper) = estimate(trials, resolution)?;
        Some(Estimate { value, lower, upper })
    }

    /// What such an interval is, as a cell says it.
    #[must_use]
    pub fn interval_of(trials: usize) -> String {
        let (s, is) = if trials == 1 { ("", "is") } else { ("s", "are") };
        if trials < FEWEST_TRIALS {
            format!("none: {trials} trial{s} {is} too few for an interval")
        } else {
            format!("95 %, of the geometric mean of {trials} trials, by Student's t")
        }
    }

    /// Its interval, where it has one.
    #[must_use]
    pub fn interval(self) -> Option<(f64, f64)> {
        let known = self.lower.is_finite() && self.upper.is_finite() && self.lower < self.upper;
        known.then_some((self.lower, self.upper))
    }

    /// Half of its interval, in percent of the figure.
    #[must_use]
    pub fn half_percent(self) -> Option<f64> {
        self.interval().map(|(lower, upper)| (upper - lower) / 2.0 / self.value * 100.0)
    }

    /// `jobs` a second, from nanoseconds a batch.
    #[must_use]
    pub fn per_second(self, jobs: usize) -> Self {
        let rate = |ns: f64| jobs as f64 * 1e9 / ns;
        Estimate { value: rate(self.value), lower: rate(self.upper), upper: rate(self.lower) }
    }
}

/// A cell, ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// The workload's name.
    pub workload: String,
    /// The model's name.
    pub model: String,
    /// How many jobs were offered at once.
    pub scale: usize,
    /// The model's workers; `None` for a thread per job.
    pub workers: Option<usize>,
    /// Where its batches were offered from.
    pub placement: Placement,
    /// How it ended.
    pub state: State,
    /// Why, unless it is `ok`.
    pub reason: Option<String>,
    /// Jobs a second.
    pub jobs_per_second: Option<Estimate>,
    /// Nanoseconds a batch: of the trials' medians.
    pub batch_ns: Option<Estimate>,
    /// What the intervals are.
    pub interval: Option<String>,
    /// How long its jobs wait at least, by their definition, in nanoseconds.
    pub floor_ns: u64,
    /// No model can do more jobs a second: by its waits, its lanes and this machine's cores. `None` too where the
    /// cell did more: a figure above its bound refutes the bound.
    pub bound_jobs_per_second: Option<f64>,
    /// The time of a batch in each trial, the median of its batches, in nanoseconds, in the order of the passes.
    pub trials_ns: Vec<u64>,
    /// The other figures of each trial.
    #[serde(default)]
    pub per_trial: PerTrial,
    /// What the cell was seen to be, in its warm-up trial.
    pub attest: Option<Attestation>,
    /// CPU time of the model's process for each job, all threads, checking of receipts included.
    pub cpu_ns_per_job: Option<f64>,
    /// CPU time of the echo server for each job.
    pub server_cpu_ns_per_job: Option<f64>,
    /// The share of the batches' time for which the busiest thread of the suite's server was on a CPU, in the process
    /// where it was greatest; `None` where no job connects. See [`Cell::is_server_bound`].
    #[serde(default)]
    pub server_busy_share_max: Option<f64>,
    /// From when each job was due until it had its receipt; all trials together. Its percentiles are those of all.
    #[serde(default)]
    pub latency: Option<Distribution>,
    /// The median latency of a trial. What tables call p50.
    #[serde(default)]
    pub latency_ns_p50: Option<Estimate>,
    /// The 99th percentile of a trial. What tables call p99. `None` where a trial has fewer than 1 000 latencies.
    #[serde(default)]
    pub latency_ns_p99: Option<Estimate>,
    /// From when each job was begun until it had its receipt: what latency is without the time before.
    #[serde(default)]
    pub service_time: Option<Distribution>,
    /// How much longer than it was told to each sleep lasted.
    #[serde(default)]
    pub timer_lateness: Option<Distribution>,
    /// The two modes that the times of trials fall into, where they do: then no single figure stands for them.
    #[serde(default)]
    pub modes: Option<[Mode; 2]>,
    /// What it used of the machine.
    #[serde(default)]
    pub resources: Option<Resources>,
    /// What the load was, where the cell is a server under one: then the scale is the number of connections, and jobs
    /// are requests.
    #[serde(default)]
    pub load: Option<LoadFigures>,
    /// The nodes that its trials ran on, in the order of the passes, where a cluster measured it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// What a cell used of the machine, its model's process alone where nothing else is said. `None` is what the system
/// does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Resident memory before the first batch of a fresh process, the model started; the median of the processes'.
    pub rss_bytes: Option<u64>,
    /// What the first batch added to it at its peak, the receipts included. Bytes per job are the slope of this over
    /// scales.
    pub rss_bytes_added: Option<u64>,
    /// The most that was resident in the first batch of a trial.
    #[serde(default)]
    pub rss_bytes_max: Option<Estimate>,
    /// CPU time of a job in user mode.
    pub user_cpu_ns_per_job: f64,
    /// CPU time of a job in the kernel.
    pub system_cpu_ns_per_job: f64,
    /// CPU time, as a share of one CPU's, of the started model without jobs.
    pub idle_cpu_share: Option<f64>,
    /// Context switches of a job because a thread waited.
    pub voluntary_switches_per_job: f64,
    /// Context switches of a job because another thread was given the CPU.
    pub involuntary_switches_per_job: f64,
    /// Page faults of a job that needed no disk.
    pub minor_faults_per_job: f64,
    /// Page faults of a job that did.
    pub major_faults_per_job: f64,
    /// All threads of the process, at the end of the first batch.
    pub threads: Option<u64>,
    /// The share of all CPUs' time that the hypervisor gave to others meanwhile.
    pub steal_share: Option<f64>,
    /// The share of the time in which some task of the machine waited for a CPU.
    pub cpu_pressure_share: Option<f64>,
}

/// A trial: what one fresh process found of a cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// The cell's workload.
    pub workload: String,
    /// Its model.
    pub model: String,
    /// Its scale.
    pub scale: usize,
    /// Its workers.
    pub workers: Option<usize>,
    /// Where its batches were offered from.
    pub placement: Placement,
    /// Which trial it is, from 0 on.
    pub trial: u32,
    /// The times of the batches, in nanoseconds.
    pub times_ns: Vec<u64>,
    /// What the first batch was seen to be.
    pub attest: Attestation,
    /// What the batches used.
    pub used: Usage,
    /// CPU time of the echo server meanwhile.
    pub server_cpu_ns: u64,
    /// CPU time of the server's busiest thread over the time of the batches; `None` where no job connects.
    #[serde(default)]
    pub server_busy_share: Option<f64>,
    /// The times of single jobs, of batches of their own.
    pub recorded: Recorded,
    /// CPU time of the started model without jobs, and for how long, in nanoseconds; in the first trial only.
    pub idle_ns: Option<(u64, u64)>,
    /// What the machine did meanwhile.
    pub host_activity: HostActivity,
    /// The node that it ran on, where a cluster measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Resources {
    /// What `jobs` jobs used together, and what the machine did meanwhile; of the rest nothing is known.
    #[must_use]
    pub fn of(used: Usage, jobs: f64, meanwhile: HostActivity) -> Self {
        Resources {
            user_cpu_ns_per_job: used.user_cpu_ns as f64 / jobs,
            system_cpu_ns_per_job: used.system_cpu_ns as f64 / jobs,
            voluntary_switches_per_job: used.voluntary_switches as f64 / jobs,
            involuntary_switches_per_job: used.involuntary_switches as f64 / jobs,
            minor_faults_per_job: used.minor_faults as f64 / jobs,
            major_faults_per_job: used.major_faults as f64 / jobs,
            steal_share: meanwhile.steal_share(),
            cpu_pressure_share: meanwhile.pressure_share(),
            ..Resources::default()
        }
    }

    /// CPU time of a job, user and system mode together.
    #[must_use]
    pub fn cpu_ns_per_job(&self) -> f64 {
        self.user_cpu_ns_per_job + self.system_cpu_ns_per_job
    }
}

impl Cell {
    /// Whether it is no figure although it was to be one: what makes a command end with exit code 3.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        matches!(self.state, State::Failed | State::Invalid)
    }

    /// A cell without any figure.
    #[must_use]
    pub fn new(
        workload: &str,
        model: &str,
        scale: usize,
        workers: Option<usize>,
        placement: Placement,
        state: State,
    ) -> Self {
        Cell {
            workload: workload.into(),
            model: model.into(),
            scale,
            workers,
            placement,
            state,
            reason: None,
            jobs_per_second: None,
            batch_ns: None,
            interval: None,
            floor_ns: 0,
            bound_jobs_per_second: None,
            trials_ns: vec![],
            per_trial: PerTrial::default(),
            attest: None,
            cpu_ns_per_job: None,
            server_cpu_ns_per_job: None,
            server_busy_share_max: None,
            latency: None,
            latency_ns_p50: None,
            latency_ns_p99: None,
            service_time: None,
            timer_lateness: None,
            modes: None,
            resources: None,
            load: None,
            nodes: vec![],
        }
    }
}
