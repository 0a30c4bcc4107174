//! Three synthetic models: `threads` with one known cost more in each sleep, a delay, CPU time or memory.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use paceline_core::{
    model::{Blocking, Runtime, Settings},
    models::{Entry, ModelInfo, Task, Threads, Width},
    perform::Placement,
};

/// What a sleep of `planted-delay` takes longer.
pub(crate) const DELAY: Duration = Duration::from_millis(10);
/// The CPU time that a sleep of `planted-cpu` uses, by the clock of its thread.
pub(crate) const CPU: Duration = Duration::from_millis(5);
/// The bytes that a sleep of `planted-memory` holds.
pub(crate) const MEMORY: usize = 96 << 10;

/// `threads`, whose sleeps cost more.
#[derive(Clone, Copy)]
struct Planted<const WHAT: char>;

impl<const WHAT: char> Blocking for Planted<WHAT> {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) {
        match WHAT {
            'd' => thread::sleep(duration + DELAY),
            'c' => {
                let cpu = || {
                    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
                };
                let start = cpu();
                while cpu().saturating_sub(start) < CPU {}
                thread::sleep(duration);
            }
            'l' => thread::sleep(duration),
            _ => {
                let held = vec![1_u8; MEMORY];
                thread::sleep(duration);
                std::hint::black_box(held);
            }
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

impl<const WHAT: char> Runtime for Planted<WHAT> {
    type Model = Self;

    fn serve<F>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(<Self as paceline_core::model::Model>::Stream) -> F
        + Copy
        + Send
        + Sync
        + 'static,
    ) -> io::Result<Infallible>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Threads.serve(bound, connection)
    }

    fn start(_: &Settings) -> io::Result<Self> {
        Ok(Planted)
    }

    fn model(&self) -> Self {
        Planted
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

/// All three, and `threads` with a label that says that it has one thread.
pub(crate) static MODELS: [Entry; 4] = [
    Entry::new::<Planted<'l'>>(ModelInfo { width: Width::One, ..about("planted-label") }),
    Entry::new::<Planted<'d'>>(about("planted-delay")),
    Entry::new::<Planted<'c'>>(about("planted-cpu")),
    Entry::new::<Planted<'m'>>(about("planted-memory")),
];
