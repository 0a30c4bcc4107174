//! One connection of the suite's server.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use mio::net::TcpStream;

/// How the server treats a connection.
pub(super) enum ConnectionKind {
    Echo,
    /// It echoes with a delay, once the client has sent the delay.
    Slow(Preamble<Duration>),
    /// It is a member of this room, once the room is complete.
    Room(Preamble<Option<usize>>),
}

/// The number that a connection starts with: the bytes received so far, or its meaning.
pub(super) enum Preamble<T> {
    Partial(Vec<u8>),
    Complete(T),
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) generation: u64,
    pub(super) kind: ConnectionKind,
    /// Bytes that the client has not accepted yet. On an echo connection nothing is read meanwhile, which slows the
    /// client down instead of filling memory.
    pub(super) unsent: Vec<u8>,
}

/// The state of a connection after serving it.
pub(super) enum State {
    Reading,
    Writing,
    Closed,
}

impl<T> Preamble<T> {
    /// Takes the bytes of the number from `bytes`, and returns it once complete.
    pub(super) fn receive(&mut self, bytes: &mut &[u8]) -> Option<u64> {
        let Preamble::Partial(so_far) = self else { return None };
        let (more, rest) = bytes.split_at(bytes.len().min(8 - so_far.len()));
        so_far.extend_from_slice(more);
        *bytes = rest;
        so_far.as_slice().try_into().ok().map(u64::from_le_bytes)
    }
}

impl Connection {
    /// Writes unsent bytes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Echoes: writes unsent bytes, then reads what is available and sends it back.
    pub(super) fn serve(&mut self, buffer: &mut [u8]) -> State {
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
            // A read that did not fill the buffer emptied the socket. More data causes a new event.
            if sent == read && read < buffer.len() {
                return State::Reading;
            }
        }
    }
}
