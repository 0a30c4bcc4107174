//! Every command of the documents runs as it is written there, or is in a list below with the reason why not.

mod documents;
mod listener;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Mutex,
    thread,
};

use documents::{blocks, documents};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Commands that begin so are not run here, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "paceline compare BASE HEAD",
        "a clone has one record of each instrument; tests/compare.rs compares two",
    ),
    ("cargo bench", "builds optimised, and measures for minutes; tests/bench.rs runs the bench"),
    ("cargo build", "builds"),
    ("cargo clippy", ".ci/run runs it"),
    ("cargo fuzz", "needs cargo-fuzz; tests/fuzz.rs feeds the same functions"),
    ("cargo install", "builds; a release builds each package"),
    ("cargo run --release -p paceline-gated", "builds optimised; tests/gate.rs compares variants"),
    ("cargo test", "the tests run it"),
    (".ci/run", "it runs this test"),
    ("mkdir -p target/browser", "needs the registry of npm; .ci/run does it"),
    ("PACELINE_BLESS=1 cargo test", "tests/docs.rs and tests/schema.rs hold what it writes"),
    ("PACELINE_KILLS=100 cargo test", "tests/faults.rs kills 5"),
    ("cp ", "copies what a build left"),
    ("paceline cluster plan serve-service", "needs several boxes: tests/hosts.rs has nodes"),
    ("paceline cluster submit across", "the same, and tests/slurm.rs and tests/ssh.rs"),
    ("paceline cluster status across", "the same"),
    ("paceline cluster work across", "the same"),
    ("paceline cluster collect across", "the same"),
    ("cd /shared/me", "a folder of a cluster"),
    ("./paceline cluster run", "needs Slurm: tests/slurm.rs runs it"),
    ("cargo run --release -- run relay", "a workload that the recipe adds"),
    ("cargo run --release -- run cpu --model chunks", "a model that the recipe adds"),
    ("cargo run --release -- load serve-plain --model chunks", "a model that the recipe adds"),
    ("paceline gate", "builds optimised; tests/gate_build.rs goes from such words to verdicts"),
    ("scripts/gate.sh", "the same"),
    ("scripts/upgrade.sh", "the same"),
    ("nice scripts/mutants.py", "needs cargo-mutants, and builds a copy of the repository"),
    ("GATE_BUDGET=2m scripts/gate.sh", "the same"),
    ("scripts/engines-agreement.sh", "needs a quiet machine"),
    ("scripts/hosts-agreement.py", "needs a quiet machine"),
    ("cargo run --release -- selftest", "takes an hour, and a minute without what it plants"),
    ("paceline selftest", "the same"),
    ("(cat order.json", "counts system calls of an optimised build"),
    ("strace -f -c wrk", "counts those of wrk"),
    ("page=", "for the next line"),
    ("sha256sum", "needs a release; tests/release makes its archive"),
    ("tar -xzf paceline-v", "the same"),
    ("cd paceline-v", "the same"),
    ("install -D", "the same"),
    ("chromium", "a picture; tests/browser.rs opens the page"),
];

/// Words that stand for what the reader has, and what this test has.
const READERS: &[(&str, &str, &str)] = &[
    ("cargo run --release -- ", "paceline ", "README.md says that they are the same"),
    ("http://127.0.0.1:8080/", "$SERVER/", "a server of the reader's"),
    ("~/", "./", "the reader's home"),
    (" RUN", " $RUN", "a record"),
    (" OTHER", " $OTHER", "a record"),
    (
        "--engine slurm --set options=--partition=batch",
        "--engine local",
        "tests/slurm.rs has Slurm",
    ),
    ("--engine ssh --set hosts=box1,box2,box3,box4", "--engine local", "tests/ssh.rs has hosts"),
];

/// Options that make commands that begin so short: added, or in the place of the command's own.
const SHORTER: &[(&str, &str)] = &[
    ("paceline advise", "--scale 1,10 --model threads,tokio --trials 2"),
    ("paceline claims", "--budget 3s"),
    ("paceline cluster plan", "--trials 2 --scale 1 --model tokio"),
    ("paceline cluster run", "--trials 2 --scale 1 --model tokio"),
    ("paceline load http://127.0.0.1:8080/ --rate 500", "--duration 2500ms --trials 1"),
    (
        "paceline load serve-service --rate 500 --model tokio --every",
        "--duration 1s --warm-up 100ms --trials 1",
    ),
    ("paceline load serve-service --ramp", "--ramp 100..5000/1s --warm-up 100ms --trials 1"),
    (
        "paceline load serve-service --model tokio --against",
        "--duration 500ms --warm-up 100ms --trials 3",
    ),
    ("paceline load serve-service --p99-limit", "--model tokio --duration 500ms --warm-up 100ms"),
    ("paceline load", "--duration 500ms --warm-up 100ms --trials 1"),
    ("cargo run --release -- load", "--duration 500ms --warm-up 100ms --trials 1"),
    ("paceline run --resume", "--budget 5s"),
    ("paceline run path/to/my-service.toml", "--model tokio --trials 1"),
    ("paceline run sleep --model threads,tokio --to-the-limit", "--budget 5s"),
    ("paceline run", "--trials 1 --scale 10"),
    ("cargo run --release -- run", "--trials 1 --scale 10"),
];

/// Exit codes besides 0 that a command may have by what the document says of it.
const CODES: &[(&str, i32, &str)] = &[
    ("cargo run --release -- doctor", 6, "this machine may not be fit"),
    ("paceline cluster run --out nightly", 3, "a busy machine; tests/cluster.rs judges cells"),
    ("paceline load http://127.0.0.1:8080/ --rate 500", 7, "this machine may be too slow"),
];

/// Files that commands name besides those that a document shows.
const FILES: &[(&str, &str)] = &[
    ("order.json", "{}"),
    ("Cargo.toml", "[package]\nname = \"mine\"\nedition = \"2024\"\n"),
    ("src/lib.rs", ""),
];

/// The records that a clone has.
const RECORDS: [&str; 2] =
    ["2026-11-29T15-26-27Z-criterion-29358", "2026-11-29T17-48-39Z-trials-5729"];

/// The commands of a document's shell blocks, without comments.
fn commands(text: &str) -> Vec<&str> {
    let scripts = blocks(text).into_iter().filter(|(language, _)| *language == "sh");
    let lines = scripts.flat_map(|(_, lines)| lines);
    lines.map(|line| line.split(" #").next().unwrap().trim()).collect()
}

/// The first entry that is for a command; notes that it was used.
fn entry<'a, T>(
    list: &'a [T],
    prefix: impl Fn(&T) -> &'static str,
    command: &str,
    used: &mut BTreeSet<String>,
) -> Option<&'a T> {
    let found = list.iter().find(|entry| command.starts_with(prefix(entry)))?;
    used.insert(prefix(found).to_owned());
    Some(found)
}

/// Sets options of a command: each takes the place of the command's own, or is added.
fn with_options(command: &str, options: &str) -> String {
    let mut words: Vec<&str> = command.split(' ').collect();
    let options: Vec<&str> = options.split(' ').collect();
    for pair in options.chunks(2) {
        match words.iter().position(|word| word == &pair[0]) {
            Some(at) => words[at + 1] = pair[1],
            None => words.extend(pair),
        }
    }
    words.join(" ")
}

/// A folder like a clone's: the records, and the files that the commands name.
fn folder(service: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (name, text) in FILES {
        write(name, text);
    }
    write("my-service.toml", service);
    write("path/to/my-service.toml", service);
    write("docs/about", "");
    for record in RECORDS {
        let from = Path::new("results").join(record);
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap().path();
            let name = Path::new("results").join(record).join(file.file_name().unwrap());
            fs::create_dir_all(folder.path().join(&name).parent().unwrap()).unwrap();
            fs::copy(file, folder.path().join(name)).unwrap();
        }
    }
    fs::create_dir(folder.path().join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_paceline"), folder.path().join("bin/paceline")).unwrap();
    folder
}

/// A server of the reader's: answers each request, with or without a body, by 200.
fn server() -> String {
    format!("http://{}", listener::each_connection(answer))
}

fn answer(mut stream: TcpStream) -> Option<()> {
    loop {
        let head = listener::request(&mut stream)?;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(Some(0), |length| length.parse().ok())?;
        stream.read_exact(&mut vec![0; length]).ok()?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
    }
}

/// Runs a command as a shell does, and ends a server by Ctrl-C once it has printed its first line.
fn perform(command: &str, folder: &Path, server: &str) -> Output {
    let path = format!("{}/bin:{}", folder.display(), env::var("PATH").unwrap());
    let is_server = command.starts_with("paceline serve");
    let command = if is_server { format!("exec {command}") } else { command.to_owned() };
    let mut child = Command::new("sh")
        .args(["-c", &command])
        .current_dir(folder)
        .envs([("PATH", path.as_str()), ("SERVER", server)])
        .envs([("PACELINE_ALLOW_DEBUG", "1"), ("PACELINE_ALLOW_LOAD", "1")])
        .envs([("RUN", RECORDS[1]), ("OTHER", RECORDS[0])])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if is_server {
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    }
    child.wait_with_output().unwrap()
}

/// Why cells of the newest record have no figure, but for those that a time budget left out.
fn reasons(folder: &Path) -> Vec<String> {
    let records = fs::read_dir(folder.join("results")).unwrap();
    let records = records.map(|record| record.unwrap().path().join("cells.jsonl"));
    let newest = records.filter(|cells| cells.exists()).max().unwrap();
    let cells = fs::read_to_string(newest).unwrap();
    let cells = cells.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let bad = cells.filter(|cell| ["failed", "invalid"].contains(&cell["state"].as_str().unwrap()));
    bad.map(|cell| cell["reason"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Whether a load lacks figures for no other reason than that this machine, or a debug build, is too slow.
fn is_too_slow(reasons: &[String]) -> bool {
    let slow = |why: &String| why.starts_with("generator ") || why.starts_with("not steady");
    !reasons.is_empty() && reasons.iter().all(slow)
}

/// What became of the commands of some documents.
#[derive(Default)]
struct Outcome {
    /// The entries of the lists above that were used.
    used: BTreeSet<String>,
    ran: usize,
    wrong: Vec<String>,
}

impl Outcome {
    /// Runs each command of a document.
    fn add(&mut self, document: &Path, text: &str, service: &str, server: &str) {
        let (folder, document) = (folder(service), document.display());
        for written in commands(text) {
            if entry(NOT_RUN, |entry| entry.0, written, &mut self.used).is_some() {
                continue;
            }
            let shorter = entry(SHORTER, |entry| entry.0, written, &mut self.used);
            let mut command =
                shorter.map_or(written.to_owned(), |entry| with_options(written, entry.1));
            for (word, ours, _) in READERS.iter().filter(|entry| written.contains(entry.0)) {
                command = command.replace(word, ours);
                self.used.insert((*word).to_owned());
            }
            if !command.starts_with("paceline ") {
                self.wrong.push(format!("{document}: {written}: in no list"));
                continue;
            }
            eprintln!("{command}");
            let output = perform(&command, folder.path(), server);
            let code = output.status.code().unwrap();
            let may = entry(CODES, |entry| entry.0, written, &mut self.used);
            let is_documented = code == 0 || may.is_some_and(|entry| entry.1 == code);
            let said =
                String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            let reasons = reasons(folder.path());
            if !(is_documented || code == 3 && is_too_slow(&reasons))
                || said.contains("was not measured: too few")
            {
                let from = said.lines().count().saturating_sub(12);
                let end = said.lines().skip(from).collect::<Vec<_>>().join("\n");
                let wrong = format!("{document}: {command}: exit code {code}\n{end}\n{reasons:?}");
                self.wrong.push(wrong);
            }
            self.ran += 1;
        }
    }
}

#[test]
fn every_command_of_the_documents_runs_as_it_is_written_or_has_a_reason_not_to() {
    let readme = fs::read_to_string("README.md").unwrap();
    let service = blocks(&readme).into_iter().find(|(language, _)| *language == "toml").unwrap().1;
    let (service, server) = (service.join("\n"), server());
    // Most commands wait for most of their time, so two documents are read at once.
    let documents = Mutex::new(documents().into_iter());
    let read = || {
        let mut outcome = Outcome::default();
        loop {
            let next = documents.lock().unwrap().next();
            let Some((document, text)) = next else { return outcome };
            outcome.add(&document, &text, &service, &server);
        }
    };
    let outcomes: [Outcome; 2] = thread::scope(|scope| {
        [scope.spawn(read), scope.spawn(read)].map(|thread| thread.join().unwrap())
    });
    let wrong: Vec<&str> =
        outcomes.iter().flat_map(|of| of.wrong.iter().map(String::as_str)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let listed = NOT_RUN.iter().map(|entry| entry.0).chain(READERS.iter().map(|entry| entry.0));
    let listed = listed.chain(SHORTER.iter().map(|entry| entry.0));
    let listed: BTreeSet<&str> = listed.chain(CODES.iter().map(|entry| entry.0)).collect();
    let used: BTreeSet<&str> =
        outcomes.iter().flat_map(|of| of.used.iter().map(String::as_str)).collect();
    assert_eq!(listed, used, "an entry without a command");
    let ran: usize = outcomes.iter().map(|of| of.ran).sum();
    assert!(ran > 50, "only {ran} commands ran");
}
