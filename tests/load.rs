//! The load generator against servers whose faults and delays are planted: each must be seen at its true size.

#[path = "load/faults.rs"]
mod faults;
mod listener;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use listener::{alone, each_connection, request};
use paceline_core::{
    generator::{Arrivals, Drive, Loaded, Options, Order, Request},
    histogram::Distribution,
    prepared::Fault,
    process::{HostError, Program},
};

const MS: u64 = 1_000_000;
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Serves each connection on a thread, calling `answer` with the head of each request until it returns false.
fn server(answer: impl Fn(&mut TcpStream, &str) -> bool + Sync + Send + 'static) -> SocketAddr {
    each_connection(
        move |mut stream| {
            while request(&mut stream).is_some_and(|head| answer(&mut stream, &head)) {}
        },
    )
}

/// A server that takes so long for each request.
fn delayed(delay_ms: u64) -> SocketAddr {
    server(move |stream, _| {
        thread::sleep(Duration::from_millis(delay_ms));
        stream.write_all(FINE.as_bytes()).is_ok()
    })
}

/// A server that always answers with this text.
fn saying(text: impl Into<String>) -> SocketAddr {
    let text = text.into();
    server(move |stream, _| stream.write_all(text.as_bytes()).is_ok())
}

fn open(rate: f64) -> Drive {
    Drive::Open { rate, arrivals: Arrivals::Uniform }
}

fn order(address: SocketAddr, drive: Drive, connections: usize, duration_ms: u64) -> Order {
    listener::order(address, drive, connections, [200, duration_ms, 300])
}

fn load(order: &Order) -> Result<Loaded, HostError> {
    Program::at(env!("CARGO_BIN_EXE_paceline")).load(order, Duration::from_secs(5))
}

/// The load on a machine that did not hold up the generator itself, as others who use it may: figures past the
/// published limits count for nothing, here as elsewhere. Each of 10 attempts has a server of its own; the last counts.
fn load_calmly(order: impl Fn() -> Order) -> Loaded {
    let attempts = (0..9).map(|_| load(&order()).unwrap());
    let calm = attempts
        .into_iter()
        .find(|loaded| loaded.saturated().or_else(|| loaded.kept_waiting(None)).is_none());
    calm.unwrap_or_else(|| load(&order()).unwrap())
}

fn fault(order: &Order) -> Fault {
    match load(order) {
        Err(HostError::Fault(fault)) => fault,
        other => panic!("it is no fault: {other:?}"),
    }
}

/// How many times are over a limit.
fn over(times: &Distribution, limit_ms: u64) -> u64 {
    let histogram = times.histogram().unwrap();
    let longest = |rank: &u64| 1.0 - (*rank as f64 + 0.5) / times.count as f64;
    (0..times.count).filter(|rank| histogram.quantile(longest(rank)) > limit_ms * MS).count() as u64
}

#[test]
fn the_open_loop_finds_the_rate_and_the_delay_of_a_server() {
    let _alone = alone();
    let loaded = load_calmly(|| order(delayed(5), open(400.0), 16, 1000));
    assert_eq!((loaded.offered, loaded.completed, loaded.unfinished), (400, 400, 0));
    assert_eq!((loaded.connections, loaded.reconnects), (16, 0));
    assert_eq!(loaded.unsteady(400.0), None);
    assert!((loaded.requests_per_second - 400.0).abs() < 10.0, "{loaded:?}");
    assert!((5 * MS..8 * MS).contains(&loaded.latency.ns_p50), "{loaded:?}");
    assert!(loaded.service_time.ns_p50 <= loaded.latency.ns_p50);
    // Tenths of a millisecond: epoll's own timeout would trial each wait up to a whole one.
    assert!(loaded.schedule_error.as_ref().unwrap().ns_p50 < MS / 2, "{loaded:?}");
    assert!(loaded.generator_cpu_share > 0.0 && loaded.generator_cpu_share < 0.7, "{loaded:?}");
}

#[test]
fn the_closed_loop_goes_as_fast_as_the_server_answers() {
    let _alone = alone();
    let loaded = load_calmly(|| order(delayed(5), Drive::Closed, 4, 1000));
    assert!((5 * MS..8 * MS).contains(&loaded.latency.ns_p50), "{loaded:?}");
    let expected = 4e9 / loaded.latency.ns_mean;
    assert!((loaded.requests_per_second / expected - 1.0).abs() < 0.05, "{loaded:?}");
    assert_eq!((loaded.offered, loaded.unfinished), (loaded.completed, 0));
    assert_eq!(loaded.latency.ns_p90, loaded.service_time.ns_p90);
    assert_eq!((loaded.schedule_error.clone(), loaded.late_starts), (None, 0));
    assert_eq!((loaded.in_flight_at_start, loaded.in_flight_at_end), (4, 4));
    assert_eq!(loaded.unsteady(1e6), None);
}

/// A server that takes `delay_ms`, and stands still once, for 200 ms.
fn stalling(delay_ms: u64) -> SocketAddr {
    let (whole, count) = (Mutex::new(()), AtomicU64::new(0));
    server(move |stream, _| {
        let one = whole.lock().unwrap();
        if count.fetch_add(1, Relaxed) == 300 {
            thread::sleep(Duration::from_millis(200));
        }
        drop(one);
        thread::sleep(Duration::from_millis(delay_ms));
        stream.write_all(FINE.as_bytes()).is_ok()
    })
}

#[test]
fn a_stall_has_its_true_size_in_the_open_loop_and_is_hidden_by_the_closed_one() {
    let _alone = alone();
    let (rate, stall) = (500.0, 0.2);
    let loaded = load_calmly(|| order(stalling(1), open(rate), 16, 1200));
    assert_eq!((loaded.offered, loaded.completed), (600, 600));
    assert!((200 * MS..230 * MS).contains(&loaded.latency.ns_max), "{loaded:?}");
    // Those that were meant to start during the stall wait for what is left of it: they fall linearly.
    for limit_ms in [50, 100, 150] {
        let expected = rate * (stall - limit_ms as f64 / 1000.0);
        let found = over(&loaded.latency, limit_ms) as f64;
        assert!((found / expected - 1.0).abs() < 0.2, "{found} over {limit_ms} ms, not {expected}");
    }
    // Only those that were sent have a long service time: one for each connection.
    assert!(over(&loaded.service_time, 100) <= 16, "{loaded:?}");
    let closed = load(&order(stalling(1), Drive::Closed, 16, 500)).unwrap();
    assert!(closed.completed > 600 && over(&closed.latency, 50) <= 16, "{closed:?}");
}

#[test]
fn littles_law_holds_in_both_loops() {
    let _alone = alone();
    let drive = Drive::Open { rate: 500.0, arrivals: Arrivals::Poisson };
    let loaded = load(&order(delayed(20), drive, 64, 2000)).unwrap();
    assert!(loaded.little_error.unwrap() < 0.01, "{loaded:?}");
    let closed = load(&order(delayed(20), Drive::Closed, 16, 500)).unwrap();
    assert!(closed.little_error.unwrap() < 0.01, "{closed:?}");
}

#[test]
fn a_rate_that_cannot_be_reached_is_said_to_be_unsteady() {
    let _alone = alone();
    let loaded = load(&order(delayed(10), open(500.0), 1, 1000)).unwrap();
    let said = loaded.unsteady(500.0).unwrap();
    assert!(said.contains("of 500 requests per second"), "{said}");
    assert!(loaded.unfinished > 300 && loaded.completed + loaded.unfinished == 500, "{loaded:?}");
    // The wait for the connection is the server's, and no fault of the generator.
    assert!(loaded.latency.ns_max > 500 * MS && loaded.service_time.ns_p99 < 30 * MS);
    assert!(loaded.schedule_error.unwrap().ns_p50 < MS / 2);
}

#[test]
fn requests_that_have_no_end_are_said_to_be_missing_from_the_latencies() {
    let _alone = alone();
    // Both connections get stuck shortly before the end: two requests time out, and those after them are never sent.
    let sticks = || {
        let count = AtomicU64::new(0);
        server(move |stream, _| {
            if count.fetch_add(1, Relaxed) >= 356 {
                thread::sleep(Duration::from_mins(1));
            }
            stream.write_all(FINE.as_bytes()).is_ok()
        })
    };
    let options = Options { counts_errors: true, ..Options::default() };
    // The warm-up has 60 of the requests.
    let loaded = load(&Order { options, ..order(sticks(), open(300.0), 2, 1000) }).unwrap();
    assert_eq!((loaded.offered, loaded.completed, loaded.failed()), (300, 296, 2));
    // The rate was kept, and no queue grew to speak of.
    assert_eq!((loaded.unfinished, loaded.unsteady(300.0)), (2, None));
    let said = loaded.incomplete().unwrap();
    assert!(said.contains("2 of 300 requests were neither answered nor given up"), "{said}");
    let loaded = load(&order(delayed(1), open(200.0), 2, 500)).unwrap();
    assert_eq!((loaded.unfinished, loaded.incomplete()), (0, None));
}

#[test]
fn a_body_larger_than_a_read_is_compared_to_its_end() {
    let _alone = alone();
    let large = "x".repeat(300_000);
    let address = saying(format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{large}"));
    let requests = vec![Request::get("/", Some(large))];
    let loaded = load(&Order { requests, ..order(address, open(100.0), 3, 200) }).unwrap();
    assert!(loaded.completed >= 20, "{loaded:?}");
    assert_eq!((loaded.completed, loaded.reconnects), (loaded.offered, 0));
}

#[test]
fn the_generator_stays_awake_before_a_start_and_its_cpu_share_is_without_that() {
    let _alone = alone();
    // It sleeps if there is no second CPU for the server, and after another program took its own for long.
    let is_alone = thread::available_parallelism().unwrap().get() == 1;
    let mut loads = (0..9).map(|_| load_calmly(|| order(delayed(0), open(1000.0), 8, 1000)));
    let loaded = loads.find(|loaded| (loaded.generator_awake_share > 0.0) != is_alone);
    let loaded = loaded.expect("it stays awake if there is a second CPU");
    let awake = loaded.generator_awake_share;
    assert!(awake + loaded.generator_cpu_share < 1.05, "{loaded:?}");
    let closed = load(&order(delayed(1), Drive::Closed, 2, 300)).unwrap();
    assert!(closed.generator_awake_share.abs() < f64::EPSILON, "{closed:?}");
}

#[test]
fn the_latency_of_an_answer_with_interim_answers_runs_to_the_end_of_the_final_one() {
    let _alone = alone();
    let hints = server(|stream, _| {
        let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
        stream.write_all(&hint.repeat(2)).unwrap();
        thread::sleep(Duration::from_millis(20));
        stream.write_all(FINE.as_bytes()).is_ok()
    });
    let loaded = load(&order(hints, open(50.0), 8, 400)).unwrap();
    assert_eq!((loaded.completed, loaded.offered, loaded.reconnects), (20, 20, 0));
    assert!(loaded.service_time.histogram().unwrap().quantile(0.0) >= 19 * MS, "{loaded:?}");
}

const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo late\n";

#[test]
fn a_408_on_an_idle_connection_is_a_counted_reconnect() {
    let _alone = alone();
    // What HAProxy and Apache do once nothing has come for so long.
    let impatient = each_connection(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        loop {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Ok(_) => return,
                Err(_) => {
                    // In two parts: the first alone does not say what it is.
                    let _ = stream.write_all(&TIMED_OUT[..9]);
                    thread::sleep(Duration::from_millis(5));
                    let _ = stream.write_all(&TIMED_OUT[9..]);
                    return;
                }
            }
            if head.ends_with(b"\r\n\r\n") {
                head.clear();
                if stream.write_all(FINE.as_bytes()).is_err() {
                    return;
                }
            }
        }
    });
    let loaded = load(&order(impatient, open(20.0), 2, 1000)).unwrap();
    assert_eq!((loaded.completed, loaded.unfinished), (20, 0), "{loaded:?}");
    assert!(loaded.reconnects > 10, "{loaded:?}");
}

#[test]
fn a_408_that_crosses_with_a_request_is_no_answer_to_it_and_a_second_one_is() {
    let _alone = alone();
    let connections = AtomicU64::new(0);
    let crossing = server(move |stream, _| {
        let odd = connections.fetch_add(1, Relaxed) % 2 == 1;
        stream.write_all(if odd { TIMED_OUT } else { FINE.as_bytes() }).is_ok() && !odd
    });
    let loaded = load(&order(crossing, open(100.0), 1, 300)).unwrap();
    assert_eq!((loaded.completed, loaded.unfinished), (30, 0), "{loaded:?}");
    assert!(loaded.reconnects >= 30, "{loaded:?}");
    let always = server(|stream, _| {
        stream.write_all(TIMED_OUT).unwrap();
        false
    });
    let fault = fault(&order(always, open(100.0), 1, 300));
    assert!(fault.to_string().contains("status 408: \"too late"), "{fault}");
}

#[test]
fn bytes_that_no_request_asked_for_are_a_fault_where_they_are_no_408() {
    let _alone = alone();
    let babbles = server(|stream, _| {
        stream.write_all(FINE.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(50));
        stream.write_all(b"HTTP/1.1 500 Oh\r\n\r\n").is_ok()
    });
    let fault = fault(&order(babbles, open(0.1), 1, 300));
    assert!(fault.to_string().contains("no request asked for: \"HTTP/1.1 500 Oh"), "{fault}");
}

#[test]
fn requests_are_sent_in_turn_and_each_has_its_own_answer() {
    let _alone = alone();
    let echo = || {
        server(|stream, head| {
            let path = head.split(' ').nth(1).unwrap();
            let length = path.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}").is_ok()
        })
    };
    let path = |path: &str| Request::get(path, Some(path.into()));
    let mut order = order(echo(), open(300.0), 4, 300);
    order.addresses.push(echo());
    order.requests = vec![path("/a"), path("/bcd"), path("/e?f=g")];
    assert_eq!(load(&order).unwrap().completed, 90);
    order.requests.push(Request::get("/other", Some("/Other".into())));
    let Fault::Invalid(said) = fault(&order) else { panic!("it is invalid") };
    assert!(said.contains("request 3 (GET /other)") && said.contains("\"/other\""), "{said}");
}
