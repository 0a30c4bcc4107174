//! Resources that a process has used so far, as counted by the kernel for the whole process.

use std::{fs, time::Duration};

pub(crate) use paceline_gated::usage::{memory_peak, reset_memory_peak};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The resources that this process has used, including its threads and its children that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// CPU time in user mode, in nanoseconds.
    pub user_cpu_ns: u64,
    /// CPU time in system mode, in nanoseconds.
    pub system_cpu_ns: u64,
    /// Context switches because a thread waited.
    pub voluntary_switches: u64,
    /// Context switches because another thread was given the CPU.
    pub involuntary_switches: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that needed the disk.
    pub major_faults: u64,
}

impl Usage {
    /// Returns the usage so far. All fields are zero if the system does not provide them.
    #[must_use]
    pub fn now() -> Self {
        paceline_gated::usage::Usage::now().into()
    }

    /// Returns the usage since `before`.
    pub fn since(self, before: Usage) -> Usage {
        Usage {
            user_cpu_ns: self.user_cpu_ns.saturating_sub(before.user_cpu_ns),
            system_cpu_ns: self.system_cpu_ns.saturating_sub(before.system_cpu_ns),
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(before.involuntary_switches),
            minor_faults: self.minor_faults.saturating_sub(before.minor_faults),
            major_faults: self.major_faults.saturating_sub(before.major_faults),
        }
    }

    /// Returns user and system CPU time together, in nanoseconds.
    pub fn cpu_ns(self) -> u64 {
        self.user_cpu_ns + self.system_cpu_ns
    }
}

/// Returns the time for which the calling thread was ready to run and no CPU was free, so far; `None` if the system does
/// not count it.
pub(crate) fn waited_for_cpu() -> Option<Duration> {
    // Time on a CPU, time in the queue of one, and turns: <https://docs.kernel.org/scheduler/sched-stats.html>.
    let counts = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut counts = counts.split_whitespace().map(|count| count.parse::<u64>().ok());
    let (ran, waited) = (counts.next()??, counts.next()??);
    // A thread that reads this has run: the kernel does not count.
    (ran > 0).then(|| Duration::from_nanos(waited))
}

/// Adds up the usage of several processes.
impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Usage::default(), |a, b| Usage {
            user_cpu_ns: a.user_cpu_ns + b.user_cpu_ns,
            system_cpu_ns: a.system_cpu_ns + b.system_cpu_ns,
            voluntary_switches: a.voluntary_switches + b.voluntary_switches,
            involuntary_switches: a.involuntary_switches + b.involuntary_switches,
            minor_faults: a.minor_faults + b.minor_faults,
            major_faults: a.major_faults + b.major_faults,
        })
    }
}

impl From<paceline_gated::usage::Usage> for Usage {
    fn from(used: paceline_gated::usage::Usage) -> Self {
        Usage {
            user_cpu_ns: used.user_cpu_ns,
            system_cpu_ns: used.system_cpu_ns,
            voluntary_switches: used.voluntary_switches,
            involuntary_switches: used.involuntary_switches,
            minor_faults: used.minor_faults,
            major_faults: used.major_faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    #[cfg(target_os = "linux")]
    fn threads_that_share_a_cpu_wait_for_it_and_one_that_sleeps_does_not() {
        let waited = || waited_for_cpu().expect("Linux counts it");
        thread::spawn(move || {
            let before = waited();
            thread::sleep(Duration::from_millis(200));
            // Its wake-up alone may wait.
            assert!(waited().saturating_sub(before) < Duration::from_millis(190));
        });
        // Two more threads than there are CPUs: each of them waits.
        let cpus = thread::available_parallelism().unwrap().get();
        let over = std::sync::atomic::AtomicBool::new(false);
        let most = thread::scope(|scope| {
            let busy = |_| {
                scope.spawn(|| {
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        std::hint::black_box(crate::job::compute(1, 1000));
                    }
                    waited()
                })
            };
            let threads: Vec<_> = (0..cpus + 2).map(busy).collect();
            thread::sleep(Duration::from_millis(300));
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            threads.into_iter().map(|one| one.join().unwrap()).max().unwrap()
        });
        assert!(most > Duration::from_millis(20), "{most:?}");
    }
}
