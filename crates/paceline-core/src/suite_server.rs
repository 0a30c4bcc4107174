//! The suite's neutral server: readiness-based on mio, one thread per core, and none of the models under test. It
//! echoes, at once or with a delay, and runs rooms.
//!
//! Each thread polls its own listeners and connections and shares nothing with the others. Jobs choose an address by
//! their seeds, so the same connections share a thread in every run and for every model. All rooms are on the first
//! thread, because their members must meet.
//!
//! The port determines how the server treats a connection. On the two ports besides the echo port, a client first sends
//! an 8-byte little-endian number: the delay of replies in nanoseconds, or the number of members of its room. When a
//! room is complete, the server sends that number to all members.
//!
//! It runs in its own process, controlled through its standard streams. It prints its addresses, answers each line with
//! the CPU time it has used so far, and ends when its standard input does, however its parent ended.

mod child;
mod connection;
mod delayed;
mod rooms;

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr},
    thread,
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
    unix::SourceFd,
};

use crate::{
    clock::{cpu_time, nanoseconds},
    soft_limits::{raise_limits, why_not_started},
};
use crate::{job::Addresses, model::BACKLOG};
pub use child::EchoServer;
use connection::{Connection, ConnectionKind, Preamble, State};
use delayed::Delayed;
use rooms::Rooms;

/// The number of loopback addresses that the server listens on. Each has its own range of local ports.
pub const ADDRESSES: u8 = if cfg!(target_os = "linux") { 8 } else { 1 };
/// The first token of a connection; lower ones are standard input and the listeners of a thread.
const FIRST: usize = 32;
const CONTROL: Token = Token(0);
/// The delay before a listener that could not accept is tried again: clients that already wait cause no further event.
const RETRY: Duration = Duration::from_millis(10);
/// The number of bytes read from a connection at a time.
const CHUNK: usize = 64 << 10;

/// Serves until standard input ends. The `main` of the child process calls this. An error is also its last line, which
/// says why in place of the addresses.
pub fn serve() -> io::Result<()> {
    raise_limits();
    serve_all().inspect_err(|error| {
        let _ = writeln!(io::stdout(), "{}", why_not_started(error));
    })
}

fn serve_all() -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut servers = (0..threads).map(|_| Server::new()).collect::<io::Result<Vec<_>>>()?;
    let mut addresses = Addresses::default();
    // Rounded up, so that each thread listens on the same number of addresses.
    for address in 0..usize::from(ADDRESSES).next_multiple_of(threads) {
        let server = &mut servers[address % threads];
        addresses.echo.push(server.listen(address, 0)?);
        addresses.slow.push(server.listen(address, 1)?);
    }
    for address in 0..usize::from(ADDRESSES) {
        addresses.rooms.push(servers[0].listen(address, 2)?);
    }
    let mut first = servers.swap_remove(0);
    for mut server in servers {
        thread::Builder::new().name("echo".into()).spawn(move || {
            let why = server
                .run(None)
                .map_or_else(|error| why_not_started(&error), |()| "no reason".into());
            let _ = writeln!(io::stderr(), "paceline's server ended: {why}");
            std::process::exit(1);
        })?;
    }
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &addresses)?;
    writeln!(output)?;
    output.flush()?;
    first.run(Some(&mut output))
}

/// One thread of the server.
struct Server {
    poll: Poll,
    /// Each with the kind of its connections.
    listeners: Vec<(TcpListener, usize)>,
    /// Listeners that failed to accept a client, which may still be waiting.
    starved: Vec<usize>,
    delayed: Delayed,
    rooms: Rooms,
    /// The number of connections opened so far.
    opened: u64,
    /// Indexed by token; a free slot stores the index of the next one.
    connections: Vec<Slot>,
    free: Option<usize>,
    buffer: Vec<u8>,
}

enum Slot {
    Free { next: Option<usize> },
    Open(Connection),
}

/// Identifies a connection by its slot and generation, because the slot may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Peer {
    index: usize,
    generation: u64,
}

impl Server {
    fn new() -> io::Result<Self> {
        Ok(Server {
            poll: Poll::new()?,
            listeners: Vec::new(),
            starved: Vec::new(),
            delayed: Delayed::default(),
            rooms: Rooms::default(),
            opened: 0,
            connections: Vec::new(),
            free: None,
            buffer: vec![0; CHUNK],
        })
    }

    /// Listens on this loopback address for connections of a kind. Returns the address with its port.
    fn listen(&mut self, address: usize, kind: usize) -> io::Result<SocketAddr> {
        let last = 1 + (address % usize::from(ADDRESSES)) as u8;
        let socket = std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0))?;
        // std and mio use a queue of 128, which a burst of connections overflows.
        rustix::net::listen(&socket, BACKLOG)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpListener::from_std(socket);
        let token = Token(CONTROL.0 + 1 + self.listeners.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        let address = socket.local_addr()?;
        self.listeners.push((socket, kind));
        Ok(address)
    }

    /// Serves. With an `output`, it also answers each line of standard input, and returns when that ends.
    fn run(&mut self, mut output: Option<&mut dyn Write>) -> io::Result<()> {
        if output.is_some() {
            self.poll.registry().register(&mut SourceFd(&0), CONTROL, Interest::READABLE)?;
        }
        let mut events = Events::with_capacity(1024);
        loop {
            let retry = (!self.starved.is_empty()).then_some(RETRY);
            let next = [self.delayed.next(), self.rooms.patience(), retry];
            let next = next.into_iter().flatten().min();
            match self.poll.poll(&mut events, next) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            while let Some((peer, bytes)) = self.delayed.due() {
                self.send(peer, &bytes);
            }
            for peer in self.rooms.given_up() {
                if self.is_open(peer) {
                    self.close(peer.index);
                }
            }
            for event in &events {
                match event.token() {
                    CONTROL => {
                        let mut request = [0; 64];
                        // One reply per line; at most one request is outstanding.
                        match io::stdin().read(&mut request) {
                            Ok(0) => return Ok(()),
                            Ok(_) => {
                                let output = output.as_mut().expect("it polls standard input");
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
            for listener in std::mem::take(&mut self.starved) {
                self.accept(listener)?;
            }
        }
    }

    /// Accepts all waiting clients, because events are edge-triggered.
    fn accept(&mut self, listener: usize) -> io::Result<()> {
        loop {
            let (socket, kind) = &self.listeners[listener];
            match socket.accept() {
                Ok((stream, _)) => self.open(stream, *kind)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The client has already gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // No descriptor or memory is free until a connection closes.
                Err(_) => {
                    self.starved.push(listener);
                    return Ok(());
                }
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream, kind: usize) -> io::Result<()> {
        let _ = stream.set_nodelay(true);
        let (kind, interest) = match kind {
            0 => (ConnectionKind::Echo, Interest::READABLE),
            1 => (
                ConnectionKind::Slow(Preamble::Partial(vec![])),
                Interest::READABLE | Interest::WRITABLE,
            ),
            _ => (
                ConnectionKind::Room(Preamble::Partial(vec![])),
                Interest::READABLE | Interest::WRITABLE,
            ),
        };
        self.opened += 1;
        let index = self.free.unwrap_or_else(|| {
            self.connections.push(Slot::Free { next: None });
            self.connections.len() - 1
        });
        self.poll.registry().register(&mut stream, Token(FIRST + index), interest)?;
        let unsent = Vec::new();
        let slot = Slot::Open(Connection { stream, generation: self.opened, kind, unsent });
        if let Slot::Free { next } = std::mem::replace(&mut self.connections[index], slot) {
            self.free = next;
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) -> io::Result<()> {
        let Some(Slot::Open(connection)) = self.connections.get_mut(index) else {
            return Ok(()); // An event from before it was closed.
        };
        if !matches!(connection.kind, ConnectionKind::Echo) {
            self.hear(index);
            return Ok(());
        }
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
            State::Closed => self.close(index),
        }
        Ok(())
    }

    fn close(&mut self, index: usize) {
        let slot = Slot::Free { next: self.free.replace(index) };
        let Slot::Open(Connection { stream, generation, kind, .. }) =
            std::mem::replace(&mut self.connections[index], slot)
        else {
            unreachable!("it is closed once");
        };
        let _ = stream.shutdown(Shutdown::Both);
        let room = match kind {
            ConnectionKind::Room(Preamble::Complete(room)) => room,
            ConnectionKind::Room(Preamble::Partial(_))
            | ConnectionKind::Slow(_)
            | ConnectionKind::Echo => return,
        };
        self.rooms.leave(Peer { index, generation }, room);
    }

    /// Sends what is unsent, and processes everything that has arrived on a connection that is not an echo connection.
    fn hear(&mut self, index: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(Slot::Open(connection)) = self.connections.get_mut(index) {
            let peer = Peer { index, generation: connection.generation };
            // Reads even while data is unsent: otherwise two peers with long messages could wait for each other.
            let flushed = match connection.flush() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => connection.stream.read(&mut buffer),
            };
            match flushed {
                Ok(0) => self.close(index),
                Ok(read) => self.heard(peer, &buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.close(index),
            }
        }
        self.buffer = buffer;
    }

    /// Processes received bytes according to the kind of the connection.
    fn heard(&mut self, peer: Peer, bytes: &[u8]) {
        let Some(Slot::Open(connection)) = self.connections.get_mut(peer.index) else { return };
        let mut rest = bytes;
        match &mut connection.kind {
            ConnectionKind::Slow(preamble) => {
                if let Some(ns) = preamble.receive(&mut rest) {
                    *preamble = Preamble::Complete(Duration::from_nanos(ns));
                }
                if let (Preamble::Complete(after), false) = (&*preamble, rest.is_empty()) {
                    self.delayed.keep(peer, *after, rest);
                }
            }
            ConnectionKind::Room(preamble) => {
                if let Some(size) = preamble.receive(&mut rest) {
                    *preamble = Preamble::Complete(None);
                    self.join(peer, size);
                }
                self.say(peer, rest);
            }
            ConnectionKind::Echo => unreachable!("it is answered at once"),
        }
    }

    /// Adds `peer` to a room of `size` members, and notifies all of them when it is complete.
    fn join(&mut self, peer: Peer, size: u64) {
        let Some(room) = self.rooms.join(peer, size) else { return };
        for member in self.rooms.members(room).to_vec() {
            if let Some(Slot::Open(connection)) = self.connections.get_mut(member.index) {
                connection.kind = ConnectionKind::Room(Preamble::Complete(Some(room)));
            }
            self.send(member, &size.to_le_bytes());
        }
    }

    /// Sends a message of `peer` to all members of its room. Messages sent before the room is complete are discarded.
    fn say(&mut self, peer: Peer, bytes: &[u8]) {
        let Some(Slot::Open(connection)) = self.connections.get(peer.index) else { return };
        if let (ConnectionKind::Room(Preamble::Complete(Some(room))), false) =
            (&connection.kind, bytes.is_empty())
        {
            for member in self.rooms.hear(*room).to_vec() {
                self.send(member, bytes);
            }
        }
    }

    fn is_open(&self, peer: Peer) -> bool {
        matches!(self.connections.get(peer.index), Some(Slot::Open(open)) if open.generation == peer.generation)
    }

    /// Sends `bytes` to a connection if it is still open; what it does not accept now is sent later.
    fn send(&mut self, peer: Peer, bytes: &[u8]) {
        match self.connections.get_mut(peer.index) {
            Some(Slot::Open(connection)) if connection.generation == peer.generation => {
                connection.unsent.extend_from_slice(bytes);
                // The next read reports the error again.
                let _ = connection.flush();
            }
            _ => {}
        }
    }
}
