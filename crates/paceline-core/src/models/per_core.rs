//! Runtimes of one core each, which share nothing: the common part of tokio-per-core, compio, monoio, glommio and
//! tokio-uring.

use std::{
    convert::Infallible,
    io,
    marker::PhantomData,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};

use smol::channel::{self, Sender};

use super::trust::ThreadBound;
use crate::{
    job::Receipt,
    model::{
        Maker, Model, Runtime, Settings, Spawnable, Stream, accept_each, hold_port, listen_beside,
        round_trips,
    },
};

/// A runtime that lives on one thread.
pub(super) trait LocalRuntime: Copy + Send + Sync + 'static {
    /// A connected TCP stream.
    type Stream: LocalStream + 'static;
    /// A listening socket.
    type Listener: 'static;

    /// Starts a runtime on this thread and runs `main` on it.
    fn run(main: impl Future<Output = ()> + 'static) -> io::Result<()>;
    /// Spawns `task` on this thread's runtime.
    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + 'static;
    /// Spawns `task` without a way to wait for it.
    fn detach(task: impl Future<Output = ()> + Send + 'static);
    /// Binds a core's own listening socket at the port of `held`.
    fn bind(held: &TcpListener) -> io::Result<TcpListener> {
        listen_beside(held)
    }
    /// Registers a socket that [`bind`](Self::bind) bound with this thread's runtime.
    fn listen(bound: TcpListener) -> io::Result<Self::Listener>;
    /// Accepts a connection, and sets `TCP_NODELAY`.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>>;
    /// See [`Model::sleep`].
    fn sleep(duration: Duration) -> impl Future<Output: Send>;
    /// See [`Model::yield_now`].
    fn yield_now() -> impl Future<Output = ()> {
        smol::future::yield_now()
    }
    /// See [`Model::connect`].
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;
    /// See [`Model::offload`].
    fn offload<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T>;
    /// See [`Model::hop`].
    fn hop(times: u64, message: u64) -> impl Future<Output = io::Result<u64>>;
}

/// A [`Stream`] whose futures are not `Send`.
pub(super) trait LocalStream {
    /// See [`Stream::send`].
    async fn send(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>>;
    /// See [`Stream::receive`].
    async fn receive(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>>;
    /// See [`Stream::read`].
    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)>;
    /// See [`Stream::exchange`].
    async fn exchange(
        &mut self,
        bytes: usize,
        times: u64,
        receipt: Receipt,
    ) -> io::Result<Receipt> {
        round_trips!(self, bytes, times, receipt)
    }
}

/// Streams that may leave their core also work on one.
impl<S: Stream> LocalStream for S {
    fn send(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> {
        Stream::send(self, buffer)
    }

    fn receive(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> {
        Stream::receive(self, buffer)
    }

    fn read(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<(Vec<u8>, usize)>> {
        Stream::read(self, buffer)
    }
}

/// Starts a future on the runtime of the worker that receives it. The worker waits for it.
type Start = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Threads with one runtime each. Jobs are assigned to them round-robin.
pub(super) struct PerCoreRuntime<C> {
    inboxes: Vec<Sender<Start>>,
    threads: Vec<JoinHandle<()>>,
    core: PhantomData<C>,
}

impl<C> Drop for PerCoreRuntime<C> {
    fn drop(&mut self) {
        self.inboxes.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl<C: LocalRuntime> PerCoreRuntime<C> {
    /// Makes worker `index` create a future and wait for it. Returns the channel that receives its output.
    fn on<F>(
        &self,
        index: usize,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> mpsc::Receiver<F::Output>
    where
        F: Future<Output: Send> + 'static,
    {
        let (give, output) = mpsc::sync_channel(1);
        let start: Start = Box::new(move || {
            let future = make();
            Box::pin(async move { drop(give.send(future.await)) })
        });
        let taken = self.inboxes[index].try_send(start).is_ok();
        assert!(taken, "a worker ended early");
        output
    }
}

impl<C: LocalRuntime> Runtime for PerCoreRuntime<C> {
    type Model = PerCore<C>;

    fn start(settings: &Settings) -> io::Result<Self> {
        let mut cores = PerCoreRuntime { inboxes: vec![], threads: vec![], core: PhantomData };
        let (started, is_started) = mpsc::channel();
        for _ in 0..settings.workers {
            let (inbox, starts) = channel::unbounded::<Start>();
            let (started, failed) = (started.clone(), started.clone());
            let thread = thread::Builder::new().spawn(move || {
                let end = C::run(async move {
                    let _ = started.send(Ok(()));
                    drop(started);
                    while let Ok(start) = starts.recv().await {
                        start().await;
                    }
                });
                if let Err(error) = end {
                    let _ = failed.send(Err(error));
                }
            })?;
            cores.inboxes.push(inbox);
            cores.threads.push(thread);
        }
        drop(started);
        is_started.iter().take(settings.workers).collect::<io::Result<()>>()?;
        Ok(cores)
    }

    fn model(&self) -> PerCore<C> {
        PerCore(PhantomData)
    }

    /// Runs `root` on the first core. The jobs that it spawns run there too, so the batch uses one core.
    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        self.on(0, || root).recv().expect("the root panicked")
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        let cores = self.inboxes.len();
        let shares: Vec<_> = (0..cores)
            .map(|first| {
                let share = jobs.saturating_sub(first).div_ceil(cores);
                self.on(first, move || {
                    PerCore::<C>(PhantomData).gather(share, move |index| job(first + index * cores))
                })
            })
            .collect();
        let mut shares: Vec<_> = shares
            .iter()
            .map(|share| share.recv().expect("a core's root panicked").into_iter())
            .collect();
        // Lazily: when the shares are freed, glibc also merges what the workers' ended tasks have freed. Within the clock
        // that was 16 ns of each of 10 000 sleeping jobs.
        (0..jobs).filter_map(move |index| shares[index % cores].next())
    }

    /// Every core accepts connections itself, and serves those that it accepted.
    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(ThreadBound<C::Stream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        let held = hold_port()?;
        let cores = self.inboxes.len();
        let (listening, listens) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        for core in 0..cores {
            let (socket, listening, ended) = (C::bind(&held)?, listening.clone(), ended.clone());
            self.on(core, move || async move {
                let serve = async {
                    let listener = C::listen(socket)?;
                    let _ = listening.send(());
                    drop(listening);
                    let accept = async || C::accept(&listener).await.map(ThreadBound::new);
                    accept_each!(accept().await, |stream| C::detach(connection(stream)))
                };
                let _ = ended.send(serve.await);
            });
        }
        drop((listening, ended));
        if listens.iter().take(cores).count() == cores {
            bound(held.local_addr()?);
        }
        end.recv().expect("a core's server panicked")
    }
}

/// The handle of a job to the runtime of its core.
pub(super) struct PerCore<C>(PhantomData<C>);

impl<C> Clone for PerCore<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for PerCore<C> {}

impl<C: LocalRuntime> Model for PerCore<C> {
    type Stream = ThreadBound<C::Stream>;
    const PER_CORE: bool = true;

    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send {
        ThreadBound::new(C::sleep(duration))
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        ThreadBound::new(C::yield_now())
    }

    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        ThreadBound::new(async move { C::connect(address).await.map(ThreadBound::new) })
    }

    fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        ThreadBound::new(C::offload(work))
    }

    fn hop(self, times: u64, message: u64) -> impl Future<Output = io::Result<u64>> + Send {
        ThreadBound::new(C::hop(times, message))
    }

    fn gather<F: Spawnable>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> impl Future<Output = Vec<F::Output>> + Send {
        ThreadBound::new(async move {
            let tasks: Vec<_> = (0..width).map(|index| C::spawn(child(index))).collect();
            let mut outputs = Vec::with_capacity(width);
            for task in tasks {
                outputs.push(task.await);
            }
            outputs
        })
    }
}

impl<S: LocalStream> Stream for ThreadBound<S> {
    fn send(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> + Send {
        ThreadBound::new((**self).send(buffer))
    }

    fn receive(&mut self, buffer: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> + Send {
        ThreadBound::new((**self).receive(buffer))
    }

    fn read(
        &mut self,
        buffer: Vec<u8>,
    ) -> impl Future<Output = io::Result<(Vec<u8>, usize)>> + Send {
        ThreadBound::new((**self).read(buffer))
    }

    fn exchange(
        &mut self,
        bytes: usize,
        times: u64,
        receipt: Receipt,
    ) -> impl Future<Output = io::Result<Receipt>> + Send {
        ThreadBound::new((**self).exchange(bytes, times, receipt))
    }
}

/// Returns the output of a task or of offloaded work, or panics if it panicked. Not an `async` block, whose state machine
/// costs instructions in each job, and memory: it keeps what it was given next to what it makes of it.
pub(super) struct Joined<H>(pub(super) H);

impl<T, E, H: Future<Output = Result<T, E>> + Unpin> Future for Joined<H> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let ended = Pin::new(&mut self.0).poll(context);
        ended.map(|output| output.unwrap_or_else(|_| panic!("a job panicked")))
    }
}

/// Checks that an `io_uring` runtime can be started here.
#[cfg(target_os = "linux")]
pub(super) fn io_uring_works<C: LocalRuntime>() -> Result<(), String> {
    // On its own thread and with panics caught: without a ring, some runtimes return an error and others panic.
    let tried = thread::Builder::new()
        .name("io_uring-probe".into())
        .spawn(|| std::panic::catch_unwind(|| C::run(async {})));
    let why = match tried.map(JoinHandle::join) {
        Ok(Ok(Ok(Ok(())))) => return Ok(()),
        Ok(Ok(Ok(Err(error)))) | Err(error) => error.to_string(),
        Ok(Ok(Err(_)) | Err(_)) => "the runtime panicked at its start".into(),
    };
    let disabled =
        std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    let hint = match disabled.trim() {
        "1" | "2" => "; it is switched off: sysctl -w kernel.io_uring_disabled=0",
        // This message already says how to raise the limit.
        _ if why.contains("ulimit") => "",
        _ => {
            "; a container needs a seccomp profile that permits io_uring, and 512 KiB of locked memory a worker (ulimit -l unlimited)"
        }
    };
    Err(format!("io_uring cannot be used: {why}{hint}"))
}

/// Checks that `receive` and `read` fill a buffer up to its length, and leave its reserved capacity alone.
#[cfg(test)]
pub(super) fn check_that_a_buffer_is_filled_up_to_its_length<R: LocalRuntime>() {
    use std::io::Write;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = thread::spawn(move || listener.accept().unwrap().0.write_all(b"abcdef").unwrap());
    let (sender, receiver) = mpsc::channel();
    let reserved = || {
        let mut buffer = Vec::with_capacity(64);
        buffer.resize(2, 0);
        buffer
    };
    R::run(async move {
        let mut stream = R::connect(address).await.unwrap();
        let exact = stream.receive(reserved()).await.unwrap();
        let (read, bytes) = stream.read(reserved()).await.unwrap();
        sender.send((exact, read[..bytes].to_vec())).unwrap();
    })
    .unwrap();
    peer.join().unwrap();
    assert_eq!(receiver.recv().unwrap(), (b"ab".to_vec(), b"cd".to_vec()));
}
