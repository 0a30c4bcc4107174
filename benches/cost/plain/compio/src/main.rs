//! The plain program of compio: a runtime for each core.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::time::Duration;

use common::*;
use compio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Runtime, spawn, spawn_blocking},
    time::sleep,
};

owning!(TcpStream, TcpStream::connect);
hop!(spawn, async_channel::bounded(1), Ok);
gather!([], spawn, Result::unwrap);

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    spawn_blocking(work).await.unwrap()
}

fn main() {
    let plan = &Plan::told();
    works!(plan, [async move], [.await], |job| {
        dealt!(plan, job, |main| Runtime::new().expect("a runtime").block_on(main))
    });
}
