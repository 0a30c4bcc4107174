//! The neutral echo server: readiness-based on mio, one thread, none of the models under test.
//!
//! It runs in a process of its own, which is told everything through its standard streams: it prints its addresses,
//! answers each line with the CPU time it has used so far, and ends when its standard input does, whatever way its
//! parent went.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
    unix::SourceFd,
};

use super::{
    clock::{cpu_time, nanoseconds},
    raise::raise_limits,
};
use crate::model::BACKLOG;

/// Loopback addresses that the server listens on: each has all the ephemeral ports for itself.
pub(crate) const ADDRESSES: u8 = if cfg!(target_os = "linux") { 8 } else { 1 };
/// The first token of a connection; below are standard input and the listeners.
const FIRST: usize = 16;
const CONTROL: Token = Token(0);
/// How much is read from a connection at a time.
const CHUNK: usize = 64 << 10;

/// Serves until standard input ends. What `main` of the child process calls.
///
/// # Errors
///
/// Returns an error where no address can be bound or the poller fails.
pub fn serve() -> io::Result<()> {
    raise_limits();
    let mut server = Server::bind()?;
    let mut output = io::stdout().lock();
    let addresses: Vec<String> = server.addresses()?.iter().map(SocketAddr::to_string).collect();
    writeln!(output, "{}", addresses.join(" "))?;
    output.flush()?;
    server.run(&mut output)
}

struct Server {
    poll: Poll,
    listeners: Vec<TcpListener>,
    /// By token; a free place keeps the index of the next.
    connections: Vec<Slot>,
    free: Option<usize>,
    buffer: Vec<u8>,
}

enum Slot {
    Free { next: Option<usize> },
    Open(Connection),
}

struct Connection {
    stream: TcpStream,
    /// What the client has not taken yet. Nothing is read meanwhile: the client's sending is held up, not our memory.
    unsent: Vec<u8>,
}

/// What became of a connection that was served.
enum State {
    Reading,
    Writing,
    Closed,
}

impl Server {
    fn bind() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listeners = Vec::new();
        for last in 1..=ADDRESSES {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0);
            let listener = std::net::TcpListener::bind(address)?;
            // std and mio ask for a queue of 128, which a burst of connections overflows.
            rustix::net::listen(&listener, BACKLOG)?;
            listener.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(listener);
            poll.registry().register(
                &mut listener,
                Token(CONTROL.0 + usize::from(last)),
                Interest::READABLE,
            )?;
            listeners.push(listener);
        }
        Ok(Server { poll, listeners, connections: Vec::new(), free: None, buffer: vec![0; CHUNK] })
    }

    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    fn run(&mut self, output: &mut impl Write) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&0), CONTROL, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    CONTROL => {
                        let mut request = [0; 64];
                        // One answer for a line; there is never more than one under way.
                        match io::stdin().read(&mut request) {
                            Ok(0) => return Ok(()),
                            Ok(_) => {
                                writeln!(output, "{}", nanoseconds(cpu_time()))?;
                                output.flush()?;
                            }
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Token(listener) if listener < FIRST => self.accept(listener - 1)?,
                    Token(connection) => self.serve(connection - FIRST)?,
                }
            }
        }
    }

    /// Accepts all that wait: events are edges.
    fn accept(&mut self, listener: usize) -> io::Result<()> {
        loop {
            match self.listeners[listener].accept() {
                Ok((stream, _)) => self.open(stream)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The client is gone again, or we have no descriptor left: the parent's preflight sees to the latter.
                Err(_) => return Ok(()),
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream) -> io::Result<()> {
        let _ = stream.set_nodelay(true);
        let index = self.free.unwrap_or_else(|| {
            self.connections.push(Slot::Free { next: None });
            self.connections.len() - 1
        });
        self.poll.registry().register(&mut stream, Token(FIRST + index), Interest::READABLE)?;
        let slot = Slot::Open(Connection { stream, unsent: Vec::new() });
        if let Slot::Free { next } = std::mem::replace(&mut self.connections[index], slot) {
            self.free = next;
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) -> io::Result<()> {
        let Some(Slot::Open(connection)) = self.connections.get_mut(index) else {
            return Ok(()); // An event from before it was closed.
        };
        let was_writing = !connection.unsent.is_empty();
        let state = connection.serve(&mut self.buffer);
        let token = Token(FIRST + index);
        let registry = self.poll.registry();
        match state {
            State::Reading if was_writing => {
                registry.reregister(&mut connection.stream, token, Interest::READABLE)?;
            }
            State::Writing if !was_writing => {
                registry.reregister(&mut connection.stream, token, Interest::WRITABLE)?;
            }
            State::Reading | State::Writing => {}
            State::Closed => {
                let _ = connection.stream.shutdown(Shutdown::Both);
                self.connections[index] = Slot::Free { next: self.free.replace(index) };
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Writes what is unsent, then reads and returns what there is.
    fn serve(&mut self, buffer: &mut [u8]) -> State {
        loop {
            while !self.unsent.is_empty() {
                match self.stream.write(&self.unsent) {
                    Ok(sent) => drop(self.unsent.drain(..sent)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return State::Writing;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return State::Closed,
                }
            }
            let read = match self.stream.read(buffer) {
                Ok(0) => return State::Closed,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return State::Reading,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return State::Closed,
            };
            let sent = match self.stream.write(&buffer[..read]) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return State::Closed,
            };
            self.unsent.extend_from_slice(&buffer[sent..read]);
            // A read that did not fill the buffer emptied the socket: what comes later is a new edge.
            if sent == read && read < buffer.len() {
                return State::Reading;
            }
        }
    }
}

/// A running echo server, from its parent's side. Dropping it ends it.
pub struct EchoServer {
    child: Child,
    /// `None` once it is told to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    addresses: Vec<SocketAddr>,
}

impl EchoServer {
    /// Starts `command`, a process that calls [`serve`].
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
        let addresses: Result<Vec<SocketAddr>, _> =
            line.split_whitespace().map(str::parse).collect();
        match addresses {
            Ok(addresses) if !addresses.is_empty() => {
                Ok(EchoServer { child, requests, answers, addresses })
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other("the echo server did not start"))
            }
        }
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
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
