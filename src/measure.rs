//! Measuring: the only clock, rounds that are checked against their receipts, the processes that run them, the echo
//! server that they talk to, and the load generator that talks to servers.

mod clock;
pub mod echo;
mod histogram;
pub mod host;
pub mod interrupt;
pub mod load;
mod process;
mod round;
mod serve;
mod usage;

pub use clock::{compute_ns, nanoseconds, now, utc};
pub use histogram::{Distribution, Histogram};
pub use process::{Host, HostError, Program, spawned};
pub use round::{Attest, Fault, Prepared, Recorded};
pub use usage::Usage;
