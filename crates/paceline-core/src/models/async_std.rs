//! `async-std`: discontinued in favour of smol (2025), and kept as the historical baseline that people migrate from.
//!
//! Its executor is global, starts at first use, cannot be stopped, and takes its number of threads from the
//! environment.

use std::{convert::Infallible, env, io, net::SocketAddr, sync::mpsc, time::Duration};

use async_std::{
    channel,
    io::{ReadExt, WriteExt},
    net::{TcpListener, TcpStream},
    task::{self, JoinHandle},
};

use super::{Driver, Entry, Family, ModelInfo, Tag};
use crate::model::{
    Maker, Model, Runtime, Settings, Spawnable, Stream, accept_each, cancel_the_rest, listen,
    numbered, reads_and_writes, volley,
};

const THREADS: &str = "ASYNC_STD_THREAD_COUNT";

pub(super) const ENTRY: Entry = Entry::new::<AsyncStd>(ModelInfo {
    name: "async-std",
    family: Family::Async,
    package: Some("async-std"),
    tag: Tag::Historical,
    note: "the global executor, its width set by ASYNC_STD_THREAD_COUNT; offload by spawn_blocking",
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    leaves: None,
    environment: Some(THREADS),
    unset: &[super::smol::POOL],
    ..ModelInfo::DEFAULT
});

/// The global executor.
#[derive(Clone, Copy)]
struct AsyncStd;

impl Runtime for AsyncStd {
    type Model = AsyncStd;

    fn start(settings: &Settings) -> io::Result<Self> {
        let workers = settings.workers;
        let set = env::var(THREADS).ok().and_then(|count| count.parse().ok());
        if set == Some(workers) {
            return Ok(AsyncStd);
        }
        Err(io::Error::other(format!(
            "async-std has as many workers as {THREADS} says; set it to {workers}"
        )))
    }

    fn model(&self) -> AsyncStd {
        AsyncStd
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        let (give, output) = mpsc::sync_channel(1);
        task::spawn(async move { drop(give.send(root.await)) });
        output.recv().expect("the root panicked")
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        task::block_on(self.gather(jobs, job))
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        self.root(async move {
            let listener = TcpListener::from(listen()?);
            bound(listener.local_addr()?);
            accept_each!(accept(&listener).await, |stream| drop(task::spawn(connection(stream))))
        })
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Model for AsyncStd {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send {
        task::sleep(duration)
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        task::yield_now()
    }

    async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        task::spawn_blocking(work)
    }

    async fn hop(self, times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: task::spawn, channel: channel::bounded(1), some: Ok)
    }

    async fn gather<F: Spawnable>(self, width: usize, child: impl Maker<F>) -> Vec<F::Output> {
        let tasks: Vec<_> = (0..width).map(|index| task::spawn(child(index))).collect();
        let mut outputs = Vec::with_capacity(width);
        for task in tasks {
            outputs.push(task.await);
        }
        outputs
    }

    async fn gather_or_cancel<T: Send + 'static, F: Spawnable<Output = io::Result<T>>>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> io::Result<Vec<T>> {
        let spawn = |index| task::spawn(numbered(index, child(index)));
        cancel_the_rest((0..width).map(spawn).collect(), width, JoinHandle::cancel).await
    }
}

reads_and_writes!(Stream [] for TcpStream, read: ReadExt::read, wait: await);
