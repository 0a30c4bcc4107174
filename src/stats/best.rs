//! Which of several models is the best, and which are tied with it: multiple comparisons with the best (Gupta, 1965;
//! Hsu, 1981), blocked by pass.

use super::estimate::{FEWEST_TRIALS, LEVEL, difference, mean};

/// The chance that a model as good as the best is called worse.
const SIZE: f64 = 0.05;
/// Histograms keep 3 digits: a smaller relative difference of two latencies is not measurable.
pub const RESOLUTION: f64 = 0.002;

/// The best of several models, and which of the others are worse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Best {
    /// Index of the model with the greatest mean.
    pub best: usize,
    /// For each model, whether a test shows that it is worse than the best. The rest are tied with it.
    pub behind: Vec<bool>,
}

/// Figures of a model, each with the number of its pass.
pub type Passes = Vec<(u32, f64)>;

/// Returns these figures as those of passes 0, 1, 2 and so on.
#[must_use]
pub fn in_order(figures: Vec<f64>) -> Passes {
    (0..).zip(figures).collect()
}

/// Compares each of `models` with the best of them. A model is given as the logarithms of its figures in its passes;
/// greater is better. Returns `None` without models, or if a model has fewer than three passes.
///
/// The differences of each model to the sample best are taken over the passes that both have, so that the effect of a
/// pass on both cancels. With fewer than three of these, all passes are compared, unpaired (Welch, 1938): otherwise a
/// model could not be told from the best, however far behind. A model is worse if it is behind by more than [`RESOLUTION`]
/// in the mean, and the one-sided t test of a mean difference below 0 rejects at 5 %, with Holm's correction (1979) over
/// all models. Overlapping intervals are not a test, and the best of many is partly lucky.
#[must_use]
pub fn best(models: &[Passes]) -> Option<Best> {
    let means = models
        .iter()
        .map(|of| mean(&figures(of)).filter(|_| of.len() >= FEWEST_TRIALS).map(|found| found.mean));
    let means: Vec<f64> = means.collect::<Option<_>>()?;
    let best = (0..means.len()).max_by(|a, b| means[*a].total_cmp(&means[*b]))?;
    let others = (0..models.len()).filter(|other| *other != best);
    let chance = |other: usize| {
        let found = differences(&models[other], &models[best])?;
        // Figures a digit of a histogram apart may be equal, however often they are seen so.
        let is_measurable = found.mean < -RESOLUTION;
        Some((if is_measurable { found.p_below() } else { 1.0 }, other))
    };
    let mut chances: Vec<(f64, usize)> = others.filter_map(chance).collect();
    chances.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut behind = vec![false; models.len()];
    for (rank, (chance, other)) in chances.iter().enumerate() {
        if *chance > SIZE / (chances.len() - rank) as f64 {
            break;
        }
        behind[*other] = true;
    }
    Some(Best { best, behind })
}

/// Returns the upper end of the 95 % interval of the paired loss: the largest plausible share by which `model` is worse
/// than the best. Below a margin, the model is as good as the best. `None` if one has fewer than three passes.
#[must_use]
pub fn most_loss(model: &[(u32, f64)], best: &[(u32, f64)]) -> Option<f64> {
    // The loss of the best itself is 0, not -0.
    Some(0.0 - differences(model, best)?.interval(LEVEL).0.exp_m1())
}

/// Returns the mean difference over the passes that both have, or of all if those are too few.
fn differences(model: &[(u32, f64)], best: &[(u32, f64)]) -> Option<super::Trimmed> {
    let of_best = |pass: u32| best.iter().find(|(other, _)| *other == pass);
    let in_pass = |(pass, one): &(u32, f64)| Some(one - of_best(*pass)?.1);
    let paired: Vec<f64> = model.iter().filter_map(in_pass).collect();
    if paired.len() < FEWEST_TRIALS {
        return difference(&figures(best), &figures(model));
    }
    mean(&paired)
}

fn figures(passes: &[(u32, f64)]) -> Vec<f64> {
    passes.iter().map(|(_, figure)| *figure).collect()
}

#[expect(clippy::print_stdout, reason = "docs/validity.md has what the tests print")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::simulated::normal;

    const MODELS: usize = 15;
    const PASSES: usize = 5;

    /// Compares models with logarithms `levels`, noise of 2 % and a common effect of each pass.
    fn table(levels: [f64; MODELS], seed: u64) -> Best {
        let noise = normal(seed, (MODELS + 1) * PASSES);
        let of = |model: usize| -> Passes {
            let pass = |pass: usize| {
                levels[model]
                    + 0.02 * noise[model * PASSES + pass]
                    + 0.1 * noise[MODELS * PASSES + pass]
            };
            in_order((0..PASSES).map(pass).collect())
        };
        best(&(0..MODELS).map(of).collect::<Vec<_>>()).unwrap()
    }

    /// Returns the share of 2 000 tables for which `so` holds.
    fn share(levels: [f64; MODELS], so: impl Fn(&Best) -> bool) -> f64 {
        const TABLES: u64 = 2_000;
        (0..TABLES).filter(|seed| so(&table(levels, 1_000 + seed))).count() as f64 / TABLES as f64
    }

    #[test]
    fn of_15_equal_models_a_given_one_is_left_out_in_at_most_5_of_100_tables() {
        let left_out = share([0.0; MODELS], |found| found.behind[3]);
        let any = share([0.0; MODELS], |found| found.behind.contains(&true));
        println!(
            "15 equal models: a given one is left out in {:.1} % of tables, any in {:.1} %",
            left_out * 100.0,
            any * 100.0
        );
        assert!(left_out <= 0.05, "{left_out}");
    }

    #[test]
    fn a_model_10_percent_ahead_is_alone_at_the_top_in_95_of_100_tables() {
        let mut levels = [0.0; MODELS];
        levels[7] = 1.1_f64.ln();
        let alone = share(levels, |found| {
            found.best == 7 && found.behind.iter().filter(|behind| !**behind).count() == 1
        });
        println!("a model 10 % ahead of 14 stands alone in {:.1} % of tables", alone * 100.0);
        assert!(alone >= 0.95, "{alone}");
    }

    #[test]
    fn what_every_pass_shows_is_told_and_what_one_shows_is_not() {
        let logs = |of: [f64; 4]| in_order(of.map(f64::ln).to_vec());
        let models = [
            logs([100.0, 50.0, 200.0, 80.0]),
            logs([98.0, 48.8, 196.0, 78.0]),
            logs([10.0, 90.0, 300.0, 30.0]),
        ];
        assert_eq!(best(&models), Some(Best { best: 0, behind: vec![false, true, false] }));
        let lost = most_loss(&models[1], &models[0]).unwrap();
        assert!(lost > 0.02 && lost < 0.03, "{lost}");
        assert!(most_loss(&models[2], &models[0]).unwrap() > 0.05, "not told apart is not as good");
        // Seen in each pass alike: without any spread.
        let apart =
            |share: f64| best(&[logs([100.0; 4]), logs([100.0 * share; 4])]).unwrap().behind;
        assert_eq!([apart(0.9985), apart(0.9975)], [[false, false], [false, true]]);
        assert_eq!(best(&[]), None);
        let two = in_order(vec![1.0, 2.0]);
        assert_eq!(best(std::slice::from_ref(&two)), None);
        assert_eq!(most_loss(&two, &two), None);
    }

    #[test]
    fn models_are_compared_in_the_passes_that_both_have() {
        let logs = |first: u32, of: &[f64]| -> Passes {
            (first..).zip(of.iter().map(|figure| figure.ln())).collect()
        };
        // Each pass is slower than the one before, and the second model, 5 % behind, began two passes later.
        let early = logs(0, &[160.0, 130.0, 100.0, 80.0, 60.0, 50.0]);
        let late = logs(2, &[95.0, 76.1, 57.0, 47.4]);
        let found = best(&[early.clone(), late.clone()]).unwrap();
        assert_eq!(found, Best { best: 0, behind: vec![false, true] });
        assert!((most_loss(&late, &early).unwrap() - 0.05).abs() < 0.01);
        // Without three passes in common: far behind, and within what passes differ by.
        let [far, near] = [logs(4, &[1.0, 1.1, 0.9]), logs(4, &[60.0, 75.0, 50.0])];
        assert_eq!(best(&[early.clone(), far.clone()]).unwrap().behind, [false, true]);
        assert!(most_loss(&far, &early).unwrap() > 0.98);
        assert_eq!(best(&[early.clone(), near.clone()]).unwrap().behind, [false; 2]);
        assert!(most_loss(&near, &early).unwrap() > 0.3);
    }
}
