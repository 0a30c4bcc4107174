//! Chooses the model to recommend at a scale: the simplest that keeps up.

use super::{AtScale, Figure, Gap, MARGIN, Measure, Recommended, Series};
use paceline_core::{
    models::{self, Entry, Family, MODELS, Tag, Width},
    perform::Placement,
};

/// The effort that a model demands of those who write and maintain the program: less is simpler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Simplicity(u8, usize);

/// Returns how simple `model` is. In this order, and within each kind in the order of `paceline models`:
///
/// 1. `sequential`, `threads`, `pool`, `rayon`: plain functions, called, debugged and profiled like any other code;
/// 2. an async runtime on one thread (`tokio-current-thread`): futures, and code that must not block them, but nothing
///    that moves between threads;
/// 3. an async runtime on several threads (`tokio`, `smol`): what futures hold must be `Send` too;
/// 4. two runtimes side by side (`tokio+rayon`);
/// 5. a runtime for each core (`tokio-per-core`): the program itself has to spread its jobs over the cores;
/// 6. `io_uring`: the same, with buffers passed to the kernel, a system that permits it, and few compatible libraries;
/// 7. stackful coroutines (`may`): stacks of a fixed size, and thread locals that change under the code;
/// 8. what is discontinued (`async-std`);
/// 9. another language.
///
/// This is a judgement, not a measurement. It decides only among models that the figures do not separate.
pub fn simplicity(model: &str) -> Simplicity {
    let place = MODELS.iter().position(|entry| entry.info.name == model);
    let Some(place) = place else { return Simplicity(u8::MAX, usize::MAX) };
    Simplicity(kind(&MODELS[place]), place)
}

/// Derived from each model's description, so that a new model needs no line here.
fn kind(entry: &Entry) -> u8 {
    let info = &entry.info;
    match info.family {
        _ if info.tag == Tag::Historical => 8,
        Family::Threads => 1,
        Family::Async if info.width == Width::One => 2,
        Family::Async if info.placements[0] == Placement::Dealt => 5,
        Family::Async if info.name.contains('+') => 4,
        Family::Async => 3,
        Family::IoUring => 6,
        Family::Coroutines => 7,
        Family::OutOfProcess => 9,
    }
}

/// Returns whether the model is discontinued, and so never recommended.
pub fn is_discontinued(model: &str) -> bool {
    models::find(model).is_ok_and(|entry| entry.info.tag == Tag::Historical)
}

/// Returns a caveat about the model.
pub fn caveat(model: &str) -> Option<&'static str> {
    match models::find(model).ok()?.info.family {
        Family::Coroutines => Some(
            "its stacks are small and of a fixed size, and in optimised builds a coroutine that moved to another thread \
             now and then reads an error of its former one, and its connection fails",
        ),
        Family::IoUring => {
            Some("it needs a Linux that permits io_uring, which many containers do not")
        }
        Family::Threads | Family::Async | Family::OutOfProcess => None,
    }
}

/// Sets the models that keep up at this scale, and those recommended.
///
/// A model keeps up if it is significantly less than [`MARGIN`] behind the best: a tie alone is not enough. The best is
/// among models that may be recommended: discontinued ones do not set the standard. Memory is ranked and shown but does
/// not decide: the least is nearly always `sequential`, however long it takes.
pub(super) fn choose(at: &mut AtScale) {
    let by_throughput = keeping_up(&at.throughput);
    let by_p99 = keeping_up(&at.p99);
    let both = [Measure::Throughput, Measure::P99];
    // Where only one of both is ranked, it alone decides.
    let alone = match (&by_throughput[..], &by_p99[..]) {
        (_, []) => Some((&by_throughput, &both[..1])),
        ([], _) => Some((&by_p99, &both[1..])),
        _ => None,
    };
    if let Some((kept, by)) = alone {
        at.recommended = recommend(at, kept, by);
        at.keeping_up.clone_from(kept);
        return;
    }
    at.keeping_up = by_throughput.iter().filter(|one| by_p99.contains(one)).cloned().collect();
    at.recommended = if at.keeping_up.is_empty() {
        let mut each = recommend(at, &by_throughput, &both[..1]);
        each.extend(recommend(at, &by_p99, &both[1..]));
        each
    } else {
        recommend(at, &at.keeping_up, &both)
    };
}

/// Returns the models that keep up, simplest first.
fn keeping_up(figures: &[Figure]) -> Vec<Series> {
    let keeps_up = |figure: &&Figure| {
        figure.at_most.is_some_and(|at_most| at_most < MARGIN)
            && !is_discontinued(&figure.series.model)
    };
    let mut kept: Vec<Series> =
        figures.iter().filter(keeps_up).map(|figure| figure.series.clone()).collect();
    kept.sort_by_key(|series| (simplicity(&series.model), series.workers));
    kept
}

/// Recommends the first of `kept`, which is the simplest.
fn recommend(at: &AtScale, kept: &[Series], by: &[Measure]) -> Vec<Recommended> {
    let recommended = |series: &Series| Recommended {
        series: series.clone(),
        by: by.to_vec(),
        gaps: by.iter().flat_map(|by| gaps(at.figures(*by), *by, series)).collect(),
        bimodal: at.bimodal.iter().any(|bimodal| bimodal.series == *series),
        caveat: caveat(&series.model).map(str::to_owned),
    };
    kept.first().map(recommended).into_iter().collect()
}

fn gaps(figures: &[Figure], by: Measure, series: &Series) -> Vec<Gap> {
    let Some(own) = figures.iter().find(|figure| figure.series == *series) else { return vec![] };
    let gap = |best: &Figure, at_most: Option<f64>| Gap {
        by,
        best: best.series.clone(),
        share: by.behind(own.estimate, best.estimate),
        at_most,
    };
    let best = figures.iter().find(|figure| !is_discontinued(&figure.series.model));
    let best = best.filter(|best| best.series != *series).map(|best| gap(best, own.at_most));
    // One that is only tied with it may be far behind, too.
    let ahead = figures.first().filter(|first| is_discontinued(&first.series.model));
    let ahead = ahead.map(|ahead| gap(ahead, None)).filter(|gap| gap.share > 0.0);
    best.into_iter().chain(ahead).collect()
}

/// Returns the simplest model that keeps up at every scale with a ranking.
pub(super) fn everywhere(scales: &[AtScale]) -> Option<Series> {
    let mut ranked = scales.iter().filter(|at| at.unranked.is_none());
    let first = ranked.next()?;
    let rest: Vec<&AtScale> = ranked.collect();
    let kept = |series: &&Series| rest.iter().all(|at| at.keeping_up.contains(series));
    first.keeping_up.iter().find(kept).cloned()
}

impl AtScale {
    /// Returns its figures by this measure.
    pub fn figures(&self, by: Measure) -> &[Figure] {
        match by {
            Measure::Throughput => &self.throughput,
            Measure::P99 => &self.p99,
            Measure::Memory => &self.memory,
        }
    }
}
