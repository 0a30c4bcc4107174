//! The CPUs that a process may use.

use std::io;

/// Returns the CPUs that this process may use, ascending. Empty if the system does not show them.
#[cfg(target_os = "linux")]
pub fn allowed_cpus() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect()
}

/// Pins every thread of process `id`, and those that they will start, to `cpus`.
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

/// Returns no CPUs: see the function for Linux.
#[cfg(not(target_os = "linux"))]
pub fn allowed_cpus() -> Vec<usize> {
    vec![]
}

/// Fails: see the function for Linux.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn pin(_: u32, _: &[usize]) -> io::Result<()> {
    Err(io::Error::other("processes can be pinned on Linux alone"))
}
