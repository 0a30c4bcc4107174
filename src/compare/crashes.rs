//! Tests whether the head crashes more often than the base: a pure function of counts.

use statrs::distribution::{DiscreteCDF, Hypergeometric};

use crate::record::Crashes;

/// The level of the test.
const LEVEL: f64 = 0.05;
/// The number of crashes of the head that is enough if neither the base nor its copy crashed.
const FEW: u32 = 2;

/// Returns whether the head crashes at a higher rate than the base and its copy together, which are the same program.
///
/// It does if Fisher's exact test, one-sided, rejects equal rates at 5 %, and also if the head crashed twice or more
/// and neither base nor copy ever did. The second rule is stricter than the test. If all sides crash in a share q of n
/// trials, it is wrong in at most 4 % of cells for any q: the base's 2n trials reveal q sooner than the head's n.
pub fn head_crashes_more(of: Crashes) -> bool {
    let same = of.base + of.copy;
    (of.head >= FEW && same == 0) || chance(of) <= LEVEL
}

/// Returns the chance that the head has this many crashes or more if all sides crash at one rate.
fn chance(of: Crashes) -> f64 {
    let crashes = of.base + of.copy + of.head;
    if of.head == 0 {
        return 1.0;
    }
    let all = u64::from(of.trials) * 3;
    // No more processes can crash than were started.
    Hypergeometric::new(all, u64::from(crashes), u64::from(of.trials))
        .map_or(1.0, |deaths| deaths.sf(u64::from(of.head) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trials of a side in a gate of 40 trials, with the six of the pilot.
    const TRIALS: u32 = 46;

    fn more(trials: u32, base: u32, head: u32, copy: u32) -> bool {
        head_crashes_more(Crashes { trials, base, head, copy })
    }

    /// Returns the chance of each number of crashes in `trials`.
    fn binomial(trials: u32, rate: f64) -> Vec<f64> {
        let mut chances = vec![1.0];
        for _ in 0..trials {
            let mut next = vec![0.0; chances.len() + 1];
            for (crashes, chance) in chances.iter().enumerate() {
                next[crashes] += chance * (1.0 - rate);
                next[crashes + 1] += chance * rate;
            }
            chances = next;
        }
        chances
    }

    /// Returns how often the head fails if it and the base crash at these rates: a sum over all possible counts.
    fn failed(trials: u32, base: f64, head: f64) -> f64 {
        let (same, heads) = (binomial(2 * trials, base), binomial(trials, head));
        let mut failed = 0.0;
        for (crashes, chance) in same.iter().enumerate() {
            for (of_head, chance_of_head) in heads.iter().enumerate() {
                let base = (crashes as u32).min(trials);
                // Outcomes with a negligible chance are skipped.
                if chance * chance_of_head > 1e-12
                    && more(trials, base, of_head as u32, crashes as u32 - base)
                {
                    failed += chance * chance_of_head;
                }
            }
        }
        failed
    }

    /// The table in `docs/gate.md`.
    #[test]
    fn heads_that_crash_are_found_as_often_as_the_documentation_says() {
        let found = |base, head| 100.0 * failed(TRIALS, base, head);
        let table = [
            (0.0, [(0.04, 55.3), (0.25, 99.9), (0.3, 99.9), (0.6, 99.9), (1.0, 100.0)]),
            (0.04, [(0.04, 3.1), (0.25, 95.3), (0.3, 98.9), (0.6, 99.9), (1.0, 99.9)]),
        ];
        for (base, heads) in table {
            for (head, least) in heads {
                let found = found(base, head);
                assert!(found >= least, "base {base}, head {head}: {found:.2} %");
            }
        }
    }

    #[test]
    fn sides_that_crash_alike_are_told_apart_in_a_few_of_a_hundred_cells_at_most() {
        for trials in [11, 16, 46, 106] {
            for percent in 0..=100 {
                let rate = f64::from(percent) / 100.0;
                let wrong = failed(trials, rate, rate);
                assert!(wrong <= 0.05, "{percent} % of {trials}: {wrong}");
            }
        }
    }

    #[test]
    fn one_crash_of_the_base_does_not_excuse_ten_of_the_head() {
        assert!(more(TRIALS, 1, 10, 0) && more(TRIALS, 0, 10, 1) && more(TRIALS, 1, 10, 1));
        assert!(more(TRIALS, 4, 14, 3));
        assert!(!more(TRIALS, 10, 10, 10) && !more(TRIALS, 40, 20, 41));
        assert!(!more(TRIALS, 1, 2, 0));
    }

    #[test]
    fn two_crashes_are_enough_where_the_base_never_does_and_one_is_not() {
        for trials in [2, 5, 16, 46, 1_500] {
            assert!(more(trials, 0, 2, 0), "{trials}");
            assert!(!more(trials, 0, 1, 0) && !more(trials, 0, 0, 0), "{trials}");
        }
    }

    #[test]
    fn the_chance_is_that_of_fishers_exact_test() {
        // scipy.stats.fisher_exact([[3, 43], [1, 91]], "greater") and [[14, 32], [7, 85]].
        let of = |base, head, copy| chance(Crashes { trials: TRIALS, base, head, copy });
        assert!((of(1, 3, 0) - 0.107_843).abs() < 1e-5, "{}", of(1, 3, 0));
        assert!((of(4, 14, 3) - 0.000_739).abs() < 1e-5, "{}", of(4, 14, 3));
    }
}
