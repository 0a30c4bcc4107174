//! `threads`: an OS thread for each job, child and partner.

use std::{
    convert::Infallible,
    io,
    marker::PhantomData,
    net::{SocketAddr, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Entry, ModelInfo, NO_CANCEL, NO_FUTURE, Task, Width};
use crate::{
    model::{Blocking, Maker, Plain, Runtime, Settings, Spawnable, connect_std, now, serve_std},
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

/// One thread per job, whose jobs sleep by `S`.
#[derive(Clone, Copy)]
pub struct Threads<S = StdSleep>(PhantomData<S>);

/// How jobs sleep. Public for models that are `threads` with a planted fault.
pub trait Sleep: Copy + Send + Sync + 'static {
    /// See [`Model::sleep`](crate::model::Model::sleep).
    fn sleep(duration: Duration) {
        thread::sleep(duration);
    }
}

/// `thread::sleep`.
#[derive(Clone, Copy)]
pub struct StdSleep;

impl Sleep for StdSleep {}

impl<S: Sleep> Blocking for Threads<S> {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) {
        S::sleep(duration);
    }

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect_std(address)
    }

    fn gather<T: Send + 'static>(self, width: usize, child: impl Maker<T>) -> Vec<T> {
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

impl<S: Sleep> Runtime for Threads<S> {
    type Model = Self;

    fn start(_: &Settings) -> io::Result<Self> {
        Ok(Threads(PhantomData))
    }

    fn model(&self) -> Self {
        *self
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        let thread = thread::Builder::new().spawn(move || now(root));
        thread.expect("a thread for the root").join().expect("the root panicked")
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(Plain<TcpStream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        serve_std(bound, |stream| {
            thread::Builder::new().spawn(move || now(connection(stream)))?;
            Ok(())
        })
    }
}
