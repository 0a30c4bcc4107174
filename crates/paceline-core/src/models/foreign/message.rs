//! The messages of `docs/protocol.md`, version 2, as sent and received.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{
    job::Addresses,
    perform::{Placement, Probe, Probed},
};

/// A request to an interpreter.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Starts the model, if it has not been started, and prepares a cell.
    Prepare {
        /// The jobs, as `Workload::jobs_as_json` writes them.
        jobs: serde_json::Value,
        /// The number of concurrent jobs.
        scale: usize,
        /// The number of workers; `None` for a model without workers of its own.
        workers: Option<usize>,
        /// Where the jobs of a batch are spawned from.
        placement: Placement,
        /// The addresses of the suite's server.
        #[serde(flatten)]
        servers: Addresses,
    },
    /// Runs a batch and counts its jobs and threads.
    Watch {},
    /// Runs `count` batches, one after another, with a reply for each.
    Batches {
        /// The number of batches.
        count: u64,
        /// Whether to record the times of single jobs.
        times: bool,
    },
    /// Probes a property of the model that no job can show.
    Probe {
        /// The property.
        what: Probe,
    },
    /// Serves the jobs.
    Serve {
        /// The jobs.
        jobs: serde_json::Value,
        /// The number of workers.
        workers: Option<usize>,
        /// The addresses of the suite's server.
        #[serde(flatten)]
        servers: Addresses,
        /// Where to listen, if not on loopback.
        #[serde(skip_serializing_if = "Option::is_none")]
        listen: Option<ListenAddress>,
    },
    /// Stops the model and exits.
    Stop {},
}

/// Where a server listens beyond loopback.
#[derive(Clone, Debug, Serialize)]
pub struct ListenAddress {
    /// The address; the system chooses the port.
    pub address: IpAddr,
    /// What each connection must begin with.
    pub token: String,
}

/// A reply of an interpreter.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The interpreter's description, sent without being asked.
    Hello(Hello),
    /// The interpreter cannot run here.
    Unavailable {
        /// The reason, and what to do.
        reason: String,
        /// The version of the language.
        version: Option<String>,
    },
    /// The cell is ready.
    Prepared {},
    /// The result of a batch.
    Batch(TimedBatch),
    /// The result of a batch with the counters on.
    Watched(Watched),
    /// The result of a probe.
    Probed(Probed),
    /// The interpreter serves.
    Serving {
        /// The address that it listens on.
        address: SocketAddr,
    },
    /// The model has stopped, and the process ends.
    Stopped {},
    /// The request failed.
    Failed {
        /// The job that caused it.
        job: Option<u64>,
        /// The error.
        error: String,
    },
}

/// The description of an interpreter.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Hello {
    /// The protocol version that it implements.
    pub protocol: u32,
    /// The model.
    pub model: String,
    /// The language.
    pub language: String,
    /// The version of the language and of anything else that matters.
    pub version: String,
    /// The steps that it supports.
    pub steps: Vec<String>,
    /// The duration of a round of `compute`, in nanoseconds.
    pub compute_ns: f64,
    /// Whether two jobs can ever compute at the same time.
    pub parallel: bool,
    /// The probes that it supports.
    #[serde(default)]
    pub probes: Vec<String>,
    /// The running program, if a wrapper may have started it. Hosts then start this program directly.
    pub program: Option<PathBuf>,
}

/// A batch, as reported by an interpreter.
#[derive(Clone, Debug, Deserialize)]
pub struct TimedBatch {
    /// The duration, in nanoseconds.
    pub ns: u64,
    /// The number of jobs that returned a receipt.
    pub jobs: u64,
    /// The sum of the receipts' units.
    pub units: u64,
    /// The checksum of all receipts, joined in the order of the jobs starting from 0; 16 hexadecimal digits.
    pub digest: String,
    /// The times from the start of the batch until each job had its receipt, if times are recorded.
    #[serde(default)]
    pub latency_ns: Vec<u64>,
    /// The times from the start of each job until it had its receipt.
    #[serde(default)]
    pub service_ns: Vec<u64>,
    /// How much longer than requested each sleep took.
    #[serde(default)]
    pub lateness_ns: Vec<u64>,
    /// The number of sleeps whose lateness was not kept.
    #[serde(default)]
    pub sleeps_lost: u64,
}

/// A batch with the counters on.
#[derive(Clone, Debug, Deserialize)]
pub struct Watched {
    /// The batch.
    #[serde(flatten)]
    pub batch: TimedBatch,
    /// The greatest number of jobs that had started and not ended.
    pub peak_in_flight: u32,
    /// The number of distinct threads on which jobs started or ended.
    pub job_threads: u32,
    /// The longest time from the first failure of a child in a group until the group ended, in nanoseconds.
    pub group_ended_ns_max: Option<u64>,
    /// Children still running when their group ended, summed over all groups.
    pub children_left: Option<u32>,
}
