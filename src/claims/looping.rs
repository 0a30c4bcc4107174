//! The effect of a job that does not await on the other jobs of its loop, and how offloading to threads avoids it.

use std::time::Duration;

use super::{
    Kind,
    experiment::{Evidence, Experiment, Judged, NoFigures, Sample, all, noted},
    runner::ClaimRunner,
};
use crate::record::ClaimVerdict;

const WITHOUT: &str = "under way at once, no await";
const WITH: &str = "with an await between";
const JOBS: usize = 4;

pub(super) const COOPERATIVE: Experiment = Experiment {
    name: "cooperative",
    sentence: "Jobs are cooperative: between two awaits nothing else runs on the same loop.",
    method: "4 jobs at once that compute for about 2 ms, and 4 that do so twice with a sleep of 1 ms between, in watched \
             batches: how many had begun and not ended at once.",
    slow: false,
    workers: &[Some(1), Some(2)],
    measure: |runner| {
        let n = runner.rounds_of_compute(Duration::from_millis(2))?;
        let without = runner.attest(&format!("name = \"c\"\njob = [{{ compute = {n} }}]"), JOBS)?;
        let with = format!(
            "name = \"c\"\njob = [{{ compute = {n} }}, {{ sleep = \"1ms\" }}, {{ compute = {n} }}]"
        );
        let with = runner.attest(&with, JOBS)?;
        Ok(vec![
            Sample::new(WITHOUT, "jobs", f64::from(without.peak_in_flight))
                .ideally(runner.runners().unwrap_or(1) as f64),
            Sample::new(WITH, "jobs", f64::from(with.peak_in_flight)).ideally(JOBS as f64),
        ])
    },
    judge: |figures| {
        let loops = figures.runners.unwrap_or(1) as f64;
        let alone = figures.at_most(WITHOUT, loops);
        if alone == Some(true) && figures.at_most(WITH, loops) == Some(true) {
            let why = "a job never gives way, not even where it awaits";
            return (ClaimVerdict::DoesNotApply, Some(why.into()));
        }
        let why = match figures.kind {
            Kind::Threads => "the system switches between threads wherever it likes",
            kind => kind.clause(),
        };
        all(&[alone, figures.at_least(WITH, loops + 1.0)], why)
    },
};

const BEAT: &str = "latest beat";
const QUIET: &str = "latest beat without the call";
/// Far below the length of the call, and far above the jitter of timers on a busy machine.
const KEPT: f64 = 10.0;

pub(super) const FREEZES: Experiment = Experiment {
    name: "freezes",
    sentence: "A blocking call freezes the loop for its whole length.",
    method: "3 jobs sleep for 1 ms again and again while a fourth blocks its thread for 20 ms: how late the latest of \
             their sleeps ends, with the call and without.",
    slow: false,
    workers: &[Some(1), Some(2)],
    measure: |runner| {
        Ok(vec![
            Sample::new(BEAT, "ms", latest_beat(runner, "{ block = \"20ms\" }")?).ideally(20.0),
            Sample::new(QUIET, "ms", latest_beat(runner, "")?).ideally(0.0),
        ])
    },
    judge: |figures| {
        let why = match figures.kind {
            Kind::Coroutines => {
                "a thread that blocks is replaced by another, which goes on with the beats"
            }
            _ => "another worker goes on with the beats, with one worker they stop",
        };
        applies_to_loops(figures).unwrap_or_else(|| {
            let judged = all(&[figures.at_least(BEAT, 15.0), quiet(figures)], why);
            let more = match (judged.0, figures.model, figures.runners) {
                // The claim is about one loop, and this model has several.
                (ClaimVerdict::Contradicted, _, Some(2..)) if figures.kind == Kind::Loop => {
                    return (ClaimVerdict::DoesNotApply, Some(format!("it has several: {why}")));
                }
                (ClaimVerdict::Holds, "may", _) => {
                    "a job that slept goes on on the thread of the timer, which the call then blocks"
                }
                (ClaimVerdict::Holds, _, Some(2..)) => "each worker is a loop of its own",
                (ClaimVerdict::Inconclusive, _, Some(2..)) if quiet(figures).is_some() => {
                    "now and then: the other worker goes on with the beats where it has them, and cannot take \
                     them over where the blocked one has them, or the timers"
                }
                _ => return judged,
            };
            (judged.0, Some(more.into()))
        })
    },
};

pub(super) const BRIDGE: Experiment = Experiment {
    name: "bridge",
    sentence: "The bridge to threads (to_thread, spawn_blocking, unblock, a rayon pool) keeps the loop going.",
    method: "The same as `freezes` on one worker, with the call handed to the model's bridge.",
    slow: false,
    workers: &[Some(1)],
    measure: |runner| {
        Ok(vec![
            Sample::new(BEAT, "ms", latest_beat(runner, "{ offload = [{ block = \"20ms\" }] }")?)
                .ideally(0.0),
            Sample::new(QUIET, "ms", latest_beat(runner, "")?).ideally(0.0),
        ])
    },
    judge: |figures| {
        let why = "it has no bridge: what is offloaded runs where it is";
        applies_to_loops(figures)
            .unwrap_or_else(|| all(&[figures.at_most(BEAT, KEPT), quiet(figures)], why))
    },
};

/// Returns how late the latest sleep of the heartbeat ends, in milliseconds. The call comes in the middle of it.
fn latest_beat(runner: &mut ClaimRunner<'_>, call: &str) -> Result<f64, NoFigures> {
    if let Kind::InTurn | Kind::Queue = runner.kind() {
        return Err(NoFigures::As(ClaimVerdict::DoesNotApply, no_loop(runner.kind())));
    }
    let beats = vec!["{ sleep = \"1ms\" }"; 15].join(", ");
    let separator = if call.is_empty() { "" } else { ", " };
    let text = format!(
        "name = \"beats\"\njob = [{beats}]\nevery = {{ nth = 1000, job = [{{ sleep = \"5ms\" }}{separator}{call}] }}"
    );
    let late = noted(runner.record(&text, JOBS)?.timer_lateness)?;
    Ok(late.ns_max as f64 / 1e6)
}

/// Returns whether the beats are on time without the call. If they are not, the call is not judged.
fn quiet(figures: &Evidence<'_>) -> Option<bool> {
    figures.at_most(QUIET, KEPT).filter(|kept| *kept)
}

fn no_loop(kind: Kind) -> String {
    format!("it has no loop that could stand still: {}", kind.clause())
}

fn applies_to_loops(figures: &Evidence<'_>) -> Option<Judged> {
    let why = no_loop(figures.kind);
    (!figures.kind.gives_way()).then_some((ClaimVerdict::DoesNotApply, Some(why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::experiment::made;

    #[test]
    fn jobs_that_interleave_without_an_await_contradict_and_those_that_never_do_say_nothing() {
        let judge = |workers, without: f64, with: f64| {
            let figures = [(WITHOUT, [without; 3]), (WITH, [with; 3])];
            made(Kind::Loop, workers, &figures).by(&COOPERATIVE)
        };
        assert_eq!(judge(1, 1.0, 4.0), ClaimVerdict::Holds);
        assert_eq!(judge(2, 2.0, 4.0), ClaimVerdict::Holds);
        assert_eq!(judge(1, 3.0, 4.0), ClaimVerdict::Contradicted);
        assert_eq!(judge(1, 1.0, 1.0), ClaimVerdict::DoesNotApply);
    }

    #[test]
    fn a_loop_is_frozen_where_a_beat_is_as_late_as_the_call_is_long() {
        let judge = |kind, beat: [f64; 3], quiet: f64| {
            made(kind, 1, &[(BEAT, beat), (QUIET, [quiet; 3])]).by(&FREEZES)
        };
        assert_eq!(judge(Kind::Loop, [18.0, 19.0, 20.0], 0.3), ClaimVerdict::Holds);
        assert_eq!(judge(Kind::Loop, [0.2, 0.3, 1.9], 0.3), ClaimVerdict::Contradicted);
        assert_eq!(judge(Kind::Loop, [0.2, 0.3, 19.0], 0.3), ClaimVerdict::Inconclusive);
        assert_eq!(judge(Kind::Queue, [0.2, 0.3, 1.9], 0.3), ClaimVerdict::DoesNotApply);
        let two = |kind| made(kind, 2, &[(BEAT, [0.2, 0.3, 1.9]), (QUIET, [0.3; 3])]).by(&FREEZES);
        assert_eq!(two(Kind::Loop), ClaimVerdict::DoesNotApply, "it speaks of one loop");
        assert_eq!(two(Kind::Coroutines), ClaimVerdict::Contradicted);
    }

    #[test]
    fn beats_that_only_a_busy_machine_makes_late_say_nothing_about_the_workers() {
        let remark = |quiet: f64| {
            let figures = [(BEAT, [0.2, 0.3, 19.0]), (QUIET, [quiet; 3])];
            made(Kind::Loop, 2, &figures).remark_by(&FREEZES).unwrap()
        };
        assert!(remark(0.3).starts_with("now and then: the other worker"));
        assert!(remark(12.0).ends_with("repeat it on a quiet machine"));
    }

    #[test]
    fn a_bridge_keeps_the_beats_and_a_busy_machine_does_not_speak_against_it() {
        let judge = |beat: [f64; 3], quiet: [f64; 3]| {
            made(Kind::Loop, 1, &[(BEAT, beat), (QUIET, quiet)]).by(&BRIDGE)
        };
        assert_eq!(judge([0.2, 0.3, 2.0], [0.2, 0.3, 1.0]), ClaimVerdict::Holds);
        assert_eq!(judge([18.0, 19.0, 20.0], [0.2, 0.3, 1.0]), ClaimVerdict::Contradicted);
        assert_eq!(judge([0.2, 0.3, 2.0], [11.0, 12.0, 13.0]), ClaimVerdict::Inconclusive);
    }
}
