//! The head of an answer: its status, the end of its body, and whether the connection ends with it.

use super::body::{Body, Chunk};
use crate::perform::{lists, number};

/// The most fields in a head.
const MOST_FIELDS: usize = 100;
/// How much a fault shows of what is no head.
const SHOWN: usize = 60;

/// A parsed head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) body: Body,
    /// Whether the server closes the connection afterwards.
    pub(super) close: bool,
}

#[cfg(test)]
thread_local! {
    /// The number of heads parsed on this thread.
    pub(super) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Head {
    /// Parses a head, and returns its length; `None` if it is incomplete. `bodyless` says that it answers a HEAD.
    ///
    /// # Errors
    ///
    /// Returns a sentence if it is not a head, or its body cannot be delimited.
    pub(super) fn parse(bytes: &[u8], bodyless: bool) -> Result<Option<(Self, usize)>, String> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        #[cfg(test)]
        PARSED.set(PARSED.get() + 1);
        let fault = |error| match error {
            httparse::Error::TooManyHeaders => {
                format!("the head of the answer has over {MOST_FIELDS} fields")
            }
            // An alert.
            _ if bytes.starts_with(&[21, 3]) => "the server speaks TLS, which load does not".into(),
            error => {
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
                format!("the answer cannot be understood ({error}): {shown:?}")
            }
        };
        let httparse::Status::Complete(length) = answer.parse(bytes).map_err(fault)? else {
            return Ok(None);
        };
        let status = answer.code.unwrap_or(0);
        let (mut chunked, mut length_said) = (false, None);
        let mut close = answer.version == Some(0);
        for field in answer.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let length =
                    number(field.value).ok_or("the answer's content-length is no number")?;
                if length_said.is_some_and(|other| other != length) {
                    return Err("the answer's content-lengths differ".into());
                }
                length_said = Some(length);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                if !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    let coding = String::from_utf8_lossy(field.value);
                    return Err(format!(
                        "the answer has the transfer coding {coding:?}: only chunked is read"
                    ));
                }
                if chunked {
                    return Err("the answer is chunked twice".into());
                }
                chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                close = (close && !lists(field.value, "keep-alive")) || lists(field.value, "close");
            }
        }
        let body = match length_said {
            _ if bodyless || status < 200 || status == 204 || status == 304 => Body::Length(0),
            // RFC 9112, section 6.3: chunks override a length.
            _ if chunked => Body::Chunked(Chunk::FIRST),
            Some(length) => Body::Length(length),
            None => Body::UntilClosed,
        };
        close |= body == Body::UntilClosed;
        Ok(Some((Head { status, body, close }, length)))
    }

    /// Returns the field `Location` of a complete head, if it has one.
    pub(super) fn location(bytes: &[u8]) -> Option<String> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        answer.parse(bytes).ok()?;
        let field =
            answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("location"))?;
        Some(String::from_utf8_lossy(field.value).into_owned())
    }
}
