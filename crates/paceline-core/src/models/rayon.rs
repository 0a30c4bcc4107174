//! `rayon`: a work-stealing pool in which a waiting job holds its worker.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};

use super::{Entry, ModelInfo, NO_CANCEL, NO_FUTURE, NO_POOL, Unsupported};
use crate::model::{
    Blocking, Maker, Plain, Runtime, Settings, Spawnable, connect_std, now, serve_std,
};

const BELOW: &str = "a worker that waits for children may take up another connection below them on the same stack, and \
                     until that closes the first one is not answered";

pub(super) const ENTRY: Entry = Entry::new::<Pool>(ModelInfo {
    name: "rayon",
    package: Some("rayon"),
    note: "a pool of its own; jobs as a parallel iterator inside, as scope spawns from outside; as a server, a worker \
           holds a connection until it closes, so that `workers` are served at once and the others wait",
    unsupported: &[
        Unsupported {
            step: "hop",
            why: "rayon may put a partner below the job that waits for it on the same stack, which then never ends",
        },
        NO_FUTURE,
        NO_CANCEL,
        NO_POOL,
    ],
    unsupported_as_server: &[
        Unsupported { step: "gather", why: BELOW },
        Unsupported { step: "group", why: BELOW },
    ],
    ..ModelInfo::DEFAULT
});

/// A pool whose end can be waited for: dropping a `ThreadPool` does not wait for its threads.
pub(super) struct Pool {
    /// `None` after it has stopped.
    pool: Option<ThreadPool>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Pool {
    /// Creates a pool of `workers` workers.
    pub(super) fn with(workers: usize) -> io::Result<Self> {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let started = threads.clone();
        let pool = ThreadPoolBuilder::new()
            .num_threads(workers)
            .spawn_handler(move |worker| {
                let thread = thread::Builder::new().spawn(move || worker.run())?;
                started.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
                Ok(())
            })
            .build()
            .map_err(io::Error::other)?;
        Ok(Pool { pool: Some(pool), threads })
    }

    /// Runs `work` on a worker, without waiting for it.
    pub(super) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        self.get().spawn(work);
    }

    fn get(&self) -> &ThreadPool {
        self.pool.as_ref().expect("it has not stopped")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.pool = None;
        let threads = &mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Runtime for Pool {
    type Model = Rayon;

    fn start(settings: &Settings) -> io::Result<Self> {
        Pool::with(settings.workers)
    }

    fn model(&self) -> Rayon {
        Rayon
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        self.get().install(move || now(root))
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        let mut outputs: Vec<Option<F::Output>> = (0..jobs).map(|_| None).collect();
        self.get().in_place_scope(|scope| {
            for (index, output) in outputs.iter_mut().enumerate() {
                scope.spawn(move |_| *output = Some(now(job(index))));
            }
        });
        outputs.into_iter().map(|output| output.expect("a scope waits for all"))
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(Plain<TcpStream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        serve_std(bound, |stream| {
            self.spawn(move || now(connection(stream)));
            Ok(())
        })
    }
}

/// A worker of the pool, as seen by its jobs.
#[derive(Clone, Copy)]
pub(super) struct Rayon;

impl Blocking for Rayon {
    type Stream = TcpStream;

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect_std(address)
    }

    fn gather<T: Send + 'static>(self, width: usize, child: impl Maker<T>) -> Vec<T> {
        (0..width).into_par_iter().map(child).collect()
    }
}
