//! paceline's server, seen from its parent.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::job::Addresses;
use crate::soft_limits::why_not_started;

/// How long a reply may take; it normally takes some microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server. Dropping it ends it.
pub struct EchoServer {
    child: Child,
    /// `None` after it was asked to end.
    requests: Option<ChildStdin>,
    answers: mpsc::Receiver<String>,
    addresses: Addresses,
}

impl EchoServer {
    /// Starts `command`, a process that calls [`serve`](super::serve).
    pub fn start(mut command: Command) -> io::Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| not_started(why_not_started(&error)))?;
        let requests = child.stdin.take();
        let Some(output) = child.stdout.take() else { unreachable!("it is piped") };
        let (give, answers) = mpsc::channel();
        thread::Builder::new().spawn(move || {
            for line in BufReader::new(output).lines() {
                if !line.is_ok_and(|line| give.send(line).is_ok()) {
                    break;
                }
            }
        })?;
        let mut server = EchoServer { child, requests, answers, addresses: Addresses::default() };
        let line = server.answer().unwrap_or_else(|| "it gave no reason".into());
        server.addresses = serde_json::from_str(&line).map_err(|_| not_started(&line))?;
        Ok(server)
    }

    fn answer(&self) -> Option<String> {
        self.answers.recv_timeout(PATIENCE).ok()
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the addresses that it listens on.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Returns the CPU time that it has used so far.
    pub fn cpu_time(&mut self) -> io::Result<Duration> {
        let gone = || io::Error::other("paceline's server ended");
        self.requests.as_mut().ok_or_else(gone)?.write_all(b"?\n").map_err(|_| gone())?;
        let used = self.answer().and_then(|line| line.trim().parse().ok());
        used.map(Duration::from_nanos).ok_or_else(gone)
    }

    /// Returns the CPU time that each of its threads has used so far, in a fixed order. Exact while the threads are
    /// idle. `None` if the system does not provide it.
    pub fn thread_times(&self) -> Option<Vec<Duration>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).ok()?;
        let time = |task: io::Result<fs::DirEntry>| {
            let path = task.ok()?.path();
            let ran = fs::read_to_string(path.join("schedstat")).ok()?;
            let ran = ran.split(' ').next()?.parse().ok()?;
            Some((path, Duration::from_nanos(ran)))
        };
        let mut times = tasks.map(time).collect::<Option<Vec<_>>>()?;
        times.sort_unstable();
        Some(times.into_iter().map(|(_, time)| time).collect())
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn not_started(why: impl fmt::Display) -> io::Error {
    io::Error::other(format!("paceline's server did not start: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_start_is_an_error_with_the_reason_that_it_gave() {
        let said = |program: &str, script: &str| {
            let mut command = Command::new(program);
            command.args(["-c", script]);
            EchoServer::start(command).err().unwrap().to_string()
        };
        let start = "paceline's server did not start: ";
        assert_eq!(said("sh", "echo no more files"), format!("{start}no more files"));
        assert_eq!(said("sh", "exit 1"), format!("{start}it gave no reason"));
        let missing = said("/nowhere/paceline", "");
        assert!(missing.starts_with(start) && missing.contains("No such file"), "{missing}");
    }
}
