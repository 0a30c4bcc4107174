//! The record of a run: `results/<run-id>/run.json`; `cells.jsonl` with a line for each cell as soon as it ends;
//! `trials.jsonl` with a line for each trial that had its own process.

mod against;
mod claims;
mod files;
mod gate;
mod load;
mod metric;
mod nodes;
mod order;
mod ranking;
mod read;
mod selftest;

pub use against::{Against, Ratio};
pub use claims::{CLAIMS_SCHEMA, Claim, ClaimFigure, ClaimResult, ClaimVerdict, Claims};
pub use files::{
    CELLS, GateTrials, KINDS, NODES, PARTS, RUN, Record, TRIALS, Writer, check_writable,
    write_claims, write_gate, write_json, write_text,
};
pub(crate) use files::{append, cut_torn_line, json};
pub use gate::{
    Change, Counts, Crashes, GATE_SCHEMA, Gate, GateCell, GateTrial, Overall, Presence,
    SameProgram, Sameness, Side, SideFigures, Verdict,
};
pub use load::{
    AtShare, GeneratorFigures, Hosts, Knee, KneeStep, LoadFigures, Loop, Ramp, UrlFigures,
    mostly_late,
};
pub use metric::Metric;
pub use nodes::{Counted, LeftOut, NODES_SCHEMA, Node, Nodes};
pub use ranking::{
    MOST_SERVER_BUSY, PerTrial, RankedBy, SHORTEST_RANKED_NS, bytes_per_job, leaders, leaders_by,
};
pub(crate) use read::{assemble, claims_of, gate_of, lines, parse, parse_lines};
pub use read::{read, read_cells, read_claims, read_gate, read_gate_trials};
pub use selftest::{Equal, Planted, SelfTest, Share};
pub(crate) use {
    files::write_whole,
    load::{LEAST, MOSTLY_LATE, by_column, late_mark, roles},
    ranking::{are_loads, bytes_per_job_at_most, not_refuted},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    machine::{Build, Fingerprint, HostActivity},
    output::counted,
    stats::{FEWEST_TRIALS, Mode, estimate},
};
use paceline_core::{
    histogram::Distribution,
    perform::Placement,
    prepared::{Attestation, Recorded},
    usage::Usage,
};

/// The version of the record's format. It changes if a reader of the older one would misread the newer.
pub const SCHEMA: u32 = 2;

/// The metadata of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The name of the run's folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// `criterion` or `trials`.
    pub instrument: String,
    /// The command line.
    pub command: Vec<String>,
    /// The time budget in seconds.
    pub budget_seconds: f64,
    /// The seed of the shuffle; `None` if the order is fixed.
    pub seed: Option<u64>,
    /// Every other setting.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// How the program was built.
    pub build: Build,
    /// The commit of the repository in which it ran, with `-dirty` if changes are not committed; `None` without one.
    pub commit: Option<String>,
    /// The models, as configured here.
    pub models: Vec<ModelRecord>,
    /// The definitions, verbatim.
    pub workloads: Vec<Definition>,
    /// The number of planned cells; `None` if that becomes known only during the run.
    pub planned: Option<usize>,
    /// The overshoot of `thread::sleep` here for a sleep of a millisecond. The kernel may add its timer slack to such a
    /// sleep, so a model with its own timer may be less late.
    pub timer_floor: Option<Distribution>,
}

/// A model, as `paceline models` shows it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ModelRecord {
    /// Its name.
    pub name: String,
    /// The model's family.
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
    /// Why it cannot run here.
    pub reason: Option<String>,
    /// A known defect that may make its cells fail through no fault of the job or the machine.
    pub unreliable: Option<String>,
    /// A description, and every setting that is not its crate's default.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Measured; every checksum is right.
    Ok,
    /// Measured, but not what its label says.
    Invalid,
    /// A limit or the model itself excludes it; known before it runs.
    Refused,
    /// It would not have fitted into the budget.
    #[default]
    Skipped,
    /// It could not run to its end.
    Failed,
}

/// A figure of a cell over its trials, one value each: their geometric mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower end of its interval. With fewer than three trials there is no interval, and both ends are the figure.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Run {
    /// Returns whether its processes were pinned to CPUs of their own.
    pub fn is_pinned(&self) -> bool {
        self.settings.get("pin").and_then(serde_json::Value::as_bool).unwrap_or(false)
    }

    /// Returns whether `paceline run --resume` can go on with it. Advice is measured in trials as well, but cannot be
    /// resumed.
    pub fn can_be_resumed(&self) -> bool {
        self.instrument == "trials" && self.command.get(1).is_some_and(|word| word == "run")
    }
}

impl Estimate {
    /// Returns a figure without an interval.
    pub fn exactly(value: f64) -> Self {
        Estimate { value, lower: value, upper: value }
    }

    /// Estimates a figure from `trials`, one value each; `resolution` is that of the clock, in the unit of the values.
    /// `None` without trials, or if one is not finite.
    pub fn of_trials(trials: &[f64], resolution: f64) -> Option<Self> {
        let (value, lower, upper) = estimate(trials, resolution)?;
        Some(Estimate { value, lower, upper })
    }

    /// Describes such an interval for a cell.
    pub fn interval_of(trials: usize) -> String {
        let of = counted(trials, "trial");
        match trials {
            ..FEWEST_TRIALS => format!("none: {of}, too few for an interval"),
            _ => format!("95 %, of the geometric mean of {of}, by Student's t"),
        }
    }

    /// Returns its interval, if it has one.
    pub fn interval(self) -> Option<(f64, f64)> {
        let known = self.lower.is_finite() && self.upper.is_finite() && self.lower < self.upper;
        known.then_some((self.lower, self.upper))
    }

    /// Returns half of its interval, in percent of the figure.
    pub fn half_percent(self) -> Option<f64> {
        self.interval().map(|(lower, upper)| (upper - lower) / 2.0 / self.value * 100.0)
    }

    /// Converts nanoseconds a batch of `jobs` to jobs a second.
    #[must_use]
    pub fn per_second(self, jobs: usize) -> Self {
        let rate = |ns: f64| inverse(ns, jobs);
        Estimate { value: rate(self.value), lower: rate(self.upper), upper: rate(self.lower) }
    }
}

/// Converts nanoseconds that `jobs` take to jobs a second, or jobs a second to the nanoseconds that `jobs` take. Returns
/// NaN unless both are finite and positive.
pub(crate) fn inverse(figure: f64, jobs: usize) -> f64 {
    let found = jobs as f64 * 1e9 / figure;
    if figure.is_finite() && found.is_finite() && found > 0.0 { found } else { f64::NAN }
}

/// A cell that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Name of the workload.
    pub workload: String,
    /// Name of the model.
    pub model: String,
    /// The number of jobs in a batch.
    pub scale: usize,
    /// The model's workers; `None` for a thread per job.
    pub workers: Option<usize>,
    /// Where its batches were submitted from.
    pub placement: Placement,
    /// How it ended.
    pub state: State,
    /// The reason, unless it is `ok`.
    pub reason: Option<String>,
    /// The time that its trials were predicted to take at least, in nanoseconds; only if it was skipped for want of it.
    pub predicted_ns: Option<u64>,
    /// Jobs a second.
    pub jobs_per_second: Option<Estimate>,
    /// Nanoseconds a batch, over the medians of trials.
    pub batch_ns: Option<Estimate>,
    /// How the intervals are computed.
    pub interval: Option<String>,
    /// The minimum wait of its jobs by their definition, in nanoseconds.
    pub floor_ns: u64,
    /// Upper bound of the jobs a second of any model, by the waits, the maximum concurrency and this machine's cores.
    /// `None` too if the cell exceeded it, even in a single trial: the figure then refutes the bound.
    pub bound_jobs_per_second: Option<f64>,
    /// Median time of a batch in each trial, in nanoseconds, in the order of the passes.
    pub trials_ns: Vec<u64>,
    /// The other figures of each trial.
    #[serde(default)]
    pub per_trial: PerTrial,
    /// What the warm-up of its last trial showed of it, with the most jobs in flight of all trials.
    pub attest: Option<Attestation>,
    /// CPU time of the model's process per job, over all threads, with the check of checksums: the estimate of the trials,
    /// or under load that of all answers of all trials.
    pub cpu_ns_per_job: Option<f64>,
    /// CPU time of the suite's server per job.
    pub server_cpu_ns_per_job: Option<f64>,
    /// The share of the batches' time in which the busiest thread of the suite's server was on a CPU, in the process
    /// where it was greatest; `None` if no job connects. See [`Cell::is_server_bound`].
    pub server_busy_share_max: Option<f64>,
    /// From when each job was due until it had its checksum, over all trials. Its percentiles are over all jobs.
    pub latency: Option<Distribution>,
    /// The median latency of a trial, which tables call p50.
    pub latency_ns_p50: Option<Estimate>,
    /// The 99th percentile of a trial, which tables call p99. `None` if a trial has fewer than 1 000 latencies.
    pub latency_ns_p99: Option<Estimate>,
    /// From when each job began until it had its checksum: latency without the time before.
    pub service_time: Option<Distribution>,
    /// Timer overshoot of each sleep.
    pub timer_lateness: Option<Distribution>,
    /// The two modes of the times of batches, or of the median latencies of a load's intervals or trials, if there are
    /// two: then no single figure represents them.
    pub modes: Option<[Mode; 2]>,
    /// Its use of the machine's resources.
    pub resources: Option<Resources>,
    /// The load, if the cell is a server under load: the scale is then the number of connections, and jobs are
    /// requests.
    pub load: Option<LoadFigures>,
    /// The nodes that its trials ran on, in the order of the passes, if a cluster measured it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// A cell's use of the machine's resources, by its model's process alone unless stated otherwise. `None` if the system
/// does not show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Resident memory of a fresh process with its model started, before the first batch; the median over processes.
    pub rss_bytes: Option<u64>,
    /// Peak resident memory that the first batch added, with the checksums; the median over processes. Bytes per job
    /// are its slope over scales.
    pub rss_bytes_added: Option<u64>,
    /// Peak resident memory in the first batch of a trial.
    pub rss_bytes_max: Option<Estimate>,
    /// CPU time per job in user mode, over all jobs of all trials.
    pub user_cpu_ns_per_job: f64,
    /// CPU time per job in the kernel, over all jobs of all trials.
    pub system_cpu_ns_per_job: f64,
    /// CPU time of the started model without jobs, as a share of one CPU.
    pub idle_cpu_share: Option<f64>,
    /// Context switches per job because a thread waited.
    pub voluntary_switches_per_job: f64,
    /// Context switches per job because another thread was given the CPU.
    pub involuntary_switches_per_job: f64,
    /// Page faults per job that needed no disk.
    pub minor_faults_per_job: f64,
    /// Page faults per job that needed the disk.
    pub major_faults_per_job: f64,
    /// Threads of the process at the end of the first batch.
    pub threads: Option<u64>,
    /// The share of all CPUs' time that the hypervisor gave to others during the batches.
    pub steal_share: Option<f64>,
    /// The share of the time in which a task of the machine waited for a CPU.
    pub cpu_pressure_share: Option<f64>,
}

/// A trial: the results of one fresh process of a cell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Trial {
    /// The cell's workload.
    pub workload: String,
    /// The cell's model.
    pub model: String,
    /// The cell's scale.
    pub scale: usize,
    /// The cell's workers.
    pub workers: Option<usize>,
    /// Where its batches were submitted from.
    pub placement: Placement,
    /// The pass in which it ran, from 0.
    pub trial: u32,
    /// The times of the batches, in nanoseconds.
    pub times_ns: Vec<u64>,
    /// What the first batch showed of the cell.
    pub attest: Attestation,
    /// The resources that the batches used.
    pub used: Usage,
    /// CPU time of the echo server during the batches.
    pub server_cpu_ns: u64,
    /// CPU time of the server's busiest thread over the time of the batches; `None` if no job connects.
    pub server_busy_share: Option<f64>,
    /// The times of single jobs, from separate batches.
    pub recorded: Recorded,
    /// CPU time of the started model without jobs, and the length of that period, in nanoseconds; in the first trial
    /// only.
    pub idle_ns: Option<(u64, u64)>,
    /// The machine's activity during the trial.
    pub host_activity: HostActivity,
    /// The node that it ran on, if a cluster measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Resources {
    /// Computes the resources per job from those of `jobs` jobs and the machine's activity; the rest is unknown.
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

    /// Returns CPU time per job, user and system mode together. Not every system counts that of other processes.
    pub fn cpu_ns_per_job(&self) -> Option<f64> {
        Some(self.user_cpu_ns_per_job + self.system_cpu_ns_per_job).filter(|ns| *ns > 0.0)
    }
}

impl Cell {
    /// Returns whether the cell should have a figure and has none: the command then ends with exit code 3.
    pub fn is_wrong(&self) -> bool {
        matches!(self.state, State::Failed | State::Invalid)
    }

    /// Returns a cell without figures.
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
            ..Cell::default()
        }
    }
}
