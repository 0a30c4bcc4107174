//! The Universal Scalability Law: the cost of contention and coherency, fitted to throughput over scale or workers.

mod fit;
#[cfg(test)]
mod tests;

use std::iter;

use fit::{Law, Point};

use super::sorted;
use paceline_core::job::mix;

/// The fewest distinct loads that are fitted: three parameters fit any few points.
pub const USL_POINTS: usize = 6;
/// The least share of the variance of throughput that a law must explain.
const LEAST_R_SQUARED: f64 = 0.9;
/// The greatest relative error of a throughput under the law.
const MOST_MISSED: f64 = 0.25;
/// The number of bootstrap samples for the intervals.
const SAMPLES: usize = 400;
/// The share of cases in which an interval should cover the true value.
const LEVEL: f64 = 0.95;

/// A law that fits: X(N) = λN / (1 + σ(N − 1) + κN(N − 1)) (Gunther, "A Simple Capacity Model of Massively Parallel
/// Transaction Systems", 1993, and "Guerrilla Capacity Planning", 2007).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// λ: throughput of a single job or worker, in the unit of the throughput.
    pub lambda: Fitted,
    /// σ: contention, the serial share of the work. From 0 to 1.
    pub sigma: Fitted,
    /// κ: coherency, the cost of each pair that must agree. 0 or more.
    pub kappa: Fitted,
    /// The maximum of throughput; `None` if throughput never falls, or falls from the beginning.
    pub peak: Option<Peak>,
    /// The share of the variance of throughput that the law explains, from 0.9 to 1.
    pub r_squared: f64,
    /// The greatest load that was measured: the law beyond it is a prediction.
    pub measured_to: f64,
}

/// A parameter and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// Its value.
    pub value: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// The maximum of throughput.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The load, √((1 − σ) / κ). The upper end of its interval is infinite if the data cannot exclude that there is no
    /// peak.
    pub at: Fitted,
    /// The throughput there.
    pub throughput: Fitted,
}

impl Usl {
    /// Returns the throughput that the law predicts at load `n`.
    #[must_use]
    pub fn throughput(&self, n: f64) -> f64 {
        let law =
            Law { lambda: self.lambda.value, sigma: self.sigma.value, kappa: self.kappa.value };
        law.throughput(n)
    }
}

/// Fits the law to `points` of load, throughput and its standard deviation, by least squares with 0 ≤ σ ≤ 1, κ ≥ 0 and
/// λ > 0. Each square is weighted by 1 / variance: over decades of throughput, unweighted squares would reflect the
/// greatest throughputs only.
///
/// Intervals come from a wild bootstrap: each residual stays with its point and changes its sign at random (Wu, 1986),
/// after division by 1 − leverage, as in HC3 of `MacKinnon` and White (1985). Points drawn with replacement would often
/// leave too few distinct loads for three parameters. Residuals moved to other points would apply the noise at 10 000
/// jobs to 1 job. The ends are those of the middle 95 % of the samples, moved apart by the ratio of Student's t to the
/// normal distribution, because samples of few points spread too little. The same points give the same intervals.
///
/// # Errors
///
/// Returns a sentence that says why no law fits: fewer than 6 distinct loads, a load or a throughput that is not a
/// positive number, throughput that falls from the first load on, a law that explains less than 90 % of the variance,
/// or one that misses a point by more than a quarter.
pub fn usl_by_variance(points: &[(f64, f64, f64)]) -> Result<Usl, String> {
    let weighted: Vec<Point> = points.iter().map(|(n, x, sd)| (*n, *x, 1.0 / sd.powi(2))).collect();
    let law = fitted(&weighted)?;
    let misses = |(n, x, _): &Point| (*n, (law.throughput(*n) / x - 1.0).abs());
    let worst = weighted.iter().map(misses).max_by(|a, b| a.1.total_cmp(&b.1));
    match worst.filter(|(_, miss)| *miss > MOST_MISSED) {
        Some((n, miss)) => Err(format!(
            "the law misses the throughput at {n} by {:.0} %: do not predict by it",
            100.0 * miss
        )),
        None => Ok(law),
    }
}

/// Fits the law to throughputs of equal variance, as in the published fits.
///
/// # Errors
///
/// Returns a sentence that says why no law fits.
pub fn usl(points: &[(f64, f64)]) -> Result<Usl, String> {
    fitted(&points.iter().map(|(n, x)| (*n, *x, 1.0)).collect::<Vec<_>>())
}

fn fitted(points: &[Point]) -> Result<Usl, String> {
    check(points)?;
    let law =
        fit::best(points, None).ok_or("no law comes near these points: measure more scales")?;
    let r_squared = r_squared(points, law);
    // Written so that NaN is refused too.
    if r_squared.is_nan() || r_squared < LEAST_R_SQUARED {
        let share = (100.0 * r_squared.max(0.0)).floor();
        return Err(format!(
            "the law explains {share} % of how throughput varies, and at least 90 % are asked for: do not predict by it"
        ));
    }
    if law.sigma >= 1.0 {
        return Err(
            "throughput does not rise from the first load on: there is no scaling to fit a law to"
                .into(),
        );
    }
    let samples = samples(points, law);
    if !settles(samples.len()) {
        return Err("the points do not settle the law: measure more scales, or more trials".into());
    }
    let spread = spread(points.len());
    let with_interval = |of: fn(&Law) -> f64, least: f64, most: f64| {
        interval(of(&law), &samples.iter().map(of).collect::<Vec<_>>(), spread, least, most)
    };
    let peak = law.peak().map(|at| Peak {
        at: interval(
            at,
            &samples.iter().map(|law| law.peak().unwrap_or(f64::INFINITY)).collect::<Vec<_>>(),
            spread,
            0.0,
            f64::INFINITY,
        ),
        throughput: interval(
            law.throughput(at),
            &samples.iter().map(Law::most).collect::<Vec<_>>(),
            spread,
            0.0,
            f64::INFINITY,
        ),
    });
    Ok(Usl {
        lambda: with_interval(|law| law.lambda, 0.0, f64::INFINITY),
        sigma: with_interval(|law| law.sigma, 0.0, 1.0),
        kappa: with_interval(|law| law.kappa, 0.0, f64::INFINITY),
        peak,
        r_squared,
        measured_to: points.iter().map(|(n, ..)| *n).fold(0.0, f64::max),
    })
}

fn check(points: &[Point]) -> Result<(), String> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let sound = |(n, x, weight): &&Point| positive(*n) && positive(*x) && positive(*weight);
    if let Some((n, x, _)) = points.iter().find(|point| !sound(point)) {
        return Err(format!(
            "a throughput of {x} at a load of {n} is in no law: both must be positive numbers, and so must its variance"
        ));
    }
    let mut loads = sorted(&points.iter().map(|(n, ..)| *n).collect::<Vec<_>>());
    loads.dedup();
    if loads.len() < USL_POINTS {
        return Err(format!(
            "{} distinct loads are too few for three parameters: measure at least {USL_POINTS}",
            loads.len()
        ));
    }
    Ok(())
}

/// Returns 1 minus the share of the weighted variance that is unexplained.
fn r_squared(points: &[Point], law: Law) -> f64 {
    let weights: f64 = points.iter().map(|(.., weight)| weight).sum();
    let mean = points.iter().map(|(_, x, weight)| weight * x).sum::<f64>() / weights;
    let all: f64 = points.iter().map(|(_, x, weight)| weight * (x - mean).powi(2)).sum();
    1.0 - law.squares(points) / all
}

/// Fits the law to bootstrap samples of the points.
fn samples(points: &[Point], law: Law) -> Vec<Law> {
    let leverages = law.leverages(points);
    let residual = |(&(n, x, _), leverage): (&Point, f64)| {
        // A point that alone determines a parameter has a residual near 0.
        (x - law.throughput(n)) / (1.0 - leverage).max(0.1)
    };
    let residuals: Vec<f64> = points.iter().zip(leverages).map(residual).collect();
    let mut signs = iter::successors(Some(mix(points.len() as u64)), |state| Some(mix(*state)));
    let drawn = (0..SAMPLES).filter_map(|_| {
        let moved = |(&(n, _, weight), residual): (&Point, &f64)| {
            let up = signs.next().is_some_and(|state| state >> 63 == 0);
            (n, law.throughput(n) + if up { *residual } else { -residual }, weight)
        };
        let points: Vec<Point> = points.iter().zip(&residuals).map(moved).collect();
        fit::best(&points, Some(law))
    });
    drawn.collect()
}

/// Returns whether enough samples have a law.
fn settles(fitted: usize) -> bool {
    fitted >= SAMPLES * 9 / 10
}

/// Returns how much wider Student's t for `count` points and three parameters is than the normal distribution.
fn spread(count: usize) -> f64 {
    let both = f64::midpoint(1.0, LEVEL);
    super::t::t_quantile(both, count as f64 - 3.0) / super::t::t_quantile(both, 1e6)
}

/// Returns the middle interval of `samples`, widened around `value` by `spread`, within the bounds.
fn interval(value: f64, samples: &[f64], spread: f64, least: f64, most: f64) -> Fitted {
    let samples = sorted(samples);
    let at = |share: f64| samples[(share * (samples.len() - 1) as f64).round() as usize];
    let tail = (1.0 - LEVEL) / 2.0;
    let moved = |end: f64| (value + spread * (end - value)).clamp(least, most);
    Fitted { value, lower: moved(at(tail).min(value)), upper: moved(at(1.0 - tail).max(value)) }
}
