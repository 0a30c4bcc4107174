//! `glommio`: `io_uring` with a readiness-style interface, and an executor per worker.

use std::{
    io,
    net::{self, SocketAddr},
    time::Duration,
};

use bytesize::ByteSize;
use glommio::{
    GlommioError, LocalExecutorBuilder, Placement as Pinning, ReactorErrorKind,
    channels::local_channel,
    net::{TcpListener, TcpStream},
};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Bridge, Driver, Entry, Family, ModelInfo,
    per_core::{LocalRuntime, LocalStream, PerCoreRuntime},
};
use crate::{
    model::{reads_and_writes, volley},
    perform::Placement,
};

pub(super) const ENTRY: Entry = Entry::new::<PerCoreRuntime<Glommio>>(ModelInfo {
    name: "glommio",
    family: Family::IoUring,
    package: Some("glommio"),
    note: "an executor per worker, not pinned; hops by its local channel; offload to its blocking \
           thread; as a server, the kernel deals connections to the cores by SO_REUSEPORT, unevenly where they are \
           few, and each core's queue of connections is 1024 long, for its bind asks for that",
    placements: &[Placement::Dealt, Placement::Inside],
    bridge: Bridge::Workers,
    timers: Driver::IoUring,
    sockets: Driver::IoUring,
    available: super::per_core::io_uring_works::<Glommio>,
    ..ModelInfo::DEFAULT
});

/// glommio's executor.
#[derive(Clone, Copy)]
struct Glommio;

/// Explains a limit that is too low, and how to raise it: `glommio` itself would report `MemLockLimit(0, 524288)`.
fn plain(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(has, needs)) => {
            io::Error::other(format!(
                "a worker needs {} of locked memory, has {}; lift it with: ulimit -l unlimited (docker run --ulimit \
                 memlock=-1)",
                ByteSize(needs).display().iec(),
                ByteSize(has).display().iec()
            ))
        }
        other => other.into(),
    }
}

impl LocalRuntime for Glommio {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()> {
        let executor = LocalExecutorBuilder::new(Pinning::Unbound).make().map_err(plain)?;
        executor.run(main);
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        glommio::spawn_local(task)
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        glommio::spawn_local(task).detach();
    }

    /// Only reserves the port: glommio cannot take over a socket, and binds its own.
    fn bind(held: &net::TcpListener) -> io::Result<net::TcpListener> {
        held.try_clone()
    }

    fn listen(bound: net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::bind(bound.local_addr()?).map_err(io::Error::from)
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let stream = listener.accept().await.map_err(io::Error::from)?;
        stream.set_nodelay(true).map_err(io::Error::from)?;
        Ok(stream)
    }

    fn sleep(duration: Duration) -> impl Future<Output: Send> {
        glommio::timer::sleep(duration)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await.map_err(io::Error::from)?;
        stream.set_nodelay(true).map_err(io::Error::from)?;
        Ok(stream)
    }

    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        glommio::executor().spawn_blocking(work)
    }

    async fn hop(times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: glommio::spawn_local, channel: local_channel::new_bounded(1), some: Some)
    }
}

reads_and_writes!(LocalStream [] for TcpStream, read: AsyncReadExt::read, wait: await);

#[cfg(test)]
#[test]
fn a_buffer_is_filled_up_to_its_length() {
    super::per_core::check_that_a_buffer_is_filled_up_to_its_length::<Glommio>();
}
