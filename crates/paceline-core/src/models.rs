//! The models, one per file, and their registry. To add one, add its file, its `mod` line and its line in [`MODELS`].
//! Models in other languages are in `foreign`.

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

pub use threads::{Sleep, Threads};
#[cfg(target_os = "linux")]
pub(crate) use trust::set_time_slice;
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

/// All models in the order of tables: first those in Rust, then those out of process.
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

/// Models added by the program that uses this library.
static MORE: OnceLock<&'static [Entry]> = OnceLock::new();

/// Adds your own models, which this program's hosts then also know. Call it once, before `child::spawned`; later calls
/// have no effect.
pub fn add(models: &'static [Entry]) {
    let _ = MORE.set(models);
}

/// Returns the model called `name`.
///
/// # Errors
///
/// Returns a sentence that suggests a similar name or lists all models.
pub fn find(name: &str) -> Result<&'static Entry, String> {
    let all = || MODELS.iter().chain(MORE.get().copied().unwrap_or_default());
    let names = || all().map(|entry| entry.info.name);
    all().find(|entry| entry.info.name == name).ok_or_else(|| {
        let (hint, all) = (did_you_mean(name, names()), names().collect::<Vec<_>>().join(", "));
        format!("no model is called `{name}`: {hint}the models are {all}")
    })
}

/// Returns why the model called `name` is unreliable, if it is known and so. See [`ModelInfo::unreliable`].
pub fn unreliable(name: &str) -> Option<&'static str> {
    find(name).ok()?.info.unreliable
}

/// A model: its description and how to start it.
pub struct Entry {
    /// The description.
    pub info: ModelInfo,
    start: fn(&Settings) -> io::Result<Box<dyn StartedModel>>,
}

/// The description of a model, known before the model is started.
#[derive(Clone, Copy, Debug)]
pub struct ModelInfo {
    /// The name.
    pub name: &'static str,
    /// The model's family.
    pub family: Family,
    /// The language, for a model out of process; `None` for one in Rust.
    pub foreign: Option<&'static Foreign>,
    /// The crate that implements it; `None` for the standard library.
    pub package: Option<&'static str>,
    /// How it is configured.
    pub tag: Tag,
    /// What it is, and every setting that differs from the crate's default.
    pub note: &'static str,
    /// Where jobs can be spawned from; the first is what users of the model would write.
    pub placements: &'static [Placement],
    /// How many workers it can have.
    pub width: Width,
    /// The number of further threads, besides the workers, that may run jobs.
    pub more_threads: usize,
    /// What work that is offloaded goes to.
    pub bridge: Bridge,
    /// What each task occupies.
    pub task: Task,
    /// What sleeping jobs wait with.
    pub timers: Driver,
    /// What jobs wait with on connections.
    pub sockets: Driver,
    /// The steps that it does not support.
    pub unsupported: &'static [Unsupported],
    /// The steps that it does not support as a server, but otherwise does.
    pub unsupported_as_server: &'static [Unsupported],
    /// Name prefixes of threads that may remain after it has stopped: reactors and blocking pools that its crate has
    /// once per process. `None` if the model cannot be stopped and needs its own process.
    pub leaves: Option<&'static [&'static str]>,
    /// The environment variable that says how many workers it has, if it can be told in no other way.
    pub environment: Option<&'static str>,
    /// The environment variables that change how it works. Its processes run without them, because its defaults are
    /// measured and no record has them.
    pub unset: &'static [&'static str],
    /// A known defect of the model that makes cells fail although neither the job nor the machine is at fault. Write it
    /// as a sentence without initial capital and full stop. Such cells end as `failed` like any other, and nothing is
    /// retried.
    pub unreliable: Option<&'static str>,
    /// Returns whether it can run on this machine, or why not.
    pub available: fn() -> Result<(), String>,
}

impl ModelInfo {
    /// The values of most models, as a base for others.
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
        bridge: Bridge::ManyThreads,
        task: Task::Heap,
        timers: Driver::Blocking,
        sockets: Driver::Blocking,
        unsupported: &[],
        unsupported_as_server: &[],
        leaves: Some(&[]),
        environment: None,
        unset: &[],
        unreliable: None,
        available: || Ok(()),
    };

    /// Returns the features that this crate's manifest enables for the model's crate, with `default` among them unless
    /// it is disabled. Empty for a model without a crate.
    pub fn features(&self) -> Vec<&'static str> {
        let all = env!("PACELINE_FEATURES").split(';').filter_map(|part| part.split_once('='));
        let of = |package| all.clone().find(|(name, _)| *name == package);
        let features = self.package.and_then(of).map_or("", |(_, features)| features);
        features.split(',').filter(|feature| !feature.is_empty()).collect()
    }

    /// Returns why this model cannot run `workload`; `None` if it can.
    pub fn unsupported_step(&self, workload: &Workload) -> Option<String> {
        let lack = self.unsupported.iter().find(|lack| workload.has(lack.step));
        if let Some(Unsupported { step, why }) = lack {
            return Some(format!("{} does not support `{}`: {why}", self.name, written(step)));
        }
        // If the interpreter is unavailable, an earlier check has reported it.
        let hello = self.foreign?.found(self.name).hello.ok()?;
        let knows = |step: &&str| hello.steps.iter().any(|known| known == step);
        let step = workload.step_names().into_iter().find(|step| !knows(step))?;
        let (name, step) = (self.name, written(step));
        Some(format!("{name} does not support `{step}`: its interpreter does not know it"))
    }

    /// Returns why this model cannot serve `workload`; `None` if it can.
    pub fn unsupported_as_server_step(&self, workload: &Workload) -> Option<String> {
        if workload.has("connect.room") {
            return Some(ROOM.into());
        }
        if workload.has("park") {
            return Some(PARK.into());
        }
        self.unsupported_step(workload).or_else(|| {
            let lack = self.unsupported_as_server.iter().find(|lack| workload.has(lack.step))?;
            let (step, why) = (written(lack.step), lack.why);
            Some(format!("{} as a server does not support `{step}`: {why}", self.name))
        })
    }

    /// Returns how many connections a server with `workers` workers serves concurrently; further ones wait until others
    /// close. `None` if only the machine limits them.
    pub fn connections(&self, workers: usize) -> Option<usize> {
        match self.width {
            _ if !self.holds_worker() => None,
            Width::One => Some(1),
            Width::Any => Some(workers),
            Width::PerTask => None,
        }
    }

    /// Returns whether a job holds a worker while it waits.
    pub fn holds_worker(&self) -> bool {
        self.task == Task::Heap && [self.timers, self.sockets].contains(&Driver::Blocking)
    }

    /// Returns the worker counts that it can have, out of `wanted`.
    pub fn workers(&self, wanted: &[usize]) -> Vec<Option<usize>> {
        match self.width {
            Width::Any => wanted.iter().copied().map(Some).collect(),
            Width::One => vec![Some(1)],
            Width::PerTask => vec![None],
        }
    }
}

impl Entry {
    /// Creates the entry of a model with runtime `R`.
    pub const fn new<R: Runtime + 'static>(info: ModelInfo) -> Self {
        Entry { info, start: start::<R> }
    }

    /// Creates the entry of a model that the interpreter `info.foreign` runs, out of process.
    pub const fn out_of_process(info: ModelInfo) -> Self {
        let start = |_: &Settings| Err(io::Error::other("it runs out of process"));
        Entry { info, start }
    }

    /// Starts the model in this process.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be started, or a setting cannot be honoured.
    pub fn start(&self, settings: &Settings) -> io::Result<Box<dyn StartedModel>> {
        (self.start)(settings)
    }
}

/// The family of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// OS threads, or only the caller's thread.
    Threads,
    /// Futures with readiness-based I/O (epoll, kqueue).
    Async,
    /// Futures with `io_uring`.
    IoUring,
    /// Stackful coroutines.
    Coroutines,
    /// Other languages, whose interpreters run in separate processes.
    OutOfProcess,
}

/// How a model is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tag {
    /// As its documentation recommends.
    Idiomatic,
    /// With settings that differ from its defaults.
    Tuned,
    /// Discontinued, and kept because people must migrate off it.
    Historical,
}

/// How many workers a model can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Any number, as configured.
    Any,
    /// One.
    One,
    /// None of its own: each task gets a thread.
    PerTask,
}

/// What the work that jobs offload goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// Threads of their own, more than there are CPUs.
    ManyThreads,
    /// As many threads or processes as there are workers.
    Workers,
}

/// What a task occupies besides heap memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Nothing.
    Heap,
    /// An OS thread.
    Thread,
    /// A stack in its own memory mapping.
    Stack,
}

/// What a model's jobs wait with, as seen by the kernel. Each value is a promise. paceline checks it in every measured
/// cell whose jobs sleep or connect (on Linux, which shows a process's instances).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Blocking system calls: the process has neither an epoll instance nor a ring.
    Blocking,
    /// epoll or kqueue: the process has an instance, and no ring completes anything. A runtime that keeps time on a
    /// thread beside its pollers, as may does, also counts as this, because the kernel shows no difference.
    Readiness,
    /// `io_uring`: the process has a ring that completes operations. If its jobs only sleep, the process may instead
    /// wait on its ring with a timeout, which completes nothing; then it has no epoll instance.
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

/// A step that a model does not support, and the reason.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported {
    /// The step's name.
    pub step: &'static str,
    /// The reason.
    pub why: &'static str,
}

/// Returns a step as workload files have it; the names of variants are those of the protocol.
fn written(step: &str) -> &str {
    match step {
        "connect.slow" => "connect = { slow }",
        "connect.room" => "connect = \"room\"",
        "connect.pool" => "connect = { pool }",
        "gather.each" => "gather = [[..]]",
        "gather.future" => "gather = { join = \"future\" }",
        "group.cancel" => "group = { on_failure = \"cancel\" }",
        step => step,
    }
}

/// For models whose children are calls, which cannot be parts of a future.
const NO_FUTURE: Unsupported = Unsupported {
    step: "gather.future",
    why: "its children are calls that each need a stack, and no futures that could be parts of one",
};

/// For models that cannot cancel a running call.
const NO_CANCEL: Unsupported = Unsupported {
    step: "group.cancel",
    why: "a call that has begun cannot be ended from outside; use on_failure = \"wait\" in the group",
};

/// For models where a job that waits for a pooled connection could block the jobs that hold one: their stacks are
/// nested, or a worker switches between them.
const NO_POOL: Unsupported = Unsupported {
    step: "connect.pool",
    why: "a job that waits for a connection holds its worker, and with it the jobs that have one and must continue there",
};

/// Why no model can serve jobs that are members of a room.
pub const ROOM: &str =
    "a room is of the jobs of a batch, and requests come one by one: measure it with paceline run";

/// Why no model can serve jobs that wait for each other.
pub const PARK: &str = "park waits for all jobs of a batch, and requests come one by one: measure it with paceline run";
