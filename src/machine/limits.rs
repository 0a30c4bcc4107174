//! Limits: compares what a cell needs with what is available, before it runs.

use std::fs;

use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};

use super::{
    group::Group,
    memory::{least_memory, memory_available},
    system::number,
};
use crate::output::count;
use paceline_core::{
    job::Workload,
    models::{ModelInfo, Task},
    soft_limits::hard_limit,
    suite_server::ADDRESSES,
};

/// The limits of a process on this machine; `None` if there is no such limit, or it is not shown.
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
    /// Available memory, in bytes.
    pub memory: Option<u64>,
}

/// Descriptors of a process besides its jobs' connections.
pub const OTHER_FILES: u64 = 40;
/// Maps of a process besides its stacks.
pub const OTHER_MAPS: u64 = 500;
/// Memory maps of a thread: its stack, the signal stack that reports an overflow, and their guard pages. Measured: 40
/// 071 maps with 10 002 threads.
pub const THREAD_MAPS: u64 = 4;
/// Memory maps of a coroutine: its stack and its guard page.
const COROUTINE_MAPS: u64 = 2;
/// Threads on a machine besides paceline's.
pub const OTHER_THREADS: u64 = 300;

impl Limits {
    /// Returns the limits of this machine.
    pub fn here() -> Self {
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
            group_pids: Group::here().pids,
            maps: number("/proc/sys/vm/max_map_count"),
            // Connections in TIME-WAIT are not subtracted: a port is held only for the same port of the same address,
            // and each echo server listens on new ones.
            ports: ports.map(|(first, last)| last.saturating_sub(first) + 1),
            memory: memory_available(),
        }
    }
}

/// Returns how many connections this machine has dropped so far because they were not accepted in time; each is retried
/// after a second. `None` if the system does not count them.
pub fn dropped_connections() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next()?.split(' '), lines.next()?.split(' '));
    names.zip(values).find(|(name, _)| *name == "ListenDrops")?.1.parse().ok()
}

/// Returns why this machine cannot run `scale` jobs of `workload` on a model with `lanes` as its maximum concurrency:
/// the number needed, the number available, and the command that raises the limit.
pub fn refusal(
    limits: &Limits,
    about: &ModelInfo,
    workload: &Workload,
    scale: usize,
    lanes: usize,
) -> Option<String> {
    let demand = workload.demand();
    let tasks = demand.tasks.saturating_mul(lanes as u64);
    let own = demand.sockets.saturating_mul(lanes as u64);
    let sockets = own.saturating_add(workload.pooled());
    let (threads, maps) = match about.task {
        Task::Heap => (0, 0),
        Task::Thread => (tasks, tasks.saturating_mul(THREAD_MAPS)),
        Task::Stack => (0, tasks.saturating_mul(COROUTINE_MAPS)),
    };
    let files = if sockets == 0 { 0 } else { sockets + OTHER_FILES };
    let ports = sockets / u64::from(ADDRESSES);
    let needs = [
        ("open files", files, 0, limits.files, Remedy::HardLimit("--nofile")),
        ("local ports for each address", ports, 0, limits.ports, Remedy::PortRange),
        ("threads", threads, OTHER_THREADS, limits.processes, Remedy::HardLimit("--nproc")),
        (
            "threads",
            threads,
            OTHER_THREADS,
            limits.system_threads,
            Remedy::Sysctl("kernel.threads-max"),
        ),
        ("threads", threads, OTHER_THREADS, limits.pids, Remedy::Sysctl("kernel.pid_max")),
        ("threads", threads, OTHER_THREADS, limits.group_pids, Remedy::ControlGroup),
        ("memory maps", maps, OTHER_MAPS, limits.maps, Remedy::Sysctl("vm.max_map_count")),
    ];
    let counted = needs.into_iter().find_map(|(what, need, others, limit, remedy)| {
        let limit = limit.filter(|limit| need > 0 && need.saturating_add(others) > *limit)?;
        let need = need.saturating_add(others);
        let [needs, has] = [need, limit].map(|number| count(number as usize));
        Some(format!("needs {needs} {what}, has {has}; {}", remedy.raising_to(need)))
    });
    counted.or_else(|| {
        let need = least_memory(about, workload, scale, lanes);
        let there_is = limits.memory.filter(|there_is| need > *there_is)?;
        Some(format!(
            "needs at least {} of memory, has {}; take a smaller scale, end other programs, or raise the limit \
             of this control group (memory.max) if it has one",
            bytes(need),
            bytes(there_is)
        ))
    })
}

/// How a limit is raised.
#[derive(Clone, Copy)]
enum Remedy {
    /// By the `prlimit` option of this name.
    HardLimit(&'static str),
    /// By the kernel setting of this name.
    Sysctl(&'static str),
    /// By the widest range of local ports.
    PortRange,
    /// In the control group.
    ControlGroup,
}

impl Remedy {
    fn raising_to(self, need: u64) -> String {
        const WIDEST: u64 = 65_535 - 1_024 + 1;
        match self {
            Remedy::HardLimit(option) => hard_limit(option, need),
            Remedy::Sysctl(name) => format!("lift it with: sysctl -w {name}={need}"),
            Remedy::PortRange if need > WIDEST => {
                format!("take a smaller scale: no range has more than {}", count(WIDEST as usize))
            }
            Remedy::PortRange => {
                "lift it with: sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"".into()
            }
            Remedy::ControlGroup => format!("raise pids.max of this control group to {need}"),
        }
    }
}

/// Formats a number of bytes: `2.5 GiB`.
pub fn bytes(number: u64) -> String {
    ByteSize(number).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::{models, workloads};

    const NARROW: Limits = Limits {
        files: Some(20_000),
        processes: Some(90_000),
        system_threads: Some(190_000),
        pids: Some(32_768),
        group_pids: None,
        maps: Some(65_530),
        ports: Some(28_232),
        memory: Some(1 << 30),
    };

    fn says(model: &str, workload: &str, scale: usize) -> Option<String> {
        let about = &models::find(model).unwrap().info;
        refusal(&NARROW, about, &workloads::find(workload).unwrap(), scale, scale)
    }

    #[test]
    fn ten_million_sleepers_fit_into_24_gib_and_not_into_one() {
        let why = says("tokio", "sleep", 10_000_000).unwrap();
        assert!(why.contains("at least 2.5 GiB of memory, has 1.0 GiB"), "{why}");
        let about = &models::find("tokio").unwrap().info;
        let sleep = workloads::find("sleep").unwrap();
        for memory in [Some(24 << 30), None] {
            let limits = Limits { memory, ..NARROW };
            assert_eq!(refusal(&limits, about, &sleep, 10_000_000, 10_000_000), None);
        }
    }

    #[test]
    fn a_model_whose_jobs_take_turns_needs_the_sockets_of_those_under_way() {
        let about = &models::find("pool").unwrap().info;
        let echo = workloads::find("echo").unwrap();
        assert_eq!(refusal(&NARROW, about, &echo, 1_000_000, 2), None);
        assert!(refusal(&NARROW, about, &echo, 1_000_000, 1_000_000).is_some());
    }

    #[test]
    fn dropped_connections_are_counted_on_linux() {
        assert_eq!(dropped_connections().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn the_widest_range_of_ports_is_named_only_if_it_is_enough() {
        let limits = Limits { files: None, memory: None, ..NARROW };
        let about = &models::find("tokio").unwrap().info;
        let echo = workloads::find("echo").unwrap();
        let says = |jobs| refusal(&limits, about, &echo, jobs, jobs).unwrap();
        let some = says(400_000);
        assert!(
            some.starts_with("needs 50 000 local ports for each address, has 28 232"),
            "{some}"
        );
        assert!(some.ends_with("net.ipv4.ip_local_port_range=\"1024 65535\""), "{some}");
        let most = says(800_000);
        assert!(most.ends_with("take a smaller scale: no range has more than 64 512"), "{most}");
    }

    #[test]
    fn what_fits_is_not_refused_and_what_does_not_names_the_limit_and_the_command() {
        assert_eq!(says("tokio", "sleep", 1_000_000), None);
        assert_eq!(says("tokio", "echo", 10_000), None);
        let files = says("tokio", "echo", 20_000).unwrap();
        assert!(
            files.contains("20 040 open files, has 20 000; raise the hard limit as root: ")
                && files
                    .contains("sudo prlimit --pid $$ --nofile=20040, or nofile in /etc/security"),
            "{files}"
        );
        let maps = says("may", "sleep", 100_000).unwrap();
        assert!(maps.contains("vm.max_map_count=200500"), "{maps}");
        let threads = says("threads", "sleep", 100_000).unwrap();
        assert!(threads.contains("--nproc=100300, or nproc in /etc"), "{threads}");
        assert!(says("threads", "switch", 20_000).is_some(), "a partner is a thread too");
        assert_eq!(says("threads", "sleep", 10_000), None);
        let maps = says("threads", "sleep", 17_000).unwrap();
        assert!(maps.contains("vm.max_map_count=68500"), "a thread has four: {maps}");
    }
}
