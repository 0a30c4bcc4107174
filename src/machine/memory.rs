//! Memory: how much is available, and how much jobs need at least.
//!
//! The needs are lower bounds: refusing a cell that would have run is as wrong as letting the kernel kill it. Each is
//! less than the growth per job of the process and of the kernel's own counters, measured on Linux 6.18, `x86_64`
//! (`paceline run` with jobs that sleep for seconds); the measured figure is given with it.

use std::fs;

use super::group::Group;
use paceline_core::{
    job::{Demand, Workload, chosen_below},
    models::{ModelInfo, Task},
};

/// A job on any model: the expected and the returned checksum. Measured: 30 bytes on `sequential`.
pub const JOB: u64 = 24;
/// A task of an async runtime, kept by its handle until it is joined. Measured: 141 bytes on `smol`, 358 on `tokio`.
pub const TASK: u64 = 120;
/// A task of an async runtime that waits on a timer or a socket. Measured: 305 bytes on `smol-per-core`, up to 1343 on
/// `monoio`.
pub const WAITING_TASK: u64 = 240;
/// An OS thread: 16 KiB of kernel stack, a page of its own stack, a page for its page table. Measured: 16 + 9.7 + 4
/// KiB, and the kernel's other data for it.
pub const THREAD: u64 = 24 << 10;
/// A coroutine with its own stack: at least one page of it. Measured: 9 KiB and more on `may`.
pub const COROUTINE: u64 = 4 << 10;
/// A connection with both ends here: two sockets, their inodes and their files. Measured: 5.7 KiB.
pub const CONNECTION: u64 = 4 << 10;

/// Returns the memory in bytes that is available without swapping, which would measure the disk. The control group's
/// limit applies if it is lower.
pub fn memory_available() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    least(available_in(&info), Group::here().memory_left)
}

fn least(machine: Option<u64>, group: Option<u64>) -> Option<u64> {
    machine.into_iter().chain(group).min()
}

/// Returns `MemAvailable` of `/proc/meminfo`.
fn available_in(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the least memory in bytes that `scale` jobs of `workload` need on a model with `lanes` as its maximum
/// concurrency. Jobs that wait are assumed to wait at the same time, which is the meaning of a scale; a job that never
/// waits may end before the next begins.
pub fn least_memory(about: &ModelInfo, workload: &Workload, scale: usize, lanes: usize) -> u64 {
    let all = (scale as u64).saturating_mul(JOB);
    // The first jobs of the batch run at once, so this many of them have the steps of `every`.
    let others = workload.every.as_ref().map_or(0, |(nth, _)| chosen_below(lanes, *nth));
    let usual = under_way(about, &Demand::of(&workload.job), lanes - others);
    let other =
        workload.every.as_ref().map_or(0, |(_, job)| under_way(about, &Demand::of(job), others));
    all.saturating_add(usual).saturating_add(other)
}

/// Returns the memory that `jobs` jobs of this demand hold while they run.
fn under_way(about: &ModelInfo, demand: &Demand, jobs: usize) -> u64 {
    let waits = !demand.floor.is_zero() || demand.sockets > 0;
    let (tasks, task) = match about.task {
        Task::Heap if about.holds_worker() => (0, 0),
        Task::Heap if waits => (demand.tasks, WAITING_TASK),
        Task::Heap => (1, TASK),
        Task::Thread if waits => (demand.tasks, THREAD),
        Task::Stack if waits => (demand.tasks, COROUTINE),
        Task::Thread | Task::Stack => (0, 0),
    };
    let connections = demand.sockets.saturating_mul(CONNECTION).saturating_add(demand.held);
    tasks.saturating_mul(task).saturating_add(connections).saturating_mul(jobs as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::{models, workloads};

    fn least_of(model: &str, workload: &str, scale: usize, lanes: usize) -> u64 {
        let about = &models::find(model).unwrap().info;
        least_memory(about, &workloads::find(workload).unwrap(), scale, lanes)
    }

    #[test]
    fn the_lesser_of_machine_and_group_counts() {
        let info = "MemTotal:  24684092 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(available_in(info), Some(1 << 20));
        assert_eq!(available_in("MemTotal: 5 kB"), None);
        assert_eq!(least(Some(9), Some(4)), Some(4));
        assert_eq!(least(Some(9), None), Some(9));
        assert_eq!(memory_available().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn what_waits_costs_its_task_and_what_runs_one_after_another_next_to_nothing() {
        assert_eq!(least_of("tokio", "sleep", 1000, 1000), 264_000);
        assert_eq!(least_of("threads", "sleep", 1000, 1000), 1000 * (24 + 24 * 1024));
        assert_eq!(least_of("pool", "sleep", 1000, 2), 24_000);
        assert_eq!(least_of("threads", "cpu", 1000, 1000), 24_000);
    }

    #[test]
    fn messages_count_for_as_many_jobs_as_are_under_way() {
        let message = 64 << 10;
        let bulk = least_of("tokio", "bulk", 1000, 1000);
        assert!((1000 * (message + CONNECTION)..1000 * (message + 8192)).contains(&bulk));
        assert!(least_of("pool", "bulk", 1000, 2) < 3 * (message + 8192));
    }
}
