//! The effect of concurrency on jobs that only compute.

use std::time::Duration;

use super::{
    Kind,
    experiment::{Evidence, Experiment, Judged, NoFigures, Sample, all},
};
use crate::{machine::cores, record::ClaimVerdict};
use paceline_core::models::Bridge;

const INLINE: &str = "speed-up";
const OFFLOADED: &str = "speed-up through the bridge";
const JOBS: usize = 8;
/// Many short batches, so that at least one runs on a quiet machine.
const BATCHES: u64 = 6;
/// The greatest apparent speed-up on a machine that is not quite quiet.
const NONE: f64 = 1.25;

pub(super) const CPU: Experiment = Experiment {
    name: "cpu",
    sentence: "An event loop gives CPU-bound jobs no speed-up; a process pool, threads without a global lock, and \
               rayon do, behind a loop's bridge too.",
    method: "8 jobs that compute for about 2 ms each: the time of the same language's sequential program over the \
             model's, inline and through its bridge, of 6 batches the shortest; ideal is what 8 jobs of \
             one length allow on its workers, or on the CPUs where those are fewer.",
    slow: true,
    workers: &[Some(1), None],
    measure: |runner| {
        if cores() == 1 {
            let why =
                "this machine has one CPU for it: nothing can be faster than one after another";
            return Err(NoFigures::As(ClaimVerdict::DoesNotApply, why.into()));
        }
        if runner.kind() == Kind::InTurn {
            let why = "it is what the others are compared with";
            return Err(NoFigures::As(ClaimVerdict::DoesNotApply, why.into()));
        }
        let alone = runner.alone();
        let n = runner.rounds_of_compute_on(alone, Duration::from_millis(2))?;
        let inline = format!("name = \"cpu\"\njob = [{{ compute = {n} }}]");
        let base = runner.base(alone, &inline, JOBS, BATCHES)?.as_secs_f64();
        let speed_up = base / runner.time(&inline, JOBS, BATCHES)?.as_secs_f64();
        let mut samples = vec![Sample::new(INLINE, "×", speed_up).ideally(ideal(runner.runners()))];
        if runner.kind() == Kind::Loop {
            let through = format!("name = \"cpu\"\njob = [{{ offload = [{{ compute = {n} }}] }}]");
            let speed_up = base / runner.time(&through, JOBS, BATCHES)?.as_secs_f64();
            let sample = Sample::new(OFFLOADED, "×", speed_up);
            let threads = match runner.entry().info.bridge {
                Bridge::ManyThreads => None,
                Bridge::Workers => runner.workers(),
            };
            samples.push(sample.ideally(ideal(threads)));
        }
        Ok(samples)
    },
    judge,
};

/// Returns the greatest speed-up of 8 jobs of one length on these threads or processes.
fn ideal(runners: Option<usize>) -> f64 {
    greatest(runners.unwrap_or(JOBS).min(cores()).min(JOBS))
}

fn greatest(at_once: usize) -> f64 {
    JOBS as f64 / JOBS.div_ceil(at_once) as f64
}

fn judge(figures: &Evidence<'_>) -> Judged {
    let figure = figures.figures.iter().find(|figure| figure.name == INLINE);
    let ideal = figure.and_then(|figure| figure.ideal).unwrap_or(1.0);
    let half_way = f64::midpoint(1.0, ideal);
    let none = |why| (ClaimVerdict::DoesNotApply, Some(String::from(why)));
    match figures.kind {
        Kind::InTurn => none("it is what the others are compared with"),
        Kind::Loop if figures.at_most(INLINE, NONE) == Some(true) => bridged(figures),
        Kind::Loop if figures.runners != Some(1) => {
            none("its workers are as many loops, each with a CPU: the claim is about one")
        }
        Kind::Loop => {
            all(&[figures.at_most(INLINE, NONE)], "one loop computes several jobs at once")
        }
        _ if figures.one_lock && figures.at_most(INLINE, NONE) == Some(true) => {
            let why = "its threads have a global lock, which one at a time computes under";
            (ClaimVerdict::Holds, Some(why.into()))
        }
        _ if ideal <= 1.0 => none("with one worker there is one CPU for it"),
        _ => all(&[figures.at_least(INLINE, half_way)], "its workers do not compute side by side"),
    }
}

/// For a loop without a speed-up of its own, judges whether offloading gives one.
fn bridged(figures: &Evidence<'_>) -> Judged {
    let figure = figures.figures.iter().find(|figure| figure.name == OFFLOADED);
    let ideal = figure.and_then(|figure| figure.ideal).unwrap_or(1.0);
    if ideal <= 1.0 {
        let why = "its bridge leads to one thread here, so only its loop is judged";
        return (ClaimVerdict::Holds, Some(why.into()));
    }
    if figures.one_lock && figures.at_most(OFFLOADED, NONE) == Some(true) {
        let why = "its bridge leads to threads that share a global lock, which one at a time computes under";
        return (ClaimVerdict::Holds, Some(why.into()));
    }
    let enough = figures.at_least(OFFLOADED, f64::midpoint(1.0, ideal));
    all(&[enough], "what goes over its bridge does not compute side by side")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        claims::experiment::Evidence,
        record::{ClaimFigure, ClaimVerdict::*},
    };

    #[test]
    fn the_ideal_of_eight_jobs_is_what_their_rounds_allow() {
        let hundredths = [1, 2, 3, 4, 5, 6, 7, 8].map(|n| (greatest(n) * 100.0) as u32);
        assert_eq!(hundredths, [100, 200, 266, 400, 400, 400, 400, 800]);
    }

    #[test]
    fn a_loop_must_not_speed_up_and_a_pool_must() {
        let judge_with = |one_lock, kind, ideal: f64, values: [f64; 3]| {
            let figures = [ClaimFigure::new(INLINE, "×", Some(ideal), values.to_vec())];
            let runners = Some(ideal as usize);
            judge(&Evidence { model: "made", kind, runners, one_lock, figures: &figures }).0
        };
        let judge = |kind, ideal, values| judge_with(false, kind, ideal, values);
        assert_eq!(judge_with(true, Kind::Queue, 2.0, [0.98, 1.0, 1.02]), Holds);
        assert_eq!(judge_with(true, Kind::Queue, 2.0, [0.9, 1.0, 1.9]), Inconclusive);
        assert_eq!(judge(Kind::Loop, 1.0, [0.96, 0.98, 1.0]), Holds);
        assert_eq!(judge(Kind::Loop, 2.0, [0.97, 0.98, 0.99]), Holds);
        assert_eq!(judge(Kind::Loop, 1.0, [1.7, 1.8, 1.9]), Contradicted);
        assert_eq!(judge(Kind::Loop, 1.0, [0.9, 1.0, 1.9]), Inconclusive);
        assert_eq!(judge(Kind::Loop, 2.0, [1.7, 1.8, 1.9]), DoesNotApply, "the claim is about one");
        assert_eq!(judge(Kind::Queue, 2.0, [1.7, 1.8, 1.9]), Holds);
        let bridge = |one_lock, ideal, values: [f64; 3]| {
            let inline = ClaimFigure::new(INLINE, "×", Some(1.0), vec![0.97, 0.98, 0.99]);
            let figures = [inline, ClaimFigure::new(OFFLOADED, "×", ideal, values.to_vec())];
            let (kind, model) = (Kind::Loop, "made");
            super::judge(&Evidence { model, kind, runners: Some(1), one_lock, figures: &figures }).0
        };
        assert_eq!(bridge(false, Some(2.0), [1.85, 1.9, 1.95]), Holds);
        assert_eq!(bridge(false, Some(2.0), [0.97, 0.98, 0.99]), Contradicted);
        assert_eq!(bridge(true, Some(2.0), [0.97, 0.98, 0.99]), Holds);
        assert_eq!(bridge(false, Some(1.0), [0.97, 0.98, 0.99]), Holds, "a bridge to one thread");
        assert_eq!(judge(Kind::Threads, 2.0, [0.9, 1.0, 1.1]), Contradicted);
        assert_eq!(judge(Kind::Threads, 2.0, [1.2, 1.8, 1.9]), Inconclusive);
        assert_eq!(judge(Kind::Queue, 1.0, [1.0; 3]), DoesNotApply);
        assert_eq!(judge(Kind::InTurn, 1.0, [1.0; 3]), DoesNotApply);
    }
}
