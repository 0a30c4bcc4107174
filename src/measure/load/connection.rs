//! One connection of the generator, and the request that it has under way.

use std::{
    io::{self, ErrorKind, Write},
    net::SocketAddr,
};

use mio::{Interest, Registry, Token, net::TcpStream};

use super::answer::Progress;
use crate::measure::Fault;

/// A connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Which of the addresses it goes to.
    pub(super) address: usize,
    /// Whether it is open, and not only opening.
    pub(super) open: bool,
    /// Whether it has a request.
    pub(super) busy: bool,
    /// Whether a request was answered on it since it was opened. Only then may the server have closed it between two,
    /// which loses a request through no fault of either side (RFC 9112, section 9.3.1).
    pub(super) used: bool,
    /// Whether the request was sent again because a 408 came instead of an answer. A second one is its answer.
    pub(super) repeated: bool,
    /// The request's number, from 0, and which of the order's requests it is.
    pub(super) number: u64,
    pub(super) request: usize,
    /// How much of the request is written.
    pub(super) written: usize,
    pub(super) intended_ns: u64,
    pub(super) sent_ns: u64,
    pub(super) progress: Progress,
}

/// Begins to connect. Events are edges, and those for writing come only after a write that found no room.
pub(super) fn connect(to: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

impl Connection {
    pub(super) fn new(stream: TcpStream, address: usize) -> Self {
        Connection {
            stream,
            address,
            open: false,
            busy: false,
            used: false,
            repeated: false,
            number: 0,
            request: 0,
            written: 0,
            intended_ns: 0,
            sent_ns: 0,
            progress: Progress::new(),
        }
    }

    /// Whether connecting has ended by now.
    pub(super) fn connected(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
            other => other?,
        };
        self.stream.set_nodelay(true)?;
        self.open = true;
        Ok(true)
    }

    /// Writes what is left of the request, as far as there is room: the rest is for when an event says so.
    pub(super) fn write(&mut self, request: &[u8]) -> io::Result<()> {
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Why it cannot be connected.
pub(super) fn refused(error: &io::Error) -> Fault {
    use rustix::io::Errno;
    let why = match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => "the connection was refused".into(),
        Some(Errno::MFILE | Errno::NFILE) => "out of descriptors, see `ulimit -n`".into(),
        Some(Errno::ADDRNOTAVAIL) => "no local port is free".into(),
        _ => format!("cannot connect: {error}"),
    };
    Fault::Failed(why)
}
