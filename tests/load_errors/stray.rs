//! Bytes that no request asked for: they end the load, or count as an error of the next request on their connection.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

use paceline::record::State;

use super::{
    FINE, cell,
    listener::{each_connection, request},
    program::figures,
};

const BAD: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// A server that says [`BAD`] 2 ms after each fifth answer, to nobody, and closes.
fn straying() -> SocketAddr {
    let answered = AtomicUsize::new(0);
    each_connection(move |mut stream| {
        while request(&mut stream).is_some() {
            stream.write_all(FINE.as_bytes()).ok()?;
            if answered.fetch_add(1, Relaxed) % 5 == 4 {
                thread::sleep(Duration::from_millis(2));
                return stream.write_all(BAD.as_bytes()).ok();
            }
        }
        Some(())
    })
}

#[test]
fn bytes_on_an_idle_connection_are_an_error_of_its_next_request_where_errors_are_counted() {
    let open = ["--rate", "40", "--arrivals", "uniform", "--connections", "4"];
    let (counted, code, _) = cell(straying(), &[&open[..], &["--max-errors", "100%"]].concat());
    let load = figures(&counted);
    assert_eq!((code, load.offered, load.completed + load.failed()), (0, 20, 20), "{load:?}");
    assert_eq!(load.errors.keys().collect::<Vec<_>>(), ["malformed"], "{load:?}");
    // One for each five answers; the last may have no request behind it.
    assert!((2..=4).contains(&load.failed()), "{load:?}");
    let first = load.first_error.as_ref().unwrap();
    assert!(first.contains("66 bytes came that no request asked for"), "{first}");
    // Where they are not, they end the load.
    let (first, code, _) = cell(straying(), &open);
    assert_eq!((first.state, code), (State::Invalid, 3), "{first:?}");
    assert!(first.reason.unwrap().contains("that no request asked for"));
}

#[test]
fn a_server_of_another_protocol_is_named_by_what_it_says_whether_errors_are_counted_or_not() {
    let speak = |mut stream: TcpStream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
        request(&mut stream)
    };
    for drive in [&["--connections", "2"][..], &["--connections", "2", "--rate", "50"]] {
        for (most, state) in [(&[][..], State::Invalid), (&["--max-errors", "100%"], State::Failed)]
        {
            let (cell, code, _) = cell(each_connection(speak), &[drive, most].concat());
            let why = cell.reason.unwrap_or_default();
            assert_eq!((cell.state, code), (state, 3), "{why}");
            assert!(why.contains("SSH-2.0-OpenSSH"), "{why}");
        }
    }
}
