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

const PACELINE: &str = env!("CARGO_BIN_EXE_paceline");

/// Runs paceline there; `None`, after a message, if there can be no namespace.
fn paceline(arguments: &[&str]) -> Option<Output> {
    run(&[&[PACELINE], arguments].concat())
}

/// Runs a program there.
fn run(words: &[&str]) -> Option<Output> {
    let possible = namespace(&["true"]).output();
    if !possible.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: no network namespace can be made here: {possible:?}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = namespace(words);
    command.current_dir(&folder).env("PACELINE_ALLOW_DEBUG", "1");
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
    assert!(
        text.contains("needs 125 local ports for each address, has 32; lift it with: sysctl -w"),
        "{text}"
    );
}

/// A server whose connections stay open whatever a client asks for: the client closes them, and keeps their ports.
const DEAF: &str = r"
import socket, threading
def serve(connection):
    while connection.recv(65536):
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
listener = socket.create_server(('127.0.0.1', 18080))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";

#[test]
fn a_load_that_finds_no_port_fails_with_the_reason_and_the_remedy() {
    // The server listens once it answers to `bash`, which takes a port too.
    let wait = "until (: >/dev/tcp/127.0.0.1/18080) 2>/dev/null; do sleep 0.1; done";
    let script = format!("python3 -c \"$0\" & trap \"kill $!\" EXIT; {wait}; \"$@\"");
    let load = "load http://127.0.0.1:18080/ --header Connection:close --connections 4 --duration 1s --trials 1";
    let words =
        [&["bash", "-c", &script, DEAF, PACELINE][..], &load.split(' ').collect::<Vec<_>>()];
    let installed = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !(installed("python3") && installed("bash")) {
        eprintln!("left out: there is no python3 or no bash");
        return;
    }
    let Some(output) = run(&words.concat()) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text.contains("no local port is free") && text.contains("tcp_tw_reuse"), "{text}");
}

#[test]
fn a_load_of_more_connections_than_there_are_ports_is_refused_with_how_many_there_can_be() {
    let quick = ["--duration", "500ms", "--trials", "1", "--connections", "64"];
    for target in [&["http://127.0.0.1:9/"][..], &["serve-plain", "--model", "threads"]] {
        let Some(output) = paceline(&[&["load"], target, &quick].concat()) else { return };
        let text = String::from_utf8_lossy(&output.stdout);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let needs =
            "needs 64 local ports, has 32; give --connections 32, or lift it with: sysctl -w";
        assert!(words.contains(needs) && !words.contains("TIME_WAIT"), "{text}");
    }
}
