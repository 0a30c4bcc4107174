//! The messages of `docs/protocol.md`, version 2, as they are sent and read.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    job::Addresses,
    perform::{Placement, Probe, Probed},
};

/// What an interpreter is asked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Starts the model, if it is not yet, and makes a cell ready.
    Prepare {
        /// The jobs, as `Workload::jobs_as_json` writes them.
        jobs: serde_json::Value,
        /// How many at once.
        scale: usize,
        /// How many workers; `None` for a model that has none of its own.
        workers: Option<usize>,
        /// Where batches are offered from.
        placement: Placement,
        /// Where the suite's server listens.
        #[serde(flatten)]
        servers: Addresses,
    },
    /// Runs a batch that is watched.
    Watch {},
    /// Runs so many batches, one after another, with an answer for each.
    Batches {
        /// How many.
        count: u64,
        /// Whether the times of single jobs are noted.
        times: bool,
    },
    /// Looks at what no job can say of the model.
    Probe {
        /// At what.
        what: Probe,
    },
    /// Becomes a server of the jobs.
    Serve {
        /// The jobs.
        jobs: serde_json::Value,
        /// How many workers.
        workers: Option<usize>,
        /// Where the suite's server listens.
        #[serde(flatten)]
        servers: Addresses,
    },
    /// Stops the model and ends.
    Stop {},
}

/// What an interpreter says.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// What it is, without being asked.
    Hello(Hello),
    /// Why it cannot run here.
    Unavailable {
        /// The reason, and what to do about it.
        reason: String,
        /// The version of its language.
        version: Option<String>,
    },
    /// The cell is ready.
    Prepared {},
    /// A batch.
    Batch(TimedBatch),
    /// A batch that was watched.
    Watched(Watched),
    /// What a probe saw.
    Probed(Probed),
    /// It serves.
    Serving {
        /// Where.
        address: SocketAddr,
    },
    /// The model has stopped, and the process ends.
    Stopped {},
    /// The request went wrong.
    Failed {
        /// The job whose fault it is.
        #[serde(default)]
        job: Option<u64>,
        /// What went wrong.
        error: String,
    },
}

/// What an interpreter is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Hello {
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// The model.
    pub model: String,
    /// Its language.
    pub language: String,
    /// The version of that, and of what else matters.
    pub version: String,
    /// The steps that its jobs can do.
    pub steps: Vec<String>,
    /// How long a round of `compute` takes in it, in nanoseconds.
    pub compute_ns: f64,
    /// Whether two jobs can ever compute at once.
    pub parallel: bool,
    /// The probes that it answers.
    #[serde(default)]
    pub probes: Vec<String>,
    /// The program that runs, where it may have been started by a wrapper, which hosts then leave out.
    pub program: Option<PathBuf>,
}

/// A batch, as an interpreter tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct TimedBatch {
    /// How long it took.
    pub ns: u64,
    /// How many jobs gave a receipt.
    pub jobs: u64,
    /// The sum of their units.
    pub units: u64,
    /// What the receipts join to from a checksum of 0, in the order of the jobs; 16 hexadecimal digits.
    pub digest: String,
    /// From the start of the batch until each job had its receipt, where times are noted.
    #[serde(default)]
    pub latency_ns: Vec<u64>,
    /// From when each job began to run until it had its receipt.
    #[serde(default)]
    pub service_ns: Vec<u64>,
    /// How much longer than it was told to each sleep lasted.
    #[serde(default)]
    pub lateness_ns: Vec<u64>,
    /// Sleeps whose lateness was not kept.
    #[serde(default)]
    pub sleeps_lost: u64,
}

/// A batch that was watched.
#[derive(Clone, Debug, Deserialize)]
pub struct Watched {
    /// The batch.
    #[serde(flatten)]
    pub batch: TimedBatch,
    /// The greatest number of jobs that had begun and not ended.
    pub peak_in_flight: u32,
    /// The distinct threads on which jobs began or ended.
    pub job_threads: u32,
    /// From the first failure of a child in a group until the group was over, in nanoseconds: the longest.
    #[serde(default)]
    pub group_ended_ns_max: Option<u64>,
    /// Children that were still under way when their group was over, all groups together.
    #[serde(default)]
    pub children_left: Option<u32>,
}
