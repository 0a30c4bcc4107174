//! Answers: recognised in the incoming bytes, checked against the request, and parsed as rarely as possible.

use super::{
    body::Body,
    failure::{Failure, Kind},
    head::Head,
    request::Request,
};
use crate::quantity::counted;

/// The longest head of an answer that is accepted.
const MOST_HEAD: usize = 64 << 10;
/// The bytes of a head that are checked as they arrive: enough to detect that a server does not speak HTTP.
const FIRST_LOOK: usize = 16;
/// The beginning of the answer with which a server ends a connection that was idle for too long (RFC 9110, section
/// 15.5.9). The byte at [`MINOR`] may be another digit.
const TIMEOUT: &[u8] = b"HTTP/1.1 408";
const MINOR: usize = 7;
/// The beginning of a fault for an answer with a wrong status; the status follows.
pub const STATUS: &str = "the answer has status";
/// The length of a body that a fault shows.
const SHOWN: usize = 200;

/// A request as bytes, and the check of its answer.
pub(crate) struct Rendered {
    /// Its method and target, for faults.
    pub(super) name: String,
    /// Whether it may be repeated.
    pub(super) idempotent: bool,
    /// Whether it says that its connection ends with the answer.
    pub(super) closes: bool,
    /// Whether its answer never has a body.
    bodyless: bool,
    /// All bytes of the request, for each address.
    pub(super) bytes: Vec<Vec<u8>>,
    expect: Option<Vec<u8>>,
    /// The accepted statuses; every 2xx if empty.
    accept: Vec<u16>,
    /// The last head that answered it. An answer that begins with the same bytes need not be parsed again.
    known: Vec<u8>,
    known_head: Head,
}

/// The progress of the answer that a connection waits for.
pub(crate) struct Progress {
    /// The head's bytes, until it is complete.
    partial: Vec<u8>,
    /// Whether an interim answer (1xx) has arrived.
    interim: bool,
    head: Option<Head>,
    /// How much of the body has matched.
    matched: usize,
    /// The beginning of the body of an error.
    kept: Vec<u8>,
    /// The redirect location of an error.
    location: Option<String>,
}

/// The state of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is incomplete.
    More,
    /// It is complete and right.
    Done {
        /// Whether the connection cannot be reused.
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
            closes: false,
            bodyless: request.method == "HEAD",
            bytes,
            expect: request.expect.as_ref().map(|body| body.as_bytes().to_vec()),
            accept: accept.to_vec(),
            known: Vec::with_capacity(1024),
            known_head: Head { status: 0, body: Body::UntilClosed, close: true },
        }
    }

    /// Returns how many bytes it holds of answers.
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
    /// Returns a failure if they are not an answer, or not the expected one.
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
        // Some servers end a body with an empty line beyond its length.
        let after = without_empty_lines(&bytes[used..]);
        if whole && !after.is_empty() && !is_timeout(after) {
            let more = counted(after.len(), "byte");
            return Err(self.malformed(format!("{more} came after the end of the answer")));
        }
        match if whole { self.finish(progress)? } else { Step::More } {
            Step::Done { close } => Ok(Step::Done { close: close || !after.is_empty() }),
            Step::More => Ok(Step::More),
        }
    }

    /// Handles the end of the stream: it ends an answer without a length, and cuts off any other.
    pub(crate) fn close(&mut self, progress: &mut Progress) -> Result<Step, Failure> {
        if let Some(Head { body: Body::UntilClosed, .. }) = progress.head {
            return self.finish(progress);
        }
        let why = "the connection was closed in the middle of the answer";
        Err(Failure::new(Kind::Closed, why))
    }

    /// Finds the end of a head and parses it. Returns how many of `bytes` belong to it; `None` if it is incomplete. An
    /// interim answer (1xx) is skipped: its head ends, and the final one has not begun.
    ///
    /// The head is parsed once, when it is complete. Only new bytes are searched for its end, so that a head sent byte
    /// by byte costs no more than a whole one.
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
        let close = head.close || self.closes;
        if !accepts(&self.accept, head.status) {
            let why = self.wrong_status(head.status, progress);
            let failure = Failure::new(Kind::Status(head.status), why);
            return Err(Failure { reusable: !close, ..failure });
        }
        if let Some(expect) = &self.expect
            && progress.matched < expect.len()
        {
            return Err(self.malformed(unexpected(&expect[..progress.matched])));
        }
        progress.clear();
        Ok(Step::Done { close })
    }

    /// Returns the failure for bytes that are not an answer, or not the expected checksum.
    pub(super) fn malformed(&self, why: impl Into<String>) -> Failure {
        malformed(self.expect.is_some(), why)
    }

    /// Describes a wrong status and its answer.
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

    /// Returns how many bytes it holds.
    pub(crate) fn held(&self) -> usize {
        self.partial.capacity() + self.kept.capacity()
    }

    /// Returns whether no byte of the answer has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none() && self.partial.is_empty() && !self.interim
    }

    /// Returns whether only the end of the connection ends the answer.
    pub(super) fn is_endless(&self) -> bool {
        self.head.is_some_and(|head| head.body == Body::UntilClosed)
    }

    /// Returns whether the answer says that the server waited too long for a request.
    pub(super) fn timed_out(&self) -> bool {
        self.head.is_some_and(|head| head.status == 408)
    }

    /// Takes bytes that arrived without a request. Returns whether they begin an answer of status 408; `None` if they
    /// are too few to decide. Those are kept as the beginning of the next bytes.
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

/// Returns `bytes` without the empty lines at their beginning.
fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let lines = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &bytes[lines..]
}

fn malformed(has_receipt: bool, why: impl Into<String>) -> Failure {
    Failure::new(if has_receipt { Kind::Receipt } else { Kind::Malformed }, why)
}

/// Returns whether `bytes` agree with the beginning of an answer of status 408.
fn is_timeout(bytes: &[u8]) -> bool {
    let same = |(index, (byte, of)): (usize, (&u8, &u8))| byte == of || index == MINOR;
    bytes.iter().zip(TIMEOUT).enumerate().all(same)
}

/// Returns whether an answer of this status is right.
fn accepts(accept: &[u16], status: u16) -> bool {
    if accept.is_empty() { (200..300).contains(&status) } else { accept.contains(&status) }
}

/// Returns whether `bytes` contain the end of a line followed by an empty line: the end of a head.
fn has_blank_line(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        // The bytes after the last newline may not be a whole line.
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
