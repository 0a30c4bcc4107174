//! A running host, seen from its parent.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
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
    lines::{LONGEST, lines, no_reply},
};
use crate::{
    clock::{nanoseconds, now, ticks_per_ns},
    custom::{self, Variant},
    interrupt::interrupted,
    leash::Leash,
    perform::{Probe, Probed},
    prepared::{Attestation, Fault, Recorded},
    protocol::{CellSpec, Reply, Request},
    soft_limits::with_remedy,
    usage::Usage,
};

/// How often a wait for a host checks for an interrupt.
const GLANCE: Duration = Duration::from_millis(100);

/// How long a process that closed its output may take to exit and to deliver its last output.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Polls `is_so` until it returns true or `time` has passed.
fn within(time: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = now() + time;
    while !is_so() && now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
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
        HostError::Fault(Fault::Failed(format!("cannot start a process: {}", with_remedy(error))))
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

/// A running host. Dropping it kills it.
///
/// A request fails if the host does not know it, cannot do it, has ended, or does not answer within the patience.
pub struct Host {
    child: Child,
    /// `None` once the group has been killed.
    leash: Option<Leash>,
    requests: ChildStdin,
    replies: mpsc::Receiver<String>,
    errors: Arc<Mutex<VecDeque<String>>>,
    /// The thread that collects standard error until the process ends.
    keeper: Option<JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
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
        Ok(Host { child, leash, requests, replies, errors, keeper })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Prepares `cell`.
    pub fn prepare(&mut self, cell: CellSpec, patience: Duration) -> Result<(), HostError> {
        match self.ask(&Request::Prepare(cell), patience)? {
            Reply::Prepared => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the names of the listed custom cells, and of those that have a head variant.
    pub fn cells(&mut self, patience: Duration) -> Result<[Vec<String>; 2], HostError> {
        match self.ask(&Request::Cells, patience)? {
            Reply::Cells { names, with_head } => Ok([names, with_head]),
            other => Err(unexpected(&other)),
        }
    }

    /// Prepares one variant of a custom cell.
    pub fn prepare_custom(
        &mut self,
        name: &str,
        variant: Variant,
        patience: Duration,
    ) -> Result<(), HostError> {
        match self.ask(&Request::Custom { name: name.into(), variant }, patience)? {
            Reply::Prepared => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs a batch of the prepared cell with the counters on.
    pub fn attest(&mut self, patience: Duration) -> Result<Attestation, HostError> {
        match self.ask(&Request::Attest, patience)? {
            Reply::Attested(attest) => Ok(attest),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs `count` timed batches of the prepared cell. Returns the duration of each, and the resources that the host
    /// used in the meantime.
    pub fn batches(
        &mut self,
        count: u64,
        patience: Duration,
    ) -> Result<(Vec<Duration>, Usage), HostError> {
        match self.ask(&Request::Batches { count }, patience)? {
            Reply::Batches { batch_ns, used } => {
                Ok((batch_ns.into_iter().map(Duration::from_nanos).collect(), used))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Runs `count` batches of the prepared cell and records the times of every job.
    pub fn record(&mut self, count: u64, patience: Duration) -> Result<Recorded, HostError> {
        match self.ask(&Request::Record { count, ticks_per_ns: ticks_per_ns() }, patience)? {
            Reply::Recorded(recorded) => Ok(recorded),
            Reply::Calls { ns } => Ok(custom::recorded(ns.into_iter().map(Duration::from_nanos))),
            other => Err(unexpected(&other)),
        }
    }

    /// Leaves the started model without jobs for `time`, and returns the resources that its process used.
    pub fn idle(&mut self, time: Duration, patience: Duration) -> Result<Usage, HostError> {
        match self.ask(&Request::Idle { ns: nanoseconds(time) }, patience)? {
            Reply::Idled(used) => Ok(used),
            other => Err(unexpected(&other)),
        }
    }

    /// Probes the model of the prepared cell.
    pub fn probe(&mut self, what: Probe, patience: Duration) -> Result<Probed, HostError> {
        match self.ask(&Request::Probe { what }, patience)? {
            Reply::Probed(seen) => Ok(seen),
            other => Err(unexpected(&other)),
        }
    }

    /// Stops the model and ends the host. Returns the names of the threads that the model left behind.
    pub fn stop(mut self, patience: Duration) -> Result<Vec<String>, HostError> {
        match self.ask(&Request::Stop, patience)? {
            Reply::Stopped { threads_left } => Ok(threads_left),
            other => Err(unexpected(&other)),
        }
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

    /// Sends a line.
    pub(crate) fn send(&mut self, mut line: String) -> Result<(), HostError> {
        line.push('\n');
        self.requests.write_all(line.as_bytes()).map_err(|_| self.died())
    }

    /// Waits for the next line, unless nobody waits for it any more: the process is then killed.
    pub(crate) fn line_unless(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, HostError> {
        let deadline = now() + patience;
        loop {
            let left = deadline.saturating_duration_since(now());
            match self.replies.recv_timeout(left.min(GLANCE)) {
                Ok(line) => return Ok(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.died()),
                Err(mpsc::RecvTimeoutError::Timeout) if is_over() => {
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

pub(crate) fn unexpected(reply: &Reply) -> HostError {
    HostError::Died(format!("it answered another question: {reply:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_first_process_adopts_of_a_host_does_not_stay_a_zombie() {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let mut host = host("sleep 61 & echo $!; exec sleep 61");
        let orphan = host.exchange(String::new(), Duration::from_secs(9)).unwrap();
        drop(host);
        assert!(!std::path::Path::new(&format!("/proc/{orphan}")).exists(), "{orphan}");
    }
}
