//! A server of each model, and a client that sends what it is told to.
#![allow(dead_code, unreachable_pub, reason = "no test file uses all of it")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Deref,
    sync::LazyLock,
    time::Duration,
};

use paceline_core::{
    job::{Addresses, Jobs, Workload},
    models::{self, Entry},
    process::{Host, Program},
    protocol::CellSpec,
    suite_server::EchoServer,
};

pub const PATIENCE: Duration = Duration::from_mins(1);

pub const SERVICE: &str = r#"
name = "service"
job  = [
    { connect = "echo" },
    { exchange = { bytes = 100, times = 1 } },
    { sleep = "1ms" },
    { offload = [{ compute = 1_000 }] },
]
every = { nth = 3, job = [{ sleep = "1ms" }, { compute = 7 }] }"#;

pub fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_paceline"))
}

pub fn workload(text: &str) -> Workload {
    Workload::parse("test.toml", text).unwrap()
}

pub fn cell(entry: &Entry, workers: Option<usize>, job: &Workload, servers: Addresses) -> CellSpec {
    CellSpec {
        model: entry.info.name.into(),
        workers,
        placement: entry.info.placements[0],
        workload: job.name.clone(),
        source: job.source.clone(),
        scale: 1,
        servers,
        listen: None,
    }
}

/// An address at which nobody listens: the end of a connection holds it, so no other test can take it meanwhile.
pub fn dead() -> SocketAddr {
    static ENDS: LazyLock<(TcpListener, TcpStream)> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener, stream)
    });
    ENDS.1.local_addr().unwrap()
}

/// A server, with what it talks to. It ends when this is dropped.
pub struct Server {
    pub host: Host,
    pub at: At,
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
pub struct At {
    pub address: SocketAddr,
    pub jobs: Jobs,
}

impl Server {
    pub fn start(
        program: &Program,
        entry: &Entry,
        job: &Workload,
        echo: Option<EchoServer>,
    ) -> Self {
        let workers = entry.info.workers(&[2])[0];
        let mut host = program.host(entry, workers).unwrap();
        let nowhere = || Addresses { echo: vec![dead()], ..Addresses::default() };
        let servers = echo.as_ref().map_or_else(nowhere, |echo| echo.addresses().clone());
        let address = host.serve(cell(entry, workers, job, servers), PATIENCE).unwrap();
        assert!(address.ip().is_loopback());
        Server { host, at: At { address, jobs: Jobs::load(job) }, _echo: echo }
    }

    pub fn of(name: &str, job: &str) -> Self {
        let entry = models::find(name).unwrap();
        Self::start(&program(), entry, &workload(job), Some(program().echo().unwrap()))
    }
}

impl At {
    pub fn connect(self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    pub fn body(self, index: usize) -> String {
        self.jobs.expected(index).body()
    }
}

pub struct Client(pub BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<String>,
    pub body: String,
}

impl Response {
    pub fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|one| one == header)
    }
}

impl Client {
    pub fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub fn get(&mut self, index: usize) -> Response {
        self.send(&format!("GET /{index} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.response()
    }

    pub fn response(&mut self) -> Response {
        let mut response = self.head();
        let length = response.headers.iter().find_map(|h| h.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    pub fn head(&mut self) -> Response {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.strip_suffix("\r\n") {
                Some("") => break,
                // The case of a header's name says nothing: servers of other languages write it as they like.
                Some(line) => lines.push(match line.split_once(": ") {
                    Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
                    None => line.to_owned(),
                }),
                None => panic!("the connection ended after {lines:?} and {line:?}"),
            }
        }
        let status = lines.remove(0);
        let status = status.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Response { status, headers: lines, body: String::new() }
    }

    /// Whether the server has closed, with nothing more said.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = String::new();
        match self.0.read_to_string(&mut rest) {
            Ok(count) => count == 0,
            // Closed with something of ours unread.
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// The model, unless it cannot run here.
pub fn available(name: &str) -> Option<&'static Entry> {
    let Ok(entry) = models::find(name) else {
        assert_ne!(std::env::consts::OS, "linux", "{name} is no model");
        return None;
    };
    if let Err(why) = (entry.info.available)() {
        let foreign = entry.info.foreign.is_some() && why.contains("install");
        assert!(foreign || why.contains("io_uring"), "{name} cannot run here: {why}");
        eprintln!("skipped {name}: {why}");
        return None;
    }
    Some(entry)
}
