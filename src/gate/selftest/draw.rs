//! Drawing rounds from recorded ones, the same for the same seed.

use crate::job::mix;

/// A source of draws.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Draw(mix(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = mix(self.0);
        self.0
    }

    /// So many rounds out of `pool`, with replacement: what the head and what the copy showed in each.
    pub(super) fn rounds(&mut self, pool: &[(f64, f64)], count: usize) -> (Vec<f64>, Vec<f64>) {
        if pool.is_empty() {
            return (vec![], vec![]);
        }
        (0..count).map(|_| pool[(self.next() % pool.len() as u64) as usize]).unzip()
    }

    /// Normal numbers of this standard deviation, each of twelve uniform ones.
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
        let (head, copy) = Draw::new(5).rounds(&pool, 60);
        assert_eq!((head.clone(), copy.clone()), Draw::new(5).rounds(&pool, 60));
        assert!(head.iter().zip(&copy).all(|(head, copy)| *head == -copy));
        assert!([1.0, 2.0, 3.0].iter().all(|value| head.contains(value)));
    }
}
