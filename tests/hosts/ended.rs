//! Nodes of a load that are ended, cut off or started twice: no process of the load is left, and each node says why.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Namespaces, all_end_well, fails, load_words, paceline, planned,
    program::{Swept, await_that, ended, processes},
    said, token_and_hello_of_b, work,
};

/// Waits until a generator of the plan in `folder` is at work.
pub(super) fn await_generator(folder: &Path) {
    await_that("a generator starts", || {
        processes(folder).iter().any(|line| line.contains(" __load"))
    });
}

/// Plans a load of 10 minutes.
fn plan_long<'a>(folder: &'a Path, nodes: &[&str], port: &str) -> Swept<'a> {
    let more = format!("--duration 10m --port {port}");
    let output = paceline(folder, &[], &load_words("plan", nodes, &more)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    Swept(folder)
}

/// Ends a node, which may be a zombie of this test already.
fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

const NODES: [&str; 2] = ["a=127.0.0.1", "b=127.0.0.2"];

#[test]
fn whichever_node_of_a_load_is_ended_nothing_of_it_is_left_and_the_other_says_why() {
    let interrupted = "ended this generator: it was interrupted there; the load is void";
    for (place, with, why) in [
        (0, Signal::INT, interrupted),
        (0, Signal::TERM, interrupted),
        (0, Signal::KILL, "the server's node was lost"),
        (1, Signal::INT, "the generator on b was lost, so the load is void"),
        (1, Signal::KILL, "the generator on b was lost, so the load is void"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let _swept = plan_long(folder.path(), &NODES, "17541");
        let mut nodes = ["a", "b"].map(|node| Some(work(folder.path(), &[], node)));
        await_generator(folder.path());
        let hit = nodes[place].take().unwrap();
        signal(&hit, with);
        let (hit, other) = (ended(hit), ended(nodes[1 - place].take().unwrap()));
        let code = (with != Signal::KILL).then_some(130);
        assert_eq!(hit.status.code(), code, "{place} {with:?}: {}", said(&hit));
        fails(&other, 1, &[why]);
        await_that("nothing is left", || processes(folder.path()).is_empty());
    }
}

#[test]
fn a_node_that_ends_while_the_others_are_awaited_tells_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let _swept = plan_long(folder.path(), &["a=127.0.0.1", "b=127.0.0.2", "c=127.0.0.3"], "17542");
    let [leader, generator] = ["a", "b"].map(|node| work(folder.path(), &[], node));
    // Before that, the question of `is_taken` would itself be let in as the generator.
    await_that("the generator has connected", || is_connected(17_542));
    await_that("the generator is let in", || is_taken(folder.path()));
    signal(&leader, Signal::INT);
    assert_eq!(ended(leader).status.code(), Some(130));
    fails(&ended(generator), 1, &["it was interrupted there"]);
}

/// Returns whether a socket is connected to this port of 127.0.0.1.
fn is_connected(port: u16) -> bool {
    let to = format!("0100007F:{port:04X} 01");
    fs::read_to_string("/proc/net/tcp").unwrap().contains(&to)
}

/// Returns whether the leader at 127.0.0.1:17542 has a generator on b already.
fn is_taken(folder: &Path) -> bool {
    let (token, hello) = token_and_hello_of_b(folder);
    let mut stream = TcpStream::connect("127.0.0.1:17542").unwrap();
    stream.write_all(format!("{token}{hello}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.contains("another process already runs")
}

#[test]
fn a_second_process_of_a_node_is_told_at_once_that_the_node_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let _swept = plan_long(folder.path(), &NODES, "17543");
    let second = |node: &str| {
        // Another attempt may succeed, so engines repeat it.
        let why =
            format!("another process already runs block 0000 as {node}: wait for it, or end it");
        fails(&ended(work(folder.path(), &[], node)), 1, &[&*why]);
    };
    let leader = work(folder.path(), &[], "a");
    await_that("it listens", || TcpStream::connect("127.0.0.1:17543").is_ok());
    second("a");
    let first = work(folder.path(), &[], "b");
    await_generator(folder.path());
    second("a");
    second("b");
    signal(&leader, Signal::INT);
    assert_eq!(ended(leader).status.code(), Some(130));
    assert_eq!(ended(first).status.code(), Some(1));
}

#[test]
fn a_generator_that_ended_before_the_load_makes_room_for_its_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = ["a=127.0.0.1", "b=127.0.0.2", "c=127.0.0.3"];
    planned(folder.path(), &nodes, "--port 17544");
    let (token, hello) = token_and_hello_of_b(folder.path());
    let leader = work(folder.path(), &[], "a");
    await_that("it listens", || TcpStream::connect("127.0.0.1:17544").is_ok());
    let mut gone = TcpStream::connect("127.0.0.1:17544").unwrap();
    gone.write_all(format!("{token}{hello}\n").as_bytes()).unwrap();
    drop(gone);
    let generators = ["b", "c"].map(|node| work(folder.path(), &[], node));
    all_end_well([leader].into_iter().chain(generators));
}

#[test]
fn nodes_that_are_cut_off_from_each_other_end_the_load_on_both_sides() {
    let Some(two) = Namespaces::make() else { return };
    let folder = tempfile::tempdir().unwrap();
    let _swept = plan_long(folder.path(), &["a=10.93.1.1", "b=10.93.1.2"], "17545");
    let inside = two.names.each_ref().map(|name| ["ip", "netns", "exec", name]);
    let [leader, agent] =
        [("a", 0), ("b", 1)].map(|(node, place)| work(folder.path(), &inside[place], node));
    await_generator(folder.path());
    let down = ["-n", &two.names[1], "link", "set", "vb", "down"];
    assert!(Command::new("ip").args(down).status().unwrap().success());
    for (node, why) in [(leader, "the generator on b was lost"), (agent, "the load is void")] {
        fails(&ended(node), 1, &[why]);
    }
    await_that("nothing is left", || processes(folder.path()).is_empty());
}
