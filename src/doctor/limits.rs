//! Judges the limits of this machine: descriptors, threads, ports, memory, CPUs.
//!
//! The limit of a resource that jobs use up is judged by the number of jobs that it allows: the suite's core workloads
//! run 1000 and 10 000 jobs at once.

use super::{Finding, Judgement};
use crate::{
    machine::{
        Limits, OTHER_FILES, OTHER_MAPS, OTHER_THREADS, SoftHard, System, THREAD_MAPS, bytes,
    },
    output::count,
};
use paceline_core::{soft_limits::hard_limit, suite_server::ADDRESSES};

/// A limit that allows this many jobs at once is good.
pub const MANY_JOBS: u64 = 10_000;
/// A limit that does not even allow this many is bad: every curve of the suite would end before it bends.
pub const SOME_JOBS: u64 = 1_000;
/// With this much memory, the million sleepers of `sleep` run on every model; the greatest use is 1.3 GiB.
pub const MUCH_MEMORY: u64 = 2 << 30;
/// With less, 10 000 threads do not fit (at least 24 KiB each) beside the system's own memory.
pub const LITTLE_MEMORY: u64 = 256 << 20;
/// The fewest CPUs with which the echo server has one and the jobs have more than one.
pub const ENOUGH_CPUS: usize = 4;
/// Memory that a worker's ring locks on kernels before 5.12, which count it.
pub const RING: u64 = 512 << 10;

/// A limit that jobs use up.
struct Counted<'a> {
    what: &'a str,
    /// Its figure as text; `None` if the system does not show it.
    found: Option<String>,
    /// The limit itself; `None` without a limit.
    value: Option<u64>,
    /// The number of jobs that it allows.
    jobs: Option<u64>,
    /// The resource that each job uses.
    unit: &'a str,
    /// How to raise it.
    lift: String,
}

impl Counted<'_> {
    fn judged(self) -> Finding {
        let Some(found) = self.found else {
            return Finding::unknown(self.what, "a cell that runs into it fails with the reason");
        };
        let judgement = match self.jobs {
            Some(jobs) if jobs < SOME_JOBS => Judgement::Bad,
            Some(jobs) if jobs < MANY_JOBS => Judgement::Fair,
            _ => Judgement::Good,
        };
        let room = self.jobs.map_or_else(String::new, |jobs| {
            format!("; room for {} {}", count(jobs as usize), self.unit)
        });
        let advice = format!("cells that need more are refused; {}", self.lift);
        let finding = Finding::new(self.what, found + &room, judgement, &advice);
        finding.with(self.value.map(|value| value as f64), "")
    }
}

/// Returns the limits that jobs use up one by one. Soft limits are no obstacle: the suite raises them to the hard ones.
pub fn counted(system: &System, limits: &Limits) -> Vec<Finding> {
    let both = |limit: SoftHard| format!("soft {}, hard {}", shown(limit.soft), shown(limit.hard));
    let set = |value: Option<u64>, setting: &str| {
        value.map(|value| format!("{} ({setting})", count(value as usize)))
    };
    let threads = |limit: Option<u64>| limit.map(|limit| limit.saturating_sub(OTHER_THREADS));
    let numbers = limits.pids.into_iter().chain(limits.system_threads).min();
    let addresses = u64::from(ADDRESSES);
    let all = [
        Counted {
            what: "open files",
            found: Some(both(system.files)),
            value: system.files.hard,
            jobs: system.files.hard.map(|files| files.saturating_sub(OTHER_FILES)),
            unit: "connections at once",
            lift: hard_limit("--nofile", 1_048_576) + ", or LimitNOFILE= of the service",
        },
        Counted {
            what: "threads of user",
            found: Some(both(system.processes)),
            value: system.processes.hard,
            jobs: threads(system.processes.hard),
            unit: "jobs on threads",
            lift: hard_limit("--nproc", 100_000) + ", or LimitNPROC= of the service",
        },
        Counted {
            what: "threads of group",
            found: Some(shown(limits.group_pids)),
            value: limits.group_pids,
            jobs: threads(limits.group_pids),
            unit: "jobs on threads",
            lift: "raise pids.max of the control group (docker run --pids-limit, TasksMax= of the service)".into(),
        },
        Counted {
            what: "threads of system",
            found: set(numbers, "pid_max, threads-max"),
            value: numbers,
            jobs: threads(numbers),
            unit: "jobs on threads",
            lift: "lift it with: sysctl -w kernel.pid_max=4194304 kernel.threads-max=200000".into(),
        },
        Counted {
            what: "memory maps",
            found: set(limits.maps, "vm.max_map_count"),
            value: limits.maps,
            jobs: limits.maps.map(|maps| maps.saturating_sub(OTHER_MAPS) / THREAD_MAPS),
            unit: "jobs on threads",
            lift: "lift it with: sysctl -w vm.max_map_count=1048576".into(),
        },
        Counted {
            what: "local ports",
            found: set(limits.ports, "net.ipv4.ip_local_port_range"),
            value: limits.ports,
            jobs: limits.ports.map(|ports| ports * addresses),
            unit: "connections at once",
            lift: "lift it with: sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"".into(),
        },
        Counted {
            what: "queue of connections",
            found: set(system.somaxconn, "net.core.somaxconn"),
            value: system.somaxconn,
            jobs: system.somaxconn.map(|queue| queue * addresses),
            unit: "connections in one burst",
            lift: "lift it with: sysctl -w net.core.somaxconn=65535".into(),
        },
    ];
    all.map(Counted::judged).into()
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".into(), |limit| count(limit as usize))
}

/// Judges closed connections in TIME-WAIT, and whether their ports can be reused within the minute.
pub fn time_wait(waiting: Option<u64>, reuse: Option<u64>) -> Finding {
    const WHAT: &str = "closed connections";
    let Some(reuse) = reuse else {
        return Finding::unknown(WHAT, "a cell that finds no port fails with the reason");
    };
    let waiting =
        waiting.map_or_else(String::new, |n| format!("{} in TIME_WAIT; ", count(n as usize)));
    let (found, judgement) = match reuse {
        0 => ("each holds its port for a minute (tcp_tw_reuse 0)", Judgement::Fair),
        _ => ("on loopback, ports can be used again after a second", Judgement::Good),
    };
    let advice = "many trials with new connections run out of ports: sysctl -w net.ipv4.tcp_tw_reuse=2, the default";
    Finding::new(WHAT, waiting + found, judgement, advice)
}

/// Judges the CPUs that this process may run on, of those that are online.
pub fn cpus(allowed: Option<usize>, online: Option<usize>) -> Finding {
    let Some(allowed) = allowed else {
        return Finding::unknown("CPUs", "see that nothing confines this process to a few");
    };
    let online = online.unwrap_or(allowed).max(allowed);
    let (judgement, advice) = if allowed < online {
        (
            Judgement::Fair,
            "this process is confined: others may run on its CPUs; start it without taskset or cpuset",
        )
    } else if allowed < ENOUGH_CPUS {
        (
            Judgement::Fair,
            "the echo server takes CPUs from the jobs: compare such figures with each other only, or take 4 CPUs",
        )
    } else {
        (Judgement::Good, "")
    };
    Finding::new("CPUs", format!("{allowed} of {online} may be used"), judgement, advice)
        .with(allowed as f64, "")
}

/// Judges the control group's CPU quota against the CPUs that models see and start workers for.
pub fn quota(quota: Option<f64>, allowed: Option<usize>) -> Finding {
    const WHAT: &str = "CPU quota";
    let Some(quota) = quota else { return Finding::new(WHAT, "none", Judgement::Good, "") };
    let allowed = allowed.unwrap_or(1);
    let judgement = if quota < allowed as f64 { Judgement::Bad } else { Judgement::Good };
    let found = format!("the time of {quota:.2} CPUs, of {allowed} that may be used");
    let advice = "the kernel stops all threads for the rest of a period once it is used up: lift cpu.max, or confine to \
                  whole CPUs instead (taskset, docker run --cpuset-cpus)";
    Finding::new(WHAT, found, judgement, advice).with(quota, "CPUs")
}

/// Judges available memory, and the limit of the control group.
pub fn memory(available: Option<u64>, group: Option<u64>) -> Finding {
    let Some(available) = available else {
        return Finding::unknown("memory", "see that scales of a million fit");
    };
    let judgement = match available {
        n if n < LITTLE_MEMORY => Judgement::Bad,
        n if n < MUCH_MEMORY => Judgement::Fair,
        _ => Judgement::Good,
    };
    let limit = group.map_or_else(|| "none".into(), bytes);
    let found = format!("{} available; limit of the control group: {limit}", bytes(available));
    let advice = "cells that need more are refused: end other programs, or raise memory.max";
    Finding::new("memory", found, judgement, advice).with(available as f64, "bytes")
}

/// Judges locked memory, which limits rings on older kernels, for this number of workers.
pub fn locked(limit: SoftHard, workers: usize) -> Finding {
    let need = RING * workers as u64;
    let enough = limit.hard.is_none_or(|hard| hard >= need);
    let judgement = if enough { Judgement::Good } else { Judgement::Fair };
    let written = |limit: Option<u64>| limit.map_or_else(|| "unlimited".into(), bytes);
    let found = format!("soft {}, hard {}", written(limit.soft), written(limit.hard));
    let advice = format!(
        "io_uring on kernels before 5.12 locks {} here: {}",
        bytes(need),
        hard_limit("--memlock", need)
    );
    Finding::new("locked memory", found, judgement, &advice)
        .with(limit.hard.map(|hard| hard as f64), "bytes")
}

/// Judges the models on `io_uring`, each with why it cannot run, and `kernel.io_uring_disabled`.
pub fn rings(models: &[(&str, Option<String>)], disabled: Option<u64>) -> Finding {
    const WHAT: &str = "io_uring";
    if models.is_empty() {
        return Finding::unknown(WHAT, "only Linux has it; its models are left out");
    }
    let (can, cannot): (Vec<_>, Vec<_>) = models.iter().partition(|(_, why)| why.is_none());
    let names = |of: &[&(&str, Option<String>)]| {
        of.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let setting = disabled.map_or_else(String::new, |n| format!(" (kernel.io_uring_disabled {n})"));
    let Some((_, Some(why))) = cannot.first() else {
        return Finding::new(WHAT, format!("{} run{setting}", names(&can)), Judgement::Good, "");
    };
    let found = format!("{} cannot run{setting}", names(&cannot));
    Finding::new(WHAT, found, Judgement::Fair, &format!("their cells are refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgement::{Bad, Fair, Good, Unknown};

    #[test]
    fn a_quota_below_the_cpus_that_models_see_is_bad() {
        assert_eq!(quota(Some(1.5), Some(2)).judgement, Bad);
        assert_eq!(quota(Some(2.0), Some(2)).judgement, Good);
        assert_eq!(quota(None, Some(2)).judgement, Good);
        assert!(quota(Some(1.5), Some(2)).found.contains("1.50 CPUs, of 2"));
    }

    #[test]
    fn a_limit_is_judged_by_the_jobs_that_it_is_enough_for() {
        let system = System { files: files(64), ..System::here() };
        let limits = Limits {
            files: None,
            processes: None,
            system_threads: Some(200_000),
            pids: Some(4_000),
            group_pids: Some(900),
            maps: Some(65_530),
            ports: Some(100),
            memory: None,
        };
        let judged = |what: &str| {
            let of = counted(&system, &limits);
            of.into_iter().find(|finding| finding.what == what).unwrap()
        };
        assert_eq!(judged("open files").judgement, Bad);
        assert!(judged("open files").advice.contains("--nofile=1048576"));
        assert_eq!(judged("threads of group").judgement, Bad);
        assert_eq!(judged("threads of system").judgement, Fair);
        assert_eq!(judged("memory maps").judgement, Good);
        assert_eq!(
            judged("memory maps").found,
            "65 530 (vm.max_map_count); room for 16 257 jobs on threads"
        );
        assert_eq!(judged("local ports").judgement, Bad);
    }

    fn files(hard: u64) -> SoftHard {
        SoftHard { soft: Some(hard), hard: Some(hard) }
    }

    #[test]
    fn only_what_is_short_gets_advice() {
        assert_eq!(cpus(Some(2), Some(8)).judgement, Fair);
        assert!(cpus(Some(2), Some(8)).advice.contains("confined"));
        assert!(cpus(Some(2), Some(2)).advice.contains("echo server"));
        assert_eq!((cpus(Some(4), Some(4)).judgement, cpus(None, None).judgement), (Good, Unknown));
        assert_eq!(memory(Some(24 << 30), None).judgement, Good);
        assert_eq!(memory(Some(1 << 30), Some(1 << 30)).judgement, Fair);
        assert_eq!(memory(Some(100 << 20), None).judgement, Bad);
        assert_eq!(locked(files(64 << 10), 2).judgement, Fair);
        assert_eq!(locked(SoftHard { soft: None, hard: None }, 64).judgement, Good);
        assert_eq!(time_wait(Some(30_000), Some(0)).judgement, Fair);
        assert_eq!(time_wait(Some(30_000), Some(2)).judgement, Good);
    }

    #[test]
    fn a_model_without_its_ring_is_named_with_the_reason() {
        let works = ("compio", None);
        assert_eq!(rings(std::slice::from_ref(&works), Some(0)).judgement, Good);
        let finding = rings(&[works, ("monoio", Some("it is switched off".into()))], Some(2));
        assert_eq!(finding.judgement, Fair);
        assert!(finding.found.contains("monoio cannot run (kernel.io_uring_disabled 2)"));
        assert!(finding.advice.contains("switched off"));
        assert_eq!(rings(&[], None).judgement, Unknown);
    }
}
