//! Measuring: the only clock, rounds that are checked against their receipts, the processes that run them, the echo
//! server that they talk to, and the load generator that talks to servers.

mod clock;
pub mod echo;
mod family;
mod fitness;
mod foreign;
mod histogram;
pub mod host;
pub mod interrupt;
pub mod load;
mod own;
mod panics;
mod probe;
mod process;
mod raise;
mod round;
mod serve;
mod usage;

pub use clock::{Clocks, compute_ns, nanoseconds, now, ticks_per_ns, utc};
pub use fitness::{clock_ns, keep_busy, same_work, wake_errors};
pub use histogram::{Distribution, Histogram};
pub use own::{Half, Own};
pub use process::{Host, HostError, Program, spawned, spawned_with};
pub use raise::raise_limits;
pub use round::{Attest, Fault, Prepared, Recorded};
pub use usage::Usage;
