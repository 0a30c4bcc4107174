//! Serves connections on threads, for servers whose faults and delays tests plant.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use paceline_core::generator::{Drive, Options, Order, Request};

/// One load at a time: beside another a generator is late, and a script cannot run while another test's new process has
/// it open.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a load of `GET /`, which is answered by `ok`. The times are the warm-up, the duration and the patience, in
/// milliseconds.
pub(crate) fn order(
    address: SocketAddr,
    drive: Drive,
    connections: usize,
    times_ms: [u64; 3],
) -> Order {
    let [warm_up_ns, duration_ns, patience_ns] = times_ms.map(|ms| ms * 1_000_000);
    Order {
        addresses: vec![address],
        same_server: false,
        host: None,
        requests: vec![Request::get("/", Some("ok".into()))],
        every: None,
        accept: vec![],
        drive,
        connections,
        warm_up_ns,
        duration_ns,
        patience_ns,
        interval_ns: None,
        seed: 1,
        options: Options::default(),
    }
}

/// Starts a generator, and gives it its order. Returns it with its input and the lines that it prints.
pub(crate) fn generator(
    mut program: Command,
    order: &Order,
) -> (Child, ChildStdin, Lines<BufReader<ChildStdout>>) {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    writeln!(input, "{}", serde_json::to_string(order).unwrap()).unwrap();
    (child, input, BufReader::new(output).lines())
}

/// Reads the head of the next request; `None` once there is none.
pub(crate) fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        (stream.read(&mut byte).ok()? == 1).then_some(())?;
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Serves each connection on a thread of its own, until the test ends.
pub(crate) fn each_connection<T>(
    serve: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) -> SocketAddr {
    each_connection_at("127.0.0.1:0", serve)
}

/// Does so at this address.
pub(crate) fn each_connection_at<T>(
    address: &str,
    serve: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let serve: &'static _ = Box::leak(Box::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                serve(stream);
            });
        }
    });
    address
}
