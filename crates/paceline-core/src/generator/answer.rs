//! Answers: told from the bytes that come, checked against what the request expects, parsed as seldom as possible.

use super::{
    body::Body,
    failure::{Failure, Kind},
    head::Head,
    request::Request,
};

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
pub(crate) struct Rendered {
    /// Its method and target, as faults name it.
    pub(super) name: String,
    /// Whether it may be sent twice.
    pub(super) idempotent: bool,
    /// Whether its answer has a head alone, whatever that says.
    bodyless: bool,
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
pub(crate) struct Progress {
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
pub(crate) enum Step {
    /// Not all of it has come.
    More,
    /// It is whole and right.
    Done {
        /// Whether the connection can not be used again.
        close: bool,
    },
}

impl Rendered {
    pub(crate) fn new(
        request: &Request,
        idempotent: bool,
        accept: &[u16],
        bytes: Vec<Vec<u8>>,
    ) -> Self {
        Rendered {
            name: format!("{} {}", request.method, request.path),
            idempotent,
            bodyless: request.method == "HEAD",
            bytes,
            expect: request.expect.as_ref().map(|body| body.as_bytes().to_vec()),
            accept: accept.to_vec(),
            known: Vec::with_capacity(1024),
            known_head: Head { status: 0, body: Body::UntilClosed, close: true },
        }
    }

    /// How many bytes it holds of answers.
    pub(crate) fn held(&self) -> usize {
        self.known.capacity()
    }

    pub(super) fn method(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Takes bytes of the answer to this request.
    ///
    /// # Errors
    ///
    /// Returns a failure where it is no answer, or not the one that is expected.
    pub(crate) fn take(&mut self, progress: &mut Progress, bytes: &[u8]) -> Result<Step, Failure> {
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
            used += taken.map_err(|why| self.malformed(why))?;
        }
        let whole = head.body.is_empty();
        // Some servers end a body with an empty line that no length counts.
        let after = without_empty_lines(&bytes[used..]);
        if whole && !after.is_empty() && !is_timeout(after) {
            let more = after.len();
            return Err(self.malformed(format!("{more} bytes came after the end of the answer")));
        }
        match if whole { self.finish(progress)? } else { Step::More } {
            Step::Done { close } => Ok(Step::Done { close: close || !after.is_empty() }),
            Step::More => Ok(Step::More),
        }
    }

    /// The server has closed: that ends an answer without a length, and cuts off any other.
    pub(crate) fn close(&mut self, progress: &mut Progress) -> Result<Step, Failure> {
        if let Some(Head { body: Body::UntilClosed, .. }) = progress.head {
            return self.finish(progress);
        }
        let why = "the connection was closed in the middle of the answer";
        Err(Failure::new(Kind::Closed, why))
    }

    /// Finds the end of a head and what it says. Returns how many of `bytes` belong to it; `None` where it is not whole.
    /// An interim answer (1xx) is passed over: its head ends, and the one that is waited for has not begun.
    ///
    /// The head is parsed once it is whole, and only new bytes are searched for its end, so that a server that sends it
    /// byte by byte costs no more than one that does not.
    fn head(&mut self, progress: &mut Progress, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let partial = &mut progress.partial;
        if partial.is_empty() {
            let empty_lines = bytes.len() - without_empty_lines(bytes).len();
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
            Head::parse(partial, self.bodyless)
                .map_err(|why| malformed(self.expect.is_some(), why))?
        } else {
            None
        };
        let length = parsed.map_or(partial.len(), |(_, length)| length);
        if length > MOST_HEAD {
            let most = MOST_HEAD >> 10;
            return Err(self.malformed(format!("the head of the answer is over {most} KiB")));
        }
        let Some((head, length)) = parsed else { return Ok(None) };
        match head.status {
            101 => {
                let fault = "the server switches to another protocol (status 101), which no request asked for";
                return Err(self.malformed(fault));
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

    fn finish(&self, progress: &mut Progress) -> Result<Step, Failure> {
        let head = progress.head.expect("a whole answer has a head");
        if !accepts(&self.accept, head.status) {
            let why = self.wrong_status(head.status, progress);
            let failure = Failure::new(Kind::Status(head.status), why);
            return Err(Failure { reusable: !head.close, ..failure });
        }
        if let Some(expect) = &self.expect
            && progress.matched < expect.len()
        {
            return Err(self.malformed(unexpected(&expect[..progress.matched])));
        }
        progress.clear();
        Ok(Step::Done { close: head.close })
    }

    /// It is no answer, or not the receipt that is expected.
    fn malformed(&self, why: impl Into<String>) -> Failure {
        malformed(self.expect.is_some(), why)
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
    pub(crate) fn new() -> Self {
        Progress {
            partial: Vec::with_capacity(1024),
            interim: false,
            head: None,
            matched: 0,
            kept: Vec::with_capacity(SHOWN),
            location: None,
        }
    }

    /// How many bytes it holds.
    pub(crate) fn held(&self) -> usize {
        self.partial.capacity() + self.kept.capacity()
    }

    /// Whether no byte of the answer has come.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none() && self.partial.is_empty() && !self.interim
    }

    /// Whether nothing but the end of the connection ends the answer.
    pub(super) fn is_endless(&self) -> bool {
        self.head.is_some_and(|head| head.body == Body::UntilClosed)
    }

    /// Whether the answer says that the server had waited for a request for too long.
    pub(super) fn timed_out(&self) -> bool {
        self.head.is_some_and(|head| head.status == 408)
    }

    /// Takes bytes that came while there was no request. Returns whether they begin an answer of status 408; `None`
    /// where they may, but are too few. Those are kept, as the beginning of what comes next.
    pub(crate) fn unasked(&mut self, bytes: &[u8]) -> Option<bool> {
        let begun = !self.partial.is_empty();
        self.partial.extend_from_slice(if begun { bytes } else { without_empty_lines(bytes) });
        if is_timeout(&self.partial) {
            return (self.partial.len() >= TIMEOUT.len()).then_some(true);
        }
        Some(false)
    }

    pub(crate) fn clear(&mut self) {
        self.partial.clear();
        self.interim = false;
        self.head = None;
        self.matched = 0;
        self.kept.clear();
        self.location = None;
    }
}

/// What is behind the empty lines that `bytes` begin with.
fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let lines = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &bytes[lines..]
}

fn malformed(has_receipt: bool, why: impl Into<String>) -> Failure {
    Failure::new(if has_receipt { Kind::Receipt } else { Kind::Malformed }, why)
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
mod tests;
