//! The resources used by the processes of a model out of process: every process of this one's group except itself, as
//! counted by the system.

use crate::usage::Usage;

/// A snapshot of the processes that make up an interpreter.
pub(super) struct ProcessGroup {
    #[cfg(target_os = "linux")]
    members: Vec<(procfs::process::Process, procfs::process::Stat)>,
}

#[cfg(target_os = "linux")]
impl ProcessGroup {
    /// Takes a snapshot of this process's group.
    pub(super) fn of_this_process() -> Self {
        let own = rustix::process::getpid().as_raw_pid();
        let group = rustix::process::getpgrp().as_raw_pid();
        let all = procfs::process::all_processes().into_iter().flatten().flatten();
        let members = all.filter(|process| process.pid != own).filter_map(|process| {
            let stat = process.stat().ok()?;
            // A zombie has ended and only waits to be reaped.
            (stat.pgrp == group && stat.state != 'Z').then_some((process, stat))
        });
        ProcessGroup { members: members.collect() }
    }

    /// Returns the resources used so far, including those of children that have ended.
    pub(super) fn usage(&self) -> Usage {
        self.members.iter().map(|(process, stat)| usage(process, stat)).sum()
    }

    /// Returns their number of threads.
    #[expect(clippy::unnecessary_wraps, reason = "not every system shows it")]
    pub(super) fn threads(&self) -> Option<u64> {
        Some(self.members.iter().map(|(_, stat)| stat.num_threads.unsigned_abs()).sum())
    }

    /// Returns their number of epoll instances. An instance inherited by a fork counts for both processes.
    #[expect(clippy::unnecessary_wraps, reason = "not every system shows it")]
    pub(super) fn epolls(&self) -> Option<u64> {
        let each = self.members.iter().map(|(process, _)| crate::prepared::drivers_of(process).0);
        Some(each.flatten().sum())
    }

    /// Returns the names of their programs.
    pub(super) fn names(&self) -> Vec<String> {
        self.members.iter().map(|(_, stat)| stat.comm.clone()).collect()
    }

    /// Resets the peak of resident memory, and returns the resident memory now, in bytes. Pages shared by processes
    /// count for each.
    pub(super) fn reset_memory_peak(&self) -> Option<u64> {
        for (process, _) in &self.members {
            std::fs::write(format!("/proc/{}/clear_refs", process.pid), "5").ok()?;
        }
        self.memory(|status| status.vmrss)
    }

    /// Returns the sum of the processes' peaks of resident memory since the last reset, in bytes.
    pub(super) fn memory_peak(&self) -> Option<u64> {
        self.memory(|status| status.vmhwm)
    }

    fn memory(&self, of: impl Fn(&procfs::process::Status) -> Option<u64>) -> Option<u64> {
        self.members.iter().map(|(process, _)| Some(of(&process.status().ok()?)? * 1024)).sum()
    }
}

#[cfg(target_os = "linux")]
fn usage(process: &procfs::process::Process, stat: &procfs::process::Stat) -> Usage {
    /// Linux reports times in `/proc` in hundredths of a second.
    const TICK_NS: u64 = 10_000_000;
    let ticks = |ticks: u64| ticks * TICK_NS;
    let ended = |ticks: i64| ticks.unsigned_abs() * TICK_NS;
    // The process's clock is exact, but does not separate user from system mode.
    let clock = nix::time::clock_getcpuclockid(nix::unistd::Pid::from_raw(process.pid));
    let exact = clock
        .and_then(nix::time::ClockId::now)
        .ok()
        .map(|time| time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs());
    let all = exact.unwrap_or(ticks(stat.utime + stat.stime));
    let system = ticks(stat.stime).min(all);
    let mut used = Usage {
        user_cpu_ns: all - system + ended(stat.cutime),
        system_cpu_ns: system + ended(stat.cstime),
        minor_faults: stat.minflt + stat.cminflt,
        major_faults: stat.majflt + stat.cmajflt,
        ..Usage::default()
    };
    for task in process.tasks().into_iter().flatten().flatten() {
        let Ok(status) = task.status() else { continue };
        used.voluntary_switches += status.voluntary_ctxt_switches.unwrap_or(0);
        used.involuntary_switches += status.nonvoluntary_ctxt_switches.unwrap_or(0);
    }
    used
}

/// On systems that do not show other processes, nothing is known about them.
#[cfg(not(target_os = "linux"))]
impl ProcessGroup {
    pub(super) fn of_this_process() -> Self {
        ProcessGroup {}
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::default()
    }

    pub(super) fn threads(&self) -> Option<u64> {
        None
    }

    pub(super) fn epolls(&self) -> Option<u64> {
        None
    }

    pub(super) fn names(&self) -> Vec<String> {
        vec![]
    }

    pub(super) fn reset_memory_peak(&self) -> Option<u64> {
        None
    }

    pub(super) fn memory_peak(&self) -> Option<u64> {
        None
    }
}
