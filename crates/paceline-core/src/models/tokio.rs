//! `tokio`, `tokio-current-thread`, and `tokio+rayon`: tokio that offloads work to a rayon pool.

use std::{
    cell::OnceCell, convert::Infallible, io, iter, net::SocketAddr, sync::Arc, time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
};

use super::{Bridge, Driver, Entry, Family, ModelInfo, Width, rayon::Pool};
use crate::{
    model::{
        Maker, Model, Outputs, Runtime, Settings, Spawnable, Stream, accept_each, listen, numbered,
        reads_and_writes, volley,
    },
    perform::Placement,
};

/// The environment variable that chooses the queue of `spawn_blocking`.
pub(super) const QUEUE: &[&str] = &["TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE"];

pub(super) const ABOUT: ModelInfo = ModelInfo {
    family: Family::Async,
    package: Some("tokio"),
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    unset: QUEUE,
    ..ModelInfo::DEFAULT
};

pub(super) const MULTI_THREAD: Entry = Entry::new::<MultiThread<false>>(ModelInfo {
    name: "tokio",
    note: "multi-thread runtime; offload by spawn_blocking",
    ..ABOUT
});

pub(super) const WITH_RAYON: Entry = Entry::new::<MultiThread<true>>(ModelInfo {
    name: "tokio+rayon",
    note: "multi-thread runtime; offload to a rayon pool of `workers` threads",
    bridge: Bridge::Workers,
    ..ABOUT
});

pub(super) const CURRENT_THREAD: Entry = Entry::new::<CurrentThread>(ModelInfo {
    name: "tokio-current-thread",
    note: "current-thread runtime, driven by the caller's block_on; offload by spawn_blocking",
    placements: &[Placement::Inside],
    width: Width::One,
    ..ABOUT
});

/// The tokio runtime that the job's thread belongs to.
#[derive(Clone, Copy)]
pub(super) struct Tokio<const RAYON: bool>;

/// The thread's runtime, with offloaded work on tokio's own blocking pool.
pub(super) const TOKIO: Tokio<false> = Tokio;

thread_local! {
    /// The pool to which the threads of `tokio+rayon` offload work.
    static CPU: OnceCell<Arc<Pool>> = const { OnceCell::new() };
}

impl<const RAYON: bool> Model for Tokio<RAYON> {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send {
        tokio::time::sleep(duration)
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        task::yield_now()
    }

    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send {
        connect(address)
    }

    async fn offload<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if RAYON {
            let (give, output) = oneshot::channel();
            CPU.with(|cpu| {
                let cpu = cpu.get().expect("each thread of the runtime is given the pool");
                cpu.spawn(move || drop(give.send(work())));
            });
            output.await.expect("offloaded work panicked")
        } else {
            task::spawn_blocking(work).await.expect("offloaded work panicked")
        }
    }

    async fn hop(self, times: u64, message: u64) -> io::Result<u64> {
        volley!(times, message, spawn: task::spawn, channel: mpsc::channel(1), some: Some)
    }

    async fn gather<F: Spawnable>(self, width: usize, child: impl Maker<F>) -> Vec<F::Output> {
        let tasks: Vec<_> = (0..width).map(|index| task::spawn(child(index))).collect();
        let mut outputs = Vec::with_capacity(width);
        for task in tasks {
            outputs.push(task.await.expect("a job panicked"));
        }
        outputs
    }

    async fn gather_or_cancel<T: Send + 'static, F: Spawnable<Output = io::Result<T>>>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> io::Result<Vec<T>> {
        let mut set = JoinSet::new();
        for index in 0..width {
            set.spawn(numbered(index, child(index)));
        }
        let mut outputs = Outputs::of(width);
        while let Some(ended) = set.join_next().await {
            if let Err(error) = outputs.put(ended.expect("a job panicked")) {
                set.shutdown().await;
                return Err(error);
            }
        }
        Ok(outputs.all())
    }
}

pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Registers a listening socket with the runtime.
pub(super) fn listener(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

pub(super) async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Runs the root task of a server, which spawns a task for each connection.
async fn serve<F: Spawnable<Output = ()>>(
    bound: impl FnOnce(SocketAddr),
    connection: impl Fn(TcpStream) -> F,
) -> io::Result<Infallible> {
    let listener = listener(listen()?)?;
    bound(listener.local_addr()?);
    accept_each!(accept(&listener).await, |stream| drop(task::spawn(connection(stream))))
}

struct MultiThread<const RAYON: bool> {
    runtime: tokio::runtime::Runtime,
    /// Dropped after the runtime. All other references are weak, because a connection that outlives the runtime keeps
    /// the runtime's settings alive.
    _cpu: Option<Arc<Pool>>,
}

impl<const RAYON: bool> Runtime for MultiThread<RAYON> {
    type Model = Tokio<RAYON>;

    fn start(settings: &Settings) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(settings.workers).enable_all();
        let pool = RAYON.then(|| Pool::with(settings.workers).map(Arc::new)).transpose()?;
        if let Some(pool) = &pool {
            let pool = Arc::downgrade(pool);
            let give = move || CPU.with(|cpu| drop(pool.upgrade().map(|pool| cpu.set(pool))));
            builder.on_thread_start(give);
        }
        Ok(MultiThread { runtime: builder.build()?, _cpu: pool })
    }

    fn model(&self) -> Tokio<RAYON> {
        Tokio
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        self.runtime.block_on(self.runtime.spawn(root)).expect("the root panicked")
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        self.runtime.block_on(Tokio::<RAYON>.gather(jobs, job))
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        self.root(serve(bound, connection))
    }
}

/// A runtime whose worker is the calling thread.
struct CurrentThread {
    runtime: tokio::runtime::Runtime,
}

impl Runtime for CurrentThread {
    type Model = Tokio<false>;

    fn start(_: &Settings) -> io::Result<Self> {
        Ok(CurrentThread { runtime: Builder::new_current_thread().enable_all().build()? })
    }

    fn model(&self) -> Tokio<false> {
        Tokio
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        self.runtime.block_on(root)
    }

    fn outside<F: Spawnable>(
        &self,
        _: usize,
        _: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        iter::from_fn(|| unreachable!("its only thread is the worker: there is no outside"))
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        self.root(serve(bound, connection))
    }
}

reads_and_writes!(Stream [] for TcpStream, read: AsyncReadExt::read, wait: await);

#[cfg(test)]
mod tests;
