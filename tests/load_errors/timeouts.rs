//! Servers that are gone or never answer: what waits for them times out, and none of it is lost.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Mutex,
    thread,
    time::Duration,
};

use super::{
    Act, FINE, cell, once_in,
    program::{calm, figures},
    serve, server,
};

#[test]
fn requests_that_wait_for_a_connection_time_out_too_and_none_is_left() {
    // Half are answered at once, half never: each of these keeps the only connection for its time.
    let (address, _) = server(|number, _| if number % 2 == 0 { Act::Say(FINE) } else { Act::Hang });
    let open = ["--rate", "40", "--arrivals", "uniform", "--connections", "1", "--duration", "1s"];
    let all =
        [&open[..], &["--timeout", "100ms", "--max-errors", "100%", "--warm-up", "500ms"]].concat();
    let (cell, code, _) = cell(address, &all);
    let load = figures(&cell);
    assert_eq!((code, load.timeout_seconds), (0, Some(0.1)));
    assert_eq!(load.offered, load.completed + load.failed(), "{load:?}");
    assert_eq!(load.errors.keys().collect::<Vec<_>>(), ["timeout"]);
    // Those whose connection hangs and those that wait for it meanwhile.
    assert!(load.failed() >= 15, "{load:?}");
    let errors = load.error_latency.as_ref().unwrap().histogram().unwrap();
    assert!(errors.quantile(0.0) >= 99_900_000, "{}", errors.quantile(0.0));
    // What came later than that counts as an error, and not as an answer.
    assert!(cell.latency.unwrap().ns_max <= 100_100_000);
}

#[test]
fn a_closed_loop_in_which_nothing_else_happens_wakes_at_each_timeout() {
    let (address, _) = server(|number, _| if number == 0 { Act::Say(FINE) } else { Act::Hang });
    let closed = ["--connections", "1", "--timeout", "50ms", "--max-errors", "100%"];
    let (cell, code, _) = cell(address, &[&closed[..], &["--duration", "1s"]].concat());
    let load = figures(&cell);
    assert_eq!((code, load.completed, load.completed + load.failed()), (0, 1, load.offered));
    // One after another: about 20. A loop that sleeps until the window ends finds one.
    assert!((5..=21).contains(&load.failed()), "{load:?}");
}

/// A server that answers a few requests on one connection and then accepts no other. A connection that finds its queue
/// full stays half open.
fn server_without_room() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let _filler = TcpStream::connect(address).unwrap();
        let few = |number, _: &str| if number < 4 { Act::Say(FINE) } else { Act::Hang };
        serve(stream, &few, &Mutex::default());
    });
    address
}

#[test]
#[cfg(target_os = "linux")]
fn requests_time_out_while_the_only_connection_cannot_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    // The timeout is shorter than the time between two starts, so that no queue grows.
    let open = ["--rate", "20", "--arrivals", "uniform", "--connections", "1", "--duration", "1s"];
    let all = [&open[..], &["--timeout", "45ms", "--max-errors", "100%"]].concat();
    let target = || format!("http://{}/", server_without_room());
    let (cell, code, _) = calm(|| once_in(folder.path(), &target(), &all)).unwrap();
    let load = figures(&cell);
    // None waits for the end of the patience.
    assert_eq!((code, load.completed + load.failed()), (0, load.offered), "{load:?}");
    assert!((1..=4).contains(&load.completed), "{load:?}");
    assert_eq!(load.errors.keys().collect::<Vec<_>>(), ["timeout"]);
    let errors = load.error_latency.as_ref().unwrap();
    assert!(errors.histogram().unwrap().quantile(0.5) < 1_000_000_000, "{errors:?}");
}

#[test]
fn a_server_that_is_gone_costs_an_error_in_10_ms_and_is_found_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers = |listener: &TcpListener, most: usize| {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut answered = 0;
        let mut line = String::new();
        while answered < most && stream.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line == "\r\n" {
                thread::sleep(Duration::from_millis(2));
                answered += usize::from(stream.get_mut().write_all(FINE.as_bytes()).is_ok());
            }
            line.clear();
        }
    };
    thread::spawn(move || {
        answers(&listener, 20);
        drop(listener);
        thread::sleep(Duration::from_millis(300));
        let again = TcpListener::bind(address).unwrap();
        answers(&again, usize::MAX);
    });
    let (cell, code, _) =
        cell(address, &["--connections", "1", "--max-errors", "100%", "--duration", "2s"]);
    let load = figures(&cell);
    assert_eq!(code, 0);
    let errors = load.errors.get("connect").copied().unwrap_or(0);
    // 300 ms of one connection that is tried each 10 ms; at full speed there would be thousands.
    assert!((1..60).contains(&errors), "{load:?}");
    assert!(load.completed > 20, "{load:?}");
}
