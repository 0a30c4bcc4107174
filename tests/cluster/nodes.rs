//! Nodes that could be taken for others, two workers on one node, and jobs that are hidden from who asks.

use std::{fs, os::unix::fs::symlink, path::Path, process::Output, thread, time::Duration};

use paceline::record::read;
use rustix::process::Signal;

use super::{
    planned,
    program::{
        PACELINE, Swept, await_that, both, call, ended, long_plan, ok, paceline, processes,
        record_in, signal,
    },
    refused,
};

/// Works on a block on a machine with these ids. Returns `None`, after a message, where ids cannot be replaced.
fn work_on(folder: &Path, [machine, boot]: [&str; 2], block: &str) -> Option<Output> {
    const MOUNT: &str =
        "mount --bind machine /etc/machine-id && mount --bind boot /proc/sys/kernel/random/boot_id";
    fs::write(folder.join("machine"), machine).unwrap();
    fs::write(folder.join("boot"), boot).unwrap();
    let script = format!("{MOUNT} || exit 77; exec \"$@\"");
    let work = ["--mount", "sh", "-c", &script, "sh", PACELINE, "cluster", "work", "plan", block];
    let output = call("unshare", folder, work).output().unwrap();
    if output.status.code() == Some(77) || both(&output).starts_with("unshare:") {
        eprintln!("left out: the ids of this machine cannot be replaced: {}", both(&output));
        return None;
    }
    Some(output)
}

#[test]
fn two_machines_with_one_host_name_are_two_nodes_and_one_that_restarts_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "2");
    let [one, other] = ["1", "2"].map(|digit| digit.repeat(32));
    for (block, ids) in [
        ("0000", [&*one, "boot-1"]),
        ("0001", [&*other, "boot-2"]),
        ("0002", [&*other, "boot-3"]),
        ("0003", [&*one, "boot-1"]),
    ] {
        let Some(output) = work_on(folder, ids, block) else { return };
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    }
    let collected = ok(folder, &["cluster", "collect", "plan"]);
    let nodes = read(&record_in(folder)).unwrap().nodes.unwrap().nodes;
    let [first, second] = &nodes[..] else { panic!("{nodes:?}") };
    assert!(first.host == second.host && first.id != second.id, "{nodes:?}");
    let restarted = nodes.iter().find(|node| node.boot_id == "boot-2").unwrap();
    let said = format!("{} had 2 boot ids: it restarted between blocks", restarted.id);
    assert!(collected.contains(&said), "{collected}");
}

#[test]
fn a_block_waits_until_its_node_is_free_and_is_not_measured_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planned(folder, "1");
    let other = tempfile::tempdir().unwrap();
    let _swept = Swept(other.path());
    ok(other.path(), &long_plan(other.path()));
    // Another plan, another name of the node, and another folder for temporary files.
    let mut work = paceline(other.path(), ["cluster", "work", "plan", "0000", "--node", "its-ip"]);
    work.env("PACELINE_TEST_MACHINE", folder).env("TMPDIR", other.path());
    let block = work.spawn().unwrap();
    await_that("the other block begins", || other.path().join("plan/parts").exists());
    let both_at_once = [0, 1].map(|_| {
        paceline(folder, ["cluster", "work", "plan", "0000", "--node", "box"]).spawn().unwrap()
    });
    thread::sleep(Duration::from_secs(1));
    assert!(!folder.join("plan/parts").exists(), "it does not wait");
    signal(block.id(), Signal::INT);
    assert_eq!(ended(block).status.code(), Some(130));
    let said = both_at_once.map(|child| both(&ended(child))).concat();
    assert!(said.contains("another paceline measures on box: this one waits"), "{said}");
    assert!(said.contains("was done before"), "{said}");
    let attempts = fs::read_dir(folder.join("plan/parts/0000")).unwrap();
    let attempts = attempts.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(attempts.count(), 1);
}

#[test]
fn a_job_is_found_in_a_narrow_terminal_and_is_lost_to_nobody_who_cannot_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _swept = Swept(folder);
    ok(folder, &long_plan(folder));
    let with = |name: &str, value: &Path, words: &str| {
        let mut call = paceline(folder, words.split(' '));
        both(&call.env(name, value).output().unwrap())
    };
    let (submit, status) = ("cluster submit plan --engine local", "cluster status plan");
    // Other tests have this machine's own name.
    with("PACELINE_NODE_NAME", Path::new("long"), submit);
    await_that("a block begins", || folder.join("plan/parts").is_dir());
    let narrow = with("COLUMNS", Path::new("20"), status);
    assert!(narrow.contains("1 running"), "{narrow}");
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    symlink("/bin/sh", bin.join("sh")).unwrap();
    let without = with("PATH", &bin, status);
    assert!(without.contains("does not answer") && without.contains("ps is missing"), "{without}");
    // As another machine sees it, where another process has its number.
    let job = folder.join("plan/submissions/1.pid");
    let own = fs::read_to_string(&job).unwrap();
    fs::write(&job, "1 elsewhere\n").unwrap();
    let elsewhere = ok(folder, &["cluster", "status", "plan"]);
    let why = "job 1 was submitted on elsewhere: ask there";
    assert!(elsewhere.contains(why), "{elsewhere}");
    for command in ["submit", "cancel"] {
        refused(folder, &["cluster", command, "plan"], 6, why);
    }
    fs::write(&job, own).unwrap();
    ok(folder, &["cluster", "cancel", "plan"]);
    assert_eq!(processes(folder), [""; 0], "it goes on after cancel");
}
