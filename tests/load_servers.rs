//! What real servers do that has broken load generators, each with the public report of it: the load goes on, and
//! nothing is lost or counted twice.

mod listener;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use listener::{each_connection, order, request};
use paceline_core::{
    generator::{Arrivals, Drive, Loaded, Options, Order, Request},
    process::{HostError, Program},
};
use rustix::net::sockopt::set_socket_linger;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection of a server, and how many requests it has answered.
struct Client {
    stream: TcpStream,
    answered: u64,
}

impl Client {
    /// Waits for the next request.
    fn request(&mut self) -> Option<()> {
        request(&mut self.stream).map(drop)
    }

    fn say(&mut self, text: &[u8]) -> Option<()> {
        self.answered += 1;
        self.stream.write_all(text).ok()
    }

    /// Answers so many requests as every server does.
    fn answer(&mut self, count: u64) -> Option<()> {
        (0..count).try_for_each(|_| self.request().and_then(|()| self.say(OK)))
    }

    /// Ends the connection with a reset.
    fn reset(self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }
}

/// A server whose connections are each served by `serve`, on a thread.
fn server(serve: impl Fn(Client) -> Option<()> + Send + Sync + 'static) -> SocketAddr {
    each_connection(move |stream| serve(Client { stream, answered: 0 }))
}

/// A server that serves the first `most` connections and closes every later one at once. `accepted` counts them all.
fn with_room(most: u64, accepted: &'static AtomicU64) -> SocketAddr {
    server(
        move |mut client| {
            if accepted.fetch_add(1, Relaxed) < most { client.answer(1_000) } else { None }
        },
    )
}

/// A server that gives this answer to each request, in parts of `size`, and goes on.
fn saying(text: impl Into<Vec<u8>>, size: usize) -> SocketAddr {
    let text = text.into();
    server(move |mut client| {
        loop {
            client.request()?;
            text.chunks(size).try_for_each(|part| client.say(part))?;
        }
    })
}

/// A server that ends each connection after an answer, by shutting down its sending half only.
fn once(text: &'static [u8]) -> SocketAddr {
    server(move |mut client| {
        client.request()?;
        client.say(text)?;
        client.stream.shutdown(Shutdown::Write).ok()?;
        client.request()
    })
}

fn load(address: SocketAddr, drive: Drive, body: Option<&str>) -> Result<Loaded, HostError> {
    let requests = vec![Request::get("/", body.map(str::to_owned))];
    run(&Order { requests, ..order(address, drive, 3, [50, 400, 2_000]) })
}

/// The load of an open loop, which must come out.
fn load_with(options: Options, address: SocketAddr, rate: f64) -> Loaded {
    let drive = Drive::Open { rate, arrivals: Arrivals::Uniform };
    run(&Order { options, ..order(address, drive, 3, [50, 400, 2_000]) }).unwrap()
}

fn run(order: &Order) -> Result<Loaded, HostError> {
    Program::at(env!("CARGO_BIN_EXE_paceline")).load(order, Duration::from_secs(20))
}

/// Reconnects that are expected: none, or at least one for so many answers.
enum Reconnects {
    None,
    OnePer(u64),
}
use Reconnects::{None as Never, OnePer};

/// What a server does, who reported it of which generator, and what is to come of it.
struct Row {
    does: &'static str,
    report: &'static str,
    server: SocketAddr,
    body: String,
    reconnects: Reconnects,
}

fn row(
    does: &'static str,
    report: &'static str,
    server: SocketAddr,
    reconnects: Reconnects,
) -> Row {
    Row { does, report, server, body: "ok".into(), reconnects }
}

fn rows() -> Vec<Row> {
    let large = "x".repeat(1 << 20);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len());
    vec![
        row(
            "says that it closes after so many answers",
            "https://github.com/JoeDog/siege/pull/252",
            server(|mut client| {
                client.answer(9)?;
                client.request()?;
                client.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            }),
            OnePer(10),
        ),
        row(
            "closes after so many answers without a word",
            "https://github.com/codesenberg/bombardier/issues/56",
            server(|mut client| client.answer(10)),
            OnePer(10),
        ),
        row(
            "resets a connection that it has answered on",
            "https://github.com/mcollina/autocannon/issues/184",
            server(|mut client| {
                client.answer(10)?;
                client.reset();
                Some(())
            }),
            OnePer(10),
        ),
        row(
            "ends a body without a length by closing one half of the connection",
            "https://github.com/wg/wrk/issues/118",
            once(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"),
            OnePer(1),
        ),
        row(
            "speaks HTTP/1.0 and closes",
            "https://github.com/envoyproxy/envoy/issues/7123",
            once(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            OnePer(1),
        ),
        row(
            "answers before it has read the request, and resets",
            "https://github.com/grafana/k6/issues/1271",
            server(|mut client| {
                client.stream.read_exact(&mut [0]).ok()?;
                client.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            }),
            OnePer(1),
        ),
        row(
            "closes all connections at once, as a reload does",
            "https://github.com/wg/wrk/issues/180",
            reloading(),
            OnePer(60),
        ),
        row(
            "sends a trailer behind its chunks",
            "https://github.com/tsenart/vegeta/issues/624",
            saying(*b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", 1),
            Never,
        ),
        row(
            "sends an empty line behind its answer",
            "https://github.com/tsenart/vegeta/issues/624",
            saying(*b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", 42),
            Never,
        ),
        row(
            "sends an empty line after its answer",
            "https://github.com/tsenart/vegeta/issues/624",
            saying(*b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", 40),
            Never,
        ),
        row(
            "writes fields in lower case without a space and no reason",
            "https://github.com/the-benchmarker/web-frameworks/pull/6623",
            saying(*b"HTTP/1.1 200\r\nconnection:keep-alive\r\ncontent-length:2\r\n\r\nok", 1000),
            Never,
        ),
        Row {
            body: large.clone(),
            ..row(
                "sends a large body in small parts",
                "https://github.com/mcollina/autocannon/issues/275",
                saying(head + &large, 5_000),
                Never,
            )
        },
    ]
}

/// A server that after each 60 answers closes all connections that it has answered on.
fn reloading() -> SocketAddr {
    let answers = AtomicU64::new(0);
    let all: Mutex<Vec<TcpStream>> = Mutex::new(vec![]);
    server(move |mut client| {
        client.answer(1)?;
        all.lock().unwrap().push(client.stream.try_clone().unwrap());
        loop {
            client.request()?;
            if answers.fetch_add(1, Relaxed) % 60 == 59 {
                let others = std::mem::take(&mut *all.lock().unwrap());
                client.say(OK)?;
                for other in others {
                    let _ = other.shutdown(Shutdown::Both);
                }
                return None;
            }
            client.say(OK)?;
        }
    })
}

#[test]
fn the_load_goes_on_whatever_a_server_may_do_and_each_answer_counts_once() {
    let mut faults = vec![];
    for Row { does, report, server, body, reconnects } in rows() {
        for drive in [Drive::Open { rate: 200.0, arrivals: Arrivals::Uniform }, Drive::Closed] {
            let loaded = load(server, drive, Some(&body));
            let right = loaded.as_ref().is_ok_and(|loaded| {
                let reconnected = match reconnects {
                    Never => loaded.reconnects == 0,
                    // Those of the last answers on each connection may not have happened yet. An open loop has the
                    // same number of requests on each machine, and is sure of some.
                    OnePer(count) => {
                        let least = (loaded.completed / count).saturating_sub(4);
                        loaded.reconnects >= least.max(u64::from(drive != Drive::Closed))
                    }
                };
                let all = loaded.completed == loaded.offered && loaded.unfinished == 0;
                all && reconnected && loaded.completed > 0
            });
            if !right {
                faults.push(format!("a server that {does} ({report}): {loaded:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// <https://github.com/wg/wrk/pull/167>: a connection whose end is not taken note of is readable for ever.
#[test]
fn connections_that_end_while_they_are_idle_cost_no_cpu() {
    let impatient = server(|mut client| {
        client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        client.answer(1_000)
    });
    let drive = Drive::Open { rate: 10.0, arrivals: Arrivals::Uniform };
    // On a busy machine the server may be so late that it closes a connection on which a request has just been sent.
    let attempt = |_| match load(impatient, drive, Some("ok")) {
        Err(error) if error.to_string().contains("closed without an answer") => None,
        loaded => Some(loaded.unwrap()),
    };
    let loaded = (0..10).find_map(attempt).unwrap();
    assert_eq!((loaded.completed, loaded.unfinished), (4, 0), "{loaded:?}");
    assert!(loaded.reconnects >= 6 && loaded.generator_cpu_share < 0.5, "{loaded:?}");
}

/// <https://github.com/giltene/wrk2/issues/5>, and RFC 9112, section 9.6: the server may ignore the field, or close so late that the next request is lost.
#[test]
fn nothing_is_sent_on_a_connection_after_a_request_that_closes_it() {
    let answers = AtomicU64::new(0);
    let deaf = server(move |mut client| {
        loop {
            client.request()?;
            let right = answers.fetch_add(1, Relaxed).is_multiple_of(2);
            client.say(if right { OK } else { b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" })?;
        }
    });
    let headers = vec![("connection".to_owned(), "x, Close".to_owned())];
    let options = Options { headers, counts_errors: true, ..Options::default() };
    let loaded = load_with(options, deaf, 200.0);
    let sent = loaded.completed + loaded.failed();
    assert!(loaded.completed > 30 && loaded.failed() > 30, "{loaded:?}");
    assert!(loaded.reconnects + 3 >= sent, "{loaded:?}");
}

/// <https://github.com/wg/wrk/issues/509>: a server without room for a connection would be asked again as fast as this process can.
#[test]
fn a_connection_that_is_closed_unused_is_opened_again_only_for_a_request() {
    static ACCEPTED: AtomicU64 = AtomicU64::new(0);
    let full = with_room(1, &ACCEPTED);
    let loaded = load_with(Options { counts_errors: true, ..Options::default() }, full, 20.0);
    assert!(loaded.completed > 0 && loaded.failed() > 0, "{loaded:?}");
    // Of 9 requests 6 fail, each of which opens a connection before and after.
    let accepted = ACCEPTED.load(Relaxed);
    assert!(accepted < 30, "{accepted} connections: {loaded:?}");
}

/// The same before the start: the others are opened all the same.
#[test]
fn a_server_without_room_is_not_asked_over_and_over_before_the_start() {
    static ACCEPTED: AtomicU64 = AtomicU64::new(0);
    let full = with_room(50, &ACCEPTED);
    let drive = Drive::Open { rate: 20.0, arrivals: Arrivals::Uniform };
    let options = Options { counts_errors: true, ..Options::default() };
    let loaded = run(&Order { options, ..order(full, drive, 500, [50, 400, 2_000]) }).unwrap();
    assert!(loaded.completed > 0, "{loaded:?}");
    // Each is opened once, and those without room perhaps once again.
    let accepted = ACCEPTED.load(Relaxed);
    assert!(accepted < 1_200, "{accepted} connections: {loaded:?}");
}

/// <https://github.com/wg/wrk/issues/287>: the generator waited, and nobody knew for what.
#[test]
fn an_answer_without_a_length_on_a_connection_that_stays_open_is_named() {
    let endless = saying(*b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nok", 1000);
    let said = load(endless, Drive::Closed, None).unwrap_err().to_string();
    assert!(said.contains("got no answer within 2s"), "{said}");
    assert!(said.contains("without a length"), "{said}");
}
