//! Serves connections on threads, for servers whose faults and delays tests plant.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "no test file uses all of it; a test fails by panicking"
)]

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Serves each connection on a thread of its own, until the test ends.
pub(crate) fn each_connection<T>(
    serve: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) -> SocketAddr {
    each_connection_at("127.0.0.1:0", serve)
}

/// Does so at this address.
pub(crate) fn each_connection_at<T>(
    address: &str,
    serve: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let serve: &'static _ = Box::leak(Box::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                serve(stream);
            });
        }
    });
    address
}
