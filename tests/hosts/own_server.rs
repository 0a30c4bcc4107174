//! Load on a server of the user's own, at the address of the plan's server node: its delay, and its faults.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
    path::Path,
    process::Output,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use paceline::record::{Cell, State};
use paceline_core::generator::Arrivals;
use rustix::{
    process::Signal,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{
    Namespaces, all_end_well, await_that, collected,
    listener::each_connection_at,
    paceline,
    program::{calm, signal},
    said,
    server::{PATIENCE, dead},
    work,
};

/// The nodes of a load, with the network namespace that each is in: `None` for that of the test.
struct Nodes {
    addresses: [&'static str; 2],
    namespaces: Option<Namespaces>,
    port: u16,
}

impl Nodes {
    fn on_loopback(port: u16) -> Self {
        Nodes { addresses: ["127.0.0.1", "127.0.0.2"], namespaces: None, port }
    }

    fn in_namespaces(port: u16) -> Option<Self> {
        let namespaces = Some(Namespaces::make()?);
        Some(Nodes { addresses: ["10.93.1.1", "10.93.1.2"], namespaces, port })
    }

    /// Calls `act` on a thread in the namespace of the server's node. Threads that it starts stay there.
    fn beside_the_server<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let name = self.namespaces.as_ref().map(|both| both.names[0].as_str());
        let inside = || {
            if let Some(name) = name {
                let namespace = File::open(Path::new("/run/netns").join(name)).unwrap();
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).unwrap();
            }
            act()
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    fn plan(&self, folder: &Path, url: &str, more: &[&str]) -> Output {
        let [server, generator] = self.addresses;
        let (server, generator) = (format!("a={server}"), format!("b={generator}"));
        let port = self.port.to_string();
        let mut words = vec!["plan", url, "--server", &server, "--generator", &generator];
        words.extend(["--port", &port, "--trials", "1", "--out", "plan"]);
        words.extend(["--warm-up", "0s", "--duration", "500ms"]);
        words.extend(more);
        paceline(folder, &[], &words).output().unwrap()
    }

    /// Plans, works on both nodes and collects, in a new folder. Returns the only cell, and what was printed about it.
    fn load(&self, url: &str, more: &[&str]) -> (Cell, String) {
        let folder = tempfile::tempdir().unwrap();
        let planned = self.plan(folder.path(), url, more);
        assert_eq!(planned.status.code(), Some(0), "{}", said(&planned));
        let work = |place: usize, node: &str| {
            let name = self.namespaces.as_ref().map(|both| both.names[place].as_str());
            let inside: Vec<&str> =
                name.iter().flat_map(|name| ["ip", "netns", "exec", *name]).collect();
            let words = ["work", "plan", "0000", "--node", node];
            paceline(folder.path(), &inside, &words).spawn().unwrap()
        };
        all_end_well([work(0, "a"), work(1, "b")]);
        let collected = paceline(folder.path(), &[], &["collect", "plan"]).output().unwrap();
        let record = fs::read_dir(folder.path().join("results")).unwrap().next().unwrap().unwrap();
        let cells = fs::read_to_string(record.path().join("cells.jsonl")).unwrap();
        let cell: Cell = serde_json::from_str(cells.trim_end()).unwrap();
        let code = if cell.state == State::Ok { 0 } else { 3 };
        assert_eq!(collected.status.code(), Some(code), "{}", said(&collected));
        (cell, said(&collected))
    }
}

/// Gives this answer to each request. Returns where, and the first head of each connection.
fn answering(at: &str, answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let address = each_connection_at(at, move |mut stream| {
        let mut head = String::new();
        let mut is_first = true;
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            let Ok(line) = line else { return };
            head += &line;
            head.push('\n');
            if line.is_empty() {
                if is_first {
                    seen.lock().unwrap().push(head.clone());
                    is_first = false;
                }
                head.clear();
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    });
    (address, heads)
}

/// Forwards each connection to `to`, every byte so much later than it came, in both directions.
fn delaying(at: &str, to: SocketAddr, delay: Duration) -> SocketAddr {
    each_connection_at(at, move |client| {
        let server = TcpStream::connect(to).unwrap();
        server.set_nodelay(true).unwrap();
        let ends = [&client, &server].map(|stream| stream.try_clone().unwrap());
        thread::spawn(move || {
            let [client, server] = ends;
            forward(server, client, delay);
        });
        forward(client, server, delay);
    })
}

/// Reads at once and writes later, so that what comes meanwhile is not delayed twice.
fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (give, take) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (due, bytes) in take {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if give.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SICK: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nsick";

#[test]
fn a_planted_delay_of_5_ms_is_found_as_5_ms() {
    const DELAY: u64 = 5_000_000;
    /// What a busy machine may add to the median of the best of several loads.
    const MOST_ADDED: u64 = 2_000_000;
    let places = [Some(Nodes::on_loopback(17_511)), Nodes::in_namespaces(17_512)];
    for nodes in places.iter().flatten() {
        let (direct, delayed) = nodes.beside_the_server(|| {
            let at = format!("{}:0", nodes.addresses[0]);
            let direct = answering(&at, FINE).0;
            (direct, delaying(&at, direct, Duration::from_nanos(DELAY / 2)))
        });
        // Other programs only ever make a load slower, so the least median of several loads in turns is the truest.
        let deadline = Instant::now() + PATIENCE * 3;
        let mut least = [u64::MAX; 2];
        loop {
            for (least, at) in least.iter_mut().zip([direct, delayed]) {
                let (cell, printed) = nodes.load(&format!("http://{at}/"), &["--connections", "1"]);
                if cell.state != State::Ok {
                    eprintln!("once more: {printed}");
                    continue;
                }
                let latency = cell.latency.unwrap();
                if at == delayed {
                    let shortest = latency.histogram().unwrap().quantile(0.0);
                    assert!(shortest >= DELAY, "an answer came after {shortest} ns");
                }
                *least = (*least).min(latency.ns_p50);
            }
            let [direct, delayed] = least;
            if delayed < u64::MAX && direct < u64::MAX {
                let found = delayed.saturating_sub(direct);
                eprintln!("median: {direct} ns, with the delay {delayed} ns: {found} ns");
                if (DELAY..DELAY + MOST_ADDED).contains(&found) {
                    break;
                }
            }
            assert!(Instant::now() < deadline, "the medians are {least:?} ns");
        }
    }
}

#[test]
fn a_users_own_server_is_loaded_without_the_token_and_sees_the_url_as_typed() {
    let nodes = Nodes::on_loopback(17_513);
    let (address, heads) = answering("127.0.0.1:0", FINE);
    let (cell, printed) =
        nodes.load(&format!("http://{address}/a?b=1#c"), &["--rate", "200", "--connections", "4"]);
    // On a busy machine it may be invalid, for a reason of the generator.
    assert!([State::Ok, State::Invalid].contains(&cell.state), "{printed}");
    assert_eq!((&*cell.model, &*cell.workload), (&*address.to_string(), "/a?b=1"));
    let hosts = cell.load.unwrap().hosts.unwrap();
    assert_eq!((&*hosts.server, &*hosts.generators), ("a", &["b".to_owned()][..]));
    let heads = heads.lock().unwrap();
    assert!(!heads.is_empty());
    for head in &*heads {
        assert!(head.starts_with("GET /a?b=1 HTTP/1.1\n"), "{head}");
        assert!(head.to_lowercase().contains(&format!("host: {address}\n")), "{head}");
    }
}

#[test]
fn a_users_own_server_that_fails_or_is_not_there_fails_the_cell_with_the_reason() {
    let nodes = Nodes::on_loopback(17_514);
    let (sick, _) = answering("127.0.0.1:0", SICK);
    for (address, why) in [(sick, "status 500"), (dead(), "the connection was refused")] {
        let (cell, printed) =
            nodes.load(&format!("http://{address}/"), &["--rate", "200", "--connections", "4"]);
        assert_eq!(cell.state, State::Failed, "{printed}");
        let reason = cell.reason.unwrap();
        assert!(reason.contains(why) && reason.contains(&address.to_string()), "{reason}");
        assert!(cell.load.unwrap().hosts.is_some());
    }
}

#[test]
fn a_users_own_server_gets_the_method_and_may_answer_as_the_plan_says() {
    let nodes = Nodes::on_loopback(17_518);
    let (address, heads) = answering("127.0.0.1:0", SICK);
    let asked = "--rate 200 --connections 4 --method PUT --expect 204,500";
    let asked = format!("{asked} --arrivals uniform --timeout 5s --max-errors 2%");
    let more: Vec<&str> = asked.split(' ').collect();
    let (cell, printed) = nodes.load(&format!("http://{address}/"), &more);
    // On a busy machine it may be invalid, for a reason of the generator.
    assert!([State::Ok, State::Invalid].contains(&cell.state), "{printed}");
    let load = cell.load.unwrap();
    assert_eq!((load.timeout_seconds, load.arrivals), (Some(5.0), Some(Arrivals::Uniform)));
    let heads = heads.lock().unwrap();
    assert!(!heads.is_empty() && heads.iter().all(|head| head.starts_with("PUT / HTTP/1.1\n")));
}

/// Works on two trials of 1 s within 4 s. The leader is stopped for longer than that: once the first trial goes on, or
/// once the nodes have met.
fn stopped_leader(port: u16, in_load: bool) -> Cell {
    let (address, heads) = answering("127.0.0.1:0", FINE);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plan = format!(
        "plan http://{address}/ --server a=127.0.0.1 --generator b=127.0.0.2 --port {port} --trials 2 --out plan \
         --connections 4 --warm-up 0s --duration 1s --budget 4s"
    );
    let planned = paceline(folder, &[], &plan.split(' ').collect::<Vec<_>>()).output().unwrap();
    assert_eq!(planned.status.code(), Some(0), "{}", said(&planned));
    let [leader, generator] = ["a", "b"].map(|node| work(folder, &[], node));
    let begun = folder.join("plan/parts/0000");
    await_that("it begins", || {
        if in_load { !heads.lock().unwrap().is_empty() } else { begun.exists() }
    });
    signal(leader.id(), Signal::STOP);
    thread::sleep(Duration::from_secs(5));
    signal(leader.id(), Signal::CONT);
    all_end_well([leader, generator]);
    let cell = collected(folder).remove(0);
    eprintln!("{:?}: {:?}", cell.state, cell.reason);
    assert!(cell.trials() < 2, "the second trial had no time");
    cell
}

#[test]
fn a_load_whose_budget_is_used_up_keeps_the_trials_that_ended_and_skips_the_rest() {
    for (port, in_load, state, why) in [
        (17_516, false, State::Skipped, "the budget was used up before it; a trial takes at least"),
        (17_517, true, State::Ok, "1 of 2 trials ran before the budget was used up"),
    ] {
        // On a busy machine it may be stopped too late, or the generator kept from its CPU.
        let cell = calm(|| Some(stopped_leader(port, in_load)).filter(|cell| cell.state == state));
        let Some(cell) = cell else { continue };
        assert_eq!(cell.nodes.len(), usize::from(in_load));
        assert!(
            cell.reason.as_ref().is_some_and(|text| text.starts_with(why)),
            "{:?}",
            cell.reason
        );
    }
}
