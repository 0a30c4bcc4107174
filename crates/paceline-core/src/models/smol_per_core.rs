//! `smol-per-core`: a `LocalExecutor` per worker, the same topology as the `io_uring` runtimes.

use std::{io, net::SocketAddr, time::Duration};

use smol::{
    LocalExecutor, Timer, channel,
    net::{TcpListener, TcpStream},
};

use super::{
    Driver, Entry, Family, ModelInfo,
    per_core::{LocalRuntime, PerCoreRuntime},
    smol::accept,
};
use crate::{model::volley, perform::Placement};

pub(super) const ENTRY: Entry = Entry::new::<PerCoreRuntime<PerWorker>>(ModelInfo {
    name: "smol-per-core",
    family: Family::Async,
    package: Some("smol"),
    note: "a LocalExecutor per worker, not pinned; one reactor for all; offload by unblock; as a server, the kernel deals \
           connections to the workers by SO_REUSEPORT, unevenly where they are few",
    placements: &[Placement::Dealt, Placement::Inside],
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    leaves: Some(&["async-io", "blocking-"]),
    unset: &[super::smol::POOL],
    ..ModelInfo::DEFAULT
});

/// smol's local executor.
#[derive(Clone, Copy)]
struct PerWorker;

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
}

fn spawn<T: 'static>(task: impl Future<Output = T> + 'static) -> smol::Task<T> {
    EXECUTOR.with(|executor| executor.spawn(task))
}

impl LocalRuntime for PerWorker {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()> {
        EXECUTOR.with(|executor| smol::block_on(executor.run(main)));
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        spawn(task)
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        spawn(task).detach();
    }

    fn listen(bound: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::try_from(bound)
    }

    fn accept(listener: &TcpListener) -> impl Future<Output = io::Result<TcpStream>> {
        accept(listener)
    }

    fn sleep(duration: Duration) -> impl Future<Output: Send> {
        Timer::after(duration)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        smol::unblock(work)
    }

    async fn hop(times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: spawn, channel: channel::bounded(1), some: Ok)
    }
}
