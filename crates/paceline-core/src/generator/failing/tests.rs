//! Tests failures at chosen moments: the driver is stepped by hand, and its clock is set.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener},
    sync::mpsc,
};

use mio::{Events, Token};

use super::{
    super::{
        Drive, Options, Order, Request,
        connection::{Connection, connect, register},
        drive::FIRST,
        schedule::Arrivals,
        shortest,
    },
    *,
};

const MS: u64 = 1_000_000;
const TIMEOUT: u64 = 100 * MS;
const OPEN: Drive = Drive::Open { rate: 10.0, arrivals: Arrivals::Uniform };

fn order(to: SocketAddr, drive: Drive, timeout_ns: u64) -> Order {
    let timeout_ns = Some(timeout_ns);
    Order {
        addresses: vec![to],
        duration_ns: 60_000 * MS,
        patience_ns: 1_000 * MS,
        options: Options { timeout_ns, counts_errors: true, ..Options::default() },
        ..shortest(vec![Request::get("/", None)], drive)
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn driver(order: &Order) -> Driver<'_> {
    Driver::new(order, mpsc::channel().0).unwrap()
}

/// A driver with one open connection, and the server's end of it.
fn connected<'a>(order: &'a Order, listener: &TcpListener) -> (Driver<'a>, std::net::TcpStream) {
    let mut driver = driver(order);
    let stream = std::net::TcpStream::connect(order.addresses[0]).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut stream = mio::net::TcpStream::from_std(stream);
    register(&mut stream, driver.poll.registry(), Token(FIRST)).unwrap();
    let mut connection = Connection::new(stream, 0);
    connection.open = true;
    driver.connections.push(connection);
    (driver, listener.accept().unwrap().0)
}

/// Sends a request that was intended at a moment.
fn send(driver: &mut Driver, intended_ns: u64) {
    driver.tally.arrive(intended_ns, driver.now_ns);
    driver.begin(0, intended_ns).unwrap();
}

/// The errors of the load, by kind, and how many requests have a latency.
fn ended(driver: Driver) -> (Vec<(String, u64)>, u64) {
    let Driver { mut tally, end_ns, .. } = driver;
    tally.look(0);
    tally.look(end_ns);
    let loaded = tally.loaded(1);
    (loaded.errors.into_iter().collect(), loaded.completed)
}

fn timeouts(count: u64) -> Vec<(String, u64)> {
    vec![("timeout".into(), count)]
}

#[test]
fn a_request_that_timed_out_while_it_waited_for_a_connection_is_not_sent() {
    let (listener, address) = listen();
    let order = order(address, OPEN, TIMEOUT);
    let (mut driver, mut server) = connected(&order, &listener);
    driver.now_ns = TIMEOUT + 20 * MS;
    for intended in [0, 20 * MS, 50 * MS] {
        driver.tally.arrive(intended, driver.now_ns);
        driver.queue.push_back(intended);
    }
    driver.free(0).unwrap();
    let sent = &driver.connections[0];
    // Those of 0 and 20 ms are over, and have the first two numbers of the load.
    assert_eq!((sent.busy, sent.intended_ns, sent.number), (true, 50 * MS, 2));
    assert!(driver.queue.is_empty());
    assert_eq!(ended(driver).0, timeouts(2));
    let mut came = String::new();
    server.read_to_string(&mut came).unwrap();
    assert_eq!(came.matches("GET / ").count(), 1, "{came}");
}

#[test]
fn the_loop_wakes_at_the_timeout_of_what_was_sent_and_of_what_waits() {
    let (listener, address) = listen();
    let order = order(address, OPEN, TIMEOUT);
    let (mut sent, _server) = connected(&order, &listener);
    assert_eq!(sent.due_ns(), u64::MAX);
    sent.now_ns = 5 * MS;
    send(&mut sent, 3 * MS);
    assert_eq!(sent.due_ns(), 3 * MS + TIMEOUT);
    // A connection that is being replaced has no request, and cannot take one.
    let mut waiting = driver(&order);
    let stream = connect(address, waiting.poll.registry(), Token(FIRST)).unwrap();
    waiting.connections.push(Connection::new(stream, 0));
    waiting.plan();
    // One each 100 ms: the first and the second.
    waiting.now_ns = 150 * MS;
    waiting.arrive().unwrap();
    let first = waiting.queue[0];
    assert!(first < 150 * MS && waiting.queue.iter().all(|at| *at >= first));
    assert_eq!(waiting.due_ns(), first + TIMEOUT);
}

#[test]
fn connections_are_looked_at_once_per_timeout_and_the_next_look_is_that_of_the_oldest_request() {
    let (listener, address) = listen();
    let order = order(address, OPEN, TIMEOUT);
    let (mut driver, _server) = connected(&order, &listener);
    send(&mut driver, 0);
    // It was answered at once, and the connection has had another request since.
    driver.now_ns = 60 * MS;
    send(&mut driver, 60 * MS);
    driver.now_ns = TIMEOUT - 1;
    driver.expire().unwrap();
    assert_eq!(driver.due_ns(), TIMEOUT, "it looks before any request can have timed out");
    driver.now_ns = TIMEOUT;
    driver.expire().unwrap();
    assert_eq!(driver.due_ns(), 60 * MS + TIMEOUT);
    // An older one waits for a connection.
    driver.now_ns = 60 * MS + TIMEOUT - 1;
    driver.deadline_ns = driver.now_ns;
    driver.queue.push_back(driver.now_ns - TIMEOUT / 2);
    driver.expire().unwrap();
    assert_eq!(driver.due_ns(), 60 * MS + TIMEOUT);
    assert!(driver.connections[0].busy && driver.queue.len() == 1);
    driver.connections[0].busy = false;
    driver.deadline_ns = driver.now_ns;
    driver.expire().unwrap();
    assert_eq!(driver.due_ns(), driver.queue[0] + TIMEOUT);
}

#[test]
fn a_right_answer_after_the_timeout_is_an_error_without_a_latency_and_keeps_its_connection() {
    let (listener, address) = listen();
    for (timeout_ns, wanted) in [(1, (timeouts(1), 0)), (u64::MAX, (vec![], 1))] {
        let order = order(address, Drive::Closed, timeout_ns);
        let (mut driver, mut server) = connected(&order, &listener);
        send(&mut driver, 0);
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        let mut events = Events::with_capacity(8);
        while driver.connections[0].busy {
            driver.wait(&mut events, u64::MAX / 2).unwrap();
        }
        assert_eq!((driver.tally.reconnects, &driver.idle), (0, &[0].into()), "{timeout_ns}");
        assert_eq!(ended(driver), wanted, "{timeout_ns}");
    }
}

#[test]
fn an_answer_that_comes_with_the_connection_and_with_its_end_is_read_and_the_connection_replaced() {
    let (listener, address) = listen();
    let order = order(address, OPEN, 60_000 * MS);
    let mut driver = driver(&order);
    let stream = connect(address, driver.poll.registry(), Token(FIRST)).unwrap();
    driver.connections.push(Connection::new(stream, 0));
    send(&mut driver, 0);
    let mut server = listener.accept().unwrap().0;
    server.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").unwrap();
    // It takes the request, so that it does not reset the connection.
    server.shutdown(Shutdown::Write).unwrap();
    let mut events = Events::with_capacity(8);
    while driver.connections[0].busy && driver.now_ns < 5_000 * MS {
        driver.wait(&mut events, 5_000 * MS).unwrap();
    }
    assert_eq!(driver.tally.reconnects, 1);
    assert_eq!(ended(driver).0, [("status 503".to_owned(), 1)]);
}

#[test]
fn a_start_that_is_due_does_not_wait_until_all_events_are_handled() {
    let (listener, address) = listen();
    let order = order(address, OPEN, 60_000 * MS);
    let (mut driver, mut server) = connected(&order, &listener);
    driver.plan();
    driver.arrive().unwrap();
    driver.free(0).unwrap();
    // The second is due 100 ms after the first, and the answer to that comes when it is.
    std::thread::sleep(Duration::from_millis(120));
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    let mut events = Events::with_capacity(8);
    while driver.connections[0].busy && driver.connections[0].number == 0 {
        driver.wait(&mut events, u64::MAX / 2).unwrap();
    }
    let next = &driver.connections[0];
    assert_eq!((next.busy, next.number, next.intended_ns), (true, 1, 100 * MS));
}

/// Handles events until the request of the only connection has ended.
fn end_of(driver: &mut Driver) {
    let mut events = Events::with_capacity(8);
    while driver.connections[0].busy {
        driver.wait(&mut events, u64::MAX / 2).unwrap();
    }
}

/// The loop sleeps between the last look at the clock and the end of the request.
const SLEPT: Duration = Duration::from_millis(30);

#[test]
fn a_failure_took_until_the_end_that_made_it_one() {
    for begun in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"] {
        let (listener, address) = listen();
        let order = order(address, OPEN, 60_000 * MS);
        let (mut driver, mut server) = connected(&order, &listener);
        send(&mut driver, 0);
        server.write_all(begun).unwrap();
        let mut events = Events::with_capacity(8);
        driver.wait(&mut events, MS).unwrap();
        std::thread::sleep(SLEPT);
        server.shutdown(Shutdown::Write).unwrap();
        end_of(&mut driver);
        assert_eq!(ended_after(driver), ("closed early".into(), true), "{begun:?}");
    }
    // A connection that is refused, as late.
    let (_, address) = listen();
    let order = order(address, OPEN, 60_000 * MS);
    let mut driver = driver(&order);
    let stream = connect(address, driver.poll.registry(), Token(FIRST)).unwrap();
    driver.connections.push(Connection::new(stream, 0));
    send(&mut driver, 0);
    std::thread::sleep(SLEPT);
    end_of(&mut driver);
    assert_eq!(ended_after(driver), ("connect".into(), true));
}

/// The kind of the only error, and whether it took as long as the loop slept.
fn ended_after(driver: Driver) -> (String, bool) {
    let Driver { mut tally, end_ns, .. } = driver;
    tally.look(0);
    tally.look(end_ns);
    let loaded = tally.loaded(1);
    let kinds: Vec<&String> = loaded.errors.keys().collect();
    let took = loaded.error_latency.unwrap().ns_max;
    (kinds[0].clone(), took >= SLEPT.as_nanos() as u64)
}

#[test]
fn an_answer_that_the_end_of_its_connection_ends_took_until_then() {
    let (listener, address) = listen();
    let order = order(address, OPEN, 60_000 * MS);
    let (mut driver, mut server) = connected(&order, &listener);
    send(&mut driver, 0);
    server.write_all(b"HTTP/1.0 200 OK\r\n\r\nok").unwrap();
    let mut events = Events::with_capacity(8);
    driver.wait(&mut events, MS * 1_000).unwrap();
    std::thread::sleep(SLEPT);
    server.shutdown(Shutdown::Write).unwrap();
    end_of(&mut driver);
    let Driver { mut tally, end_ns, .. } = driver;
    tally.look(0);
    tally.look(end_ns);
    let latency = tally.loaded(1).latency;
    assert!(latency.count == 1 && latency.ns_max >= SLEPT.as_nanos() as u64, "{latency:?}");
}

#[test]
fn a_server_is_taken_for_one_of_few_connections_only_if_it_passed_over_a_request() {
    let (_listener, address) = listen();
    let mut order = order(address, OPEN, 60_000 * MS);
    order.options.counts_errors = false;
    // The last answered request and the unanswered one of each connection, in milliseconds.
    let said = |connections: &[(Option<u64>, Option<u64>)]| {
        let mut driver = driver(&order);
        driver.now_ns = 9_000 * MS;
        for (index, (served, sent)) in connections.iter().enumerate() {
            let stream = connect(address, driver.poll.registry(), Token(FIRST + index)).unwrap();
            let mut one = Connection::new(stream, 0);
            (one.busy, one.served_ns) = (sent.is_some(), served.map(|ms| ms * MS));
            one.sent_ns = sent.or(*served).unwrap_or(0) * MS;
            driver.connections.push(one);
        }
        driver.check_answered().unwrap_err().to_string()
    };
    // It stopped after a second: what came then waits, on new connections and on others.
    let stopped = [(Some(800), None), (Some(900), Some(1_000)), (None, Some(1_100)), (None, None)];
    let why = said(&stopped);
    assert!(why.contains("2 requests got no answer") && !why.contains("served"), "{why}");
    // It answers two connections, and no other.
    let why = said(&[(Some(800), Some(900)), (Some(900), None), (None, Some(100)), (None, None)]);
    assert!(why.contains("of 3 connections only 2 were served"), "{why}");
    assert!(why.ends_with("try --connections 2"), "{why}");
    let why = said(&[(None, Some(100)), (Some(800), Some(900)), (None, Some(100))]);
    assert!(why.contains("of 3 connections only connection 1 was served"), "{why}");
}
