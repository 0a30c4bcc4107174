//! Three synthetic models: `threads` whose sleeps have one known cost more, a delay, CPU time or memory.

use std::{thread, time::Duration};

use paceline::{
    plan::Choice,
    record::Cell,
    run::{Order, run},
};
use paceline_core::{
    job::Workload,
    models::{self, Entry, ModelInfo, Sleep, Task, Threads, Width},
    perform::Placement,
    process::Program,
};

/// The delay after each sleep of `planted-delay`.
pub(crate) const DELAY: Duration = Duration::from_millis(10);
/// The CPU time that a sleep of `planted-cpu` uses, by the clock of its thread.
pub(crate) const CPU: Duration = Duration::from_millis(5);
/// The bytes that a sleep of `planted-memory` holds.
pub(crate) const MEMORY: usize = 96 << 10;

/// A sleep with a planted cost.
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

/// The three models, and `threads` with a false label: it claims to have one thread.
pub(crate) static MODELS: [Entry; 4] = [
    Entry::new::<Threads<Planted<'l'>>>(ModelInfo { width: Width::One, ..about("planted-label") }),
    Entry::new::<Threads<Planted<'d'>>>(about("planted-delay")),
    Entry::new::<Threads<Planted<'c'>>>(about("planted-cpu")),
    Entry::new::<Threads<Planted<'m'>>>(about("planted-memory")),
];

/// Measures `threads` and a planted model in shuffled passes. Returns their cells in the order of the plan.
pub(crate) fn measured(planted: &str, job: &str, scales: &[usize], passes: u32) -> Vec<Cell> {
    let text = format!("name = \"planted\"\njob = [{job}]");
    let results = tempfile::tempdir().unwrap();
    let order = Order {
        workloads: vec![Workload::parse("planted.toml", &text).unwrap()],
        models: ["threads", planted].map(|name| models::find(name).unwrap()).into(),
        choice: Choice { scales: scales.to_vec(), ..Choice::default() },
        passes: 0..passes,
        budget: Duration::from_mins(10),
        seed: 1,
        pin: false,
        to_the_limit: false,
        results: results.path().to_owned(),
    };
    run(&order, Program::this().unwrap(), None).unwrap().cells
}
