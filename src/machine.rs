//! This machine: its fingerprint, how this program was built, and the limits that a cell may run into.

mod fingerprint;
mod limits;
mod meanwhile;
mod pin;

pub use fingerprint::{Build, Fingerprint, build, cores, fingerprint, version_of};
pub use limits::{Limits, dropped_connections, refusal};
pub use meanwhile::Meanwhile;
pub use pin::{allowed_cpus, pin};
