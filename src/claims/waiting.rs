//! How waiting jobs affect each other, and in which order their results arrive.

use super::{
    Kind,
    experiment::{Experiment, Sample, all, noted},
};
use crate::record::ClaimVerdict;

const WAITING: &str = "waiting at once";
const HELD: &str = "threads that ran them";

pub(super) const SUSPENDS: Experiment = Experiment {
    name: "suspends",
    sentence: "Await suspends a job and does not block its thread.",
    method: "10 jobs that sleep for 10 ms on one worker, in a watched batch: how many wait at once, and the threads \
             that began or ended one.",
    slow: false,
    workers: &[Some(1)],
    measure: |runner| {
        let seen = runner.attest("name = \"suspends\"\njob = [{ sleep = \"10ms\" }]", 10)?;
        Ok(vec![
            Sample::new(WAITING, "jobs", f64::from(seen.peak_in_flight)).ideally(10.0),
            Sample::new(HELD, "threads", f64::from(seen.job_threads)).ideally(1.0),
        ])
    },
    judge: |figures| {
        let why = match figures.kind {
            Kind::Threads => "a wait holds the thread of its job: as many waits, as many threads",
            kind => kind.clause(),
        };
        // may wakes sleepers on its timer's thread: two threads for any number of waiting jobs.
        all(&[figures.at_least(WAITING, 10.0), figures.at_most(HELD, 2.0)], why)
    },
};

const AT_ONCE: &str = "three at once";
const IN_TURN: &str = "three in sequence";

pub(super) const SLEEPS: Experiment = Experiment {
    name: "sleeps",
    sentence: "Three sleeps overlap (about 1 ×); in sequence they do not (about 3 ×).",
    method: "Three jobs that sleep for 10 ms at once, and one that sleeps three times, each as a multiple of one job \
             that sleeps once; of two batches the shorter.",
    slow: false,
    workers: &[Some(2)],
    measure: |runner| {
        let once = "name = \"once\"\njob = [{ sleep = \"10ms\" }]";
        let thrice = "name = \"thrice\"\njob = [{ sleep = \"10ms\" }, { sleep = \"10ms\" }, { sleep = \"10ms\" }]";
        let one = runner.time(once, 1, 2)?.as_secs_f64();
        let at_once = runner.time(once, 3, 2)?.as_secs_f64() / one;
        let in_turn = runner.time(thrice, 1, 2)?.as_secs_f64() / one;
        Ok(vec![
            Sample::new(AT_ONCE, "×", at_once).ideally(1.0),
            Sample::new(IN_TURN, "×", in_turn).ideally(3.0),
        ])
    },
    judge: |figures| {
        let why = match figures.kind {
            Kind::Queue => "a sleep holds its worker: the third waits until one of two is free",
            kind => kind.clause(),
        };
        all(&[figures.at_most(AT_ONCE, 1.5), figures.at_least(IN_TURN, 2.5)], why)
    },
};

const HALF: &str = "half of the jobs done after";
const ALL: &str = "the first job done after";
/// Between the sleeps of the first job and the others. At 20 ms, which no sleep undercuts, the interval of a mean often
/// has its lower end below, although every process was above.
const BETWEEN_MS: f64 = 11.0;

pub(super) const ORDER: Experiment = Experiment {
    name: "order",
    sentence: "Results come in argument order, whatever finishes first.",
    method: "4 jobs at once, of which the first sleeps for 20 ms and the others for 2 ms: when they are done; each \
             receipt is compared with the one foretold for its place, and one out of place makes the claim invalid.",
    slow: false,
    workers: &[Some(2)],
    measure: |runner| {
        let text = "name = \"order\"\njob = [{ sleep = \"2ms\" }]\n\
                    every = { nth = 1000, job = [{ sleep = \"20ms\" }] }";
        let latency = noted(runner.record(text, 4)?.latency)?;
        Ok(vec![
            Sample::new(HALF, "ms", latency.ns_p50 as f64 / 1e6),
            Sample::new(ALL, "ms", latency.ns_max as f64 / 1e6).ideally(20.0),
        ])
    },
    judge: |figures| {
        if figures.at_least(HALF, BETWEEN_MS) == Some(true) {
            let why = "nothing finishes out of order: it does one job after another";
            return (ClaimVerdict::DoesNotApply, Some(why.into()));
        }
        all(
            &[figures.at_most(HALF, BETWEEN_MS), figures.at_least(ALL, BETWEEN_MS)],
            "the first job did not sleep",
        )
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{claims::experiment::made, record::ClaimFigure};

    #[test]
    fn a_wait_that_holds_a_worker_or_a_thread_is_no_suspension() {
        let judge = |waiting: f64, held: f64| {
            made(Kind::Loop, 1, &[(WAITING, [waiting; 3]), (HELD, [held; 3])]).by(&SUSPENDS)
        };
        assert_eq!(judge(10.0, 1.0), ClaimVerdict::Holds);
        assert_eq!(judge(1.0, 1.0), ClaimVerdict::Contradicted);
        assert_eq!(judge(10.0, 10.0), ClaimVerdict::Contradicted);
    }

    #[test]
    fn sleeps_overlap_where_three_take_the_time_of_one_and_a_sequence_takes_three() {
        let judge = |at_once: [f64; 3], in_turn: f64| {
            made(Kind::Queue, 2, &[(AT_ONCE, at_once), (IN_TURN, [in_turn; 3])]).by(&SLEEPS)
        };
        assert_eq!(judge([0.9, 1.0, 1.2], 3.0), ClaimVerdict::Holds);
        assert_eq!(judge([1.9, 2.0, 2.1], 3.0), ClaimVerdict::Contradicted);
        assert_eq!(judge([1.0, 1.0, 2.1], 3.0), ClaimVerdict::Inconclusive);
        assert_eq!(judge([0.9, 1.0, 1.2], 1.0), ClaimVerdict::Contradicted);
    }

    #[test]
    fn an_order_is_kept_only_where_something_could_have_broken_it() {
        let judge = |half: f64, all: f64| {
            made(Kind::Loop, 2, &[(HALF, [half; 3]), (ALL, [all; 3])]).by(&ORDER)
        };
        assert_eq!(judge(2.1, 20.1), ClaimVerdict::Holds);
        // Five processes that all slept for 20 ms, one of them on a busy machine.
        let late = ClaimFigure::new(ALL, "ms", None, vec![20.1, 20.1, 20.2, 20.1, 24.0]);
        let late = [(HALF, [2.1; 3]), (ALL, [late.lower, late.value, late.upper])];
        assert!(late[1].1[0] < 20.0);
        assert_eq!(made(Kind::Loop, 2, &late).by(&ORDER), ClaimVerdict::Holds);
        assert_eq!(judge(22.0, 26.0), ClaimVerdict::DoesNotApply);
        assert_eq!(judge(2.1, 6.0), ClaimVerdict::Contradicted);
    }
}
