//! Batches of one cell in this process: prepared outside the timed section, timed inside it, and checked against their
//! receipts.

mod attestation;
mod served;
mod width;

pub use attestation::Attestation;
use attestation::drivers;
pub(crate) use attestation::drivers_of;
pub use served::ServerSeen;
pub(crate) use served::ServerWatch;
pub(crate) use width::attest_width;

use std::{fmt, io, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    clock::{begun, noting, now, ticks},
    histogram::{Distribution, Histogram},
    quantity::{count, counted},
    soft_limits::with_remedy,
    usage::{memory_peak, reset_memory_peak},
};
use crate::{
    job::{Jobs, Receipt, Step, Workload},
    model::Clock,
    models::ModelInfo,
    perform::{Batch, INSTRUMENTATION, LatencyRecorder, Placement, StartedModel},
};

/// Why a batch has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// It ran, but not as its label says.
    Invalid(String),
    /// It could not run, or not to completion.
    Failed(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Invalid(message) | Fault::Failed(message)) = self;
        f.write_str(message)
    }
}

/// Converts a message about something that could not be done.
impl From<String> for Fault {
    fn from(why: String) -> Self {
        Fault::Failed(why)
    }
}

/// The times of single jobs in all recorded batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The times from the start of the batch, when all its jobs were due, until each job had its receipt.
    pub latency: Option<Distribution>,
    /// The times from the first poll of each job until it had its receipt.
    pub service_time: Option<Distribution>,
    /// How much longer than requested each sleep took.
    pub timer_lateness: Option<Distribution>,
    /// Sleeps that did not fit in the recorder.
    pub sleeps_lost: u64,
    /// The duration of each batch, including the time of recording.
    pub times_ns: Vec<u64>,
}

impl Recorded {
    /// Checks that each histogram can be read and holds as many times as it states.
    pub fn check(&self) -> Result<(), String> {
        let all = [
            ("latency", &self.latency),
            ("service_time", &self.service_time),
            ("timer_lateness", &self.timer_lateness),
        ];
        for (name, of) in all {
            let read = of.as_ref().map(Distribution::histogram).transpose();
            read.map_err(|why| format!("its {name} is {why}"))?;
        }
        Ok(())
    }
}

/// A cell, ready to run in this process.
pub struct Prepared {
    info: &'static ModelInfo,
    workers: Option<usize>,
    placement: Placement,
    jobs: Jobs,
    expected: Vec<Receipt>,
    floor: Duration,
    total_wait: Duration,
    /// Whether some job always waits on a timer, and below, on a socket.
    uses_timers: bool,
    uses_sockets: bool,
    children: usize,
    sleeps: usize,
}

/// The most children, and the most sleeps, that the recorder can hold for a batch.
const ROOM: u64 = 4_000_000;

impl Prepared {
    /// Computes the receipts of `scale` jobs of `workload` and the shortest time that they can take.
    pub fn new(
        info: &'static ModelInfo,
        workload: &Workload,
        scale: usize,
        workers: Option<usize>,
        placement: Placement,
    ) -> Self {
        let jobs = Jobs::load(workload);
        let demand = workload.demand();
        let room = |each: u64| each.saturating_mul(scale as u64).min(ROOM) as usize;
        let some =
            |is: fn(&Step) -> bool| (0..scale).any(|index| jobs.steps(index).always_reaches(is));
        Prepared {
            uses_timers: some(|step| matches!(step, Step::Sleep(_))),
            uses_sockets: some(|step| matches!(step, Step::Connect(_) | Step::Exchange { .. })),
            children: room(demand.children),
            sleeps: room(demand.sleeps),
            info,
            workers,
            placement,
            jobs,
            expected: (0..scale).map(|index| jobs.expected(index)).collect(),
            floor: workload.critical_path_wait(scale),
            total_wait: workload.total_wait(scale),
        }
    }

    /// Returns the jobs.
    pub(super) fn jobs(&self) -> Jobs {
        self.jobs
    }

    /// Runs one batch on the started model `model`.
    ///
    /// # Errors
    ///
    /// Returns a fault if a job failed, a receipt is wrong, or the batch was shorter than its waits.
    pub fn batch(&self, model: &dyn StartedModel) -> Result<Duration, Fault> {
        Ok(self.timed_by(model, now)?.elapsed)
    }

    fn timed_by(&self, model: &dyn StartedModel, clock: Clock) -> Result<Batch, Fault> {
        let batch = model.batch(self.jobs, self.expected.len(), self.placement, clock);
        self.check(&batch)?;
        Ok(batch)
    }

    /// Runs `batches` batches and records the times of every job. `per_ns` is the number of ticks per nanosecond.
    ///
    /// # Errors
    ///
    /// Returns a fault as [`batch`](Self::batch) does, or if this process has recorded batches of fewer jobs.
    pub fn record(
        &self,
        model: &dyn StartedModel,
        batches: u64,
        per_ns: f64,
    ) -> Result<Recorded, Fault> {
        let jobs = self.expected.len();
        let recorder = INSTRUMENTATION
            .recorder(|| LatencyRecorder::new(ticks(), per_ns, jobs, self.children, self.sleeps));
        if !recorder.holds(jobs) {
            return Err(Fault::Failed("this process has recorded batches of fewer jobs".into()));
        }
        let (mut latency, mut service, mut lateness) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        let (mut lost, mut times_ns) = (0, Vec::new());
        for _ in 0..batches {
            INSTRUMENTATION.record(true);
            let batch = self.timed_by(model, noting);
            INSTRUMENTATION.record(false);
            let start = begun();
            times_ns.push(crate::clock::nanoseconds(batch?.elapsed));
            let noted = recorder.take(jobs);
            let ns = |from: u64, to: u64| (to.saturating_sub(from) as f64 / per_ns) as u64;
            for (began, ended) in noted.jobs {
                latency.record(ns(start, ended));
                service.record(ns(began, ended));
            }
            noted.lateness_ns.into_iter().for_each(|ns| lateness.record(ns));
            lost += noted.lost as u64;
        }
        Ok(Recorded {
            latency: latency.distribution(),
            service_time: service.distribution(),
            timer_lateness: lateness.distribution(),
            sleeps_lost: lost,
            times_ns,
        })
    }

    /// Runs one batch with the counters on, and checks the counts.
    ///
    /// # Errors
    ///
    /// Returns a fault as [`batch`](Self::batch) does, or if the counts do not fit the model's label.
    pub fn attest(&self, model: &dyn StartedModel) -> Result<Attestation, Fault> {
        let rss_bytes = reset_memory_peak();
        let before = drivers().2;
        INSTRUMENTATION.start(now);
        let batch = self.timed_by(model, now);
        let seen = INSTRUMENTATION.stop();
        let Batch { elapsed, future_bytes, .. } = batch?;
        let rss_bytes_max = rss_bytes.and_then(|_| memory_peak());
        let (epolls, rings, completions) = drivers();
        let attest = Attestation {
            elapsed_ns: crate::clock::nanoseconds(elapsed),
            peak_in_flight: seen.peak_in_flight,
            job_threads: seen.threads,
            process_threads: thread_names().map(|names| names.len() as u64),
            epolls,
            rings,
            completions: completions
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before)),
            rss_bytes,
            rss_bytes_max,
            group_ended_ns_max: seen.groups.map(|groups| groups.ended_ns_max),
            children_left: seen.groups.map(|groups| groups.children_left),
            future_bytes: future_bytes.map(|bytes| bytes as u64),
        };
        self.check_attest(&attest, elapsed)?;
        Ok(attest)
    }

    /// Returns the number of jobs, and their joined receipts, both computed from the definition.
    pub(super) fn expected_total(&self) -> (usize, Receipt) {
        (self.expected.len(), Receipt::new(0).join(self.expected.iter().copied()))
    }

    fn check(&self, batch: &Batch) -> Result<(), Fault> {
        let (returned, expected) = (batch.receipts.len(), self.expected.len());
        if returned != expected {
            let (returned, jobs) = (count(returned), counted(expected, "job"));
            return Err(Fault::Invalid(format!("{returned} of {jobs} returned a receipt")));
        }
        for (index, (receipt, expected)) in batch.receipts.iter().zip(&self.expected).enumerate() {
            match receipt {
                Err(error) => {
                    return Err(Fault::Failed(format!("job {index}: {}", with_remedy(error))));
                }
                Ok(receipt) if receipt != expected => {
                    return Err(Fault::Invalid(format!(
                        "job {index} returned {} units and checksum {:016x}, its definition says {} and {:016x}",
                        receipt.units(),
                        receipt.checksum(),
                        expected.units(),
                        expected.checksum()
                    )));
                }
                Ok(_) => {}
            }
        }
        self.check_floor(batch.elapsed)
    }

    /// Checks that a batch was at least as long as its critical-path wait.
    pub(super) fn check_floor(&self, elapsed: Duration) -> Result<(), Fault> {
        if elapsed < self.floor {
            return Err(Fault::Invalid(format!(
                "the batch took {elapsed:?}, and its jobs wait for {:?}: they cannot have waited",
                self.floor
            )));
        }
        Ok(())
    }
}

/// Returns the kernel's name of the calling thread.
pub(super) fn thread_name() -> String {
    std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default().trim().to_owned()
}

/// Returns the names of this process's threads; `None` if the system does not provide them.
#[cfg(target_os = "linux")]
pub(super) fn thread_names() -> Option<Vec<String>> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let name = |task: io::Result<std::fs::DirEntry>| {
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim().to_owned())
    };
    Some(tasks.filter_map(name).collect())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn thread_names() -> Option<Vec<String>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{histogram::Histogram, models, workloads};

    fn sleeps(scale: usize) -> Prepared {
        let info = &models::find("threads").unwrap().info;
        Prepared::new(info, &workloads::find("sleep").unwrap(), scale, None, Placement::Outside)
    }

    fn batch(of: &Prepared, elapsed: Duration) -> Batch {
        let receipts = of.expected.iter().copied().map(Ok).collect();
        Batch { elapsed, receipts, future_bytes: None }
    }

    #[test]
    fn a_batch_is_as_long_as_its_jobs_wait_or_longer() {
        let cell = sleeps(3);
        assert!(cell.floor > Duration::ZERO);
        let check = |elapsed| cell.check(&batch(&cell, elapsed));
        assert_eq!(check(cell.floor), Ok(()));
        let why = check(cell.floor.checked_sub(Duration::from_nanos(1)).unwrap()).unwrap_err();
        assert!(matches!(why, Fault::Invalid(_)), "{why}");
        assert!(why.to_string().contains("they cannot have waited"), "{why}");
    }

    #[test]
    fn a_batch_without_every_receipt_as_foretold_is_invalid_or_failed() {
        let cell = sleeps(3);
        let with = |change: fn(&mut Vec<io::Result<Receipt>>)| {
            let mut batch = batch(&cell, Duration::from_mins(1));
            change(&mut batch.receipts);
            cell.check(&batch).unwrap_err()
        };
        let missing = with(|receipts| receipts.truncate(2));
        assert_eq!(missing, Fault::Invalid("2 of 3 jobs returned a receipt".into()));
        let wrong = with(|receipts| receipts[1] = Ok(Receipt::new(0)));
        assert!(matches!(wrong, Fault::Invalid(_)), "{wrong}");
        assert!(wrong.to_string().contains("job 1 returned 0 units"), "{wrong}");
        let failed = with(|receipts| receipts[2] = Err(io::Error::other("no route")));
        assert_eq!(failed, Fault::Failed("job 2: no route".into()));
    }

    #[test]
    fn a_recorded_histogram_that_cannot_be_read_is_named() {
        let mut times = Histogram::default();
        times.record(7);
        let fine = times.distribution();
        let torn = fine.clone().map(|of| Distribution { count: 2, ..of });
        let of = |[latency, service_time, timer_lateness]: [&Option<Distribution>; 3]| {
            let (latency, service_time) = (latency.clone(), service_time.clone());
            let timer_lateness = timer_lateness.clone();
            let times_ns = vec![];
            Recorded { latency, service_time, timer_lateness, sleeps_lost: 0, times_ns }.check()
        };
        assert_eq!(of([&fine, &fine, &None]), Ok(()));
        assert!(of([&torn, &fine, &fine]).unwrap_err().starts_with("its latency is a histogram"));
        assert!(of([&fine, &torn, &fine]).unwrap_err().starts_with("its service_time is"));
        assert!(of([&None, &None, &torn]).unwrap_err().starts_with("its timer_lateness is"));
    }
}
