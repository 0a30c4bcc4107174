//! `sequential`: one job after another on the caller's thread. The baseline in every chart; it also runs the steps of
//! an `offload`.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
};

use crate::{
    model::{Blocking, Maker, Plain, Runtime, Settings, Spawnable, connect_std, now, serve_std},
    models::{Entry, Family, ModelInfo, NO_FUTURE, Tag, Unsupported, Width},
    perform::Placement,
};

pub(super) const ENTRY: Entry = Entry::new::<Sequential>(ModelInfo {
    name: "sequential",
    family: Family::Threads,
    package: None,
    tag: Tag::Idiomatic,
    note: "one job after another on the calling thread; as a server, one connection after another",
    placements: &[Placement::Outside],
    width: Width::One,
    unsupported: &[
        Unsupported {
            step: "hop",
            why: "a sequential program has no partner to pass a message to",
        },
        NO_FUTURE,
    ],
    ..ModelInfo::DEFAULT
});

/// The caller's thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequential;

impl Blocking for Sequential {
    type Stream = TcpStream;

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect_std(address)
    }

    fn gather<T: Send + 'static>(self, width: usize, child: impl Maker<T>) -> Vec<T> {
        (0..width).map(child).collect()
    }
}

impl Runtime for Sequential {
    type Model = Sequential;

    fn start(_: &Settings) -> io::Result<Self> {
        Ok(Sequential)
    }

    fn model(&self) -> Sequential {
        Sequential
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        now(root)
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(Plain<TcpStream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        serve_std(bound, |stream| {
            now(connection(stream));
            Ok(())
        })
    }
}
