//! The verdict on each cell, from the logarithms of its trials' ratios.

use crate::{
    record::{Change, Verdict},
    stats::{Bar, FEWEST, Trimmed, discoveries, trials_until},
};

/// The level of the intervals, and of the bound for a cell called not regressed.
const LEVEL: f64 = 0.95;
/// The share of runs in which an effect must be found to be called detectable.
const POWER: f64 = 0.8;

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
/// Tests are one-sided, slower and faster separately, with Benjamini and Hochberg over all samples. Then
/// * **regressed** is a rejected cell that is slower by the margin, **improved** one that is faster by the margin;
/// * **not regressed** is any other cell whose one-sided upper 95 % bound is below the clear margin;
/// * **inconclusive** is the rest.
///
/// A rejected cell must also exceed the margin against the base's copy, if there is one: it is the same program, and a
/// base process may be fast by chance. The gate's first design did not ask for this. In suites of equal programs, drawn
/// from recorded trials, 2.0 % were falsely regressed without it and 0.7 % with it.
///
/// The same rule applies to the null arms among themselves, in either direction. One that fires voids only its cell.
#[must_use]
pub fn judge(samples: &[Sample], rate: f64) -> Vec<Judged> {
    let heads: Vec<TestStatistic> =
        samples.iter().map(|sample| TestStatistic::of(sample.log_ratios, sample)).collect();
    let nulls: Vec<TestStatistic> =
        samples.iter().map(|sample| TestStatistic::of(sample.null, sample)).collect();
    let mut found = directions(&heads, rate);
    for (found, sample) in found.iter_mut().zip(samples) {
        *found = found.filter(|direction| is_so_of_the_copy(sample, *direction));
    }
    let fired = directions(&nulls, rate);
    let alpha = rate / samples.len() as f64;
    let each = samples.iter().zip(heads.iter().zip(&nulls)).zip(found.into_iter().zip(fired));
    each.map(|((sample, (head, null)), (direction, fired))| {
        let judged = judged(sample, head.0, direction, alpha);
        Judged {
            verdict: judged.verdict.filter(|_| fired.is_none()),
            null: null.0.map(change),
            null_fired: fired.is_some(),
            ..judged
        }
    })
    .collect()
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

/// A test; `None` if it could not be made.
struct TestStatistic(Option<Trimmed>, f64);

impl TestStatistic {
    fn of(log_ratios: &[f64], sample: &Sample) -> Self {
        let trimmed = Trimmed::of(log_ratios).map(|of| of.with_layout(sample.layout_sd));
        TestStatistic(trimmed, sample.margin.ln_1p())
    }
}

/// Returns regressed or improved for rejected cells that changed by their margin.
fn directions(arms: &[TestStatistic], rate: f64) -> Vec<Option<Verdict>> {
    let chances = |of: fn(Trimmed) -> f64| {
        let chances: Vec<f64> = arms.iter().map(|arm| arm.0.map_or(f64::NAN, of)).collect();
        discoveries(&chances, rate)
    };
    let (slower, faster) = (chances(Trimmed::p_above), chances(Trimmed::p_below));
    let each = arms.iter().zip(slower.into_iter().zip(faster));
    each.map(|(TestStatistic(trimmed, margin), (slower, faster))| {
        let mean = (*trimmed)?.mean;
        if slower && mean >= *margin {
            Some(Verdict::Regressed)
        } else if faster && mean <= -margin {
            Some(Verdict::Improved)
        } else {
            None
        }
    })
    .collect()
}

fn judged(
    sample: &Sample,
    head: Option<Trimmed>,
    direction: Option<Verdict>,
    alpha: f64,
) -> Judged {
    let unknown = Judged {
        verdict: (!sample.log_ratios.is_empty()).then_some(Verdict::Inconclusive),
        change: None,
        detectable: None,
        trials_needed: None,
        null: None,
        null_fired: false,
    };
    let Some(head) = head else { return unknown };
    let clear = sample.clear_margin.ln_1p();
    let verdict = direction.unwrap_or(if head.upper(LEVEL) < clear {
        Verdict::NotRegressed
    } else {
        Verdict::Inconclusive
    });
    let bar = Bar { alpha, power: POWER, margin: sample.margin.ln_1p() };
    Judged {
        verdict: Some(verdict),
        change: Some(change(head)),
        detectable: Some(bar.detectable(head.se, head.df).exp_m1()),
        trials_needed: (verdict == Verdict::Inconclusive)
            .then(|| trials_needed(sample, head, bar))
            .flatten(),
        ..unknown
    }
}

fn trials_needed(sample: &Sample, head: Trimmed, bar: Bar) -> Option<u32> {
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
        Trimmed { mean: head.mean, se, df }.upper(LEVEL) < clear
    })?;
    Some(seen.max(bounded))
}

/// Converts a change in logarithms to a share.
fn change(of: Trimmed) -> Change {
    let (lower, upper) = of.interval(LEVEL);
    Change {
        share: of.mean.exp_m1(),
        lower: lower.exp_m1(),
        upper: upper.exp_m1(),
        p_slower: of.p_above(),
        p_faster: of.p_below(),
    }
}
