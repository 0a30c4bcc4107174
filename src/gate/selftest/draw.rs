//! Resamples recorded trials, reproducibly by seed.

use paceline_core::job::mix;

/// A random number generator.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Draw(mix(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = mix(self.0);
        self.0
    }

    /// Draws `count` trials from `pool`, with replacement: the head's and the copy's values of each.
    pub(super) fn trials(&mut self, pool: &[(f64, f64)], count: usize) -> (Vec<f64>, Vec<f64>) {
        if pool.is_empty() {
            return (vec![], vec![]);
        }
        (0..count).map(|_| pool[(self.next() % pool.len() as u64) as usize]).unzip()
    }

    /// Draws trials of equal programs: base, head and copy are interchangeable, so they change places at random in each
    /// trial. The true change is then 0, whatever the recorded trials show.
    pub(super) fn equal_trials(
        &mut self,
        pool: &[(f64, f64)],
        count: usize,
    ) -> (Vec<f64>, Vec<f64>) {
        const PLACES: [[usize; 3]; 6] =
            [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let (heads, copies) = self.trials(pool, count);
        let change = |(head, copy): (f64, f64)| {
            let logarithms = [0.0, head, copy];
            let [base, head, copy] =
                PLACES[(self.next() % 6) as usize].map(|place| logarithms[place]);
            (head - base, copy - base)
        };
        heads.into_iter().zip(copies).map(change).unzip()
    }

    /// Returns normal numbers with this standard deviation, each the sum of twelve uniform ones.
    pub(super) fn normal(&mut self, count: usize, sd: f64) -> Vec<f64> {
        let mut uniform = || (self.next() >> 11) as f64 / 2_f64.powi(53);
        (0..count).map(|_| sd * ((0..12).map(|_| uniform()).sum::<f64>() - 6.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_of_the_pool_and_the_same_for_the_same_seed() {
        let pool = [(1.0, -1.0), (2.0, -2.0), (3.0, -3.0)];
        let (head, copy) = Draw::new(5).trials(&pool, 60);
        assert_eq!((head.clone(), copy.clone()), Draw::new(5).trials(&pool, 60));
        assert!(head.iter().zip(&copy).all(|(head, copy)| (head + copy).abs() < 1e-12));
        assert!([1.0, 2.0, 3.0].iter().all(|value| head.contains(value)));
    }

    #[test]
    fn trials_of_equal_programs_have_no_change_whatever_the_pool_showed() {
        let pool = [(0.10, 0.02), (0.12, -0.01), (0.09, 0.0)];
        let (head, copy) = Draw::new(3).equal_trials(&pool, 20_000);
        for values in [head, copy] {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 0.002, "{mean}");
        }
    }
}
