//! What to take for a job, and from which scale on: a pure function of measured cells. The words for it are `report`'s.
//!
//! There is no score here. Throughput, p99 latency and memory are ranked apart, and where one model does not keep up in
//! throughput and in p99 both, two are recommended and the choice is left to the reader.

mod choose;
mod part;
mod rank;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    record::{Cell, Estimate, State, bytes_per_job},
    stats::Mode,
};

pub use choose::{Simplicity, caveat, is_discontinued, simplicity};

/// A model that is surely less than this share behind the best keeps up with it: so small a difference is not worth a
/// more complicated program, be it ever so certain.
pub const MARGIN: f64 = 0.05;

/// How the reason begins of cells that were offered from elsewhere than those that are ranked.
pub(crate) const APART: &str = "offered from";

/// What the cells of one workload say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The workload's name.
    pub workload: String,
    /// [`MARGIN`].
    pub margin: f64,
    /// Each scale, ascending.
    pub scales: Vec<AtScale>,
    /// Where the best changes hands.
    pub crossings: Vec<Crossing>,
    /// What has no figure at some scale, and why.
    pub broke: Vec<Broke>,
    /// What a job adds to memory, where enough scales were measured to tell.
    pub bytes_per_job: Vec<BytesPerJob>,
    /// The simplest model that keeps up at every scale with a ranking; `None` where there is none.
    pub everywhere: Option<Series>,
    /// The share of the time in which some task of the machine waited for a CPU while `sequential` ran, which needs one:
    /// the greatest of all scales. It is what others took; `None` where `sequential` was not measured.
    pub other_load_share: Option<f64>,
}

/// A model, with its workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// The model's name.
    pub model: String,
    /// Its workers; `None` for a thread per job.
    pub workers: Option<usize>,
}

impl Series {
    fn of(cell: &Cell) -> Self {
        Series { model: cell.model.clone(), workers: cell.workers }
    }
}

/// What is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Jobs a second: more is better.
    Throughput,
    /// The 99th percentile of latency, from when each job was due, in nanoseconds: less is better. Ranked only where
    /// every trial of every ranked model has 1 000 latencies.
    P99,
    /// The most memory of the model's process that was resident in its first batch, in bytes: less is better.
    Memory,
}

/// One scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtScale {
    /// How many jobs were offered at once.
    pub scale: usize,
    /// How long its jobs wait at least, by their definition, in nanoseconds.
    pub floor_ns: u64,
    /// Why nothing is ranked, and so nothing recommended; `None` where there is a ranking.
    pub unranked: Option<Unranked>,
    /// How many trials the intervals are of: the fewest of all that are ranked.
    pub trials: Option<usize>,
    /// Jobs a second; the best first.
    pub throughput: Vec<Figure>,
    /// p99 latency; the best first.
    pub p99: Vec<Figure>,
    /// Memory; the best first.
    pub memory: Vec<Figure>,
    /// Those that keep up with the best in throughput and, where that is ranked, in p99; the simplest first.
    pub keeping_up: Vec<Series>,
    /// One for throughput and p99 both; or one for each, where none keeps up in both.
    pub recommended: Vec<Recommended>,
    /// Whose figures stand for nothing: their trials fall into two modes.
    pub bimodal: Vec<Bimodal>,
    /// How late the timers of each were, where its jobs sleep.
    pub timers: Vec<Timer>,
    /// Those without a figure that could be ranked.
    pub without: Vec<Without>,
}

/// Why nothing is ranked at a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unranked {
    /// Its jobs wait for less than [`SHORTEST_RANKED_NS`](crate::record::SHORTEST_RANKED_NS): timers would be ranked.
    ShortWaits,
    /// No model was measured in three trials, and fewer have no interval.
    TooFewTrials,
    /// Only one model has a figure that can be ranked: there is nothing to compare it with.
    Alone,
    /// No model has a figure.
    NoFigure,
}

/// A figure of a model, and how it stands to the best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Whose it is.
    #[serde(flatten)]
    pub series: Series,
    /// The mean of its trials with its 95 % interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// How it stands.
    pub standing: Standing,
    /// By what share it is behind the best of those that may be recommended, at most: the upper end of the 95 % interval
    /// of the difference, pass by pass. `None` where it is not ranked.
    pub at_most: Option<f64>,
}

/// How a figure stands to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its figure is the best.
    Best,
    /// No paired test over the passes tells it to be behind the best.
    Tied,
    /// A paired test does, at 5 % by Holm over all models.
    Behind,
    /// It is not ranked.
    Unranked,
}

/// A recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommended {
    /// What to take.
    #[serde(flatten)]
    pub series: Series,
    /// For what: `throughput` and `p99` both, or one of them.
    pub by: Vec<Measure>,
    /// How far it is behind the best of those that may be recommended, in each of them in which it is not that itself;
    /// and how far it is surely behind one that is discontinued.
    pub gaps: Vec<Gap>,
    /// Whether its trials fall into two modes, so that no single figure stands for it.
    pub bimodal: bool,
    /// What to know of the model before it is taken.
    pub caveat: Option<String>,
}

/// How far a model is behind the best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// In what.
    pub by: Measure,
    /// Behind which.
    pub best: Series,
    /// By what share of the best one's figure.
    pub share: f64,
    /// By what share at most, with 95 % confidence; `None` where the best is discontinued.
    pub at_most: Option<f64>,
}

/// A cell whose trials fall into two modes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bimodal {
    /// Whose it is.
    #[serde(flatten)]
    pub series: Series,
    /// The modes of a batch.
    pub modes: [Mode; 2],
}

/// How late the timers of a model were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    /// Of which.
    #[serde(flatten)]
    pub series: Series,
    /// How much longer than it was told to the median sleep lasted, in nanoseconds.
    pub late_ns_p50: u64,
}

/// A cell that could not be ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Without {
    /// Whose it is.
    #[serde(flatten)]
    pub series: Series,
    /// How it ended.
    pub state: State,
    /// Why it has none.
    pub reason: String,
}

/// Where the best changes hands between two neighbouring scales that have a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// By `throughput` or `p99`.
    pub by: Measure,
    /// Each of these was the best, or not told from it, at every scale from the crossing before on.
    pub ahead: Vec<Series>,
    /// The last scale at which they were.
    pub up_to: usize,
    /// Each of these is the best, or not told from it, at every scale from `from` on to the next crossing.
    pub then: Vec<Series>,
    /// The first scale at which they are.
    pub from: usize,
    /// Whether one of those that were ahead was measured there and is behind. Otherwise they have no figure there.
    pub overtaken: bool,
}

/// A series that has no figure at some scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Broke {
    /// Which.
    #[serde(flatten)]
    pub series: Series,
    /// How its cells ended there.
    pub state: State,
    /// At these scales.
    pub scales: Vec<usize>,
    /// Why, at the first of them.
    pub reason: String,
    /// The greatest scale that has a figure; `None` where none has.
    pub went_to: Option<usize>,
}

/// What a job adds to memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BytesPerJob {
    /// On what.
    #[serde(flatten)]
    pub series: Series,
    /// The slope of memory over scales.
    pub bytes: f64,
}

/// What the cells of one workload say. Those of others than the first one's are left out.
#[must_use]
pub fn advise(cells: &[Cell]) -> Advice {
    let workload = cells.first().map(|cell| cell.workload.clone()).unwrap_or_default();
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.workload == workload).collect();
    let mut numbers: Vec<usize> = cells.iter().map(|cell| cell.scale).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let of_scale = |scale: usize| -> Vec<&Cell> {
        cells.iter().copied().filter(|cell| cell.scale == scale).collect()
    };
    let scales: Vec<AtScale> =
        numbers.into_iter().map(|scale| at_scale(scale, &of_scale(scale))).collect();
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
        scales,
    }
}

fn at_scale(scale: usize, cells: &[&Cell]) -> AtScale {
    let measured: Vec<&Cell> =
        cells.iter().copied().filter(|cell| cell.state == State::Ok).collect();
    let (ranked, unranked) = match rank::ranked(&measured) {
        Ok(ranked) => (ranked, None),
        Err(why) => (vec![], Some(why)),
    };
    let mut at = AtScale {
        scale,
        floor_ns: cells.iter().map(|cell| cell.floor_ns).max().unwrap_or(0),
        unranked,
        trials: ranked.iter().map(|cell| cell.trials()).min(),
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
        without: cells.iter().filter_map(|cell| rank::without(cell, &ranked)).collect(),
    };
    choose::choose(&mut at);
    at
}

fn timer(cell: &Cell) -> Option<Timer> {
    let late_ns_p50 = cell.timer_lateness.as_ref()?.ns_p50;
    Some(Timer { series: Series::of(cell), late_ns_p50 })
}

fn other_load(cells: &[&Cell]) -> Option<f64> {
    let alone = cells.iter().filter(|cell| cell.model == "sequential");
    let shares = alone.filter_map(|cell| cell.resources?.cpu_pressure_share);
    shares.max_by(f64::total_cmp)
}

fn bytes(cells: &[&Cell]) -> Vec<BytesPerJob> {
    let slope = |series: Series| {
        let of = |cell: &&&Cell| Series::of(cell) == series && cell.state == State::Ok;
        let of: Vec<&Cell> = cells.iter().filter(of).copied().collect();
        bytes_per_job(&of).map(|bytes| BytesPerJob { series, bytes })
    };
    part::all_series(cells).into_iter().filter_map(slope).collect()
}
