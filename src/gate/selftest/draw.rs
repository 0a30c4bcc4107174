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

    /// Draws one of `all`.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[(self.next() % all.len() as u64) as usize]
    }

    /// Draws `count` trials from `pool`, with replacement: the head's and the copy's values of each.
    pub(super) fn trials(&mut self, pool: &[(f64, f64)], count: usize) -> (Vec<f64>, Vec<f64>) {
        if pool.is_empty() {
            return (vec![], vec![]);
        }
        (0..count).map(|_| *self.one_of(pool)).unzip()
    }

    /// Lets base, head and copy of equal programs change places, in all `trials` alike: they are interchangeable.
    pub(super) fn in_other_places(&mut self, trials: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
        const PLACES: [[usize; 3]; 6] =
            [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let places = *self.one_of(&PLACES);
        let change = |(head, copy): &(f64, f64)| {
            let logarithms = [0.0, *head, *copy];
            let [base, head, copy] = places.map(|place| logarithms[place]);
            (head - base, copy - base)
        };
        trials.iter().map(change).unzip()
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
    fn sides_change_places_in_all_trials_of_a_cell_alike_and_each_place_is_as_likely() {
        // The copy's file is slow in each trial.
        let trials = [(0.01, 0.10), (-0.01, 0.12), (0.0, 0.11)];
        let mut draw = Draw::new(3);
        let drawn: Vec<_> = (0..6_000).map(|_| draw.in_other_places(&trials)).collect();
        let count = |is: &dyn Fn(f64, f64) -> bool| {
            let all = |(head, copy): &&(Vec<f64>, Vec<f64>)| {
                head.iter().zip(copy).all(|(head, copy)| is(*head, *copy))
            };
            drawn.iter().filter(all).count()
        };
        // The slow file is the head's, the copy's or the base's: each in a third of the draws, in all trials.
        let thirds = [
            count(&|head, copy| head > 0.08 && copy.abs() < 0.03),
            count(&|head, copy| copy > 0.08 && head.abs() < 0.03),
            count(&|head, copy| head < -0.08 && copy < -0.08),
        ];
        assert_eq!(thirds.iter().sum::<usize>(), 6_000, "{thirds:?}");
        assert!(thirds.iter().all(|third| (1_800..2_200).contains(third)), "{thirds:?}");
    }
}
