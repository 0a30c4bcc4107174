//! Limits: what a cell needs is compared with what there is, before it is run.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::{
    job::Workload,
    measure::echo::ADDRESSES,
    models::{About, Task},
};

/// What a process may have on this machine; `None` where there is no such limit, or it is not shown.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open files of a process.
    pub files: Option<u64>,
    /// Threads and processes of this user.
    pub processes: Option<u64>,
    /// Threads of the whole system.
    pub system_threads: Option<u64>,
    /// Process numbers.
    pub pids: Option<u64>,
    /// Processes of this control group.
    pub group_pids: Option<u64>,
    /// Memory maps of a process.
    pub maps: Option<u64>,
    /// Ephemeral ports for each loopback address.
    pub ports: Option<u64>,
}

/// Descriptors that a process has besides its jobs' connections.
const OTHER_FILES: u64 = 40;
/// Maps that a process has besides its stacks.
const OTHER_MAPS: u64 = 500;
/// Threads that a machine runs besides ours.
const OTHER_THREADS: u64 = 300;

impl Limits {
    /// This machine's.
    #[must_use]
    pub fn here() -> Self {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let ports = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
        let ports = ports.and_then(|range| {
            let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u64>().ok());
            Some((ends.next()?, ends.next()?))
        });
        Limits {
            files: getrlimit(Resource::Nofile).current,
            processes: getrlimit(Resource::Nproc).current,
            system_threads: number("/proc/sys/kernel/threads-max"),
            pids: number("/proc/sys/kernel/pid_max"),
            group_pids: number("/sys/fs/cgroup/pids.max"),
            maps: number("/proc/sys/vm/max_map_count"),
            ports: ports.map(|(first, last)| last.saturating_sub(first) + 1),
        }
    }
}

/// Connections that this machine has dropped so far because nobody accepted them in time; each comes again after a
/// second. `None` where the system does not count them.
#[must_use]
pub fn dropped_connections() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next()?.split(' '), lines.next()?.split(' '));
    names.zip(values).find(|(name, _)| *name == "ListenDrops")?.1.parse().ok()
}

/// Why this machine cannot run `scale` jobs of `workload` on a model, if so, with the number needed, the number there
/// is, and the command that lifts the limit.
#[must_use]
pub fn refusal(
    limits: &Limits,
    about: &About,
    workload: &Workload,
    scale: usize,
) -> Option<String> {
    let (demand, scale) = (workload.demand(), scale as u64);
    let tasks = demand.tasks.saturating_mul(scale);
    let sockets = demand.sockets.saturating_mul(scale);
    let (threads, maps) = match about.task {
        Task::Heap => (0, 0),
        Task::Thread => (tasks, tasks.saturating_mul(2)),
        // A stack and its guard page.
        Task::Stack => (0, tasks.saturating_mul(2)),
    };
    let files = if sockets == 0 { 0 } else { sockets + OTHER_FILES };
    let needs = [
        ("open files", files, 0, limits.files, "ulimit -n"),
        (
            "ephemeral ports",
            sockets / u64::from(ADDRESSES),
            0,
            limits.ports,
            "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\", which gives up to",
        ),
        ("threads", threads, OTHER_THREADS, limits.processes, "ulimit -u"),
        ("threads", threads, OTHER_THREADS, limits.system_threads, "sysctl -w kernel.threads-max="),
        ("threads", threads, OTHER_THREADS, limits.pids, "sysctl -w kernel.pid_max="),
        (
            "threads",
            threads,
            OTHER_THREADS,
            limits.group_pids,
            "raise pids.max of this control group to",
        ),
        ("memory maps", maps, OTHER_MAPS, limits.maps, "sysctl -w vm.max_map_count="),
    ];
    needs.into_iter().find_map(|(what, need, others, limit, command)| {
        let limit = limit.filter(|limit| need > 0 && need.saturating_add(others) > *limit)?;
        let need = need.saturating_add(others);
        let space = if command.ends_with('=') { "" } else { " " };
        Some(format!("needs {need} {what}, has {limit}; lift it with: {command}{space}{need}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{models, workloads};

    const NARROW: Limits = Limits {
        files: Some(20_000),
        processes: Some(90_000),
        system_threads: Some(190_000),
        pids: Some(32_768),
        group_pids: None,
        maps: Some(65_530),
        ports: Some(28_232),
    };

    fn says(model: &str, workload: &str, scale: usize) -> Option<String> {
        let about = &models::find(model).unwrap().about;
        refusal(&NARROW, about, &workloads::find(workload).unwrap(), scale)
    }

    #[test]
    fn dropped_connections_are_counted_on_linux() {
        assert_eq!(dropped_connections().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn what_fits_is_not_refused_and_what_does_not_names_the_limit_and_the_command() {
        assert_eq!(says("tokio", "sleep", 1_000_000), None);
        assert_eq!(says("tokio", "echo", 10_000), None);
        let files = says("tokio", "echo", 20_000).unwrap();
        assert!(files.contains("20040 open files, has 20000") && files.contains("ulimit -n 20040"));
        let maps = says("may", "sleep", 100_000).unwrap();
        assert!(maps.contains("vm.max_map_count=200500"), "{maps}");
        assert!(says("threads", "sleep", 100_000).unwrap().contains("threads"));
        assert!(says("threads", "switch", 20_000).is_some(), "a partner is a thread too");
        assert_eq!(says("threads", "sleep", 10_000), None);
    }
}
