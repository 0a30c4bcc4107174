//! Answers: told from the bytes that come, checked against what the request expects, parsed as seldom as possible.

use super::{Request, body::Body, head::Head};
use crate::prepared::Fault;

/// The longest head of an answer that is taken.
const MOST_HEAD: usize = 64 << 10;
/// How many bytes of a head are looked at as they come: enough to tell that a server does not speak HTTP.
const FIRST_LOOK: usize = 16;
/// How an answer begins with which a server ends a connection on which no request has come for too long (RFC 9110,
/// section 15.5.9). The byte at [`MINOR`] may be another digit.
const TIMEOUT: &[u8] = b"HTTP/1.1 408";
const MINOR: usize = 7;
/// How a fault begins that is an answer of a wrong status; the status follows.
pub const STATUS: &str = "the answer has status";
/// How much of a body a fault shows.
const SHOWN: usize = 200;

/// A request, as it is sent and checked.
pub(super) struct Rendered {
    pub(super) path: String,
    /// For each address, all bytes of the request.
    pub(super) bytes: Vec<Vec<u8>>,
    expect: Option<Vec<u8>>,
    /// The statuses that are right; every 2xx where there is none.
    accept: Vec<u16>,
    /// The last head that answered it. One that begins with the same bytes need not be parsed again.
    known: Vec<u8>,
    known_head: Head,
}

/// What there is of the answer that a connection waits for.
pub(super) struct Progress {
    /// The head's bytes, until it is whole.
    partial: Vec<u8>,
    /// Whether an interim answer (1xx) has come.
    interim: bool,
    head: Option<Head>,
    /// How much of the body was as expected.
    matched: usize,
    /// The beginning of a body that comes with an error.
    kept: Vec<u8>,
    /// Where an answer that is an error redirects to.
    location: Option<String>,
}

/// Where an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not all of it has come.
    More,
    /// It is whole and right.
    Done {
        /// Whether the connection can not be used again.
        close: bool,
    },
}

impl Rendered {
    pub(super) fn new(request: &Request, accept: &[u16], bytes: Vec<Vec<u8>>) -> Self {
        Rendered {
            path: request.path.clone(),
            bytes,
            expect: request.expect.as_ref().map(|body| body.as_bytes().to_vec()),
            accept: accept.to_vec(),
            known: Vec::with_capacity(1024),
            known_head: Head { status: 0, body: Body::UntilClosed, close: true },
        }
    }

    /// Takes bytes of the answer to this request.
    ///
    /// # Errors
    ///
    /// Returns a fault where it is no answer, or not the one that is expected.
    pub(super) fn take(&mut self, progress: &mut Progress, bytes: &[u8]) -> Result<Step, Fault> {
        let mut used = 0;
        while progress.head.is_none() {
            match self.head(progress, &bytes[used..])? {
                None => return Ok(Step::More),
                Some(taken) => used += taken,
            }
        }
        let Progress { head: Some(head), matched, kept, .. } = progress else { unreachable!() };
        if !head.body.is_empty() {
            let right = accepts(&self.accept, head.status);
            let expect = self.expect.as_deref();
            let taken = head.body.take(&bytes[used..], |part| match expect {
                _ if !right => {
                    kept.extend_from_slice(&part[..part.len().min(SHOWN - kept.len())]);
                    Ok(())
                }
                Some(expect) if !expect[*matched..].starts_with(part) => {
                    Err(unexpected(&[&expect[..*matched], part].concat()))
                }
                _ => {
                    *matched += part.len();
                    Ok(())
                }
            });
            used += taken.map_err(Fault::Invalid)?;
        }
        let whole = head.body.is_empty();
        let after = &bytes[used..];
        if whole && !after.is_empty() && !is_timeout(after) {
            let more = after.len();
            return Err(Fault::Invalid(format!("{more} bytes came after the end of the answer")));
        }
        match if whole { self.finish(progress)? } else { Step::More } {
            Step::Done { close } => Ok(Step::Done { close: close || !after.is_empty() }),
            Step::More => Ok(Step::More),
        }
    }

    /// The server has closed: that ends an answer without a length, and cuts off any other.
    pub(super) fn close(&mut self, progress: &mut Progress) -> Result<Step, Fault> {
        match progress.head {
            Some(Head { body: Body::UntilClosed, .. }) => self.finish(progress),
            _ => Err(Fault::Failed("the connection was closed in the middle of the answer".into())),
        }
    }

    /// Finds the end of a head and what it says. Returns how many of `bytes` belong to it; `None` where it is not whole.
    /// An interim answer (1xx) is passed over: its head ends, and the one that is waited for has not begun.
    ///
    /// The head is parsed once it is whole, and only new bytes are searched for its end, so that a server that sends it
    /// byte by byte costs no more than one that does not.
    fn head(&mut self, progress: &mut Progress, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let partial = &mut progress.partial;
        if partial.is_empty() {
            let empty_lines = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if empty_lines > 0 {
                return Ok(Some(empty_lines));
            }
            if !self.known.is_empty() && bytes.starts_with(&self.known) {
                progress.head = Some(self.known_head);
                return Ok(Some(self.known.len()));
            }
        }
        let before = partial.len();
        partial.extend_from_slice(bytes);
        let parsed = if before < FIRST_LOOK || has_blank_line(&partial[before.saturating_sub(2)..])
        {
            Head::parse(partial).map_err(Fault::Invalid)?
        } else {
            None
        };
        let length = parsed.map_or(partial.len(), |(_, length)| length);
        if length > MOST_HEAD {
            let most = MOST_HEAD >> 10;
            return Err(Fault::Invalid(format!("the head of the answer is over {most} KiB")));
        }
        let Some((head, length)) = parsed else { return Ok(None) };
        match head.status {
            101 => {
                let fault = "the server switches to another protocol (status 101), which no request asked for";
                return Err(Fault::Invalid(fault.into()));
            }
            100..200 => {
                progress.interim = true;
                partial.clear();
            }
            status if !accepts(&self.accept, status) => {
                progress.location = Head::location(partial);
                progress.head = Some(head);
            }
            _ => {
                self.known.clear();
                self.known.extend_from_slice(&partial[..length]);
                self.known_head = head;
                progress.head = Some(head);
            }
        }
        Ok(Some(length - before))
    }

    fn finish(&self, progress: &mut Progress) -> Result<Step, Fault> {
        let head = progress.head.expect("a whole answer has a head");
        if !accepts(&self.accept, head.status) {
            return Err(Fault::Failed(self.wrong_status(head.status, progress)));
        }
        if let Some(expect) = &self.expect
            && progress.matched < expect.len()
        {
            return Err(Fault::Invalid(unexpected(&expect[..progress.matched])));
        }
        progress.clear();
        Ok(Step::Done { close: head.close })
    }

    /// Says that a status is not one that is right, and what came with it.
    fn wrong_status(&self, status: u16, progress: &Progress) -> String {
        let right: Vec<String> = self.accept.iter().map(u16::to_string).collect();
        let instead = if right.is_empty() {
            String::new()
        } else {
            format!(" instead of {}", right.join(" or "))
        };
        let said = format!("{STATUS} {status}{instead}");
        if let Some(target) = &progress.location {
            return format!(
                "{said}, a redirect to {target:?}: load that URL, or count redirects as answers with --expect {status}"
            );
        }
        match &*String::from_utf8_lossy(&progress.kept) {
            "" => said,
            body => format!("{said}: {body:?}"),
        }
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress {
            partial: Vec::with_capacity(1024),
            interim: false,
            head: None,
            matched: 0,
            kept: Vec::with_capacity(SHOWN),
            location: None,
        }
    }

    /// Whether no byte of the answer has come.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none() && self.partial.is_empty() && !self.interim
    }

    /// Whether the answer says that the server had waited for a request for too long.
    pub(super) fn timed_out(&self) -> bool {
        self.head.is_some_and(|head| head.status == 408)
    }

    /// Takes bytes that came while there was no request. Returns whether they begin an answer of status 408; `None`
    /// where they may, but are too few. Those are kept, as the beginning of what comes next.
    pub(super) fn unasked(&mut self, bytes: &[u8]) -> Option<bool> {
        self.partial.extend_from_slice(bytes);
        if is_timeout(&self.partial) {
            return (self.partial.len() >= TIMEOUT.len()).then_some(true);
        }
        Some(false)
    }

    pub(super) fn clear(&mut self) {
        self.partial.clear();
        self.interim = false;
        self.head = None;
        self.matched = 0;
        self.kept.clear();
        self.location = None;
    }
}

/// Whether `bytes` begin an answer of status 408, as far as they go.
fn is_timeout(bytes: &[u8]) -> bool {
    let same = |(index, (byte, of)): (usize, (&u8, &u8))| byte == of || index == MINOR;
    bytes.iter().zip(TIMEOUT).enumerate().all(same)
}

/// Whether an answer of this status is right.
fn accepts(accept: &[u16], status: u16) -> bool {
    if accept.is_empty() { (200..300).contains(&status) } else { accept.contains(&status) }
}

/// Whether a line ends in `bytes` and an empty one follows it: the end of a head.
fn has_blank_line(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        // What is behind the last newline is not known to be a line.
        if lines.peek().is_some() && matches!(line, b"" | b"\r") {
            return true;
        }
    }
    false
}

fn unexpected(body: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    format!("the body of the answer is not what is expected: {shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(expect: Option<&str>) -> Rendered {
        accepting(expect, &[])
    }

    fn accepting(expect: Option<&str>, accept: &[u16]) -> Rendered {
        let request = Request { path: "/".into(), expect: expect.map(String::from) };
        Rendered::new(&request, accept, vec![])
    }

    /// Feeds an answer in parts of `size` to a request that expects `expect`.
    fn fed(expect: Option<&str>, bytes: &str, size: usize) -> Result<Step, Fault> {
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
        // The server has begun to answer: the request must not be sent again.
        assert!(!progress.is_empty());
        assert!(matches!(request.close(&mut progress), Err(Fault::Failed(_))));
    }

    #[test]
    fn an_upgrade_that_no_request_asked_for_is_a_fault() {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
        let Err(Fault::Invalid(said)) = fed(None, answer, 1000) else { panic!("it is a fault") };
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
                assert!(matches!(found, Err(Fault::Invalid(_))), "{body:?}: {found:?}");
                assert!(fed(None, &answer, size).is_ok());
            }
        }
    }

    #[test]
    fn a_status_is_a_fault_that_shows_the_body() {
        let answer = "HTTP/1.1 503 No\r\nContent-Length: 300\r\n\r\n".to_string();
        let Err(Fault::Failed(message)) = fed(None, &(answer + &"x".repeat(300)), 50) else {
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
        let Err(Fault::Failed(said)) = step(&[204, 404], 200) else { panic!("it is a fault") };
        assert_eq!(said, "the answer has status 200 instead of 204 or 404");
    }

    #[test]
    fn a_redirect_names_its_target_however_it_is_cut() {
        let answer = "HTTP/1.1 301 Moved\r\nLocation: /new?a\r\nContent-Length: 3\r\n\r\nabc";
        for size in 1..=answer.len() {
            let Err(Fault::Failed(said)) = fed(None, answer, size) else { panic!("it is a fault") };
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
        assert!(matches!(after("HTTP/1.1 200 OK\r\n"), Err(Fault::Invalid(_))));
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
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            &long,
        ] {
            let found = fed(None, answer, 1000);
            assert!(matches!(found, Err(Fault::Invalid(_))), "{answer:.60?}: {found:?}");
        }
    }

    #[test]
    fn an_answer_that_ends_with_the_connection_before_its_length_is_cut_off() {
        let (mut request, mut progress) = (rendered(None), Progress::new());
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
        assert_eq!(request.take(&mut progress, answer), Ok(Step::More));
        assert!(matches!(request.close(&mut progress), Err(Fault::Failed(_))));
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
}
