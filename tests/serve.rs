//! Every model is an HTTP/1.1 server whose responses are the receipts foretold.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it could not try"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Deref,
    process::{Command, Stdio},
    sync::Barrier,
    thread,
    time::Duration,
};

use paceline::{
    job::{Jobs, Workload},
    measure::{
        Host, Program,
        echo::EchoServer,
        host::{Cell, Request},
    },
    models::{self, Entry},
    workloads,
};

const PATIENCE: Duration = Duration::from_mins(1);
const REQUESTS: usize = 20;

const SERVICE: &str = r#"
name = "service"
job  = [
    { connect = "echo" },
    { exchange = { bytes = 100, times = 1 } },
    { sleep = "1ms" },
    { offload = [{ compute = 1_000 }] },
]"#;

fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_paceline"))
}

fn workload(text: &str) -> Workload {
    Workload::parse("test.toml", text).unwrap()
}

fn cell(entry: &Entry, workers: Option<usize>, job: &Workload, servers: Vec<SocketAddr>) -> Cell {
    Cell {
        model: entry.about.name.into(),
        workers,
        placement: entry.about.placements[0],
        workload: job.name.clone(),
        source: job.source.clone(),
        scale: 1,
        servers,
    }
}

/// A server, with what it talks to. It ends when this is dropped.
struct Server {
    host: Host,
    at: At,
    _echo: Option<EchoServer>,
}

impl Deref for Server {
    type Target = At;
    fn deref(&self) -> &At {
        &self.at
    }
}

/// Where a server is, and what it does.
#[derive(Clone, Copy)]
struct At {
    address: SocketAddr,
    jobs: Jobs,
}

impl Server {
    fn start(program: &Program, entry: &Entry, job: &Workload, echo: Option<EchoServer>) -> Self {
        let workers = entry.about.workers(&[2])[0];
        let mut host = program.host(entry, workers).unwrap();
        // A port that was bound and is free again: nobody listens there.
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let servers = echo.as_ref().map_or(vec![dead], |echo| echo.addresses().to_vec());
        let address = host.serve(cell(entry, workers, job, servers), PATIENCE).unwrap();
        assert!(address.ip().is_loopback());
        Server { host, at: At { address, jobs: Jobs::load(job) }, _echo: echo }
    }

    fn of(name: &str, job: &str) -> Self {
        let entry = models::find(name).unwrap();
        Self::start(&program(), entry, &workload(job), Some(program().echo().unwrap()))
    }
}

impl At {
    fn connect(self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn body(self, index: usize) -> String {
        self.jobs.expected(index).body()
    }
}

struct Client(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
struct Response {
    status: u16,
    headers: Vec<String>,
    body: String,
}

impl Response {
    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|one| one == header)
    }
}

impl Client {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn get(&mut self, index: usize) -> Response {
        self.send(&format!("GET /{index} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.response()
    }

    fn response(&mut self) -> Response {
        let mut response = self.head();
        let length = response.headers.iter().find_map(|h| h.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    fn head(&mut self) -> Response {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.strip_suffix("\r\n") {
                Some("") => break,
                Some(line) => lines.push(line.to_owned()),
                None => panic!("the connection ended after {lines:?} and {line:?}"),
            }
        }
        let status = lines.remove(0);
        let status = status.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Response { status, headers: lines, body: String::new() }
    }

    /// Whether the server has closed, with nothing more said.
    fn is_closed(&mut self) -> bool {
        let mut rest = String::new();
        match self.0.read_to_string(&mut rest) {
            Ok(count) => count == 0,
            // Closed with something of ours unread.
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// The model, unless it cannot run here.
fn available(name: &str) -> Option<&'static Entry> {
    let Ok(entry) = models::find(name) else {
        assert_ne!(std::env::consts::OS, "linux", "{name} is no model");
        return None;
    };
    if let Err(why) = (entry.about.available)() {
        assert!(why.contains("io_uring"), "{name} cannot run here: {why}");
        return None;
    }
    Some(entry)
}

/// All connections are open before the first request and stay open until all are answered: they are served at once.
fn serves(name: &str, job: &Workload) {
    let Some(entry) = available(name) else { return };
    if let Some(lack) = entry.about.lacks_to_serve(job) {
        assert!(job.has("gather") && ["pool", "rayon"].contains(&name), "{lack}");
        let workers = entry.about.workers(&[2])[0];
        let mut host = program().host(entry, workers).unwrap();
        let refused = host.serve(cell(entry, workers, job, vec![]), PATIENCE).unwrap_err();
        assert_eq!(refused.to_string(), lack);
        return;
    }
    let mut server = Server::start(&program(), entry, job, Some(program().echo().unwrap()));
    let connections = entry.about.connections(2).unwrap_or(8);
    let all_open = Barrier::new(connections);
    thread::scope(|scope| {
        for connection in 0..connections {
            let (server, all_open) = (server.at, &all_open);
            scope.spawn(move || {
                let mut client = server.connect();
                assert_eq!(client.get(0).body, server.body(0), "{name}");
                all_open.wait();
                for request in 0..REQUESTS {
                    let index = connection * REQUESTS + request;
                    let response = client.get(index);
                    assert_eq!((response.status, response.body), (200, server.body(index)));
                }
                all_open.wait();
            });
        }
    });
    let first = server.host.usage(PATIENCE).unwrap().cpu_ns();
    assert_eq!(server.connect().get(7).body, server.body(7), "{name}, after the others closed");
    assert!(server.host.usage(PATIENCE).unwrap().cpu_ns() > first && first > 0);
}

macro_rules! each_model {
    ($($name:ident = $model:literal)*) => {
        $(mod $name {
            #[test]
            fn serves_requests_that_do_nothing() {
                super::serves($model, &super::workloads::find("serve-plain").unwrap());
            }

            #[test]
            fn serves_requests_that_wait_connect_and_compute() {
                super::serves($model, &super::workload(super::SERVICE));
            }

            #[test]
            fn serves_requests_with_children() {
                super::serves($model, &super::workloads::find("serve-fanout").unwrap());
            }

            #[test]
            fn a_server_without_descriptors_ends_and_says_so() {
                super::ends_without_descriptors($model);
            }
        })*

        #[test]
        fn every_model_is_tested() {
            let tested = [$($model),*];
            assert!(models::MODELS.iter().all(|entry| tested.contains(&entry.about.name)));
        }
    };
}

each_model! {
    sequential = "sequential"
    threads = "threads"
    pool = "pool"
    rayon = "rayon"
    tokio = "tokio"
    tokio_current_thread = "tokio-current-thread"
    tokio_per_core = "tokio-per-core"
    tokio_rayon = "tokio+rayon"
    smol = "smol"
    smol_per_core = "smol-per-core"
    async_std = "async-std"
    compio = "compio"
    monoio = "monoio"
    glommio = "glommio"
    may = "may"
}

/// Spinning on an accept that fails would look like load.
fn ends_without_descriptors(name: &str) {
    let Some(entry) = available(name) else { return };
    if name == "sequential" {
        return; // One connection at once: it cannot run out.
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("few-descriptors");
    let text = format!("#!/bin/sh\nulimit -n 64\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_paceline"));
    std::fs::write(&script, text).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&script).status().unwrap().success());
    let job = workloads::find("serve-plain").unwrap();
    let mut server = Server::start(&Program::at(&script), entry, &job, None);
    let open: Vec<_> = (0..80).map_while(|_| TcpStream::connect(server.address).ok()).collect();
    let mut ended = String::new();
    for _ in 0..1000 {
        if let Err(error) = server.host.usage(PATIENCE) {
            ended = error.to_string();
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let said = ended.contains("the server ended") && ended.contains("open files");
    assert!(said, "{name} with {} connections: {ended:?}", open.len());
}

/// The edges of HTTP, on a model that waits for readiness and on one that waits for completion.
macro_rules! on_both {
    ($($test:ident)*) => {$(
        #[test]
        fn $test() {
            for model in ["tokio", "compio"] {
                if available(model).is_some() {
                    let server = Server::of(model, SERVICE);
                    edges::$test(server.at);
                }
            }
        }
    )*};
}

on_both! {
    pipelined_requests_are_answered_in_order
    a_request_may_come_byte_by_byte
    http_1_0_closes_unless_it_is_told_to_keep
    close_is_honoured
    head_has_the_head_of_get_and_no_body
    bodies_are_skipped_and_waited_for
    a_client_that_expects_is_told_to_go_on
    what_is_not_here_is_404_and_what_is_not_known_405
    what_cannot_be_read_is_refused_and_ends_the_connection
}

mod edges {
    use super::*;

    pub(super) fn pipelined_requests_are_answered_in_order(server: At) {
        let mut client = server.connect();
        let requests = (0..300).map(|index| format!("GET /{} HTTP/1.1\r\n\r\n", index % 7));
        client.send(&requests.collect::<String>());
        for index in 0..300 {
            assert_eq!(client.response().body, server.body(index % 7));
        }
    }

    pub(super) fn a_request_may_come_byte_by_byte(server: At) {
        let mut client = server.connect();
        for byte in "POST /9 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc".chars() {
            client.send(&byte.to_string());
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(client.response().body, server.body(9));
    }

    pub(super) fn http_1_0_closes_unless_it_is_told_to_keep(server: At) {
        let mut client = server.connect();
        client.send("GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
        let kept = client.response();
        assert!(kept.has("connection: keep-alive"), "{kept:?}");
        client.send("GET /2 HTTP/1.0\r\n\r\n");
        let last = client.response();
        assert!(last.has("connection: close") && last.body == server.body(2), "{last:?}");
        assert!(client.is_closed());
    }

    pub(super) fn close_is_honoured(server: At) {
        let mut client = server.connect();
        let open = client.get(1);
        assert!(!open.headers.iter().any(|h| h.starts_with("connection")), "{open:?}");
        client.send("GET /1 HTTP/1.1\r\nConnection: Close\r\n\r\n");
        assert!(client.response().has("connection: close"));
        assert!(client.is_closed());
    }

    pub(super) fn head_has_the_head_of_get_and_no_body(server: At) {
        let mut client = server.connect();
        let get = client.get(5);
        client.send("HEAD /5 HTTP/1.1\r\n\r\n");
        let head = client.head();
        assert_eq!((head.status, &head.headers), (200, &get.headers));
        assert_eq!(client.get(5), get, "nothing came between");
        assert!(get.has("content-type: text/plain"));
    }

    pub(super) fn bodies_are_skipped_and_waited_for(server: At) {
        let mut client = server.connect();
        // More than is read at a time, and full of what would be requests.
        let body = "GET /0 HTTP/1.1\r\n\r\n".repeat(1000);
        for method in ["POST", "PUT", "GET"] {
            client.send(&format!("{method} /3 HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len()));
            client.send(&body);
            assert_eq!(client.response().body, server.body(3), "{method}");
        }
        assert_eq!(client.get(4).body, server.body(4));
    }

    pub(super) fn a_client_that_expects_is_told_to_go_on(server: At) {
        let mut client = server.connect();
        client.send("PUT /6 HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
        assert_eq!(client.head().status, 100);
        client.send("ab");
        assert_eq!(client.response().body, server.body(6));
        // What comes with the body waits for nothing.
        client.send("PUT /6 HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\nab");
        assert_eq!(client.response().status, 200);
    }

    pub(super) fn what_is_not_here_is_404_and_what_is_not_known_405(server: At) {
        let mut client = server.connect();
        client.send("GET /nothing HTTP/1.1\r\n\r\nDELETE /1 HTTP/1.1\r\n\r\n");
        let missing = client.response();
        assert!(missing.status == 404 && missing.body.contains("index"), "{missing:?}");
        let method = client.response();
        assert!(method.status == 405 && method.has("allow: GET, HEAD, POST, PUT"), "{method:?}");
        assert_eq!(client.get(1).status, 200, "the connection stays");
        client.send("GET /8?x=%20/y HTTP/1.1\r\n\r\n");
        assert_eq!(client.response().body, server.body(8));
    }

    pub(super) fn what_cannot_be_read_is_refused_and_ends_the_connection(server: At) {
        for (request, status) in [
            ("this is not HTTP\r\n\r\n".to_owned(), 400),
            ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(), 400),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65)), 431),
            (format!("GET /{} HTTP/1.1\r\n\r\n", "1".repeat(17 << 10)), 431),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".into(),
                501,
            ),
        ] {
            let mut client = server.connect();
            client.send("GET /2 HTTP/1.1\r\n\r\n");
            client.send(&request);
            assert_eq!(client.response().body, server.body(2), "what came before is answered");
            let refused = client.response();
            assert_eq!(refused.status, status, "{request:.40}");
            assert!(refused.has("connection: close") && !refused.body.is_empty(), "{refused:?}");
            assert!(client.is_closed());
        }
    }
}

#[test]
fn a_job_that_fails_is_500_with_its_error_and_the_connection_stays() {
    let job = workload("name = \"lost\"\njob = [{ connect = \"echo\" }]");
    for name in ["threads", "tokio", "compio"] {
        let Some(entry) = available(name) else { continue };
        let server = Server::start(&program(), entry, &job, None);
        let mut client = server.connect();
        for _ in 0..2 {
            let response = client.get(1);
            assert_eq!(response.status, 500);
            assert!(response.body.contains("refused"), "{name}: {response:?}");
        }
    }
}

#[test]
fn a_pool_serves_as_many_connections_as_it_has_workers_and_the_next_when_one_closes() {
    for name in ["pool", "rayon"] {
        let server = Server::of(name, SERVICE);
        let (mut first, mut second) = (server.connect(), server.connect());
        assert_eq!(first.get(1).body, server.body(1));
        assert_eq!(second.get(2).body, server.body(2));
        let mut third = server.connect();
        third.send("GET /3 HTTP/1.1\r\n\r\n");
        third.0.get_mut().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(third.0.fill_buf().is_err(), "{name}: a third is not served beside two");
        third.0.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        drop(first);
        assert_eq!(third.response().body, server.body(3), "{name}");
    }
}

#[test]
fn a_server_answers_nothing_but_its_usage() {
    let mut server = Server::of("tokio", SERVICE);
    let error = server.host.attest(PATIENCE).unwrap_err().to_string();
    assert!(error.contains("is a server"), "{error}");
    assert!(server.host.usage(PATIENCE).is_ok());
}

#[test]
fn a_server_ends_with_its_parents_input() {
    let job = workload("name = \"one-sleep\"\njob = [{ sleep = \"1ms\" }]");
    let cell = cell(models::find("threads").unwrap(), None, &job, vec![]);
    let mut host = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .arg("__host")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut requests = host.stdin.take().unwrap();
    writeln!(requests, "{}", serde_json::to_string(&Request::Serve(cell)).unwrap()).unwrap();
    let mut reply = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut reply).unwrap();
    assert!(reply.contains("127.0.0.1:"), "{reply}");
    drop(requests);
    assert!(host.wait().unwrap().success());
}

#[test]
fn curl_understands_it() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("curl is not here: not tried");
        return;
    }
    let server = Server::of("tokio", SERVICE);
    let url = |index| format!("http://{}/{index}", server.address);
    let output = Command::new("curl")
        .args(["-sS", "--fail", "--noproxy", "*", "-d", "a body", &url(1), &url(2)])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, server.body(1) + &server.body(2), "{:?}", output.stderr);
}
