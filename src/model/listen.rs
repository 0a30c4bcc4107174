//! How every model listens: on loopback alone, with a queue that a burst of connections does not overflow.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

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

/// `std::net`'s accept, as every thread-based model does it.
pub(crate) fn accept_std(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether an error of accepting is only that one client was gone before it was accepted. All others end a server:
/// out of descriptors, say, it would find the same client again at once, and spin.
pub(crate) fn client_left(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

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
