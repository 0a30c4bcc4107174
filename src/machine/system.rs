//! Readings of the system that decide whether figures from this machine are meaningful.

use std::{collections::BTreeSet, fs};

use rustix::process::{Resource, getrlimit};

use super::fingerprint;

/// A soft and a hard limit of this process; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftHard {
    /// The current limit.
    pub soft: Option<u64>,
    /// The limit up to which it may be raised.
    pub hard: Option<u64>,
}

/// Readings of the system; `None` if it does not show them.
#[derive(Clone, Debug)]
pub struct System {
    /// Open files of a process.
    pub files: SoftHard,
    /// Threads and processes of this user.
    pub processes: SoftHard,
    /// Locked memory, in bytes.
    pub locked: SoftHard,
    /// CPUs that are online.
    pub cpus_online: Option<usize>,
    /// CPUs that this process may run on.
    pub cpus_allowed: Option<usize>,
    /// The greatest length of a queue of connections that wait to be accepted.
    pub somaxconn: Option<u64>,
    /// Closed connections that are kept for a minute.
    pub time_wait: Option<u64>,
    /// `net.ipv4.tcp_tw_reuse`: whether such a connection's port can be reused after a second.
    pub time_wait_reuse: Option<u64>,
    /// `kernel.io_uring_disabled`.
    pub io_uring_disabled: Option<u64>,
    /// The clock source.
    pub clock_source: Option<String>,
    /// How late the kernel may wake a thread to save wake-ups, in nanoseconds.
    pub timer_slack_ns: Option<u64>,
    /// The frequency governors of the CPUs, without duplicates.
    pub governors: Vec<String>,
    /// The frequency driver.
    pub driver: Option<String>,
    /// Whether the clock rate may temporarily exceed its base.
    pub boost: Option<bool>,
    /// Whether a hypervisor is visible; `None` if the system has no flag for it.
    pub hypervisor: Option<bool>,
    /// Average number of threads that ran or wanted to, over the last minute.
    pub load: Option<f64>,
    /// The percentage of the last 10 seconds in which a thread waited for a CPU (PSI).
    pub pressure: Option<f64>,
}

impl System {
    /// Returns the readings of this system.
    pub fn here() -> Self {
        let status = text("/proc/self/status");
        let allowed = status.as_deref().and_then(|status| field(status, "Cpus_allowed_list:"));
        let load = text("/proc/loadavg");
        let sockets = text("/proc/net/sockstat");
        System {
            files: soft_hard(Resource::Nofile),
            processes: soft_hard(Resource::Nproc),
            locked: soft_hard(Resource::Memlock),
            cpus_online: text("/sys/devices/system/cpu/online").map(|list| count_cpus(&list)),
            cpus_allowed: allowed.map(count_cpus),
            somaxconn: number("/proc/sys/net/core/somaxconn"),
            time_wait: sockets.as_deref().and_then(time_wait),
            time_wait_reuse: number("/proc/sys/net/ipv4/tcp_tw_reuse"),
            io_uring_disabled: number("/proc/sys/kernel/io_uring_disabled"),
            clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            timer_slack_ns: number("/proc/self/timerslack_ns"),
            governors: governors(),
            driver: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver"),
            boost: number("/sys/devices/system/cpu/cpufreq/boost")
                .map(|on| on == 1)
                .or(number("/sys/devices/system/cpu/intel_pstate/no_turbo").map(|off| off == 0)),
            hypervisor: cfg!(all(target_os = "linux", target_arch = "x86_64"))
                .then(|| fingerprint().hypervisor),
            load: load.and_then(|load| load.split(' ').next()?.parse().ok()),
            pressure: text("/proc/pressure/cpu").as_deref().and_then(pressure),
        }
    }
}

/// The activity of all CPUs since the start, in ticks, from `/proc/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTicks {
    /// Ticks of work of any program.
    pub busy: u64,
    /// Ticks in which they wanted to work while the hypervisor ran others.
    pub stolen: u64,
    /// Ticks without work.
    pub idle: u64,
    /// The number of CPUs in these sums.
    pub cpus: usize,
}

impl CpuTicks {
    /// Returns the activity until now.
    pub fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let all = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = all.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; user and nice already include guests.
        let [user, nice, system, idle, waiting, irq, softirq, stolen, ..] = ticks[..] else {
            return None;
        };
        let cpus = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
        let busy = user + nice + system + irq + softirq;
        Some(CpuTicks { busy, stolen, idle: idle + waiting, cpus })
    }

    /// Returns the activity after `before`. Counters of an idle CPU may go back a little: that counts as none.
    #[must_use]
    pub fn since(self, before: CpuTicks) -> CpuTicks {
        CpuTicks {
            busy: self.busy.saturating_sub(before.busy),
            stolen: self.stolen.saturating_sub(before.stolen),
            idle: self.idle.saturating_sub(before.idle),
            cpus: self.cpus,
        }
    }
}

fn text(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Returns the number in a file of one line.
pub(super) fn number(path: &str) -> Option<u64> {
    text(path)?.parse().ok()
}

/// Returns the value after `name` in a file with a name on each line.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn soft_hard(resource: Resource) -> SoftHard {
    let limit = getrlimit(resource);
    SoftHard { soft: limit.current, hard: limit.maximum }
}

/// Returns the number of CPUs in a list such as `0-3,8`.
fn count_cpus(numbers: &str) -> usize {
    let one = |range: &str| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (from.trim().parse::<usize>(), to.trim().parse::<usize>());
        from.ok().zip(to.ok()).map_or(0, |(from, to)| (to + 1).saturating_sub(from))
    };
    numbers.split(',').map(one).sum()
}

fn time_wait(sockstat: &str) -> Option<u64> {
    let mut words = field(sockstat, "TCP:")?.split(' ').skip_while(|word| *word != "tw");
    words.nth(1)?.parse().ok()
}

fn pressure(psi: &str) -> Option<f64> {
    let some = field(psi, "some ")?.split(' ').find_map(|word| word.strip_prefix("avg10="));
    some?.parse().ok()
}

fn governors() -> Vec<String> {
    let policies = fs::read_dir("/sys/devices/system/cpu/cpufreq").into_iter().flatten().flatten();
    let governor = |policy: fs::DirEntry| {
        text(policy.path().join("scaling_governor").to_str().unwrap_or_default())
    };
    policies.filter_map(governor).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_counted() {
        assert_eq!(["0", "0-3", "0-3,8", "0-1,4-5,9"].map(count_cpus), [1, 4, 5, 5]);
    }

    #[test]
    fn figures_are_found_in_the_text_of_the_kernel() {
        let sockets = "sockets: used 12\nTCP: inuse 1 orphan 0 tw 37 alloc 1 mem 61\nUDP: inuse 0";
        assert_eq!(time_wait(sockets), Some(37));
        let psi =
            "some avg10=12.50 avg60=0.45 avg300=1.53 total=3\nfull avg10=0.00 avg60=0.00 total=0";
        assert_eq!(pressure(psi), Some(12.5));
        let stat = "cpu  100 20 30 1000 50 1 2 7 60 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n";
        let ticks = CpuTicks { busy: 153, stolen: 7, idle: 1050, cpus: 2 };
        assert_eq!(CpuTicks::parse(stat), Some(ticks));
        assert_eq!(CpuTicks::parse("cpu  1 2 3"), None);
    }

    #[test]
    fn this_system_shows_what_every_linux_does() {
        let system = System::here();
        if cfg!(target_os = "linux") {
            assert!(system.cpus_allowed >= Some(1) && system.cpus_online >= system.cpus_allowed);
            assert!(system.load.is_some() && CpuTicks::now().is_some());
        }
    }
}
