//! Runs the processes of cells and tells the time: on this machine or, in tests, in a simulation.

use std::time::{Duration, Instant};

use super::{
    known::MeasuredScale,
    pace::{Cost, patience},
};
use crate::{
    plan::Planned,
    record::Trial,
    session::{Session, warm},
};
use paceline_core::{
    clock,
    prepared::Attestation,
    process::{Host, HostError},
};

/// A process that has prepared a cell and warmed up.
pub(super) struct WarmProcess<P> {
    pub(super) process: P,
    /// Its measured cost so far.
    pub(super) cost: Cost,
    /// CPU time of a batch in nanoseconds; zero before [`again`](Runner::again).
    pub(super) cpu_ns: f64,
}

impl<P> WarmProcess<P> {
    /// Returns what is known of the scale by now, without the echo server.
    pub(super) fn known(&self, scale: usize) -> MeasuredScale {
        MeasuredScale { scale, cost: self.cost, cpu_ns: (self.cpu_ns / scale as f64, 0.0) }
    }
}

/// What runs the processes of cells and tells the time.
pub(super) trait Runner {
    type Process;

    fn now(&self) -> Instant;

    /// Returns the time of a round of `compute`, in nanoseconds.
    fn compute_ns(&self) -> f64;

    /// Returns why a cell cannot run, if it cannot.
    fn refusal(&self, planned: &Planned<'_>) -> Option<String>;

    /// Restarts the suite's server if it has ended. Returns whether it had to.
    fn revive(&self) -> Result<bool, String>;

    /// Starts a process, prepares `planned` in it, and warms up. `predicted` is the expected time.
    fn warm_up(
        &self,
        planned: &Planned<'_>,
        predicted: Cost,
    ) -> Result<WarmProcess<Self::Process>, HostError>;

    /// Runs another batch: the first one is cold, so this one is more reliable.
    fn again(&self, warm: &mut WarmProcess<Self::Process>) -> Result<(), HostError>;

    /// Runs `batches` timed batches, and returns the trial, as number 0. If it is the `first` of its cell, another batch
    /// shows how late sleeps end.
    fn timed(
        &mut self,
        warm: WarmProcess<Self::Process>,
        planned: &Planned<'_>,
        batches: u64,
        first: bool,
    ) -> Result<Trial, HostError>;
}

impl Runner for Session {
    type Process = (Host, Attestation);

    fn now(&self) -> Instant {
        clock::now()
    }

    fn compute_ns(&self) -> f64 {
        self.compute_ns
    }

    fn refusal(&self, planned: &Planned<'_>) -> Option<String> {
        self.refusal(planned)
    }

    fn revive(&self) -> Result<bool, String> {
        self.revive()
    }

    fn warm_up(
        &self,
        planned: &Planned<'_>,
        predicted: Cost,
    ) -> Result<WarmProcess<Self::Process>, HostError> {
        let begun = clock::now();
        let mut host = self.host(planned)?;
        let limit = patience(predicted.start + predicted.batch);
        let attest = self.warm_up(&mut host, planned, limit)?;
        let first = Duration::from_nanos(attest.elapsed_ns);
        let batch = warm(first, |count| {
            let all = first.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
            Ok::<_, HostError>(host.batches(count, patience(all))?.0)
        })?;
        let start = (clock::now() - begun).saturating_sub(first);
        Ok(WarmProcess { process: (host, attest), cost: Cost { batch, start }, cpu_ns: 0.0 })
    }

    fn again(&self, warm: &mut WarmProcess<Self::Process>) -> Result<(), HostError> {
        let (times, used) = warm.process.0.batches(1, patience(warm.cost.batch))?;
        warm.cost.batch = times.into_iter().sum();
        warm.cpu_ns = used.cpu_ns() as f64;
        Ok(())
    }

    fn timed(
        &mut self,
        warm: WarmProcess<Self::Process>,
        planned: &Planned<'_>,
        batches: u64,
        first: bool,
    ) -> Result<Trial, HostError> {
        let WarmProcess { process: (mut host, attest), cost, .. } = warm;
        let count = u32::try_from(batches).unwrap_or(u32::MAX);
        let all = patience(cost.batch.saturating_mul(count));
        let (mut timed, _) = self.timed(&mut host, planned, (batches, all), attest)?;
        if first && planned.workload.demand().sleeps > 0 {
            let recorded = host.record(1, patience(cost.batch))?;
            timed.recorded.timer_lateness = recorded.timer_lateness;
        }
        Ok(timed)
    }
}
