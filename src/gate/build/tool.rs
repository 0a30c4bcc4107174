//! git and cargo as child processes: in their own process group, read line by line, ended by an interrupt or with
//! paceline.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::GateError;
use paceline_core::{interrupt::interrupted, leash::Leash};

/// The interval at which a running tool is checked for an interrupt.
const GLANCE: Duration = Duration::from_millis(100);
/// Intervals without a line, after a tool has ended, until its output counts as complete.
const PATIENCE: u32 = 10;

/// A call of git or cargo.
pub(in crate::gate) struct Tool {
    name: &'static str,
    command: Command,
    minds_interrupts: bool,
    given_up: Option<Arc<AtomicBool>>,
}

/// The output of a tool.
#[derive(Debug, Default)]
pub(in crate::gate) struct ToolOutput {
    /// Whether it succeeded.
    pub ok: bool,
    /// Lines of its standard output.
    pub out: Vec<String>,
    /// Lines of its standard error.
    pub err: Vec<String>,
}

impl ToolOutput {
    /// Returns the first line of its output.
    pub(in crate::gate) fn line(&self) -> &str {
        self.out.first().map_or("", |line| line.as_str())
    }

    /// Returns its reason in one line: the first that starts as an error, otherwise the first.
    pub(in crate::gate) fn reason(&self) -> &str {
        let says = |line: &&String| line.starts_with("fatal:") || line.starts_with("error");
        let line = self.err.iter().find(says).or(self.err.first());
        line.map_or("it gave no reason", |line| line.as_str())
    }
}

impl Tool {
    /// Returns git for a folder. Inside a git hook, the hook's repository is not used for the folder. The user's hooks
    /// are not run.
    pub(in crate::gate) fn git(folder: &Path) -> Self {
        let mut tool = Tool::new("git", folder).args(["-c", "core.hooksPath=/dev/null"]);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            tool.command.env_remove(name);
        }
        tool
    }

    /// Returns cargo for a folder.
    pub(in crate::gate) fn cargo(folder: &Path) -> Self {
        Tool::new("cargo", folder).env("CARGO_TERM_COLOR", "never")
    }

    /// Returns any other tool for a folder.
    pub(in crate::gate) fn new(name: &'static str, folder: &Path) -> Self {
        let mut command = Command::new(name);
        // Error messages are parsed, so they must be in English.
        command.current_dir(folder).env("LC_ALL", "C").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Tool { name, command, minds_interrupts: true, given_up: None }
    }

    pub(in crate::gate) fn args<A: AsRef<OsStr>>(
        mut self,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        self.command.args(args);
        self
    }

    pub(in crate::gate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    pub(in crate::gate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Lets it continue after an interrupt, to clean up.
    pub(in crate::gate) fn despite_interrupts(mut self) -> Self {
        self.minds_interrupts = false;
        self
    }

    /// Ends it as an interrupt does, once `given_up` is set.
    pub(in crate::gate) fn unless(mut self, given_up: &Arc<AtomicBool>) -> Self {
        self.given_up = Some(Arc::clone(given_up));
        self
    }

    /// Runs it and returns its output for any exit code.
    pub(in crate::gate) fn run(self) -> Result<ToolOutput, GateError> {
        self.watched(&|_| ())
    }

    /// Runs it; lines of its standard error also go to `progress`.
    pub(in crate::gate) fn watched(
        mut self,
        progress: &dyn Fn(&str),
    ) -> Result<ToolOutput, GateError> {
        if self.has_to_end() {
            return Err(GateError::interrupted());
        }
        let mut child = self.command.spawn().map_err(|error| self.missing(&error))?;
        // A build can take minutes and load the machine.
        let leash = Leash::on(&child);
        let (lines, heard) = mpsc::channel();
        forward(child.stdout.take(), lines.clone(), Line::Out);
        forward(child.stderr.take(), lines, Line::Err);
        let (mut said, mut quiet) = (ToolOutput::default(), 0);
        loop {
            match heard.recv_timeout(GLANCE) {
                Ok(Line::Out(line)) => said.out.push(line),
                Ok(Line::Err(line)) => {
                    progress(line.trim());
                    said.err.push(line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if matches!(child.try_wait(), Ok(Some(_))) => {
                    // A process that it started, such as a server of sccache, may keep its output open after its end.
                    // Its own last lines may still arrive.
                    quiet += 1;
                    if quiet == PATIENCE {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => (),
            }
            if self.has_to_end() {
                end(&mut child, leash);
                return Err(GateError::interrupted());
            }
        }
        let status = child.wait();
        said.ok = status.is_ok_and(|status| status.success());
        Ok(said)
    }

    fn has_to_end(&self) -> bool {
        let given_up = self.given_up.as_ref().is_some_and(|given_up| given_up.load(Relaxed));
        given_up || (self.minds_interrupts && interrupted())
    }

    fn missing(&self, error: &io::Error) -> GateError {
        let name = self.name;
        GateError::usage(if error.kind() == io::ErrorKind::NotFound {
            format!("`{name}` was not found; install it, or give paths of built programs")
        } else {
            format!("`{name}` cannot be started: {error}")
        })
    }
}

enum Line {
    Out(String),
    Err(String),
}

fn forward(
    from: Option<impl Read + Send + 'static>,
    to: Sender<Line>,
    line: impl Fn(String) -> Line + Send + 'static,
) {
    let Some(from) = from else { return };
    thread::spawn(move || {
        for bytes in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(line(String::from_utf8_lossy(&bytes).into_owned())).is_err() {
                break;
            }
        }
    });
}

/// Ends a child and all its processes.
fn end(child: &mut Child, leash: Leash) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    drop(leash);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ToolOutput {
        Tool::new("sh", Path::new("/")).args(["-c", script]).run().unwrap()
    }

    #[test]
    fn what_a_tool_says_and_how_it_ended_is_told_apart() {
        let said = shell("echo one; echo two >&2; exit 3");
        assert_eq!((said.ok, said.line(), said.reason()), (false, "one", "two"));
        assert!(shell("exit 0").ok);
        assert_eq!(shell("echo warning: w >&2; echo fatal: f >&2; exit 1").reason(), "fatal: f");
    }

    #[test]
    fn what_a_tool_says_as_it_ends_is_heard_whenever_that_is() {
        // Covers the moment at which the parent checks whether it has ended.
        for milliseconds in (90..=110).step_by(2) {
            let said = shell(&format!("sleep 0.{milliseconds:03}; echo last"));
            assert_eq!(said.line(), "last", "after {milliseconds} ms");
        }
    }

    #[test]
    fn a_tool_that_leaves_a_server_behind_is_not_waited_for() {
        let said = shell("sleep 5 & echo $!");
        let server = Pid::from_raw(said.line().parse().unwrap()).unwrap();
        rustix::process::kill_process(server, Signal::KILL).expect("it still ran");
    }

    #[test]
    fn a_tool_that_is_not_installed_is_named() {
        let error = Tool::new("no-such-tool", Path::new("/")).run().unwrap_err();
        assert!(error.message.starts_with("`no-such-tool` was not found; install it"), "{error}");
    }
}
