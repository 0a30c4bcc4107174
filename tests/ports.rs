//! A machine that runs out of local ports says so, in a network namespace with 32 of them.
#![cfg(target_os = "linux")]

use std::process::{Command, Output, Stdio};

/// Leaves 32 ports, each of which waits a minute after its connection was closed.
const NAMESPACE: &str = "ip link set lo up && sysctl -qw net.ipv4.ip_local_port_range='40000 40031' && \
                         sysctl -qw net.ipv4.tcp_tw_reuse=0 && exec \"$@\"";

fn namespace(arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", NAMESPACE, "sh"]).args(arguments);
    command.stdin(Stdio::null());
    command
}

/// Runs paceline there; `None`, after a message, if there can be no namespace.
fn paceline(arguments: &[&str]) -> Option<Output> {
    let possible = namespace(&["true"]).output();
    if !possible.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: no network namespace can be made here: {possible:?}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = namespace(&[env!("CARGO_BIN_EXE_paceline")]);
    command.args(arguments).current_dir(&folder).env("PACELINE_ALLOW_DEBUG", "1");
    Some(command.output().unwrap())
}

#[test]
fn jobs_that_find_no_port_fail_their_cell_with_the_reason_and_the_remedy() {
    let batches = ["run", "churn", "--model", "threads", "--scale", "10", "--trials", "3"];
    let Some(output) = paceline(&batches) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text.contains("no local port is free; wait a minute, or widen"), "{text}");
}

#[test]
fn scales_that_need_more_ports_than_there_are_are_refused_with_the_remedy() {
    let scale = ["run", "echo", "--model", "threads", "--scale", "1000", "--trials", "3"];
    let Some(output) = paceline(&scale) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("needs 125 local ports, has 32; lift it with: sysctl -w"), "{text}");
}

#[test]
fn a_load_that_finds_no_port_fails_with_the_reason_and_the_remedy() {
    let load = ["load", "serve-service", "--model", "threads", "--connections", "64"];
    let Some(output) = paceline(&[&load[..], &["--duration", "1s"]].concat()) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text.contains("no local port is free") && text.contains("tcp_tw_reuse"), "{text}");
}
