//! The limits on every number in a workload file. A value outside them is refused with an error that names the limit.

use std::time::Duration;

use super::Demand;
use crate::quantity::count;

/// A range, as an error names it.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The name of the bounded value.
    pub what: &'static str,
    /// The lowest allowed value.
    pub least: u64,
    /// The highest allowed value.
    pub most: u64,
}

impl Bound {
    const fn new(what: &'static str, least: u64, most: u64) -> Self {
        Bound { what, least, most }
    }

    /// Checks that `value` is within the bound, and returns it.
    pub fn check(&self, value: u64) -> Result<u64, String> {
        let Bound { what, least, most } = *self;
        let [lowest, highest, found] = [least, most, value].map(|number| count(number as usize));
        match value {
            _ if value < least => Err(format!("{what} must be at least {lowest}, not {found}")),
            _ if value > most => Err(format!("{what} must be at most {highest}, not {found}")),
            _ => Ok(value),
        }
    }
}

/// Scales: concurrent jobs.
pub const SCALE: Bound = Bound::new("a scale", 1, 10_000_000);
/// Worker threads.
pub const WORKERS: Bound = Bound::new("workers", 1, 1024);
/// Rounds of a `compute` step.
pub const ROUNDS: Bound = Bound::new("the rounds of a compute step", 0, 100_000_000_000);
/// Bytes of a message.
pub const BYTES: Bound = Bound::new("the bytes of a message", 8, 16 << 20);
/// Bytes of a message in a room.
pub const SAID: Bound = Bound::new("the bytes of a message in a room", 8, 64 << 10);
/// Connections of a pool.
pub const POOL: Bound = Bound::new("the connections of a pool", 1, 10_000);
/// Round trips of an exchange, or messages to a room.
pub const TIMES: Bound = Bound::new("times", 1, 1_000_000);
/// Messages of a `hop` step.
pub const HOPS: Bound = Bound::new("hops", 1, 1_000_000);
/// Yields of a `yield` step.
pub const YIELDS: Bound = Bound::new("yields", 1, 1_000_000);
/// Children of a gather.
pub const WIDTH: Bound = Bound::new("the width of a gather", 1, 100_000);
/// Children of a group.
pub const GROUP: Bound = Bound::new("the width of a group", 1, 100_000);
/// `every.nth`.
pub const NTH: Bound = Bound::new("every.nth", 2, 1_000_000);
/// The most numbers in the list of scales or of worker counts.
pub const NUMBERS: usize = 32;
/// The most characters in a name.
pub const NAME: usize = 64;
/// The maximum nesting depth of steps.
pub const DEPTH: usize = 8;
/// The longest `sleep` or `block`.
pub const WAIT: Duration = Duration::from_mins(1);
/// The longest total wait of a job, one wait after another.
pub const SERIAL: Duration = Duration::from_hours(1);
/// The most units of a job, children included.
pub const UNITS: u64 = 10_000_000;
/// The most rounds of `compute` of a job, children included.
pub const COMPUTE: u64 = 1_000_000_000_000;
/// The most concurrent tasks of a job.
pub const TASKS: u64 = 100_000;
/// The most bytes that a job sends.
pub const SENT: u64 = 1 << 32;
/// The most steps in a list.
pub const STEPS: usize = 1000;
/// The largest workload file, in bytes.
pub const FILE: u64 = 1 << 20;

impl Demand {
    /// Checks that a whole job is within bounds.
    pub fn check(&self) -> Result<(), String> {
        let checks = [
            ("tasks alive at once", self.tasks, TASKS),
            ("units", self.units, UNITS),
            ("rounds of compute", self.compute, COMPUTE),
            ("bytes sent", self.bytes, SENT),
        ];
        if let Some((what, has, most)) = checks.into_iter().find(|(_, has, most)| has > most) {
            let [most, has] = [most, has].map(|number| count(number as usize));
            return Err(format!("a job has at most {most} {what}, children included, not {has}"));
        }
        if self.serial > SERIAL {
            let long = |wait: Duration| humantime::format_duration(wait);
            let (most, has) = (long(SERIAL), long(self.serial));
            return Err(format!("the waits of a job add up to at most {most}, not {has}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_reach_each_bound_and_may_not_pass_it() {
        let most = Demand {
            tasks: TASKS,
            units: UNITS,
            compute: COMPUTE,
            bytes: SENT,
            serial: SERIAL,
            ..Demand::default()
        };
        assert_eq!(most.check(), Ok(()));
        let passed = [
            (
                Demand { tasks: TASKS + 1, ..most },
                "100 000 tasks alive at once, children included, not",
            ),
            (
                Demand { units: UNITS + 1, ..most },
                "10 000 000 units, children included, not 10 000 001",
            ),
            (Demand { compute: COMPUTE + 1, ..most }, "rounds of compute"),
            (Demand { bytes: SENT + 1, ..most }, "bytes sent"),
            (Demand { serial: SERIAL + Duration::from_secs(1), ..most }, "at most 1h, not 1h 1s"),
        ];
        for (passed, said) in passed {
            let why = passed.check().unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
