//! Selects which jobs of a batch, and which children of a group, run the other steps of `every`.
//!
//! One index is chosen in each block of `nth` consecutive ones, so the number of chosen ones is exact. A hash decides
//! which index of the block. If it were always the same one, models that assign jobs to cores by index modulo the
//! number of cores would run all chosen jobs on one core.

/// Returns whether `index` is the chosen one of its block: the first of block 0, and the one at `offset` in later
/// blocks.
#[inline]
pub fn is_chosen(index: usize, nth: usize) -> bool {
    index % nth == offset(index / nth, nth)
}

/// Returns how many indices below `count` are chosen: one in each whole block, and the one in the last if it is below
/// `count`.
pub fn chosen_below(count: usize, nth: usize) -> usize {
    let (blocks, rest) = (count / nth, count % nth);
    blocks + usize::from(offset(blocks, nth) < rest)
}

/// Returns the position of the chosen index in `block`: the hash of the low 32 bits of `block`, modulo `nth`.
///
/// The hash is `fmix32`, the finalizer of `MurmurHash3` (Austin Appleby, 2011, public domain). It needs only 32-bit
/// arithmetic, which every language has. It maps 0 to 0, so index 0 is always chosen: a batch of one job runs the other
/// steps, and in a room job 0 is the sender. docs/protocol.md defines the hash for interpreters in other languages.
#[inline]
fn offset(block: usize, nth: usize) -> usize {
    fmix32(block as u32) as usize % nth
}

#[inline]
fn fmix32(value: u32) -> u32 {
    let value = (value ^ (value >> 16)).wrapping_mul(0x85EB_CA6B);
    let value = (value ^ (value >> 13)).wrapping_mul(0xC2B2_AE35);
    value ^ (value >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(nth: usize) -> impl Iterator<Item = usize> {
        (0..).filter(move |index| is_chosen(*index, nth))
    }

    #[test]
    fn the_hash_is_that_of_murmurhash3() {
        // Values of `fmix32` from the reference implementation.
        assert_eq!([0, 1, 2, u32::MAX].map(fmix32), [0, 0x514E_28B7, 0x30F4_C306, 0x81F1_6F39]);
    }

    #[test]
    fn every_whole_block_has_one_and_the_count_is_exact_at_any_end() {
        for nth in [2, 3, 7, 20, 100] {
            let mut found = 0;
            for index in 0..50 * nth {
                assert_eq!(chosen_below(index, nth), found, "{index} by {nth}");
                found += usize::from(is_chosen(index, nth));
            }
            assert_eq!(found, 50);
        }
        assert!(is_chosen(0, 1_000_000));
        assert_eq!(chosen_below(1, 1_000_000), 1);
        assert_eq!(chosen_below(0, 2), 0);
    }

    /// Returns Pearson's statistic of the cores' shares if jobs are assigned by index modulo the number of cores.
    fn chi_squared(nth: usize, cores: usize, count: usize) -> f64 {
        let mut shares = vec![0.0; cores];
        chosen(nth).take(count).for_each(|index| shares[index % cores] += 1.0);
        let even = count as f64 / cores as f64;
        shares.iter().map(|share| (share - even) * (share - even) / even).sum()
    }

    #[test]
    fn each_core_has_its_share_of_the_chosen_within_what_chance_allows() {
        // The 99.9th percentile of chi-squared with cores - 1 degrees of freedom. With index % nth, all chosen jobs are
        // on one core.
        for (cores, most) in [(2, 10.83), (3, 13.82), (4, 16.27), (8, 24.32), (16, 37.70)] {
            for nth in [2, 3, 4, 8, 10, 16, 20, 32, 50, 64, 100, 1000] {
                for count in [50, 500] {
                    let found = chi_squared(nth, cores, count);
                    assert!(found < most, "{count} by {nth} on {cores} cores: {found}");
                }
            }
        }
    }
}
