//! Runs any model as an HTTP server whose handler is a job: how it handles a connection.

use std::{
    convert::Infallible,
    fmt::{self, Write},
    io, mem,
    net::SocketAddr,
};

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    All, Mixed, Offloads, Partners, Sockets, StoragePolicy, Timers,
    batch::call,
    perform,
    request::{Asks, Refusal, Request, Then, read},
};
use crate::{
    job::{Jobs, Receipt, Waits},
    model::{Maker, Model, Runtime, Spawnable, Stream, token},
};

/// The number of bytes read from a connection at a time.
const CHUNK: usize = 4 << 10;

/// Serves `jobs` on `runtime`; see [`Runtime::serve`].
pub(super) fn serve<R: Runtime>(
    runtime: &R,
    jobs: Jobs,
    bound: Box<dyn FnOnce(SocketAddr) + Send>,
) -> io::Result<Infallible> {
    let model = runtime.model();
    let serve = match jobs.waits() {
        Waits::Nothing => {
            each(move |index| call(jobs.steps(index), Jobs::seed(index), index as u32))
        }
        _ if R::Model::BLOCKS => of_kind::<_, All>(model, jobs),
        Waits::Timers => of_kind::<_, Timers>(model, jobs),
        Waits::Sockets => of_kind::<_, Sockets>(model, jobs),
        Waits::Partners => of_kind::<_, Partners>(model, jobs),
        Waits::Offloads => of_kind::<_, Offloads>(model, jobs),
        Waits::Mixed => of_kind::<_, Mixed>(model, jobs),
    };
    runtime.serve(bound, serve)
}

/// Serves a connection. Of one type for all kinds of jobs, so that the server of a model is compiled once: that costs an
/// allocation for each connection.
type Serve<S> = &'static (dyn Fn(S) -> BoxFuture<'static, ()> + Send + Sync);

fn of_kind<M: Model, K: StoragePolicy>(model: M, jobs: Jobs) -> Serve<M::Stream> {
    each(move |index| perform::<M, K>(model, jobs.steps(index), Jobs::seed(index), index as u32))
}

/// Leaks what it returns, because a server ends with its process.
fn each<S: Stream + 'static, F: Spawnable<Output = io::Result<Receipt>>>(
    job: impl Maker<F>,
) -> Serve<S> {
    Box::leak(Box::new(move |stream| connection(stream, job).boxed()))
}

/// Answers the requests of a connection in order until either side closes it. `job` runs the job with the given index.
///
/// The kind of the job determines only this loop: what is around the jobs is compiled once for each type of stream.
pub(crate) fn connection<S: Stream + 'static, F: Spawnable<Output = io::Result<Receipt>>>(
    stream: S,
    job: impl Maker<F>,
) -> impl Future<Output = ()> + Send + 'static {
    // Captured rather than declared inside, as in `perform`.
    let mut connection = Connection {
        stream,
        input: vec![0; CHUNK],
        pending: Pending::default(),
        output: Output::default(),
        request: None,
    };
    async move {
        if !connection.shows_the_token().await {
            return;
        }
        while let Some(index) = connection.next_job().await {
            let ended = job(index as usize).await;
            if !connection.answer(ended).await {
                return;
            }
        }
    }
}

/// A connection of a client.
struct Connection<S> {
    stream: S,
    input: Vec<u8>,
    pending: Pending,
    output: Output,
    /// The request in progress. Here rather than in each future that needs it, where it would be stored twice.
    request: Option<Request>,
}

impl<S: Stream> Connection<S> {
    /// Between nodes, a connection without the token gets no answer.
    async fn shows_the_token(&mut self) -> bool {
        while !self.pending.took(token()) {
            if !token().starts_with(self.pending.rest()) || !self.read().await {
                return false;
            }
        }
        true
    }

    /// Returns the index of the job that the next request is for. Answers requests for anything else. Returns `None` once
    /// the connection has ended: cleanly or not, there is nobody to report to.
    async fn next_job(&mut self) -> Option<u32> {
        loop {
            let request = match read(self.pending.rest()) {
                Ok(Some(request)) => request,
                Ok(None) if self.read().await => continue,
                Ok(None) => return None,
                Err(refusal) => {
                    self.output.refuse(refusal);
                    self.send().await;
                    return None;
                }
            };
            self.request = Some(request);
            self.pending.take(request.head);
            let mut unread = self.pending.skip(request.body);
            if unread > 0 && request.expects {
                self.output.go_on();
                if !self.send().await {
                    return None;
                }
            }
            while unread > 0 {
                if !self.read().await {
                    return None;
                }
                unread = self.pending.skip(unread);
            }
            let request = self.request?;
            let (status, body) = match request.asks {
                Asks::Job(index) => return Some(index),
                Asks::Missing => ("404 Not Found", "a path is / or the index of a job, such as /7"),
                Asks::Method => (
                    "405 Method Not Allowed\r\nallow: GET, HEAD, POST, PUT",
                    "the methods are GET, HEAD, POST and PUT",
                ),
            };
            self.output.respond(request, status, format_args!("{body}"));
            if !self.send().await || self.closes() {
                return None;
            }
        }
    }

    /// Answers the request with the result of its job. Returns whether the connection stays open.
    async fn answer(&mut self, ended: io::Result<Receipt>) -> bool {
        let Some(request) = self.request else { return false };
        match ended {
            Ok(receipt) => self.output.respond(request, "200 OK", format_args!("{receipt}")),
            Err(error) => {
                let status = "500 Internal Server Error";
                self.output.respond(request, status, format_args!("{error}"));
            }
        }
        self.send().await && !self.closes()
    }

    /// Returns whether the request was the last of the connection.
    fn closes(&self) -> bool {
        self.request.is_none_or(|request| request.then == Then::Close)
    }

    /// Reads what has arrived. Returns whether anything did before the client closed the connection.
    async fn read(&mut self) -> bool {
        match self.stream.read(mem::take(&mut self.input)).await {
            Ok((buffer, count)) => {
                self.pending.add(&buffer[..count]);
                self.input = buffer;
                count > 0
            }
            Err(_) => false,
        }
    }

    /// Sends the output. Returns whether the connection is still open.
    async fn send(&mut self) -> bool {
        match self.stream.send(mem::take(&mut self.output.bytes)).await {
            Ok(buffer) => {
                self.output.bytes = buffer;
                true
            }
            Err(_) => false,
        }
    }
}

/// Bytes that were read and not yet processed.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    taken: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn add(&mut self, more: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(more);
    }

    /// Takes `start` if it is there.
    fn took(&mut self, start: &[u8]) -> bool {
        let is_there = self.rest().starts_with(start);
        self.take(if is_there { start.len() } else { 0 });
        is_there
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
    }

    /// Drops up to `count` bytes, and returns how many of them are still to come.
    fn skip(&mut self, count: u64) -> u64 {
        let here = count.min(self.rest().len() as u64);
        self.take(here as usize);
        count - here
    }
}

/// A response, in buffers that are reused for the next.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    body: String,
}

impl Output {
    fn respond(&mut self, request: Request, status: &str, body: fmt::Arguments) {
        let connection = match request.then {
            Then::Stay => "",
            Then::StayAsAsked => "connection: keep-alive\r\n",
            Then::Close => "connection: close\r\n",
        };
        self.write(status, connection, body, request.bodiless);
    }

    fn refuse(&mut self, refusal: Refusal) {
        let why = format_args!("{}", refusal.why);
        self.write(refusal.status, "connection: close\r\n", why, false);
    }

    fn go_on(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    fn write(&mut self, status: &str, connection: &str, body: fmt::Arguments, bodiless: bool) {
        const CANNOT: &str = "memory takes what is written to it";
        use io::Write as _;
        self.body.clear();
        writeln!(self.body, "{body}").expect(CANNOT);
        self.bytes.clear();
        let length = self.body.len();
        write!(
            self.bytes,
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n{connection}\r\n"
        )
        .expect(CANNOT);
        if !bodiless {
            self.bytes.extend_from_slice(self.body.as_bytes());
        }
    }
}
