//! How every model listens: on loopback alone, with a queue that a burst of connections does not overflow.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use super::Plain;

/// Accepts by `$accept` and starts each connection by `$start`, until accepting fails; its value is that error.
macro_rules! accept_each {
    ($accept:expr, |$stream:ident| $start:expr) => {
        loop {
            match $accept {
                Ok($stream) => $start,
                Err(error) if $crate::model::client_left(&error) => {}
                Err(error) => break Err(error),
            }
        }
    };
}
pub(crate) use accept_each;

/// How many connections may wait to be accepted. std, mio and most runtimes ask for 128 to 1024: a burst overflows
/// that, and each connection that is dropped comes again after a second, which then looks like the model's own time.
/// The kernel caps this by somaxconn.
pub(crate) const BACKLOG: i32 = 65_535;

/// Loopback, at a port that the system chooses.
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A listening socket that blocks, for runtimes to take over.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(LOOPBACK)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// A socket that holds a port for several that are to listen there; see [`listen_beside`].
///
/// One listening socket that several cores accept from would deal badly: of a burst of 16 connections, the first of 4
/// cores to wake took between 5 and all 16 (measured on tokio, smol, compio and monoio).
#[cfg(target_os = "linux")]
pub(crate) fn hold_port() -> io::Result<TcpListener> {
    bind_shared(&LOOPBACK)
}

/// A listening socket of its own at the port of `held`: the kernel deals connections out to all of them by a hash.
#[cfg(target_os = "linux")]
pub(crate) fn listen_beside(held: &TcpListener) -> io::Result<TcpListener> {
    let listener = bind_shared(&held.local_addr()?)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

#[cfg(target_os = "linux")]
fn bind_shared(address: &SocketAddr) -> io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, address)?;
    Ok(socket.into())
}

/// A listening socket: where `SO_REUSEPORT` does not deal out connections, all accept from one.
#[cfg(not(target_os = "linux"))]
pub(crate) fn hold_port() -> io::Result<TcpListener> {
    listen()
}

/// The same socket again.
#[cfg(not(target_os = "linux"))]
pub(crate) fn listen_beside(held: &TcpListener) -> io::Result<TcpListener> {
    held.try_clone()
}

/// `std::net`'s accept, as every thread-based model does it.
pub(crate) fn accept_std(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Is a server on `std::net`, as every thread-based model is one: `start` is given each connection, on the caller's
/// thread, until it or accepting fails.
pub(crate) fn serve_std(
    bound: impl FnOnce(SocketAddr),
    start: impl Fn(Plain<TcpStream>) -> io::Result<()>,
) -> io::Result<Infallible> {
    let listener = listen()?;
    bound(listener.local_addr()?);
    accept_each!(accept_std(&listener), |stream| start(Plain(stream))?)
}

/// Whether an error of accepting is only that one client was gone before it was accepted. All others end a server:
/// out of descriptors, say, it would find the same client again at once, and spin.
pub(crate) fn client_left(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
