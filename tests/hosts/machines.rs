//! Nodes that are one machine, though their boot ids differ, and nodes on which a block is measured.

use std::{
    fs::{self, File},
    thread,
    time::Duration,
};

use super::{
    all_end_well, collected, paceline, planned,
    program::{await_that, call, ended, has_open},
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

#[test]
fn a_load_waits_for_a_block_on_one_of_its_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, &["a=127.0.0.1", "b=127.0.0.2"], "--port 17562");
    let user = rustix::process::geteuid().as_raw();
    let path = folder.join(format!("paceline-{user}-b.lock"));
    let block = File::create(&path).unwrap();
    block.lock().unwrap();
    let nodes = ["a", "b"].map(|node| {
        let mut work = paceline(folder, &[], &["work", "plan", "0000", "--node", node]);
        work.env("TMPDIR", folder).spawn().unwrap()
    });
    await_that("it finds its node taken", || has_open(nodes[1].id(), &path));
    thread::sleep(Duration::from_millis(200));
    assert!(!folder.join("plan/parts").exists(), "it does not wait");
    drop(block);
    for (node, waits) in nodes.map(ended).iter().zip([false, true]) {
        assert_eq!(node.status.code(), Some(0), "{}", said(node));
        let why = "another paceline measures on b: this one waits for it";
        assert_eq!(said(node).contains(why), waits, "{}", said(node));
    }
}
