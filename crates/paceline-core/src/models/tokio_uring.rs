//! `tokio-uring`: tokio's current-thread runtime with sockets on `io_uring`, one runtime per worker.
//!
//! Completions of the ring wake tokio through epoll, and timers are tokio's own. The model's two drivers therefore
//! differ.

use std::{io, net::SocketAddr, time::Duration};

use tokio::sync::mpsc;
use tokio_uring::{
    Runtime,
    buf::BoundedBuf,
    net::{TcpListener, TcpStream},
};

use super::{
    Driver, Entry, Family, ModelInfo,
    per_core::{Joined, LocalRuntime, LocalStream, PerCoreRuntime},
    tokio::TOKIO,
};
use crate::{
    model::{Model, volley},
    perform::Placement,
};

pub(super) const ENTRY: Entry = Entry::new::<PerCoreRuntime<TokioUring>>(ModelInfo {
    name: "tokio-uring",
    family: Family::IoUring,
    package: Some("tokio-uring"),
    note: "a runtime per worker, not pinned; sleeps, channels and spawn_blocking are tokio's, sockets are on a ring that \
           wakes it through epoll; as a server, the kernel deals connections to the workers by \
           SO_REUSEPORT, unevenly where they are few",
    placements: &[Placement::Dealt, Placement::Inside],
    timers: Driver::Readiness,
    sockets: Driver::IoUring,
    unset: super::tokio::QUEUE,
    available: super::per_core::io_uring_works::<TokioUring>,
    ..ModelInfo::DEFAULT
});

/// tokio-uring's runtime.
#[derive(Clone, Copy)]
struct TokioUring;

impl LocalRuntime for TokioUring {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()> {
        Runtime::new(&tokio_uring::builder())?.block_on(main);
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        Joined(tokio_uring::spawn(task))
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio_uring::spawn(task));
    }

    fn listen(bound: std::net::TcpListener) -> io::Result<TcpListener> {
        Ok(TcpListener::from_std(bound))
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn sleep(duration: Duration) -> impl Future<Output: Send> {
        TOKIO.sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> {
        TOKIO.yield_now()
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        TOKIO.offload(work)
    }

    async fn hop(times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: tokio_uring::spawn, channel: mpsc::channel(1), some: Some)
    }
}

impl LocalStream for TcpStream {
    async fn send(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let (result, buffer) = self.write_all(buffer).await;
        result.map(|()| buffer)
    }

    async fn receive(&mut self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = filled..buffer.len();
            let (result, slice) = TcpStream::read(self, buffer.slice(rest)).await;
            buffer = slice.into_inner();
            match result? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(buffer)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)> {
        // A slice, because reading into a whole `Vec` would fill its reserved capacity.
        let whole = ..buffer.len();
        let (result, slice) = TcpStream::read(self, buffer.slice(whole)).await;
        result.map(|read| (slice.into_inner(), read))
    }
}

#[cfg(test)]
#[test]
fn a_buffer_is_filled_up_to_its_length() {
    super::per_core::check_that_a_buffer_is_filled_up_to_its_length::<TokioUring>();
}
