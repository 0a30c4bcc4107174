//! Batches of a model out of process. The interpreter's reports are checked against the definition and against what the
//! system shows.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpgrp, getpid, kill_process_group, setpgid};

use super::process_group::ProcessGroup;
use crate::{
    clock::now,
    histogram::Histogram,
    prepared::{Attestation, Fault, Prepared, Recorded, attest_width},
    protocol::{CellSpec, Reply as Answer},
    quantity::{count, counted},
    usage::Usage,
};
use crate::{
    job::Workload,
    models::{
        Entry, ModelInfo,
        foreign::{Link, ListenAddress, Reply, Request, TimedBatch, Watched},
    },
    perform::{Probe, Probed},
};

/// How long processes that were asked to end may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether this process has started an interpreter.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Kills this process's group if it has started an interpreter: all interpreters, everything they started, and this
/// process.
pub(super) fn end_all() {
    if STARTED.load(Relaxed) {
        let _ = kill_process_group(getpgrp(), Signal::KILL);
    }
}

/// A running interpreter.
pub(super) struct Interpreter {
    link: Link,
    name: &'static str,
    /// The duration of a round of `compute` in it, in nanoseconds.
    compute_ns: f64,
}

impl Interpreter {
    /// Starts the interpreter of `entry`. Its processes join this process's group, so the parent of this process can
    /// kill them.
    pub(super) fn start(entry: &Entry) -> Result<Self, String> {
        let info = &entry.info;
        let language = info.foreign.ok_or("this model runs in Rust")?;
        if getpgrp() != getpid() {
            setpgid(None, None).map_err(|error| format!("cannot have a process group: {error}"))?;
        }
        STARTED.store(true, Relaxed);
        let (link, hello) = language.start(info.name, false, None).map_err(|(_, why)| why)?;
        Ok(Interpreter { link, name: info.name, compute_ns: hello.compute_ns })
    }

    /// Prepares `cell`.
    pub(super) fn prepare(&mut self, cell: &CellSpec, workload: &Workload) -> Result<(), Fault> {
        let demand = workload.demand();
        let times = demand.sleeps.saturating_add(2).saturating_mul(cell.scale as u64);
        self.link.expect_times(times as usize);
        let reply = self.ask(&Request::Prepare {
            jobs: workload.jobs_as_json(),
            scale: cell.scale,
            workers: cell.workers,
            placement: cell.placement,
            servers: cell.servers.clone(),
        })?;
        match reply {
            Reply::Prepared {} => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Checks that it has the workers of `cell`.
    pub(super) fn attest_width(
        &mut self,
        info: &'static ModelInfo,
        cell: &CellSpec,
    ) -> Result<(), Fault> {
        // The workers of an event loop only run offloaded work. Go has no event loop.
        let has_loop = info.foreign.is_some_and(|foreign| foreign.language != "Go");
        if has_loop && !info.holds_worker() {
            return Ok(());
        }
        let compute_ns = Some(self.compute_ns);
        attest_width(info, cell.workers, cell.placement, compute_ns, |workload, width| {
            let cell = CellSpec { scale: width.expected_total().0, ..cell.clone() };
            self.prepare(&cell, workload)?;
            Ok(self.attest(width)?.job_threads)
        })
    }

    /// Runs `count` batches. Returns the duration of each, and the resources that the processes used in the meantime.
    pub(super) fn batches(
        &mut self,
        cell: &Prepared,
        count: u64,
    ) -> Result<(Vec<u64>, Usage), Fault> {
        let before = ProcessGroup::of_this_process().usage();
        let mut times_ns = Vec::new();
        self.each_batch(cell, count, false, |batch| {
            times_ns.push(batch.ns);
            Ok(())
        })?;
        Ok((times_ns, ProcessGroup::of_this_process().usage().since(before)))
    }

    /// Runs `count` batches and records the times of every job.
    pub(super) fn record(&mut self, cell: &Prepared, count: u64) -> Result<Recorded, Fault> {
        let (name, mut noted) = (self.name, InterpreterTimes::default());
        self.each_batch(cell, count, true, |batch| noted.take(name, &batch))?;
        Ok(noted.recorded())
    }

    fn each_batch(
        &mut self,
        cell: &Prepared,
        count: u64,
        times: bool,
        mut take: impl FnMut(TimedBatch) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (start, mut claimed) = (now(), Duration::ZERO);
        self.send(&Request::Batches { count, times })?;
        for _ in 0..count {
            let batch = match self.receive()? {
                Reply::Batch(batch) => batch,
                other => return Err(self.unexpected(&other)),
            };
            claimed += self.check(cell, &batch)?;
            self.check_claim(claimed, start)?;
            take(batch)?;
        }
        Ok(())
    }

    /// Runs a batch with the counters on, and checks the counts.
    pub(super) fn attest(&mut self, cell: &Prepared) -> Result<Attestation, Fault> {
        let rss_bytes = ProcessGroup::of_this_process().reset_memory_peak();
        let start = now();
        let reply = self.ask(&Request::Watch {})?;
        let Reply::Watched(watched) = reply else {
            return Err(self.unexpected(&reply));
        };
        let Watched { batch, peak_in_flight, job_threads, group_ended_ns_max, children_left } =
            watched;
        let elapsed = self.check(cell, &batch)?;
        self.check_claim(elapsed, start)?;
        let group = ProcessGroup::of_this_process();
        let attest = Attestation {
            elapsed_ns: batch.ns,
            peak_in_flight,
            job_threads,
            process_threads: group.threads(),
            epolls: group.epolls(),
            rss_bytes,
            rss_bytes_max: rss_bytes.and_then(|_| group.memory_peak()),
            group_ended_ns_max,
            children_left,
            ..Attestation::default()
        };
        let name = self.name;
        if u64::from(peak_in_flight) > batch.jobs || job_threads == 0 {
            return Err(Fault::Invalid(format!(
                "{name} says that {} jobs had {peak_in_flight} in flight on {job_threads} threads",
                batch.jobs
            )));
        }
        if attest.process_threads.is_some_and(|has| u64::from(job_threads) > has) {
            let has = attest.process_threads.unwrap_or(0);
            return Err(Fault::Invalid(format!(
                "{name} says that {job_threads} threads ran jobs, and its processes have {has}"
            )));
        }
        cell.check_attest(&attest, elapsed)?;
        Ok(attest)
    }

    /// Checks that a batch is as its definition says.
    fn check(&self, cell: &Prepared, batch: &TimedBatch) -> Result<Duration, Fault> {
        let invalid = |message| Err(Fault::Invalid(message));
        let (jobs, expected) = cell.expected_total();
        if batch.jobs != jobs as u64 {
            let (returned, jobs) = (count(batch.jobs as usize), counted(jobs, "job"));
            return invalid(format!("{returned} of {jobs} returned a receipt"));
        }
        let digest = format!("{:016x}", expected.checksum());
        if (batch.units, &batch.digest) != (expected.units(), &digest) {
            let TimedBatch { units, digest: returned, .. } = batch;
            return invalid(format!(
                "the receipts of {} join to {units} units and {returned:?}, the definition says {} and {digest:?}",
                self.name,
                expected.units()
            ));
        }
        let elapsed = Duration::from_nanos(batch.ns);
        cell.check_floor(elapsed)?;
        Ok(elapsed)
    }

    /// Checks that batches since `start` can have taken the reported time.
    fn check_claim(&self, claimed: Duration, start: Instant) -> Result<(), Fault> {
        let seen = now() - start;
        if claimed > seen {
            return Err(Fault::Invalid(format!(
                "{} says that its batches took {claimed:?}, and was seen to take {seen:?} for them",
                self.name
            )));
        }
        Ok(())
    }

    /// Returns the resources that the processes have used so far.
    pub(super) fn usage(&mut self) -> Result<Usage, String> {
        self.link.exit_reason().map_or_else(|| Ok(ProcessGroup::of_this_process().usage()), Err)
    }

    /// Probes the model.
    pub(super) fn probe(&mut self, what: Probe) -> Result<Probed, Fault> {
        match self.ask(&Request::Probe { what })? {
            Reply::Probed(seen) => Ok(seen),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Makes it serve the cell's jobs.
    pub(super) fn serve(&mut self, cell: &CellSpec, workload: &Workload) -> Result<Answer, Fault> {
        let reply = self.ask(&Request::Serve {
            jobs: workload.jobs_as_json(),
            workers: cell.workers,
            servers: cell.servers.clone(),
            listen: cell.listen.as_ref().map(|listen| ListenAddress {
                address: listen.address,
                token: listen.token.clone(),
            }),
        })?;
        let own = cell.listen.as_ref().map(|listen| listen.address);
        let is_right = |ip: IpAddr| own.map_or(ip.is_loopback(), |own| ip == own);
        match reply {
            Reply::Serving { address } if is_right(address.ip()) => Ok(Answer::Serving { address }),
            Reply::Serving { address } => Err(Fault::Invalid(match own {
                Some(own) => format!("{} listens at {address}, and not at {own}", self.name),
                None => format!("{} listens at {address}, which is not loopback", self.name),
            })),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Stops the model. Waits, then returns the names of processes that remain although they should have ended.
    pub(super) fn stop(mut self) -> Vec<String> {
        let stopped = match self.ask(&Request::Stop {}) {
            Ok(Reply::Stopped {}) => self.link.close(),
            Ok(other) => Err(self.unexpected(&other).to_string()),
            Err(fault) => Err(fault.to_string()),
        };
        let deadline = now() + PATIENCE;
        loop {
            let left = ProcessGroup::of_this_process().names();
            if left.is_empty() || now() > deadline {
                return left.into_iter().chain(stopped.err()).collect();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Fault> {
        self.send(request)?;
        self.receive()
    }

    fn send(&mut self, request: &Request) -> Result<(), Fault> {
        self.link.send(request).map_err(Fault::Failed)
    }

    fn receive(&mut self) -> Result<Reply, Fault> {
        match self.link.receive(None).map_err(Fault::Failed)? {
            Reply::Failed { job: Some(job), error } => {
                Err(Fault::Failed(format!("job {job}: {error}")))
            }
            Reply::Failed { job: None, error } => Err(Fault::Failed(error)),
            reply => Ok(reply),
        }
    }

    fn unexpected(&self, reply: &Reply) -> Fault {
        let mut said = format!("{reply:?}");
        said.truncate(said.floor_char_boundary(200));
        Fault::Failed(format!("{} answered another question: {said}", self.name))
    }
}

/// The times of single jobs, as recorded by an interpreter.
#[derive(Default)]
pub(crate) struct InterpreterTimes {
    latency: Histogram,
    service: Histogram,
    lateness: Histogram,
    pub(crate) batches: Recorded,
}

impl InterpreterTimes {
    /// Adds the times of a batch, if they are plausible.
    pub(crate) fn take(&mut self, name: &str, batch: &TimedBatch) -> Result<(), Fault> {
        check_times(name, batch)?;
        batch.latency_ns.iter().for_each(|ns| self.latency.record(*ns));
        batch.service_ns.iter().for_each(|ns| self.service.record(*ns));
        batch.lateness_ns.iter().for_each(|ns| self.lateness.record(*ns));
        self.batches.sleeps_lost = self.batches.sleeps_lost.saturating_add(batch.sleeps_lost);
        self.batches.times_ns.push(batch.ns);
        Ok(())
    }

    fn recorded(self) -> Recorded {
        Recorded {
            latency: self.latency.distribution(),
            service_time: self.service.distribution(),
            timer_lateness: self.lateness.distribution(),
            ..self.batches
        }
    }
}

/// Checks that there is a time for each job, and that none is longer than the batch.
fn check_times(name: &str, batch: &TimedBatch) -> Result<(), Fault> {
    let TimedBatch { ns, jobs, latency_ns, service_ns, .. } = batch;
    for (what, times) in [("latencies", latency_ns), ("service times", service_ns)] {
        if times.len() as u64 != *jobs {
            let has = times.len();
            return Err(Fault::Invalid(format!("{name} noted {has} {what} of {jobs} jobs")));
        }
        if let Some(longest) = times.iter().max().filter(|longest| *longest > ns) {
            return Err(Fault::Invalid(format!(
                "{name} noted {what} of {longest} ns in a batch of {ns} ns"
            )));
        }
    }
    Ok(())
}
