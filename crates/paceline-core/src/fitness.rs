//! Measurements of the machine itself: wake-up delay, the cost of reading the clock, and how much the time of the same
//! work varies between processes.

use std::{hint::black_box, thread, time::Duration};

use crate::{
    clock::{cpu_time, nanoseconds, now},
    histogram::Histogram,
    job::compute,
    models,
    process::{HostError, Program},
    protocol::CellSpec,
};

/// Returns how much later than requested `thread::sleep` returns, for each of `times` sleeps of `wait`.
pub fn wake_errors(wait: Duration, times: u32) -> Histogram {
    let mut late = Histogram::default();
    for _ in 0..times {
        let start = now();
        thread::sleep(wait);
        late.record(nanoseconds((now() - start).saturating_sub(wait)));
    }
    late
}

/// Returns the cost of reading the clock, in nanoseconds.
pub fn clock_ns() -> f64 {
    const LOOKS: u32 = 100_000;
    let start = now();
    for _ in 0..LOOKS {
        black_box(now());
    }
    (now() - start).as_nanos() as f64 / f64::from(LOOKS)
}

/// Computes on one core for about `time`. Returns the elapsed time and the CPU time that this process used in it.
pub fn keep_busy(time: Duration) -> (Duration, Duration) {
    let (start, before) = (now(), cpu_time());
    let mut value = 0;
    while (now() - start) < time {
        value = black_box(compute(value, 10_000));
    }
    ((now() - start), cpu_time().saturating_sub(before))
}

/// Returns the time that the same work, of about `time`, takes in each of `processes` fresh processes, run one after
/// another: the median of three repetitions. `compute_ns` is the duration of a round of `compute` here.
pub fn same_work(
    program: &Program,
    processes: u32,
    time: Duration,
    compute_ns: f64,
) -> Result<Vec<Duration>, HostError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let rounds = (time.as_nanos() as f64 / compute_ns) as u64;
    let entry = models::find("sequential").map_err(HostError::Died)?;
    let one = |_| {
        let mut host =
            program.host(entry, Some(1)).map_err(|error| HostError::Died(error.to_string()))?;
        let source = format!("name = \"same-work\"\njob = [{{ compute = {rounds} }}]");
        let cell = CellSpec { workload: "same-work".into(), source, ..CellSpec::simplest() };
        host.prepare(cell, PATIENCE)?;
        let (mut times, _) = host.batches(3, PATIENCE)?;
        times.sort_unstable();
        Ok(times[1])
    };
    (0..processes).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_late_never_early_and_every_one_counts() {
        let late = wake_errors(Duration::from_millis(1), 5);
        assert_eq!(late.count(), 5);
        assert!(late.quantile(1.0) > 0 && late.quantile(0.0) <= late.quantile(1.0));
    }

    #[test]
    fn being_busy_takes_the_time_and_no_more_than_a_core() {
        let asked = Duration::from_millis(30);
        let (took, cpu) = keep_busy(asked);
        assert!(took >= asked && cpu > Duration::ZERO);
        assert!(clock_ns() > 0.0);
    }
}
