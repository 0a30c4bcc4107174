//! Runs the program `paceline` as users do, and reads what it prints.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

use paceline::record::{Cell, LoadFigures, State};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

pub(crate) const PACELINE: &str = env!("CARGO_BIN_EXE_paceline");

/// Returns a call of `program` in `folder`, which may measure in a debug build, and does not wait for what is measured in
/// other folders. Its output is kept.
pub(crate) fn call<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PACELINE_ALLOW_DEBUG", "1");
    command.env("PACELINE_TEST_MACHINE", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns a call of `paceline` in `folder`.
pub(crate) fn paceline<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    call(PACELINE, folder, arguments)
}

/// Returns the path of an example. A plain `cargo test` has built it beside the command; with `--test` it has not.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples", "-p", "paceline", "-p", "paceline-gated"]);
        assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    });
    Path::new(PACELINE).with_file_name("examples").join(name)
}

/// Runs `paceline` in `folder`.
pub(crate) fn run<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Output {
    paceline(folder, arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn said(output: &Output) -> String {
    text(&output.stderr)
}

/// Returns all that was printed, standard output first.
pub(crate) fn both(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs `paceline` in `folder`, which must succeed, and returns all that was printed.
pub(crate) fn ok(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", both(&output));
    both(&output)
}

/// Returns standard output, after checking the exit code.
pub(crate) fn printed(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Returns standard error, after checking the exit code and that it is a sentence for users.
pub(crate) fn error(output: &Output, code: i32) -> String {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.starts_with("error: ") && !error.contains("panicked"), "{error}");
    error
}

/// Returns the JSON on standard output.
pub(crate) fn json<T: DeserializeOwned>(output: &Output) -> T {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", both(output)))
}

/// Returns whether the generator was kept from the CPU: then the cell, or the last step of its knee, is invalid.
pub(crate) fn is_held_up(cell: &Cell) -> bool {
    let knee = cell.load.as_ref().and_then(|load| load.knee.as_ref());
    let last = knee.and_then(|knee| knee.gave_way.as_ref());
    [cell.reason.as_ref(), last].iter().flatten().any(|why| why.starts_with("generator "))
}

/// Tries a load again until this machine leaves the generator the CPU; `None`, after a message, if it never does.
pub(crate) fn calm<T>(mut once: impl FnMut() -> Option<T>) -> Option<T> {
    let calm = (0..20).find_map(|_| once());
    if calm.is_none() {
        eprintln!("left out: this machine keeps the generator from the CPU; see paceline doctor");
    }
    calm
}

/// Returns the figures of a load that came out.
pub(crate) fn figures(cell: &Cell) -> &LoadFigures {
    assert_eq!(cell.state, State::Ok, "{:?}", cell.reason);
    cell.load.as_ref().unwrap()
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Returns the words of `cluster plan` or `run` for a load of `serve-plain` on threads, with the server on the first of
/// `nodes` and generators on the others.
pub(crate) fn load_words<'a>(command: &'a str, nodes: &[&'a str], more: &'a str) -> Vec<&'a str> {
    let load = "serve-plain --model threads --trials 1 --rate 200 --connections 4 --warm-up 0s --out plan --server";
    let mut words: Vec<&str> = [command].into_iter().chain(load.split(' ')).collect();
    words.push(nodes[0]);
    words.extend(nodes[1..].iter().flat_map(|node| ["--generator", *node]));
    words.extend(more.split_whitespace());
    words
}

/// Returns the folder of the only record in `results`, if there is one. A record that is being built is hidden.
pub(crate) fn only_record(results: &Path) -> Option<PathBuf> {
    let mut records: Vec<PathBuf> =
        fs::read_dir(results).ok()?.map(|entry| entry.unwrap().path()).collect();
    records.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    assert!(records.len() <= 1, "{records:?}");
    records.into_iter().next()
}

/// Returns the folder of the only record in `results` of `folder`.
pub(crate) fn record_in(folder: &Path) -> PathBuf {
    only_record(&folder.join("results")).unwrap()
}

/// Waits for what comes, however slow the machine is.
pub(crate) fn await_that(what: &str, mut comes: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(3);
    while !comes() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a child ends, and returns what it printed.
pub(crate) fn ended(mut child: Child) -> Output {
    await_that("it ends", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

/// Sends a signal to a process that may have ended.
pub(crate) fn signal(id: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(id.cast_signed()).unwrap(), signal);
}

/// Returns the folders in `/proc` of the processes that work in `folder` or below.
pub(crate) fn places(folder: &Path) -> Vec<PathBuf> {
    let Ok(folder) = fs::canonicalize(folder) else { return vec![] };
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    all.filter(|of| fs::read_link(of.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder)))
        .collect()
}

/// Returns the command lines of the processes that work in `folder` or below.
pub(crate) fn processes(folder: &Path) -> Vec<String> {
    // What has ended has no command line any more.
    places(folder)
        .iter()
        .filter_map(|of| fs::read_to_string(of.join("cmdline")).ok())
        .map(|line| line.replace('\0', " "))
        .filter(|line| !line.is_empty())
        .collect()
}

/// Ends what a test that fails leaves in its folder.
pub(crate) struct Swept<'a>(pub(crate) &'a Path);

impl Drop for Swept<'_> {
    fn drop(&mut self) {
        for place in places(self.0).iter().filter(|_| thread::panicking()) {
            let id = place.file_name().and_then(|id| id.to_str()?.parse().ok());
            if let Some(id) = id {
                signal(id, Signal::KILL);
            }
        }
    }
}

/// Writes a workload that takes longer than tests wait to `folder`, and returns the words of a plan of one block of it.
pub(crate) fn long_plan(folder: &Path) -> Vec<&'static str> {
    let text = "name = \"long\"\nscale = [1]\njob = [{ sleep = \"50s\" }]\n";
    fs::write(folder.join("long.toml"), text).unwrap();
    "cluster plan long.toml --model tokio,pool --trials 1 --out plan".split(' ').collect()
}

/// Returns whether this machine has a program of this name.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.unwrap().status.success()
}

/// Returns the first child of a run whose command line contains `word`, once there is one; `None` once the run has ended.
pub(crate) fn child_that(run: &mut Child, word: &str) -> Option<u32> {
    while run.try_wait().unwrap().is_none() {
        if let Some(child) = children(run.id(), word).first() {
            return Some(*child);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Returns the children of a process whose command line contains `word`.
pub(crate) fn children(parent: u32, word: &str) -> Vec<u32> {
    // Threads other than the first may have started some.
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids = lists.flat_map(|list| {
        list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()
    });
    let has_word = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains(word))
    };
    ids.filter(has_word).collect()
}
