//! Child processes, seen from the parent: which program they run, and how to start each kind.

mod count;
mod host;
mod lines;

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::{
    models::{Entry, ModelInfo},
    suite_server::EchoServer,
};
pub use count::{CountError, Counted, valgrind};
pub use host::{Host, HostError};
pub(crate) use lines::{LONGEST, lines, no_reply, receive};

/// The environment variable that marks a child process.
const CHILD: &str = "PACELINE_CHILD";
/// The first argument of a host.
pub(crate) const HOST: &str = "__host";
/// The first argument of a host for the cells that [`spawned_with`](crate::child::spawned_with) was given.
pub(crate) const OWN_CELLS: &str = "__own_cells";
/// The first argument of the suite's server.
pub(crate) const ECHO: &str = "__echo";
/// The first argument of a load generator.
pub(crate) const LOAD: &str = "__load";
/// The first argument of a process whose batches are counted: the cell and the number of batches follow.
pub(crate) const COUNT_BATCHES: &str = "__count_batches";

/// The environment variable with the settings of glibc's allocator.
const ALLOCATOR: &str = "GLIBC_TUNABLES";
/// Keeps memory that jobs have freed in the process.
///
/// By default glibc returns the free end of a heap to the kernel, and the next batch has it mapped and zeroed again, page
/// by page. A batch frees all its jobs' memory at once; a service hardly ever does. Whether glibc notices depends on the
/// sizes of the blocks and on their order, and so on the model: docs/validity.md, row 36, has figures.
const KEEPS_FREED: &str =
    "glibc.malloc.trim_threshold=1099511627776:glibc.malloc.mmap_threshold=33554432";

/// Returns the settings of glibc's allocator in child processes: those of every measured process, then those of the
/// user's environment, which prevail. Other allocators ignore them.
pub fn allocator_settings() -> OsString {
    with_settings_of(env::var_os(ALLOCATOR).as_deref())
}

fn with_settings_of(user: Option<&OsStr>) -> OsString {
    let mut settings = OsString::from(KEEPS_FREED);
    if let Some(more) = user.filter(|more| !more.is_empty()) {
        settings.push(":");
        settings.push(more);
    }
    settings
}

/// Environment variables that change how every model works, and that no record has: older names of glibc's settings, and
/// the size of stacks.
const UNSET: [&str; 9] = [
    "MALLOC_ARENA_MAX",
    "MALLOC_ARENA_TEST",
    "MALLOC_CHECK_",
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_PERTURB_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
    "RUST_MIN_STACK",
];

/// Gives `command` the environment of a process that runs jobs on the model `info` with `workers` workers.
pub fn set_environment_of(command: &mut Command, info: &ModelInfo, workers: Option<usize>) {
    command.env(ALLOCATOR, allocator_settings());
    for name in UNSET.iter().chain(info.unset) {
        command.env_remove(name);
    }
    if let (Some(variable), Some(workers)) = (info.environment, workers) {
        command.env(variable, workers.to_string());
    }
}

/// The program that child processes run. It must call `child::spawned` first.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    /// The working directory; `None` for this process's own.
    folder: Option<PathBuf>,
    /// The first argument of its hosts for custom cells.
    role_of_cells: &'static str,
}

impl Program {
    /// Returns the running program itself.
    pub fn this() -> io::Result<Self> {
        env::current_exe().map(Program::at)
    }

    /// Returns the program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Program { path: path.into(), folder: None, role_of_cells: HOST }
    }

    /// Sets the working directory.
    #[must_use]
    pub fn working_in(self, folder: Option<PathBuf>) -> Self {
        Program { folder, ..self }
    }

    /// Makes its hosts for custom cells those of [`spawned_with`](crate::child::spawned_with). Without this they are
    /// hosts as `paceline_gated::Gated` has them.
    #[must_use]
    pub fn with_own_cells(self) -> Self {
        Program { role_of_cells: OWN_CELLS, ..self }
    }

    /// Returns the copy of this program at `path`.
    #[must_use]
    pub fn copy_at(&self, path: PathBuf) -> Self {
        Program { path, ..self.clone() }
    }

    /// Returns the program's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the command of a child process in its own process group: Ctrl-C reaches only the parent, which then ends
    /// the child.
    ///
    /// # Errors
    ///
    /// Returns an error if this process is itself a child: otherwise processes would start each other without end.
    pub(super) fn command(&self, role: &str) -> io::Result<Command> {
        self.command_under(Command::new(&self.path), role)
    }

    /// Returns the command with `command` as its beginning, such as a tool and this program's path.
    fn command_under(&self, mut command: Command, role: &str) -> io::Result<Command> {
        if env::var_os(CHILD).is_some() {
            return Err(io::Error::other(
                "this process was started as a child of paceline and does another's work: let main call \
                 paceline_core::child::spawned first",
            ));
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.arg(role).env(CHILD, role).process_group(0);
        command.env(ALLOCATOR, allocator_settings());
        Ok(command)
    }

    /// Starts an echo server.
    pub fn echo(&self) -> io::Result<EchoServer> {
        EchoServer::start(self.command(ECHO)?)
    }

    /// Starts a host for cells of `entry` with `workers` workers.
    pub fn host(&self, entry: &Entry, workers: Option<usize>) -> io::Result<Host> {
        let mut command = self.command(HOST)?;
        set_environment_of(&mut command, &entry.info, workers);
        if let Some((variable, program)) =
            entry.info.foreign.and_then(|foreign| foreign.program(entry.info.name))
        {
            command.env(variable, program);
        }
        Host::start(command)
    }

    /// Starts a host for the program's custom cells.
    pub fn host_of_custom_cells(&self) -> io::Result<Host> {
        Host::start(self.command(self.role_of_cells)?)
    }
}

/// Describes how a process ended.
fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "signal 9, as the kernel sends when memory runs out".into(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
#[test]
fn a_users_settings_of_the_allocator_come_last_and_prevail() {
    assert_eq!(with_settings_of(None), KEEPS_FREED);
    assert_eq!(with_settings_of(Some(OsStr::new(""))), KEEPS_FREED);
    let both = with_settings_of(Some(OsStr::new("glibc.malloc.trim_threshold=131072")));
    assert_eq!(*both, *format!("{KEEPS_FREED}:glibc.malloc.trim_threshold=131072"));
    let command = Program::at("host").command(HOST).unwrap();
    assert!(
        command.get_envs().any(|of| of == (OsStr::new(ALLOCATOR), Some(&*allocator_settings())))
    );
}

#[cfg(test)]
#[test]
fn measured_processes_run_without_variables_that_change_a_model() {
    let removed = |name: &str, variable: &str| {
        let entry = crate::models::find(name).unwrap();
        let mut command = Command::new("host");
        set_environment_of(&mut command, &entry.info, Some(2));
        command.get_envs().any(|of| of == (OsStr::new(variable), None))
    };
    for entry in crate::models::MODELS {
        assert!(removed(entry.info.name, "RUST_MIN_STACK"), "{}", entry.info.name);
        assert!(removed(entry.info.name, "MALLOC_ARENA_MAX"), "{}", entry.info.name);
    }
    for (name, variable) in [
        ("smol", "BLOCKING_MAX_THREADS"),
        ("smol-per-core", "BLOCKING_MAX_THREADS"),
        ("async-std", "BLOCKING_MAX_THREADS"),
        ("tokio", "TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE"),
        ("tokio-uring", "TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE"),
        ("uvloop", "UV_USE_IO_URING"),
        ("node", "NODE_OPTIONS"),
        ("go", "GOGC"),
    ] {
        assert!(removed(name, variable), "{name} with {variable}");
    }
    assert!(!removed("smol", "PATH"));
}
