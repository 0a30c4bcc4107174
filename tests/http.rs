//! The edges of HTTP/1.1, as a client meets them.

mod server;

use std::{process::Command, thread, time::Duration};

use server::{At, SERVICE, Server, available, program, workload};

/// The edges of HTTP, on a model that waits for readiness, on one that waits for completion, and on those of another
/// language.
macro_rules! on_each {
    ($($test:ident)*) => {$(
        #[test]
        fn $test() {
            for model in ["tokio", "compio", "asyncio", "python-threads"] {
                if available(model).is_some() {
                    let server = Server::of(model, SERVICE);
                    edges::$test(server.at);
                }
            }
        }
    )*};
}

on_each! {
    pipelined_requests_are_answered_in_order
    a_request_may_come_byte_by_byte
    http_1_0_closes_unless_it_is_told_to_keep
    close_is_honoured
    head_has_the_head_of_get_and_no_body
    bodies_are_skipped_and_waited_for
    a_client_that_expects_is_told_to_go_on
    what_is_not_here_is_404_and_what_is_not_known_405
    what_cannot_be_read_is_refused_and_ends_the_connection
}

mod edges {
    use super::*;

    pub(super) fn pipelined_requests_are_answered_in_order(server: At) {
        let mut client = server.connect();
        let requests = (0..300).map(|index| format!("GET /{} HTTP/1.1\r\n\r\n", index % 7));
        client.send(&requests.collect::<String>());
        for index in 0..300 {
            assert_eq!(client.response().body, server.body(index % 7));
        }
    }

    pub(super) fn a_request_may_come_byte_by_byte(server: At) {
        let mut client = server.connect();
        for byte in "POST /9 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc".chars() {
            client.send(&byte.to_string());
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(client.response().body, server.body(9));
    }

    pub(super) fn http_1_0_closes_unless_it_is_told_to_keep(server: At) {
        let mut client = server.connect();
        client.send("GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
        let kept = client.response();
        assert!(kept.has("connection: keep-alive"), "{kept:?}");
        client.send("GET /2 HTTP/1.0\r\n\r\n");
        let last = client.response();
        assert!(last.has("connection: close") && last.body == server.body(2), "{last:?}");
        assert!(client.is_closed());
    }

    pub(super) fn close_is_honoured(server: At) {
        let mut client = server.connect();
        let open = client.get(1);
        assert!(!open.headers.iter().any(|h| h.starts_with("connection")), "{open:?}");
        client.send("GET /1 HTTP/1.1\r\nConnection: Close\r\n\r\n");
        assert!(client.response().has("connection: close"));
        assert!(client.is_closed());
    }

    pub(super) fn head_has_the_head_of_get_and_no_body(server: At) {
        let mut client = server.connect();
        let get = client.get(5);
        client.send("HEAD /5 HTTP/1.1\r\n\r\n");
        let head = client.head();
        assert_eq!((head.status, &head.headers), (200, &get.headers));
        assert_eq!(client.get(5), get, "nothing came between");
        assert!(get.has("content-type: text/plain"));
    }

    pub(super) fn bodies_are_skipped_and_waited_for(server: At) {
        let mut client = server.connect();
        // More than is read at a time, and full of what would be requests.
        let body = "GET /0 HTTP/1.1\r\n\r\n".repeat(1000);
        for method in ["POST", "PUT", "GET"] {
            client.send(&format!("{method} /3 HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len()));
            client.send(&body);
            assert_eq!(client.response().body, server.body(3), "{method}");
        }
        assert_eq!(client.get(4).body, server.body(4));
    }

    pub(super) fn a_client_that_expects_is_told_to_go_on(server: At) {
        let mut client = server.connect();
        client.send("PUT /6 HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
        assert_eq!(client.head().status, 100);
        client.send("ab");
        assert_eq!(client.response().body, server.body(6));
        // What comes with the body waits for nothing.
        client.send("PUT /6 HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\nab");
        assert_eq!(client.response().status, 200);
    }

    pub(super) fn what_is_not_here_is_404_and_what_is_not_known_405(server: At) {
        let mut client = server.connect();
        client.send("GET /nothing HTTP/1.1\r\n\r\nDELETE /1 HTTP/1.1\r\n\r\n");
        let missing = client.response();
        assert!(missing.status == 404 && missing.body.contains("index"), "{missing:?}");
        let method = client.response();
        assert!(method.status == 405 && method.has("allow: GET, HEAD, POST, PUT"), "{method:?}");
        assert_eq!(client.get(1).status, 200, "the connection stays");
        client.send("GET /8?x=%20/y HTTP/1.1\r\n\r\n");
        assert_eq!(client.response().body, server.body(8));
    }

    pub(super) fn what_cannot_be_read_is_refused_and_ends_the_connection(server: At) {
        for (request, status) in [
            ("this is not HTTP\r\n\r\n".to_owned(), 400),
            ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(), 400),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65)), 431),
            (format!("GET /{} HTTP/1.1\r\n\r\n", "1".repeat(17 << 10)), 431),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".into(),
                501,
            ),
        ] {
            let mut client = server.connect();
            client.send("GET /2 HTTP/1.1\r\n\r\n");
            client.send(&request);
            assert_eq!(client.response().body, server.body(2), "what came before is answered");
            let refused = client.response();
            assert_eq!(refused.status, status, "{request:.40}");
            assert!(refused.has("connection: close") && !refused.body.is_empty(), "{refused:?}");
            assert!(client.is_closed());
        }
    }
}

#[test]
fn a_job_that_fails_is_500_with_its_error_and_the_connection_stays() {
    let job = workload("name = \"lost\"\njob = [{ connect = \"echo\" }]");
    for name in ["threads", "tokio", "compio", "asyncio", "python-threads"] {
        let Some(entry) = available(name) else { continue };
        let server = Server::start(&program(), entry, &job, None);
        let mut client = server.connect();
        for _ in 0..2 {
            let response = client.get(1);
            assert_eq!(response.status, 500);
            assert!(response.body.contains("refused"), "{name}: {response:?}");
        }
    }
}

#[test]
fn curl_understands_it() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("curl is not here: not tried");
        return;
    }
    let server = Server::of("tokio", SERVICE);
    let url = |index| format!("http://{}/{index}", server.address);
    let output = Command::new("curl")
        .args(["-sS", "--fail", "--noproxy", "*", "-d", "a body", &url(1), &url(2)])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, server.body(1) + &server.body(2), "{:?}", output.stderr);
}
