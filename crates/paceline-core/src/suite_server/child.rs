//! The suite's server, from its parent's side.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::job::Addresses;

/// A running server. Dropping it ends it.
pub struct EchoServer {
    child: Child,
    /// `None` once it is told to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    addresses: Addresses,
}

impl EchoServer {
    /// Starts `command`, a process that calls [`serve`](super::serve).
    ///
    /// # Errors
    ///
    /// Returns an error where the process cannot be started or does not say its addresses.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = child.stdin.take();
        let Some(output) = child.stdout.take() else { unreachable!("it is piped") };
        let mut answers = BufReader::new(output);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        if let Ok(addresses) = serde_json::from_str(&line) {
            return Ok(EchoServer { child, requests, answers, addresses });
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(io::Error::other("the echo server did not start"))
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The CPU time that it has used so far.
    ///
    /// # Errors
    ///
    /// Returns an error where it is gone.
    pub fn cpu_time(&mut self) -> io::Result<Duration> {
        let gone = || io::Error::other("the echo server is gone");
        self.requests.as_mut().ok_or_else(gone)?.write_all(b"?\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        line.trim().parse().map(Duration::from_nanos).map_err(|_| gone())
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
