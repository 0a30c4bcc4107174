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

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 20_000;

    fn moments(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
    }

    /// Returns the correlation of values that are `apart` places apart.
    fn correlation(values: &[f64], apart: usize) -> f64 {
        let (mean, deviation) = moments(values);
        let pairs = values.iter().zip(&values[apart..]);
        let shared: f64 = pairs.map(|(one, other)| (one - mean) * (other - mean)).sum();
        shared / (values.len() - apart) as f64 / deviation.powi(2)
    }

    #[track_caller]
    fn near(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() < by, "{found} is not {wanted}");
    }

    #[test]
    fn white_and_correlated_noise_have_the_spread_and_the_correlation_of_their_names() {
        let kinds = [
            (Kind::White, 0.0, "white"),
            (Kind::Correlated3, 0.3, "AR(1), rho 0.3"),
            (Kind::Correlated5, 0.5, "AR(1), rho 0.5"),
            (Kind::Correlated7, 0.7, "AR(1), rho 0.7"),
        ];
        for (kind, rho, name) in kinds {
            let values = series(kind, LONG, 5);
            let (mean, deviation) = moments(&values);
            near(mean, 0.0, 0.05);
            near(deviation, 1.0, 0.04);
            near(correlation(&values, 1), rho, 0.03);
            near(correlation(&values, 2), rho * rho, 0.04);
            // Normal: 68.3 % within one standard deviation, 95.4 % within two.
            let within = |most: f64| {
                values.iter().filter(|value| value.abs() < most).count() as f64 / LONG as f64
            };
            near(within(1.0), 0.683, 0.02);
            near(within(2.0), 0.954, 0.01);
            assert_eq!(kind.name(), name);
        }
    }

    #[test]
    fn a_correlated_series_begins_with_the_spread_that_it_keeps() {
        let firsts: Vec<f64> =
            (0..4_000).map(|seed| series(Kind::Correlated7, 1, seed)[0]).collect();
        let (mean, deviation) = moments(&firsts);
        near(mean, 0.0, 0.07);
        near(deviation, 1.0, 0.05);
    }

    #[test]
    fn a_tenth_of_spiky_noise_is_far_out_half_of_it_on_each_side() {
        let values = series(Kind::Spiky, LONG, 6);
        let share = |of: fn(&f64) -> bool| {
            values.iter().filter(|value| of(value)).count() as f64 / LONG as f64
        };
        near(share(|value| *value > 5.0), 0.05, 0.006);
        near(share(|value| *value < -5.0), 0.05, 0.006);
        let of = |side: fn(&f64) -> bool| {
            moments(&values.iter().copied().filter(side).collect::<Vec<_>>())
        };
        for ((mean, deviation), wanted) in [
            (of(|value| *value > 5.0), 10.0),
            (of(|value| *value < -5.0), -10.0),
            (of(|value| value.abs() < 5.0), 0.0),
        ] {
            near(mean, wanted, 0.15);
            near(deviation, 1.0, 0.1);
        }
    }

    #[test]
    fn students_t_has_the_quantiles_of_2_degrees_of_freedom() {
        let mut values = series(Kind::StudentT, LONG, 7);
        values.sort_by(f64::total_cmp);
        // scipy.stats.t.ppf([0.05, 0.25, 0.5, 0.75, 0.95], 2).
        let wanted: [(f64, f64); 5] =
            [(0.05, -2.920), (0.25, -0.8165), (0.5, 0.0), (0.75, 0.8165), (0.95, 2.920)];
        for (share, wanted) in wanted {
            let by = if wanted.abs() > 2.0 { 0.15 } else { 0.04 };
            near(values[(share * LONG as f64) as usize], wanted, by);
        }
    }

    #[test]
    fn each_value_of_two_modes_is_in_one_of_them_at_random() {
        let values = series(Kind::Bimodal, LONG, 8);
        let (high, low): (Vec<f64>, Vec<f64>) = values.iter().partition(|value| **value > 5.0);
        near(high.len() as f64 / LONG as f64, 0.5, 0.02);
        for (part, wanted) in [(low, 0.0), (high, 10.0)] {
            let (mean, deviation) = moments(&part);
            near(mean, wanted, 0.05);
            near(deviation, 1.0, 0.04);
        }
        near(correlation(&values, 1), 0.0, 0.03);
    }

    #[test]
    fn the_same_seed_gives_the_same_series_and_another_another_of_its_own_length() {
        for kind in Kind::ALL {
            assert_eq!(series(kind, 50, 1), series(kind, 50, 1));
            assert_ne!(series(kind, 50, 1), series(kind, 50, 2));
            assert_eq!(series(kind, 50, 1)[..20], series(kind, 20, 1));
        }
        let names: std::collections::BTreeSet<&str> =
            Kind::ALL.iter().map(|of| of.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        let all: Vec<usize> = (0..10_000).map(lengths).collect();
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&10), Some(&200)));
        let mean = all.iter().sum::<usize>() as f64 / all.len() as f64;
        near(mean, 105.0, 2.0);
    }

    #[test]
    fn uniform_numbers_are_even_between_0_and_1_and_never_at_an_end() {
        let values: Vec<f64> = uniform(9).take(LONG).collect();
        assert!(values.iter().all(|value| *value > 0.0 && *value < 1.0));
        let (mean, deviation) = moments(&values);
        near(mean, 0.5, 0.01);
        near(deviation, 1.0 / 12_f64.sqrt(), 0.01);
    }
}
