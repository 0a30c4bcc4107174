//! Trimmed means with their standard error, and the tests and intervals of Student's t for them.

use super::{
    sorted,
    t::{t_above, t_quantile},
};

/// The share that is trimmed at each end.
const TRIM: f64 = 0.2;
/// With fewer values there is no trimmed mean: nothing would be cut off.
pub const FEWEST: usize = 5;

/// A 20 % trimmed mean, or the difference of two, with its standard error. In the unit of the values.
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
        let part = Part::of(values)?;
        let se = part.variance.sqrt() / ((1.0 - 2.0 * TRIM) * part.count.sqrt());
        Self { mean: part.mean, se, df: part.kept - 1.0 }.finite()
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
    fn finite(self) -> Option<Self> {
        (self.mean.is_finite() && self.se.is_finite() && self.df.is_finite()).then_some(self)
    }
}

/// Returns by how much the trimmed mean of `head` exceeds that of `base`, for unpaired values (Yuen, 1974, with the
/// degrees of freedom of Welch, 1938). `None` if one of them has no trimmed mean.
///
/// Its intervals cover random variation within each side. They cannot cover a lasting difference between the sides,
/// such as a machine that is slower today.
#[must_use]
pub fn difference(base: &[f64], head: &[f64]) -> Option<Trimmed> {
    let parts = [Part::of(base)?, Part::of(head)?];
    let [base_share, head_share] =
        parts.map(|part| (part.count - 1.0) * part.variance / (part.kept * (part.kept - 1.0)));
    let both = base_share + head_share;
    let spread =
        base_share.powi(2) / (parts[0].kept - 1.0) + head_share.powi(2) / (parts[1].kept - 1.0);
    // Without any spread, any number of degrees gives the same result: that of the smaller side is taken.
    let fewer = parts[0].kept.min(parts[1].kept) - 1.0;
    let df = if spread > 0.0 { both.powi(2) / spread } else { fewer };
    Trimmed { mean: parts[1].mean - parts[0].mean, se: both.sqrt(), df }.finite()
}

/// A trimmed sample.
#[derive(Clone, Copy)]
struct Part {
    count: f64,
    /// The number of values kept.
    kept: f64,
    mean: f64,
    /// The winsorised variance: each trimmed value counts as the nearest kept one.
    variance: f64,
}

impl Part {
    fn of(values: &[f64]) -> Option<Self> {
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
            return Some(Part { count, kept, mean: low, variance: 0.0 });
        }
        let mean = values[cut..=last].iter().sum::<f64>() / kept;
        for value in &mut values {
            *value = value.clamp(low, high);
        }
        let middle = values.iter().sum::<f64>() / count;
        let variance =
            values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (count - 1.0);
        Some(Part { count, kept, mean, variance })
    }
}
