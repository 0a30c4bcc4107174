//! Resources that a process has used so far, as counted by the kernel for the whole process.

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
    #[must_use]
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
    #[must_use]
    pub fn cpu_ns(self) -> u64 {
        self.user_cpu_ns + self.system_cpu_ns
    }
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
