//! The CPUs that a process may use.

use std::io;

/// Returns the CPUs that this process may use, ascending. Empty if the system does not show them.
#[cfg(target_os = "linux")]
fn allowed_cpus() -> Vec<usize> {
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

/// Returns the CPUs that this process may use, one thread of each core first. So two workers have two cores where there
/// are two, also where the threads of a core have neighbouring numbers. Empty if the system does not show them.
pub fn cpus_by_core() -> Vec<usize> {
    one_of_each_core_first(&allowed_cpus(), threads_of_core)
}

/// Returns the list of the CPUs that are threads of the same core as `cpu`.
pub(super) fn threads_of_core(cpu: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    std::fs::read_to_string(path).ok()
}

/// Orders `cpus`, which are ascending; `core` returns what the threads of a core have in common.
fn one_of_each_core_first(cpus: &[usize], core: impl Fn(usize) -> Option<String>) -> Vec<usize> {
    let cores: Vec<Option<String>> = cpus.iter().map(|cpu| core(*cpu)).collect();
    let before = |place: usize| match &cores[place] {
        Some(own) => cores[..place].iter().flatten().filter(|other| *other == own).count(),
        None => 0,
    };
    let mut places: Vec<usize> = (0..cpus.len()).collect();
    places.sort_by_key(|place| before(*place));
    places.into_iter().map(|place| cpus[place]).collect()
}

/// Returns no CPUs: see the function for Linux.
#[cfg(not(target_os = "linux"))]
fn allowed_cpus() -> Vec<usize> {
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

#[cfg(test)]
#[test]
fn workers_are_pinned_to_cores_of_their_own_before_two_share_one() {
    let beside = |cpu: usize| Some(format!("{}-{}", cpu / 2 * 2, cpu / 2 * 2 + 1));
    assert_eq!(one_of_each_core_first(&[0, 1, 2, 3, 4, 5], beside), [0, 2, 4, 1, 3, 5]);
    let apart = |cpu: usize| Some(format!("{},{}", cpu % 2, cpu % 2 + 2));
    assert_eq!(one_of_each_core_first(&[0, 1, 2, 3], apart), [0, 1, 2, 3]);
    assert_eq!(one_of_each_core_first(&[1, 2, 3], beside), [1, 2, 3]);
    assert_eq!(one_of_each_core_first(&[0, 1, 2], |_| None), [0, 1, 2]);
}
