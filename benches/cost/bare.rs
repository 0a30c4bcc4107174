//! What a good engineer would write by hand for the same work, on each runtime: no interpreter, no receipts, no dispatch.

use std::{
    hint::black_box,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::Range,
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

#[cfg(target_os = "linux")]
use compio::io::{AsyncReadExt as _, AsyncWriteExt as _};
#[cfg(target_os = "linux")]
use monoio::io::{AsyncReadRentExt as _, AsyncWriteRentExt as _};
use paceline_core::{
    clock::now,
    job::{Jobs, compute, mix},
};
use rayon::prelude::*;
use smol::{
    channel::{Receiver, unbounded},
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::{Builder, Runtime},
};

use super::Work;

/// The size of a message, and how many a job exchanges.
const BYTES: usize = 100;
const TIMES: usize = 16;

/// Where the echo server listens.
pub(crate) static SERVERS: OnceLock<Vec<SocketAddr>> = OnceLock::new();

/// What one child does: so many batches of so many jobs.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) work: Work,
    pub(crate) workers: usize,
    pub(crate) jobs: usize,
    pub(crate) batches: usize,
}

impl Plan {
    /// Repeats `batch`, which times itself.
    fn repeat(self, mut batch: impl FnMut() -> (Duration, Vec<u64>)) -> Vec<Duration> {
        let one = |_| {
            let (elapsed, outputs) = batch();
            assert_eq!(black_box(outputs).len(), self.jobs);
            elapsed
        };
        (0..self.batches).map(one).collect()
    }

    /// Repeats a batch that is spread over threads with a runtime each. `serve` is what such a thread does: it says
    /// that it is ready by empty outputs, and then does its share whenever it is told to.
    fn dealt(
        self,
        serve: impl Fn(Receiver<()>, mpsc::Sender<Vec<u64>>, Range<usize>) + Copy + Send + 'static,
    ) -> Vec<Duration> {
        let (mut tell, mut shares, mut threads) = (vec![], vec![], vec![]);
        for worker in 0..self.workers {
            let ((go, told), (give, share)) = (unbounded(), mpsc::channel());
            let bound = |worker| self.jobs * worker / self.workers;
            let range = bound(worker)..bound(worker + 1);
            threads.push(thread::spawn(move || serve(told, give, range)));
            share.recv().expect("a worker did not start");
            tell.push(go);
            shares.push(share);
        }
        let times = self.repeat(|| {
            let start = now();
            for go in &tell {
                go.try_send(()).expect("a worker ended early");
            }
            let mut outputs = Vec::with_capacity(self.jobs);
            for share in &shares {
                outputs.extend(share.recv().expect("a worker ended early"));
            }
            (now() - start, outputs)
        });
        drop(tell);
        for thread in threads {
            thread.join().expect("a worker panicked");
        }
        times
    }
}

/// The address that the suite's job `index` connects to, too.
fn server(index: usize) -> SocketAddr {
    let servers = SERVERS.get().expect("they are set first");
    servers[Jobs::seed(index) as usize % servers.len()]
}

fn head(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("messages hold at least 8 bytes"))
}

/// Evaluates `$batches` with the work as `$job`, a function whose body is of the kind `$kind`: plain, or `async move`.
macro_rules! jobs {
    ($plan:expr, {$($kind:tt)*}, $duration:ident => $sleep:expr, $index:ident => $exchange:expr, |$job:ident| $batches:expr) => {
        match $plan.work {
            Work::Empty => {
                let $job = |index: usize| $($kind)* { index as u64 };
                $batches
            }
            Work::Compute(n) => {
                let $job = move |index: usize| $($kind)* { compute(index as u64, n) };
                $batches
            }
            Work::Sleep($duration) => {
                let $job = move |index: usize| $($kind)* { $sleep; index as u64 };
                $batches
            }
            Work::Exchange => {
                let $job = |$index: usize| $($kind)* { $exchange.expect("an exchange failed") };
                $batches
            }
        }
    };
}

/// The work of a model whose jobs are plain functions.
macro_rules! plain_jobs {
    ($plan:expr, |$job:ident| $batches:expr) => {
        jobs!($plan, {}, d => thread::sleep(d), i => exchange!(TcpStream, {}, [])(i), |$job| $batches)
    };
}

/// The work of a model whose jobs are futures.
macro_rules! async_jobs {
    ($plan:expr, $sleep:expr, $exchange:expr, |$job:ident| $batches:expr) => {
        jobs!($plan, { async move }, d => $sleep(d).await, i => $exchange(i).await, |$job| $batches)
    };
}

/// Spawns the jobs of a range and waits for all: their outputs.
macro_rules! gather {
    ($range:expr, $job:expr, $spawn:expr, $join:expr) => {{
        let range: Range<usize> = $range;
        let mut outputs: Vec<u64> = Vec::with_capacity(range.len());
        let tasks: Vec<_> = range.map(|index| $spawn($job(index))).collect();
        for task in tasks {
            outputs.push($join(task.await));
        }
        outputs
    }};
}

/// A root task that gathers the jobs and times that.
macro_rules! root {
    ($plan:expr, $job:expr, $spawn:expr, $join:expr) => {{
        let (jobs, job) = ($plan.jobs, $job);
        async move {
            let start = now();
            let outputs = gather!(0..jobs, job, $spawn, $join);
            (now() - start, outputs)
        }
    }};
}

/// What the thread of one core does, its runtime made by `$runtime` and driven by `$run`.
macro_rules! serve {
    ($plan:expr, $job:expr, $runtime:expr, $run:ident, $spawn:expr, $join:expr) => {{
        let job = $job;
        $plan.dealt(move |told, give, range| {
            $runtime.$run(async move {
                let _ = give.send(Vec::new());
                while told.recv().await.is_ok() {
                    let _ = give.send(gather!(range.clone(), job, $spawn, $join));
                }
            });
        })
    }};
}

/// An exchange over a stream that borrows its buffers, waited for by `$wait`: nothing, or `.await`.
macro_rules! exchange {
    ($stream:ty, {$($kind:tt)*}, [$($wait:tt)*]) => {
        |index: usize| $($kind)* {
            let mut stream = <$stream>::connect(server(index)) $($wait)* ?;
            stream.set_nodelay(true)?;
            let (mut message, mut value) = (vec![0xA5; BYTES], index as u64);
            for _ in 0..TIMES {
                message[..8].copy_from_slice(&value.to_le_bytes());
                stream.write_all(&message) $($wait)* ?;
                stream.read_exact(&mut message) $($wait)* ?;
                value = mix(head(&message));
            }
            io::Result::Ok(value)
        }
    };
    ($stream:ty) => {
        exchange!($stream, { async move }, [.await])
    };
}

/// An exchange over a stream that takes its buffers and gives them back.
#[cfg(target_os = "linux")]
macro_rules! exchange_owned {
    ($connect:expr) => {
        |index: usize| async move {
            let mut stream = $connect(server(index)).await?;
            stream.set_nodelay(true)?;
            let (mut message, mut value) = (vec![0xA5; BYTES], index as u64);
            for _ in 0..TIMES {
                message[..8].copy_from_slice(&value.to_le_bytes());
                let sent = stream.write_all(message).await;
                sent.0?;
                let received = stream.read_exact(sent.1).await;
                received.0?;
                message = received.1;
                value = mix(head(&message));
            }
            io::Result::Ok(value)
        }
    };
}

/// Times each batch of `plan` on `model`.
pub(crate) fn run(model: &str, plan: Plan) -> Vec<Duration> {
    match model {
        "sequential" => sequential(plan),
        "threads" => threads(plan),
        "rayon" => rayon(plan),
        "tokio" => tokio(plan),
        "tokio-current-thread" => tokio_current_thread(plan),
        "tokio-per-core" => tokio_per_core(plan),
        "smol" => smol(plan),
        "async-std" => async_std(plan),
        #[cfg(target_os = "linux")]
        "compio" => compio(plan),
        #[cfg(target_os = "linux")]
        "monoio" => monoio(plan),
        #[cfg(target_os = "linux")]
        "glommio" => glommio(plan),
        other => unreachable!("{other} is not written by hand"),
    }
}

fn sequential(plan: Plan) -> Vec<Duration> {
    plain_jobs!(plan, |job| plan.repeat(|| {
        let start = now();
        let outputs = (0..plan.jobs).map(job).collect();
        (now() - start, outputs)
    }))
}

fn threads(plan: Plan) -> Vec<Duration> {
    plain_jobs!(plan, |job| plan.repeat(|| {
        let start = now();
        let spawn = |index| thread::spawn(move || job(index));
        let threads: Vec<_> = (0..plan.jobs).map(spawn).collect();
        let join = |thread: thread::JoinHandle<u64>| thread.join().expect("a job panicked");
        let outputs = threads.into_iter().map(join).collect();
        (now() - start, outputs)
    }))
}

fn rayon(plan: Plan) -> Vec<Duration> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(plan.workers).build();
    let pool = pool.expect("a pool");
    plain_jobs!(plan, |job| plan.repeat(|| pool.install(|| {
        let start = now();
        let outputs = (0..plan.jobs).into_par_iter().map(job).collect();
        (now() - start, outputs)
    })))
}

fn tokio(plan: Plan) -> Vec<Duration> {
    let runtime = Builder::new_multi_thread().worker_threads(plan.workers).enable_all().build();
    let runtime = runtime.expect("a runtime");
    async_jobs!(plan, tokio::time::sleep, exchange!(tokio::net::TcpStream), |job| {
        plan.repeat(|| {
            let root = runtime.spawn(root!(plan, job, tokio::spawn, Result::unwrap));
            runtime.block_on(root).expect("the root panicked")
        })
    })
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn tokio_current_thread(plan: Plan) -> Vec<Duration> {
    let runtime = current_thread();
    async_jobs!(plan, tokio::time::sleep, exchange!(tokio::net::TcpStream), |job| {
        plan.repeat(|| runtime.block_on(root!(plan, job, tokio::spawn, Result::unwrap)))
    })
}

fn tokio_per_core(plan: Plan) -> Vec<Duration> {
    async_jobs!(plan, tokio::time::sleep, exchange!(tokio::net::TcpStream), |job| {
        serve!(plan, job, current_thread(), block_on, tokio::spawn, Result::unwrap)
    })
}

fn smol(plan: Plan) -> Vec<Duration> {
    let executor: &'static smol::Executor<'static> = Box::leak(Box::default());
    for _ in 0..plan.workers {
        thread::spawn(|| smol::block_on(executor.run(std::future::pending::<()>())));
    }
    async_jobs!(plan, smol::Timer::after, exchange!(smol::net::TcpStream), |job| plan.repeat(
        || {
            let (give, output) = mpsc::sync_channel(1);
            let root = root!(plan, job, |task| executor.spawn(task), |output| output);
            executor.spawn(async move { drop(give.send(root.await)) }).detach();
            output.recv().expect("the root panicked")
        }
    ))
}

fn async_std(plan: Plan) -> Vec<Duration> {
    use async_std::{net::TcpStream, task};
    async_jobs!(plan, task::sleep, exchange!(TcpStream), |job| plan.repeat(|| {
        let (give, output) = mpsc::sync_channel(1);
        let root = root!(plan, job, task::spawn, |output| output);
        task::spawn(async move { drop(give.send(root.await)) });
        output.recv().expect("the root panicked")
    }))
}

#[cfg(target_os = "linux")]
fn compio(plan: Plan) -> Vec<Duration> {
    use compio::{net::TcpStream, runtime, time};
    let runtime = || runtime::Runtime::new().expect("a runtime");
    async_jobs!(plan, time::sleep, exchange_owned!(TcpStream::connect), |job| {
        serve!(plan, job, runtime(), block_on, runtime::spawn, Result::unwrap)
    })
}

#[cfg(target_os = "linux")]
fn monoio(plan: Plan) -> Vec<Duration> {
    use monoio::{IoUringDriver, RuntimeBuilder, net::TcpStream, time};
    let runtime =
        || RuntimeBuilder::<IoUringDriver>::new().enable_timer().build().expect("a runtime");
    async_jobs!(plan, time::sleep, exchange_owned!(TcpStream::connect_addr), |job| {
        serve!(plan, job, runtime(), block_on, monoio::spawn, |output| output)
    })
}

#[cfg(target_os = "linux")]
fn glommio(plan: Plan) -> Vec<Duration> {
    use glommio::{LocalExecutorBuilder, Placement, net::TcpStream, spawn_local, timer};
    let executor = || LocalExecutorBuilder::new(Placement::Unbound).make().expect("an executor");
    async_jobs!(plan, timer::sleep, exchange!(TcpStream), |job| {
        serve!(plan, job, executor(), run, spawn_local, |output| output)
    })
}
