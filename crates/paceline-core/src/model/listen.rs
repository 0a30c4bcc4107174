//! Listening sockets for all models: on loopback, or on this node's address in a plan, with a queue that bursts of connections do not overflow.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::OnceLock,
};

use super::Plain;
use crate::network::{Listen, allowed};

/// Accepts with `$accept` and starts each connection with `$start` until accepting fails. Evaluates to that error.
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

/// The length of the accept queue. std, mio and most runtimes request 128 to 1024, which a burst overflows. A dropped
/// connection is retried after a second, and that second would look like the model's own time. The kernel caps the
/// length at somaxconn.
pub(crate) const BACKLOG: i32 = 65_535;

static LISTEN: OnceLock<Listen> = OnceLock::new();

/// Makes this process's server listen on its node's address instead of loopback, for those that have the token. Only the
/// first call has an effect.
///
/// # Errors
///
/// Returns a sentence if the address is not one of the plan.
pub fn set_listen(listen: Listen) -> Result<(), String> {
    allowed(&listen.plan, SocketAddr::new(listen.address, 0))?;
    let _ = LISTEN.set(listen);
    Ok(())
}

/// What each connection to this process's server must begin with; nothing on loopback.
pub(crate) fn token() -> &'static [u8] {
    LISTEN.get().map_or(&[], |listen| listen.token.as_bytes())
}

/// Where this process's server listens, with a port that the system chooses.
pub(crate) fn own_address() -> io::Result<SocketAddr> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (plan, ip) =
        LISTEN.get().map_or((&[][..], loopback), |listen| (&listen.plan[..], listen.address));
    let address = SocketAddr::new(ip, 0);
    allowed(plan, address).map_err(io::Error::other)?;
    Ok(address)
}

/// Creates a blocking listening socket, for runtimes to take over.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(own_address()?)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Creates a socket that reserves a port for several listeners; see [`listen_beside`].
///
/// A single listening socket that several cores accept from would distribute connections badly: of a burst of 16
/// connections, the first of 4 cores to wake took between 5 and all 16 (measured on tokio, smol, compio and monoio).
#[cfg(target_os = "linux")]
pub(crate) fn hold_port() -> io::Result<TcpListener> {
    bind_shared(&own_address()?)
}

/// Creates another listening socket at the port of `held`. The kernel distributes connections over all of them by a
/// hash.
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

/// Creates a listening socket. Where `SO_REUSEPORT` does not distribute connections, all cores accept from this one.
#[cfg(not(target_os = "linux"))]
pub(crate) fn hold_port() -> io::Result<TcpListener> {
    listen()
}

/// Returns the same socket again.
#[cfg(not(target_os = "linux"))]
pub(crate) fn listen_beside(held: &TcpListener) -> io::Result<TcpListener> {
    held.try_clone()
}

/// Accepts with `std::net`, as every thread-based model does.
pub(crate) fn accept_std(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Runs a server on `std::net`, as every thread-based model does. It calls `start` with each connection on the caller's
/// thread, until `start` or accepting fails.
pub(crate) fn serve_std(
    bound: impl FnOnce(SocketAddr),
    start: impl Fn(Plain<TcpStream>) -> io::Result<()>,
) -> io::Result<Infallible> {
    let listener = listen()?;
    bound(listener.local_addr()?);
    accept_each!(accept_std(&listener), |stream| start(Plain(stream))?)
}

/// Returns whether an error of accepting only means that the client closed the connection first. Any other error ends
/// the server: without free descriptors, for example, it would find the same client again at once, and spin.
pub(crate) fn client_left(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
