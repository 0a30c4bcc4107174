//! The plain program of tokio-uring: a runtime for each core, with its sockets and otherwise tokio.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::time::Duration;

use common::*;
use tokio::{
    sync::mpsc,
    task::{spawn_blocking, yield_now},
    time::sleep,
};
use tokio_uring::{Runtime, buf::BoundedBuf, net::TcpStream, spawn};

hop!(spawn, mpsc::channel(1), Some);
gather!([], spawn, Result::unwrap);

async fn connect(index: u64) -> TcpStream {
    let stream = TcpStream::connect(server(index)).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// Reads an exact number of bytes: the runtime has no such function.
async fn exchange(stream: &mut TcpStream, times: u64, mut value: u64) -> u64 {
    let mut message = vec![0xA5; BYTES];
    for _ in 0..times {
        message[..8].copy_from_slice(&value.to_le_bytes());
        let (sent, back) = stream.write_all(message).await;
        sent.expect("to send");
        message = back;
        let mut filled = 0;
        while filled < BYTES {
            let (read, slice) = stream.read(message.slice(filled..)).await;
            message = slice.into_inner();
            match read.expect("to receive") {
                0 => panic!("the server left"),
                read => filled += read,
            }
        }
        value = mix(head(&message));
    }
    value
}

async fn offload(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    spawn_blocking(work).await.unwrap()
}

fn main() {
    let plan = &Plan::told();
    works!(plan, [async move], [.await], |job| {
        dealt!(plan, job, |main| {
            Runtime::new(&tokio_uring::builder()).expect("a runtime").block_on(main);
        })
    });
}
