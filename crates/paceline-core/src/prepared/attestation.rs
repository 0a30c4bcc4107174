//! What the counters observed in a batch, and whether it fits the label of its model.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, Prepared};
use crate::{
    models::{Driver, ModelInfo, Width},
    quantity::{count, counted},
};

/// What the counters observed in a batch. They are off in all timed batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attestation {
    /// The duration of the batch, including the time of counting.
    pub elapsed_ns: u64,
    /// The greatest number of jobs in flight at once.
    pub peak_in_flight: u32,
    /// The number of distinct threads on which jobs started or ended.
    pub job_threads: u32,
    /// The number of threads of the process at the end of the batch.
    pub process_threads: Option<u64>,
    /// The number of epoll instances of the process; `None` if the system does not provide it.
    pub epolls: Option<u64>,
    /// The number of `io_uring` instances of the process.
    pub rings: Option<u64>,
    /// Completions of those rings during the batch.
    pub completions: Option<u64>,
    /// Resident memory of the process before the batch, in bytes.
    pub rss_bytes: Option<u64>,
    /// The peak of resident memory during the batch, in bytes.
    pub rss_bytes_max: Option<u64>,
    /// The longest time from the first failure of a child in a group until the group ended, in nanoseconds; `None` if
    /// no child failed.
    pub group_ended_ns_max: Option<u64>,
    /// Children still running when their group ended, summed over all groups.
    pub children_left: Option<u32>,
    /// The size in bytes of the future that the model was handed for each job, without what it boxes; `None` if jobs
    /// hold a thread or a coroutine, or run in another process.
    pub future_bytes: Option<u64>,
}

impl Attestation {
    /// Returns how much the batch added to the resident memory of the process, in bytes.
    #[must_use]
    pub fn rss_bytes_added(&self) -> Option<u64> {
        Some(self.rss_bytes_max?.saturating_sub(self.rss_bytes?))
    }
}

impl Prepared {
    /// Checks that the counts of a batch fit its label.
    pub(crate) fn check_attest(
        &self,
        attest: &Attestation,
        elapsed: Duration,
    ) -> Result<(), Fault> {
        let invalid = |message| Err(Fault::Invalid(message));
        let (name, threads) = (self.info.name, attest.job_threads);
        if self.expected.is_empty() {
            return invalid("no job ran".into());
        }
        let (peak, jobs) = (attest.peak_in_flight as usize, self.expected.len());
        if self.jobs.park() && peak != jobs {
            let (peak, jobs) = (count(peak), counted(jobs, "job"));
            return invalid(format!(
                "at most {peak} of {jobs} were in flight at once, and park waits for all of them"
            ));
        }
        // Little's law: with so few jobs in flight, this much waiting cannot fit in the elapsed time.
        let room = elapsed.saturating_mul(attest.peak_in_flight);
        if room < self.total_wait {
            return invalid(format!(
                "at most {} in flight for {elapsed:?} cannot have waited for {:?} in all",
                counted(peak, "job"),
                self.total_wait
            ));
        }
        let most = most_threads(self.info, self.workers);
        if let Some(most) = most.filter(|most| threads as usize > *most) {
            return invalid(format!(
                "{threads} threads ran jobs of {name}, which has {most} for it"
            ));
        }
        let drivers = Drivers {
            uses_timers: self.uses_timers,
            uses_sockets: self.uses_sockets,
            epolls: attest.epolls,
            rings: attest.rings,
            completions: attest.completions,
        };
        drivers.check(self.info).map_err(Fault::Invalid)
    }
}

/// Returns on how many threads jobs of a model may start and end; `None` if nothing limits that.
pub(super) fn most_threads(info: &ModelInfo, workers: Option<usize>) -> Option<usize> {
    match info.width {
        Width::One => Some(1),
        Width::Any => workers.map(|workers| workers + info.more_threads),
        Width::PerTask => None,
    }
}

/// What jobs certainly wait on, and what the kernel shows of the process in which they waited.
pub(super) struct Drivers {
    pub(super) uses_timers: bool,
    pub(super) uses_sockets: bool,
    pub(super) epolls: Option<u64>,
    pub(super) rings: Option<u64>,
    pub(super) completions: Option<u64>,
}

impl Drivers {
    /// Checks that jobs waited with the drivers that the model's label promises; see [`Driver`].
    pub(super) fn check(&self, info: &ModelInfo) -> Result<(), String> {
        let waits = [
            ("timers", self.uses_timers, info.timers),
            ("sockets", self.uses_sockets, info.sockets),
        ];
        let on_rings = waits.iter().any(|(_, used, driver)| *used && *driver == Driver::IoUring);
        for (what, used, driver) in waits {
            let seen = match driver {
                Driver::IoUring if self.rings == Some(0) => "has no ring",
                _ if !used => continue,
                // A wait on a ring that only times out completes nothing.
                Driver::IoUring
                    if self.completions == Some(0)
                        && (what == "sockets" || self.epolls > Some(0)) =>
                {
                    "no ring completed anything"
                }
                Driver::Readiness if self.epolls == Some(0) => "has no epoll instance",
                Driver::Blocking if self.epolls > Some(0) => "has an epoll instance",
                Driver::Blocking if self.rings > Some(0) => "has a ring",
                Driver::Readiness if !on_rings && self.completions > Some(0) => {
                    "a ring completed something"
                }
                _ => continue,
            };
            let name = info.name;
            return Err(format!("{name} is labelled with {what} on {driver}, and {seen}"));
        }
        Ok(())
    }
}

/// Returns the epoll instances, rings and ring completions of this process.
#[cfg(target_os = "linux")]
pub(super) fn drivers() -> (Option<u64>, Option<u64>, Option<u64>) {
    procfs::process::Process::myself().map_or((None, None, None), |me| drivers_of(&me))
}

/// Returns the same figures for another process.
#[cfg(target_os = "linux")]
pub(crate) fn drivers_of(
    process: &procfs::process::Process,
) -> (Option<u64>, Option<u64>, Option<u64>) {
    use procfs::process::FDTarget;
    let Ok(open) = process.fd() else { return (None, None, None) };
    let (mut epolls, mut rings, mut completions) = (0, 0, 0);
    for descriptor in open.flatten() {
        match descriptor.target {
            FDTarget::AnonInode(name) if name.contains("eventpoll") => epolls += 1,
            FDTarget::AnonInode(name) if name.contains("io_uring") => {
                rings += 1;
                let path = format!("/proc/{}/fdinfo/{}", process.pid, descriptor.fd);
                let info = std::fs::read_to_string(path).unwrap_or_default();
                let tail = info.lines().find_map(|line| line.strip_prefix("CqTail:"));
                completions += tail.and_then(|tail| tail.trim().parse::<u64>().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    (Some(epolls), Some(rings), Some(completions))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn drivers() -> (Option<u64>, Option<u64>, Option<u64>) {
    (None, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::Workload, models, perform::Placement, workloads};

    /// Builds the attestation of four threads and one second, with these instances.
    fn seen(epolls: u64, rings: u64, completions: u64) -> Attestation {
        Attestation {
            elapsed_ns: 1_000_000_000,
            peak_in_flight: 4,
            job_threads: 4,
            epolls: Some(epolls),
            rings: Some(rings),
            completions: Some(completions),
            ..Attestation::default()
        }
    }

    #[test]
    fn every_false_label_of_a_driver_is_invalid_where_jobs_wait_on_it() {
        use Driver::{Blocking, IoUring, Readiness};
        const ALL: [Driver; 3] = [Blocking, Readiness, IoUring];
        let base = &models::find("threads").unwrap().info;
        // The counts of a process whose jobs sleep, those of one whose jobs connect, and the only correct label.
        let processes = [
            ("threads", seen(0, 0, 0), seen(0, 0, 0), (Blocking, Blocking)),
            ("tokio", seen(2, 0, 0), seen(2, 0, 0), (Readiness, Readiness)),
            ("compio", seen(0, 1, 5), seen(0, 1, 9), (IoUring, IoUring)),
            ("monoio", seen(0, 1, 0), seen(0, 1, 9), (IoUring, IoUring)),
            ("tokio-uring", seen(1, 1, 0), seen(1, 1, 9), (Readiness, IoUring)),
            ("the reverse of it", seen(1, 1, 9), seen(1, 1, 0), (IoUring, Readiness)),
        ];
        for (name, asleep, connected, label) in processes {
            for (timers, sockets) in ALL.iter().flat_map(|a| ALL.map(|b| (*a, b))) {
                let info = Box::leak(Box::new(ModelInfo { timers, sockets, ..*base }));
                let check = |workload, seen| {
                    let workload = workloads::find(workload).unwrap();
                    let cell = Prepared::new(info, &workload, 4, None, Placement::Outside);
                    cell.check_attest(seen, Duration::from_secs(1))
                };
                let all = [check("sleep", &asleep), check("echo", &connected)];
                let ok = all.iter().all(Result::is_ok);
                assert_eq!(ok, label == (timers, sockets), "{name}, {timers}, {sockets}: {all:?}");
            }
        }
    }

    #[test]
    fn a_job_that_may_be_cancelled_before_it_waits_is_not_held_to_a_driver() {
        let info = &models::find("tokio").unwrap().info;
        let check = |on_failure| {
            let text = format!(
                "name = \"t\"\njob = [{{ group = {{ width = 9, of = [{{ connect = \"echo\" }}], on_failure = \
                 \"{on_failure}\", every = {{ nth = 9, job = [{{ fail = \"error\" }}] }} }} }}]"
            );
            let workload = Workload::parse("t", &text).unwrap();
            let cell = Prepared::new(info, &workload, 4, Some(4), Placement::Outside);
            cell.check_attest(&seen(0, 0, 0), Duration::from_secs(1))
        };
        assert_eq!(check("cancel"), Ok(()));
        assert!(check("wait").unwrap_err().to_string().contains("has no epoll instance"));
    }

    #[test]
    fn a_cell_whose_jobs_were_not_all_in_flight_although_they_park_is_invalid() {
        let info = &models::find("threads").unwrap().info;
        let of = |workload: &str| {
            let workload = workloads::find(workload).unwrap();
            Prepared::new(info, &workload, 4, None, Placement::Outside)
        };
        let check = |workload, peak_in_flight| {
            let seen = Attestation { peak_in_flight, ..seen(0, 0, 0) };
            of(workload).check_attest(&seen, Duration::from_secs(1))
        };
        assert_eq!(check("park", 4), Ok(()));
        let why = check("park", 3).unwrap_err().to_string();
        assert!(why.contains("at most 3 of 4 jobs"), "{why}");
        assert_eq!(check("sleep", 3), Ok(()));
    }

    #[test]
    fn waits_must_have_room_in_the_time_and_the_jobs_in_flight() {
        let info = &models::find("threads").unwrap().info;
        let sleep = workloads::find("sleep").unwrap();
        let cell = Prepared::new(info, &sleep, 8, None, Placement::Outside);
        let check = |elapsed| cell.check_attest(&seen(0, 0, 0), elapsed);
        // Four in flight have room for all waits in a quarter of their sum.
        let just = cell.total_wait / 4;
        assert_eq!(just * 4, cell.total_wait);
        assert_eq!(check(just), Ok(()));
        let why =
            check(just.checked_sub(Duration::from_nanos(1)).unwrap()).unwrap_err().to_string();
        assert!(why.contains("at most 4 jobs in flight"), "{why}");
    }

    #[test]
    fn jobs_run_on_the_workers_and_on_the_threads_that_a_model_has_besides() {
        let base = &models::find("threads").unwrap().info;
        let most = |width, more_threads, workers| {
            most_threads(&ModelInfo { width, more_threads, ..*base }, workers)
        };
        assert_eq!(most(Width::Any, 0, Some(4)), Some(4));
        assert_eq!(most(Width::Any, 1, Some(4)), Some(5));
        assert_eq!(most(Width::Any, 1, None), None);
        assert_eq!(most(Width::One, 1, Some(4)), Some(1));
        assert_eq!(most(Width::PerTask, 0, Some(4)), None);
    }

    #[test]
    fn a_batch_added_what_the_peak_is_above_the_start_and_nothing_is_known_without_either() {
        let of = |rss_bytes, rss_bytes_max| {
            Attestation { rss_bytes, rss_bytes_max, ..Attestation::default() }.rss_bytes_added()
        };
        assert_eq!(of(Some(1000), Some(1234)), Some(234));
        assert_eq!(of(Some(1000), Some(900)), Some(0));
        assert_eq!([of(None, Some(900)), of(Some(1000), None)], [None, None]);
    }
}
