//! The plain programs of tokio: its two runtimes, a current-thread runtime for each core, and one with a rayon pool.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{sync::OnceLock, time::Duration};

use common::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::{spawn, spawn_blocking, yield_now},
    time::sleep,
};

borrowing!(TcpStream, [async], [.await]);
hop!(spawn, mpsc::channel(1), Some);
gather!([Send+], spawn, Result::unwrap);

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    spawn_blocking(work).await.unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn several_threads(plan: &Plan) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(plan.workers).enable_all().build().expect("a runtime")
}

fn multi_thread(plan: &Plan) {
    let runtime = several_threads(plan);
    works!(plan, [async move], [.await], |job| plan.repeat(|| {
        runtime.block_on(runtime.spawn(batch!(plan, job))).expect("the batch panicked")
    }));
}

fn beside_rayon(plan: &Plan) {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
        let (give, output) = oneshot::channel();
        POOL.get().expect("started first").spawn(move || {
            let _ = give.send(work());
        });
        output.await.unwrap()
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(plan.workers).build().expect("a pool");
    POOL.set(pool).expect("set once");
    let runtime = several_threads(plan);
    works!(plan, [async move], [.await], |job| plan.repeat(|| {
        runtime.block_on(runtime.spawn(batch!(plan, job))).expect("the batch panicked")
    }));
}

fn current_thread(plan: &Plan) {
    let runtime = one_thread();
    works!(plan, [async move], [.await], |job| plan.repeat(|| runtime.block_on(batch!(plan, job))));
}

fn per_core(plan: &Plan) {
    works!(plan, [async move], [.await], |job| {
        dealt!(plan, job, |main| one_thread().block_on(main))
    });
}

fn main() {
    let plan = Plan::told();
    match &*plan.model {
        "tokio" => multi_thread(&plan),
        "tokio+rayon" => beside_rayon(&plan),
        "tokio-current-thread" => current_thread(&plan),
        "tokio-per-core" => per_core(&plan),
        other => panic!("nobody wrote {other}"),
    }
}
