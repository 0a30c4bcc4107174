//! Counts allocations, in builds with the feature `allocations` only: `paceline gate --metric allocations` makes one,
//! and never times it.
#![cfg_attr(
    feature = "allocations",
    expect(unsafe_code, reason = "an allocator cannot be written without; see below")
)]

/// Sets the global allocator of a bench, such as `paceline_gated::allocator!(mimalloc::MiMalloc, mimalloc::MiMalloc)`:
/// its type and its value. Write this instead of `#[global_allocator]`. In the build that counts allocations it does
/// nothing, because a program has one global allocator, and there it is the one that counts.
#[cfg(not(feature = "allocations"))]
#[macro_export]
macro_rules! allocator {
    ($type:ty, $value:expr) => {
        #[global_allocator]
        static ALLOCATOR: $type = $value;
    };
}

/// Sets no allocator: this build counts allocations with its own.
#[cfg(feature = "allocations")]
#[macro_export]
macro_rules! allocator {
    ($type:ty, $value:expr) => {
        const _: fn() -> $type = || $value;
    };
}

/// Returns the allocations and reallocations of this process so far; `None` in a build that does not count them.
#[must_use]
pub fn so_far() -> Option<u64> {
    #[cfg(feature = "allocations")]
    return Some(counting::so_far());
    #[cfg(not(feature = "allocations"))]
    None
}

#[cfg(feature = "allocations")]
mod counting {
    use std::{
        alloc::{GlobalAlloc, Layout, System},
        sync::atomic::{AtomicU64, Ordering::Relaxed},
    };

    static COUNT: AtomicU64 = AtomicU64::new(0);

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// The system's allocator, with a count.
    struct Counting;

    // Sound: every call goes to the system's allocator unchanged, which keeps the promises of the trait. Counting
    // neither allocates nor panics.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            COUNT.fetch_add(1, Relaxed);
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            COUNT.fetch_add(1, Relaxed);
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            COUNT.fetch_add(1, Relaxed);
            unsafe { System.realloc(place, layout, size) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            unsafe { System.dealloc(place, layout) }
        }
    }

    pub(super) fn so_far() -> u64 {
        COUNT.load(Relaxed)
    }
}
