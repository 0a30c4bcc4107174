//! Eight kinds of work with a planted slowdown of known size, which the gate must find.
//!
//! A call is a number of operations of a kind; the planted variant does some percent more of the same. The true
//! slowdown is therefore known, and is in the measured process.

use std::{
    hint::black_box,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use paceline_core::{
    custom::CustomCell,
    job::{compute, mix},
};

/// The kinds, in the order of tables. They differ in how much of their noise is between processes.
pub const KINDS: [&str; 8] =
    ["cpu", "two threads", "atomic", "spawn", "memory", "mutex", "ping-pong", "allocation"];
/// The planted slowdowns, in percent.
pub(crate) const PLANTED: [u32; 7] = [0, 1, 2, 3, 5, 10, 20];
/// Operations of a call without a slowdown: one percent is a whole number.
const OPERATIONS: u64 = 100;
/// The work of the noisy neighbour.
pub(crate) const NEIGHBOUR: &str = "neighbour";

/// Returns the name of a kind with a planted slowdown.
pub(crate) fn name(kind: &str, percent: u32) -> String {
    format!("{kind} +{percent}%")
}

/// Returns all kinds as unlisted cells of this program, and the neighbour.
#[must_use]
pub fn custom_cells() -> Vec<CustomCell> {
    let mut cells = Vec::new();
    for kind in KINDS {
        for percent in PLANTED {
            let work = work_of(kind);
            let planted = OPERATIONS * u64::from(100 + percent) / 100;
            let cell = CustomCell::closure(name(kind, percent), move || move || work(OPERATIONS));
            cells.push(cell.against(move || move || work(planted)).unlisted());
        }
    }
    cells.push(CustomCell::closure(NEIGHBOUR, || burst).unlisted());
    cells
}

fn work_of(kind: &str) -> fn(u64) {
    match kind {
        "cpu" => |count| {
            for seed in 0..count {
                black_box(compute(seed, 2_500));
            }
        },
        "two threads" => |count| {
            for seed in 0..count {
                both(|| {
                    black_box(compute(seed, 2_500));
                });
            }
        },
        "atomic" => |count| {
            let shared = AtomicU64::new(0);
            both(|| {
                for _ in 0..count * 1_000 {
                    shared.fetch_add(1, Relaxed);
                }
            });
        },
        "spawn" => |count| {
            for _ in 0..count {
                thread::scope(|scope| drop(scope.spawn(|| black_box(1))));
            }
        },
        "memory" => walk,
        "mutex" => |count| {
            let shared = Mutex::new(0_u64);
            both(|| {
                for _ in 0..count * 250 {
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
            });
        },
        "ping-pong" => ping_pong,
        _ => allocate,
    }
}

/// Runs the same work on two threads at once.
fn both(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        scope.spawn(&work);
        scope.spawn(&work);
    });
}

/// Does dependent reads all over 16 MiB. Each call reads other words: when all calls read the same 20 000, those stayed
/// in the cache, and with 20 % more of them 31 % was said.
fn walk(count: u64) {
    const WORDS: usize = 2 << 20;
    static BLOCK: std::sync::OnceLock<Vec<u64>> = std::sync::OnceLock::new();
    static CALL: AtomicU64 = AtomicU64::new(0);
    let block = BLOCK.get_or_init(|| (0..WORDS as u64).map(mix).collect());
    let mut at = mix(CALL.fetch_add(1, Relaxed)) as usize;
    for step in 0..count as usize * 200 {
        // Without the step, a walk over random numbers soon enters a cycle that fits into the cache.
        at = block[at.wrapping_add(step) % WORDS] as usize;
    }
    black_box(at);
}

/// Sends a message to another thread and back.
fn ping_pong(count: u64) {
    let (give, take) = sync_channel::<u64>(1);
    let (answer, answers) = sync_channel::<u64>(1);
    thread::scope(|scope| {
        scope.spawn(move || take.iter().take_while(|number| answer.send(*number).is_ok()).count());
        for number in 0..count {
            if give.send(number).is_err() || answers.recv().is_err() {
                break;
            }
        }
        drop(give);
    });
}

/// Allocates blocks of many sizes, some of which stay alive for a while. All operations are the same: when each went on
/// where the last had ended, 10 % more of them took 14 % longer.
fn allocate(count: u64) {
    for _ in 0..count {
        let mut kept: Vec<Vec<u8>> = (0..16).map(|_| Vec::new()).collect();
        for index in 0..50 {
            let random = mix(index);
            kept[(random % 16) as usize] = Vec::with_capacity(16 + (random >> 8) as usize % 2_000);
        }
        black_box(kept);
    }
}

/// Computes in a burst, then rests: 0.1 to 0.4 seconds each.
fn burst() {
    static TURN: AtomicU64 = AtomicU64::new(1);
    let turn = mix(TURN.fetch_add(1, Relaxed));
    let rounds = 25_000_000 + turn % 75_000_000;
    black_box(compute(turn, rounds));
    thread::sleep(Duration::from_millis(100 + (turn >> 32) % 300));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_percentage_is_a_whole_number_of_operations() {
        for percent in PLANTED {
            assert_eq!(OPERATIONS * u64::from(100 + percent) % 100, 0);
        }
    }

    #[test]
    fn every_kind_does_what_it_is_told_and_ends() {
        for kind in KINDS {
            work_of(kind)(4);
        }
        assert_eq!(custom_cells().len(), KINDS.len() * PLANTED.len() + 1);
        assert!(custom_cells().iter().all(|cell| cell.name() == NEIGHBOUR || cell.has_head()));
    }
}
