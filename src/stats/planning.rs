//! Planning: which effect a number of trials can find, how many trials an effect needs, and how many slices a trial.

use super::t::t_quantile;

/// The most trials that are recommended. If more are needed, make the machine quieter instead.
pub const MOST_TRIALS: u32 = 10_000;
/// The fewest trials that have a trimmed mean.
const FEWEST_PLANNED: u32 = 5;

/// The conditions under which an effect is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The one-sided p-value that a test must stay below.
    pub alpha: f64,
    /// The share of such runs in which the effect must be found.
    pub power: f64,
    /// A mean below this margin is never called an effect, even if significant; in the unit of the values.
    pub margin: f64,
}

impl Bar {
    /// Returns the least effect that is found with a mean whose standard error is `se`, with `df` degrees of freedom.
    ///
    /// The mean must exceed t(1 − alpha) · se and the margin; in a share `power` of all runs it is at least the effect
    /// minus t(power) · se. This approximates the non-central t distribution and demands little more than that does.
    ///
    /// # Panics
    ///
    /// Panics if `alpha` or `power` is not between 0 and 1.
    #[must_use]
    pub fn detectable(self, se: f64, df: f64) -> f64 {
        let critical = (t_quantile(1.0 - self.alpha, df) * se).max(self.margin);
        critical + t_quantile(self.power, df) * se
    }

    /// Returns the number of trials that find `effect`. One trial has the spread `sd` (the standard error is `sd` /
    /// √n); the layout of code adds `layout_sd`, which more trials do not reduce. See [`trials_until`].
    #[must_use]
    pub fn trials_needed(self, effect: f64, sd: f64, layout_sd: f64) -> Option<u32> {
        trials_until(sd, layout_sd, |se, df| self.detectable(se, df) <= effect)
    }
}

/// Returns the fewest trials for which the standard error and the degrees of freedom satisfy `enough`. One trial has
/// the spread `sd`; the layout of code adds `layout_sd`. `None` if [`MOST_TRIALS`] are not enough.
#[must_use]
pub fn trials_until(sd: f64, layout_sd: f64, enough: impl Fn(f64, f64) -> bool) -> Option<u32> {
    let enough = |trials: u32| {
        let kept = trials - 2 * (trials / 5);
        enough((sd / f64::from(trials).sqrt()).hypot(layout_sd), f64::from(kept - 1))
    };
    if enough(FEWEST_PLANNED) {
        return Some(FEWEST_PLANNED);
    }
    let (mut few, mut many) = (FEWEST_PLANNED, FEWEST_PLANNED);
    while !enough(many) {
        if many == MOST_TRIALS {
            return None;
        }
        (few, many) = (many, (many * 2).min(MOST_TRIALS));
    }
    while many - few > 1 {
        let middle = few.midpoint(many);
        *(if enough(middle) { &mut many } else { &mut few }) = middle;
    }
    Some(many)
}

/// Returns how many pairs of slices a trial should have, from 1 to `most`, to find the least effect in a given time
/// (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013): √(`cost_trial` / `cost_slice` · `var_slice`
/// / `var_trial`), rounded up. `cost_trial` is the fixed cost of a trial, in the unit of `cost_slice`.
///
/// Estimated variances may be 0 or less. The result is `most` if slices vary but trials do not, or if a slice costs
/// nothing. It is 1 if slices do not vary, if a trial costs nothing, or if one of the four is NaN: nothing then
/// justifies more.
#[must_use]
pub fn slices(cost_trial: f64, cost_slice: f64, var_slice: f64, var_trial: f64, most: u32) -> u32 {
    let known = [cost_trial, cost_slice, var_slice, var_trial].iter().all(|of| !of.is_nan());
    if !known || var_slice <= 0.0 || cost_trial <= 0.0 {
        return 1;
    }
    if var_trial <= 0.0 || cost_slice <= 0.0 {
        return most.max(1);
    }
    let best = (cost_trial / cost_slice * var_slice / var_trial).sqrt().ceil();
    best.clamp(1.0, f64::from(most.max(1))) as u32
}

/// Returns the variance of slices within a trial and the variance that trials add, from pilot trials of several slices
/// each (one-way analysis of variance with random effects; trials may have different numbers of slices).
///
/// The second is an unbiased estimate and can therefore be negative. The first is NaN if no trial has two slices; the
/// second is NaN also with fewer than two trials.
#[must_use]
pub fn variance_parts(trials: &[Vec<f64>]) -> (f64, f64) {
    let trials: Vec<&Vec<f64>> = trials.iter().filter(|trial| !trial.is_empty()).collect();
    let sizes: Vec<f64> = trials.iter().map(|trial| trial.len() as f64).collect();
    let all: f64 = sizes.iter().sum();
    let free = all - sizes.len() as f64;
    if free <= 0.0 {
        return (f64::NAN, f64::NAN);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let within: f64 = trials
        .iter()
        .map(|trial| trial.iter().map(|value| (value - mean(trial)).powi(2)).sum::<f64>())
        .sum();
    let var_slice = within / free;
    if trials.len() < 2 {
        return (var_slice, f64::NAN);
    }
    let middle = trials.iter().copied().flatten().sum::<f64>() / all;
    let between: f64 =
        trials.iter().map(|trial| trial.len() as f64 * (mean(trial) - middle).powi(2)).sum::<f64>()
            / (sizes.len() as f64 - 1.0);
    let typical = (all - sizes.iter().map(|size| size * size).sum::<f64>() / all)
        / (sizes.len() as f64 - 1.0);
    (var_slice, (between - var_slice) / typical)
}
