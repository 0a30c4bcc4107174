//! What pairs say: medians, and trimmed means with their intervals.

/// A 20 %-trimmed mean and the half-width of its 95 % interval (Yuen 1974).
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    half: f64,
}

impl Estimate {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        values.sort_by(f64::total_cmp);
        let cut = values.len() / 5;
        let kept = values[cut..values.len() - cut].to_vec();
        let (least, most, h) = (kept[0], kept[kept.len() - 1], kept.len() as f64);
        for value in &mut values {
            *value = value.clamp(least, most);
        }
        let centre = average(&values);
        let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
        let half = student(kept.len() - 1) * (squares / (h * (h - 1.0))).sqrt();
        Estimate { mean: average(&kept), half }
    }

    /// The interval of a mean of logarithms, as ratios.
    pub(crate) fn interval(&self) -> String {
        match self.half {
            half if half.is_nan() => "[unknown]".into(),
            half => format!("[{:.3}, {:.3}]", (self.mean - half).exp(), (self.mean + half).exp()),
        }
    }
}

/// Student's t for 95 %, two-sided.
fn student(freedom: usize) -> f64 {
    #[rustfmt::skip]
    const TABLE: [f64; 31] = [
        f64::INFINITY, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    TABLE[freedom.min(30)]
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (below, above) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[below], values[above])
}
