//! paceline with two more models, for `tests/claims.rs`: one whose process dies where a job sleeps, one whose sleeps do
//! not wait.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use paceline::cli;
use paceline_core::{
    child::spawned,
    model::{Blocking, Model, Runtime, Settings},
    models::{self, Entry, ModelInfo, Task, Threads, Width},
    perform::Placement,
};

/// `threads`, but for its sleeps.
#[derive(Clone, Copy)]
struct Frail<const DIES: bool>;

impl<const DIES: bool> Blocking for Frail<DIES> {
    type Stream = TcpStream;

    fn sleep(self, _: Duration) {
        if DIES {
            std::process::abort();
        }
    }

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        Blocking::connect(Threads, address)
    }

    fn gather<T: Send + 'static>(
        self,
        width: usize,
        child: impl Fn(usize) -> T + Copy + Send + Sync + 'static,
    ) -> Vec<T> {
        Blocking::gather(Threads, width, child)
    }
}

impl<const DIES: bool> Runtime for Frail<DIES> {
    type Model = Self;

    fn start(_: &Settings) -> io::Result<Self> {
        Ok(Frail)
    }

    fn model(&self) -> Self {
        Frail
    }

    fn root<F>(&self, root: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Threads.root(root)
    }

    fn outside<F>(
        &self,
        jobs: usize,
        job: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
    ) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Threads.outside(jobs, job)
    }

    fn serve<F>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(<Self as Model>::Stream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Threads.serve(bound, connection)
    }
}

const fn about(name: &'static str) -> ModelInfo {
    ModelInfo {
        name,
        placements: &[Placement::Outside],
        width: Width::PerTask,
        task: Task::Thread,
        ..ModelInfo::DEFAULT
    }
}

static FRAIL: [Entry; 2] =
    [Entry::new::<Frail<true>>(about("dies")), Entry::new::<Frail<false>>(about("early"))];

fn main() -> ExitCode {
    models::add(&FRAIL);
    spawned();
    cli::main()
}
