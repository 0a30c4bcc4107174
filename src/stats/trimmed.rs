//! Trimmed means with their standard error, and the tests and intervals of Student's t for them.

use super::{
    sorted,
    t::{t_above, t_quantile},
};

/// The share that is trimmed at each end.
const TRIM: f64 = 0.2;
/// With fewer values there is no trimmed mean: nothing would be cut off.
pub const FEWEST: usize = 5;

/// A 20 % trimmed mean, a plain mean, or the difference of two of these, with its standard error. In the unit of the values.
///
/// The g = ⌊0.2 n⌋ least and greatest of n values are trimmed, and h = n − 2 g are left. The standard error comes from
/// the winsorised standard deviation, and m / se has Student's t distribution with h − 1 degrees of freedom (Yuen, "The
/// two-sample trimmed t for unequal population variances", 1974). The test keeps its size with heavy tails, where a
/// plain t test loses power.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trimmed {
    /// The trimmed mean.
    pub mean: f64,
    /// Its standard error. 0 if all values that were kept are equal.
    pub se: f64,
    /// The degrees of freedom.
    pub df: f64,
}

impl Trimmed {
    /// Returns the trimmed mean of `values`; `None` if there are fewer than [`FEWEST`], or one is not finite: such a
    /// value has no rank, and leaving it out would bias the result.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < FEWEST || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let mut values = sorted(values);
        // In integers, because a fifth is not a float: 0.2 × n may fall short of a whole number.
        let cut = values.len() / 5;
        let last = values.len() - 1 - cut;
        let (count, kept) = (values.len() as f64, (last + 1 - cut) as f64);
        let (low, high) = (values[cut], values[last]);
        if low >= high {
            // Explicit, because rounding can make the mean of equal values differ from them.
            return Some(Trimmed { mean: low, se: 0.0, df: kept - 1.0 });
        }
        let mean = values[cut..=last].iter().sum::<f64>() / kept;
        for value in &mut values {
            *value = value.clamp(low, high);
        }
        let middle = values.iter().sum::<f64>() / count;
        let variance =
            values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (count - 1.0);
        let se = variance.sqrt() / ((1.0 - 2.0 * TRIM) * count.sqrt());
        Self { mean, se, df: kept - 1.0 }.finite()
    }

    /// Adds a source of error that more trials do not reduce: `sd`, its standard deviation. A new build of a program
    /// moves its code, and that alone changes times.
    #[must_use]
    pub fn with_layout(self, sd: f64) -> Self {
        Trimmed { se: self.se.hypot(sd), ..self }
    }

    /// Returns the p-value of such a mean or a greater one if the true mean is 0: small if the true mean is above 0.
    ///
    /// Without any spread it is 0, 1/2 or 1, by the sign of the mean.
    #[must_use]
    pub fn p_above(self) -> f64 {
        if self.se > 0.0 {
            return t_above(self.mean / self.se, self.df);
        }
        match self.mean {
            mean if mean > 0.0 => 0.0,
            mean if mean < 0.0 => 1.0,
            _ => 0.5,
        }
    }

    /// Returns the p-value of such a mean or a lesser one if the true mean is 0: small if the true mean is below 0.
    #[must_use]
    pub fn p_below(self) -> f64 {
        Trimmed { mean: -self.mean, ..self }.p_above()
    }

    /// Returns the two-sided interval that covers the true mean in a share `level` of all cases.
    ///
    /// # Panics
    ///
    /// Panics if `level` is not between 0 and 1.
    #[must_use]
    pub fn interval(self, level: f64) -> (f64, f64) {
        let half = t_quantile(f64::midpoint(1.0, level), self.df) * self.se;
        (self.mean - half, self.mean + half)
    }

    /// Returns the one-sided upper bound: the true mean is below it in a share `level` of all cases.
    ///
    /// # Panics
    ///
    /// Panics if `level` is not between 0 and 1.
    #[must_use]
    pub fn upper(self, level: f64) -> f64 {
        self.mean + t_quantile(level, self.df) * self.se
    }

    /// Returns `None` for values near the limits of a float, which have no finite variance.
    pub(super) fn finite(self) -> Option<Self> {
        (self.mean.is_finite() && self.se.is_finite() && self.df.is_finite()).then_some(self)
    }
}
