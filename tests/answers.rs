//! The generator's reader of answers against that of Node, on the same bytes.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use paceline_core::fuzzing::answered;
use serde::Deserialize;

/// What Node makes of an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Made {
    status: u16,
    body: String,
    close: bool,
    error: Option<String>,
}

/// The parts of an answer, each in its ways. The first of each is the usual one.
const LINES: [&str; 12] = [
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.1 999 X",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "http/1.1 200 OK",
    "HTTP/2.0 200 OK",
];
const LENGTHS: [&str; 22] = [
    "Content-Length: 5",
    "content-length:5",
    "CONTENT-LENGTH:   5  ",
    "Content-Length: 005",
    "Content-Length: 5\nContent-Length: 5",
    "Content-Length: 5\nContent-Length: 6",
    "Content-Length: 6\nContent-Length: 5",
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length: 18446744073709551616",
    "Content-Length: ",
    "X: none",
    "Transfer-Encoding: chunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding: chunked\nContent-Length: 3",
    "Content-Length: 3\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, chunked",
];
const CONNECTIONS: [&str; 6] = [
    "",
    "Connection: close",
    "Connection: Keep-Alive",
    "Connection: upgrade, CLOSE",
    "Connection: keep-alive, close",
    "Connection: closed",
];
const FIELDS: [&str; 15] = [
    "",
    "Empty:",
    "X:\ty",
    "X: caf\u{e9}",
    "Folded: a\n  b",
    "Spaced : a",
    "No colon",
    ": no name",
    "A b: c",
    "X: a\u{0}b",
    "X: a\u{7f}b",
    "@LONG",
    "@MANY",
    "@TOO LONG",
    "@TOO MANY",
];
const PREFIXES: [&str; 5] = [
    "",
    "\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
];
const CHUNKS: [&str; 17] = [
    "5\r\nhello\r\n0\r\n\r\n",
    "2\r\nhe\r\n3\r\nllo\r\n00\r\n\r\n",
    "000000005\r\nhello\r\n0\r\n\r\n",
    "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nTrailer: a\r\nOther: b\r\n\r\n",
    "5\r\nhello\r\n0\r\n",
    "5\r\nhel",
    "5\nhello\n0\n\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello!\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "11111111111111111\r\nhello\r\n0\r\n\r\n",
];

/// Where the two differ, by a part of the answer, and why that is right.
const ON_PURPOSE: [(&str, &str); 12] = [
    ("HTTP/2.0 200 OK", "HTTP/2 is framed in another way"),
    ("\n", "bare line feeds may be taken (RFC 9112, section 2.2)"),
    ("Content-Length: 5\nContent-Length: 5", "equal lengths are one (RFC 9110, section 8.6)"),
    ("Transfer-Encoding: chunked\nContent-Length: 3", "chunks go first (RFC 9112, section 6.3)"),
    ("Content-Length: 3\nTransfer-Encoding: chunked", "chunks go first (RFC 9112, section 6.3)"),
    ("Transfer-Encoding: gzip, chunked", "what was not asked for cannot be compared"),
    ("Transfer-Encoding: gzip", "what was not asked for cannot be compared"),
    ("Transfer-Encoding: chunked, chunked", "only once is allowed (RFC 9112, section 6.1)"),
    ("5 \r\nhello\r\n0\r\n\r\n", "old servers pad the size with spaces"),
    ("@TOO LONG", "a head may have 64 KiB, as some servers' cookies need"),
    ("@TOO MANY", "a head has at most 100 fields, so that one that never ends is found"),
    // In HTTP/1.0, where Node lets the other win.
    ("Connection: keep-alive, close", "close goes first (RFC 9112, section 9.3)"),
];

/// An answer, and the part of it that is chosen for each place.
struct Answer {
    parts: [&'static str; 7],
    bytes: Vec<u8>,
}

/// Every answer whose parts are the usual ones but for two.
fn all() -> Vec<Answer> {
    let ways: [&[&str]; 7] =
        [&LINES, &LENGTHS, &CONNECTIONS, &FIELDS, &PREFIXES, &CHUNKS, &["\r\n", "\n"]];
    let mut all = std::collections::BTreeSet::new();
    for (one, other) in (0..7).flat_map(|one| (one..7).map(move |other| (one, other))) {
        for (a, b) in ways[one].iter().flat_map(|a| ways[other].iter().map(move |b| (a, b))) {
            let mut parts = ways.map(|ways| ways[0]);
            (parts[one], parts[other]) = (a, b);
            // Chunks need a field that announces them.
            if parts[5] != CHUNKS[0] && parts[1] == LENGTHS[0] {
                parts[1] = "Transfer-Encoding: chunked";
            }
            all.insert(parts);
        }
    }
    all.into_iter().map(Answer::of).collect()
}

impl Answer {
    fn of(parts: [&'static str; 7]) -> Self {
        let [line, length, connection, field, prefix, chunks, newline] = parts;
        let field = match field {
            "@LONG" => format!("X: {}", "y".repeat(12_000)),
            "@MANY" => ["X: y"; 90].join("\n"),
            "@TOO LONG" => format!("X: {}", "y".repeat(20_000)),
            "@TOO MANY" => ["X: y"; 101].join("\n"),
            field => field.to_owned(),
        };
        let mut head = String::new();
        for part in [line, &field, length, connection].iter().filter(|part| !part.is_empty()) {
            head += part;
            head += "\n";
        }
        let head = (head + "\n").replace('\n', newline);
        let body = match length {
            _ if line.contains("204") || line.contains("304") => "",
            _ if length.to_lowercase().contains("transfer-encoding") => chunks,
            _ => "hello",
        };
        // Each character is a byte.
        let bytes = format!("{prefix}{head}{body}").chars().map(|c| c as u8).collect();
        Answer { parts, bytes }
    }

    /// Which of [`ON_PURPOSE`] it is, if it is one.
    fn on_purpose(&self) -> Option<usize> {
        ON_PURPOSE.iter().position(|(part, _)| self.parts.contains(part))
    }
}

#[test]
fn answers_are_read_as_node_reads_them_or_differently_on_purpose() {
    let all = all();
    let Some(made) = made_by_node(&all) else {
        eprintln!("node is not here: not tried");
        return;
    };
    let statuses: Vec<u16> = (200..1000).collect();
    let (mut differ, mut right, mut purposes) = (vec![], 0, [0; ON_PURPOSE.len()]);
    for (answer, node) in all.iter().zip(&made) {
        let whole = answer.bytes.len();
        let body = node.error.is_none().then_some(&*node.body);
        let read = [whole, 1].map(|size| answered(&answer.bytes, size, &statuses, body));
        let as_node = node.error.is_none().then_some((whole, node.close));
        if read == [as_node; 2] {
            right += usize::from(as_node.is_some());
        } else if let Some(purpose) = answer.on_purpose() {
            purposes[purpose] += 1;
        } else {
            let text = answer.bytes.escape_ascii().to_string();
            differ.push(format!("{text:.120}: node {node:?}, here {read:?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ: {:#?}", differ.len(), &differ[..differ.len().min(20)]);
    assert!(all.len() > 1_500 && right > 400, "{right} of {} are right", all.len());
    for (count, (part, why)) in purposes.iter().zip(ON_PURPOSE) {
        assert!(*count > 0, "{part:?} makes no difference: {why}");
    }
    eprintln!("{} answers, {right} right in both, {purposes:?} differ on purpose", all.len());
}

/// What Node makes of all; `None` where it is not installed.
fn made_by_node(all: &[Answer]) -> Option<Vec<Made>> {
    let input: Vec<String> = all.iter().map(|answer| STANDARD.encode(&answer.bytes)).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/answers.mjs");
    let mut node = Command::new("node");
    node.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().ok()?;
    let mut pipe = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || pipe.write_all(&serde_json::to_vec(&input).unwrap()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let made: Vec<Made> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made.len(), all.len());
    Some(made)
}
