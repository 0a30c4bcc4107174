//! What pairs say: medians, and trimmed means with their intervals.

use paceline::stats::{Trimmed, median_and_range};

/// The 20 % trimmed mean of some values, with an interval where they are enough for one; else their plain mean.
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    trimmed: Option<Trimmed>,
}

impl Estimate {
    pub(crate) fn of(values: &[f64]) -> Self {
        let trimmed = Trimmed::of(values);
        let plain = || values.iter().sum::<f64>() / values.len() as f64;
        Estimate { mean: trimmed.map_or_else(plain, |of| of.mean), trimmed }
    }

    /// The 95 % interval of a mean of logarithms, as ratios.
    pub(crate) fn interval(&self) -> String {
        self.trimmed.map_or_else(
            || "[unknown]".into(),
            |of| {
                let (lower, upper) = of.interval(0.95);
                format!("[{:.3}, {:.3}]", lower.exp(), upper.exp())
            },
        )
    }
}

/// The middle of some values.
pub(crate) fn median(values: &[f64]) -> f64 {
    median_and_range(values).0
}
