//! When requests are meant to start in the open loop: computed beforehand from a seed, whatever the server does.

use serde::{Deserialize, Serialize};

use crate::job::mix;

/// How many requests of a burst start at the same moment.
pub const BURST: u32 = 10;

/// How arrivals are spread over time. All have the same mean rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// The same time between any two.
    Uniform,
    /// A Poisson process: the times between two are exponential, as those of many independent clients are.
    Poisson,
    /// [`BURST`] at the same moment; the moments are a Poisson process of a tenth of the rate.
    Burst,
}

/// The moments of arrival in nanoseconds since the clock started. The same seed gives the same ones.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    arrivals: Arrivals,
    /// Mean time between two arrivals.
    mean_ns: f64,
    state: u64,
    count: u64,
    /// The last moment, with its fraction, so that rounding does not add up.
    at_ns: f64,
}

impl Schedule {
    pub(super) fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Self {
        Schedule { arrivals, mean_ns: 1e9 / rate, state: mix(seed), count: 0, at_ns: 0.0 }
    }

    /// The next moment; never before the last one.
    pub(super) fn next(&mut self) -> u64 {
        self.at_ns = match self.arrivals {
            Arrivals::Uniform => self.count as f64 * self.mean_ns,
            Arrivals::Poisson => self.at_ns + self.exponential() * self.mean_ns,
            Arrivals::Burst if self.count.is_multiple_of(u64::from(BURST)) => {
                self.at_ns + self.exponential() * self.mean_ns * f64::from(BURST)
            }
            Arrivals::Burst => self.at_ns,
        };
        self.count += 1;
        self.at_ns as u64
    }

    /// An exponential number of mean 1, by inversion.
    fn exponential(&mut self) -> f64 {
        let random = mix(self.state);
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        // 53 bits in (0, 1]: the logarithm of 0 is not a time.
        let share = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -share.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Arrivals; 3] = [Arrivals::Uniform, Arrivals::Poisson, Arrivals::Burst];

    fn moments(arrivals: Arrivals, seed: u64, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::new(1000.0, arrivals, seed);
        (0..count).map(|_| schedule.next()).collect()
    }

    fn gaps(moments: &[u64]) -> (f64, f64) {
        let gaps: Vec<f64> = moments.windows(2).map(|two| (two[1] - two[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn the_same_seed_gives_the_same_moments_and_another_gives_others() {
        for arrivals in ALL {
            assert_eq!(moments(arrivals, 7, 1000), moments(arrivals, 7, 1000));
        }
        for arrivals in [Arrivals::Poisson, Arrivals::Burst] {
            assert_ne!(moments(arrivals, 7, 1000), moments(arrivals, 8, 1000));
        }
    }

    #[test]
    fn the_moments_are_those_of_the_formula() {
        // −ln of SplitMix64's upper 53 bits over 2⁵³, added up and times the mean, by a calculation in Python.
        let poisson = [326_411, 757_649, 1_356_624, 1_860_417];
        assert_eq!(moments(Arrivals::Poisson, 7, 4), poisson);
        assert_eq!(moments(Arrivals::Uniform, 7, 4), [0, 1_000_000, 2_000_000, 3_000_000]);
        let bursts = moments(Arrivals::Burst, 7, 21);
        assert_eq!([bursts[0], bursts[10], bursts[20]], [3_264_115, 7_576_494, 13_566_246]);
    }

    #[test]
    fn every_kind_has_the_rate_that_was_asked_for() {
        for arrivals in ALL {
            let (mean, _) = gaps(&moments(arrivals, 3, 200_000));
            assert!((mean / 1e6 - 1.0).abs() < 0.02, "{arrivals:?}: {mean} ns between two");
        }
    }

    #[test]
    fn uniform_ones_do_not_vary_and_poisson_ones_vary_as_much_as_their_mean() {
        assert!(gaps(&moments(Arrivals::Uniform, 3, 200_000)).1 < 1e-5);
        let (_, variation) = gaps(&moments(Arrivals::Poisson, 3, 200_000));
        assert!((variation - 1.0).abs() < 0.02, "{variation}");
    }

    #[test]
    fn a_burst_is_ten_at_the_same_moment() {
        let all = moments(Arrivals::Burst, 3, 1000);
        for burst in all.chunks(BURST as usize) {
            assert!(burst.iter().all(|moment| *moment == burst[0]));
        }
        assert!(all[9] < all[10]);
    }
}
