//! The suite's neutral server: readiness-based on mio, one thread, none of the models under test. It echoes, at once or
//! later, and keeps rooms.
//!
//! What a connection is to the server depends on the port that it came to. To the two ports besides the echo server's, it
//! says a number of 8 bytes first, little-endian: how many nanoseconds later it is to be answered, or how many members
//! its room has, who are all sent that number once they are there.
//!
//! It runs in a process of its own, which is told everything through its standard streams: it prints its addresses,
//! answers each line with the CPU time it has used so far, and ends when its standard input does, whatever way its
//! parent went.

mod child;
mod delayed;
mod rooms;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr},
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
    unix::SourceFd,
};

use crate::{
    clock::{cpu_time, nanoseconds},
    soft_limits::raise_limits,
};
use crate::{job::Addresses, model::BACKLOG};
pub use child::EchoServer;
use delayed::Delayed;
use rooms::Rooms;

/// Sorts of connections, each with a port of its own.
const SORTS: u8 = 3;
/// Loopback addresses that the server listens on: each has all the ephemeral ports for itself.
pub const ADDRESSES: u8 = if cfg!(target_os = "linux") { 8 } else { 1 };
/// The first token of a connection; below are standard input and the listeners.
const FIRST: usize = 32;
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
    serde_json::to_writer(&mut output, &server.addresses()?)?;
    writeln!(output)?;
    output.flush()?;
    server.run(&mut output)
}

struct Server {
    poll: Poll,
    /// At each address, one for each sort of connection.
    listeners: Vec<TcpListener>,
    delayed: Delayed,
    rooms: Rooms,
    /// How many connections there have been.
    opened: u64,
    /// By token; a free place keeps the index of the next.
    connections: Vec<Slot>,
    free: Option<usize>,
    buffer: Vec<u8>,
}

enum Slot {
    Free { next: Option<usize> },
    Open(Connection),
}

/// A connection, for those who know it by its place: in which another may be by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Peer {
    index: usize,
    generation: u64,
}

/// What the server is to a connection.
enum Sort {
    Echo,
    /// It answers so much later, once it was told how much.
    Slow(Word<Duration>),
    /// The connection is a member of this room, once it is full.
    Room(Word<Option<usize>>),
}

/// What a connection begins with, of which this has come so far; and what it means.
enum Word<T> {
    Coming(Vec<u8>),
    Said(T),
}

struct Connection {
    stream: TcpStream,
    generation: u64,
    sort: Sort,
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
        for listener in 0..ADDRESSES * SORTS {
            let last = 1 + listener / SORTS;
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0);
            let socket = std::net::TcpListener::bind(address)?;
            // std and mio ask for a queue of 128, which a burst of connections overflows.
            rustix::net::listen(&socket, BACKLOG)?;
            socket.set_nonblocking(true)?;
            let mut socket = TcpListener::from_std(socket);
            poll.registry().register(
                &mut socket,
                Token(CONTROL.0 + 1 + usize::from(listener)),
                Interest::READABLE,
            )?;
            listeners.push(socket);
        }
        Ok(Server {
            poll,
            listeners,
            delayed: Delayed::default(),
            rooms: Rooms::default(),
            opened: 0,
            connections: Vec::new(),
            free: None,
            buffer: vec![0; CHUNK],
        })
    }

    fn addresses(&self) -> io::Result<Addresses> {
        let of = |sort: usize| {
            let listeners = self.listeners.iter().skip(sort).step_by(usize::from(SORTS));
            listeners.map(TcpListener::local_addr).collect::<io::Result<_>>()
        };
        Ok(Addresses { echo: of(0)?, slow: of(1)?, rooms: of(2)? })
    }

    fn run(&mut self, output: &mut impl Write) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&0), CONTROL, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        loop {
            let next = self.delayed.next().into_iter().chain(self.rooms.patience()).min();
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
                Ok((stream, _)) => self.open(stream, listener % usize::from(SORTS))?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The client is gone again, or we have no descriptor left: the parent's preflight sees to the latter.
                Err(_) => return Ok(()),
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream, sort: usize) -> io::Result<()> {
        let _ = stream.set_nodelay(true);
        let (sort, interest) = match sort {
            0 => (Sort::Echo, Interest::READABLE),
            1 => (Sort::Slow(Word::Coming(vec![])), Interest::READABLE | Interest::WRITABLE),
            _ => (Sort::Room(Word::Coming(vec![])), Interest::READABLE | Interest::WRITABLE),
        };
        self.opened += 1;
        let index = self.free.unwrap_or_else(|| {
            self.connections.push(Slot::Free { next: None });
            self.connections.len() - 1
        });
        self.poll.registry().register(&mut stream, Token(FIRST + index), interest)?;
        let unsent = Vec::new();
        let slot = Slot::Open(Connection { stream, generation: self.opened, sort, unsent });
        if let Slot::Free { next } = std::mem::replace(&mut self.connections[index], slot) {
            self.free = next;
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) -> io::Result<()> {
        let Some(Slot::Open(connection)) = self.connections.get_mut(index) else {
            return Ok(()); // An event from before it was closed.
        };
        if !matches!(connection.sort, Sort::Echo) {
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
        let Slot::Open(Connection { stream, generation, sort, .. }) =
            std::mem::replace(&mut self.connections[index], slot)
        else {
            unreachable!("it is closed once");
        };
        let _ = stream.shutdown(Shutdown::Both);
        let room = match sort {
            Sort::Room(Word::Said(room)) => room,
            Sort::Room(Word::Coming(_)) | Sort::Slow(_) | Sort::Echo => return,
        };
        self.rooms.leave(Peer { index, generation }, room);
    }

    /// Takes all that has come on a connection that is answered otherwise than at once, and sends what it has not
    /// taken yet.
    fn hear(&mut self, index: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(Slot::Open(connection)) = self.connections.get_mut(index) {
            let peer = Peer { index, generation: connection.generation };
            // What is not taken yet holds nobody up who writes: else two long messages could wait for each other.
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

    /// Does what the sort of the connection asks for with what has come on it.
    fn heard(&mut self, peer: Peer, bytes: &[u8]) {
        let Some(Slot::Open(connection)) = self.connections.get_mut(peer.index) else { return };
        let mut rest = bytes;
        match &mut connection.sort {
            Sort::Slow(word) => {
                if let Some(ns) = word.complete(&mut rest) {
                    *word = Word::Said(Duration::from_nanos(ns));
                }
                if let (Word::Said(after), false) = (&*word, rest.is_empty()) {
                    self.delayed.keep(peer, *after, rest);
                }
            }
            Sort::Room(word) => {
                if let Some(size) = word.complete(&mut rest) {
                    *word = Word::Said(None);
                    self.join(peer, size);
                }
                self.say(peer, rest);
            }
            Sort::Echo => unreachable!("it is answered at once"),
        }
    }

    /// Lets `peer` into a room of `size` members, and tells all of them if it was the last.
    fn join(&mut self, peer: Peer, size: u64) {
        let Some(room) = self.rooms.join(peer, size) else { return };
        for member in self.rooms.members(room).to_vec() {
            if let Some(Slot::Open(connection)) = self.connections.get_mut(member.index) {
                connection.sort = Sort::Room(Word::Said(Some(room)));
            }
            self.send(member, &size.to_le_bytes());
        }
    }

    /// Sends what `peer` says to all members of its room. Who speaks before all are there is not heard.
    fn say(&mut self, peer: Peer, bytes: &[u8]) {
        let Some(Slot::Open(connection)) = self.connections.get(peer.index) else { return };
        if let (Sort::Room(Word::Said(Some(room))), false) = (&connection.sort, bytes.is_empty()) {
            for member in self.rooms.hear(*room).to_vec() {
                self.send(member, bytes);
            }
        }
    }

    fn is_open(&self, peer: Peer) -> bool {
        matches!(self.connections.get(peer.index), Some(Slot::Open(open)) if open.generation == peer.generation)
    }

    /// Sends `bytes` to a connection that is still there; what it does not take now, it is sent when it can.
    fn send(&mut self, peer: Peer, bytes: &[u8]) {
        match self.connections.get_mut(peer.index) {
            Some(Slot::Open(connection)) if connection.generation == peer.generation => {
                connection.unsent.extend_from_slice(bytes);
                // An error shows again where it is next read from.
                let _ = connection.flush();
            }
            _ => {}
        }
    }
}

impl<T> Word<T> {
    /// Takes what belongs to the word off `bytes`, and returns the number once it is whole.
    fn complete(&mut self, bytes: &mut &[u8]) -> Option<u64> {
        let Word::Coming(so_far) = self else { return None };
        let (more, rest) = bytes.split_at(bytes.len().min(8 - so_far.len()));
        so_far.extend_from_slice(more);
        *bytes = rest;
        so_far.as_slice().try_into().ok().map(u64::from_le_bytes)
    }
}

impl Connection {
    /// Writes what is unsent.
    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what is unsent, then reads and returns what there is.
    fn serve(&mut self, buffer: &mut [u8]) -> State {
        loop {
            match self.flush() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return State::Writing,
                Err(_) => return State::Closed,
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
