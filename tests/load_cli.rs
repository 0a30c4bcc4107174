//! `paceline load` with right and wrong input, on servers of ours and on others that misbehave.

#[path = "load_cli/courses.rs"]
mod courses;
mod listener;
mod program;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Output},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use listener::{alone, each_connection_at};
use paceline::record::{Cell, Loop, State};
use paceline_core::generator::LEAST_LATE_STARTS;
use program::{child_that, folder, is_held_up, json, paceline, said, signal};
use rustix::process::Signal;

fn load(arguments: &[&str]) -> Output {
    let _alone = alone();
    program::run(folder().path(), [&["load"], arguments].concat())
}

/// The cells and the exit code, of quick trials.
fn cells(arguments: &[&str]) -> (Vec<Cell>, i32) {
    let quick = ["--duration=1s", "--warm-up=200ms", "--trials=1", "--patience=2s"];
    let given = |flag: &&&str| {
        let name = flag.split('=').next().unwrap_or_default();
        // A ramp brings its duration.
        let ramp = name == "--duration" && arguments.contains(&"--ramp");
        !ramp && !arguments.contains(&name)
    };
    let quick: Vec<&str> = quick.iter().filter(given).copied().collect();
    let output = load(&[arguments, &quick, &["--format", "json"]].concat());
    (json(&output), output.status.code().unwrap())
}

/// The same, tried again if the generator was kept from the CPU.
fn calm(arguments: &[&str]) -> Option<(Vec<Cell>, i32)> {
    program::calm(|| attempted(arguments))
}

/// Returns the cells of a load, unless the machine held it up.
fn attempted(arguments: &[&str]) -> Option<(Vec<Cell>, i32)> {
    Some(cells(arguments)).filter(|(cells, _)| !cells.iter().any(is_held_up))
}

#[test]
fn an_open_loop_keeps_its_rate_and_counts_from_the_intended_start() {
    for model in ["tokio", "threads"] {
        let open = ["--rate", "100", "--arrivals", "uniform", "--connections", "50"];
        let arguments = [&["serve-service", "--model", model][..], &open].concat();
        let Some((mut cells, code)) = calm(&arguments) else { return };
        assert_eq!((cells.len(), code), (1, 0), "{cells:?}");
        let cell = cells.remove(0);
        let (load, latency) = (cell.load.unwrap(), cell.latency.unwrap());
        assert_eq!((load.looped, load.rate, load.offered), (Loop::Open, Some(100.0), 100));
        assert_eq!((load.completed, latency.count), (100, 100));
        assert!(latency.ns_p50 > 5_000_000 && latency.ns_p50 < 50_000_000, "{latency:?}");
        // One start of a hundred is the 99th percentile: so few are not judged.
        let p99 = load.schedule_error.unwrap().ns_p99;
        assert!(p99 <= 1_000_000 || load.late_starts < LEAST_LATE_STARTS, "{p99}");
        let of = &cell.per_trial;
        assert_eq!(of.schedule_error_ns_p50.len(), of.latency_ns_p50.len(), "{of:?}");
        assert!(cell.cpu_ns_per_job.unwrap() > 0.0);
    }
}

#[test]
fn a_closed_loop_is_as_fast_as_its_connections_allow_and_is_called_closed() {
    let arguments = ["serve-service", "--model", "tokio", "--connections", "10"];
    let Some((cells, code)) = calm(&arguments) else { return };
    assert_eq!(code, 0, "{cells:?}");
    let (cell, load) = (&cells[0], cells[0].load.as_ref().unwrap());
    // Ten connections whose requests take 5 ms and more.
    let rate = cell.jobs_per_second.unwrap().value;
    assert!(rate > 200.0 && rate <= 2_000.0, "{rate}");
    assert_eq!((load.looped, load.rate, cell.scale), (Loop::Closed, None, 10));
    assert!(load.schedule_error.is_none());
    // Each waits for 5 ms, so that ten can be answered 2 000 times a second at most.
    let (bound, share) = (cell.bound_jobs_per_second.unwrap(), cell.share_of_bound().unwrap());
    assert!(bound <= 2_000.0 && (share * bound - rate).abs() < 1e-6, "{bound} {share}");
    let server = load.server.unwrap();
    assert!((1..=cell.workers.unwrap() as u32).contains(&server.job_threads.unwrap()));
    assert!(server.epolls > Some(0) && server.rss_bytes_max >= server.rss_bytes, "{server:?}");
}

#[test]
fn a_planted_stall_of_200_ms_is_in_the_percentiles_at_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("stalls.toml");
    // One request in 200 blocks the only thread: at 100 per second that is 10 % of the time.
    let text = "name = \"stalls\"\njob = []\nevery = { nth = 200, job = [{ block = \"200ms\" }] }";
    std::fs::write(&job, text).unwrap();
    let job = job.to_str().unwrap();
    let model = "tokio-current-thread";
    let open = ["--rate", "200", "--arrivals", "uniform", "--duration", "4s", "--warm-up", "0s"];
    let arguments = [&[job, "--model", model][..], &open].concat();
    let Some((cells, _)) = calm(&arguments) else { return };
    let latency = cells[0].latency.as_ref().unwrap_or_else(|| panic!("{cells:?}"));
    assert!((200_000_000..260_000_000).contains(&latency.ns_max), "{}", latency.ns_max);
    // A second has 200 requests; the 40 that fall into the stall wait for from 200 ms down to none.
    let histogram = latency.histogram().unwrap();
    let over = |ns: u64| {
        (0..=1000).filter(|share| histogram.quantile(f64::from(*share) / 1000.0) > ns).count()
    };
    let (half, quarter) = (over(100_000_000), over(150_000_000));
    assert!((80..140).contains(&half), "{half} of 1000 over 100 ms, not a tenth");
    assert!((30..80).contains(&quarter), "{quarter} of 1000 over 150 ms, not a twentieth");
}

/// A load of `serve-plain` on tokio for two seconds, which has been started.
fn started(folder: &Path, more: &str) -> Child {
    let load = "load serve-plain --model tokio --duration 2s --trials 1 --warm-up 0s --format json";
    paceline(folder, load.split(' ').chain(more.split(' '))).spawn().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_is_stopped_costs_the_patience_that_was_asked_for() {
    let _alone = alone();
    let folder = folder();
    let mut parent = started(folder.path(), "--connections 2 --patience 1s");
    // The generator is started once the server listens.
    child_that(&mut parent, "__load").unwrap();
    let host = child_that(&mut parent, "__host").unwrap();
    thread::sleep(Duration::from_millis(500));
    signal(host, Signal::STOP);
    let output = parent.wait_with_output().unwrap();
    let cells: Vec<Cell> = json(&output);
    let why = cells[0].reason.as_ref().unwrap();
    // Not the 40 s that a process may take to start, in which the server was asked what it had used.
    assert!(why.contains("got no answer within 1s"), "{why}");
    assert_eq!((cells[0].state, output.status.code()), (State::Failed, Some(3)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_generator_that_is_kept_from_the_cpu_makes_the_cell_invalid() {
    let _alone = alone();
    let folder = folder();
    let mut parent = started(folder.path(), "--rate 500");
    let generator = child_that(&mut parent, "__load").unwrap();
    thread::sleep(Duration::from_millis(500));
    signal(generator, Signal::STOP);
    thread::sleep(Duration::from_millis(300));
    signal(generator, Signal::CONT);
    let output = parent.wait_with_output().unwrap();
    let cells: Vec<Cell> = json(&output);
    assert_eq!((cells[0].state, output.status.code()), (State::Invalid, Some(3)));
    assert!(cells[0].reason.as_ref().unwrap().starts_with("generator "), "{cells:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_generator_that_waits_for_a_cpu_in_a_closed_loop_makes_the_cell_invalid() {
    use rustix::{
        process::setpriority_process,
        thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    };
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let _alone = alone();
    let allowed = sched_getaffinity(None).unwrap();
    let cpu = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap();
    if allowed.count() == 1 {
        return;
    }
    let mut one = CpuSet::new();
    one.set(cpu);
    let folder = tempfile::tempdir().unwrap();
    let over = AtomicBool::new(false);
    let fires = |why: &str| {
        // What the server used is known, so the part of other programs is not guessed.
        why.starts_with("generator saturated: it used a CPU for ")
            && why.contains("of which ")
            && !why.contains("as far as is known")
    };
    // Four busy threads share a CPU with the generator, which gives way to them; the server has the others.
    let said = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                sched_setaffinity(None, &one).unwrap();
                while !over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let attempt = || {
            let closed = ["load", "serve-plain", "--model", "tokio", "--connections", "32"];
            let quick = ["--trials=1", "--warm-up=500ms", "--duration=2s", "--format=json"];
            let mut parent = paceline(folder.path(), closed).args(quick).spawn().unwrap();
            let generator = child_that(&mut parent, "__load").unwrap();
            let generator = rustix::process::Pid::from_raw(generator.cast_signed());
            sched_setaffinity(generator, &one).unwrap();
            setpriority_process(generator, 19).unwrap();
            let cells: Vec<Cell> = json(&parent.wait_with_output().unwrap());
            let load = cells[0].load.as_ref();
            let shares =
                load.map(|load| (load.generator_cpu_share_max, load.generator_waited_share_max));
            (cells[0].reason.clone().unwrap_or_default(), shares)
        };
        // Another program may keep the server from its CPUs.
        let mut attempts = vec![attempt()];
        while !fires(&attempts[attempts.len() - 1].0) && attempts.len() < 5 {
            attempts.push(attempt());
        }
        over.store(true, Relaxed);
        attempts
    });
    assert!(fires(&said[said.len() - 1].0), "{said:?}");
}

#[test]
fn a_rate_that_cannot_be_reached_is_no_figure() {
    let arguments = ["serve-service", "--model", "sequential", "--rate", "1000"];
    let Some((cells, code)) = calm(&arguments) else { return };
    assert_eq!((cells[0].state, code), (State::Invalid, 3));
    let why = cells[0].reason.as_ref().unwrap();
    assert!(why.contains("of 1 000 requests per second were answered"), "{why}");
    assert_eq!(cells[0].latency, None);
}

#[test]
fn more_connections_than_a_model_can_serve_are_refused_with_how_many_it_can() {
    for (model, workers, most) in [("pool", "3", 3), ("sequential", "1", 1)] {
        let arguments = ["serve-plain", "--model", model, "--workers", workers];
        let (cells, code) = cells(&[&arguments[..], &["--connections", "64"]].concat());
        // Nothing was measured.
        assert_eq!((code, cells[0].state), (3, State::Refused));
        let why = cells[0].reason.as_ref().unwrap();
        assert!(why.contains(&format!("--connections {most}")), "{why}");
    }
    let both = ["serve-plain", "--model", "sequential,tokio", "--connections", "64"];
    let Some((cells, code)) = calm(&both) else { return };
    assert_eq!((code, cells[0].state, cells[1].state), (0, State::Refused, State::Ok));
}

#[test]
fn the_knee_is_between_a_rate_that_holds_and_one_that_gives_way() {
    let arguments =
        ["serve-service", "--model", "sequential", "--p99-limit", "60ms", "--rate", "20"];
    let Some((cells, code)) = calm(&arguments) else { return };
    let load = cells[0].load.as_ref().unwrap();
    let knee = load.knee.as_ref().unwrap_or_else(|| panic!("{cells:?}"));
    assert_eq!(code, 0);
    // A request takes 5 ms and more, and one is served at a time.
    assert!(load.rate.unwrap() >= 5.0 && load.rate.unwrap() < 200.0, "{load:?}");
    assert!(knee.gave_way.is_some() && knee.steps.len() >= 3);
    assert!(cells[0].latency.as_ref().unwrap().ns_p50 <= 60_000_000);
}

const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";

/// The URL of a server that sheds load above 160 requests per second, and serves 40 at once, so that a busy machine does
/// not look like a higher rate.
fn shedding() -> String {
    const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let bucket = Mutex::new((40.0, Instant::now()));
    let sheds = move |_: &str| {
        let mut bucket = bucket.lock().unwrap();
        let (left, at) = *bucket;
        let now = Instant::now();
        let left = f64::min(40.0, left + (now - at).as_secs_f64() * 160.0);
        let serves = left >= 1.0;
        *bucket = (if serves { left - 1.0 } else { left }, now);
        (if serves { FINE } else { BUSY }).to_owned()
    };
    format!("http://{}/", listening("127.0.0.1:0", sheds))
}

#[test]
fn the_knee_of_a_server_that_sheds_load_is_found_above_the_first_rate_that_holds() {
    let knee = ["--p99-limit", "1s", "--arrivals", "uniform", "--duration", "2s"];
    let url = shedding();
    let Some((found, code)) = calm(&[&[&*url][..], &knee, &["--rate", "50"]].concat()) else {
        return;
    };
    let load = found[0].load.as_ref().unwrap();
    let knee_found = load.knee.as_ref().unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(code, 0);
    assert!(knee_found.gave_way.as_ref().unwrap().contains("503"), "{knee_found:?}");
    // The climb is 50, 100, 200: 100 would be the answer, had the search ended with the first failure.
    assert!(load.rate.unwrap() > 100.0 && load.rate.unwrap() < 200.0, "{knee_found:?}");

    // One that sheds at every rate, and one that fails for another reason, fail with what they said.
    let always = format!("http://{}/", listening("127.0.0.1:0", |_| BUSY.into()));
    let missing = "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n";
    let missing = format!("http://{}/", listening("127.0.0.1:0", |_| missing.into()));
    for (url, why) in [(&always, "status 503"), (&missing, "status 404")] {
        let (found, code) = cells(&[&[&**url][..], &knee, &["--rate", "4"]].concat());
        assert_eq!((found[0].state, code), (State::Failed, 3), "{found:?}");
        assert!(found[0].reason.as_ref().unwrap().contains(why), "{found:?}");
    }
}

/// What a cell of this URL is, and its reason.
fn state_of(url: &str, more: &[&str]) -> (State, String) {
    let closed = ["--connections", "2", "--duration", "500ms", "--warm-up", "0s"];
    let (mut cells, _) = cells(&[&[url][..], &closed, more].concat());
    let cell = cells.remove(0);
    (cell.state, cell.reason.unwrap_or_default())
}

/// A server at `address` whose answer to each request is made from its head.
fn listening(address: &str, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    each_connection_at(address, move |stream| {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while stream.read_line(&mut head).is_ok_and(|read| read > 0) {
            if head.ends_with("\r\n\r\n") {
                // Slowly, so that a busy machine still keeps up.
                thread::sleep(Duration::from_millis(2));
                let _ = stream.get_mut().write_all(answer(&head).as_bytes());
                head.clear();
            }
        }
    })
}

/// An answer of status 200 to a request whose line and `Host` field are as expected, of 400 to any other.
fn insists(line: String, host: String) -> impl Fn(&str) -> String + Send + Sync + 'static {
    move |head| {
        let mut lines = head.lines();
        let right = lines.next() == Some(&*line) && lines.any(|one| one == format!("Host: {host}"));
        let status = if right { "200 OK" } else { "400 No" };
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{head}", head.len())
    }
}

#[test]
fn the_server_is_asked_as_the_url_was_typed() {
    for (scheme, host, rest, target) in [
        ("http", "127.0.0.1", "/a%20b?c=%26", "/a%20b?c=%26"),
        ("http", "localhost", "", "/"),
        ("HTTP", "LOCALHOST", "?x=1", "/?x=1"),
        ("http", "api.localhost", "/page?q#part", "/page?q"),
    ] {
        // The port is known only once it is bound, so the server learns what to insist on from the first head.
        let address = listening("127.0.0.1:0", move |head| {
            let port = head.split(&format!("{host}:")).nth(1).unwrap_or_default();
            let port = port.split('\r').next().unwrap_or_default();
            insists(format!("GET {target} HTTP/1.1"), format!("{host}:{port}"))(head)
        });
        let url = format!("{scheme}://{host}:{}{rest}", address.port());
        assert_eq!(state_of(&url, &[]), (State::Ok, String::new()), "{url}");
    }
}

#[test]
fn a_server_on_one_family_only_is_found_and_where_none_is_it_is_said_what_was_tried() {
    let fine = |_: &str| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (state, why) = state_of(&format!("http://localhost:{nobody}/"), &[]);
    assert_eq!(state, State::Failed);
    for tried in [
        "cannot be connected to",
        &format!("127.0.0.1:{nobody} (the connection was refused"),
        "[::1]",
    ] {
        assert!(why.contains(tried), "{why}");
    }
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if TcpListener::bind(address).is_err() {
            eprintln!("left out: this machine has no {address}");
            continue;
        }
        let port = listening(address, fine).port();
        let urls = [
            format!("http://localhost:{port}/"),
            format!("http://{}:{port}/", &address[..address.len() - 2]),
        ];
        for url in urls {
            assert_eq!(state_of(&url, &[]), (State::Ok, String::new()), "{url}");
        }
    }
}

#[test]
fn any_2xx_counts_and_expect_says_which_statuses_do() {
    let says = |text: &'static str| {
        let address = listening("127.0.0.1:0", move |_| text.into());
        format!("http://{address}/health")
    };
    let empty = says("HTTP/1.1 204 No Content\r\n\r\n");
    let missing = says("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno");
    let moved = says("HTTP/1.1 301 Moved\r\nlocation: /here\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(state_of(&empty, &[]).0, State::Ok);
    assert_eq!(state_of(&empty, &["--expect", "200,204"]).0, State::Ok);
    assert_eq!(state_of(&missing, &["--expect", "404"]).0, State::Ok);
    for (url, more, why) in [
        (&empty, &["--expect", "200"][..], "status 204 instead of 200"),
        (&missing, &[], "status 404: \"no\""),
        (&moved, &[], "status 301, a redirect to \"/here\""),
    ] {
        let (state, reason) = state_of(url, more);
        assert_eq!(state, State::Failed, "{reason}");
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn a_server_stays_until_ctrl_c_and_answers_with_receipts() {
    let folder = folder();
    let start = |arguments: &[&str]| {
        paceline(folder.path(), [&["serve"], arguments].concat()).spawn().unwrap()
    };
    let mut server = start(&["serve-service", "--model", "tokio"]);
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_once("http://").unwrap().1.split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /7 HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let workload = paceline_core::workloads::find("serve-service").unwrap();
    let receipt = paceline_core::job::Jobs::load(&workload).expected(7).body();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&receipt), "{answer}");
    signal(server.id(), Signal::INT);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(&address).is_err(), "nothing listens any more");

    let wrong = start(&["serve-fanout", "--model", "pool"]).wait_with_output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("does not support `gather`"), "{}", said(&wrong));
}
