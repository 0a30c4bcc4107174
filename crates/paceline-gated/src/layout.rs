//! The layout of the heap, which decides how objects share cache lines.
//!
//! Without a shift, every process that is started the same way has the same one. On compio, messages between tasks then
//! took 18.3 or 21.2 µs a job, in all processes alike, depending on the length of an unrelated argument. Trials of such
//! processes agree with each other and not with the next build.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The distance between two layouts in bytes: allocations are aligned to it.
const STEP: usize = 16;
/// The number of layouts: all positions in a page.
const LAYOUTS: u64 = 256;

/// The number of bytes; 0 before the shift.
static SHIFTED: AtomicUsize = AtomicUsize::new(0);

/// Moves all later allocations of this thread by a random part of a page, once at the start of a measured process.
///
/// Worker threads of glibc have heaps of their own, which it does not move.
pub fn shift() {
    let layout = RandomState::new().hash_one(0) % LAYOUTS + 1;
    let bytes = layout as usize * STEP;
    // An allocation that nobody could see would be optimised away.
    black_box(Box::leak(vec![0_u8; bytes].into_boxed_slice()));
    SHIFTED.store(bytes, Relaxed);
}

/// Returns the bytes by which this process has moved its heap; 0 if it has not.
pub fn shifted() -> usize {
    SHIFTED.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_one_of_the_positions_in_a_page() {
        assert_eq!(shifted(), 0);
        let mut seen = [(); 100].map(|()| {
            shift();
            shifted()
        });
        assert!(seen.iter().all(|bytes| (STEP..=4096).contains(bytes) && bytes % STEP == 0));
        seen.sort_unstable();
        // 100 of 256 with repetition: 83 different ones are expected.
        assert!(seen.chunk_by(|a, b| a == b).count() > 50, "{seen:?}");
    }
}
