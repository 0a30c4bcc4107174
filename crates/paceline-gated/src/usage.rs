//! Resources that a process has used so far, as counted by the kernel for the whole process.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};

/// The resources that this process has used, including its threads and the children that it has waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode, in nanoseconds.
    pub user_cpu_ns: u64,
    /// CPU time in the kernel, in nanoseconds.
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
        let [own, children] = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(Self::of);
        own.with(children, u64::saturating_add)
    }

    /// Combines each field with the same field of `other`.
    fn with(self, other: Usage, combine: fn(u64, u64) -> u64) -> Usage {
        Usage {
            user_cpu_ns: combine(self.user_cpu_ns, other.user_cpu_ns),
            system_cpu_ns: combine(self.system_cpu_ns, other.system_cpu_ns),
            voluntary_switches: combine(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: combine(self.involuntary_switches, other.involuntary_switches),
            minor_faults: combine(self.minor_faults, other.minor_faults),
            major_faults: combine(self.major_faults, other.major_faults),
        }
    }

    fn of(whom: UsageWho) -> Self {
        let Ok(used) = getrusage(whom) else { return Usage::default() };
        let ns = |time: nix::sys::time::TimeVal| {
            time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_usec().unsigned_abs() * 1_000
        };
        let count = |number: i64| number.unsigned_abs();
        Usage {
            user_cpu_ns: ns(used.user_time()),
            system_cpu_ns: ns(used.system_time()),
            voluntary_switches: count(used.voluntary_context_switches()),
            involuntary_switches: count(used.involuntary_context_switches()),
            minor_faults: count(used.minor_page_faults()),
            major_faults: count(used.major_page_faults()),
        }
    }

    /// Returns the usage since `before`.
    #[must_use]
    pub fn since(self, before: Usage) -> Usage {
        self.with(before, u64::saturating_sub)
    }
}

/// Resets the peak of resident memory, and returns the resident memory now, in bytes; `None` if the system has no such
/// counter.
#[must_use]
pub fn reset_memory_peak() -> Option<u64> {
    // Linux: "5" resets the peak to what is resident now.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    memory("VmRSS:")
}

/// Returns the peak of resident memory since the last reset, in bytes.
#[must_use]
pub fn memory_peak() -> Option<u64> {
    memory("VmHWM:")
}

/// Returns the greatest peak of resident memory of any child that has ended, in bytes.
#[must_use]
pub fn memory_of_children() -> Option<u64> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    // The unit is KiB on Linux and bytes on macOS.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Some(used.max_rss().unsigned_abs() * unit)
}

/// Returns the number of threads of this process; `None` if the system does not show them.
#[must_use]
pub fn threads() -> Option<u64> {
    Some(fs::read_dir("/proc/self/task").ok()?.count() as u64)
}

fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_show() {
        let before = Usage::now();
        let resident = reset_memory_peak();
        // Far more than other tests of this process may free in the meantime.
        let block = vec![1_u8; 256 << 20];
        let sum: u64 = block.iter().map(|byte| u64::from(*std::hint::black_box(byte))).sum();
        assert_eq!(sum, 256 << 20);
        drop(block);
        let used = Usage::now().since(before);
        let cpu_ns = used.user_cpu_ns + used.system_cpu_ns;
        assert!(cpu_ns > 1_000_000 && used.minor_faults > 100, "{used:?}");
        if let Some(resident) = resident {
            let peak = memory_peak().unwrap();
            assert!(peak >= resident + (128 << 20), "{peak} after {resident}");
        }
    }
}
