//! Runs any model as an HTTP server whose handler is a job: how it handles a connection.

use std::{
    convert::Infallible,
    fmt::{self, Write},
    io,
    net::SocketAddr,
};

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    All, Mixed, Partners, Sockets, StoragePolicy, Timers,
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
pub(crate) fn connection<S: Stream + 'static, F: Spawnable<Output = io::Result<Receipt>>>(
    mut stream: S,
    job: impl Maker<F>,
) -> impl Future<Output = ()> + Send + 'static {
    // Captured rather than declared inside, as in `perform`.
    let mut input = vec![0; CHUNK];
    let mut pending = Pending::default();
    let mut output = Output::default();
    async move {
        // Between nodes, a connection without the token gets no answer.
        while !pending.took(token()) {
            if !token().starts_with(pending.rest()) {
                return;
            }
            match stream.read(input).await {
                Ok((buffer, count @ 1..)) => {
                    pending.add(&buffer[..count]);
                    input = buffer;
                }
                Ok(_) | Err(_) => return,
            }
        }
        loop {
            let request = match read(pending.rest()) {
                Ok(Some(request)) => request,
                Ok(None) => match stream.read(input).await {
                    Ok((buffer, count @ 1..)) => {
                        pending.add(&buffer[..count]);
                        input = buffer;
                        continue;
                    }
                    // The client closed the connection, cleanly or not, so there is nobody to report to.
                    Ok(_) | Err(_) => return,
                },
                Err(refusal) => {
                    output.refuse(refusal);
                    let _ = stream.send(output.bytes).await;
                    return;
                }
            };
            pending.take(request.head);
            let mut unread = pending.skip(request.body);
            if unread > 0 && request.expects {
                output.go_on();
                match stream.send(output.bytes).await {
                    Ok(buffer) => output.bytes = buffer,
                    Err(_) => return,
                }
            }
            while unread > 0 {
                match stream.read(input).await {
                    Ok((buffer, count @ 1..)) => {
                        pending.add(&buffer[..count]);
                        unread = pending.skip(unread);
                        input = buffer;
                    }
                    Ok(_) | Err(_) => return,
                }
            }
            match request.asks {
                Asks::Job(index) => match job(index as usize).await {
                    Ok(receipt) => output.respond(request, "200 OK", format_args!("{receipt}")),
                    Err(error) => {
                        output.respond(
                            request,
                            "500 Internal Server Error",
                            format_args!("{error}"),
                        );
                    }
                },
                Asks::Missing => output.respond(
                    request,
                    "404 Not Found",
                    format_args!("a path is / or the index of a job, such as /7"),
                ),
                Asks::Method => output.respond(
                    request,
                    "405 Method Not Allowed\r\nallow: GET, HEAD, POST, PUT",
                    format_args!("the methods are GET, HEAD, POST and PUT"),
                ),
            }
            match stream.send(output.bytes).await {
                Ok(buffer) if request.then != Then::Close => output.bytes = buffer,
                Ok(_) | Err(_) => return,
            }
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
