//! Generates series of numbers without a step, as noisy as real machines, to test the step detector.

use std::{f64::consts::TAU, iter};

use paceline_core::job::mix;

/// The kind of noise. The level is constant over the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Normal and independent, with a standard deviation of 1.
    White,
    /// AR(1) with a correlation of neighbours of 0.3 and a standard deviation of 1.
    Correlated3,
    /// AR(1) with a correlation of 0.5.
    Correlated5,
    /// AR(1) with a correlation of 0.7.
    Correlated7,
    /// White, with a tenth of the values moved by 10 standard deviations up or down.
    Spiky,
    /// Student's t with 2 degrees of freedom.
    StudentT,
    /// Two modes 10 standard deviations apart, chosen at random for each value.
    Bimodal,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 7] = [
        Kind::White,
        Kind::Correlated3,
        Kind::Correlated5,
        Kind::Correlated7,
        Kind::Spiky,
        Kind::StudentT,
        Kind::Bimodal,
    ];

    /// Returns the name for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::White => "white",
            Kind::Correlated3 => "AR(1), rho 0.3",
            Kind::Correlated5 => "AR(1), rho 0.5",
            Kind::Correlated7 => "AR(1), rho 0.7",
            Kind::Spiky => "10 % outliers of 10 sigma",
            Kind::StudentT => "Student's t, 2 degrees of freedom",
            Kind::Bimodal => "two modes at random",
        }
    }
}

/// Returns a length of 10 to 200 values that depends on `seed`.
#[must_use]
pub fn lengths(seed: u64) -> usize {
    10 + (mix(seed ^ 0x006c_656e) % 191) as usize
}

/// Returns a series of `length` values. The same `seed` gives the same series.
#[must_use]
pub fn series(kind: Kind, length: usize, seed: u64) -> Vec<f64> {
    let mut uniform = uniform(seed);
    let mut next = || uniform.next().unwrap_or(0.5);
    // Box and Muller; the second number is unused.
    let normal = |next: &mut dyn FnMut() -> f64| (-2.0 * next().ln()).sqrt() * (TAU * next()).cos();
    let mut before = normal(&mut next);
    let value = |_| {
        let noise = normal(&mut next);
        let mut correlated = |rho: f64| {
            let value = before;
            before = rho * value + (1.0 - rho * rho).sqrt() * noise;
            value
        };
        match kind {
            Kind::White => noise,
            Kind::Correlated3 => correlated(0.3),
            Kind::Correlated5 => correlated(0.5),
            Kind::Correlated7 => correlated(0.7),
            Kind::Spiky => match next() {
                share if share < 0.05 => noise + 10.0,
                share if share < 0.1 => noise - 10.0,
                _ => noise,
            },
            // Half the square root of a chi-squared number with 2 degrees of freedom is exponential.
            Kind::StudentT => noise / (-next().ln()).sqrt(),
            Kind::Bimodal => noise + if next() < 0.5 { 10.0 } else { 0.0 },
        }
    };
    (0..length).map(value).collect()
}

/// Returns numbers above 0 and below 1.
fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    let states = iter::successors(Some(mix(seed)), |state| Some(mix(*state)));
    states.map(|state| ((state >> 11) as f64 + 0.5) / 2_f64.powi(53))
}
