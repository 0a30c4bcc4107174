//! Every model is a server whose responses are the receipts foretold.

#[macro_use]
mod each_model;
mod server;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Barrier,
    thread,
    time::Duration,
};

use paceline_core::{
    job::{Addresses, Workload},
    models,
    process::Program,
    protocol::Request,
    workloads,
};
use server::{PATIENCE, SERVICE, Server, available, cell, program, workload};

const REQUESTS: usize = 20;

/// All connections are open before the first request and stay open until all are answered: they are served at once.
fn serves(name: &str, job: &Workload) {
    let Some(entry) = available(name) else { return };
    if let Some(lack) = entry.info.unsupported_as_server_step(job) {
        let pools = ["pool", "rayon", "python-threads", "python-processes"];
        assert!(job.has("gather") && pools.contains(&name), "{lack}");
        let workers = entry.info.workers(&[2])[0];
        let mut host = program().host(entry, workers).unwrap();
        let refused =
            host.serve(cell(entry, workers, job, Addresses::default()), PATIENCE).unwrap_err();
        assert_eq!(refused.to_string(), lack);
        return;
    }
    let mut server = Server::start(&program(), entry, job, Some(program().echo().unwrap()));
    let connections = entry.info.connections(2).unwrap_or(8);
    let all_open = Barrier::new(connections);
    server.host.watch(true, PATIENCE).unwrap();
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
    let seen = server.host.seen(PATIENCE).unwrap();
    seen.check(&entry.info, job, entry.info.workers(&[2])[0]).unwrap();
    let counted = entry.info.foreign.is_none();
    assert_eq!(seen.job_threads.is_some_and(|threads| threads > 0), counted, "{name}: {seen:?}");
    let first = server.host.usage(PATIENCE).unwrap().cpu_ns();
    assert_eq!(server.connect().get(7).body, server.body(7), "{name}, after the others closed");
    assert!(server.host.usage(PATIENCE).unwrap().cpu_ns() > first && first > 0);
}

macro_rules! tests_of {
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
            assert!(models::MODELS.iter().all(|entry| tested.contains(&entry.info.name)));
        }
    };
}

each_model!(tests_of);

/// Spinning on an accept that fails would look like load.
fn ends_without_descriptors(name: &str) {
    let Some(entry) = available(name) else { return };
    if ["sequential", "python-sequential", "python-processes"].contains(&name) {
        return; // One connection at once in each process: it cannot run out.
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

#[test]
fn a_pool_serves_as_many_connections_as_it_has_workers_and_the_next_when_one_closes() {
    for name in ["pool", "rayon", "python-threads", "python-processes"] {
        let Some(_) = available(name) else { continue };
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
    let cell = cell(models::find("threads").unwrap(), None, &job, Addresses::default());
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
fn how_many_connections_a_model_serves_at_once_is_known() {
    for (name, at_once) in [
        ("sequential", Some(1)),
        ("pool", Some(3)),
        ("rayon", Some(3)),
        ("threads", None),
        ("tokio", None),
        ("may", None),
        ("asyncio", None),
        ("python-processes", Some(3)),
        ("python-sequential", Some(1)),
    ] {
        assert_eq!(models::find(name).unwrap().info.connections(3), at_once, "{name}");
    }
}
