//! One load of several generators: the load of a single one, or none at all.
#![cfg(target_os = "linux")]

mod listener;
mod program;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use listener::{alone, each_connection};
use paceline::record::{Cell, State};
use paceline_core::{
    generator::{
        Agent, Arrivals, Drive, Interval, LineConnection, MergedLoad, Options, Order, Request,
        Share, sum_mismatch,
    },
    process::{HostError, Program},
};
use program::{PACELINE, await_that, children, figures, is_held_up, signal};
use rustix::process::Signal;

const MS: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_mins(1);

/// What a server has been sent.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
    paths: Mutex<BTreeMap<String, u64>>,
}

/// A server that answers each request with its path, after so long.
fn server(delay: Duration) -> (SocketAddr, Arc<Seen>) {
    let all: Arc<Seen> = Arc::default();
    let seen = all.clone();
    let address = each_connection(move |mut stream| {
        seen.connections.fetch_add(1, Relaxed);
        let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(line)) = head.next() {
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            seen.requests.fetch_add(1, Relaxed);
            *seen.paths.lock().unwrap().entry(path.clone()).or_default() += 1;
            thread::sleep(delay);
            let length = path.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}");
            if stream.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
    });
    (address, all)
}

fn await_requests(seen: &Seen, count: u64) {
    await_that("a load comes", || seen.requests.load(Relaxed) >= count);
}

fn order(address: SocketAddr, drive: Drive, connections: usize) -> Order {
    let requests = (0..5).map(|n| Request::get(format!("/{n}"), Some(format!("/{n}"))));
    Order {
        same_server: true,
        requests: requests.collect(),
        seed: 7,
        ..listener::order(address, drive, connections, [200, 700, 60_000])
    }
}

fn program() -> Program {
    Program::at(PACELINE)
}

fn together(order: &Order, generators: usize) -> Result<(MergedLoad, Vec<Interval>), HostError> {
    let mut intervals = Vec::new();
    let found =
        program().load_together(order, generators, PATIENCE, &mut |one| intervals.push(one))?;
    Ok((found, intervals))
}

#[test]
fn the_server_is_sent_the_same_requests_whatever_the_number_of_generators() {
    let _alone = alone();
    let others = vec![Request::get("/other", Some("/other".into()))];
    let weights = Options { weights: vec![1, 2, 3, 4, 5], ..Options::default() };
    for arrivals in [Arrivals::Uniform, Arrivals::Poisson, Arrivals::Burst] {
        for (drive, every, options) in [
            (Drive::Open { rate: 300.0, arrivals }, Some((4, others.clone())), Options::default()),
            (Drive::Ramp { from: 50.0, to: 500.0, arrivals }, None, weights.clone()),
        ] {
            let sent = |generators| {
                let (address, seen) = server(Duration::ZERO);
                let every = every.clone();
                let order = Order { every, options: options.clone(), ..order(address, drive, 8) };
                let (MergedLoad { whole, each }, _) = together(&order, generators).unwrap();
                assert_eq!((each.len(), whole.unfinished), (generators, 0), "{whole:?}");
                assert_eq!(whole.latency.count, whole.offered);
                let counts = [whole.offered, whole.completed, whole.answered];
                (counts, seen.paths.lock().unwrap().clone())
            };
            let wanted = sent(1);
            assert!(wanted.0[0] > 50, "{wanted:?}");
            for generators in [2, 5] {
                assert_eq!(sent(generators), wanted, "{drive:?} of {generators} generators");
            }
        }
    }
}

#[test]
fn connections_that_end_before_the_start_are_replaced_and_are_no_reconnects_of_the_load() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicU64::new(0));
    let count = accepted.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, number) = (stream.unwrap(), count.fetch_add(1, Relaxed));
            thread::spawn(move || {
                // The first four connections end in the two seconds before the common start.
                if number < 4 {
                    return thread::sleep(Duration::from_millis(300));
                }
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for _ in lines.map_while(Result::ok).filter(String::is_empty) {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                        break;
                    }
                }
            });
        }
    });
    let drive = Drive::Open { rate: 50.0, arrivals: Arrivals::Uniform };
    let requests = vec![Request::get("/", None)];
    let (MergedLoad { whole, .. }, _) =
        together(&Order { requests, ..order(address, drive, 4) }, 2).unwrap();
    assert_eq!((whole.completed, accepted.load(Relaxed)), (whole.offered, 8), "{whole:?}");
    assert_eq!(whole.reconnects, 0, "{whole:?}");
}

#[test]
fn the_figures_of_all_add_up_to_the_whole_and_so_do_their_intervals() {
    let _alone = alone();
    for drive in [Drive::Closed, Drive::Open { rate: 400.0, arrivals: Arrivals::Poisson }] {
        let (address, seen) = server(Duration::from_millis(2));
        let order = Order { interval_ns: Some(100 * MS), ..order(address, drive, 5) };
        let (MergedLoad { whole, each }, intervals) = together(&order, 3).unwrap();
        let connections: Vec<u64> = each.iter().map(|one| one.connections).collect();
        assert_eq!((connections, whole.connections), (vec![2, 2, 1], 5));
        assert_eq!(seen.connections.load(Relaxed), 5);
        assert_eq!(seen.requests.load(Relaxed), whole.answered);
        let sum =
            |of: fn(&paceline_core::generator::Loaded) -> u64| each.iter().map(of).sum::<u64>();
        assert_eq!(whole.offered, sum(|one| one.offered));
        assert_eq!(whole.latency.count, sum(|one| one.latency.count));
        assert!(each.iter().all(|one| one.elapsed_ns == whole.elapsed_ns && one.completed > 0));
        let starts: Vec<u64> = intervals.iter().map(|one| one.start_ns / MS).collect();
        assert_eq!(starts, [0, 100, 200, 300, 400, 500, 600]);
        assert_eq!(sum_mismatch(&intervals, &whole), None);
    }
}

/// A program of which one process, the first that comes, does something else than generate load.
fn one_that(folder: &Path, does: &str) -> Program {
    let path = folder.join("program");
    let first = folder.join("first");
    let first = first.display();
    let text = format!(
        "#!/bin/sh\nif mkdir \"{first}\" 2>/dev/null; then {does}; fi\nexec \"{PACELINE}\" \"$@\"\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    Program::at(path)
}

#[test]
fn if_one_generator_does_not_report_or_confirm_nobody_starts() {
    let _alone = alone();
    for (does, patience, words) in [
        ("exec sleep 60", 5, "did not report within 5s: nothing is measured"),
        (
            "read o; echo '\"ready\"'; exec sleep 60",
            60,
            "did not confirm the start within 1s: nothing",
        ),
        (
            "read o; echo '\"ready\"'; read s; exit 9",
            60,
            "was lost, the load is void: exit status: 9",
        ),
        ("read o; echo '{\"fault\":{\"failed\":\"no room\"}}'; exec sleep 60", 60, "no room"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (address, seen) = server(Duration::ZERO);
        let drive = Drive::Open { rate: 1000.0, arrivals: Arrivals::Uniform };
        let order = order(address, drive, 6);
        let program = one_that(folder.path(), does);
        let patience = Duration::from_secs(patience);
        let error = program.load_together(&order, 3, patience, &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains(words), "{error} does not say {words:?}");
        assert_eq!(seen.requests.load(Relaxed), 0, "{words}");
    }
}

#[test]
fn a_generator_that_hears_too_late_of_a_start_that_others_share_does_not_start() {
    let _alone = alone();
    for (of, words) in [(2, "heard of the common start"), (1, "agreed")] {
        let (address, seen) = server(Duration::ZERO);
        let mut order = order(address, Drive::Closed, 1);
        order.options.share = Share { index: 0, of };
        let mut program = Command::new(PACELINE);
        program.arg("__load");
        let (mut child, mut input, mut output) = listener::generator(program, &order);
        assert_eq!(output.next().unwrap().unwrap(), "\"ready\"");
        assert_eq!(seen.requests.load(Relaxed), 0);
        writeln!(input, "{{\"at_ns\":1}}").unwrap();
        let said = output.next().unwrap().unwrap();
        assert!(said.contains(words), "{said}");
        if of == 1 {
            await_requests(&seen, 1);
        }
        drop(input);
        child.wait().unwrap();
        assert_eq!(of == 2, seen.requests.load(Relaxed) == 0);
    }
}

#[test]
fn a_load_on_another_node_may_last_longer_than_its_agent_waits_between_messages() {
    let _alone = alone();
    let (address, _) = server(Duration::ZERO);
    let meeting = TcpListener::bind("127.0.0.1:0").unwrap();
    let agent = TcpStream::connect(meeting.local_addr().unwrap()).unwrap();
    let agent = thread::spawn(move || {
        let connection = LineConnection::new(agent).unwrap();
        connection.run_agent(&program(), &[], Duration::from_secs(5))
    });
    let connection = LineConnection::new(meeting.accept().unwrap().0).unwrap();
    let mut agents = [Agent::new(connection, "b".into())];
    let drive = Drive::Open { rate: 50.0, arrivals: Arrivals::Uniform };
    let long = Order { duration_ns: 8_000 * MS, ..order(address, drive, 4) };
    let whole = Agent::load_together(&mut agents, &long, PATIENCE, &mut |_| ()).unwrap().whole;
    assert_eq!(whole.elapsed_ns, long.duration_ns);
    agents[0].end();
    agent.join().unwrap().unwrap();
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    program::paceline(folder, [&["load"], arguments].concat())
}

#[test]
fn a_generator_that_is_killed_in_mid_load_makes_the_load_void() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (address, seen) = server(Duration::ZERO);
    let url = format!("http://{address}/");
    let load = ["--rate", "200", "--connections", "9", "--generators", "3", "--every", "500ms"];
    let long = ["--warm-up", "0s", "--duration", "10m", "--trials", "1", "--format", "json"];
    let parent = command(folder.path(), &[&[&*url][..], &load, &long].concat()).spawn().unwrap();
    await_requests(&seen, 100);
    let generators = children(parent.id(), "__load");
    assert_eq!(generators.len(), 3);
    signal(generators[1], Signal::KILL);
    // Of a load of ten minutes.
    let output = parent.wait_with_output().unwrap();
    let is_there = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
    assert!(!generators.iter().any(is_there), "left behind: {generators:?}");
    let cells: Vec<Cell> = program::json(&output);
    let [cell] = &cells[..] else { panic!("one cell: {cells:?}") };
    assert_eq!((cell.state, output.status.code()), (State::Failed, Some(3)));
    let why = cell.reason.as_ref().unwrap();
    let words = ["generator ", " of 3 was lost, the load is void: signal 9"];
    assert!(words.iter().all(|word| why.contains(word)), "{why}");
    // Nothing of what the others saw is told as if it were the load.
    let figures = cell.load.as_ref().unwrap();
    assert_eq!((cell.jobs_per_second, &cell.latency), (None, &None));
    assert_eq!((figures.offered, figures.completed, figures.generators()), (0, 0, 3));
    assert!(figures.intervals.is_empty());
}

/// The cells of a load with these arguments, tried again if a generator was kept from the CPU.
fn calm(folder: &Path, arguments: &[&str]) -> Option<Vec<Cell>> {
    let quick = ["--warm-up", "200ms", "--patience", "10s", "--format", "json"];
    program::calm(|| {
        let output = command(folder, &[arguments, &quick].concat()).output().unwrap();
        Some(program::json(&output)).filter(|cells: &Vec<Cell>| !cells.iter().any(is_held_up))
    })
}

#[test]
fn the_record_and_the_table_say_how_many_there_were_and_what_each_had() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let rate = ["serve-plain", "--model", "tokio", "--rate", "300", "--connections", "7"];
    let more = ["--generators", "2", "--trials", "2", "--duration", "1s", "--every", "500ms"];
    let Some(cells) = calm(folder.path(), &[&rate[..], &more].concat()) else { return };
    let load = figures(&cells[0]);
    let [one, two] = &load.generators[..] else { panic!("two: {load:?}") };
    assert_eq!((one.connections, two.connections, load.connections), (4, 3, 7));
    assert_eq!(one.offered + two.offered, load.offered);
    assert_eq!(one.completed + two.completed, load.completed);
    let worst = one.cpu_share_max.unwrap().max(two.cpu_share_max.unwrap());
    assert_eq!(load.generator_cpu_share_max, Some(worst));
    assert_eq!(load.intervals.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    let runs = fs::read_dir(folder.path().join("results")).unwrap();
    let last = runs.map(|run| run.unwrap().path()).max().unwrap();
    let run: serde_json::Value =
        serde_json::from_slice(&fs::read(last.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["settings"]["generators"], 2, "{run}");
    let last = last.to_str().unwrap();
    let report = program::run(folder.path(), ["report", last, "--format", "table"]);
    let report = program::printed(&report, 0);
    assert!(report.contains(", 2 generators"), "{report}");
    assert!(report.contains("of its 2 generators the busiest used "), "{report}");
}

#[test]
fn the_knee_and_two_servers_in_turns_are_measured_by_several_generators_too() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let both = ["--generators", "2", "--connections", "4", "--duration", "500ms"];
    let [fast, slow] = [10, 60].map(|ms| {
        let (address, _) = server(Duration::from_millis(ms));
        format!("http://{address}/")
    });
    let against = [&fast, "--against", &slow, "--trials", "3"];
    let Some(cells) = calm(folder.path(), &[&against[..], &both].concat()) else { return };
    assert!(cells.iter().all(|cell| figures(cell).generators.len() == 2));
    assert!(figures(&cells[1]).against.as_ref().unwrap().latency_p50.unwrap().lower > 2.0);
    let knee = [&*fast, "--p99-limit", "100ms", "--rate", "250"];
    let Some(cells) = calm(folder.path(), &[&knee[..], &both].concat()) else { return };
    // Four connections of at least 10 ms each.
    assert!(figures(&cells[0]).rate.unwrap() < 440.0, "{:?}", cells[0].load);
    assert_eq!(figures(&cells[0]).generators.len(), 2);
}

#[test]
fn a_generator_that_is_kept_from_the_cpu_is_named() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (address, seen) = server(Duration::ZERO);
    let url = format!("http://{address}/");
    let load = [&*url, "--rate", "1200", "--generators", "4", "--duration", "3s", "--trials", "1"];
    let more = ["--connections", "8", "--warm-up", "0s", "--format", "json"];
    let parent = command(folder.path(), &[&load[..], &more].concat()).spawn().unwrap();
    await_requests(&seen, 50);
    let generator = children(parent.id(), "__load")[1];
    signal(generator, Signal::STOP);
    // A thirtieth of the starts of one in four: of all starts under 1 %, which is the limit.
    thread::sleep(Duration::from_millis(100));
    signal(generator, Signal::CONT);
    let output = parent.wait_with_output().unwrap();
    let cells: Vec<Cell> = program::json(&output);
    assert_eq!((cells[0].state, output.status.code()), (State::Invalid, Some(3)));
    let why = cells[0].reason.as_ref().unwrap();
    assert!(why.starts_with("generator late: ") && why.contains(" of 4)"), "{why}");
}

#[test]
fn a_model_that_serves_fewer_connections_than_there_are_generators_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let pool = ["serve-plain", "--model", "pool", "--workers", "2", "--rate", "10"];
    let three = [&pool[..], &["--generators", "3", "--format", "json"]].concat();
    let output = command(folder.path(), &three).output().unwrap();
    let cells: Vec<Cell> = program::json(&output);
    assert_eq!((cells[0].state, output.status.code()), (State::Refused, Some(3)));
    let why = cells[0].reason.as_ref().unwrap();
    assert!(why.contains("3 generators cannot share 2 connections"), "{why}");
}
