//! Resources that a process has used so far, as counted by the kernel for the whole process.

use std::{fs, time::Duration};

pub(crate) use paceline_gated::usage::{memory_peak, reset_memory_peak};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Defines [`Usage`] by its fields.
macro_rules! usage {
    ($($(#[$doc:meta])* $field:ident;)*) => {
        /// The resources that this process has used, including its threads and its children that have ended.
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
        )]
        pub struct Usage {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Usage {
            fn increase(self, before: Usage) -> Usage {
                Usage { $($field: self.$field.saturating_sub(before.$field),)* }
            }
        }

        /// Adds up the usage of several processes.
        impl std::iter::Sum for Usage {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Usage::default(), |a, b| Usage { $($field: a.$field + b.$field,)* })
            }
        }

        impl From<paceline_gated::usage::Usage> for Usage {
            fn from(used: paceline_gated::usage::Usage) -> Self {
                Usage { $($field: used.$field,)* }
            }
        }
    };
}

usage! {
    /// CPU time in user mode, in nanoseconds.
    user_cpu_ns;
    /// CPU time in system mode, in nanoseconds.
    system_cpu_ns;
    /// Context switches because a thread waited.
    voluntary_switches;
    /// Context switches because another thread was given the CPU.
    involuntary_switches;
    /// Page faults that needed no disk.
    minor_faults;
    /// Page faults that needed the disk.
    major_faults;
}

impl Usage {
    /// Returns the usage so far. All fields are zero if the system does not provide them.
    pub fn now() -> Self {
        paceline_gated::usage::Usage::now().into()
    }

    /// Returns the usage since `before`. Its CPU time is exact where the sum of both parts is, even if the parts are
    /// only known in ticks: then one of them may seem to fall.
    #[must_use]
    pub fn since(self, before: Usage) -> Usage {
        let all = self.cpu_ns().saturating_sub(before.cpu_ns());
        let used = self.increase(before);
        let system_cpu_ns = used.system_cpu_ns.min(all);
        Usage { system_cpu_ns, user_cpu_ns: all - system_cpu_ns, ..used }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn cpu_time_is_that_of_the_process_where_its_parts_are_known_in_ticks() {
        let of = |user_ms: u64, system_ms: u64| Usage {
            user_cpu_ns: user_ms * 1_000_000,
            system_cpu_ns: system_ms * 1_000_000,
            ..Usage::default()
        };
        // The clock of the process went from 95 ms to 97 ms, and a tick of 10 ms in the kernel ended.
        assert_eq!(of(87, 10).since(of(95, 0)), of(0, 2));
        assert_eq!(of(97, 10).since(of(87, 0)), of(10, 10));
        assert_eq!(of(97, 10).since(of(90, 10)), of(7, 0));
        assert_eq!(of(0, 0).since(of(90, 10)), of(0, 0));
    }

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
