//! The plain program of monoio: a runtime for each core.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{convert::identity, time::Duration};

use common::*;
use monoio::{
    IoUringDriver, RuntimeBuilder,
    blocking::DefaultThreadPool,
    io::{AsyncReadRentExt, AsyncWriteRentExt},
    net::TcpStream,
    spawn, spawn_blocking,
    time::sleep,
};

owning!(TcpStream, TcpStream::connect_addr);
hop!(spawn, async_channel::bounded(1), Ok);
gather!([], spawn, identity);

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    spawn_blocking(work).await.unwrap_or_else(|_| panic!("the work panicked"))
}

fn main() {
    let plan = &Plan::told();
    works!(plan, [async move], [.await], |job| {
        dealt!(plan, job, |main| RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .attach_thread_pool(Box::new(DefaultThreadPool::new(1)))
            .build()
            .expect("a runtime")
            .block_on(main))
    });
}
