//! The plain programs of smol: an executor on several threads, and a local one for each core.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{sync::mpsc, thread, time::Duration};

use common::*;
use smol::{
    Executor, LocalExecutor, Task, Timer, channel as async_channel,
    future::yield_now,
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

borrowing!(TcpStream, [async], [.await]);

fn sleep(duration: Duration) -> Timer {
    Timer::after(duration)
}

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    smol::unblock(work).await
}

fn shared(plan: &Plan) {
    static EXECUTOR: Executor<'static> = Executor::new();
    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        EXECUTOR.spawn(task)
    }
    hop!(spawn, smol::channel::bounded(1), Ok);
    gather!([Send+], spawn, std::convert::identity);
    for _ in 0..plan.workers {
        thread::spawn(|| smol::block_on(EXECUTOR.run(std::future::pending::<()>())));
    }
    works!(plan, [async move], [.await], |job| plan.repeat(|| {
        let (give, output) = mpsc::sync_channel(1);
        let batch = batch!(plan, job);
        spawn(async move { drop(give.send(batch.await)) }).detach();
        output.recv().expect("the batch panicked")
    }));
}

fn per_core(plan: &Plan) {
    thread_local! {
        static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
    }
    fn spawn<T: 'static>(task: impl Future<Output = T> + 'static) -> Task<T> {
        EXECUTOR.with(|executor| executor.spawn(task))
    }
    hop!(spawn, smol::channel::bounded(1), Ok);
    gather!([], spawn, std::convert::identity);
    works!(plan, [async move], [.await], |job| {
        dealt!(plan, job, |main| EXECUTOR.with(|executor| smol::block_on(executor.run(main))))
    });
}

fn main() {
    let plan = Plan::told();
    match &*plan.model {
        "smol" => shared(&plan),
        "smol-per-core" => per_core(&plan),
        other => panic!("nobody wrote {other}"),
    }
}
