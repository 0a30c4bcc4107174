//! A running host, seen from its parent.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpgid,
};

use super::{
    describe,
    lines::{LONGEST, lines, no_reply, receive},
};
use crate::{
    clock::{nanoseconds, ticks_per_ns, within},
    custom::{self, Variant},
    interrupt::interrupted,
    leash::Leash,
    perform::{Probe, Probed},
    prepared::{Attestation, Fault, Recorded, ServerSeen},
    protocol::{CellSpec, Reply, Request},
    soft_limits::why_not_started,
    usage::Usage,
};

/// How long a process that closed its output may take to exit and to deliver its last output.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Returns what the expected reply carries, or the error of any other reply.
macro_rules! expected {
    ($reply:expr, $($expected:pat => $value:expr),+) => {
        match $reply {
            $($expected => Ok($value),)+
            other => Err(HostError::Died(format!("it answered another question: {other:?}"))),
        }
    };
}

/// Why a host gave no reply.
#[derive(Debug)]
pub enum HostError {
    /// The host reported a fault.
    Fault(Fault),
    /// The host ended.
    Died(String),
    /// The host did not reply in time, and was killed.
    Silent(Duration),
    /// The program was interrupted.
    Interrupted,
}

impl HostError {
    /// Returns the error of a process that could not be started.
    pub fn unstarted(error: &io::Error) -> Self {
        HostError::Fault(Fault::Failed(format!(
            "cannot start a process: {}",
            why_not_started(error)
        )))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::Fault(fault) => fault.fmt(f),
            HostError::Died(how) => write!(f, "the process of the cell ended: {how}"),
            HostError::Silent(patience) => {
                let time = humantime::format_duration(*patience);
                write!(f, "the process of the cell gave no answer within {time}, and was ended")
            }
            HostError::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// Names the working directory or the program that does not exist: the system says only that something is missing.
fn name_missing(error: io::Error, command: &Command) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    let program = Path::new(command.get_program());
    let folder = command.get_current_dir().filter(|folder| !folder.is_dir());
    let what = match folder {
        Some(folder) => format!("there is no working folder {}", folder.display()),
        None if program.is_file() => {
            format!("the interpreter or loader of {} is not there", program.display())
        }
        None => format!("there is no program {}", program.display()),
    };
    io::Error::new(io::ErrorKind::NotFound, what)
}

/// A running host. Dropping it kills it.
///
/// A request fails if the host does not know it, cannot do it, has ended, or does not answer within the patience.
pub struct Host {
    child: Child,
    /// `None` once the group has been killed.
    leash: Option<Leash>,
    requests: ChildStdin,
    replies: mpsc::Receiver<String>,
    /// What the process had said before it ended, found when a line could not be sent: the next line.
    last_words: Option<String>,
    errors: Arc<Mutex<VecDeque<String>>>,
    /// The thread that collects standard error until the process ends.
    keeper: Option<JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| name_missing(error, &command))?;
        let leash = Some(Leash::on(&child));
        let requests = child.stdin.take().expect("it is piped");
        // A bounded channel: a host that floods it blocks on its own pipe.
        let (give, replies) = mpsc::sync_channel(16);
        let output = child.stdout.take().expect("it is piped");
        thread::Builder::new().spawn(move || {
            lines(output, LONGEST, |line| give.send(line).is_ok());
        })?;
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let kept = errors.clone();
        let output = child.stderr.take().expect("it is piped");
        let keeper = thread::Builder::new().spawn(move || {
            lines(output, LONGEST, |line| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(line);
                if kept.len() > 3 {
                    kept.pop_front();
                }
                true
            });
        })?;
        let keeper = Some(keeper);
        Ok(Host { child, leash, requests, replies, last_words: None, errors, keeper })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Prepares `cell`.
    pub fn prepare(&mut self, cell: CellSpec, patience: Duration) -> Result<(), HostError> {
        expected!(self.ask(&Request::Prepare(cell), patience)?, Reply::Prepared => ())
    }

    /// Returns the names of the listed custom cells, and of those that have a head variant.
    pub fn cells(&mut self, patience: Duration) -> Result<[Vec<String>; 2], HostError> {
        expected!(self.ask(&Request::Cells, patience)?,
            Reply::Cells { names, with_head } => [names, with_head])
    }

    /// Prepares one variant of a custom cell.
    pub fn prepare_custom(
        &mut self,
        name: &str,
        variant: Variant,
        patience: Duration,
    ) -> Result<(), HostError> {
        let request = Request::Custom { name: name.into(), variant };
        expected!(self.ask(&request, patience)?, Reply::Prepared => ())
    }

    /// Runs a batch of the prepared cell with the counters on.
    pub fn attest(&mut self, patience: Duration) -> Result<Attestation, HostError> {
        expected!(self.ask(&Request::Attest, patience)?, Reply::Attested(attest) => attest)
    }

    /// Runs `count` timed batches of the prepared cell. Returns the duration of each, and the resources that the host
    /// used in the meantime.
    pub fn batches(
        &mut self,
        count: u64,
        patience: Duration,
    ) -> Result<(Vec<Duration>, Usage), HostError> {
        expected!(self.ask(&Request::Batches { count }, patience)?,
            Reply::Batches { batch_ns, used } =>
                (batch_ns.into_iter().map(Duration::from_nanos).collect(), used))
    }

    /// Runs `count` batches of the prepared cell and records the times of every job.
    pub fn record(&mut self, count: u64, patience: Duration) -> Result<Recorded, HostError> {
        let request = Request::Record { count, ticks_per_ns: ticks_per_ns() };
        expected!(self.ask(&request, patience)?,
            Reply::Recorded(recorded) => recorded,
            Reply::Calls { ns } => custom::recorded(ns.into_iter().map(Duration::from_nanos)))
    }

    /// Leaves the started model without jobs for `time`, and returns the resources that its process used.
    pub fn idle(&mut self, time: Duration, patience: Duration) -> Result<Usage, HostError> {
        let request = Request::Idle { ns: nanoseconds(time) };
        expected!(self.ask(&request, patience)?, Reply::Idled(used) => used)
    }

    /// Probes the model of the prepared cell.
    pub fn probe(&mut self, what: Probe, patience: Duration) -> Result<Probed, HostError> {
        expected!(self.ask(&Request::Probe { what }, patience)?, Reply::Probed(seen) => seen)
    }

    /// Makes the host serve `cell`'s jobs until it ends; from then on it answers only [`usage`], [`watch`] and [`seen`].
    /// Returns the address that it listens on. The cell's scale is ignored.
    /// [`ModelInfo::connections`](crate::models::ModelInfo::connections) gives the number of connections that it serves
    /// concurrently.
    ///
    /// [`usage`]: Self::usage
    /// [`watch`]: Self::watch
    /// [`seen`]: Self::seen
    pub fn serve(&mut self, cell: CellSpec, patience: Duration) -> Result<SocketAddr, HostError> {
        expected!(self.ask(&Request::Serve(cell), patience)?, Reply::Serving { address } => address)
    }

    /// Returns the resources that the host has used so far, all threads together.
    ///
    /// # Errors
    ///
    /// Returns an error if the host has ended. A server that runs out of descriptors ends its host.
    pub fn usage(&mut self, patience: Duration) -> Result<Usage, HostError> {
        expected!(self.ask(&Request::Usage, patience)?, Reply::Usage(used) => used)
    }

    /// Watches the server from now on. With `counting`, the threads that run jobs are counted, which takes time of each
    /// job.
    pub fn watch(&mut self, counting: bool, patience: Duration) -> Result<(), HostError> {
        expected!(self.ask(&Request::Watch { counting }, patience)?, Reply::Watching => ())
    }

    /// Returns what was seen of the server since [`watch`](Self::watch).
    pub fn seen(&mut self, patience: Duration) -> Result<ServerSeen, HostError> {
        expected!(self.ask(&Request::Seen, patience)?, Reply::Seen(seen) => seen)
    }

    /// Stops the model and ends the host. Returns the names of the threads that the model left behind.
    pub fn stop(mut self, patience: Duration) -> Result<Vec<String>, HostError> {
        expected!(self.ask(&Request::Stop, patience)?, Reply::Stopped { threads_left } => threads_left)
    }

    pub(crate) fn ask(
        &mut self,
        request: &Request,
        patience: Duration,
    ) -> Result<Reply, HostError> {
        let line = serde_json::to_string(request).expect("requests are plain data");
        let line = self.exchange(line, patience)?;
        match serde_json::from_str(&line) {
            Ok(Reply::Fault(fault)) => Err(HostError::Fault(fault)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(no_reply(&line, &error)),
        }
    }

    /// Sends a line and waits for its reply.
    pub(crate) fn exchange(
        &mut self,
        line: String,
        patience: Duration,
    ) -> Result<String, HostError> {
        self.send(line)?;
        self.line_unless(patience, &interrupted)
    }

    /// Sends a line. A process that has ended may have said why before: it counts as sent then, and that is the next
    /// line.
    pub(crate) fn send(&mut self, mut line: String) -> Result<(), HostError> {
        line.push('\n');
        if self.requests.write_all(line.as_bytes()).is_ok() {
            return Ok(());
        }
        let died = self.died();
        self.last_words = receive(&self.replies, LAST_WORDS, &|| false).ok().flatten();
        if self.last_words.is_some() { Ok(()) } else { Err(died) }
    }

    /// Waits for the next line, unless nobody waits for it any more: the process is then killed.
    pub(crate) fn line_unless(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, HostError> {
        if let Some(line) = self.last_words.take() {
            return Ok(line);
        }
        match receive(&self.replies, patience, is_over) {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(self.died()),
            Err(error) => {
                self.kill();
                Err(error)
            }
        }
    }

    /// Kills the process and everything it started, which shares its process group.
    fn kill(&mut self) {
        self.end_group();
        let _ = self.child.wait();
        self.reap_group();
    }

    /// Reaps the rest of the group if this process adopts orphans, as the first process of a container does. Otherwise
    /// they would stay zombies.
    fn reap_group(&self) {
        let group = Pid::from_child(&self.child);
        within(LAST_WORDS, || {
            while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
            waitpgid(group, WaitOptions::NOHANG).is_err()
        });
    }

    /// Kills the group. Only the first time, before the process is waited for: after that, its id may belong to another
    /// process.
    fn end_group(&mut self) {
        let Some(_leash) = self.leash.take() else { return };
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    fn died(&mut self) -> HostError {
        if self.leash.is_some() {
            let id = Pid::from_child(&self.child);
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            // The process may have closed its output without exiting.
            within(LAST_WORDS, || !matches!(waitid(WaitId::Pid(id), ended), Ok(None)));
            self.end_group();
        }
        let how = self.child.wait().map_or_else(|error| error.to_string(), describe);
        self.reap_group();
        // Its last output may still be on the way, and a process that left its group may keep the pipe open.
        within(LAST_WORDS, || self.keeper.as_ref().is_none_or(JoinHandle::is_finished));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use std::os::unix::process::CommandExt;

    fn host(script: &str) -> Host {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0);
        Host::start(command).unwrap()
    }

    #[test]
    fn a_process_that_closes_its_output_and_does_not_end_is_not_waited_for() {
        let start = now();
        let mut host = host("echo last words >&2; exec sleep 60 >&-");
        let died = host.exchange("request".into(), Duration::from_secs(50)).unwrap_err();
        assert!(died.to_string().contains("last words"), "{died}");
        assert!(now() - start < LAST_WORDS * 4);
    }

    #[test]
    fn what_a_process_said_before_it_ended_is_its_answer_to_a_line_that_it_did_not_take() {
        let mut ended = host("exec <&-; echo up; echo why; echo more; exit 7");
        let next = |of: &mut Host| of.line_unless(Duration::from_secs(50), &|| false).unwrap();
        // It takes nothing any more.
        assert_eq!(next(&mut ended), "up");
        let first = ended.exchange("request".into(), Duration::from_secs(50)).unwrap();
        assert_eq!((&*first, &*next(&mut ended)), ("why", "more"));
        let died = ended.exchange("request".into(), Duration::from_secs(50)).unwrap_err();
        assert!(matches!(&died, HostError::Died(how) if how.contains('7')), "{died}");
    }

    #[test]
    fn a_process_that_cannot_be_started_says_which_path_is_missing() {
        let said = |program: &str, folder: &str| {
            let mut command = Command::new(program);
            command.current_dir(folder);
            let error = Host::start(command).err().expect("it cannot start");
            HostError::unstarted(&error).to_string()
        };
        let start = "cannot start a process: there is no";
        assert_eq!(said("/bin/sh", "/nowhere"), format!("{start} working folder /nowhere"));
        assert_eq!(said("/no/program", "/"), format!("{start} program /no/program"));
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), "#!/no/shell\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(script.path(), executable).unwrap();
        // No file that is open for writing can be executed.
        let script = script.into_temp_path();
        let said = said(script.to_str().unwrap(), "/");
        assert!(said.contains("the interpreter or loader of /"), "{said}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_first_process_adopts_of_a_host_does_not_stay_a_zombie() {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let mut host = host("sleep 61 & echo $!; exec sleep 61");
        let orphan = host.exchange(String::new(), Duration::from_secs(9)).unwrap();
        drop(host);
        assert!(!Path::new(&format!("/proc/{orphan}")).exists(), "{orphan}");
    }
}
