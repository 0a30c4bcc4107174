//! The interface of a concurrency model, and how a model is started and stopped.
//!
//! Jobs hold a [`Model`]: a `Copy` handle of at most one word, so they pass it on without a reference count. The
//! [`Runtime`] owns the threads. It lives outside the jobs and outside the timed section.
//!
//! Blocking models implement [`Blocking`] instead: the same operations as plain functions. They get the same `async`
//! methods, which never return `Pending`, and [`now`] runs such a future as a plain function call.

mod blocking;
mod listen;
mod stream;

pub(crate) use blocking::connect_std;
pub use blocking::{Blocking, Plain, now};
pub use listen::set_listen;
pub(crate) use listen::{
    BACKLOG, accept_each, client_left, hold_port, listen, listen_beside, own_address, serve_std,
    token,
};
pub use stream::Stream;
pub(crate) use stream::{FILLING, head, reads_and_writes, round_trips};

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};

use crate::job::Addresses;

/// A future that any worker can run: a job, a child, a root, or the server of a connection.
pub trait Spawnable: Future<Output: Send> + Send + 'static {}

impl<F: Future<Output: Send> + Send + 'static> Spawnable for F {}

/// A function that makes, for each index, a job or a child, or runs it.
pub trait Maker<F>: Fn(usize) -> F + Copy + Send + Sync + 'static {}

impl<F, M: Fn(usize) -> F + Copy + Send + Sync + 'static> Maker<F> for M {}

/// A concurrency model, as seen by its jobs.
pub trait Model: Copy + Send + Sync + 'static {
    /// A connected TCP stream of this model.
    type Stream: Stream + 'static;
    /// Whether a stream must stay on the thread that opened it.
    const PER_CORE: bool = false;
    /// Whether jobs hold their thread, or their stack, while they wait. Their futures are then never stored.
    const BLOCKS: bool = false;

    /// Returns the addresses of the suite's server.
    fn servers(self) -> &'static Addresses {
        servers()
    }

    /// Waits for `duration`, counted from the call. Returns the timer itself, because a wrapper would be larger.
    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send;

    /// Yields to other jobs once.
    fn yield_now(self) -> impl Future<Output = ()> + Send;

    /// Connects to `address`, and sets `TCP_NODELAY`.
    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Runs blocking or CPU-heavy work where the model runs such work.
    fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Starts a partner and passes it a message `times` times; it sends each back mixed. Returns the last.
    fn hop(self, times: u64, message: u64) -> impl Future<Output = io::Result<u64>> + Send;

    /// Runs `child(0)` to `child(width - 1)` concurrently from within a job, and returns their outputs in that order.
    ///
    /// # Panics
    ///
    /// The future panics if a child does, or if the machine cannot start more children. The process that runs the cell
    /// then ends, and the cell is `failed`.
    fn gather<F: Spawnable>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> impl Future<Output = Vec<F::Output>> + Send;

    /// Runs `child(0)` to `child(width - 1)` concurrently as a task group. Returns their outputs in that order, or the
    /// first error. After an error, the other children are cancelled; they have ended when this returns, if the model
    /// can wait for that.
    ///
    /// By default the children are parts of one future and cancelling drops them, as in a runtime without cancellable
    /// tasks.
    ///
    /// # Errors
    ///
    /// Returns the error of the first child to fail.
    fn gather_or_cancel<T: Send + 'static, F: Spawnable<Output = io::Result<T>>>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> impl Future<Output = io::Result<Vec<T>>> + Send {
        async move {
            let parts = (0..width).map(|index| numbered(index, child(index))).collect();
            until_one_fails(parts, width).await.map_err(|(error, _)| error)
        }
    }
}

/// Waits until all `width` children have ended, and returns their outputs in order. Each child also yields its index.
/// If one fails, returns its error and the unfinished children.
async fn until_one_fails<T, F>(
    mut children: FuturesUnordered<F>,
    width: usize,
) -> Result<Vec<T>, (io::Error, FuturesUnordered<F>)>
where
    F: Future<Output = (usize, io::Result<T>)>,
{
    let mut outputs = Outputs::of(width);
    while let Some(ended) = children.next().await {
        if let Err(error) = outputs.put(ended) {
            return Err((error, children));
        }
    }
    Ok(outputs.all())
}

/// Waits as [`until_one_fails`] does, but ends unfinished tasks by `cancel`, and waits until each has ended.
pub(crate) async fn cancel_the_rest<T, F, C>(
    tasks: FuturesUnordered<F>,
    width: usize,
    cancel: impl Fn(F) -> C,
) -> io::Result<Vec<T>>
where
    F: Future<Output = (usize, io::Result<T>)> + Unpin,
    C: Future,
{
    let (error, rest) = match until_one_fails(tasks, width).await {
        Ok(outputs) => return Ok(outputs),
        Err(failed) => failed,
    };
    // All are cancelled before any is waited for.
    join_all(rest.into_iter().map(cancel)).await;
    Err(error)
}

/// Runs a child and also returns its index.
pub(crate) async fn numbered<F: Future>(index: usize, child: F) -> (usize, F::Output) {
    (index, child.await)
}

/// The outputs of children that end in any order.
pub(crate) struct Outputs<T>(Vec<Option<T>>);

impl<T> Outputs<T> {
    /// Creates room for the outputs of `width` children.
    pub(crate) fn of(width: usize) -> Self {
        Outputs((0..width).map(|_| None).collect())
    }

    /// Stores a child's output, or returns its error.
    pub(crate) fn put(&mut self, (index, output): (usize, io::Result<T>)) -> io::Result<()> {
        self.0[index] = Some(output?);
        Ok(())
    }

    /// Returns all outputs, in order.
    pub(crate) fn all(self) -> Vec<T> {
        self.0.into_iter().map(|output| output.expect("every child has ended")).collect()
    }
}

/// The owner of a started model's threads. Dropping it stops the model and waits for its threads.
pub trait Runtime: Sized {
    /// The handle that its jobs hold.
    type Model: Model;

    /// Starts the model.
    ///
    /// # Errors
    ///
    /// Returns an error if a thread, a ring or a poller cannot be created, or a setting cannot be honoured.
    fn start(settings: &Settings) -> io::Result<Self>;

    /// Returns the handle for its jobs.
    fn model(&self) -> Self::Model;

    /// Runs `root` on one of the workers and waits for it.
    fn root<F: Spawnable>(&self, root: F) -> F::Output;

    /// Runs `job(0)` to `job(jobs - 1)` concurrently, submitted from a thread that is not a worker, and returns once all
    /// have ended, with their outputs in that order. The caller iterates outside the clock. By default they are children
    /// of the calling thread, as in a [`Blocking`] model whose children need no worker.
    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        now(self.model().gather(jobs, job))
    }

    /// Runs a server as users of the model would write it. It binds a loopback address, reports it to `bound` once it
    /// accepts connections, sets `TCP_NODELAY`, and serves each connection with `connection`. The server ends with its
    /// process.
    ///
    /// # Errors
    ///
    /// Returns only with an error from binding or accepting, for example if no descriptor is left. Open connections may
    /// then still hold the model's threads, so the caller must end the process.
    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(<Self::Model as Model>::Stream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible>;
}

/// The settings that a model starts with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of worker threads.
    pub workers: usize,
}

/// A function that reads the clock. Only the module `clock` provides one.
pub type Clock = fn() -> Instant;

static SERVERS: OnceLock<Addresses> = OnceLock::new();

/// Sets the addresses of the suite's server for this process's jobs. Only the first call has an effect.
pub fn set_servers(addresses: Addresses) {
    let _ = SERVERS.set(addresses);
}

fn servers() -> &'static Addresses {
    static NONE: Addresses = Addresses { echo: vec![], slow: vec![], rooms: vec![] };
    SERVERS.get().unwrap_or(&NONE)
}

/// The body of `hop` for models whose tasks are futures. `$spawn` starts the partner, `$channel` creates a bounded
/// channel with a capacity of one, and `$some` is the pattern of a received message.
macro_rules! volley {
    ($times:expr, $message:expr, spawn: $spawn:expr, channel: $channel:expr, some: $some:ident) => {{
        // A type for each use of this macro, so that its channel is compiled for it alone, as in a program with one runtime.
        // With `u64` models shared the functions of a channel, and the compiler put fewer of them in line: on
        // `smol-per-core` a hop took 9 % more instructions.
        struct Message(u64);
        #[allow(
            unused_mut,
            reason = "some channels receive by exclusive reference, some by shared"
        )]
        let ((to, mut inbox), (back, mut replies)) = ($channel, $channel);
        let partner = $spawn(async move {
            while let $some(Message(message)) = inbox.recv().await {
                if back.send(Message($crate::job::mix(message))).await.is_err() {
                    break;
                }
            }
        });
        let mut message: u64 = $message;
        for _ in 0..$times {
            let sent = to.send(Message(message)).await.is_ok();
            let $some(Message(reply)) = replies.recv().await else {
                return Err($crate::model::partner_left());
            };
            debug_assert!(sent);
            message = reply;
        }
        drop(to);
        let _ = partner.await;
        Ok(message)
    }};
}
pub(crate) use volley;

pub(crate) fn partner_left() -> io::Error {
    io::Error::other("the partner of a hop ended early")
}
