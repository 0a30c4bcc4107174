//! Parses HTTP/1.1 requests from bytes: pure, and only as much of HTTP as a server of jobs needs.

/// A request whose head has been read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The length of the head in bytes.
    pub(super) head: usize,
    /// The length of the body in bytes. The body is skipped.
    pub(super) body: u64,
    /// The requested resource.
    pub(super) asks: Asks,
    /// Whether the response must not have a body.
    pub(super) bodiless: bool,
    /// Whether the connection stays open.
    pub(super) then: Then,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects: bool,
}

/// Whether a connection stays open after a response, and whether the response must say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It stays open, the default of HTTP/1.1.
    Stay,
    /// It stays open, as an HTTP/1.0 client asked for.
    StayAsAsked,
    /// It is closed.
    Close,
}

/// The requested resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// The job of this index.
    Job(u32),
    /// A path that does not exist.
    Missing,
    /// A resource with an unknown method.
    Method,
}

/// Why a request cannot be read. The rest of the input cannot be read either, so the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: &'static str,
    pub(super) why: &'static str,
}

/// The longest head that is read, in bytes.
pub(super) const HEAD: usize = 16 << 10;
/// The most headers that are read.
const HEADERS: usize = 64;

const LARGE: Refusal = Refusal {
    status: "431 Request Header Fields Too Large",
    why: "the head of a request must be at most 16 KiB, with at most 64 headers",
};

/// Reads the head of the request at the start of `input`; `None` while it is incomplete.
///
/// # Errors
///
/// Returns a refusal if this is not a request, or one of a kind that this server does not support.
pub(super) fn read(input: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(input) {
        Ok(httparse::Status::Complete(head)) if head <= HEAD => head,
        Ok(httparse::Status::Partial) if input.len() < HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(LARGE),
        Err(_) => return Err(malformed("this is no request of HTTP/1.1")),
    };
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let old = parsed.version == Some(0);
    let (mut close, mut keep, mut expects, mut body) = (false, false, false, None);
    for header in &*parsed.headers {
        let is = |name| header.name.eq_ignore_ascii_case(name);
        if is("connection") {
            close |= lists(header.value, "close");
            keep |= lists(header.value, "keep-alive");
        } else if is("content-length") {
            let length =
                number(header.value).ok_or(malformed("its content-length is no number"))?;
            if body.is_some_and(|other| other != length) {
                return Err(malformed("its content-lengths differ"));
            }
            body = Some(length);
        } else if is("transfer-encoding") {
            return Err(Refusal {
                status: "501 Not Implemented",
                why: "bodies are read by their content-length only, not in chunks",
            });
        } else if is("expect") {
            expects = lists(header.value, "100-continue");
        }
    }
    Ok(Some(Request {
        head,
        body: body.unwrap_or(0),
        asks: match method {
            "GET" | "HEAD" | "POST" | "PUT" => index(target).map_or(Asks::Missing, Asks::Job),
            _ => Asks::Method,
        },
        bodiless: method == "HEAD",
        then: match (close, old) {
            (false, false) => Then::Stay,
            (false, true) if keep => Then::StayAsAsked,
            _ => Then::Close,
        },
        expects: expects && !old,
    }))
}

fn malformed(why: &'static str) -> Refusal {
    Refusal { status: "400 Bad Request", why }
}

/// Returns whether a comma-separated header value contains `token`.
pub(crate) fn lists(value: &[u8], token: &str) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Parses a number that consists of digits only: `parse` would accept a sign.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let digits = digits.trim_ascii();
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

/// Returns the index of the job in `target`. `/` means `/0`, and the query is ignored.
fn index(target: &str) -> Option<u32> {
    let path = target.split('?').next()?;
    // The form that clients send to proxies; servers must accept it too.
    let path = match path.strip_prefix("http://") {
        Some(whole) => whole.find('/').map_or("/", |slash| &whole[slash..]),
        None => path,
    };
    match path.strip_prefix('/')? {
        "" => Some(0),
        index => number(index.as_bytes())?.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Request {
        read(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_path_is_the_index_of_a_job() {
        for (target, asks) in [
            ("/", Asks::Job(0)),
            ("/?a=/7", Asks::Job(0)),
            ("/7?a=1", Asks::Job(7)),
            ("/4294967295", Asks::Job(u32::MAX)),
            ("http://localhost:80/5", Asks::Job(5)),
            ("http://localhost", Asks::Job(0)),
            ("/4294967296", Asks::Missing),
            ("/+1", Asks::Missing),
            ("/1/", Asks::Missing),
            ("/a", Asks::Missing),
            ("*", Asks::Missing),
        ] {
            assert_eq!(of(&format!("GET {target} HTTP/1.1\r\n\r\n")).asks, asks, "{target}");
        }
        assert_eq!(of("DELETE / HTTP/1.1\r\n\r\n").asks, Asks::Method);
    }

    #[test]
    fn a_connection_stays_open_as_its_version_and_its_headers_say() {
        for (version, connection, then) in [
            ("1.1", "x: y", Then::Stay),
            ("1.1", "Connection: close", Then::Close),
            ("1.1", "connection: foo, CLOSE", Then::Close),
            ("1.1", "connection: closed", Then::Stay),
            ("1.0", "x: y", Then::Close),
            ("1.0", "Connection: Keep-Alive", Then::StayAsAsked),
            ("1.0", "connection: keep-alive, close", Then::Close),
        ] {
            let request = of(&format!("GET / HTTP/{version}\r\n{connection}\r\n\r\n"));
            assert_eq!(request.then, then, "{version}, {connection}");
        }
    }

    #[test]
    fn a_head_is_taken_whole_or_not_at_all() {
        let text = "POST /3 HTTP/1.1\r\ncontent-length: 12\r\nexpect: 100-continue\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text.as_bytes()[..end]), Ok(None), "{end} bytes");
        }
        let request = of(&format!("{text}GET / HTTP/1.1\r\n\r\n"));
        assert_eq!((request.head, request.body, request.expects), (text.len(), 12, true));
    }

    #[test]
    fn what_cannot_be_framed_is_refused() {
        let status = |text: &str| read(text.as_bytes()).unwrap_err().status[..3].to_owned();
        let with = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
        assert_eq!(status("GET /\r\n\r\n"), "400");
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), "400");
        for length in ["-1", "+1", "", "1, 1", "99999999999999999999"] {
            assert_eq!(status(&with(&format!("content-length: {length}"))), "400", "{length:?}");
        }
        assert_eq!(status(&with("content-length: 1\r\ncontent-length: 2")), "400");
        assert_eq!(of(&with("content-length: 2\r\ncontent-length: 2")).body, 2);
        assert_eq!(status(&with("transfer-encoding: chunked")), "501");
        assert_eq!(status(&with(&"a: b\r\n".repeat(65))), "431");
        assert_eq!(status(&with(&format!("a: {}", "b".repeat(HEAD)))), "431");
        assert_eq!(status(&"a".repeat(HEAD)), "431");
        assert_eq!(read("a".repeat(HEAD - 1).as_bytes()), Ok(None));
    }
}
