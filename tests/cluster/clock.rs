//! Workers whose wall clocks are wrong: it is stepped while they measure, and no date decides anything.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Child,
};

use paceline::record::{State, read};
use rustix::process::Signal;

use super::{
    bytes, planned,
    program::{await_that, ok, paceline, record_in, signal},
};

/// The library that gives a process and its children another wall clock, and leaves the monotonic clock alone.
fn libfaketime() -> Option<PathBuf> {
    let of = |folder: &Path| folder.join("faketime/libfaketimeMT.so.1");
    let folders = fs::read_dir("/usr/lib").ok()?.map(|entry| entry.unwrap().path());
    folders.map(|folder| of(&folder)).chain([of(Path::new("/usr/lib"))]).find(|path| path.exists())
}

/// A worker on a block whose wall clock is off by what the file `clock` says, such as `+2h`, at any moment.
fn with_clock(folder: &Path, library: &Path, clock: &str, block: &str) -> Child {
    // Two workers on one machine would wait for each other.
    let mut work = paceline(folder, ["cluster", "work", "plan", block, "--node", clock]);
    work.env("PACELINE_TEST_MACHINE", folder.join(clock));
    work.env("LD_PRELOAD", library).env("FAKETIME_NO_CACHE", "1");
    work.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    work.env("FAKETIME_TIMESTAMP_FILE", folder.join(clock)).spawn().unwrap()
}

/// What the attempts at a block have of a file, by the name of the attempt.
fn in_attempts(folder: &Path, block: &str, file: &str) -> BTreeMap<String, String> {
    let attempts = fs::read_dir(folder.join("plan/parts").join(block));
    let attempts = attempts.into_iter().flatten().map(|entry| entry.unwrap());
    let of = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join(file)).ok()?;
        Some((entry.file_name().into_string().unwrap(), text))
    };
    attempts.filter_map(of).collect()
}

/// A worker is stopped, another does its block with a clock two hours ahead that is set back in the middle, and the
/// first goes on as a zombie whose clock is two hours behind: its attempt ends last, with the earlier date.
#[test]
fn a_wall_clock_that_is_stepped_loses_nothing_and_decides_nothing() {
    let Some(library) = libfaketime() else {
        return eprintln!("left out: libfaketime is not installed");
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "2");
    let ended = |mut child: Child| assert!(child.wait().unwrap().success());
    fs::write(folder.join("behind"), "-2h").unwrap();
    fs::write(folder.join("ahead"), "+2h").unwrap();
    let zombie = with_clock(folder, &library, "behind", "0000");
    await_that("the first worker begins", || !in_attempts(folder, "0000", "node.json").is_empty());
    let pid = zombie.id();
    signal(pid, Signal::STOP);
    if !in_attempts(folder, "0000", "done.json").is_empty() {
        ended(zombie);
        return eprintln!("left out: the first worker had ended before it could be stopped");
    }
    let others = in_attempts(folder, "0000", "node.json");
    let first = with_clock(folder, &library, "ahead", "0000");
    let has_a_trial = |block: &str| {
        let all = in_attempts(folder, block, "trials.jsonl");
        all.iter().any(|(name, text)| !others.contains_key(name) && !text.is_empty())
    };
    await_that("the second worker has a trial", || has_a_trial("0000"));
    fs::write(folder.join("ahead"), "+1h").unwrap();
    ended(first);
    signal(pid, Signal::CONT);
    ended(zombie);
    let done = in_attempts(folder, "0000", "done.json");
    let date = |name: &String| {
        let done: serde_json::Value = serde_json::from_str(&done[name]).unwrap();
        done["ended"].as_str().unwrap().to_owned()
    };
    let late = others.keys().next().unwrap();
    let counts = done.keys().find(|name| *name != late).unwrap();
    assert_eq!(done.len(), 2);
    assert!(date(late) < date(counts), "the clocks are not what they are to be");

    fs::write(folder.join("ahead"), "+2h").unwrap();
    let stepped = with_clock(folder, &library, "ahead", "0001");
    await_that("the third worker has a trial", || has_a_trial("0001"));
    fs::write(folder.join("ahead"), "-2h").unwrap();
    ended(stepped);
    // With the library too, because its nodes are of another kind than those without.
    fs::write(folder.join("right"), "+0").unwrap();
    for block in ["0002", "0003"] {
        ended(with_clock(folder, &library, "right", block));
    }
    ok(folder, &["cluster", "collect", "plan"]);
    let record = record_in(folder);
    let once = bytes(&record);
    ok(folder, &["cluster", "collect", "plan"]);
    let same = |(name, text): (&String, &Vec<u8>)| {
        assert!(name.ends_with("html") || once[name] == *text, "{name} has changed");
    };
    bytes(&record).iter().for_each(same);
    let record = read(&record).unwrap();
    assert_eq!((record.cells.len(), record.trials.len()), (6, 12));
    assert!(record.cells.iter().all(|cell| cell.state == State::Ok), "no figure is lost");
    let longest = record.trials.iter().flat_map(|trial| &trial.times_ns).max().unwrap();
    assert!(*longest < 600_000_000_000, "a batch took {longest} ns by a clock that was set");
    let nodes = record.nodes.unwrap();
    assert_eq!(nodes.counted.iter().filter(|of| of.block == "0000").count(), 1);
    assert_eq!(&nodes.counted[0].attempt, counts, "a date decided which attempt counts");
    let left_out: Vec<&str> = nodes.left_out.iter().map(|of| of.attempt.as_str()).collect();
    assert_eq!(left_out, [late]);
}
