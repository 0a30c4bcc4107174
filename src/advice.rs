//! Advice on which model to use for a job, by scale: a pure function of measured cells. `report` turns it into words.
//!
//! There is no combined score. Throughput, p99 latency and memory are ranked separately. If no model keeps up in both
//! throughput and p99, two are recommended and the choice is left to you.

mod choose;
mod part;
mod rank;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    record::{Cell, Estimate, State, are_loads, bytes_per_job},
    stats::{Mode, over_nodes},
};
use paceline_core::perform::Placement;

pub use choose::{Simplicity, caveat, is_discontinued, simplicity};

/// A model that is significantly less than this share behind the best keeps up with it: so small a difference does not
/// justify a more complicated program, even if it is certain.
pub const MARGIN: f64 = 0.05;

/// The beginning of the reason for cells that were submitted from elsewhere than the ranked ones.
pub(crate) const APART: &str = "offered from";

/// The advice from the cells of one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// Name of the workload.
    pub workload: String,
    /// [`MARGIN`].
    pub margin: f64,
    /// Each scale, ascending.
    pub scales: Vec<AtScale>,
    /// The scales at which the best model changes.
    pub crossings: Vec<Crossing>,
    /// The cells without a figure, and why.
    pub broke: Vec<Broke>,
    /// Memory per job, if enough scales were measured.
    pub bytes_per_job: Vec<BytesPerJob>,
    /// The simplest model that keeps up at every scale with a ranking; `None` if there is none.
    pub everywhere: Option<Series>,
    /// The share of the time in which a task of the machine waited for a CPU while `sequential` ran, which needs one
    /// CPU: over all scales, each weighted by the time of its trials' batches. It shows other load; `None` if
    /// `sequential` was not measured.
    pub other_load_share: Option<f64>,
    /// Whether the cells are servers under load, so that a scale is the number of connections. Not printed.
    #[serde(skip)]
    pub of_loads: bool,
}

/// A model with its workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Name of the model.
    pub model: String,
    /// Its workers; `None` for a thread per job.
    pub workers: Option<usize>,
}

impl Series {
    fn of(cell: &Cell) -> Self {
        Series { model: cell.model.clone(), workers: cell.workers }
    }
}

/// What models are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Jobs a second: higher is better.
    Throughput,
    /// The 99th percentile of latency, from when each job was due, in nanoseconds: lower is better. Ranked only if
    /// every trial of every ranked model has 1 000 latencies.
    P99,
    /// Peak resident memory of the model's process in its first batch, in bytes: lower is better.
    Memory,
}

/// The advice at one scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtScale {
    /// The number of jobs in a batch.
    pub scale: usize,
    /// The minimum wait of its jobs by their definition, in nanoseconds.
    pub floor_ns: u64,
    /// Why nothing is ranked, and so nothing recommended; `None` if there is a ranking.
    pub unranked: Option<Unranked>,
    /// The number of trials of the intervals: the fewest over all ranked models.
    pub trials: Option<usize>,
    /// The number of paired differences by which models are ranked: as many as trials, or as nodes if there are three
    /// and more.
    #[serde(default)]
    pub pairs: Option<usize>,
    /// Jobs a second; best first.
    pub throughput: Vec<Figure>,
    /// p99 latency; best first.
    pub p99: Vec<Figure>,
    /// Memory; best first.
    pub memory: Vec<Figure>,
    /// The models that keep up with the best in throughput and, if it is ranked, in p99; simplest first.
    pub keeping_up: Vec<Series>,
    /// One model for both throughput and p99, or one for each if none keeps up in both.
    pub recommended: Vec<Recommended>,
    /// The models without a single representative figure: their times fall into two modes.
    pub bimodal: Vec<Bimodal>,
    /// Timer overshoot of each model, if its jobs sleep.
    pub timers: Vec<Timer>,
    /// The models without a figure that could be ranked.
    pub without: Vec<Without>,
}

/// Why nothing is ranked at a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unranked {
    /// Its jobs wait for less than [`SHORTEST_RANKED_NS`](crate::record::SHORTEST_RANKED_NS): timers would be ranked.
    ShortWaits,
    /// The nodes of the load were one machine; see [`Cell::is_shared_host`].
    SharedHost,
    /// The suite's server limited every model; see [`Cell::is_server_bound`].
    ServerBound,
    /// No model was measured in three trials, the fewest with an interval.
    TooFewTrials,
    /// Only one model has a figure that can be ranked, so there is nothing to compare.
    Alone,
    /// All figures are of jobs offered from elsewhere than those that are ranked at the other scales.
    OtherPlacement,
    /// Servers under load: at least one has errors, or was given its rate and has no p99 latency of its own.
    GivenRate,
    /// No model has a figure.
    NoFigure,
}

/// A figure of a model, and its standing relative to the best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// The model.
    #[serde(flatten)]
    pub series: Series,
    /// The mean of its trials with its 95 % interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Its standing.
    pub standing: Standing,
    /// The greatest share by which it is behind the best model that may be recommended: the upper end of the 95 %
    /// interval of the difference, pass by pass. `None` if it is not ranked.
    pub at_most: Option<f64>,
}

/// The standing of a figure relative to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its figure is the best.
    Best,
    /// No paired test over the passes shows that it is behind the best.
    Tied,
    /// A paired test shows it, at 5 % with Holm's correction over all models.
    Behind,
    /// It is not ranked.
    Unranked,
}

/// A recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommended {
    /// The recommended model.
    #[serde(flatten)]
    pub series: Series,
    /// The measures it is recommended for: `throughput` and `p99` both, or one of them.
    pub by: Vec<Measure>,
    /// How far it is behind the best model that may be recommended, in each measure in which it is not the best itself;
    /// and how far it is significantly behind a discontinued one.
    pub gaps: Vec<Gap>,
    /// Whether its times fall into two modes, so that no single figure represents it.
    pub bimodal: bool,
    /// A caveat about the model.
    pub caveat: Option<String>,
}

/// How far a model is behind the best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The measure.
    pub by: Measure,
    /// The best model.
    pub best: Series,
    /// The share of the best model's figure.
    pub share: f64,
    /// The greatest share with 95 % confidence; `None` if the best is discontinued.
    pub at_most: Option<f64>,
}

/// A cell whose times fall into two modes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bimodal {
    /// The model.
    #[serde(flatten)]
    pub series: Series,
    /// The modes of a batch.
    pub modes: [Mode; 2],
}

/// The timer overshoot of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    /// The model.
    #[serde(flatten)]
    pub series: Series,
    /// Median timer overshoot, in nanoseconds.
    pub late_ns_p50: u64,
    /// The same times the sleeps of a job, as if it slept one after another: what they may add to its wait, in
    /// nanoseconds.
    #[serde(default)]
    pub late_ns_per_job: u64,
}

/// A cell that could not be ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Without {
    /// The model.
    #[serde(flatten)]
    pub series: Series,
    /// How it ended.
    pub state: State,
    /// The reason.
    pub reason: String,
}

/// A change of the best model between two neighbouring scales with a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// The measure: `throughput` or `p99`.
    pub by: Measure,
    /// The models that were the best or tied at every scale since the previous crossing.
    pub ahead: Vec<Series>,
    /// The last scale at which they were.
    pub up_to: usize,
    /// The models that are the best or tied at every scale from `from` to the next crossing.
    pub then: Vec<Series>,
    /// The first scale at which they are.
    pub from: usize,
    /// Whether one of `ahead` was measured there and is behind. Otherwise they have no figure there.
    pub overtaken: bool,
}

/// A series without a figure at some scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Broke {
    /// The model.
    #[serde(flatten)]
    pub series: Series,
    /// How its cells ended there.
    pub state: State,
    /// These scales.
    pub scales: Vec<usize>,
    /// The reason at the first of them.
    pub reason: String,
    /// The greatest scale with a figure; `None` without one.
    pub went_to: Option<usize>,
}

/// Memory per job of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BytesPerJob {
    /// The model.
    #[serde(flatten)]
    pub series: Series,
    /// The slope of memory over scales.
    pub bytes: f64,
}

/// Returns the advice from the cells of the first one's workload. Cells of other workloads are left out.
pub fn advise(cells: &[Cell]) -> Advice {
    let workload = cells.first().map(|cell| cell.workload.clone()).unwrap_or_default();
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.workload == workload).collect();
    let mut numbers: Vec<usize> = cells.iter().map(|cell| cell.scale).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let of_scale = |scale: usize| -> Vec<&Cell> {
        cells.iter().copied().filter(|cell| cell.scale == scale).collect()
    };
    let class = rank::class_of_most(&cells);
    let scales: Vec<AtScale> =
        numbers.into_iter().map(|scale| at_scale(scale, &of_scale(scale), class)).collect();
    let mut crossings = part::crossings(&scales, Measure::Throughput);
    crossings.extend(part::crossings(&scales, Measure::P99));
    let (broke, bytes_per_job) = (part::broke(&cells), bytes(&cells));
    Advice {
        workload,
        margin: MARGIN,
        crossings,
        broke,
        bytes_per_job,
        everywhere: choose::everywhere(&scales),
        other_load_share: other_load(&cells),
        of_loads: are_loads(&cells),
        scales,
    }
}

fn at_scale(scale: usize, cells: &[&Cell], class: Placement) -> AtScale {
    let measured: Vec<&Cell> =
        cells.iter().copied().filter(|cell| cell.state == State::Ok).collect();
    let (ranked, unranked) = match rank::ranked(&measured, class) {
        Ok(ranked) => (ranked, None),
        Err(why) => (vec![], Some(why)),
    };
    // Where nothing could be ranked in any class, the class is not why.
    let compared =
        matches!(unranked, None | Some(Unranked::Alone | Unranked::GivenRate)).then_some(class);
    let mut at = AtScale {
        scale,
        floor_ns: cells.iter().map(|cell| cell.floor_ns).max().unwrap_or(0),
        unranked,
        trials: ranked.iter().map(|cell| cell.trials()).min(),
        pairs: ranked.iter().map(|cell| over_nodes(&cell.rates(), &cell.nodes).len()).min(),
        throughput: rank::figures(&measured, Measure::Throughput, &ranked),
        p99: rank::figures(&measured, Measure::P99, &ranked),
        memory: rank::figures(&measured, Measure::Memory, &ranked),
        keeping_up: vec![],
        recommended: vec![],
        timers: measured.iter().filter_map(|cell| timer(cell)).collect(),
        bimodal: measured
            .iter()
            .filter_map(|cell| Some(Bimodal { series: Series::of(cell), modes: cell.modes? }))
            .collect(),
        without: cells.iter().filter_map(|cell| rank::without(cell, compared)).collect(),
    };
    choose::choose(&mut at);
    at
}

fn timer(cell: &Cell) -> Option<Timer> {
    /// With fewer sleeps the median is that of chance.
    const FEWEST: u64 = 20;
    let lateness = cell.timer_lateness.as_ref().filter(|late| late.count >= FEWEST)?;
    let late_ns_p50 = lateness.ns_p50;
    // Both counts come from the same batches. Without latencies, as in records of `cargo bench`, a job counts as one sleep.
    let jobs = cell.latency.as_ref().map_or(lateness.count, |latency| latency.count);
    let sleeps = (lateness.count as f64 / jobs.max(1) as f64).max(1.0);
    let late_ns_per_job = (late_ns_p50 as f64 * sleeps).round() as u64;
    Some(Timer { series: Series::of(cell), late_ns_p50, late_ns_per_job })
}

fn other_load(cells: &[&Cell]) -> Option<f64> {
    let alone = cells.iter().filter(|cell| cell.model == "sequential");
    // The kernel counts in steps of 4 ms: a short batch has none, or several percent.
    let shares = alone.filter_map(|cell| {
        let time = cell.trials_ns.iter().sum::<u64>().max(1) as f64;
        Some((time, cell.resources?.cpu_pressure_share?))
    });
    let (waited, time) =
        shares.fold((0.0, 0.0), |sum, (time, share)| (sum.0 + time * share, sum.1 + time));
    (time > 0.0).then(|| waited / time)
}

fn bytes(cells: &[&Cell]) -> Vec<BytesPerJob> {
    let slope = |series: Series| {
        let of = |cell: &&&Cell| Series::of(cell) == series && cell.state == State::Ok;
        let of: Vec<&Cell> = cells.iter().filter(of).copied().collect();
        bytes_per_job(&of).map(|bytes| BytesPerJob { series, bytes })
    };
    part::all_series(cells).into_iter().filter_map(slope).collect()
}
