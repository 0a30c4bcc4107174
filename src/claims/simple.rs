//! The greatest scale up to which the simple program is as good.

use super::{
    experiment::{Evidence, Experiment, Judged, NoFigures, Sample, all},
    runner::Simple,
};
use crate::record::ClaimVerdict;

const JOB: &str = "name = \"simple\"\njob = [{ sleep = \"5ms\" }, { compute = 1_000 }]";
/// The factor up to which a program is as good: slightly more than the timer resolution of a millisecond in the wait.
const AS_GOOD: f64 = 1.25;
/// Scales, and batches of each: long batches are disturbed less.
const SCALES: [(usize, u64, &str); 4] = [
    (1, 3, "simple over model at 1"),
    (8, 3, "simple over model at 8"),
    (64, 1, "simple over model at 64"),
    (256, 1, "simple over model at 256"),
];
const UP_TO: &str = "enough up to";

pub(super) const SIMPLE: Experiment = Experiment {
    name: "simple",
    sentence: "Where little is to be done at once, the simple program is enough, which is to say that it takes at most \
               1.25 × as long: one job after another, or a handful of threads.",
    method: "1, 8, 64 and 256 jobs that wait for 5 ms and compute a little: the time of the better of the same \
             language's sequential program and its pool of 8 threads, over the model's; it is enough up to the last \
             scale at which it takes at most 1.25 × as long.",
    workers: &[Some(2)],
    measure: |runner| {
        let Some(Simple { sequential, pool }) = runner.simple() else {
            let why = "there is no simple program of its language among the models";
            return Err(NoFigures::As(ClaimVerdict::DoesNotApply, why.into()));
        };
        if [sequential.0, pool.0].contains(&runner.entry().info.name) {
            let why = "it is the simple program";
            return Err(NoFigures::As(ClaimVerdict::DoesNotApply, why.into()));
        }
        let (mut samples, mut up_to, mut still) = (Vec::new(), 0, true);
        for (scale, batches, name) in SCALES {
            let mut simple = runner.base(pool, JOB, scale, batches)?;
            // One after another, more than a few take longer than in any pool.
            if scale == 1 {
                simple = simple.min(runner.base(sequential, JOB, scale, batches)?);
            }
            let ratio = simple.as_secs_f64() / runner.time(JOB, scale, batches)?.as_secs_f64();
            still &= ratio <= AS_GOOD;
            up_to = if still { scale } else { up_to };
            samples.push(Sample::new(name, "×", ratio));
        }
        samples.insert(0, Sample::new(UP_TO, "jobs", up_to as f64));
        Ok(samples)
    },
    judge,
};

fn judge(figures: &Evidence<'_>) -> Judged {
    all(
        &[figures.at_most(SCALES[0].2, AS_GOOD), figures.at_most(SCALES[1].2, AS_GOOD)],
        "it is faster by more than that already where a handful of jobs wait",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Kind, experiment::made};

    #[test]
    fn the_simple_program_is_enough_where_it_is_nearly_as_fast_with_one_job_and_with_a_handful() {
        let judge = |one: [f64; 3], handful: [f64; 3]| {
            made(Kind::Loop, 2, &[(SCALES[0].2, one), (SCALES[1].2, handful)]).by(&SIMPLE)
        };
        assert_eq!(judge([0.8, 0.9, 1.0], [0.8, 0.9, 1.1]), ClaimVerdict::Holds);
        assert_eq!(judge([0.8, 0.9, 1.0], [1.3, 1.4, 1.5]), ClaimVerdict::Contradicted);
        assert_eq!(judge([0.8, 0.9, 1.0], [1.0, 1.1, 1.5]), ClaimVerdict::Inconclusive);
    }
}
