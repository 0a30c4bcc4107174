//! `smol`: with its own executor, because smol's global executor runs a single thread unless `SMOL_THREADS` is set.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use smol::{
    Executor, Task, Timer, channel,
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Driver, Entry, Family, ModelInfo};
use crate::model::{
    Maker, Model, Runtime, Settings, Spawnable, Stream, accept_each, cancel_the_rest, listen,
    numbered, reads_and_writes, volley,
};

/// The environment variable with the greatest number of threads that `unblock` starts.
pub(super) const POOL: &str = "BLOCKING_MAX_THREADS";

pub(super) const ENTRY: Entry = Entry::new::<Threads>(ModelInfo {
    name: "smol",
    family: Family::Async,
    package: Some("smol"),
    note: "an Executor of its own on `workers` threads; offload by unblock",
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    leaves: Some(&["async-io", "blocking-"]),
    unset: &[POOL],
    ..ModelInfo::DEFAULT
});

/// The threads that drive an executor. Each start leaks an executor of some hundred bytes.
struct Threads {
    smol: Smol,
    /// `None` after it has stopped.
    going: Option<channel::Sender<()>>,
    joined: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.going = None;
        for thread in self.joined.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Runtime for Threads {
    type Model = Smol;

    fn start(settings: &Settings) -> io::Result<Self> {
        let executor: &'static Executor<'static> = Box::leak(Box::new(Executor::new()));
        let (going, stopped) = channel::bounded::<()>(1);
        let mut started = Threads { smol: Smol { executor }, going: Some(going), joined: vec![] };
        for _ in 0..settings.workers {
            let stopped = stopped.clone();
            let thread = thread::Builder::new()
                .spawn(move || smol::block_on(executor.run(stopped.recv())).unwrap_or(()))?;
            started.joined.push(thread);
        }
        Ok(started)
    }

    fn model(&self) -> Smol {
        self.smol
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        // `smol::block_on` would make this thread take part in polling the reactor.
        let (give, output) = mpsc::sync_channel(1);
        self.smol.executor.spawn(async move { drop(give.send(root.await)) }).detach();
        output.recv().expect("the root panicked")
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        smol::block_on(self.smol.gather(jobs, job))
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        let executor = self.smol.executor;
        self.root(async move {
            let listener = TcpListener::try_from(listen()?)?;
            bound(listener.local_addr()?);
            accept_each!(accept(&listener).await, |stream| {
                executor.spawn(connection(stream)).detach();
            })
        })
    }
}

pub(super) async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An executor, as seen by its jobs.
#[derive(Clone, Copy)]
struct Smol {
    executor: &'static Executor<'static>,
}

impl Model for Smol {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send {
        Timer::after(duration)
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        smol::future::yield_now()
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
        smol::unblock(work)
    }

    async fn hop(self, times: u64, message: u64) -> io::Result<u64> {
        let spawn = |partner| self.executor.spawn(partner);
        volley!(times, message, spawn: spawn, channel: channel::bounded(1), some: Ok)
    }

    async fn gather<F: Spawnable>(self, width: usize, child: impl Maker<F>) -> Vec<F::Output> {
        let tasks: Vec<_> = (0..width).map(|index| self.executor.spawn(child(index))).collect();
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
        let spawn = |index| self.executor.spawn(numbered(index, child(index)));
        cancel_the_rest((0..width).map(spawn).collect(), width, Task::cancel).await
    }
}

reads_and_writes!(Stream [] for TcpStream, read: AsyncReadExt::read, wait: await);
