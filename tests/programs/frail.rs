//! paceline with three more models, for `tests/claims.rs`: one whose process dies where a job sleeps, one whose sleeps do
//! not wait, and one that fails with the shift of its heap.

use std::{process::ExitCode, time::Duration};

use paceline::cli;
use paceline_core::{
    child::spawned,
    layout,
    models::{self, Entry, ModelInfo, Sleep, Task, Threads, Width},
    perform::Placement,
};

/// A sleep that does not wait.
#[derive(Clone, Copy)]
struct Frail<const DIES: bool>;

impl<const DIES: bool> Sleep for Frail<DIES> {
    fn sleep(_: Duration) {
        if DIES {
            std::process::abort();
        }
    }
}

/// A sleep that tells the shift of the heap, as the message of a panic.
#[derive(Clone, Copy)]
struct Tells;

impl Sleep for Tells {
    fn sleep(_: Duration) {
        panic!("shifted by {} bytes", layout::shifted());
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

static FRAIL: [Entry; 3] = [
    Entry::new::<Threads<Frail<true>>>(about("dies")),
    Entry::new::<Threads<Frail<false>>>(about("early")),
    Entry::new::<Threads<Tells>>(about("tells")),
];

fn main() -> ExitCode {
    models::add(&FRAIL);
    spawned();
    cli::main()
}
