//! `tokio-per-core`: a current-thread runtime per worker, the same topology as the `io_uring` runtimes.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task,
};

use super::{
    Entry, ModelInfo,
    per_core::{Joined, LocalRuntime, PerCoreRuntime},
    tokio::{ABOUT, TOKIO, accept, connect, listener},
};
use crate::{model::Model, perform::Placement};

pub(super) const ENTRY: Entry = Entry::new::<PerCoreRuntime<PerWorker>>(ModelInfo {
    name: "tokio-per-core",
    note: "a current-thread runtime per worker, not pinned; offload by spawn_blocking; as a server, the kernel deals \
           connections to the workers by SO_REUSEPORT, unevenly where they are few",
    placements: &[Placement::Dealt, Placement::Inside],
    ..ABOUT
});

/// tokio's current-thread runtime.
#[derive(Clone, Copy)]
struct PerWorker;

impl LocalRuntime for PerWorker {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()> {
        Builder::new_current_thread().enable_all().build()?.block_on(main);
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        Joined(task::spawn(task))
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        drop(task::spawn(task));
    }

    fn listen(bound: std::net::TcpListener) -> io::Result<TcpListener> {
        listener(bound)
    }

    fn accept(listener: &TcpListener) -> impl Future<Output = io::Result<TcpStream>> {
        accept(listener)
    }

    fn sleep(duration: Duration) -> impl Future<Output: Send> {
        TOKIO.sleep(duration)
    }

    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> {
        connect(address)
    }

    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        TOKIO.offload(work)
    }

    fn hop(times: u64, message: u64) -> impl Future<Output = io::Result<u64>> {
        TOKIO.hop(times, message)
    }

    fn yield_now() -> impl Future<Output = ()> {
        TOKIO.yield_now()
    }
}
