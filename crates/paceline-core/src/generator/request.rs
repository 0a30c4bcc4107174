//! The requests of an order: checked, rendered, and chosen by turn.

use std::{fmt::Write, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Order, answer::Rendered};
use crate::{
    job::{is_chosen, mix},
    perform::lists,
};

/// The greatest size of all requests together, in bytes.
const MOST_BYTES: usize = 256 << 20;
/// Fields that determine the end of a request's body.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// A kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The target, beginning with a slash.
    pub path: String,
    /// Whether the order's body is sent with it.
    pub with_body: bool,
    /// The whole body of the right answer; `None` to require only a right status.
    pub expect: Option<String>,
}

impl Request {
    /// Returns a GET of `path` without a body.
    pub fn get(path: impl Into<String>, expect: Option<String>) -> Self {
        Request { method: "GET".into(), path: path.into(), with_body: false, expect }
    }
}

/// Checks that `method` can be sent.
///
/// # Errors
///
/// Returns a sentence that says why it cannot.
pub fn check_method(method: &str) -> Result<(), String> {
    if method.eq_ignore_ascii_case("connect") {
        return Err(
            "CONNECT asks a proxy for a tunnel, which load does not use: give another method"
                .into(),
        );
    }
    // A token may begin with a digit or a sign, but in a method that is a mistake.
    if !is_token(method) || !method.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(format!("{method:?} is not a method: give one such as GET or POST"));
    }
    Ok(())
}

/// Checks that a field of this name and value can be sent. A line end would begin another field.
///
/// # Errors
///
/// Returns a sentence without the value, which may be a secret.
pub fn check_field(name: &str, value: &str) -> Result<(), String> {
    if !is_token(name) {
        return Err(format!(
            "{name:?} is not the name of a header: give one such as 'Accept: text/html'"
        ));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!(
            "the header {name} has a line end or another control character in its value"
        ));
    }
    if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err(format!("the header {name} follows from --body: leave it out"));
    }
    Ok(())
}

/// Returns whether `text` is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(of_token)
}

/// Returns whether this method may be repeated if it is unknown whether the request was taken (RFC 9110, section
/// 9.2.2).
fn is_idempotent(method: &str) -> bool {
    ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"].contains(&method)
}

impl Order {
    /// Checks that all requests and fields can be sent.
    pub(super) fn check_requests(&self) -> Result<(), String> {
        let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(host) = self.host.as_ref().filter(|host| host.is_empty() || !graphic(host)) {
            return Err(format!("{host:?} is not a host that can be asked for"));
        }
        for (name, value) in &self.options.headers {
            check_field(name, value)?;
        }
        for Request { method, path, .. } in self.all_requests() {
            check_method(method)?;
            if !path.starts_with('/') || !graphic(path) {
                return Err(format!("{path:?} is not a path that can be asked for"));
            }
        }
        let bodies = self.all_requests().filter(|request| request.with_body).count();
        if bodies.saturating_mul(self.options.body.len()) > MOST_BYTES {
            let most = MOST_BYTES >> 20;
            return Err(format!(
                "the body is sent to {bodies} URLs, and all bodies together are at most {most} MiB: give a smaller one"
            ));
        }
        let weights = &self.options.weights;
        if !weights.is_empty() && (weights.len() != self.requests.len() || weights.contains(&0)) {
            return Err("each request has a weight of at least 1, or none has one".into());
        }
        Ok(())
    }

    pub(super) fn all_requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(self.every.iter().flat_map(|(_, others)| others))
    }

    /// Returns all requests as bytes, for each address.
    pub(super) fn render(&self) -> Vec<Rendered> {
        // RFC 9112, section 9.6: nothing may follow such a request on its connection, whatever the server answers.
        let closes = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("connection") && lists(value.as_bytes(), "close")
        };
        let closes = self.options.headers.iter().any(closes);
        let one = |request: &Request| {
            let bytes = self.addresses.iter().map(|to| self.bytes(request, *to)).collect();
            let idempotent = is_idempotent(&request.method);
            let mut rendered = Rendered::new(request, idempotent, &self.accept, bytes);
            rendered.closes = closes;
            rendered
        };
        self.all_requests().map(one).collect()
    }

    fn bytes(&self, request: &Request, to: SocketAddr) -> Vec<u8> {
        let fields = &self.options.headers;
        let Request { method, path, .. } = request;
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let host = self.host.clone().unwrap_or_else(|| to.to_string());
            let _ = write!(head, "Host: {host}\r\n");
        }
        for (name, value) in fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let body: &[u8] = if request.with_body { &self.options.body } else { &[] };
        // RFC 9110, section 8.6: methods that usually have a body state its absence.
        if request.with_body || ["POST", "PUT", "PATCH"].contains(&&**method) {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }
}

/// Determines which request each number stands for.
pub(super) struct Turns {
    usual: usize,
    every: Option<(usize, usize)>,
    /// The cumulative weights of the usual requests; empty if they take turns.
    up_to: Vec<u64>,
    seed: u64,
}

impl Turns {
    pub(super) fn of(order: &Order) -> Self {
        let mut sum = 0;
        let add = |weight: &u32| {
            sum += u64::from(*weight);
            sum
        };
        Turns {
            usual: order.requests.len(),
            every: order.every.as_ref().map(|(nth, others)| (*nth, others.len())),
            up_to: order.options.weights.iter().map(add).collect(),
            seed: mix(!order.seed),
        }
    }

    /// Returns the index of request `number` in [`Order::all_requests`].
    pub(super) fn at(&self, number: u64) -> usize {
        if let Some(sum) = self.up_to.last() {
            // The upper half of the product scales the hash to the sum.
            let point = (u128::from(mix(self.seed ^ number)) * u128::from(*sum)) >> 64;
            return self.up_to.partition_point(|end| u128::from(*end) <= point);
        }
        let number = number as usize;
        match self.every {
            Some((nth, others)) if is_chosen(number, nth) => self.usual + number / nth % others,
            _ => number % self.usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Drive, Options, shortest},
        *,
    };

    fn order(requests: Vec<Request>, options: Options) -> Order {
        let host = Some("localhost:81".into());
        Order { same_server: true, host, options, ..shortest(requests, Drive::Closed) }
    }

    fn sent(method: &str, with_body: bool, headers: &[(&str, &str)], body: &str) -> String {
        let request = Request { method: method.into(), with_body, ..Request::get("/a?b", None) };
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let options =
            Options { headers: headers.collect(), body: body.into(), ..Options::default() };
        let rendered = order(vec![request], options).render().remove(0);
        String::from_utf8(rendered.bytes[0].clone()).unwrap()
    }

    #[test]
    fn a_request_is_written_with_its_fields_its_body_and_one_host() {
        const HOST: &str = "Host: localhost:81\r\n";
        for (found, expected) in [
            (sent("GET", false, &[], ""), format!("GET /a?b HTTP/1.1\r\n{HOST}\r\n")),
            (
                sent("HEAD", false, &[("X", "")], ""),
                format!("HEAD /a?b HTTP/1.1\r\n{HOST}X: \r\n\r\n"),
            ),
            (
                sent("GET", false, &[("hOST", "a.b")], ""),
                "GET /a?b HTTP/1.1\r\nhOST: a.b\r\n\r\n".into(),
            ),
            (
                sent("POST", true, &[("A", "1"), ("A", "2")], "x=y"),
                format!("POST /a?b HTTP/1.1\r\n{HOST}A: 1\r\nA: 2\r\nContent-Length: 3\r\n\r\nx=y"),
            ),
            (
                sent("GET", true, &[], "x"),
                format!("GET /a?b HTTP/1.1\r\n{HOST}Content-Length: 1\r\n\r\nx"),
            ),
            (
                sent("PUT", false, &[], "x"),
                format!("PUT /a?b HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"),
            ),
            (sent("DELETE", false, &[], "x"), format!("DELETE /a?b HTTP/1.1\r\n{HOST}\r\n")),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_would_be_another_request_or_field_is_refused() {
        for (name, value) in [
            ("A", "b\r\nX: y"),
            ("A", "b\nX: y"),
            ("A", "b\0"),
            ("A\r\nX", "y"),
            ("A:", "y"),
            ("A b", "y"),
            ("", "y"),
            ("Content-length", "1"),
            ("transfer-encoding", "chunked"),
        ] {
            let options =
                Options { headers: vec![(name.into(), value.into())], ..Options::default() };
            let why = order(vec![Request::get("/", None)], options).check().unwrap_err();
            assert!(value.len() < 2 || !why.contains(value), "{why}");
        }
        assert_eq!(check_field("X-Any_1", "of\tthese ä"), Ok(()));
        for method in ["", "-1", "G T", "GET /x HTTP/1.1\r\n", "connect", "GÉT", "a/b"] {
            let request = Request { method: method.into(), ..Request::get("/", None) };
            assert!(order(vec![request], Options::default()).check().is_err(), "{method:?}");
        }
        let body = vec![0; MOST_BYTES / 2];
        let with = Request { with_body: true, ..Request::get("/", None) };
        let with = |count| vec![with.clone(); count];
        let options = Options { body, ..Options::default() };
        assert_eq!(order(with(2), options.clone()).check(), Ok(()));
        assert!(order(with(3), options).check().unwrap_err().contains("256 MiB"));
    }

    #[test]
    fn weights_are_kept_in_the_long_run_and_the_seed_decides_the_order() {
        let three = || vec![Request::get("/", None); 3];
        let turns = |seed, weights: [u32; 3]| {
            let options = Options { weights: weights.to_vec(), ..Options::default() };
            let turns = Turns::of(&Order { seed, ..order(three(), options) });
            (0..60_000).map(|number| turns.at(number)).collect::<Vec<_>>()
        };
        let found = turns(7, [1, 2, 3]);
        // The 99.9 % quantile of chi-squared with 2 degrees of freedom.
        let share = |place: usize, even: f64| {
            let count = found.iter().filter(|turn| **turn == place).count() as f64;
            (count - even).powi(2) / even
        };
        let chi = share(0, 10_000.0) + share(1, 20_000.0) + share(2, 30_000.0);
        assert!(chi < 13.82, "{chi}");
        assert_eq!(found, turns(7, [1, 2, 3]));
        assert_ne!(found, turns(8, [1, 2, 3]));
        // One of two alternating connections gets the same shares: they do not depend on whether numbers are even.
        let even: Vec<usize> = found.iter().step_by(2).copied().filter(|turn| *turn == 2).collect();
        assert!((even.len() as f64 / 15_000.0 - 1.0).abs() < 0.03, "{}", even.len());
        assert!(turns(1, [1, u32::MAX, 1]).iter().all(|turn| *turn == 1));
    }
}
