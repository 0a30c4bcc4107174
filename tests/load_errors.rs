//! `paceline load` of servers that are asked for more than a page, and that answer wrongly, late or not at all.

mod listener;
mod program;
#[path = "load_errors/stray.rs"]
mod stray;
#[path = "load_errors/timeouts.rs"]
mod timeouts;
#[path = "load_errors/windows.rs"]
mod windows;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Output,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use listener::{alone, each_connection};
use paceline::record::{Cell, State, read};
use program::{calm, figures, is_held_up, said};

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
    /// Says it before it has read the body, and leaves that unread.
    SayEarly(&'static str),
    /// Says it before it has read the body, and closes.
    Refuse(&'static str),
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
    let seen = Seen::default();
    let all = Arc::clone(&seen);
    (each_connection(move |stream| serve(stream, &act, &all)), seen)
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
        if let Act::SayEarly(text) | Act::Refuse(text) = act {
            stream.get_mut().write_all(text.as_bytes()).ok()?;
        }
        match act {
            Act::SayEarly(_) => thread::sleep(Duration::from_mins(1)),
            Act::Refuse(_) => return None,
            _ => {}
        }
        stream.read_exact(&mut body).ok()?;
        all.lock().unwrap()[number].body = body;
        match act {
            Act::Say(text) => stream.get_mut().write_all(text.as_bytes()).ok()?,
            Act::Hang => thread::sleep(Duration::from_mins(1)),
            Act::Close | Act::SayEarly(_) | Act::Refuse(_) => return None,
        }
    }
}

fn load_in(folder: &Path, arguments: &[&str]) -> Output {
    let _alone = alone();
    program::run(folder, [&["load"], arguments].concat())
}

const QUICK: [&str; 5] =
    ["--duration=500ms", "--warm-up=0s", "--trials=1", "--patience=2s", "--format=json"];

/// The cell of a quick load, the exit code, and what was said beside it; `None` where the generator was kept from the CPU.
fn once_in(folder: &Path, target: &str, arguments: &[&str]) -> Option<(Cell, i32, String)> {
    let given = |flag: &&&str| !arguments.contains(&flag.split('=').next().unwrap());
    let quick: Vec<&str> = QUICK.iter().filter(given).copied().collect();
    let output = load_in(folder, &[&[target][..], arguments, &quick].concat());
    let cells: Vec<Cell> = program::json(&output);
    let cell = cells.into_iter().next().unwrap();
    (!is_held_up(&cell)).then(|| (cell, output.status.code().unwrap(), said(&output)))
}

fn cell_in(folder: &Path, target: &str, arguments: &[&str]) -> (Cell, i32, String) {
    calm(|| once_in(folder, target, arguments)).unwrap()
}

fn cell(address: SocketAddr, arguments: &[&str]) -> (Cell, i32, String) {
    let folder = tempfile::tempdir().unwrap();
    cell_in(folder.path(), &format!("http://{address}/x"), arguments)
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
    const TOO_LARGE: &str = "HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n";
    let folder = tempfile::tempdir().unwrap();
    // More than the buffers of both sides hold.
    std::fs::write(folder.path().join("large"), vec![b'x'; 15 << 20]).unwrap();
    // The connection may break while the body is written: the answer is there even so.
    for act in [Act::SayEarly as fn(&'static str) -> Act, Act::Refuse] {
        let (address, _) = server(move |_, _| act(TOO_LARGE));
        let all = [&LARGE[..], &["--expect", "413"]].concat();
        let (cell, code, _) = cell_in(folder.path(), &format!("http://{address}/"), &all);
        let load = figures(&cell);
        assert!(code == 0 && load.completed > 2 && load.reconnects >= load.completed, "{load:?}");
    }

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
