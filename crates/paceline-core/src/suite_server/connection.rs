//! One connection of the suite's server.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use mio::net::TcpStream;

/// What the server is to a connection.
pub(super) enum Sort {
    Echo,
    /// It answers so much later, once it was told how much.
    Slow(Word<Duration>),
    /// The connection is a member of this room, once it is full.
    Room(Word<Option<usize>>),
}

/// What a connection begins with, of which this has come so far; and what it means.
pub(super) enum Word<T> {
    Coming(Vec<u8>),
    Said(T),
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) generation: u64,
    pub(super) sort: Sort,
    /// What the client has not taken yet. Nothing is read meanwhile: the client's sending is held up, not our memory.
    pub(super) unsent: Vec<u8>,
}

/// What became of a connection that was served.
pub(super) enum State {
    Reading,
    Writing,
    Closed,
}

impl<T> Word<T> {
    /// Takes what belongs to the word off `bytes`, and returns the number once it is whole.
    pub(super) fn complete(&mut self, bytes: &mut &[u8]) -> Option<u64> {
        let Word::Coming(so_far) = self else { return None };
        let (more, rest) = bytes.split_at(bytes.len().min(8 - so_far.len()));
        so_far.extend_from_slice(more);
        *bytes = rest;
        so_far.as_slice().try_into().ok().map(u64::from_le_bytes)
    }
}

impl Connection {
    /// Writes what is unsent.
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

    /// Writes what is unsent, then reads and returns what there is.
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
            // A read that did not fill the buffer emptied the socket: what comes later is a new edge.
            if sent == read && read < buffer.len() {
                return State::Reading;
            }
        }
    }
}
