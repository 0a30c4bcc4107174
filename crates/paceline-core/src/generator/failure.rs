//! What goes wrong with a request, by kind: the load ends with it, or counts it and goes on.

use std::{fmt, io, net::SocketAddr};

use super::connection::why;
use crate::prepared::Fault;

/// What kind of error it is. Its name is its key in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A whole answer of a status that is not right.
    Status(u16),
    /// No connection could be opened for the request.
    Connect,
    /// The connection ended before the answer did.
    Closed,
    /// No whole answer in time.
    Timeout,
    /// What came is not HTTP.
    Malformed,
    /// Not the receipt that is expected. It is never only counted: the server does something else than its label says.
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

/// Why a request has no right answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(super) kind: Kind,
    pub(super) why: String,
    /// Whether the connection takes another request: the answer was whole, and only its status is not right.
    pub(super) reusable: bool,
}

impl Failure {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Failure { kind, why: why.into(), reusable: false }
    }

    /// `to` cannot be connected to.
    pub(super) fn connect(error: &io::Error, to: SocketAddr) -> Self {
        Failure::new(Kind::Connect, why(error, to))
    }

    /// The fault that ends a load, with the place where it happened.
    pub(super) fn at(&self, place: &str) -> Fault {
        let said = format!("{place}: {}", self.why);
        match self.kind {
            Kind::Malformed | Kind::Receipt => Fault::Invalid(said),
            _ => Fault::Failed(said),
        }
    }
}
