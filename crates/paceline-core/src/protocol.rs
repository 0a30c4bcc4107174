//! What a host and its parent say to each other: lines of JSON on the host's standard input and output.
//!
//! The hosts of `paceline-gated` speak the part of it that cells of a program's own need.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    custom::Variant,
    job::Addresses,
    perform::{Placement, Probe, Probed},
    prepared::{Attestation, Fault, Recorded},
    usage::Usage,
};

/// How [`Variant`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Variant", rename_all = "lowercase")]
enum VariantName {
    Base,
    Head,
}

/// What a host is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Starts the model, or takes the one that runs, and prepares a cell.
    Prepare(CellSpec),
    /// Says which cells the program has of its own.
    Cells,
    /// Prepares one variant of a cell of the program's own.
    Custom {
        /// The cell's name.
        name: String,
        /// Which variant of it.
        #[serde(with = "VariantName")]
        variant: Variant,
    },
    /// Runs a batch with the counters on, which is not timed for the record. It is also the warm-up.
    Attest,
    /// Runs `count` timed batches.
    Batches {
        /// How many.
        count: u64,
    },
    /// Runs `count` batches in which the times of every job are recorded.
    Record {
        /// How many.
        count: u64,
        /// How many ticks a nanosecond has: the parent has measured it for all.
        ticks_per_ns: f64,
    },
    /// Does nothing for so long, the model started and without jobs.
    Idle {
        /// How long.
        ns: u64,
    },
    /// Looks at what no job can say of the model.
    Probe {
        /// At what.
        what: Probe,
    },
    /// Stops the model and ends.
    Stop,
    /// Prepares a cell and is a server of its jobs from then on, which answers `Usage` alone.
    Serve(CellSpec),
    /// Says what the process has used so far.
    Usage,
}

/// A cell, as a host is told it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CellSpec {
    /// The model's name.
    pub model: String,
    /// How many workers it is to have; `None` for one that has none of its own.
    pub workers: Option<usize>,
    /// Where batches are offered from.
    pub placement: Placement,
    /// The workload's name, for errors.
    pub workload: String,
    /// The text of the workload.
    pub source: String,
    /// How many jobs at once.
    pub scale: usize,
    /// Where the suite's server listens.
    #[serde(flatten)]
    pub servers: Addresses,
}

impl CellSpec {
    /// The simplest cell that every host of models can prepare: one job on the caller's thread, which does next to
    /// nothing.
    #[must_use]
    pub fn simplest() -> Self {
        CellSpec {
            model: "sequential".into(),
            workers: Some(1),
            placement: Placement::Outside,
            workload: "simplest".into(),
            source: "name = \"simplest\"\njob = [{ yield = 1 }]".into(),
            scale: 1,
            servers: Addresses::default(),
        }
    }
}

/// What a host answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The cells that the program has of its own.
    Cells {
        /// Their names.
        names: Vec<String>,
        /// Those that have a head variant beside the base.
        #[serde(default)]
        with_head: Vec<String>,
    },
    /// The cell is ready.
    Prepared,
    /// What the counters showed.
    Attested(Attestation),
    /// How long each batch took, in nanoseconds.
    Batches {
        /// One for each batch; of a cell of the program's own, one for all of them.
        batch_ns: Vec<u64>,
        /// What this process used meanwhile, all threads, checking receipts included.
        used: Usage,
    },
    /// The times of single jobs.
    Recorded(Recorded),
    /// The times of single calls of a cell of the program's own, from a host of `paceline-gated`.
    Calls {
        /// One for each call, in nanoseconds.
        ns: Vec<u64>,
    },
    /// What this process used while it was idle.
    Idled(Usage),
    /// What a probe saw.
    Probed(Probed),
    /// The model has stopped. The host ends.
    Stopped {
        /// The names of the threads that are left and are not the host's own.
        threads_left: Vec<String>,
    },
    /// It serves.
    Serving {
        /// Where.
        address: SocketAddr,
    },
    /// What the process has used so far.
    Usage(Usage),
    /// It is not a number, and why.
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
        // What paceline-gated writes by hand, as this crate reads it.
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
