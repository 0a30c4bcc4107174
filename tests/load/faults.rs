//! Faults of servers, of the generator's process and of its parent: each ends the load with a sentence.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use paceline_core::{
    generator::{Drive, Order},
    prepared::Fault,
    process::Program,
};

use super::{
    FINE, alone, delayed, each_connection, fault, listener::generator, open, order, saying, server,
};

#[test]
fn every_fault_of_a_server_ends_the_load_with_a_sentence() {
    let _alone = alone();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let torn = server(|stream, _| {
        stream.write_all(&FINE.as_bytes()[..FINE.len() - 1]).unwrap();
        false
    });
    // What is closed without having read all is reset.
    let reset = each_connection(|mut stream| {
        stream.peek(&mut [0]).unwrap();
        stream.write_all(&FINE.as_bytes()[..20]).unwrap();
        thread::sleep(Duration::from_millis(20));
    });
    let silent = server(|_, _| true);
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    for (address, invalid, words) in [
        (refusing, false, "the connection was refused"),
        (torn, false, "closed in the middle of the answer"),
        (reset, false, "broke in the middle of the answer"),
        (server(|_, _| false), false, "closed without an answer"),
        (silent, false, "got no answer within 300ms"),
        (saying("HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nwhy?"), false, "status 500: \"why?\""),
        (
            saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
            true,
            "not what is expected: \"no\"",
        ),
        (saying("220 mail.example ESMTP\r\n"), true, "cannot be understood"),
        (saying("\x15\x03\x01\0\x02\x02F"), true, "speaks TLS"),
        (
            saying("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"),
            true,
            "switches to another protocol",
        ),
        (
            server(|stream, _| {
                stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").unwrap();
                false
            }),
            false,
            "closed in the middle of the answer",
        ),
        (saying(long), true, "over 64 KiB"),
        (saying(format!("{FINE}x")), true, "after the end"),
    ] {
        let fault = fault(&order(address, open(100.0), 2, 100));
        assert!(fault.to_string().contains(words), "{fault} does not say {words:?}");
        assert!(fault.to_string().contains(&format!("connection 0 to {address}")), "{fault}");
        assert_eq!(matches!(fault, Fault::Invalid(_)), invalid, "{fault}");
    }
}

#[test]
fn a_server_of_one_connection_at_a_time_is_told_from_one_that_does_not_answer() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 1000];
            while stream.read(&mut head).is_ok_and(|read| read > 0) {
                thread::sleep(Duration::from_millis(1));
                stream.write_all(FINE.as_bytes()).unwrap();
            }
        }
    });
    let said = fault(&order(address, Drive::Closed, 3, 200)).to_string();
    assert!(said.contains("2 requests got no answer within 300ms, this one first"), "{said}");
    assert!(said.contains("of 3 connections only connection 0 was served"), "{said}");
    let silent = fault(&order(server(|_, _| true), Drive::Closed, 1, 100)).to_string();
    assert!(silent.contains("1 request got no answer within 300ms, this one"), "{silent}");
    assert!(!silent.contains("was served"), "{silent}");
}

#[test]
fn requests_that_waited_for_a_connection_got_no_answer_either() {
    let _alone = alone();
    let said = |connections| {
        let silent = server(|_, _| true);
        fault(&Order { warm_up_ns: 0, ..order(silent, open(100.0), connections, 500) }).to_string()
    };
    let four = "50 requests got no answer within 300ms, of which 4 were sent and the others waited for a connection, this one first";
    assert!(said(4).contains(four), "{}", said(4));
    assert!(said(1).contains("50 requests got no answer within 300ms, of which 1 was sent and"));
    assert!(said(50).contains(": 50 requests got no answer within 300ms, this one first"));
}

#[test]
fn a_window_without_an_arrival_is_said_to_be_one() {
    let _alone = alone();
    let said = fault(&order(delayed(1), open(1.0), 1, 500)).to_string();
    assert!(said.contains("no arrival fell into the window: 1 per second in 500ms"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn opening_ends_soon_where_the_server_accepts_no_more() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let _alone = alone();
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 1).unwrap();
    let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let began = Instant::now();
    // Were it the 30 s of all opening, this program's own patience of 5 s would end it without a word of the server's.
    let said = fault(&order(address, Drive::Closed, 50, 3000)).to_string();
    assert!(said.contains("of 50 connections could be opened"), "{said}");
    assert!(said.contains("accepts no more"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_child_itself_refuses_addresses_that_are_not_loopback() {
    let _alone = alone();
    let fault = fault(&order("192.0.2.1:80".parse().unwrap(), open(1.0), 1, 100));
    assert!(fault.to_string().contains("192.0.2.1:80 is not a loopback address"), "{fault}");
}

#[test]
#[cfg(target_os = "linux")]
fn too_few_descriptors_are_a_fault_that_says_so() {
    let _alone = alone();
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 20; exec \"$0\" __load", env!("CARGO_BIN_EXE_paceline")]);
    let (mut child, _input, mut lines) = generator(few, &order(delayed(1), open(10.0), 50, 100));
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("(os error 24); raise the hard limit as root: sudo prlimit"), "{said}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_generator_that_ends_or_talks_nonsense_or_says_nothing_is_an_error() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        Program::at(path)
    };
    let order = Order { warm_up_ns: 0, ..order(delayed(1), open(10.0), 1, 100) };
    for (program, words) in [
        (Program::at(folder.path().join("none")), "cannot be started"),
        (program("ends", "read line; echo out of luck >&2; exit 7"), "7; it said: out of luck"),
        (program("talks", "read line; echo nonsense; sleep 5"), "it said \"nonsense\""),
        (
            program("silent", "exec sleep 60"),
            "the load generator did not report within 3s: nothing",
        ),
        (program("mute", "echo '\"ready\"'; sleep 60"), "did not confirm the start within 3s"),
        // 100 ms of window, 300 ms of the order's patience, and ours.
        (
            program("stuck", "echo '\"ready\"'; echo '\"agreed\"'; sleep 60"),
            "lost, with no word within 3s 400ms: the load is void",
        ),
        // It takes no line any more when it is told the start.
        (
            program(
                "gone",
                r#"read line; exec <&-; echo '"ready"'; echo '{"fault":{"invalid":"23 bytes"}}'"#,
            ),
            "23 bytes",
        ),
        (program("ahead", "echo '\"agreed\"'; sleep 60"), "said Agreed out of turn"),
    ] {
        let error = program.load(&order, Duration::from_secs(3)).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words:?}");
    }
}

#[test]
fn the_generator_ends_with_its_parent() {
    let _alone = alone();
    let mut program = Command::new(env!("CARGO_BIN_EXE_paceline"));
    program.arg("__load");
    let order = order(delayed(1), open(10.0), 1, 60_000);
    let (mut child, mut input, mut lines) = generator(program, &order);
    assert_eq!(lines.next().unwrap().unwrap(), "\"ready\"");
    writeln!(input, "{{\"at_ns\":1}}").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "\"agreed\"");
    assert!(child.try_wait().unwrap().is_none(), "it ended before it was to");
    drop(input);
    // Of a load of 60 s.
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it goes on without its parent");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
