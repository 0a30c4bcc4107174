//! Three synthetic models: `threads` with one known cost more in each sleep, a delay, CPU time or memory.

use std::{thread, time::Duration};

use paceline_core::{
    models::{Entry, ModelInfo, Sleep, Task, Threads, Width},
    perform::Placement,
};

/// What a sleep of `planted-delay` takes longer.
pub(crate) const DELAY: Duration = Duration::from_millis(10);
/// The CPU time that a sleep of `planted-cpu` uses, by the clock of its thread.
pub(crate) const CPU: Duration = Duration::from_millis(5);
/// The bytes that a sleep of `planted-memory` holds.
pub(crate) const MEMORY: usize = 96 << 10;

/// What a sleep costs more.
#[derive(Clone, Copy)]
struct Planted<const WHAT: char>;

impl<const WHAT: char> Sleep for Planted<WHAT> {
    fn sleep(duration: Duration) {
        match WHAT {
            'd' => thread::sleep(duration + DELAY),
            'c' => {
                let cpu = || {
                    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
                };
                let start = cpu();
                while cpu().saturating_sub(start) < CPU {}
                thread::sleep(duration);
            }
            'l' => thread::sleep(duration),
            _ => {
                let held = vec![1_u8; MEMORY];
                thread::sleep(duration);
                std::hint::black_box(held);
            }
        }
    }
}

const fn about(name: &'static str) -> ModelInfo {
    ModelInfo {
        name,
        placements: &[Placement::Outside],
        width: Width::PerTask,
        task: Task::Thread,
        ..ModelInfo::DEFAULT
    }
}

/// All three, and `threads` with a label that says that it has one thread.
pub(crate) static MODELS: [Entry; 4] = [
    Entry::new::<Threads<Planted<'l'>>>(ModelInfo { width: Width::One, ..about("planted-label") }),
    Entry::new::<Threads<Planted<'d'>>>(about("planted-delay")),
    Entry::new::<Threads<Planted<'c'>>>(about("planted-cpu")),
    Entry::new::<Threads<Planted<'m'>>>(about("planted-memory")),
];
