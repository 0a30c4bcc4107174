//! `pool`: a fixed pool of OS threads that take boxed closures from one queue and do not know of each other.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::Sender;

use super::{Entry, ModelInfo, Unsupported};
use crate::{
    model::{Blocking, Maker, Plain, Runtime, Settings, Spawnable, connect_std, now, serve_std},
    perform::Placement,
};

const DEADLOCK: &str = "a job that waits for others in the queue holds the worker that they need, and enough such jobs \
                        deadlock";

pub(super) const ENTRY: Entry = Entry::new::<Pool>(ModelInfo {
    name: "pool",
    package: Some("crossbeam-channel"),
    note: "`workers` threads behind one unbounded crossbeam channel; as a server, a worker holds a connection until it \
           closes, so that `workers` are served at once and the others wait",
    placements: &[Placement::Outside],
    unsupported: &[
        Unsupported { step: "gather", why: DEADLOCK },
        Unsupported { step: "group", why: DEADLOCK },
        Unsupported { step: "hop", why: DEADLOCK },
    ],
    ..ModelInfo::DEFAULT
});

type Work = Box<dyn FnOnce() + Send>;

struct Pool {
    /// `None` after it has stopped.
    queue: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Runtime for Pool {
    type Model = Pooled;

    fn start(settings: &Settings) -> io::Result<Self> {
        let (queue, works) = crossbeam_channel::unbounded::<Work>();
        let mut pool = Pool { queue: Some(queue), threads: Vec::new() };
        for _ in 0..settings.workers {
            let works = works.clone();
            let thread =
                thread::Builder::new().spawn(move || works.iter().for_each(|work| work()))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    fn model(&self) -> Pooled {
        Pooled
    }

    fn root<F: Spawnable>(&self, _: F) -> F::Output {
        unreachable!("a root that waits for its jobs would hold the worker that they need")
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        let queue = self.queue.as_ref().expect("it has not stopped");
        let (outputs, finished) = mpsc::channel();
        for index in 0..jobs {
            let outputs = outputs.clone();
            let work = move || drop(outputs.send((index, now(job(index)))));
            queue.send(Box::new(work)).expect("workers outlive the queue");
        }
        drop(outputs);
        in_order(jobs, finished)
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(Plain<TcpStream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        let queue = self.queue.as_ref().expect("it has not stopped");
        serve_std(bound, |stream| {
            let work = move || now(connection(stream));
            queue.send(Box::new(work)).expect("workers outlive the queue");
            Ok(())
        })
    }
}

/// A worker of the pool, as seen by its jobs.
#[derive(Clone, Copy)]
struct Pooled;

impl Blocking for Pooled {
    type Stream = TcpStream;

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect_std(address)
    }

    fn gather<T: Send + 'static>(self, _: usize, _: impl Maker<T>) -> Vec<T> {
        unreachable!("refused before the pool is started")
    }
}

/// Returns the outputs in the order of their indices.
///
/// # Panics
///
/// Panics if one is missing, because its job panicked.
fn in_order<T>(
    count: usize,
    finished: impl IntoIterator<Item = (usize, T)>,
) -> impl Iterator<Item = T> {
    let mut outputs: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for (index, output) in finished {
        outputs[index] = Some(output);
    }
    // Lazily: the batch's clock stops with the last output.
    outputs.into_iter().map(|output| output.expect("a job panicked"))
}
