//! `monoio`: completion-based I/O (`io_uring` on Linux), with a runtime per worker.

use std::{io, net::SocketAddr, time::Duration};

use monoio::{
    IoUringDriver, RuntimeBuilder,
    blocking::DefaultThreadPool,
    io::{AsyncReadRent, AsyncReadRentExt, AsyncWriteRentExt},
    net::{TcpListener, TcpStream},
};
use smol::channel;

use super::{
    Bridge, Driver, Entry, Family, ModelInfo,
    per_core::{Joined, LocalRuntime, LocalStream, PerCoreRuntime},
};
use crate::{model::volley, perform::Placement};

pub(super) const ENTRY: Entry = Entry::new::<PerCoreRuntime<Monoio>>(ModelInfo {
    name: "monoio",
    family: Family::IoUring,
    package: Some("monoio"),
    note: "a runtime per worker, not pinned; hops by async-channel, because it has no channel; offload to a \
           thread attached to each runtime; as a server, the kernel deals \
           connections to the workers by SO_REUSEPORT, unevenly where they are few",
    placements: &[Placement::Dealt, Placement::Inside],
    bridge: Bridge::Workers,
    timers: Driver::IoUring,
    sockets: Driver::IoUring,
    available: super::per_core::io_uring_works::<Monoio>,
    ..ModelInfo::DEFAULT
});

/// monoio's runtime.
#[derive(Clone, Copy)]
struct Monoio;

impl LocalRuntime for Monoio {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()> {
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .attach_thread_pool(Box::new(DefaultThreadPool::new(1)))
            .build()?;
        runtime.block_on(main);
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        monoio::spawn(task)
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        drop(monoio::spawn(task));
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
        monoio::time::sleep(duration)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        Joined(monoio::spawn_blocking(work))
    }

    async fn hop(times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: monoio::spawn, channel: channel::bounded(1), some: Ok)
    }
}

impl LocalStream for TcpStream {
    async fn send(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let (result, buffer) = self.write_all(buffer).await;
        result.map(|_| buffer)
    }

    async fn receive(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        // A boxed slice, because monoio fills the reserved capacity of a `Vec`, and truncates it to the bytes read. Neither
        // conversion copies a full one.
        let (result, buffer) = self.read_exact(buffer.into_boxed_slice()).await;
        result.map(|_| buffer.into_vec())
    }

    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)> {
        let (result, buffer) = AsyncReadRent::read(self, buffer.into_boxed_slice()).await;
        result.map(|read| (buffer.into_vec(), read))
    }
}

#[cfg(test)]
#[test]
fn a_buffer_is_filled_up_to_its_length() {
    super::per_core::check_that_a_buffer_is_filled_up_to_its_length::<Monoio>();
}
