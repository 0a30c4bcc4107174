//! Plans and nodes that are refused, each with a sentence and its exit code.

use std::{fs, net::TcpListener};

use super::{paceline, planned, said, work};

#[test]
fn a_plan_that_makes_no_sense_is_refused_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |words: &[&str], why: &str| {
        let words: Vec<&str> = ["plan", "--out", "plan"].iter().chain(words).copied().collect();
        let output = paceline(folder.path(), &[], &words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{words:?}: {}", said(&output));
    };
    let nodes = ["--server", "a=10.93.0.1", "--generator", "b=10.93.0.2"];
    let with = |more: &[&'static str]| [&nodes[..], more].concat();
    refused(
        &with(&["serve-plain", "--rate", "9", "--generators", "2"]),
        "2 generators need as many nodes",
    );
    refused(&with(&["serve-plain"]), "say how to load it");
    refused(&with(&["--rate", "9"]), "name what to load");
    refused(&with(&["http://192.0.2.1/", "--rate", "9"]), "not at an address of the plan");
    refused(&with(&["http://127.0.0.1/", "--rate", "9"]), "not at an address of the server's node");
    refused(&["serve-plain", "--server", "a=10.93.0.1", "--rate", "9"], "--generator");
    refused(&["serve-plain", "--rate", "9"], "--server");
    refused(
        &with(&["http://10.93.0.1:8080/", "--rate", "9", "--model", "tokio"]),
        "--model and --workers are for servers of paceline",
    );
    refused(
        &with(&["http://10.93.0.1:7473/", "--rate", "9"]),
        "also the port on which the generators meet",
    );
    refused(&with(&["serve-plain", "--rate", "0"]), "--rate 0");
    refused(
        &with(&[
            "serve-plain",
            "--rate",
            "9",
            "--model",
            "tokio",
            "--trials",
            "9",
            "--budget",
            "9s",
        ]),
        "--budget 9s is too short for a block, whose loads take half of 1m49s: give at least --budget 1m49s",
    );
    refused(
        &with(&["http://10.93.0.1:8080/", "--rate", "9", "--swap-roles"]),
        "--swap-roles is for servers of paceline",
    );
    refused(&["serve-plain", "--swap-roles"], "--server");
    refused(&with(&["serve-plain", "--rate", "9", "--generators", "0"]), "1 to 64 generators");
    refused(
        &["serve-plain", "--rate", "9", "--server", "a=127.0.0.1", "--generator", "b=10.93.0.2"],
        "other nodes cannot reach a at 127.0.0.1",
    );
    assert!(!folder.path().join("plan").exists());
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], &[]);
    let pods =
        paceline(folder.path(), &[], &["manifest", "plan", "--image", "x"]).output().unwrap();
    assert_eq!(pods.status.code(), Some(2), "{}", said(&pods));
    assert!(said(&pods).contains("submit this plan to Slurm or over SSH"), "{}", said(&pods));
    let unknown =
        paceline(folder.path(), &[], &["work", "plan", "0000", "--node", "z"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    assert!(said(&unknown).contains("has no role in this plan"), "{}", said(&unknown));
    fs::write(folder.path().join("plan/token"), "short").unwrap();
    let tokenless =
        paceline(folder.path(), &[], &["work", "plan", "0000", "--node", "b"]).output().unwrap();
    assert_eq!(tokenless.status.code(), Some(2), "{}", said(&tokenless));
}

#[test]
fn a_generator_with_another_plan_or_token_is_refused_at_once_and_the_right_one_still_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = ["a=127.0.0.1", "b=127.0.0.2"];
    let make = |out: &str, more: &[&str]| {
        planned(folder.path(), &nodes, &[&["--port", "17507"], more].concat());
        fs::rename(folder.path().join("plan"), folder.path().join(out)).unwrap();
    };
    make("tokenless", &[]);
    make("other", &["--seed", "2"]);
    planned(folder.path(), &nodes, &["--port", "17507"]);
    let token = folder.path().join("plan/token");
    fs::copy(&token, folder.path().join("other/token")).unwrap();
    let leader = work(folder.path(), &[], "a");
    for (dir, why) in [
        ("tokenless", "copy the plan's folder with its token from there"),
        ("other", "refused this generator: it has another plan"),
    ] {
        let words = ["work", dir, "0000", "--node", "b"];
        let output = paceline(folder.path(), &[], &words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    for node in [leader, work(folder.path(), &[], "b")] {
        let output = node.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[test]
fn a_port_in_use_ends_the_servers_node_with_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    planned(folder.path(), &["a=127.0.0.1", "b=127.0.0.2"], &["--port", &port]);
    let output = work(folder.path(), &[], "a").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("another --port"), "{}", said(&output));
    assert!(!folder.path().join("plan/parts").exists());
}
