//! Nodes that are one machine, though their boot ids differ, and nodes on which a block is measured.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::Path,
    process::Child,
};

use rustix::process::Signal;

use super::{
    all_end_well, collected, paceline, planned,
    program::{Swept, await_that, call, ended, long_plan, ok, signal},
    record_in, said, work,
};

/// Runs a command with the boot id in the file `boot`, as some containers have one of their own.
const INSIDE: [&str; 6] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount --bind boot /proc/sys/kernel/random/boot_id && exec \"$@\"",
    "sh",
];

#[test]
fn containers_with_a_boot_id_of_their_own_are_one_machine_by_their_clock() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("boot"), "another").unwrap();
    let can = call(INSIDE[0], folder, INSIDE[1..].iter().chain(&["true"])).output().unwrap();
    if !can.status.success() {
        return eprintln!("left out: no other boot id can be had here: {}", said(&can));
    }
    planned(folder, &["a=127.0.0.1", "b=127.0.0.2"], "--port 17561");
    all_end_well([work(folder, &[], "a"), work(folder, &INSIDE, "b")]);
    let cells = collected(folder);
    let nodes = fs::read_to_string(record_in(folder).join("nodes.json")).unwrap();
    assert!(nodes.contains("\"boot_id\": \"another\""), "{nodes}");
    assert!(cells[0].is_shared_host(), "{:?}", cells[0].load);
}

/// A load waits while `busy` goes on, which measures on its machine, and is done once that has ended.
fn waits(folder: &Path, busy: Child) {
    let nodes = ["a", "b"].map(|node| {
        let mut work = paceline(folder, &[], &["work", "plan", "0000", "--node", node]);
        work.stderr(File::create(folder.join(node)).unwrap()).spawn().unwrap()
    });
    let said = |node: &str| fs::read_to_string(folder.join(node)).unwrap();
    for node in ["a", "b"] {
        let why = format!("another paceline measures on {node}: this one waits for it");
        await_that("it finds its machine taken", || said(node).contains(&why));
    }
    assert!(!folder.join("plan/parts").exists(), "it does not wait");
    signal(busy.id(), Signal::INT);
    assert_eq!(ended(busy).status.code(), Some(130));
    for (node, name) in nodes.map(ended).iter().zip(["a", "b"]) {
        assert_eq!(node.status.code(), Some(0), "{}", said(name));
    }
    assert_eq!(collected(folder).len(), 1);
}

/// Starts a role or a block of a plan in `place`, on the machine of `folder`, with other temporary files.
fn elsewhere(folder: &Path, place: &Path) -> Child {
    let mut work = paceline(place, &[], &["work", "plan", "0000", "--node", "c"]);
    work.env("PACELINE_TEST_MACHINE", folder).env("TMPDIR", place).spawn().unwrap()
}

#[test]
fn a_load_waits_for_a_block_on_its_machine() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], "--port 17562");
    let _swept = Swept(other.path());
    ok(other.path(), &long_plan(other.path()));
    let block = elsewhere(folder.path(), other.path());
    await_that("the block begins", || other.path().join("plan/parts").exists());
    waits(folder.path(), block);
}

#[test]
fn a_load_waits_for_another_load_on_its_machine_whatever_its_port_and_names() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], "--port 17563");
    // Its server's node waits for a generator.
    planned(other.path(), &["c=127.0.0.2", "d=127.0.0.3"], "--port 17564");
    let load = elsewhere(folder.path(), other.path());
    await_that("it listens", || TcpStream::connect("127.0.0.2:17564").is_ok());
    waits(folder.path(), load);
}
