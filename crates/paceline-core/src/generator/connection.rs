//! A connection of the generator, and its current request.

use std::{
    io::{self, ErrorKind, Write},
    net::{self, IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use mio::{Interest, Registry, Token, net::TcpStream};

use super::{answer::Progress, failure::Failure};
use crate::{prepared::Fault, soft_limits::with_remedy};

/// The fault if no server listens.
pub const REFUSED: &str = "the connection was refused";
/// The fault if all local ports are in use.
#[cfg(target_os = "linux")]
const NO_PORT: &str = "no local port is free: each open connection has one, and one that was closed keeps it for 60 s \
                       (TIME_WAIT); have the server keep connections open, lower the rate or --connections, widen \
                       `net.ipv4.ip_local_port_range` or set `net.ipv4.tcp_tw_reuse` to 1 (both by sysctl -w)";
#[cfg(not(target_os = "linux"))]
const NO_PORT: &str = "no local port is free: each open connection has one, and one that was closed keeps it for a while \
                       (TIME_WAIT); have the server keep connections open, or lower the rate or --connections";

/// A connection.
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts, not one state")]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Index of its address.
    pub(super) address: usize,
    /// Whether it is open: connected, and not only connecting.
    pub(super) open: bool,
    /// Whether it could not be opened, and is not connecting.
    pub(super) down: bool,
    /// Whether it has a request.
    pub(super) busy: bool,
    /// Whether a request was answered on it since it was opened. Only then may the server have closed it between two
    /// requests, which loses a request through no fault of either side (RFC 9112, section 9.3.1).
    pub(super) used: bool,
    /// When the last request was sent that was answered on it, if one was.
    pub(super) served_ns: Option<u64>,
    /// Whether the request was repeated because a 408 arrived instead of an answer. A second 408 counts as its answer.
    pub(super) repeated: bool,
    /// The request's number, from 0, and its index in the order's requests.
    pub(super) number: u64,
    pub(super) request: usize,
    /// How many bytes of the request are written.
    pub(super) written: usize,
    pub(super) intended_ns: u64,
    /// When its last request was sent, or when it was opened if it had none since.
    pub(super) sent_ns: u64,
    pub(super) progress: Progress,
    /// What came while it had no request, where errors are counted: its next request fails with that.
    pub(super) stray: Option<Box<Failure>>,
}

/// Connects to the first of the addresses of `name` that accepts, with a time limit of `patience` for each.
///
/// # Errors
///
/// Returns a fault that says what was tried.
pub(super) fn reach(
    name: &str,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(SocketAddr, TcpStream), Fault> {
    let mut tried = Vec::new();
    for to in addresses {
        let stream = net::TcpStream::connect_timeout(to, patience);
        match stream.and_then(|stream| stream.set_nonblocking(true).map(|()| stream)) {
            Ok(stream) => return Ok((*to, TcpStream::from_std(stream))),
            Err(error) => tried.push(format!("{to} ({})", why(&error, *to))),
        }
    }
    Err(Fault::Failed(format!("{name} cannot be connected to: tried {}", tried.join(" and "))))
}

/// Starts to connect. Events are edge-triggered, and write events come only after a write that found no room.
pub(super) fn connect(to: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    register(&mut stream, registry, token)?;
    Ok(stream)
}

/// Registers a connection for events as `token`.
pub(super) fn register(
    stream: &mut TcpStream,
    registry: &Registry,
    token: Token,
) -> io::Result<()> {
    registry.register(stream, token, Interest::READABLE | Interest::WRITABLE)
}

impl Connection {
    pub(super) fn new(stream: TcpStream, address: usize) -> Self {
        Connection {
            stream,
            address,
            open: false,
            down: false,
            busy: false,
            used: false,
            served_ns: None,
            repeated: false,
            number: 0,
            request: 0,
            written: 0,
            intended_ns: 0,
            sent_ns: 0,
            progress: Progress::new(),
            stray: None,
        }
    }

    /// Returns whether connecting has ended.
    ///
    /// `token` is what the server wants first, from another node. A new socket has room for it.
    pub(super) fn connected(&mut self, token: Option<&str>) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
            other => other?,
        };
        self.stream.set_nodelay(true)?;
        if let Some(token) = token {
            self.stream.write_all(token.as_bytes())?;
        }
        self.open = true;
        Ok(true)
    }

    /// Writes the rest of the request as far as there is room; an event triggers the remainder.
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

/// Describes why `to` cannot be connected to.
pub(super) fn why(error: &io::Error, to: SocketAddr) -> String {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => {
            format!("{REFUSED}: nothing listens there, so start the server or correct the address")
        }
        Some(Errno::ADDRNOTAVAIL) if is_missing(to.ip()) => {
            format!("this machine does not have the address {}", to.ip())
        }
        Some(Errno::ADDRNOTAVAIL) => NO_PORT.into(),
        _ => format!("cannot connect: {}", with_remedy(error)),
    }
}

/// Returns whether no interface has this address, so that nothing can be bound to it.
fn is_missing(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_ports_is_told_from_an_address_that_is_not_there() {
        let error = io::Error::from(rustix::io::Errno::ADDRNOTAVAIL);
        let said = |to: &str| why(&error, to.parse().unwrap());
        let full = said("127.0.0.1:80");
        assert!(full.contains("no local port is free") && full.contains("TIME_WAIT"), "{full}");
        if cfg!(target_os = "linux") {
            for name in ["net.ipv4.ip_local_port_range", "net.ipv4.tcp_tw_reuse"] {
                assert!(full.contains(name), "{full}");
            }
        }
        let missing = said("192.0.2.1:80");
        assert!(missing.contains("does not have the address 192.0.2.1"), "{missing}");
    }
}
