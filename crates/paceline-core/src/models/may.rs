//! `may`: stackful coroutines, whose operations look like the blocking ones.
//!
//! Its scheduler is global and cannot be stopped.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use may::{
    coroutine,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{
    Driver, Entry, Family, ModelInfo, NO_CANCEL, NO_FUTURE, NO_POOL, Task, Unsupported,
    trust::spawn_coroutine,
};
use crate::{
    job::mix,
    model::{
        BACKLOG, Blocking, Maker, Plain, Runtime, Settings, Spawnable, accept_each, now,
        own_address, partner_left,
    },
};

pub(super) const ENTRY: Entry = Entry::new::<May>(ModelInfo {
    name: "may",
    family: Family::Coroutines,
    package: Some("may"),
    note: "stackful coroutines, 32 KiB of stack each and workers pinned, as are its defaults; channels are unbounded, \
           for it has no others; offload runs inline, for it has no bridge; a job that slept continues on the \
           timer's thread, which is one more than `workers`",
    more_threads: 1,
    task: Task::Stack,
    timers: Driver::Readiness,
    sockets: Driver::Readiness,
    leaves: None,
    unsupported: &[NO_FUTURE, NO_CANCEL, NO_ROOM, NO_PARK, NO_POOL],
    unreliable: Some(
        "in optimised builds its connections fail now and then with the error of another call (os error 115): it reads \
         errno at the address of the thread that the coroutine was on before a switch",
    ),
    ..ModelInfo::DEFAULT
});

/// Rooms are refused, because a hang would use up the budget of every run without showing anything new.
const NO_ROOM: Unsupported = Unsupported {
    step: "connect.room",
    why: "in optimised builds its jobs hang in rooms (chat at 10 in 4 of 4 runs), by the same defect by which its \
          connections fail",
};

/// Why its jobs cannot park.
const NO_PARK: Unsupported = Unsupported {
    step: "park",
    why: "models whose jobs are calls park on a condition variable of std, which would hold a worker for each coroutine",
};

/// may's default, in words; unoptimised code needs more.
const STACK_WORDS: usize = if cfg!(debug_assertions) { 0x8000 } else { 0x1000 };

/// The scheduler of this process.
#[derive(Clone, Copy)]
struct May;

impl Runtime for May {
    type Model = May;

    fn start(settings: &Settings) -> io::Result<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let before = STARTED.swap(settings.workers, Ordering::SeqCst);
        if before != 0 && before != settings.workers {
            return Err(io::Error::other(format!(
                "may runs in this process already, with {before} workers"
            )));
        }
        may::config().set_workers(settings.workers).set_stack_size(STACK_WORDS);
        spawn_coroutine(|| ())?.join().map_err(|_| io::Error::other("may did not start"))?;
        Ok(May)
    }

    fn model(&self) -> May {
        May
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        let root = spawn_coroutine(move || now(root)).expect("a coroutine for the root");
        root.join().expect("the root panicked")
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(Plain<TcpStream>) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        self.root(async move {
            let listener = TcpListener::bind(own_address()?)?;
            rustix::net::listen(listener.inner(), BACKLOG)?;
            bound(listener.local_addr()?);
            accept_each!(accept(&listener), |stream| {
                spawn_coroutine(move || now(connection(Plain(stream))))?;
            })
        })
    }
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Blocking for May {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) {
        coroutine::sleep(duration);
    }

    fn yield_now(self) {
        coroutine::yield_now();
    }

    fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn hop(self, times: u64, mut message: u64) -> io::Result<u64> {
        let ((to, inbox), (back, replies)) = (mpsc::channel(), mpsc::channel());
        let partner =
            spawn_coroutine(move || inbox.iter().try_for_each(|message| back.send(mix(message))))?;
        for _ in 0..times {
            to.send(message).map_err(|_| partner_left())?;
            message = replies.recv().map_err(|_| partner_left())?;
        }
        drop(to);
        let _ = partner.join();
        Ok(message)
    }

    fn gather<T: Send + 'static>(self, width: usize, child: impl Maker<T>) -> Vec<T> {
        let spawn = |index| {
            spawn_coroutine(move || child(index)).unwrap_or_else(|error| {
                panic!("cannot start coroutine {} of {width}: {error}", index + 1)
            })
        };
        let children: Vec<_> = (0..width).map(spawn).collect();
        children.into_iter().map(|child| child.join().expect("a job panicked")).collect()
    }
}
