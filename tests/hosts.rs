//! Load between nodes: the server on one, generators on others, and no socket at any other address.
#![cfg(target_os = "linux")]

#[path = "hosts/disks.rs"]
mod disks;
#[path = "hosts/ended.rs"]
mod ended;
#[path = "hosts/engines.rs"]
mod engines;
mod listener;
#[path = "hosts/machines.rs"]
mod machines;
#[path = "hosts/own_server.rs"]
mod own_server;
mod program;
#[path = "hosts/refused.rs"]
mod refused;
#[path = "server/mod.rs"]
mod server;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use paceline::{
    machine::Fingerprint,
    record::{Cell, State},
};
use paceline_core::{
    generator::{Drive, LeaderMessage, Options, Order, Request},
    models,
    network::Listen,
};
use program::{PACELINE, await_that, both as said, call, load_words, ok, record_in};
use server::{PATIENCE, cell, program, workload};
use sha2::{Digest, Sha256};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Returns a call of `paceline cluster`, by the command `inside`.
fn paceline(folder: &Path, inside: &[&str], arguments: &[&str]) -> Command {
    let words = [inside, &[PACELINE, "cluster"], arguments].concat();
    call(words[0], folder, &words[1..])
}

/// Plans a load of a second.
fn plan(folder: &Path, nodes: &[&str], more: &str) -> Output {
    let more = format!("--duration 1s {more}");
    paceline(folder, &[], &load_words("plan", nodes, &more)).output().unwrap()
}

/// Plans as [`plan`] does, which must succeed.
fn planned(folder: &Path, nodes: &[&str], more: &str) {
    let output = plan(folder, nodes, more);
    assert!(output.status.success(), "{}", said(&output));
}

fn work(folder: &Path, inside: &[&str], node: &str) -> Child {
    paceline(folder, inside, &["work", "plan", "0000", "--node", node]).spawn().unwrap()
}

/// Waits until all have ended, with 0.
fn all_end_well(nodes: impl IntoIterator<Item = Child>) {
    for node in nodes {
        let output = program::ended(node);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

/// Checks for this exit code, and one sentence with each of `words`.
fn fails(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    let said = program::said(output);
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// Collects, and returns the cells of the record.
fn collected(folder: &Path) -> Vec<Cell> {
    collected_with(folder, &[])
}

/// Collects with `more` options, and returns the cells of the record.
fn collected_with(folder: &Path, more: &[&str]) -> Vec<Cell> {
    let output = paceline(folder, &[], &[&["collect", "plan"], more].concat()).output().unwrap();
    // On a busy machine a load may be invalid, which is 3.
    assert!([Some(0), Some(3)].contains(&output.status.code()), "{}", said(&output));
    let record = record_in(folder);
    let nodes = fs::read_to_string(record.join("nodes.json")).unwrap();
    assert!(nodes.contains("\"id\": \"a\"") && nodes.contains("\"id\": \"b\""), "{nodes}");
    let cells = fs::read_to_string(record.join("cells.jsonl")).unwrap();
    cells.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn generators_on_other_nodes_share_a_load_and_the_record_says_where_all_of_it_was() {
    for generators in [&["b=127.0.0.2"][..], &["b=127.0.0.2", "c=127.0.0.3"]] {
        let folder = tempfile::tempdir().unwrap();
        let nodes: Vec<&str> = ["a=127.0.0.1"].iter().chain(generators).copied().collect();
        let port = if generators.len() == 1 { "--port 17501" } else { "--port 17502" };
        planned(folder.path(), &nodes, port);
        let names = nodes.iter().map(|node| node.split('=').next().unwrap());
        all_end_well(names.map(|name| work(folder.path(), &[], name)).collect::<Vec<_>>());
        let cells = collected(folder.path());
        assert_eq!(cells.len(), 1, "{cells:?}");
        let load = cells[0].load.as_ref().unwrap();
        let hosts = load.hosts.as_ref().unwrap_or_else(|| panic!("{:?}", cells[0]));
        assert_eq!((&*hosts.server, hosts.generators.len()), ("a", generators.len()));
        assert_eq!(load.generators.len(), generators.len());
        assert!(hosts.shared_host && cells[0].is_shared_host(), "one boot id is not reported");
        assert!(hosts.clock_uncertainty_ns.is_some());
        if cells[0].state == State::Ok {
            every_report_names_the_nodes(folder.path(), generators.len());
        }
    }
}

fn every_report_names_the_nodes(folder: &Path, generators: usize) {
    let record = record_in(folder);
    let report = |format: &str| {
        let text = ok(folder, &["report", record.to_str().unwrap(), "--format", format]);
        // Tables are folded to the terminal's width.
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (sentence, joined) = match generators {
        1 => ("on a, generator on b; start agreed within", "b"),
        _ => ("on a, generators on b and c; start agreed within", "b c"),
    };
    for format in ["table", "markdown"] {
        let text = report(format);
        assert!(text.contains(sentence) && text.contains("shared host, so not ranked"), "{text}");
    }
    let labels = format!(
        r#"server_node="a",generator_nodes="{joined}",shared_host="yes"}} {}"#,
        generators + 1
    );
    let text = report("openmetrics");
    assert!(text.contains(&labels), "{text}");
    assert!(text.contains("load_clock_uncertainty_seconds{"), "{text}");
    let text = report("csv");
    let columns = "server_node,generator_nodes,shared_host,clock_uncertainty_ns";
    assert!(text.contains(columns) && text.contains(&format!(",a,{joined},yes,")), "{text}");
    let page = fs::read_to_string(record.join("report.html")).unwrap();
    assert!(page.contains("Where the load was") && page.contains("no: shared host"));
}

#[test]
fn a_load_that_lost_a_generator_is_void_and_can_be_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = ["a=127.0.0.1", "b=127.0.0.2", "c=127.0.0.3"];
    let twice = plan(folder.path(), &nodes, "--port 17503 --duration 60s");
    assert!(twice.status.code() == Some(2), "a second --duration is an error: {}", said(&twice));
    planned(folder.path(), &nodes, "--port 17503 --seed 7");
    let leader = work(folder.path(), &[], "a");
    let mut lost = work(folder.path(), &[], "b");
    let other = work(folder.path(), &[], "c");
    // The attempt begins once all generators have connected.
    let begun = folder.path().join("plan/parts/0000");
    await_that("an attempt begins", || begun.exists());
    lost.kill().unwrap();
    lost.wait().unwrap();
    fails(
        &leader.wait_with_output().unwrap(),
        1,
        &["generator on b was lost, so the load is void"],
    );
    assert!(!other.wait_with_output().unwrap().status.success());
    let collect = paceline(folder.path(), &[], &["collect", "plan"]).output().unwrap();
    assert_eq!(collect.status.code(), Some(3), "{}", said(&collect));
    assert!(!folder.path().join("results").exists(), "{}", said(&collect));
    let attempt = fs::read_dir(&begun).unwrap().next().unwrap().unwrap().file_name();
    let why = format!(
        "no result of 1 of 1 block: 0000 (serve-plain at 4, server on a, generators on b and c: the attempt {} is not complete); nothing was recorded",
        attempt.to_string_lossy()
    );
    assert!(said(&collect).contains(&why), "{}", said(&collect));
    all_end_well(["a", "b", "c"].map(|name| work(folder.path(), &[], name)));
    assert_eq!(collected(folder.path()).len(), 1);
}

#[test]
fn a_server_gives_no_byte_to_a_connection_without_the_token_and_serves_one_with_it() {
    let job = workload("name = \"one\"\njob = [{ yield = 1 }]");
    let ip: std::net::IpAddr = "127.0.0.1".parse().unwrap();
    let asked = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    for entry in models::MODELS {
        let (name, workers) = (entry.info.name, entry.info.workers(&[2])[0]);
        if entry.info.unsupported_as_server_step(&job).is_some() {
            continue;
        }
        let echo = program().echo().unwrap();
        let mut spec = cell(entry, workers, &job, echo.addresses().clone());
        spec.listen = Some(Listen { address: ip, plan: vec![ip], token: TOKEN.into() });
        let mut host = program().host(entry, workers).unwrap();
        let address = match host.serve(spec, PATIENCE) {
            Ok(address) => address,
            Err(error) => {
                eprintln!("left out: {name}: {error}");
                continue;
            }
        };
        let answer = |first: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(format!("{first}{asked}").as_bytes()).unwrap();
            let mut all = Vec::new();
            // A close with unread bytes is a reset.
            let _ = stream.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        };
        for wrong in ["", "0123456789abcdef0123456789abcdee", "x"] {
            assert_eq!(answer(wrong), "", "{name} answers without the token");
        }
        assert!(answer(TOKEN).starts_with("HTTP/1.1 200"), "{name}: {}", answer(TOKEN));
    }
}

/// Connects to the leader as the generator on b with this token. Returns the first byte of the leader's answer, if any.
fn first_byte(hello: &str, token: &str) -> Option<u8> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect("127.0.0.1:17504") {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{token}{hello}\n").as_bytes()).unwrap();
    let mut first = [0];
    // A close with unread bytes is a reset.
    matches!(stream.read(&mut first), Ok(1)).then_some(first[0])
}

/// Returns the token of the plan, and what the generator on b says after it.
fn token_and_hello_of_b(folder: &Path) -> (String, String) {
    let file = |name: &str| fs::read_to_string(folder.join("plan").join(name)).unwrap();
    let hash = Sha256::digest(file("plan.json")).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let hello = serde_json::json!({ "plan": hash, "block": "0000", "node": {
        "id": "b", "host": "b", "boot_id": "", "fingerprint": Fingerprint::default(), "clock_ahead_seconds": null,
    } });
    (file("token").trim().to_owned(), hello.to_string())
}

#[test]
fn the_leader_sends_nothing_to_a_connection_that_lacks_only_the_token() {
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], "--port 17504");
    let (own, hello) = token_and_hello_of_b(folder.path());
    let mut leader = work(folder.path(), &[], "a");
    assert_eq!(first_byte(&hello, TOKEN), None);
    assert_eq!(first_byte(&hello, &own), Some(b'"'), "it asks for the time");
    leader.kill().unwrap();
    leader.wait().unwrap();
}

#[test]
fn an_agent_sends_nothing_to_an_address_outside_its_plan() {
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], "--port 17505");
    let listener = TcpListener::bind("127.0.0.1:17505").unwrap();
    let agent = work(folder.path(), &[], "b");
    let (leader, _) = listener.accept().unwrap();
    leader.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(&leader).lines();
    lines.next().unwrap().unwrap();
    // The order's own list has the address; the plan has not. Nobody has an address of class E.
    let elsewhere: std::net::SocketAddr = "240.0.0.1:80".parse().unwrap();
    let order = Order {
        addresses: vec![elsewhere],
        same_server: true,
        host: None,
        every: None,
        requests: vec![Request::get("/", None)],
        accept: vec![],
        drive: Drive::Closed,
        connections: 1,
        warm_up_ns: 0,
        duration_ns: 1_000_000,
        patience_ns: 1_000_000,
        interval_ns: None,
        seed: 1,
        options: Options { plan: vec![elsewhere.ip()], ..Options::default() },
    };
    let message = serde_json::to_string(&LeaderMessage::Load(1, Box::new(order))).unwrap();
    (&leader).write_all(format!("{message}\n").as_bytes()).unwrap();
    // The connection ends: an agent that obeys would say that its generator is ready.
    let more = lines.next().and_then(Result::ok);
    drop(leader);
    let output = agent.wait_with_output().unwrap();
    assert_eq!(more, None, "{}", said(&output));
    fails(&output, 1, &["240.0.0.1:80 is not at an address of the plan"]);
}

#[test]
fn a_leader_that_dies_before_the_load_is_lost_and_no_wrong_token() {
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], "--port 17508");
    let listener = TcpListener::bind("127.0.0.1:17508").unwrap();
    let agent = work(folder.path(), &[], "b");
    let leader = listener.accept().unwrap().0;
    drop((listener, leader));
    // Engines do not repeat what ends with 2.
    fails(&agent.wait_with_output().unwrap(), 1, &["a was lost before the load"]);
}

/// Two network namespaces joined by a veth pair.
struct Namespaces {
    names: [String; 2],
}

impl Namespaces {
    /// Creates them. Returns `None` after a message where the system does not allow that.
    fn make() -> Option<Self> {
        // Each test that makes some has its own.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let of = format!("{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed));
        let names = ["a", "b"].map(|end| format!("paceline-{end}-{of}"));
        let made = Namespaces { names };
        let [a, b] = &made.names;
        let script = format!(
            "ip netns add {a} && ip netns add {b} && ip link add va netns {a} type veth peer name vb netns {b} && \
             ip -n {a} addr add 10.93.1.1/24 dev va && ip -n {b} addr add 10.93.1.2/24 dev vb && \
             for n in {a} {b}; do ip -n $n link set lo up; done && ip -n {a} link set va up && ip -n {b} link set vb up"
        );
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        if output.status.success() {
            return Some(made);
        }
        eprintln!("left out: no network namespaces can be made here: {}", said(&output));
        None
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

/// Returns the local addresses of the sockets in a namespace, as in `/proc/net/tcp`.
fn sockets(name: &str) -> Vec<String> {
    let shown = Command::new("ip")
        .args(["netns", "exec", name, "cat", "/proc/net/tcp", "/proc/net/tcp6"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let local =
        |line: &str| line.split_whitespace().nth(1)?.split_once(':').map(|(ip, _)| ip.to_owned());
    text.lines().filter_map(local).filter(|ip| ip.bytes().all(|b| b.is_ascii_hexdigit())).collect()
}

#[test]
fn between_two_namespaces_only_the_addresses_of_the_plan_are_used() {
    let Some(two) = Namespaces::make() else { return };
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), &["a=10.93.1.1", "b=10.93.1.2"], "");
    let inside = two.names.each_ref().map(|name| ["ip", "netns", "exec", name]);
    let mut nodes = [work(folder.path(), &inside[0], "a"), work(folder.path(), &inside[1], "b")];
    // Little-endian: 10.93.1.1 and 10.93.1.2.
    let own = ["01015D0A", "02015D0A"];
    let mut seen = [false; 2];
    while nodes.iter_mut().any(|node| node.try_wait().unwrap().is_none()) {
        for (place, name) in two.names.iter().enumerate() {
            for ip in sockets(name) {
                seen[place] |= ip == own[place];
                let is_loopback = ip.len() == 8 && ip.ends_with("7F");
                assert!(is_loopback || ip == own[place], "{name} has a socket at {ip}");
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    all_end_well(nodes);
    assert_eq!(seen, [true; 2], "no connection was seen between the nodes");
    let cells = collected(folder.path());
    assert_eq!(cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap().server, "a");
}
