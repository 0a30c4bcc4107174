//! `paceline load` of servers that are asked for more than a page, and that answer wrongly, late or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and says what it leaves out"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use paceline::record::{Cell, LoadFigures, State, read};

/// One load at a time: beside another a generator is late.
static ALONE: Mutex<()> = Mutex::new(());

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";

/// A request as it came.
struct Asked {
    line: String,
    fields: Vec<String>,
    body: Vec<u8>,
}

/// What a server does about a request.
enum Act {
    Say(&'static str),
    /// Says it before it has read the body.
    SayEarly(&'static str),
    Close,
    /// Nothing, for as long as the test lasts.
    Hang,
}

/// Arguments, and the method, the fields and the body that must come.
type Sent<'a> = (&'a [&'a str], &'a str, &'a [&'a str], &'a [u8]);

/// A kind of error, what the server does, more arguments, and whether the connection is kept.
type Faulty<'a> = (&'a str, fn() -> Act, &'a [&'a str], bool);

type Seen = Arc<Mutex<Vec<Asked>>>;

/// A server that does `act` about the request of each number, and what it was asked.
fn server(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let (act, all) = (Arc::new(act), Arc::clone(&seen));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (act, all) = (Arc::clone(&act), Arc::clone(&all));
            thread::spawn(move || serve(stream, &*act, &all));
        }
    });
    (address, seen)
}

fn serve(
    stream: TcpStream,
    act: &dyn Fn(usize, &str) -> Act,
    all: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let line = lines.remove(0);
        let length = lines.iter().find_map(|field| field.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        let number = {
            let mut all = all.lock().unwrap();
            all.push(Asked { line: line.clone(), fields: lines, body: vec![] });
            all.len() - 1
        };
        let act = act(number, &line);
        if let Act::SayEarly(text) = act {
            stream.get_mut().write_all(text.as_bytes()).ok()?;
            thread::sleep(Duration::from_mins(1));
        }
        stream.read_exact(&mut body).ok()?;
        all.lock().unwrap()[number].body = body;
        match act {
            Act::Say(text) => stream.get_mut().write_all(text.as_bytes()).ok()?,
            Act::Hang => thread::sleep(Duration::from_mins(1)),
            Act::Close | Act::SayEarly(_) => return None,
        }
    }
}

fn load_in(folder: &Path, arguments: &[&str]) -> Output {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_paceline"))
        .arg("load")
        .args(arguments)
        .current_dir(folder)
        .env("PACELINE_ALLOW_DEBUG", "1")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const QUICK: [&str; 5] =
    ["--duration=500ms", "--warm-up=0s", "--trials=1", "--patience=2s", "--format=json"];

/// The cell of a quick load, the exit code, and what was said beside it; `None` where the generator was kept from the CPU.
fn once_in(folder: &Path, target: &str, arguments: &[&str]) -> Option<(Cell, i32, String)> {
    let given = |flag: &&&str| !arguments.contains(&flag.split('=').next().unwrap());
    let quick: Vec<&str> = QUICK.iter().filter(given).copied().collect();
    let output = load_in(folder, &[&[target][..], arguments, &quick].concat());
    let cells: Vec<Cell> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    let cell = cells.into_iter().next().unwrap();
    let busy = cell.reason.as_ref().is_some_and(|why| why.starts_with("generator "));
    (!busy).then(|| (cell, output.status.code().unwrap(), said(&output)))
}

/// Tries something again until this machine leaves the generator the CPU.
fn calm<T>(mut once: impl FnMut() -> Option<T>) -> T {
    let done = (0..20).find_map(|_| once());
    done.expect("this machine keeps the generator from the CPU; see paceline doctor")
}

fn cell_in(folder: &Path, target: &str, arguments: &[&str]) -> (Cell, i32, String) {
    calm(|| once_in(folder, target, arguments))
}

fn cell(address: SocketAddr, arguments: &[&str]) -> (Cell, i32, String) {
    let folder = tempfile::tempdir().unwrap();
    cell_in(folder.path(), &format!("http://{address}/x"), arguments)
}

fn figures(cell: &Cell) -> &LoadFigures {
    assert_eq!(cell.state, State::Ok, "{:?}", cell.reason);
    cell.load.as_ref().unwrap()
}

#[test]
fn the_server_is_sent_the_method_the_fields_and_the_body_that_were_asked_for() {
    // A HEAD has the length of what a GET would have, and no body; 204 and 304 never have one.
    let answer = |_, line: &str| {
        Act::Say(match line.split(' ').next().unwrap() {
            "HEAD" => "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n",
            "DELETE" => "HTTP/1.1 204 No Content\r\n\r\n",
            "OPTIONS" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n",
            _ => FINE,
        })
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body"), b"\0\r\n\xff").unwrap();
    let body: &[u8] = b"\0\r\n\xff";
    let cases: [Sent; 9] = [
        (&[], "GET", &[], b""),
        (&["--method", "HEAD"], "HEAD", &[], b""),
        (&["--method", "DELETE"], "DELETE", &[], b""),
        (&["--method", "OPTIONS", "--expect", "304"], "OPTIONS", &[], b""),
        (&["--body", "body"], "POST", &["Content-Length: 4"], body),
        (&["--body", "body", "--method", "PUT"], "PUT", &["Content-Length: 4"], body),
        (&["--body", "body", "--method", "GET"], "GET", &["Content-Length: 4"], body),
        (&["--method", "POST"], "POST", &["Content-Length: 0"], b""),
        (
            &[
                "--header",
                "Host: other.example",
                "--header",
                "A:  b: c ",
                "--header=A: d",
                "--header",
                "E:",
            ],
            "GET",
            &["Host: other.example", "A: b: c", "A: d", "E:"],
            b"",
        ),
    ];
    for (arguments, method, fields, body) in cases {
        let (address, seen) = server(answer);
        let all = [arguments, &["--connections", "2"]].concat();
        let (cell, code, _) = cell_in(folder.path(), &format!("http://{address}/x"), &all);
        assert_eq!((code, figures(&cell).reconnects), (0, 0), "{arguments:?}: {cell:?}");
        let host = format!("Host: {address}");
        let own = fields.iter().any(|field| field.starts_with("Host"));
        let expected: Vec<&str> =
            (!own).then_some(&*host).into_iter().chain(fields.iter().copied()).collect();
        let seen = seen.lock().unwrap();
        // The last may still be under way.
        for asked in &seen[..seen.len() - 2] {
            assert_eq!(asked.line, format!("{method} /x HTTP/1.1"));
            assert_eq!(
                (&asked.fields, &*asked.body),
                (&expected.iter().map(|s| (*s).to_owned()).collect(), body)
            );
        }
    }
}

#[test]
fn each_kind_of_error_is_counted_by_its_name_and_is_in_no_other_figure() {
    let kinds: [Faulty; 6] = [
        ("status 503", || Act::Say(BUSY), &[], true),
        ("status 204", || Act::Say("HTTP/1.1 204 No\r\n\r\n"), &["--expect", "200"], true),
        ("closed early", || Act::Close, &["--method", "POST"], false),
        ("malformed", || Act::Say("good morning\r\n\r\n"), &[], false),
        ("timeout", || Act::Hang, &["--timeout", "200ms"], false),
        (
            "timeout",
            || Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"),
            &["--timeout", "200ms"],
            false,
        ),
    ];
    for (kind, act, more, keeps) in kinds {
        // A right answer takes 5 ms, an error comes at once or never.
        let faulty = || {
            let serve = move |number: usize, _: &str| {
                if number % 4 == 3 {
                    return act();
                }
                thread::sleep(Duration::from_millis(5));
                Act::Say(FINE)
            };
            server(serve).0
        };
        let with = |most: &str| {
            let all = [more, &["--connections", "2", "--max-errors", most]].concat();
            cell(faulty(), &all)
        };
        let (all, code, _) = with("100%");
        let load = figures(&all);
        let (latency, failed) = (all.latency.as_ref().unwrap(), load.failed());
        assert_eq!(code, 0, "{kind}");
        assert_eq!(load.errors.keys().collect::<Vec<_>>(), [kind], "{load:?}");
        assert_eq!(
            (latency.count, load.offered),
            (load.completed, load.completed + failed),
            "{kind}"
        );
        assert_eq!(load.error_latency.as_ref().unwrap().count, failed);
        // Nor do fast errors make the server look fast.
        assert!(latency.histogram().unwrap().quantile(0.0) >= 5_000_000, "{kind}: {latency:?}");
        let per_second = all.jobs_per_second.unwrap().value;
        assert!(per_second <= load.completed as f64 / 0.5, "{kind}: {per_second} {load:?}");
        // A connection is replaced where it can not be used on, and kept where it can.
        assert!(failed > 0 && if keeps { load.reconnects == 0 } else { load.reconnects >= failed });

        let (none, code, _) = with("0");
        let why = none.reason.unwrap_or_default();
        assert_eq!((none.state, code), (State::Failed, 3), "{kind}: {why}");
        assert!(why.contains(&format!(" {kind}; the first: request ")), "{why}");
        // Where they are not counted, the first is the end.
        if !keeps {
            let (first, code, _) = cell(faulty(), &[more, &["--connections", "2"]].concat());
            let state = if kind == "malformed" { State::Invalid } else { State::Failed };
            assert_eq!((first.state, code), (state, 3), "{kind}");
        }
    }
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
    let (cell, code, _) = calm(|| once_in(folder.path(), &target(), &all));
    let load = figures(&cell);
    // None waits for the end of the patience.
    assert_eq!((code, load.completed + load.failed()), (0, load.offered), "{load:?}");
    assert!((1..=4).contains(&load.completed), "{load:?}");
    assert_eq!(load.errors.keys().collect::<Vec<_>>(), ["timeout"]);
    let errors = load.error_latency.as_ref().unwrap();
    assert!(errors.histogram().unwrap().quantile(0.5) < 1_000_000_000, "{errors:?}");
}

#[test]
fn a_request_that_may_have_been_taken_is_sent_again_only_if_that_does_no_harm() {
    for (method, repeats) in [("GET", true), ("PUT", true), ("POST", false), ("PATCH", false)] {
        // Closed once a request has come on a connection that had answered.
        let (address, _) =
            server(|number, _| if number % 2 == 0 { Act::Say(FINE) } else { Act::Close });
        let all = ["--method", method, "--connections", "1", "--max-errors", "100%"];
        let (cell, ..) = cell(address, &all);
        let load = figures(&cell);
        let closed = load.errors.get("closed early").copied().unwrap_or(0);
        assert_eq!(closed == 0, repeats, "{method}: {load:?}");
        assert!(repeats || load.first_error.as_ref().unwrap().contains("is not sent twice"));
    }
}

#[test]
fn a_wrong_status_is_an_answer_after_which_the_server_may_close_the_connection() {
    // The first request on each connection is answered, by turns wrongly; the second finds it closed.
    let (address, _) = server(|number, _| match number % 4 {
        0 => Act::Say(BUSY),
        2 => Act::Say(FINE),
        _ => Act::Close,
    });
    let (cell, ..) = cell(address, &["--connections", "1", "--max-errors", "100%"]);
    let load = figures(&cell);
    assert_eq!(load.errors.keys().collect::<Vec<_>>(), ["status 503"], "{load:?}");
    assert!(load.reconnects > 2 && load.completed > 1, "{load:?}");
}

#[test]
fn what_is_left_of_a_body_is_not_taken_for_the_next_request() {
    const LARGE: [&str; 8] =
        ["--body", "large", "--connections", "2", "--timeout", "10s", "--patience", "10s"];
    let (address, _) =
        server(|_, _| Act::SayEarly("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"));
    let folder = tempfile::tempdir().unwrap();
    // More than the buffers of both sides hold.
    std::fs::write(folder.path().join("large"), vec![b'x'; 15 << 20]).unwrap();
    let all = [&LARGE[..], &["--expect", "413"]].concat();
    let (cell, code, _) = cell_in(folder.path(), &format!("http://{address}/"), &all);
    let load = figures(&cell);
    assert!(code == 0 && load.completed > 2 && load.reconnects >= load.completed, "{load:?}");

    // Nor after a wrong status.
    let (address, _) = server(|number, _| Act::SayEarly(if number % 2 == 0 { FINE } else { BUSY }));
    let all = [&LARGE[..], &["--max-errors", "100%"]].concat();
    let (cell, ..) = cell_in(folder.path(), &format!("http://{address}/"), &all);
    let load = figures(&cell);
    assert_eq!(load.errors.keys().collect::<Vec<_>>(), ["status 503"], "{load:?}");
}

#[test]
fn urls_are_asked_for_by_weight_in_an_order_that_the_seed_decides() {
    let answer = |_, line: &str| Act::Say(if line.contains("/bad") { BUSY } else { FINE });
    let folder = tempfile::tempdir().unwrap();
    let run = |seed: &str| {
        let (address, seen) = server(answer);
        let at = |path: &str| format!("http://{address}{path}");
        let list = format!("3 {}\nPOST {}\n", at("/a?b=1"), at("/bad"));
        std::fs::write(folder.path().join("list.txt"), list).unwrap();
        let all = ["list.txt", "--connections", "1", "--max-errors", "100%", "--seed", seed];
        let (cell, ..) = cell_in(folder.path(), "--urls", &all);
        let lines: Vec<String> =
            seen.lock().unwrap().iter().map(|asked| asked.line.clone()).collect();
        (cell, lines)
    };
    let (cell, lines) = run("1");
    let load = figures(&cell);
    assert_eq!(cell.workload, "list.txt");
    let [good, bad] = &load.by_url[..] else { panic!("{load:?}") };
    assert_eq!((&*good.method, &*good.path, good.weight, good.errors), ("GET", "/a?b=1", 3, 0));
    assert_eq!((&*bad.method, &*bad.path, bad.weight, bad.completed), ("POST", "/bad", 1, 0));
    assert_eq!((good.completed, bad.errors), (load.completed, load.failed()));
    assert!(good.latency_ns_p50.unwrap() > 0 && bad.latency_ns_p50.is_none());
    assert!(lines.len() > 60 && lines.contains(&"POST /bad HTTP/1.1".to_owned()));
    let same = |other: &[String]| lines[..60] == other[..60];
    assert!(same(&run("1").1) && !same(&run("2").1));
}

#[test]
fn a_bound_that_is_passed_or_not_measured_is_exit_code_7_and_a_line() {
    let fine = || server(|_, _| Act::Say(FINE)).0;
    for (conditions, code, lines) in [
        (&["p50>100s", "rate<0.001", "errors>0.1%"][..], 0, &[][..]),
        (
            &["p50>1ns", "rate>0.001", "max>100s"],
            7,
            &["failed: p50>1ns: p50 of ", "failed: rate>0.001: req/s of "],
        ),
        (&["late-p99>1s"], 7, &["failed: late-p99>1s: late p99 of "]),
    ] {
        let given = conditions.iter().flat_map(|condition| ["--fail-if", condition]);
        let all: Vec<&str> = given.chain(["--connections", "1"]).collect();
        let (_, found, said) = cell(fine(), &all);
        assert_eq!(found, code, "{conditions:?}: {said}");
        assert_eq!(said.lines().count(), lines.len(), "{said}");
        assert!(said.lines().zip(lines).all(|(line, begin)| line.starts_with(begin)), "{said}");
    }
    // A condition on errors counts them; one that has no figure at all says so, and fails for that.
    let half = server(|number, _| Act::Say(if number % 2 == 0 { FINE } else { BUSY })).0;
    let errors = ["--fail-if", "errors>40%", "--fail-if", "errors>60%", "--connections", "1"];
    let (_, code, said) = cell(half, &errors);
    assert!(code == 7 && said.lines().count() == 1 && said.contains("errors>40%"), "{said}");
    let never = server(|_, _| Act::Say(BUSY)).0;
    let (cell, code, said) = cell(never, &["--fail-if", "errors>40%", "--connections", "1"]);
    assert_eq!((cell.state, code), (State::Failed, 3));
    assert!(
        said.contains("was not measured: no request of the window had a right answer"),
        "{said}"
    );
}

#[test]
fn the_value_of_a_header_is_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/x", server(|_, _| Act::Say(FINE)).0);
    let secret = ["--header", "Authorization: Bearer s3cret", "--header=X-Key: s3cret"];
    cell_in(folder.path(), &url, &[&secret[..], &["--connections", "1"]].concat());
    let mut records = std::fs::read_dir(folder.path().join("results")).unwrap();
    let record = records.next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(record.join("run.json")).unwrap();
    assert!(!text.contains("s3cret") && text.contains("Authorization"), "{text}");
    assert!(read(&record).unwrap().run.command.contains(&"--header=X-Key: (left out)".to_owned()));
}

#[test]
fn wrong_input_is_one_sentence_and_exit_code_2() {
    const URL: &str = "http://127.0.0.1:1/";
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    write("none", b"# nothing\n");
    write("two", b"http://127.0.0.1:1/\nhttp://127.0.0.1:2/\n");
    write("bytes", b"\xff\xfe");
    write("url", b"http://127.0.0.1:1/");
    let wrong: [(&[&str], &str); 24] = [
        (&[URL, "--header", "no colon"], "a name, a colon and a value"),
        (&[URL, "--header", "A: b\r\nX: y"], "line end"),
        (&[URL, "--header", "A b: c"], "not the name of a header"),
        (&[URL, "--header", "Content-Length: 5"], "--body"),
        (&[URL, "--method", "GET /"], "not a method"),
        (&[URL, "--method", "CONNECT"], "tunnel"),
        (&[URL, "--body", "missing"], "missing: cannot be read"),
        (&[URL, "--body", "."], "it is a folder"),
        (&[URL, "--body", "/dev/zero"], "it is a device"),
        (&["--urls", "missing"], "missing: cannot be read"),
        (&["--urls", "none"], "none: it has no URL"),
        (&["--urls", "two"], "two: line 2: 127.0.0.1:2 is another server"),
        (&["--urls", "bytes"], "UTF-8"),
        (&["--urls", "url", URL], "cannot be used with"),
        (&[], "required"),
        (&[URL, "--timeout", "0s"], "at least 1ms"),
        (&[URL, "--timeout", "11s"], "give --patience 11s or more"),
        (&[URL, "--max-errors", "101%"], "at most 100%"),
        (&[URL, "--max-errors", "-1"], "whole number"),
        (&[URL, "--fail-if", "p95>5ms"], "choose one of conns, req/s, errors"),
        (&[URL, "--fail-if", "p99>5"], "ns, us, ms or s"),
        (&["serve-plain", "--method", "POST"], "for a URL"),
        (&["serve-plain", "--header", "A: b"], "for a URL"),
        (&["serve-plain", "--body", "url"], "for a URL"),
    ];
    for (arguments, why) in wrong {
        let output = load_in(folder.path(), &[arguments, &["--rate", "5"]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty() && !folder.path().join("results").exists());
    }
}
