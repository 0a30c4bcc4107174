//! Which CPUs a process may use.

use std::io;

/// The CPUs that this process may use, ascending. Empty where the system does not say.
#[cfg(target_os = "linux")]
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect()
}

/// Keeps the first thread of process `id`, and every thread that it will start, on `cpus`.
///
/// # Errors
///
/// Returns the system's error.
#[cfg(target_os = "linux")]
pub fn pin(id: u32, cpus: &[usize]) -> io::Result<()> {
    use rustix::{
        process::Pid,
        thread::{CpuSet, sched_setaffinity},
    };
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    Ok(sched_setaffinity(id, &set)?)
}

/// See the one for Linux; elsewhere nothing is known.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    vec![]
}

/// See the one for Linux; elsewhere it cannot be done.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn pin(_: u32, _: &[usize]) -> io::Result<()> {
    Err(io::Error::other("processes can be pinned on Linux alone"))
}
