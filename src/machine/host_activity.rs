//! The activity of the rest of the machine during a measurement.

use std::fs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::system::CpuTicks;

/// The machine's counters, or their increase during a measurement. All zero if the system has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostActivity {
    /// Time of all CPUs, in ticks of the kernel, mostly hundredths of a second.
    pub cpu_ticks: u64,
    /// The part that the hypervisor gave to others.
    pub steal_ticks: u64,
    /// Time in which a task waited for a CPU, in microseconds.
    pub pressure_us: u64,
    /// The number of CPUs in these sums.
    pub cpus: usize,
}

impl HostActivity {
    /// Returns the current counters.
    pub fn now() -> Self {
        let CpuTicks { busy, stolen, idle, cpus } = CpuTicks::now().unwrap_or_default();
        let waited = fs::read_to_string("/proc/pressure/cpu").ok();
        HostActivity {
            cpu_ticks: busy + stolen + idle,
            steal_ticks: stolen,
            pressure_us: waited.and_then(|text| pressure(&text)).unwrap_or(0),
            cpus,
        }
    }

    /// Returns the increase since `before`.
    #[must_use]
    pub fn since(self, before: HostActivity) -> HostActivity {
        HostActivity {
            cpu_ticks: self.cpu_ticks.saturating_sub(before.cpu_ticks),
            steal_ticks: self.steal_ticks.saturating_sub(before.steal_ticks),
            pressure_us: self.pressure_us.saturating_sub(before.pressure_us),
            cpus: self.cpus,
        }
    }

    /// Returns the share of the time in which a task waited for a CPU; `None` after too short a time.
    pub fn pressure_share(self) -> Option<f64> {
        // A tick is 10 ms on every relevant Linux.
        let wall_us = self.cpu_ticks as f64 / self.cpus.max(1) as f64 * 10_000.0;
        (self.cpu_ticks > 0).then(|| (self.pressure_us as f64 / wall_us).min(1.0))
    }

    /// Returns the share of the CPUs' time that was stolen; `None` after too short a time.
    pub fn steal_share(self) -> Option<f64> {
        (self.cpu_ticks > 0).then(|| self.steal_ticks as f64 / self.cpu_ticks as f64)
    }
}

impl std::iter::Sum for HostActivity {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(HostActivity::default(), |a, b| HostActivity {
            cpu_ticks: a.cpu_ticks + b.cpu_ticks,
            steal_ticks: a.steal_ticks + b.steal_ticks,
            pressure_us: a.pressure_us + b.pressure_us,
            cpus: a.cpus.max(b.cpus),
        })
    }
}

fn pressure(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let found =
            HostActivity { cpu_ticks: 500, steal_ticks: 22, pressure_us: 1_000_000, cpus: 2 };
        assert_eq!((found.steal_share(), found.pressure_share()), (Some(0.044), Some(0.4)));
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345\nfull avg10=0 total=9\n";
        assert_eq!(pressure(text), Some(12_345));
        assert_eq!(HostActivity::default().steal_share(), None);
    }
}
