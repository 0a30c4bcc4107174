//! The verdict on each cell, from the logarithms of its trials' ratios.

use crate::{
    record::{Change, Verdict},
    stats::{Bar, FEWEST, Trimmed, discoveries, median_and_range, trials_until},
};

/// The level of the intervals.
const LEVEL: f64 = 0.95;
/// The share of runs in which an effect must be found to be called detectable.
const POWER: f64 = 0.8;
/// From how many far slower trials on a cell is not called not regressed. In equal programs, fewer than one cell in a
/// hundred has as many.
const FAR_SLOWER: usize = 4;

/// The input of a verdict: a cell and metric measured on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// `ln(head / base)` of every trial that counts.
    pub log_ratios: &'a [f64],
    /// `ln(copy / base)` of the same trials: the null arm. Empty if there is none.
    pub null: &'a [f64],
    /// The least share that is called a change.
    pub margin: f64,
    /// The share of a change that must have been detectable before the cell is called not regressed.
    pub clear_margin: f64,
    /// The standard deviation caused by the layout of code, in logarithms; 0 if unknown.
    pub layout_sd: f64,
}

/// The result for a sample: the fields of [`crate::record::GateCell`] of the same names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The verdict; `None` without any trial, and if the null arm fired. With fewer than 5 trials, or a value that is
    /// not finite, it is inconclusive: a cell that should be gated never passes unseen.
    pub verdict: Option<Verdict>,
    /// The head's change, with its two-sided 95 % interval.
    pub change: Option<Change>,
    /// The least change, as a share, that would be found in 8 of 10 such runs: it must exceed the margin and the
    /// p-value required of a single discovery among all samples.
    pub detectable: Option<f64>,
    /// If the verdict is inconclusive: the trials that would make the clear margin detectable in the same sense, and
    /// would have excluded it here if the true change is the measured one. `None` also if no number of trials would.
    pub trials_needed: Option<u32>,
    /// The change of the base's copy.
    pub null: Option<Change>,
    /// Whether the copy's change would be called a change. The cell is then void: a disturbance that separates two
    /// copies of the base also separates base and head.
    pub null_fired: bool,
}

/// Judges all samples of a run together. `rate` is the share of discoveries that may be false.
///
/// Each sample has two one-sided tests, for slower and for faster. Benjamini and Hochberg's procedure goes over all of
/// them as one family. Then
/// * **regressed** is a rejected cell that is slower by the margin, **improved** one that is faster by the margin;
/// * **not regressed** is any other cell whose one-sided upper bound, at 1 − `rate`, is below the clear margin, unless
///   the head is [`far_slower`] in some trials;
/// * **inconclusive** is the rest.
///
/// At most one of a cell's two tests is rejected, so none is whose p-value exceeds `rate` / 2. The two-sided 95 %
/// interval of a cell called regressed or improved therefore does not contain 0.
///
/// A rejected cell must also exceed the margin against the base's copy, if there is one: it is the same program, and a
/// base process may be fast by chance. The gate's first design did not ask for this. In suites of equal programs, drawn
/// from recorded trials, 2.0 % were falsely regressed without it and 0.7 % with it.
///
/// The same rule applies to the null arms among themselves, in either direction. One that fires voids only its cell.
pub fn judge(samples: &[Sample], rate: f64) -> Vec<Judged> {
    judge_against(samples, rate, 0.0)
}

/// Judges like [`judge`], with tests against `part` of the margin instead of no change. The self-test shows what that
/// costs in power, and what it saves in false alarms.
pub fn judge_against(samples: &[Sample], rate: f64, part: f64) -> Vec<Judged> {
    let heads: Vec<Tested> =
        samples.iter().map(|sample| Tested::of(sample.log_ratios, sample, part)).collect();
    let nulls: Vec<Tested> =
        samples.iter().map(|sample| Tested::of(sample.null, sample, part)).collect();
    let chances = |arms: &[Tested]| arms.iter().map(Tested::p).collect::<Vec<_>>();
    let fired = directions(&nulls, &chances(&nulls), rate);
    // The test of a void cell says nothing, so it eases none of the others: it counts, as one that rejects nothing.
    let mut of_heads = chances(&heads);
    for (chances, _) in of_heads.iter_mut().zip(&fired).filter(|(_, fired)| fired.is_some()) {
        *chances = [1.0; 2];
    }
    let mut found = directions(&heads, &of_heads, rate);
    for (found, sample) in found.iter_mut().zip(samples) {
        *found = found.filter(|direction| is_so_of_the_copy(sample, *direction));
    }
    let each = samples.iter().zip(heads.iter().zip(&nulls)).zip(found.into_iter().zip(fired));
    each.map(|((sample, (head, null)), (direction, fired))| {
        let judged = judged(sample, head, direction, (rate, samples.len()));
        Judged {
            verdict: judged.verdict.filter(|_| fired.is_none()),
            null: null.change(),
            null_fired: fired.is_some(),
            ..judged
        }
    })
    .collect()
}

/// Returns the number of trials in which the head was slower than in its usual trial, by more than the clear margin and
/// by more than any other trial of the cell is from the usual one: the head's own towards faster, and the copy's in
/// either direction. 0 if there are so few that chance explains them. The usual trial is the median.
///
/// The trimmed mean leaves out a fifth of the trials at each end. A head that is slow in fewer processes than that has
/// the mean of one that never is.
pub fn far_slower(log_ratios: &[f64], null: &[f64], clear_margin: f64) -> usize {
    let from_usual = |arm: &[f64]| -> Vec<f64> {
        let usual = if arm.is_empty() { 0.0 } else { median_and_range(arm).0 };
        arm.iter().map(|trial| trial - usual).collect()
    };
    let head = from_usual(log_ratios);
    let others = head.iter().map(|trial| -trial);
    let others = others.chain(from_usual(null).into_iter().map(f64::abs));
    let most = others.fold(clear_margin.ln_1p(), f64::max);
    let trials = head.iter().filter(|trial| **trial > most).count();
    if trials < FAR_SLOWER { 0 } else { trials }
}

/// Returns the conditions under which a change is found, if it is the only one among `samples` samples. `margin` is a
/// share.
pub fn bar(rate: f64, samples: usize, margin: f64) -> Bar {
    Bar {
        // Each sample has two tests.
        alpha: rate / (2 * samples.max(1)) as f64,
        power: POWER,
        margin: margin.ln_1p(),
    }
}

/// Returns whether the head's change in this direction exceeds the margin against the copy too.
fn is_so_of_the_copy(sample: &Sample, direction: Verdict) -> bool {
    if sample.null.len() != sample.log_ratios.len() {
        return true;
    }
    let pairs = sample.log_ratios.iter().zip(sample.null);
    let against_copy: Vec<f64> = pairs.map(|(head, copy)| head - copy).collect();
    Trimmed::of(&against_copy).is_none_or(|of| match direction {
        Verdict::Regressed => of.mean >= sample.margin.ln_1p(),
        _ => of.mean <= -sample.margin.ln_1p(),
    })
}

/// The mean of a sample, and what it is tested against.
struct Tested {
    /// `None` if there can be no test.
    mean: Option<Trimmed>,
    /// The least mean that is called a change.
    margin: f64,
    /// The mean that tests are made against.
    against: f64,
}

impl Tested {
    fn of(log_ratios: &[f64], sample: &Sample, part: f64) -> Self {
        let mean = Trimmed::of(log_ratios).map(|of| of.with_layout(sample.layout_sd));
        Tested { mean, margin: sample.margin.ln_1p(), against: (sample.margin * part).ln_1p() }
    }

    /// Returns the p-values of such an increase and such a decrease, or more, if the true one is what it is tested against.
    fn p(&self) -> [f64; 2] {
        let p = |of: Trimmed, mean: f64| Trimmed { mean: mean - self.against, ..of }.p_above();
        self.mean.map_or([f64::NAN; 2], |of| [p(of, of.mean), p(of, -of.mean)])
    }

    /// Returns the change as a share.
    fn change(&self) -> Option<Change> {
        let of = self.mean?;
        let (lower, upper) = of.interval(LEVEL);
        let [p_slower, p_faster] = self.p();
        let [share, lower, upper] = [of.mean, lower, upper].map(f64::exp_m1);
        Some(Change { share, lower, upper, p_slower, p_faster })
    }
}

/// Returns regressed or improved for cells that are rejected by `chances`, their p-values, and changed by their margin.
fn directions(arms: &[Tested], chances: &[[f64; 2]], rate: f64) -> Vec<Option<Verdict>> {
    let found = discoveries(chances.as_flattened(), rate);
    let each = arms.iter().zip(found.chunks_exact(2));
    each.map(|(Tested { mean, margin, .. }, found)| {
        let mean = (*mean)?.mean;
        if found[0] && mean >= *margin {
            Some(Verdict::Regressed)
        } else if found[1] && mean <= -margin {
            Some(Verdict::Improved)
        } else {
            None
        }
    })
    .collect()
}

fn judged(
    sample: &Sample,
    head: &Tested,
    direction: Option<Verdict>,
    (rate, samples): (f64, usize),
) -> Judged {
    let unknown = Judged {
        verdict: (!sample.log_ratios.is_empty()).then_some(Verdict::Inconclusive),
        change: None,
        detectable: None,
        trials_needed: None,
        null: None,
        null_fired: false,
    };
    let Some(mean) = head.mean else { return unknown };
    let clear = sample.clear_margin.ln_1p();
    // At each of two looks, the bound is as strict as the tests.
    let level = 1.0 - rate;
    let slow = far_slower(sample.log_ratios, sample.null, sample.clear_margin) > 0;
    let verdict = direction.unwrap_or(if mean.upper(level) < clear && !slow {
        Verdict::NotRegressed
    } else {
        Verdict::Inconclusive
    });
    let bar = bar(rate, samples, sample.margin);
    Judged {
        verdict: Some(verdict),
        change: head.change(),
        detectable: Some(bar.detectable(mean.se, mean.df).exp_m1()),
        // No number of trials makes up for those that were far slower.
        trials_needed: (verdict == Verdict::Inconclusive && !slow)
            .then(|| trials_needed(sample, mean, bar, level))
            .flatten(),
        ..unknown
    }
}

fn trials_needed(sample: &Sample, head: Trimmed, bar: Bar, level: f64) -> Option<u32> {
    debug_assert!(sample.log_ratios.len() >= FEWEST);
    let clear = sample.clear_margin.ln_1p();
    // The standard error from trials alone.
    let sampling = Trimmed::of(sample.log_ratios)?.se;
    let sd = sampling * (sample.log_ratios.len() as f64).sqrt();
    let seen = bar.trials_needed(clear, sd, sample.layout_sd)?;
    if head.mean >= clear {
        return Some(seen);
    }
    // A change below the clear margin need not be found, only excluded.
    let bounded = trials_until(sd, sample.layout_sd, |se, df| {
        Trimmed { mean: head.mean, se, df }.upper(level) < clear
    })?;
    Some(seen.max(bounded))
}
