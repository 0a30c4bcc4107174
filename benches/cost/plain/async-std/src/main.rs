//! The plain program of async-std: its global executor, whose width ASYNC_STD_THREAD_COUNT sets.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{convert::identity, sync::mpsc, time::Duration};

use async_std::{
    channel,
    io::{ReadExt, WriteExt},
    net::TcpStream,
    task::{sleep, spawn, spawn_blocking, yield_now},
};
use common::*;

borrowing!(TcpStream, [async], [.await]);
hop!(spawn, channel::bounded(1), Ok);
gather!([Send+], spawn, identity);

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    spawn_blocking(work).await
}

fn main() {
    let plan = &Plan::told();
    works!(plan, [async move], [.await], |job| plan.repeat(|| {
        let (give, output) = mpsc::sync_channel(1);
        let batch = batch!(plan, job);
        spawn(async move { drop(give.send(batch.await)) });
        output.recv().expect("the batch panicked")
    }));
}
