//! This machine: its fingerprint, the build of this program, the limits of cells, readings of the system, and locks.

mod exclusive;
mod fingerprint;
mod group;
mod host_activity;
mod limits;
pub mod memory;
mod pin;
mod system;

pub use exclusive::Exclusive;
pub(crate) use fingerprint::sysctl;
pub use fingerprint::{Build, Fingerprint, build, cores, fingerprint, hex, version_of};
pub use group::Group;
pub use host_activity::HostActivity;
pub use limits::{
    Limits, OTHER_FILES, OTHER_MAPS, OTHER_THREADS, THREAD_MAPS, bytes, dropped_connections,
    refusal,
};
pub use pin::{cpus_by_core, pin};
pub use system::{CpuTicks, SoftHard, System};
