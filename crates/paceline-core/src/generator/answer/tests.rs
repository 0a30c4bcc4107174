//! Tests answers as bytes: split anywhere, right and wrong.

use super::*;

fn rendered(expect: Option<&str>) -> Rendered {
    accepting(expect, &[])
}

fn accepting(expect: Option<&str>, accept: &[u16]) -> Rendered {
    let request = Request::get("/", expect.map(String::from));
    Rendered::new(&request, true, accept, vec![])
}

/// Feeds an answer in parts of `size` to a request that expects `expect`.
fn fed(expect: Option<&str>, bytes: &str, size: usize) -> Result<Step, Failure> {
    let (mut request, mut progress) = (rendered(expect), Progress::new());
    let mut step = Step::More;
    // Twice: the second time the head is known.
    for _ in 0..2 {
        step = Step::More;
        for part in bytes.as_bytes().chunks(size) {
            step = request.take(&mut progress, part)?;
        }
    }
    Ok(step)
}

#[test]
fn an_answer_is_the_same_however_it_is_cut() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        for size in 1..=answer.len() {
            let step = fed(Some("hello"), answer, size);
            assert_eq!(step, Ok(Step::Done { close: false }), "{answer:?} by {size}");
        }
    }
}

#[test]
fn interim_answers_are_passed_over_however_they_are_cut() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for last in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let answer = format!("{interim}{last}");
        for size in 1..=answer.len() {
            let step = fed(Some("hello"), &answer, size);
            assert_eq!(step, Ok(Step::Done { close: false }), "{answer:?} by {size}");
        }
    }
    let (mut request, mut progress) = (rendered(None), Progress::new());
    assert_eq!(request.take(&mut progress, interim.as_bytes()), Ok(Step::More));
    // The server has begun to answer: the request must not be repeated.
    assert!(!progress.is_empty());
    assert!(matches!(request.close(&mut progress), Err(Failure { kind: Kind::Closed, .. })));
}

#[test]
fn an_upgrade_that_no_request_asked_for_is_a_fault() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    let Err(Failure { why: said, .. }) = fed(None, answer, 1000) else { panic!("it is a fault") };
    assert!(said.contains("status 101"), "{said}");
}

#[test]
fn a_head_ends_where_the_parser_says_with_either_sort_of_newline() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        for size in 1..=head.len() {
            assert_eq!(
                fed(None, head, size),
                Ok(Step::Done { close: false }),
                "{head:?} by {size}"
            );
        }
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_not_parsed_again_at_each() {
    use super::super::head::PARSED;
    let field = format!("x: {}\r\n", "y".repeat(1000));
    let answer = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", field.repeat(40));
    let (mut request, mut progress) = (rendered(None), Progress::new());
    let before = PARSED.get();
    let mut step = Ok(Step::More);
    for byte in answer.as_bytes().chunks(1) {
        assert_eq!(step, Ok(Step::More));
        step = request.take(&mut progress, byte);
    }
    assert_eq!(step, Ok(Step::Done { close: false }));
    let parsed = PARSED.get() - before;
    assert!(parsed <= FIRST_LOOK + 1, "parsed {parsed} times");
}

#[test]
fn a_body_that_differs_anywhere_is_a_fault() {
    for body in ["hellO", "Hello", "hell", "hello!", ""] {
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        for size in [1, 1000] {
            let found = fed(Some("hello"), &answer, size);
            assert!(
                matches!(found, Err(Failure { kind: Kind::Malformed | Kind::Receipt, .. })),
                "{body:?}: {found:?}"
            );
            assert!(fed(None, &answer, size).is_ok());
        }
    }
}

#[test]
fn a_status_is_a_fault_that_shows_the_body() {
    let answer = "HTTP/1.1 503 No\r\nContent-Length: 300\r\n\r\n".to_string();
    let Err(Failure { why: message, .. }) = fed(None, &(answer + &"x".repeat(300)), 50) else {
        panic!("it is a fault");
    };
    assert!(message.contains("503") && message.matches('x').count() == SHOWN, "{message}");
}

#[test]
fn any_2xx_is_right_unless_other_statuses_are_asked_for() {
    let step = |accept: &[u16], status: u16| {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        accepting(None, accept).take(&mut Progress::new(), answer.as_bytes())
    };
    for status in [200, 201, 202, 204, 206, 299] {
        assert!(step(&[], status).is_ok(), "{status}");
    }
    for status in [300, 304, 404, 500] {
        assert!(step(&[], status).is_err(), "{status}");
    }
    assert!(step(&[204, 404], 204).is_ok() && step(&[204, 404], 404).is_ok());
    let Err(Failure { why: said, .. }) = step(&[204, 404], 200) else { panic!("it is a fault") };
    assert_eq!(said, "the answer has status 200 instead of 204 or 404");
}

#[test]
fn a_redirect_names_its_target_however_it_is_cut() {
    let answer = "HTTP/1.1 301 Moved\r\nLocation: /new?a\r\nContent-Length: 3\r\n\r\nabc";
    for size in 1..=answer.len() {
        let Err(Failure { why: said, .. }) = fed(None, answer, size) else {
            panic!("it is a fault")
        };
        assert!(said.contains("status 301, a redirect to \"/new?a\""), "{said}");
    }
}

#[test]
fn an_unasked_408_is_told_from_other_bytes_however_it_is_cut() {
    for text in ["HTTP/1.0 408 Request Time-out\r\n\r\n", "HTTP/1.1 408\r\n\r\n"] {
        for size in 1..=text.len() {
            let mut progress = Progress::new();
            let found = text.as_bytes().chunks(size).find_map(|part| progress.unasked(part));
            assert_eq!(found, Some(true), "{text:?} by {size}");
        }
    }
    for text in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 400 ", "x", "408"] {
        for size in [1, 1000] {
            let mut progress = Progress::new();
            let found = text.as_bytes().chunks(size).find_map(|part| progress.unasked(part));
            assert_eq!(found, Some(false), "{text:?} by {size}");
        }
    }
}

#[test]
fn a_408_behind_an_answer_ends_the_connection_and_other_bytes_are_a_fault() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let after = |text: &str| {
        let bytes = format!("{answer}{text}");
        rendered(None).take(&mut Progress::new(), bytes.as_bytes())
    };
    assert_eq!(after("HTTP/1.1 408 Request Timeout\r\n"), Ok(Step::Done { close: true }));
    assert!(matches!(
        after("HTTP/1.1 200 OK\r\n"),
        Err(Failure { kind: Kind::Malformed | Kind::Receipt, .. })
    ));
}

#[test]
fn closing_is_announced_by_the_field_the_version_or_a_body_without_length() {
    for (head, close) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false),
    ] {
        assert_eq!(fed(None, head, 1000), Ok(Step::Done { close }), "{head:?}");
    }
    let (mut request, mut progress) = (rendered(Some("ab")), Progress::new());
    let answer = b"HTTP/1.1 200 OK\r\n\r\nab";
    assert_eq!(request.take(&mut progress, answer), Ok(Step::More));
    assert_eq!(request.close(&mut progress), Ok(Step::Done { close: true }));
}

#[test]
fn what_is_no_answer_is_invalid() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MOST_HEAD));
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        &long,
    ] {
        let found = fed(None, answer, 1000);
        assert!(
            matches!(found, Err(Failure { kind: Kind::Malformed | Kind::Receipt, .. })),
            "{answer:.60?}: {found:?}"
        );
    }
}

#[test]
fn an_answer_that_ends_with_the_connection_before_its_length_is_cut_off() {
    let (mut request, mut progress) = (rendered(None), Progress::new());
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
    assert_eq!(request.take(&mut progress, answer), Ok(Step::More));
    assert!(matches!(request.close(&mut progress), Err(Failure { kind: Kind::Closed, .. })));
}

#[test]
fn a_known_head_is_not_taken_for_another() {
    let (mut request, mut progress) = (rendered(None), Progress::new());
    for (answer, step) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Step::Done { close: false }),
        ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\na", Step::More),
    ] {
        assert_eq!(request.take(&mut progress, answer.as_bytes()), Ok(step));
    }
}

#[test]
fn an_answer_to_a_head_ends_with_its_head_and_the_connection_stays() {
    let request = Request { method: "HEAD".into(), ..Request::get("/", None) };
    let mut head = Rendered::new(&request, true, &[], vec![]);
    for (answer, close) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true),
    ] {
        let found = head.take(&mut Progress::new(), answer.as_bytes());
        assert_eq!(found, Ok(Step::Done { close }), "{answer:?}");
    }
}

#[test]
fn a_connection_is_kept_where_the_answer_is_whole_and_only_its_status_is_wrong() {
    for (answer, reusable) in [
        ("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", true),
        ("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", false),
        ("HTTP/1.0 503 No\r\nContent-Length: 2\r\n\r\nno", false),
        ("good morning\r\n\r\n", false),
    ] {
        let found = rendered(None).take(&mut Progress::new(), answer.as_bytes()).unwrap_err();
        assert_eq!(found.reusable, reusable, "{found:?}");
        assert_eq!(found.kind == Kind::Status(503), !answer.starts_with("good"), "{found:?}");
    }
}
