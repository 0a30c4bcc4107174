//! The intended starts of requests in the open loop: computed from a seed, independent of the server.

use serde::{Deserialize, Serialize};

use super::split::Split;
use crate::job::mix;

/// The number of requests in a burst, which start at the same moment.
pub const BURST: u32 = 10;

/// The distribution of arrivals over time. All have the same mean rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Equal times between arrivals.
    Uniform,
    /// A Poisson process: the times between arrivals are exponential, as for many independent clients.
    Poisson,
    /// [`BURST`] arrivals at the same moment; the moments are a Poisson process of a tenth of the rate.
    Burst,
}

/// The number of arrivals due until each moment: the integral of the rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// The rate before the ramp, in arrivals per second; the constant rate without a ramp.
    rate: f64,
    /// When the ramp begins, in seconds.
    begins: f64,
    /// The growth of the rate in each second of the ramp.
    grows: f64,
}

impl Course {
    /// Returns a constant rate.
    pub(super) fn steady(rate: f64) -> Self {
        Course { rate, begins: 0.0, grows: 0.0 }
    }

    /// Returns a rate that changes linearly from `from` to `to` over a window, in nanoseconds, and is `from` before.
    pub(super) fn ramp(from: f64, to: f64, (start_ns, end_ns): (u64, u64)) -> Self {
        let seconds = (end_ns - start_ns) as f64 / 1e9;
        Course { rate: from, begins: start_ns as f64 / 1e9, grows: (to - from) / seconds }
    }

    /// Returns when this many arrivals are due, in seconds; never, if a falling rate ends before.
    fn reaches(self, arrivals: f64) -> f64 {
        let before = self.rate * self.begins;
        if arrivals <= before || self.grows == 0.0 {
            return arrivals / self.rate;
        }
        // Solves rate·t + grows·t²/2 = rest without the difference of two nearly equal numbers.
        let rest = arrivals - before;
        let root = self.rate * self.rate + 2.0 * self.grows * rest;
        if root < 0.0 {
            return f64::INFINITY;
        }
        self.begins + 2.0 * rest / (self.rate + root.sqrt())
    }
}

/// The moments of arrival in nanoseconds since the clock started. The same seed gives the same ones. Of several
/// generators, each computes all of them and returns those that it owns.
///
/// They are the arrivals of a process of rate 1, each moved to where the integral of the rate reaches it. That is exact
/// for every course, and keeps a Poisson process one.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    course: Course,
    arrivals: Arrivals,
    state: u64,
    split: Split,
    count: u64,
    /// The position of the process of rate 1, with its fraction, so that rounding does not accumulate.
    due: f64,
}

impl Schedule {
    pub(super) fn new(course: Course, arrivals: Arrivals, seed: u64, split: Split) -> Self {
        Schedule { course, arrivals, state: mix(seed), split, count: 0, due: 0.0 }
    }

    /// Returns the next moment; never before the last one.
    pub(super) fn next(&mut self) -> u64 {
        while !self.split.owns(self.count) {
            self.advance();
        }
        self.advance();
        (self.course.reaches(self.due) * 1e9) as u64
    }

    /// Moves to the next arrival of the whole schedule.
    fn advance(&mut self) {
        self.due = match self.arrivals {
            Arrivals::Uniform => self.count as f64,
            Arrivals::Poisson => self.due + self.exponential(),
            Arrivals::Burst if self.count.is_multiple_of(u64::from(BURST)) => {
                self.due + self.exponential() * f64::from(BURST)
            }
            Arrivals::Burst => self.due,
        };
        self.count += 1;
    }

    /// Returns an exponential number of mean 1, by inversion.
    fn exponential(&mut self) -> f64 {
        let random = mix(self.state);
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        // 53 bits in (0, 1], because the logarithm of 0 is infinite.
        let share = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -share.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Arrivals; 3] = [Arrivals::Uniform, Arrivals::Poisson, Arrivals::Burst];

    fn moments(arrivals: Arrivals, seed: u64, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::new(Course::steady(1000.0), arrivals, seed, Split::WHOLE);
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
        // −ln of SplitMix64's upper 53 bits over 2⁵³, accumulated and multiplied by the mean, computed in Python.
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

    /// Returns the moments of a second at the first rate and ten seconds of a ramp.
    fn ramp(from: f64, to: f64, arrivals: Arrivals, seed: u64) -> Vec<u64> {
        let course = Course::ramp(from, to, (1_000_000_000, 11_000_000_000));
        let mut schedule = Schedule::new(course, arrivals, seed, Split::WHOLE);
        std::iter::repeat_with(|| schedule.next()).take_while(|at| *at < 11_000_000_000).collect()
    }

    /// Returns the integral of that rate up to a moment.
    fn area(from: f64, to: f64, at_ns: u64) -> f64 {
        let at = at_ns as f64 / 1e9;
        let on_it = (at - 1.0).max(0.0);
        from * at + (to - from) / 10.0 * on_it * on_it / 2.0
    }

    const RAMPS: [(f64, f64); 6] = [
        (100.0, 5000.0),
        (5000.0, 100.0),
        (700.0, 700.0),
        (0.5, 3000.0),
        (1000.0, 1000.001),
        (37.5, 1.0),
    ];

    #[test]
    fn uniform_arrivals_of_a_ramp_are_where_its_area_is_a_whole_number() {
        for (from, to) in RAMPS {
            let all = ramp(from, to, Arrivals::Uniform, 1);
            assert_eq!(all.len(), area(from, to, 11_000_000_000).ceil() as usize, "{from}..{to}");
            for (number, at) in all.iter().enumerate() {
                let due = area(from, to, *at);
                assert!((due - number as f64).abs() < 1e-4, "{from}..{to}: {number} at {due}");
            }
            // No gap is longer than the lowest rate requires.
            for two in all.windows(2) {
                let rate = |at: u64| from + (to - from) * (at as f64 / 1e9 - 1.0).max(0.0) / 10.0;
                let most = 1e9 / rate(two[0]).min(rate(two[1]));
                assert!((two[1] - two[0]) as f64 <= most * (1.0 + 1e-6) + 2.0, "{from}..{to}");
            }
        }
    }

    #[test]
    fn random_arrivals_of_a_ramp_have_its_rate_in_each_part_of_it_and_its_seed() {
        const SEEDS: u64 = 200;
        for (from, to) in [(100.0, 1000.0), (1000.0, 100.0)] {
            // The variance of a sum of bursts is ten times that of single arrivals.
            for (arrivals, each) in [(Arrivals::Poisson, 1.0), (Arrivals::Burst, 10.0)] {
                let mut found = [0.0; 11];
                for at in (0..SEEDS).flat_map(|seed| ramp(from, to, arrivals, seed)) {
                    found[(at / 1_000_000_000) as usize] += 1.0;
                }
                for (second, found) in found.iter().enumerate() {
                    let border = |second: usize| area(from, to, second as u64 * 1_000_000_000);
                    let wanted = (border(second + 1) - border(second)) * SEEDS as f64;
                    let off = (found - wanted).abs() / (wanted * each).sqrt();
                    assert!(off < 4.0, "{arrivals:?} {from}..{to}, second {second}: {off} sigma");
                }
                assert_eq!(ramp(from, to, arrivals, 7), ramp(from, to, arrivals, 7));
                assert_ne!(ramp(from, to, arrivals, 7), ramp(from, to, arrivals, 8));
            }
        }
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "these sums are exact in binary")]
    fn a_ramp_begins_where_its_window_does_and_a_falling_rate_ends_where_it_is_0() {
        // A second at 2 a second is 2 arrivals, and two seconds are 4; then the rate falls to 0 within two seconds.
        for begins in [1_u64, 2] {
            let window = (begins * 1_000_000_000, (begins + 2) * 1_000_000_000);
            let course = Course::ramp(2.0, 0.0, window);
            let (begins, before) = (begins as f64, begins as f64 * 2.0);
            let reached = |arrivals: f64, wanted: f64| {
                let found = course.reaches(before + arrivals);
                assert!((found - wanted).abs() < 1e-12, "{arrivals}: {found}, not {wanted}");
            };
            reached(0.0, begins);
            reached(-1.0, begins - 0.5);
            // The triangle has an area of 2: three quarters of it are over in the first half.
            reached(1.5, begins + 1.0);
            reached(2.0, begins + 2.0);
            assert!(course.reaches(before + 2.001).is_infinite());
        }
    }

    #[test]
    fn the_greatest_gap_is_finite() {
        // The state that SplitMix64 turns into 0, which is the least random number.
        let state = 0_u64.wrapping_sub(0x9E37_79B9_7F4A_7C15);
        assert_eq!(mix(state), 0);
        let course = Course::steady(1.0);
        let mut schedule = Schedule::new(course, Arrivals::Poisson, 0, Split::WHOLE);
        schedule.state = state;
        assert!((schedule.exponential() - 53.0 * 2_f64.ln()).abs() < 1e-9);
    }
}
