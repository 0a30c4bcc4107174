//! What `paceline cluster` is told.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        Format, From, Selection, budget,
        load::{CONNECTIONS, GENERATORS, Spread, method, rate, status},
        values::{TRIALS, number, seed, small, time},
    },
    cluster::{PORT, PlanNode},
    load::MaxErrors,
};
use paceline_core::job::Bound;

const PORTS: Bound = Bound { what: "the port", least: 1024, most: 65_535 };
const CPUS: Bound = Bound { what: "the CPUs of a pod", least: 1, most: 1024 };

#[derive(Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Write a plan: the blocks to measure, the definitions of their jobs and the hash of this program.
    Plan(Box<PlanArguments>),
    /// Submit every block that has no result to a scheduler. To retry, submit again.
    Submit(SubmitArguments),
    /// Show the state of the blocks.
    Status(StatusArguments),
    /// Make a record of the results, or name the blocks that have none.
    Collect(CollectArguments),
    /// Cancel the blocks that wait or run. Results are kept.
    Cancel(Folder),
    /// Plan, submit, wait, retry and collect in one command.
    Run(Box<WholeArguments>),
    /// Measure one block on this node. The scheduler's script calls this.
    Work(WorkArguments),
    /// Print an Indexed Job for Kubernetes with a pod for each block. We have not run it on a cluster.
    Manifest(ManifestArguments),
}

#[derive(Args)]
pub(in crate::cli) struct PlanArguments {
    /// Built-in workloads, or .toml files [default: the core workloads]. A load between nodes takes the URL of a server, too.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    pub(super) workloads: Vec<String>,
    #[command(flatten)]
    pub(super) of: Selection,
    /// Trials of each cell, each in another block.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = |text: &str| small(text, TRIALS))]
    pub(super) trials: u32,
    /// The time for each block, such as 90s or 30m [default: 10m, or twice the time of a block's loads if that is more].
    #[arg(long, value_name = "TIME", value_parser = budget)]
    pub(super) budget: Option<Duration>,
    /// Where jobs are offered from [default: what each model's users do].
    #[arg(long, value_enum)]
    pub(super) placement: Option<From>,
    /// Pin each model to as many CPUs as it has workers, and the echo server to the others.
    #[arg(long)]
    pub(super) pin: bool,
    /// The seed of the shuffle; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    pub(super) seed: u64,
    /// The folder for the plan and its results. Without --engine ssh, all nodes must see it.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) load: BetweenArguments,
}

/// A load between nodes.
#[derive(Args)]
pub(in crate::cli) struct BetweenArguments {
    /// The node of the server: loads each model as a server there, or a URL of yours, from the nodes of --generator. Without
    /// it, paceline sends nothing beyond loopback.
    #[arg(long, value_name = "NODE=ADDRESS", value_parser = PlanNode::parse, requires = "generator")]
    pub(super) server: Option<PlanNode>,
    /// A node of a generator; may be repeated.
    #[arg(long, value_name = "NODE=ADDRESS", value_parser = PlanNode::parse, requires = "server")]
    pub(super) generator: Vec<PlanNode>,
    /// The number of these nodes that generate load [default: all].
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, GENERATORS), requires = "server")]
    pub(super) generators: Option<usize>,
    /// Open loop: the rate at which requests start, per second, whether or not earlier ones have been answered.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = rate, requires = "server")]
    pub(super) rate: Option<f64>,
    /// The number of connections. Without --rate, closed loop: each sends its next request after an answer. With --rate,
    /// requests share them [default: 256].
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = |text: &str| number(text, CONNECTIONS), requires = "server")]
    pub(super) connections: Option<usize>,
    /// How the requests of an open loop are spread over time [default: poisson].
    #[arg(long, value_enum, value_name = "HOW", requires = "server")]
    pub(super) arrivals: Option<Spread>,
    /// The method of requests to a URL [default: GET].
    #[arg(long, value_name = "METHOD", value_parser = method, requires = "server")]
    pub(super) method: Option<String>,
    /// The statuses of a URL that count as right answers, such as `200,204` [default: every 2xx].
    #[arg(long, value_delimiter = ',', value_name = "STATUS", value_parser = status, requires = "server")]
    pub(super) expect: Vec<u16>,
    /// The time from its intended start within which a request must be answered, of at most 10s [default: no limit].
    #[arg(long, value_name = "TIME", value_parser = |text: &str| time(text, "the timeout", Duration::from_millis(1)), requires = "server")]
    pub(super) timeout: Option<Duration>,
    /// Count errors, and fail only if a trial has more than this share or number of them, such as 1% or 20. Without it, the
    /// first error ends the load.
    #[arg(long, value_name = "SHARE|N", allow_negative_numbers = true, value_parser = MaxErrors::parse, requires = "server")]
    pub(super) max_errors: Option<MaxErrors>,
    /// The time in which requests are measured.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = |text: &str| time(text, "the duration", Duration::from_millis(500)), requires = "server")]
    pub(super) duration: Duration,
    /// The time before that, in which requests are sent but not measured.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = |text: &str| time(text, "the warm-up", Duration::ZERO), requires = "server")]
    pub(super) warm_up: Duration,
    /// Make each node the server's in turn, with --trials on each, to show how the nodes differ. Each has a record of its
    /// own.
    #[arg(long, requires = "server")]
    pub(super) swap_roles: bool,
    /// The port on which the server's node waits for the generators.
    #[arg(long, default_value_t = PORT, value_name = "PORT", allow_negative_numbers = true, value_parser = |text: &str| number(text, PORTS).map(|port| port as u16), requires = "server")]
    pub(super) port: u16,
}

#[derive(Args)]
pub(in crate::cli) struct Folder {
    /// The folder of the plan.
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct EngineArguments {
    /// The scheduler: local, slurm, ssh, or a .toml file that describes one [default: the one that the plan was submitted
    /// to before].
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(super) engine: Option<String>,
    /// A setting of the engine, such as hosts=box1,box2; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Args)]
pub(in crate::cli) struct SubmitArguments {
    #[command(flatten)]
    pub(super) folder: Folder,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
}

#[derive(Args)]
pub(in crate::cli) struct StatusArguments {
    #[command(flatten)]
    pub(super) folder: Folder,
    /// Wait until no block waits or runs. Exits with 3 if a block has no result then.
    #[arg(long)]
    pub(super) wait: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

#[derive(Args)]
pub(in crate::cli) struct Collecting {
    /// The folder for records.
    #[arg(long, default_value = "results", value_name = "DIR")]
    pub(super) results: PathBuf,
    /// Record what there is, even if blocks have no result. The record says so.
    #[arg(long)]
    pub(super) partial: bool,
    /// Make one record of all kinds of machines, although their figures are not comparable.
    #[arg(long)]
    pub(super) any_machine: bool,
}

#[derive(Args)]
pub(in crate::cli) struct CollectArguments {
    #[command(flatten)]
    pub(super) folder: Folder,
    #[command(flatten)]
    pub(super) how: Collecting,
}

#[derive(Args)]
pub(in crate::cli) struct WholeArguments {
    #[command(flatten)]
    pub(super) plan: PlanArguments,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    #[command(flatten)]
    pub(super) how: Collecting,
}

#[derive(Args)]
pub(in crate::cli) struct WorkArguments {
    #[command(flatten)]
    pub(super) folder: Folder,
    /// The block, such as 0007.
    #[arg(value_name = "BLOCK")]
    pub(super) block: String,
    /// The name of this node in the record, which decides its role in a load between nodes [default: `PACELINE_NODE_NAME`, or
    /// the host's name, outside of loads with an id of the machine].
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct ManifestArguments {
    #[command(flatten)]
    pub(super) folder: Folder,
    /// The image, which has this program at /paceline.
    #[arg(long, value_name = "IMAGE")]
    pub(super) image: String,
    /// The persistent volume claim that holds the plan's folder.
    #[arg(long, default_value = "paceline-plan", value_name = "NAME")]
    pub(super) claim: String,
    /// The CPUs of each pod.
    #[arg(long, default_value_t = 2, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| small(text, CPUS))]
    pub(super) cpus: u32,
}
