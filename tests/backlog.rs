//! The suite's server takes every connection, on all its threads. A burst must not overflow its queue, since a dropped
//! connection comes again after a second.
#![cfg(target_os = "linux")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    thread::available_parallelism,
    time::Duration,
};

use paceline::machine::dropped_connections;
use paceline_core::{process::Program, suite_server::EchoServer};

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

fn open(address: &SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(address, Duration::from_secs(1)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

fn echoes(mut stream: &TcpStream) -> bool {
    stream.write_all(b"once").unwrap();
    stream.read_exact(&mut [0; 4]).is_ok()
}

#[test]
fn the_addresses_are_spread_over_a_thread_for_each_core() {
    let mut echo = Program::at(env!("CARGO_BIN_EXE_paceline")).echo().unwrap();
    let addresses = echo.addresses().echo.clone();
    let mut served = vec![0; available_parallelism().unwrap().get()];
    for address in &addresses {
        echo.cpu_time().unwrap(); // The first thread's work for this is over before.
        let before = echo.thread_times().unwrap();
        let stream = open(address);
        assert!((0..2000).all(|_| echoes(&stream)));
        let after = echo.thread_times().unwrap();
        let used =
            |(index, after): (usize, &Duration)| (after.saturating_sub(before[index]), index);
        served[after.iter().enumerate().map(used).max().unwrap().1] += 1;
    }
    assert!(served.iter().all(|of| *of == addresses.len() / served.len()), "{served:?}");
}

#[test]
fn who_waited_while_no_descriptor_was_left_is_accepted_when_there_is_one() {
    let mut few = Command::new("sh");
    few.args(["-c", &format!("ulimit -n 100; exec {} __echo", env!("CARGO_BIN_EXE_paceline"))]);
    let echo = EchoServer::start(few).unwrap();
    let address = echo.addresses().echo[0];
    let mut all: Vec<TcpStream> = (0..120).map(|_| open(&address)).collect();
    assert!(echoes(&all[0]));
    // All are connected as far as the kernel is concerned. Those at the end wait for the first to leave.
    let waiting = all.split_off(60);
    drop(all);
    assert!(waiting[..20].iter().all(echoes));
}

#[test]
fn a_server_that_cannot_start_says_why_and_what_to_do() {
    let mut few = Command::new("sh");
    few.args(["-c", &format!("ulimit -n 8; exec {} __echo", env!("CARGO_BIN_EXE_paceline"))]);
    let why = EchoServer::start(few).err().unwrap().to_string();
    assert!(why.contains("(os error 24); raise the hard limit as root: sudo prlimit"), "{why}");
    let silent = EchoServer::start(Command::new("true")).err().unwrap().to_string();
    assert!(silent.contains("it gave no reason"), "{silent}");
}
