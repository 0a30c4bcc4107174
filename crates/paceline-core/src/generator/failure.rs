//! Errors of requests, by kind: the load ends with the first, or counts it and continues.

use std::{fmt, io, net::SocketAddr};

use super::connection::why;
use crate::prepared::Fault;

/// The kind of an error. Its name is its key in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A complete answer with a wrong status.
    Status(u16),
    /// No connection could be opened for the request.
    Connect,
    /// The connection ended before the answer did.
    Closed,
    /// No complete answer in time.
    Timeout,
    /// The bytes received are not HTTP.
    Malformed,
    /// A wrong checksum. It always ends the load: the server does not do what its label says.
    Receipt,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Status(status) => write!(f, "status {status}"),
            Kind::Connect => f.write_str("connect"),
            Kind::Closed => f.write_str("closed early"),
            Kind::Timeout => f.write_str("timeout"),
            Kind::Malformed => f.write_str("malformed"),
            Kind::Receipt => f.write_str("wrong receipt"),
        }
    }
}

/// The reason why a request has no right answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(super) kind: Kind,
    pub(super) why: String,
    /// Whether the connection can be reused: the answer was complete, and only its status is wrong.
    pub(super) reusable: bool,
}

impl Failure {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Failure { kind, why: why.into(), reusable: false }
    }

    /// Returns the failure to connect to `to`.
    pub(super) fn connect(error: &io::Error, to: SocketAddr) -> Self {
        Failure::new(Kind::Connect, why(error, to))
    }

    /// Returns the fault that ends a load, with the place where it happened.
    pub(super) fn at(&self, place: &str) -> Fault {
        let said = format!("{place}: {}", self.why);
        match self.kind {
            Kind::Malformed | Kind::Receipt => Fault::Invalid(said),
            _ => Fault::Failed(said),
        }
    }
}
