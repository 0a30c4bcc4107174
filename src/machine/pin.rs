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

/// Keeps every thread of process `id`, and those that they will start, on `cpus`.
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
    for task in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let id = task?.file_name().to_str().and_then(|id| id.parse().ok());
        sched_setaffinity(id.and_then(Pid::from_raw), &set)?;
    }
    Ok(())
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
