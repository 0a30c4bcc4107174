//! The models, one to a file, and their registry. A new one is a file, its `mod` line and its line in [`MODELS`].
//! Those of other languages are in `foreign`.

mod async_std;
#[cfg(target_os = "linux")]
mod compio;
pub mod foreign;
#[cfg(target_os = "linux")]
mod glommio;
mod may;
#[cfg(target_os = "linux")]
mod monoio;
mod per_core;
mod pool;
mod rayon;
mod sequential;
mod smol;
mod smol_per_core;
mod threads;
mod tokio;
mod tokio_per_core;
#[cfg(target_os = "linux")]
mod tokio_uring;
mod trust;

pub use threads::Threads;
#[cfg(target_arch = "x86_64")]
pub(crate) use trust::time_stamp;

use std::{fmt, io, sync::OnceLock};

use serde::Serialize;

use crate::{
    job::{Workload, did_you_mean},
    model::{Runtime, Settings},
    perform::{Placement, StartedModel, start},
};
use foreign::Foreign;

/// Every model, in the order of tables: first those in Rust, then those out of process.
pub static MODELS: &[Entry] = &[
    sequential::ENTRY,
    threads::ENTRY,
    pool::ENTRY,
    rayon::ENTRY,
    tokio::MULTI_THREAD,
    tokio::CURRENT_THREAD,
    tokio_per_core::ENTRY,
    tokio::WITH_RAYON,
    smol::ENTRY,
    smol_per_core::ENTRY,
    async_std::ENTRY,
    #[cfg(target_os = "linux")]
    compio::ENTRY,
    #[cfg(target_os = "linux")]
    monoio::ENTRY,
    #[cfg(target_os = "linux")]
    glommio::ENTRY,
    #[cfg(target_os = "linux")]
    tokio_uring::ENTRY,
    may::ENTRY,
    foreign::python::ASYNCIO,
    foreign::python::UVLOOP,
    foreign::python::WITH_PROCESSES,
    foreign::python::THREADS,
    foreign::python::PROCESSES,
    foreign::python::SEQUENTIAL,
    foreign::node::ENTRY,
    foreign::go::ENTRY,
];

/// Models that the program which uses this library brings.
static MORE: OnceLock<&'static [Entry]> = OnceLock::new();

/// Adds models of your own, which hosts of this program then know too. Call it before
/// `child::spawned`, once; a second call changes nothing.
pub fn add(models: &'static [Entry]) {
    let _ = MORE.set(models);
}

/// The model called `name`.
///
/// # Errors
///
/// Returns a sentence that suggests a close name or lists all.
pub fn find(name: &str) -> Result<&'static Entry, String> {
    let all = || MODELS.iter().chain(MORE.get().copied().unwrap_or_default());
    let names = || all().map(|entry| entry.info.name);
    all().find(|entry| entry.info.name == name).ok_or_else(|| {
        let (hint, all) = (did_you_mean(name, names()), names().collect::<Vec<_>>().join(", "));
        format!("no model is called `{name}`: {hint}the models are {all}")
    })
}

/// Why the model called `name` is unreliable, if it is one of these and is: see [`ModelInfo::unreliable`].
#[must_use]
pub fn unreliable(name: &str) -> Option<&'static str> {
    let all = MODELS.iter().chain(MORE.get().copied().unwrap_or_default());
    all.map(|entry| &entry.info).find(|info| info.name == name)?.unreliable
}

/// A model: what is to be known of it, and how to start it.
pub struct Entry {
    /// What is to be known of it.
    pub info: ModelInfo,
    start: fn(&Settings) -> io::Result<Box<dyn StartedModel>>,
}

/// What is to be known of a model before it is started.
#[derive(Clone, Copy, Debug)]
pub struct ModelInfo {
    /// Its name.
    pub name: &'static str,
    /// What it is of.
    pub family: Family,
    /// Its language, for a model out of process; `None` for one in Rust.
    pub foreign: Option<&'static Foreign>,
    /// The crate that makes it; `None` for the standard library.
    pub package: Option<&'static str>,
    /// How it is set up.
    pub tag: Tag,
    /// What it is, and every setting that is not the crate's default.
    pub note: &'static str,
    /// Where batches can be offered from; the first is what its users would write.
    pub placements: &'static [Placement],
    /// How many workers it can have.
    pub width: Width,
    /// Threads beside the workers that run jobs too.
    pub more_threads: usize,
    /// What a task of it occupies.
    pub task: Task,
    /// What its jobs wait with when they sleep.
    pub timers: Driver,
    /// What its jobs wait with on a connection.
    pub sockets: Driver,
    /// The steps it does not support.
    pub unsupported: &'static [Unsupported],
    /// The steps that it does not support in the jobs of a server alone.
    pub unsupported_as_server: &'static [Unsupported],
    /// Threads that may stay after it was stopped, by the beginning of their names: reactors and blocking pools that
    /// their crate has once for the whole process. `None` where the model cannot be stopped at all, and needs a process of its own.
    pub leaves: Option<&'static [&'static str]>,
    /// The environment that a process needs for it.
    pub environment: Option<&'static str>,
    /// Why its cells may fail through no fault of the job or the machine, where it has such a known defect: a sentence
    /// without its first capital and its full stop. Such cells end as `failed` like any other, and nothing is retried.
    pub unreliable: Option<&'static str>,
    /// Whether it can run here.
    pub available: fn() -> Result<(), String>,
}

impl ModelInfo {
    /// What most models are: build others upon it.
    pub const DEFAULT: ModelInfo = ModelInfo {
        name: "",
        family: Family::Threads,
        foreign: None,
        package: None,
        tag: Tag::Idiomatic,
        note: "",
        placements: &[Placement::Inside, Placement::Outside],
        width: Width::Any,
        more_threads: 0,
        task: Task::Heap,
        timers: Driver::Blocking,
        sockets: Driver::Blocking,
        unsupported: &[],
        unsupported_as_server: &[],
        leaves: Some(&[]),
        environment: None,
        unreliable: None,
        available: || Ok(()),
    };

    /// Returns the features that the model's crate is asked for in this crate's manifest; empty for a model without a
    /// crate. `default` is among them unless it is switched off.
    #[must_use]
    pub fn features(&self) -> Vec<&'static str> {
        let all = env!("PACELINE_FEATURES").split(';').filter_map(|part| part.split_once('='));
        let of = |package| all.clone().find(|(name, _)| *name == package);
        let features = self.package.and_then(of).map_or("", |(_, features)| features);
        features.split(',').filter(|feature| !feature.is_empty()).collect()
    }

    /// Why this model cannot do `workload`, if so.
    #[must_use]
    pub fn unsupported_step(&self, workload: &Workload) -> Option<String> {
        let lack = self.unsupported.iter().find(|lack| workload.has(lack.step));
        if let Some(Unsupported { step, why }) = lack {
            return Some(format!("{} does not support `{step}`: {why}", self.name));
        }
        // Where it is not to be had, that is said before this.
        let hello = self.foreign?.found(self.name).hello.ok()?;
        let knows = |step: &&str| hello.steps.iter().any(|known| known == step);
        let step = workload.step_names().into_iter().find(|step| !knows(step))?;
        Some(format!("{} does not support `{step}`: its interpreter does not know it", self.name))
    }

    /// Why this model cannot be a server of `workload`, if so.
    #[must_use]
    pub fn unsupported_as_server_step(&self, workload: &Workload) -> Option<String> {
        if workload.has("connect.room") {
            return Some(ROOM.into());
        }
        if workload.has("park") {
            return Some(PARK.into());
        }
        self.unsupported_step(workload).or_else(|| {
            let lack = self.unsupported_as_server.iter().find(|lack| workload.has(lack.step))?;
            let Unsupported { step, why } = lack;
            Some(format!("{} as a server does not support `{step}`: {why}", self.name))
        })
    }

    /// How many connections it can serve at once as a server with `workers` workers; `None` where nothing but the
    /// machine bounds them. More of them wait until others close.
    #[must_use]
    pub fn connections(&self, workers: usize) -> Option<usize> {
        match self.width {
            _ if !self.holds_worker() => None,
            Width::One => Some(1),
            Width::Any => Some(workers),
            Width::PerTask => None,
        }
    }

    /// Whether a job of this model holds a worker while it waits.
    #[must_use]
    pub fn holds_worker(&self) -> bool {
        self.task == Task::Heap && [self.timers, self.sockets].contains(&Driver::Blocking)
    }

    /// The numbers of workers, out of `wanted`, that it can have.
    #[must_use]
    pub fn workers(&self, wanted: &[usize]) -> Vec<Option<usize>> {
        match self.width {
            Width::Any => wanted.iter().copied().map(Some).collect(),
            Width::One => vec![Some(1)],
            Width::PerTask => vec![None],
        }
    }
}

impl Entry {
    /// A model of runtime `R`.
    #[must_use]
    pub const fn new<R: Runtime + 'static>(info: ModelInfo) -> Self {
        Entry { info, start: start::<R> }
    }

    /// A model that `about.foreign` runs, out of process.
    #[must_use]
    pub const fn out_of_process(info: ModelInfo) -> Self {
        let start = |_: &Settings| Err(io::Error::other("it runs out of process"));
        Entry { info, start }
    }

    /// Starts the model in this process.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be started, or a setting cannot be honoured.
    pub fn start(&self, settings: &Settings) -> io::Result<Box<dyn StartedModel>> {
        (self.start)(settings)
    }
}

/// What a model is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// OS threads, and the caller's alone.
    Threads,
    /// Futures on readiness (epoll, kqueue).
    Async,
    /// Futures on `io_uring`.
    IoUring,
    /// Coroutines with stacks of their own.
    Coroutines,
    /// Other languages, whose interpreters are processes of their own.
    OutOfProcess,
}

/// How a model is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tag {
    /// As its documentation tells its users to.
    Idiomatic,
    /// With settings that its defaults do not have.
    Tuned,
    /// Discontinued, kept because people must migrate off it.
    Historical,
}

/// How many workers a model can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// As many as it is told to.
    Any,
    /// One.
    One,
    /// None of its own: a thread for every task.
    PerTask,
}

/// What a task occupies besides heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Nothing.
    Heap,
    /// An OS thread.
    Thread,
    /// A stack in a memory map of its own.
    Stack,
}

/// What the jobs of a model wait with, as the kernel sees it. Each value is a promise, which every measured cell is held
/// to whose jobs sleep or connect (on Linux, which shows the instances of a process).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// System calls that block: the process has neither an epoll instance nor a ring.
    Blocking,
    /// epoll, or kqueue: the process has an instance, and no ring completes anything. A runtime that keeps time on a
    /// thread beside its pollers, as may does, counts as this too: the kernel shows no difference.
    Readiness,
    /// `io_uring`: the process has a ring, which completes something. A process whose jobs only sleep may also wait on its
    /// ring for some time, which completes nothing: then it has no epoll instance.
    IoUring,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::Blocking => "blocking calls",
            Driver::Readiness => "epoll",
            Driver::IoUring => "io_uring",
        })
    }
}

/// A step that a model does not support, and why.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported {
    /// The step's name.
    pub step: &'static str,
    /// Why.
    pub why: &'static str,
}

/// Why children that are calls are no parts of a future.
const NO_FUTURE: Unsupported = Unsupported {
    step: "gather.future",
    why: "its children are calls that each need a stack, and no futures that could be parts of one",
};

/// Why what has begun there goes on.
const NO_CANCEL: Unsupported = Unsupported {
    step: "group.cancel",
    why: "a call that has begun goes on to its end, and nobody can end it from outside; a group with on_failure = \"wait\" \
          it can do",
};

/// Why jobs on stacks that lie on each other, or that a worker switches between, take no connection of a pool.
const NO_POOL: Unsupported = Unsupported {
    step: "connect.pool",
    why: "a job that waits for a connection holds its worker, and with it the jobs that have one and are to go on there",
};

/// Why no model can be a server of jobs that are members of a room.
pub const ROOM: &str =
    "a room is of the jobs of a batch, and requests come one by one: measure it with paceline run";

/// Why no model can be a server of jobs that wait for each other.
pub const PARK: &str = "park waits for all jobs of a batch, and requests come one by one: measure it with paceline run";

/// Whether a runtime on `io_uring` can be started here.
#[cfg(target_os = "linux")]
fn io_uring_works<C: per_core::LocalRuntime>() -> Result<(), String> {
    // On a thread of its own, and caught: some runtimes return an error without a ring, others panic.
    let tried = std::thread::Builder::new()
        .name("io_uring-probe".into())
        .spawn(|| std::panic::catch_unwind(|| C::run(async {})));
    let why = match tried.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(Ok(())))) => return Ok(()),
        Ok(Ok(Ok(Err(error)))) | Err(error) => error.to_string(),
        Ok(Ok(Err(_)) | Err(_)) => "the runtime panicked at its start".into(),
    };
    let disabled =
        std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    let hint = match disabled.trim() {
        "1" | "2" => "; it is switched off: sysctl -w kernel.io_uring_disabled=0",
        // What says by itself how it is lifted.
        _ if why.contains("ulimit") => "",
        _ => {
            "; a container needs a seccomp profile that permits io_uring, and 512 KiB of locked memory a worker (ulimit -l unlimited)"
        }
    };
    Err(format!("io_uring cannot be used: {why}{hint}"))
}
