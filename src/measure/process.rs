//! Child processes, from their parent's side: which program they are, and how one is spoken to.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{
    clock::{nanoseconds, now, ticks_per_ns},
    echo::{self, EchoServer},
    host::{self, Cell, Reply, Request},
    interrupt::interrupted,
    load,
    own::{Half, Own},
    round::{Attest, Fault, Recorded},
    usage::Usage,
};
use crate::models::Entry;

/// How often whoever waits for a host looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(100);
const HOST: &str = "__host";
const ECHO: &str = "__echo";
pub(super) const LOAD: &str = "__load";

/// Does a child's work, if this process was started as one, and ends it. Whatever program uses the instruments calls
/// this first.
pub fn spawned() {
    spawned_with(&[]);
}

/// The same for a program that has cells of its own.
pub fn spawned_with(own: &[Own]) {
    let mut arguments = std::env::args_os().skip(1);
    let done = match arguments.next() {
        Some(role) if role == HOST => host::serve(own),
        Some(role) if role == ECHO => echo::serve(),
        Some(role) if role == LOAD => load::serve(),
        _ => return,
    };
    std::process::exit(i32::from(done.is_err()));
}

/// The program that child processes run: one that calls [`spawned`] first.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This program itself.
    ///
    /// # Errors
    ///
    /// Returns an error where the system does not say where it is.
    pub fn this() -> io::Result<Self> {
        std::env::current_exe().map(Program)
    }

    /// Another one.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Program(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A child process, in a process group of its own: Ctrl-C is for its parent, which then ends it.
    pub(super) fn command(&self, role: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(role).process_group(0);
        command
    }

    /// Starts an echo server.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be started.
    pub fn echo(&self) -> io::Result<EchoServer> {
        let command = self.command(ECHO);
        EchoServer::start(command)
    }

    /// Starts a host for cells of `entry` with so many workers.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be started.
    pub fn host(&self, entry: &Entry, workers: Option<usize>) -> io::Result<Host> {
        let mut command = self.command(HOST);
        if let (Some(variable), Some(workers)) = (entry.about.environment, workers) {
            command.env(variable, workers.to_string());
        }
        if let Some((variable, program)) =
            entry.about.foreign.and_then(|foreign| foreign.program(entry.about.name))
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
    pub fn host_of_own(&self) -> io::Result<Host> {
        Host::start(self.command(HOST))
    }
}

/// Why a host gave no answer.
#[derive(Debug)]
pub enum HostError {
    /// It said why.
    Fault(Fault),
    /// It ended.
    Died(String),
    /// It did not answer in time, and was killed.
    Silent(Duration),
    /// Nobody waits for it any more: the program was interrupted.
    Interrupted,
}

impl HostError {
    /// A process that could not be started.
    pub(crate) fn unstarted(error: &io::Error) -> Self {
        HostError::Fault(Fault::Failed(format!("cannot start a process: {error}")))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::Fault(fault) => fault.fmt(f),
            HostError::Died(how) => write!(f, "the process of the cell ended: {how}"),
            HostError::Silent(patience) => {
                write!(f, "no answer within {}", humantime::format_duration(*patience))
            }
            HostError::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// A running host. Dropping it kills it.
pub struct Host {
    child: Child,
    requests: ChildStdin,
    replies: mpsc::Receiver<String>,
    errors: Arc<Mutex<VecDeque<String>>>,
    /// What keeps them, until the process ends.
    keeper: Option<JoinHandle<()>>,
    /// Whether the process has ended and its number may be another's.
    waited_for: bool,
}

impl Host {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let requests = child.stdin.take().expect("it is piped");
        let (give, replies) = mpsc::channel();
        let output = child.stdout.take().expect("it is piped");
        thread::Builder::new().spawn(move || {
            lines(output, |line| give.send(line).is_ok());
        })?;
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let kept = errors.clone();
        let output = child.stderr.take().expect("it is piped");
        let keeper = thread::Builder::new().spawn(move || {
            lines(output, |line| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(line);
                if kept.len() > 3 {
                    kept.pop_front();
                }
                true
            });
        })?;
        Ok(Host { child, requests, replies, errors, keeper: Some(keeper), waited_for: false })
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Prepares `cell`.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be prepared, or the host is gone.
    pub fn prepare(&mut self, cell: Cell, patience: Duration) -> Result<(), HostError> {
        match self.ask(&Request::Prepare(cell), patience)? {
            Reply::Prepared => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// The cells that the program has of its own and lists.
    ///
    /// # Errors
    ///
    /// Returns an error where it does not know the question, or the host is gone.
    pub fn cells(&mut self, patience: Duration) -> Result<Vec<String>, HostError> {
        match self.ask(&Request::Cells, patience)? {
            Reply::Cells { names } => Ok(names),
            other => Err(unexpected(&other)),
        }
    }

    /// Prepares one half of a cell of the program's own.
    ///
    /// # Errors
    ///
    /// Returns an error where it has no such cell, or the host is gone.
    pub fn prepare_own(
        &mut self,
        name: &str,
        half: Half,
        patience: Duration,
    ) -> Result<(), HostError> {
        match self.ask(&Request::Own { name: name.into(), half }, patience)? {
            Reply::Prepared => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs a watched round of the prepared cell.
    ///
    /// # Errors
    ///
    /// Returns an error where the round is not one, or the host is gone.
    pub fn attest(&mut self, patience: Duration) -> Result<Attest, HostError> {
        match self.ask(&Request::Attest, patience)? {
            Reply::Attested(attest) => Ok(attest),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs `count` timed rounds of the prepared cell. Returns the time of each, and what the host used
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Returns an error where a round is not one, or the host is gone.
    pub fn rounds(
        &mut self,
        count: u64,
        patience: Duration,
    ) -> Result<(Vec<Duration>, Usage), HostError> {
        match self.ask(&Request::Rounds { count }, patience)? {
            Reply::Rounds { round_ns, used } => {
                Ok((round_ns.into_iter().map(Duration::from_nanos).collect(), used))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Runs `count` rounds of the prepared cell in which the times of every job are noted.
    ///
    /// # Errors
    ///
    /// Returns an error where a round is not one, or the host is gone.
    pub fn record(&mut self, count: u64, patience: Duration) -> Result<Recorded, HostError> {
        match self.ask(&Request::Record { count, ticks_per_ns: ticks_per_ns() }, patience)? {
            Reply::Recorded(recorded) => Ok(recorded),
            other => Err(unexpected(&other)),
        }
    }

    /// Leaves the started model without jobs for `time`, and returns what its process used meanwhile.
    ///
    /// # Errors
    ///
    /// Returns an error where the host is gone.
    pub fn idle(&mut self, time: Duration, patience: Duration) -> Result<Usage, HostError> {
        match self.ask(&Request::Idle { ns: nanoseconds(time) }, patience)? {
            Reply::Idled(used) => Ok(used),
            other => Err(unexpected(&other)),
        }
    }

    /// Stops the model and ends the host. Returns the threads that the model left behind.
    ///
    /// # Errors
    ///
    /// Returns an error where the host is gone already.
    pub fn stop(mut self, patience: Duration) -> Result<Vec<String>, HostError> {
        match self.ask(&Request::Stop, patience)? {
            Reply::Stopped { threads_left } => Ok(threads_left),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn ask(
        &mut self,
        request: &Request,
        patience: Duration,
    ) -> Result<Reply, HostError> {
        let line = serde_json::to_string(request).expect("requests are plain data");
        let line = self.exchange(line, patience)?;
        match serde_json::from_str(&line) {
            Ok(Reply::Fault(fault)) => Err(HostError::Fault(fault)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(HostError::Died(format!("it said {line:?}: {error}"))),
        }
    }

    /// Sends a line, and waits for the line that answers it.
    pub(super) fn exchange(
        &mut self,
        mut line: String,
        patience: Duration,
    ) -> Result<String, HostError> {
        line.push('\n');
        if self.requests.write_all(line.as_bytes()).is_err() {
            return Err(self.died());
        }
        let deadline = now() + patience;
        loop {
            let left = deadline.saturating_duration_since(now());
            match self.replies.recv_timeout(left.min(GLANCE)) {
                Ok(line) => return Ok(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.died()),
                Err(mpsc::RecvTimeoutError::Timeout) if interrupted() => {
                    self.kill();
                    return Err(HostError::Interrupted);
                }
                Err(mpsc::RecvTimeoutError::Timeout) if left.is_zero() => {
                    self.kill();
                    return Err(HostError::Silent(patience));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Ends the process and all that it started, which are of its group.
    fn kill(&mut self) {
        self.end_group();
        let _ = self.child.wait();
        self.waited_for = true;
    }

    /// Only before the process was waited for: until then its number is nobody else's.
    fn end_group(&self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group.filter(|_| !self.waited_for) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn died(&mut self) -> HostError {
        if !self.waited_for {
            let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = id.map(|id| waitid(WaitId::Pid(id), ended));
            self.end_group();
        }
        let how = self.child.wait().map_or_else(|error| error.to_string(), describe);
        self.waited_for = true;
        // Its last words may still be on their way.
        let _ = self.keeper.take().map(JoinHandle::join);
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let said = errors.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" / ");
        HostError::Died(if said.is_empty() { how } else { format!("{how}; it said: {said}") })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn unexpected(reply: &Reply) -> HostError {
    HostError::Died(format!("it answered another question: {reply:?}"))
}

fn lines(output: impl Read, mut take: impl FnMut(String) -> bool) {
    for line in BufReader::new(output).lines() {
        if !line.is_ok_and(&mut take) {
            break;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "signal 9, as the kernel sends when memory runs out".into(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}
