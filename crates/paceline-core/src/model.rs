//! What a concurrency model offers to jobs, and how one is started and stopped.
//!
//! Jobs hold a [`Model`]: a `Copy` handle of at most a word, so that they pass it on without a reference count. What
//! owns the threads is its [`Runtime`], which lives outside the jobs and outside the clock.
//!
//! Blocking models implement [`Blocking`] instead: the same operations as plain functions. They get the same `async`
//! methods, which never return `Pending`, and [`now`] runs such a future as the plain function it is.

mod blocking;
mod listen;
mod stream;

pub(crate) use blocking::connect_std;
pub use blocking::{Blocking, Plain, now};
pub(crate) use listen::{
    BACKLOG, LOOPBACK, accept_each, client_left, hold_port, listen, listen_beside, serve_std,
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

/// A concurrency model, as its jobs see it.
pub trait Model: Copy + Send + Sync + 'static {
    /// A connected TCP stream of this model.
    type Stream: Stream + 'static;
    /// Whether streams stay on the thread that opened them.
    const PER_CORE: bool = false;
    /// Whether jobs hold their thread, or their stack, while they wait; their futures are then never stored.
    const BLOCKS: bool = false;

    /// Where the suite's server listens.
    fn servers(self) -> &'static Addresses {
        servers()
    }

    /// Waits until `duration` has elapsed, from the call on. Returns the timer itself: a wrapper would be larger.
    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send;

    /// Gives way to other jobs once.
    fn yield_now(self) -> impl Future<Output = ()> + Send;

    /// Connects to `address`, and sets `TCP_NODELAY`.
    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Does blocking or CPU-heavy work where the model puts it.
    fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Starts a partner and passes it a message `times` times, which it sends back mixed. Returns the last.
    fn hop(self, times: u64, message: u64) -> impl Future<Output = io::Result<u64>> + Send;

    /// Runs `child(0)` to `child(width - 1)` at once, from within a job, and returns their outputs in that order.
    ///
    /// # Panics
    ///
    /// The future panics where a child does, or where the machine can start no more of them: the process that runs a
    /// cell then ends, and its cell is `failed`.
    fn gather<F>(
        self,
        width: usize,
        child: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
    ) -> impl Future<Output = Vec<F::Output>> + Send
    where
        F: Future<Output: Send> + Send + 'static;

    /// Runs `child(0)` to `child(width - 1)` at once, as a task group, and returns their outputs in that order; or,
    /// once one has failed, its error. The others are then cancelled, and gone where the model can wait for that.
    ///
    /// By default they are parts of one future, and what is left of them is dropped: what a runtime without cancellable
    /// tasks can do.
    ///
    /// # Errors
    ///
    /// Returns the error of the first child to fail.
    fn gather_or_cancel<T, F>(
        self,
        width: usize,
        child: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
    ) -> impl Future<Output = io::Result<Vec<T>>> + Send
    where
        T: Send + 'static,
        F: Future<Output = io::Result<T>> + Send + 'static,
    {
        async move {
            let parts = (0..width).map(|index| numbered(index, child(index))).collect();
            until_one_fails(parts, width).await.map_err(|(error, _)| error)
        }
    }
}

/// Waits for children, which yield their indices too, until all of the `width` have ended, and returns their outputs in
/// order; or until one has failed: then its error, and what is left of the others.
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

/// The same where a task that is left is ended by `cancel`, and is gone when that is over.
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
    // All are told before any is waited for.
    join_all(rest.into_iter().map(cancel)).await;
    Err(error)
}

/// A child that yields its index too.
pub(crate) async fn numbered<F: Future>(index: usize, child: F) -> (usize, F::Output) {
    (index, child.await)
}

/// Outputs of children, which end in any order.
pub(crate) struct Outputs<T>(Vec<Option<T>>);

impl<T> Outputs<T> {
    /// Places for those of `width` children.
    pub(crate) fn of(width: usize) -> Self {
        Outputs((0..width).map(|_| None).collect())
    }

    /// Puts what a child returned in its place, or returns its error.
    pub(crate) fn put(&mut self, (index, output): (usize, io::Result<T>)) -> io::Result<()> {
        self.0[index] = Some(output?);
        Ok(())
    }

    /// All of them, in order.
    pub(crate) fn all(self) -> Vec<T> {
        self.0.into_iter().map(|output| output.expect("every child has ended")).collect()
    }
}

/// What owns the threads of a started model. Dropping it stops the model and waits for its threads.
pub trait Runtime: Sized {
    /// What its jobs hold.
    type Model: Model;

    /// Starts it.
    ///
    /// # Errors
    ///
    /// Returns an error where a thread, a ring or a poller cannot be had, or a setting cannot be honoured.
    fn start(settings: &Settings) -> io::Result<Self>;

    /// The handle for its jobs.
    fn model(&self) -> Self::Model;

    /// Runs `root` on one of the workers and waits for it.
    fn root<F>(&self, root: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static;

    /// Runs `job(0)` to `job(jobs - 1)` at once, handed in from a thread that is no worker, and returns their outputs
    /// in that order.
    fn outside<F>(
        &self,
        jobs: usize,
        job: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
    ) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Is a server: binds a loopback address, says it to `bound` once connections are accepted there, and serves each
    /// by `connection`, with `TCP_NODELAY` set, as users of the model would. A server ends with its process.
    ///
    /// # Errors
    ///
    /// Returns only with an error: of binding, or of accepting, such as that no descriptor is left. Connections may
    /// then still be under way, and hold the model's threads: the process is to be ended.
    fn serve<F>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(<Self::Model as Model>::Stream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible>
    where
        F: Future<Output = ()> + Send + 'static;
}

/// How to start a model.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many worker threads.
    pub workers: usize,
}

/// Reads the clock; only the measuring module has one to give.
pub type Clock = fn() -> Instant;

static SERVERS: OnceLock<Addresses> = OnceLock::new();

/// Says where the suite's server listens, for this process's jobs. The first call decides.
pub fn set_servers(addresses: Addresses) {
    let _ = SERVERS.set(addresses);
}

fn servers() -> &'static Addresses {
    static NONE: Addresses = Addresses { echo: vec![], slow: vec![], rooms: vec![] };
    SERVERS.get().unwrap_or(&NONE)
}

/// The body of `hop` on a model whose tasks are futures: `$spawn` starts the partner, `$channel` makes a bounded
/// channel of one place, and `$some` is the pattern of a message received.
macro_rules! volley {
    ($times:expr, $message:expr, spawn: $spawn:expr, channel: $channel:expr, some: $some:ident) => {{
        #[allow(
            unused_mut,
            reason = "some channels receive by exclusive reference, some by shared"
        )]
        let ((to, mut inbox), (back, mut replies)) = ($channel, $channel);
        let partner = $spawn(async move {
            while let $some(message) = inbox.recv().await {
                if back.send($crate::job::mix(message)).await.is_err() {
                    break;
                }
            }
        });
        let mut message: u64 = $message;
        for _ in 0..$times {
            let sent = to.send(message).await.is_ok();
            let $some(reply) = replies.recv().await else {
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
