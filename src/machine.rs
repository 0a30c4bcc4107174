//! This machine: its fingerprint, how this program was built, and the limits that a cell may run into.

mod fingerprint;
mod limits;

pub use fingerprint::{Build, Fingerprint, build, cores, fingerprint, version_of};
pub use limits::{Limits, dropped_connections, refusal};
