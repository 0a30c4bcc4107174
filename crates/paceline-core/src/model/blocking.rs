//! Models whose jobs are plain functions.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    pin::pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use super::{Maker, Model, Spawnable, Stream, partner_left, reads_and_writes};
use crate::job::mix;

/// A model whose jobs are plain functions that hold their thread, or their stack, while they wait.
pub trait Blocking: Copy + Send + Sync + 'static {
    /// A connected TCP stream.
    type Stream: Read + Write + Send + 'static;

    /// See [`Model::sleep`].
    fn sleep(self, duration: Duration) {
        thread::sleep(duration);
    }

    /// See [`Model::yield_now`].
    fn yield_now(self) {
        thread::yield_now();
    }

    /// See [`Model::connect`].
    fn connect(self, address: SocketAddr) -> io::Result<Self::Stream>;

    /// See [`Model::hop`]. By default the partner is an OS thread.
    fn hop(self, times: u64, message: u64) -> io::Result<u64> {
        hop_between_threads(times, message)
    }

    /// See [`Model::gather`].
    fn gather<T: Send + 'static>(self, width: usize, child: impl Maker<T>) -> Vec<T>;

    /// See [`Model::gather_or_cancel`]. By default children run one after another until one fails. A model that runs
    /// several at once but cannot cancel them lists `group.cancel` as unsupported.
    ///
    /// # Errors
    ///
    /// Returns the error of the first child to fail.
    fn gather_or_cancel<T: Send + 'static>(
        self,
        width: usize,
        child: impl Maker<io::Result<T>>,
    ) -> io::Result<Vec<T>> {
        (0..width).map(child).collect()
    }
}

/// Connects with `std::net`, as every thread-based model does.
pub(crate) fn connect_std(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn hop_between_threads(times: u64, mut message: u64) -> io::Result<u64> {
    let ((to, inbox), (back, replies)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
    let partner = thread::Builder::new()
        .spawn(move || inbox.iter().try_for_each(|message| back.send(mix(message))))?;
    for _ in 0..times {
        to.send(message).map_err(|_| partner_left())?;
        message = replies.recv().map_err(|_| partner_left())?;
    }
    drop(to);
    partner.join().map_err(|_| partner_left())?.map_err(|_| partner_left())?;
    Ok(message)
}

impl<B: Blocking> Model for B {
    type Stream = Plain<B::Stream>;
    const BLOCKS: bool = true;

    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send {
        async move { Blocking::sleep(self, duration) }
    }

    async fn yield_now(self) {
        Blocking::yield_now(self);
    }

    async fn connect(self, address: SocketAddr) -> io::Result<Self::Stream> {
        Blocking::connect(self, address).map(Plain)
    }

    async fn offload<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    async fn hop(self, times: u64, message: u64) -> io::Result<u64> {
        Blocking::hop(self, times, message)
    }

    async fn gather<F: Spawnable>(self, width: usize, child: impl Maker<F>) -> Vec<F::Output> {
        Blocking::gather(self, width, move |index| now(child(index)))
    }

    async fn gather_or_cancel<T: Send + 'static, F: Spawnable<Output = io::Result<T>>>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> io::Result<Vec<T>> {
        Blocking::gather_or_cancel(self, width, move |index| now(child(index)))
    }
}

/// A blocking stream.
pub struct Plain<S>(pub(crate) S);

reads_and_writes!(Stream [S: Read + Write + Send] for Plain<S>, field: 0, read: read_some);

fn read_some<S: Read>(stream: &mut Plain<S>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Runs a future of a blocking model, which is ready at the first poll.
///
/// # Panics
///
/// Panics if the future is pending, that is, if a blocking model awaited something asynchronous.
#[inline]
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a blocking model's future must be ready at its first poll"),
    }
}
