//! `threads`: an OS thread for each job, child and partner.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
    thread::{self, JoinHandle},
};

use super::{Entry, ModelInfo, NO_CANCEL, NO_FUTURE, Task, Width};
use crate::{
    model::{Blocking, Plain, Runtime, Settings, connect_std, now, serve_std},
    perform::Placement,
};

pub(super) const ENTRY: Entry = Entry::new::<Threads>(ModelInfo {
    name: "threads",
    note: "std::thread, one per job, spawned and joined; stacks as std makes them (2 MiB reserved)",
    placements: &[Placement::Outside, Placement::Inside],
    width: Width::PerTask,
    task: Task::Thread,
    unsupported: &[NO_FUTURE, NO_CANCEL],
    ..ModelInfo::DEFAULT
});

/// One thread per job. Public so that models with one difference, such as planted costs, can reuse it.
#[derive(Clone, Copy)]
pub struct Threads;

impl Blocking for Threads {
    type Stream = TcpStream;

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect_std(address)
    }

    fn gather<T: Send + 'static>(
        self,
        width: usize,
        child: impl Fn(usize) -> T + Copy + Send + Sync + 'static,
    ) -> Vec<T> {
        let spawn = |index| {
            thread::Builder::new().spawn(move || child(index)).unwrap_or_else(|error| {
                panic!("cannot start thread {} of {width}: {error}", index + 1)
            })
        };
        let threads: Vec<JoinHandle<T>> = (0..width).map(spawn).collect();
        let join = |thread: JoinHandle<T>| thread.join().expect("a job panicked");
        threads.into_iter().map(join).collect()
    }
}

impl Runtime for Threads {
    type Model = Threads;

    fn start(_: &Settings) -> io::Result<Self> {
        Ok(Threads)
    }

    fn model(&self) -> Threads {
        Threads
    }

    fn root<F>(&self, root: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let thread = thread::Builder::new().spawn(move || now(root));
        thread.expect("a thread for the root").join().expect("the root panicked")
    }

    fn outside<F>(
        &self,
        jobs: usize,
        job: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
    ) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Blocking::gather(*self, jobs, move |index| now(job(index)))
    }

    fn serve<F>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(Plain<TcpStream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        serve_std(bound, |stream| {
            thread::Builder::new().spawn(move || now(connection(stream)))?;
            Ok(())
        })
    }
}
