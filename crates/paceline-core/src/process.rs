//! Child processes, from their parent's side: which program they are, and how one is spoken to.

mod host;
mod lines;

use std::{
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::{models::Entry, suite_server::EchoServer};
pub use host::{Host, HostError};
pub(crate) use lines::no_reply;

/// The environment variable that a child process has.
const CHILD: &str = "PACELINE_CHILD";
/// The first argument of a host.
pub(crate) const HOST: &str = "__host";
/// The first argument of the suite's server.
pub(crate) const ECHO: &str = "__echo";
/// The first argument of a load generator.
pub(crate) const LOAD: &str = "__load";

/// The program that child processes run: one that calls `child::spawned` first.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    /// The folder it runs in; `None` for that of this process.
    folder: Option<PathBuf>,
}

impl Program {
    /// This program itself.
    ///
    /// # Errors
    ///
    /// Returns an error where the system does not say where it is.
    pub fn this() -> io::Result<Self> {
        std::env::current_exe().map(Program::at)
    }

    /// Another one.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Program { path: path.into(), folder: None }
    }

    /// Has it run in a folder.
    #[must_use]
    pub fn working_in(self, folder: Option<PathBuf>) -> Self {
        Program { folder, ..self }
    }

    /// The folder it runs in; `None` for that of this process.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A child process, in a process group of its own: Ctrl-C is for its parent, which then ends it.
    ///
    /// # Errors
    ///
    /// Returns an error in a process that was started as a child itself: it would start processes without end.
    pub(super) fn command(&self, role: &str) -> io::Result<Command> {
        if std::env::var_os(CHILD).is_some() {
            return Err(io::Error::other(
                "this process was started as a child of paceline and does another's work: let main call \
                 paceline_core::child::spawned first",
            ));
        }
        let mut command = Command::new(&self.path);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.arg(role).env(CHILD, role).process_group(0);
        Ok(command)
    }

    /// Starts an echo server.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be started.
    pub fn echo(&self) -> io::Result<EchoServer> {
        EchoServer::start(self.command(ECHO)?)
    }

    /// Starts a host for cells of `entry` with so many workers.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be started.
    pub fn host(&self, entry: &Entry, workers: Option<usize>) -> io::Result<Host> {
        let mut command = self.command(HOST)?;
        if let (Some(variable), Some(workers)) = (entry.info.environment, workers) {
            command.env(variable, workers.to_string());
        }
        if let Some((variable, program)) =
            entry.info.foreign.and_then(|foreign| foreign.program(entry.info.name))
        {
            command.env(variable, program);
        }
        Host::start(command)
    }

    /// Starts a host for cells of the program's own.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be started.
    pub fn host_of_custom_cells(&self) -> io::Result<Host> {
        Host::start(self.command(HOST)?)
    }
}

/// How a process ended.
fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "signal 9, as the kernel sends when memory runs out".into(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}
