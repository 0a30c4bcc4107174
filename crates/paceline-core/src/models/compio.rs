//! `compio`: completion-based I/O (`io_uring` on Linux), with a runtime per worker.

use std::{io, net::SocketAddr, time::Duration};

use compio::{
    BufResult,
    buf::{IntoInner, IoBuf},
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use smol::channel;

use super::{
    Driver, Entry, Family, ModelInfo,
    per_core::{Joined, LocalRuntime, LocalStream, PerCoreRuntime},
};
use crate::{model::volley, perform::Placement};

pub(super) const ENTRY: Entry = Entry::new::<PerCoreRuntime<Compio>>(ModelInfo {
    name: "compio",
    family: Family::IoUring,
    package: Some("compio"),
    note: "a runtime per worker, not pinned; hops by async-channel, because it has no channel; offload by \
           spawn_blocking; as a server, the kernel deals \
           connections to the workers by SO_REUSEPORT, unevenly where they are few",
    placements: &[Placement::Dealt, Placement::Inside],
    timers: Driver::IoUring,
    sockets: Driver::IoUring,
    leaves: Some(&[]),
    available: super::per_core::io_uring_works::<Compio>,
    ..ModelInfo::DEFAULT
});

/// compio's runtime.
#[derive(Clone, Copy)]
struct Compio;

impl LocalRuntime for Compio {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()> {
        Runtime::new()?.block_on(main);
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        Joined(compio::runtime::spawn(task))
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        compio::runtime::spawn(task).detach();
    }

    fn listen(bound: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(bound)
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn sleep(duration: Duration) -> impl Future<Output: Send> {
        compio::time::sleep(duration)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        Joined(compio::runtime::spawn_blocking(work))
    }

    async fn hop(times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: compio::runtime::spawn, channel: channel::bounded(1), some: Ok)
    }
}

impl LocalStream for TcpStream {
    async fn send(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let BufResult(result, buffer) = self.write_all(buffer).await;
        result.map(|()| buffer)
    }

    async fn receive(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        // A slice, because reading into a whole `Vec` would fill its reserved capacity.
        let whole = ..buffer.len();
        let BufResult(result, buffer) = self.read_exact(buffer.slice(whole)).await;
        result.map(|()| buffer.into_inner())
    }

    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)> {
        let whole = ..buffer.len();
        let BufResult(result, buffer) = AsyncRead::read(self, buffer.slice(whole)).await;
        result.map(|read| (buffer.into_inner(), read))
    }
}

#[cfg(test)]
#[test]
fn a_buffer_is_filled_up_to_its_length() {
    super::per_core::check_that_a_buffer_is_filled_up_to_its_length::<Compio>();
}
