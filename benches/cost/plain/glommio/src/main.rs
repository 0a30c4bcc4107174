//! The plain program of glommio: an executor for each core.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{convert::identity, time::Duration};

use common::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::yield_now};
use glommio::{
    LocalExecutorBuilder, Placement, channels::local_channel, net::TcpStream, spawn_local,
    timer::sleep,
};

borrowing!(TcpStream, [async], [.await]);
hop!(spawn_local, local_channel::new_bounded(1), Some);
gather!([], spawn_local, identity);

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    glommio::executor().spawn_blocking(work).await
}

fn main() {
    let plan = &Plan::told();
    works!(plan, [async move], [.await], |job| {
        dealt!(plan, job, |main| LocalExecutorBuilder::new(Placement::Unbound)
            .make()
            .expect("an executor")
            .run(main))
    });
}
