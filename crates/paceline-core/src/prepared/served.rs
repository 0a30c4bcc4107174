//! What a server was seen to be under load, and whether it fits the label of its model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    attestation::{Drivers, most_threads},
    drivers, thread_names,
};
use crate::{
    clock::now,
    job::{Jobs, Step, Workload},
    models::ModelInfo,
    perform::INSTRUMENTATION,
    usage::{memory_peak, reset_memory_peak},
};

/// What was seen of the process of a server since it was asked to watch. `None` if the system does not show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerSeen {
    /// The number of distinct threads on which jobs started or ended, counted in requests after the load; `None` if they
    /// were not counted, as in another language.
    pub job_threads: Option<u32>,
    /// The number of its threads at the end.
    pub process_threads: Option<u64>,
    /// The number of its epoll instances.
    pub epolls: Option<u64>,
    /// The number of its `io_uring` instances.
    pub rings: Option<u64>,
    /// Completions of those rings.
    pub completions: Option<u64>,
    /// Resident memory before the load, in bytes.
    pub rss_bytes: Option<u64>,
    /// The peak of resident memory, in bytes.
    pub rss_bytes_max: Option<u64>,
}

impl ServerSeen {
    /// Returns the greatest of each figure.
    #[must_use]
    pub fn max(self, other: ServerSeen) -> ServerSeen {
        ServerSeen {
            job_threads: self.job_threads.max(other.job_threads),
            process_threads: self.process_threads.max(other.process_threads),
            epolls: self.epolls.max(other.epolls),
            rings: self.rings.max(other.rings),
            completions: self.completions.max(other.completions),
            rss_bytes: self.rss_bytes.max(other.rss_bytes),
            rss_bytes_max: self.rss_bytes_max.max(other.rss_bytes_max),
        }
    }

    /// Checks that a server of `workload`'s jobs, which has answered requests, is what the label of its model says.
    ///
    /// # Errors
    ///
    /// Returns a sentence that says what it is instead.
    pub fn check(
        &self,
        info: &ModelInfo,
        workload: &Workload,
        workers: Option<usize>,
    ) -> Result<(), String> {
        /// Enough jobs that both kinds of steps are among them.
        const SOME: usize = 64;
        let name = info.name;
        let most = most_threads(info, workers);
        if let (Some(threads), Some(most)) = (self.job_threads, most)
            && threads as usize > most
        {
            return Err(format!("{threads} threads ran jobs of {name}, which has {most} for it"));
        }
        let jobs = Jobs::load(workload);
        let sleep = |step: &Step| matches!(step, Step::Sleep(_));
        let drivers = Drivers {
            uses_timers: (0..SOME).all(|index| jobs.steps(index).always_reaches(sleep)),
            // Requests come by the model's own sockets.
            uses_sockets: true,
            epolls: self.epolls,
            rings: self.rings,
            completions: self.completions,
        };
        drivers.check(info)
    }
}

/// What a server in this process was when it was asked to watch.
#[derive(Clone, Copy, Default)]
pub(crate) struct ServerWatch {
    counting: bool,
    rss_bytes: Option<u64>,
    completions: Option<u64>,
}

impl ServerWatch {
    /// Starts to watch this process. Threads that run jobs are counted on demand, because that takes time of each job.
    pub(crate) fn start(counting: bool) -> Self {
        if counting {
            INSTRUMENTATION.start(now);
        }
        ServerWatch { counting, rss_bytes: reset_memory_peak(), completions: drivers().2 }
    }

    /// Returns what was seen, and stops counting.
    pub(crate) fn seen(self) -> ServerSeen {
        let threads = INSTRUMENTATION.stop().threads;
        let (epolls, rings, completions) = drivers();
        ServerSeen {
            job_threads: self.counting.then_some(threads),
            process_threads: thread_names().map(|names| names.len() as u64),
            epolls,
            rings,
            completions: completions
                .zip(self.completions)
                .map(|(after, before)| after.saturating_sub(before)),
            rss_bytes: self.rss_bytes,
            rss_bytes_max: self.rss_bytes.and_then(|_| memory_peak()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        models::{Driver, Width, find},
        workloads,
    };

    #[test]
    fn a_server_that_is_not_what_its_label_says_is_named() {
        use Driver::{Blocking, IoUring, Readiness};
        let seen = |epolls, rings, completions| ServerSeen {
            epolls: Some(epolls),
            rings: Some(rings),
            completions: Some(completions),
            ..ServerSeen::default()
        };
        let base = &find("threads").unwrap().info;
        let service = workloads::find("serve-service").unwrap();
        let checked = |seen: ServerSeen, (timers, sockets)| {
            seen.check(&ModelInfo { timers, sockets, ..*base }, &service, None)
        };
        // What was seen of processes whose jobs sleep, and the only correct label of their timers and sockets.
        for (seen, label) in [
            (seen(0, 0, 0), (Blocking, Blocking)),
            (seen(2, 0, 0), (Readiness, Readiness)),
            (seen(0, 1, 9), (IoUring, IoUring)),
        ] {
            let all = [Blocking, Readiness, IoUring];
            for of in all.iter().flat_map(|timers| all.map(|sockets| (*timers, sockets))) {
                assert_eq!(checked(seen, of).is_ok(), of == label, "{seen:?}, {of:?}");
            }
        }
        // As tokio-uring.
        assert_eq!(checked(seen(1, 1, 9), (Readiness, IoUring)), Ok(()));
        assert!(checked(seen(1, 1, 9), (Readiness, Readiness)).is_err());
        let plain = workloads::find("serve-plain").unwrap();
        let info = ModelInfo { width: Width::Any, ..*base };
        let threads = |count| ServerSeen { job_threads: Some(count), ..seen(0, 0, 0) };
        assert_eq!(threads(2).check(&info, &plain, Some(2)), Ok(()));
        let why = threads(3).check(&info, &plain, Some(2)).unwrap_err();
        assert!(why.contains("3 threads ran jobs of threads, which has 2"), "{why}");
    }

    #[test]
    fn the_greatest_of_each_figure_of_several_looks_is_kept() {
        let one = ServerSeen { job_threads: Some(2), epolls: Some(1), ..ServerSeen::default() };
        let other = ServerSeen { job_threads: Some(1), rings: Some(3), ..ServerSeen::default() };
        let both = ServerSeen { job_threads: Some(2), epolls: Some(1), rings: Some(3), ..one };
        assert_eq!((one.max(other), other.max(one)), (both, both));
    }
}
