//! Messages between a host and its parent: lines of JSON on the host's standard input and output.
//!
//! The hosts of `paceline-gated` implement the part that custom cells need.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    custom::Variant,
    job::Addresses,
    network::Listen,
    perform::{Placement, Probe, Probed},
    prepared::{Attestation, Fault, Recorded, ServerSeen},
    usage::Usage,
};

/// The serialised form of [`Variant`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Variant", rename_all = "lowercase")]
enum VariantName {
    Base,
    Head,
}

/// A request to a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Starts the model, or reuses the running one, and prepares a cell.
    Prepare(CellSpec),
    /// Lists the program's custom cells.
    Cells,
    /// Prepares one variant of a custom cell.
    Custom {
        /// The cell's name.
        name: String,
        /// The variant.
        #[serde(with = "VariantName")]
        variant: Variant,
    },
    /// Runs a batch with the counters on. It also warms up; its time is not recorded as a result.
    Attest,
    /// Runs `count` timed batches.
    Batches {
        /// The number of batches.
        count: u64,
    },
    /// Runs `count` batches and records the times of every job.
    Record {
        /// The number of batches.
        count: u64,
        /// Ticks per nanosecond, as the parent measured it for all hosts.
        ticks_per_ns: f64,
    },
    /// Keeps the started model idle, without jobs.
    Idle {
        /// The duration, in nanoseconds.
        ns: u64,
    },
    /// Probes a property of the model that no job can show.
    Probe {
        /// The property.
        what: Probe,
    },
    /// Stops the model and exits.
    Stop,
    /// Prepares a cell and serves its jobs from then on, answering only `Usage`, `Watch` and `Seen`.
    Serve(CellSpec),
    /// Watches a server from then on.
    Watch {
        /// Whether the threads that run jobs are counted, which takes time of each job.
        counting: bool,
    },
    /// Returns what was seen of a server since `Watch`.
    Seen,
    /// Returns the resources that the process has used so far.
    Usage,
}

/// A cell, as sent to a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CellSpec {
    /// The model's name.
    pub model: String,
    /// The number of workers; `None` for a model without workers of its own.
    pub workers: Option<usize>,
    /// Where the jobs of a batch are spawned from.
    pub placement: Placement,
    /// The workload's name, for errors.
    pub workload: String,
    /// The text of the workload.
    pub source: String,
    /// The number of concurrent jobs.
    pub scale: usize,
    /// The addresses of the suite's server.
    #[serde(flatten)]
    pub servers: Addresses,
    /// Where it listens as a server for other nodes; `None` for loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
}

impl CellSpec {
    /// Returns the simplest cell, which every model's host can prepare: one job on the caller's thread that does almost
    /// nothing.
    pub fn simplest() -> Self {
        CellSpec {
            model: "sequential".into(),
            workers: Some(1),
            placement: Placement::Outside,
            workload: "simplest".into(),
            source: "name = \"simplest\"\njob = [{ yield = 1 }]".into(),
            scale: 1,
            servers: Addresses::default(),
            listen: None,
        }
    }
}

/// A host's reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The program's custom cells.
    Cells {
        /// Their names.
        names: Vec<String>,
        /// The names of the cells that have a head variant besides the base.
        #[serde(default)]
        with_head: Vec<String>,
    },
    /// The cell is ready.
    Prepared,
    /// The result of a batch with the counters on.
    Attested(Attestation),
    /// The durations of batches.
    Batches {
        /// One per batch, in nanoseconds; for a custom cell, one for all batches together.
        batch_ns: Vec<u64>,
        /// What this process used in the meantime, all threads, including the checking of receipts.
        used: Usage,
    },
    /// The times of single jobs.
    Recorded(Recorded),
    /// The times of single calls of a custom cell, from a host of `paceline-gated`.
    Calls {
        /// One per call, in nanoseconds.
        ns: Vec<u64>,
    },
    /// The resources that this process used while idle.
    Idled(Usage),
    /// The result of a probe.
    Probed(Probed),
    /// The model has stopped, and the host exits.
    Stopped {
        /// The names of the threads that remain and are not the host's own.
        threads_left: Vec<String>,
    },
    /// The host serves.
    Serving {
        /// The address that it listens on.
        address: SocketAddr,
    },
    /// The resources that the process has used so far.
    Usage(Usage),
    /// The server is being watched.
    Watching,
    /// What was seen of a server.
    Seen(ServerSeen),
    /// The request failed, with the reason.
    Fault(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simplest_cell_is_one_that_its_model_can_run() {
        let cell = CellSpec::simplest();
        let info = crate::models::find(&cell.model).unwrap().info;
        assert!(info.placements.contains(&cell.placement));
        assert_eq!(info.workers(&[1]), [cell.workers]);
        let workload = crate::job::Workload::parse(&cell.workload, &cell.source).unwrap();
        assert_eq!(info.unsupported_step(&workload), None);
    }

    #[test]
    fn a_gated_program_answers_in_the_words_of_a_host() {
        // The messages that paceline-gated writes by hand, as this crate reads them.
        for line in [
            r#"{"cells":{"names":["a"],"with_head":["a"]}}"#,
            r#""prepared""#,
            r#"{"attested":{"elapsed_ns":1,"peak_in_flight":1,"job_threads":1,"process_threads":2,"epolls":null,"rings":null,"completions":null,"rss_bytes":1,"rss_bytes_max":2,"group_ended_ns_max":null,"children_left":null}}"#,
            r#"{"batches":{"batch_ns":[1],"used":{"user_cpu_ns":1,"system_cpu_ns":0,"voluntary_switches":0,"involuntary_switches":0,"minor_faults":0,"major_faults":0}}}"#,
            r#"{"calls":{"ns":[1,2]}}"#,
            r#"{"idled":{"user_cpu_ns":1,"system_cpu_ns":0,"voluntary_switches":0,"involuntary_switches":0,"minor_faults":0,"major_faults":0}}"#,
            r#"{"stopped":{"threads_left":[]}}"#,
            r#"{"fault":{"failed":"why"}}"#,
        ] {
            let read: Result<Reply, _> = serde_json::from_str(line);
            assert!(read.is_ok(), "{line}: {read:?}");
        }
        let asked = Request::Custom { name: "a".into(), variant: Variant::Head };
        let words = serde_json::to_string(&asked).unwrap();
        assert_eq!(words, r#"{"custom":{"name":"a","variant":"head"}}"#);
    }
}
