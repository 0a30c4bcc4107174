//! Up to which scale the simple program is enough.

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

pub(super) const SIMPLE: Experiment = Experiment {
    name: "simple",
    sentence: "Where little is to be done at once, the simple program is enough, which is to say that it takes at most \
               1.25 × as long: one job after another, or a handful of threads.",
    method: "1, 8, 64 and 256 jobs that wait for 5 ms and compute a little: the time of the same language's pool of 8 \
             threads, or at 1 job of its sequential program if that is shorter, over the model's, of 3 batches the \
             shortest and at 64 and 256 of one; each scale is judged by its own interval, and the claim by those of 1 \
             and 8.",
    slow: true,
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
        let mut samples = Vec::new();
        for (scale, batches, name) in SCALES {
            let mut simple = runner.base(pool, JOB, scale, batches)?;
            // One after another, more than a few take longer than in any pool.
            if scale == 1 {
                simple = simple.min(runner.base(sequential, JOB, scale, batches)?);
            }
            let ratio = simple.as_secs_f64() / runner.time(JOB, scale, batches)?.as_secs_f64();
            samples.push(Sample::new(name, "×", ratio));
        }
        Ok(samples)
    },
    judge,
};

fn judge(figures: &Evidence<'_>) -> Judged {
    let enough = SCALES.map(|(.., name)| figures.at_most(name, AS_GOOD));
    let judged =
        all(&enough[..2], "it is faster by more than that already where a handful of jobs wait");
    let beyond = enough.iter().position(|enough| *enough != Some(true)).unwrap_or(SCALES.len());
    if judged.0 != ClaimVerdict::Holds {
        return judged;
    }
    let up_to = format!("the simple program is enough at {} jobs", SCALES[beyond - 1].0);
    let next = SCALES.get(beyond).map_or_else(String::new, |(scale, ..)| match enough[beyond] {
        Some(_) => format!(", and not at {scale}"),
        None => format!(", and at {scale} the figures allow both answers"),
    });
    (ClaimVerdict::Holds, Some(up_to + &next))
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

    #[test]
    fn each_scale_is_judged_by_its_own_interval() {
        let up_to = |[at_64, at_256]: [[f64; 3]; 2]| {
            let (few, names) = ([0.9, 1.0, 1.1], SCALES.map(|(.., name)| name));
            let figures = [(names[0], few), (names[1], few), (names[2], at_64), (names[3], at_256)];
            made(Kind::Loop, 2, &figures).remark_by(&SIMPLE).unwrap()
        };
        let [few, many, either] = [[0.9, 1.0, 1.2], [7.0, 8.0, 9.0], [1.0, 1.3, 1.6]];
        let enough = "the simple program is enough at";
        assert_eq!(up_to([few, few]), format!("{enough} 256 jobs"));
        assert_eq!(up_to([few, many]), format!("{enough} 64 jobs, and not at 256"));
        assert_eq!(up_to([many, few]), format!("{enough} 8 jobs, and not at 64"));
        let open = "the figures allow both answers";
        assert_eq!(up_to([either, many]), format!("{enough} 8 jobs, and at 64 {open}"));
    }
}
