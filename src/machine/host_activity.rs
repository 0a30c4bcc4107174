//! The activity of the rest of the machine during a measurement.

use std::{fs, time::Duration};

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
    /// The part in which any program ran.
    #[serde(default)]
    pub busy_ticks: u64,
    /// Time in which a task waited for a CPU, in microseconds; `None` if the kernel does not count it.
    pub pressure_us: Option<u64>,
    /// The number of CPUs in these sums.
    pub cpus: usize,
}

/// A tick is 10 ms on every relevant Linux.
const TICK: Duration = Duration::from_millis(10);

impl HostActivity {
    /// Returns the current counters.
    pub fn now() -> Self {
        let CpuTicks { busy, stolen, idle, cpus } = CpuTicks::now().unwrap_or_default();
        let waited = fs::read_to_string("/proc/pressure/cpu").ok();
        HostActivity {
            cpu_ticks: busy + stolen + idle,
            steal_ticks: stolen,
            busy_ticks: busy,
            pressure_us: waited.and_then(|text| pressure(&text)),
            cpus,
        }
    }

    /// Returns the increase since `before`.
    #[must_use]
    pub fn since(self, before: HostActivity) -> HostActivity {
        HostActivity {
            cpu_ticks: self.cpu_ticks.saturating_sub(before.cpu_ticks),
            steal_ticks: self.steal_ticks.saturating_sub(before.steal_ticks),
            busy_ticks: self.busy_ticks.saturating_sub(before.busy_ticks),
            pressure_us: both(self.pressure_us, before.pressure_us, u64::saturating_sub),
            cpus: self.cpus,
        }
    }

    /// Returns the share of the time in which a task waited for a CPU; `None` after too short a time, or if the kernel
    /// does not count it.
    pub fn pressure_share(self) -> Option<f64> {
        let wall_us = self.cpu_ticks as f64 / self.cpus.max(1) as f64 * TICK.as_micros() as f64;
        let waited_us = self.pressure_us.filter(|_| self.cpu_ticks > 0)?;
        Some((waited_us as f64 / wall_us).min(1.0))
    }

    /// Returns the share of other programs in the CPU time that was not `own`, of which `server` is a server's; `None`
    /// if the system does not count it.
    #[must_use]
    pub fn share_of_others(self, own: Duration, server: Duration) -> Option<f64> {
        let [own, server] = [own, server].map(|time| time.div_duration_f64(TICK));
        let others = self.busy_ticks as f64 - own - server;
        // The counter of each CPU is off by up to a tick at both ends.
        let others = if others > 2.0 * self.cpus as f64 { others } else { 0.0 };
        let all = others + server;
        (self.busy_ticks > 0).then(|| if all > 0.0 { others / all } else { 0.0 })
    }

    /// Returns the share of the CPUs' time that was stolen; `None` after too short a time.
    pub fn steal_share(self) -> Option<f64> {
        (self.cpu_ticks > 0).then(|| self.steal_ticks as f64 / self.cpu_ticks as f64)
    }
}

impl std::iter::Sum for HostActivity {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let sum = |a: HostActivity, b: HostActivity| HostActivity {
            cpu_ticks: a.cpu_ticks + b.cpu_ticks,
            steal_ticks: a.steal_ticks + b.steal_ticks,
            busy_ticks: a.busy_ticks + b.busy_ticks,
            pressure_us: both(a.pressure_us, b.pressure_us, |a, b| a + b),
            cpus: a.cpus.max(b.cpus),
        };
        all.reduce(sum).unwrap_or_default()
    }
}

fn both(a: Option<u64>, b: Option<u64>, combine: fn(u64, u64) -> u64) -> Option<u64> {
    Some(combine(a?, b?))
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
        let found = HostActivity {
            cpu_ticks: 500,
            steal_ticks: 22,
            pressure_us: Some(1_000_000),
            cpus: 2,
            ..HostActivity::default()
        };
        assert_eq!((found.steal_share(), found.pressure_share()), (Some(0.044), Some(0.4)));
        let twice = [found, found].into_iter().sum::<HostActivity>();
        assert_eq!(
            (twice.pressure_share(), twice.since(found).pressure_share()),
            (Some(0.4), Some(0.4))
        );
        // Without pressure stall information.
        let silent = HostActivity { pressure_us: None, ..found };
        for activity in [silent, silent.since(silent), [silent, found].into_iter().sum()] {
            assert_eq!(activity.pressure_share(), None);
        }
        assert_eq!(silent.steal_share(), Some(0.044));
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345\nfull avg10=0 total=9\n";
        assert_eq!(pressure(text), Some(12_345));
        assert_eq!(HostActivity::default().steal_share(), None);
    }

    #[test]
    fn others_have_the_cpu_time_that_neither_the_generator_nor_the_server_used() {
        let seen = |busy_ticks, own_ms, server_ms| {
            let [own, server] = [own_ms, server_ms].map(Duration::from_millis);
            HostActivity { busy_ticks, cpus: 2, ..HostActivity::default() }
                .share_of_others(own, server)
        };
        // Two seconds of CPU time: 0.67 s are the generator's, and 1.3 s the server's. 3 ticks are chance.
        assert_eq!(seen(200, 670, 1300), Some(0.0));
        assert_eq!(seen(200, 500, 300), Some(0.8));
        assert_eq!(seen(200, 500, 0), Some(1.0));
        assert_eq!([seen(200, 2000, 0), seen(100, 900, 2000)], [Some(0.0), Some(0.0)]);
        assert_eq!(seen(0, 500, 500), None, "the system does not tell");
    }
}
