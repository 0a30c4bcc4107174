//! How models run jobs, as far as claims depend on it.

use paceline_core::models::{ModelInfo, Task, Width};

/// How a model runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One after another, on the calling thread.
    InTurn,
    /// Each on its own thread.
    Threads,
    /// On workers that each hold a job until it ends.
    Queue,
    /// As futures on event loops.
    Loop,
    /// On stacks of their own, which workers switch between.
    Coroutines,
}

impl Kind {
    /// Returns the kind of a model.
    #[must_use]
    pub fn of(about: &ModelInfo) -> Self {
        // A goroutine has a stack of its own, but runs in another process.
        if about.foreign.is_some_and(|foreign| foreign.language == "Go") {
            return Kind::Coroutines;
        }
        match (about.task, about.width) {
            (Task::Stack, _) => Kind::Coroutines,
            (Task::Thread, _) => Kind::Threads,
            (Task::Heap, _) if !about.holds_worker() => Kind::Loop,
            (Task::Heap, Width::One) => Kind::InTurn,
            (Task::Heap, _) => Kind::Queue,
        }
    }

    /// Returns how many of `workers` run jobs: in other languages, the workers of an event loop are only for
    /// offloading.
    #[must_use]
    pub fn runners(self, about: &ModelInfo, workers: Option<usize>) -> Option<usize> {
        if self == Kind::Loop && about.foreign.is_some() { Some(1) } else { workers }
    }

    /// Returns whether a waiting job gives its worker to others.
    #[must_use]
    pub fn gives_way(self) -> bool {
        matches!(self, Kind::Loop | Kind::Coroutines)
    }

    /// Returns a clause about it, for verdicts.
    pub(super) fn clause(self) -> &'static str {
        match self {
            Kind::InTurn => "it does one job after another on the caller's thread",
            Kind::Threads => "each job has a thread of its own",
            Kind::Queue => {
                "a job holds its worker from beginning to end, and others wait in a queue"
            }
            Kind::Loop => "jobs are futures on event loops",
            Kind::Coroutines => "jobs have stacks of their own, between which the workers switch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::models;

    #[test]
    fn every_model_is_of_the_kind_that_its_note_says() {
        let kind = |name| Kind::of(&models::find(name).unwrap().info);
        assert_eq!(kind("sequential"), Kind::InTurn);
        assert_eq!(kind("threads"), Kind::Threads);
        assert_eq!([kind("pool"), kind("rayon")], [Kind::Queue; 2]);
        assert_eq!(["tokio", "smol", "async-std", "tokio-per-core"].map(kind), [Kind::Loop; 4]);
        assert_eq!(kind("may"), Kind::Coroutines);
        assert_eq!(["asyncio", "asyncio+processes"].map(kind), [Kind::Loop; 2]);
        assert_eq!(["python-threads", "python-processes"].map(kind), [Kind::Queue; 2]);
        assert_eq!(kind("python-sequential"), Kind::InTurn);
        assert_eq!([kind("node"), kind("go")], [Kind::Loop, Kind::Coroutines]);
    }

    #[test]
    fn a_loop_of_another_language_is_one_however_many_workers_it_offloads_to() {
        let runners = |name| {
            let about = &models::find(name).unwrap().info;
            Kind::of(about).runners(about, Some(2))
        };
        assert_eq!(
            ["asyncio+processes", "python-threads", "tokio"].map(runners),
            [Some(1), Some(2), Some(2)]
        );
    }
}
