//! The bounds of every number in a workload file: what is over one is refused, with the bound named.

use std::time::Duration;

use super::Demand;

/// A bound, as an error names it.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What is bounded.
    pub what: &'static str,
    /// The least that is allowed.
    pub least: u64,
    /// The most that is allowed.
    pub most: u64,
}

impl Bound {
    const fn new(what: &'static str, least: u64, most: u64) -> Self {
        Bound { what, least, most }
    }

    /// Whether `value` is within.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the bound.
    pub fn check(&self, value: u64) -> Result<u64, String> {
        let Bound { what, least, most } = *self;
        match value {
            _ if value < least => Err(format!("{what} must be at least {least}, not {value}")),
            _ if value > most => Err(format!("{what} must be at most {most}, not {value}")),
            _ => Ok(value),
        }
    }
}

/// Of a scale: jobs offered at once.
pub const SCALE: Bound = Bound::new("a scale", 1, 10_000_000);
/// Of worker threads.
pub const WORKERS: Bound = Bound::new("workers", 1, 1024);
/// Of `compute`.
pub const ROUNDS: Bound = Bound::new("the rounds of a compute step", 0, 100_000_000_000);
/// Of the bytes of a message.
pub const BYTES: Bound = Bound::new("the bytes of a message", 8, 16 << 20);
/// Of the bytes of a message in a room.
pub const SAID: Bound = Bound::new("the bytes of a message in a room", 8, 64 << 10);
/// Of the connections of a pool.
pub const POOL: Bound = Bound::new("the connections of a pool", 1, 10_000);
/// Of the times of an exchange.
pub const TIMES: Bound = Bound::new("the times of an exchange", 1, 1_000_000);
/// Of `hop`.
pub const HOPS: Bound = Bound::new("hops", 1, 1_000_000);
/// Of `yield`.
pub const YIELDS: Bound = Bound::new("yields", 1, 1_000_000);
/// Of the width of a gather.
pub const WIDTH: Bound = Bound::new("the width of a gather", 1, 100_000);
/// Of the width of a group.
pub const GROUP: Bound = Bound::new("the width of a group", 1, 100_000);
/// Of `every.nth`.
pub const NTH: Bound = Bound::new("every.nth", 2, 1_000_000);
/// How deep steps may nest.
pub const DEPTH: usize = 8;
/// Of one `sleep` or `block`.
pub const WAIT: Duration = Duration::from_mins(1);
/// Of all waits of a job, one after another.
pub const SERIAL: Duration = Duration::from_hours(1);
/// Units of a job, children included.
pub const UNITS: u64 = 10_000_000;
/// Rounds of compute of a job, children included.
pub const COMPUTE: u64 = 1_000_000_000_000;
/// Tasks alive at once in a job.
pub const TASKS: u64 = 100_000;
/// Bytes that a job sends.
pub const SENT: u64 = 1 << 32;
/// Steps written in a list.
pub const STEPS: usize = 1000;
/// Bytes of a workload file.
pub const FILE: u64 = 1 << 20;

impl Demand {
    /// Whether a whole job is within bounds.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the bound.
    pub fn check(&self) -> Result<(), String> {
        let checks = [
            ("tasks alive at once", self.tasks, TASKS),
            ("units", self.units, UNITS),
            ("rounds of compute", self.compute, COMPUTE),
            ("bytes sent", self.bytes, SENT),
        ];
        if let Some((what, has, most)) = checks.into_iter().find(|(_, has, most)| has > most) {
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
