//! What happens to a job that was created but not driven, and to a task that was created but not awaited.

use super::{
    Kind,
    experiment::{Evidence, Experiment, Judged, NoFigures, Sample, all, unexpected},
    runner::ClaimRunner,
};
use crate::record::ClaimVerdict;
use paceline_core::perform::{PAUSE, Probe, Probed};

const BEGUN: &str = "begun before it was driven";
const SLEPT: &str = "a late sleep of 20 ms lasts";

pub(super) const INERT: Experiment = Experiment {
    name: "inert",
    sentence: "A coroutine is inert until it is driven: making one does nothing.",
    method: "A job and a sleep of 20 ms are made and left alone for 20 ms, in which the loop turns, and only then \
             driven: whether the job had begun, and how long the sleep still lasts.",
    slow: false,
    workers: &[Some(2)],
    measure: |runner| match inert(runner)? {
        Probed::Inert { begun, slept_ns } => Ok(vec![
            Sample::new(BEGUN, "of 1", f64::from(u8::from(begun))).ideally(0.0),
            Sample::new(SLEPT, "ms", slept_ns as f64 / 1e6).ideally(PAUSE.as_secs_f64() * 1e3),
        ]),
        other => Err(unexpected(other)),
    },
    judge: |figures| {
        let code = figures.at_most(BEGUN, 0.0);
        let why = match figures.kind {
            _ if code == Some(true) => {
                "its code is inert, but its sleep is not: the deadline is set when the sleep is made, so that one \
                 driven late ends early"
            }
            Kind::Loop => "a call runs at once, up to where it first awaits",
            Kind::Coroutines => {
                "a call is the work: it runs at once, on the stack of the coroutine that calls"
            }
            _ => "a call is the work: nothing is left that could wait to be driven",
        };
        all(&[code, figures.at_least(SLEPT, 15.0)], why)
    },
};

/// Returns the answer of a probe. In another language it would be a constant: no program could show the behaviour.
fn inert(runner: &mut ClaimRunner<'_>) -> Result<Probed, NoFigures> {
    if runner.kind() != Kind::Loop && runner.entry().info.foreign.is_some() {
        let why =
            "it is not inert: a call is the work, and when it returns nothing is left to drive";
        return Err(NoFigures::As(ClaimVerdict::ByDefinition, why.into()));
    }
    runner.probe(Probe::Inert)
}

const FIRST: &str = "begun before it was awaited";
const AT_ONCE: &str = "begun while its creator ran on";

pub(super) const CREATED: Experiment = Experiment {
    name: "created",
    sentence: "A created task starts before it is awaited.",
    method: "A job creates a task, holds its thread for 20 ms and then sleeps for 20 ms: whether the task had begun \
             after each, although nobody awaited it; where creating and awaiting is one call, whether the second of \
             two jobs begins while the first sleeps.",
    slow: false,
    workers: &[Some(1), Some(2)],
    measure: |runner| match runner.probe(Probe::Created)? {
        Probed::Created { at_once, before_awaited } => {
            let share = |seen| f64::from(u8::from(seen));
            let first = Sample::new(FIRST, "of 1", share(before_awaited)).ideally(1.0);
            let at_once = at_once.map(|seen| Sample::new(AT_ONCE, "of 1", share(seen)));
            Ok([Some(first), at_once].into_iter().flatten().collect())
        }
        other => Err(unexpected(other)),
    },
    judge: judge_created,
};

fn judge_created(figures: &Evidence<'_>) -> Judged {
    let why = match figures.kind {
        Kind::Queue => {
            "the job that is awaited first holds the only worker, and the other waits in the queue"
        }
        kind => kind.clause(),
    };
    match all(&[figures.at_least(FIRST, 1.0)], why) {
        (ClaimVerdict::Holds, None) if figures.at_least(AT_ONCE, 1.0) == Some(true) => {
            let more = match (figures.kind, figures.runners) {
                (Kind::Loop, Some(1)) => {
                    "it even starts while its creator runs: it is run up to where it first awaits when it is created"
                }
                (Kind::Coroutines, Some(1)) => {
                    "it even starts while its creator runs: the scheduler takes a coroutine off a thread that it holds \
                     for long, or has another thread take over"
                }
                _ => "it even starts while its creator runs: at once, or on another worker",
            };
            (ClaimVerdict::Holds, Some(more.into()))
        }
        judged => judged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::experiment::made;

    #[test]
    fn inert_is_what_neither_began_nor_let_its_deadline_run() {
        let judge = |begun: f64, slept: [f64; 3]| {
            made(Kind::Loop, 2, &[(BEGUN, [begun; 3]), (SLEPT, slept)]).by(&INERT)
        };
        assert_eq!(judge(0.0, [20.0, 20.1, 24.0]), ClaimVerdict::Holds);
        assert_eq!(judge(0.0, [0.0, 0.1, 0.3]), ClaimVerdict::Contradicted);
        assert_eq!(judge(1.0, [20.0, 20.1, 24.0]), ClaimVerdict::Contradicted);
        assert_eq!(judge(0.0, [1.0, 20.1, 24.0]), ClaimVerdict::Inconclusive);
    }

    #[test]
    fn what_begins_while_its_creator_runs_is_said_to_run_in_the_way_of_its_kind() {
        let remark = |kind| {
            made(kind, 1, &[(FIRST, [1.0; 3]), (AT_ONCE, [1.0; 3])]).remark_by(&CREATED).unwrap()
        };
        assert!(remark(Kind::Loop).contains("first awaits"));
        assert!(remark(Kind::Coroutines).contains("scheduler"));
        assert!(remark(Kind::Threads).contains("another worker"));
    }

    #[test]
    fn a_task_that_waited_to_be_awaited_contradicts() {
        let judge = |first: [f64; 3]| made(Kind::Queue, 1, &[(FIRST, first)]).by(&CREATED);
        assert_eq!(judge([1.0; 3]), ClaimVerdict::Holds);
        assert_eq!(judge([0.0; 3]), ClaimVerdict::Contradicted);
        assert_eq!(judge([0.0, 1.0, 1.0]), ClaimVerdict::Inconclusive);
    }
}
