//! A burst of connections must not overflow the echo server's queue: a dropped one comes again after a second.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::TcpStream, process::Command, time::Duration};

use paceline::machine::dropped_connections;
use paceline_core::process::Program;

#[test]
fn a_burst_of_a_thousand_connections_drops_none() {
    let echo = Program::at(env!("CARGO_BIN_EXE_paceline")).echo().unwrap();
    let before = dropped_connections().unwrap();
    // While it cannot accept, the queue alone must hold them: 128, which std asks for, would not.
    let stopped = Command::new("kill").args(["-STOP", &echo.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let connect = |_| TcpStream::connect_timeout(&echo.addresses().echo[0], Duration::from_secs(1));
    let open: Vec<TcpStream> = (0..1000).map_while(|index| connect(index).ok()).collect();
    assert_eq!(open.len(), 1000);
    assert_eq!(dropped_connections().unwrap(), before);
}
