//! What `paceline cluster` is told.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        Format, From, Selection, budget,
        load::{CONNECTIONS, rate},
        values::{number, time},
    },
    cluster::{PORT, PlanNode},
};

#[derive(Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Write a plan: which blocks there are, of which definitions, for which program.
    Plan(Box<PlanArguments>),
    /// Hand every block that has no result to a scheduler. Saying it again is the retry.
    Submit(SubmitArguments),
    /// Show how the blocks stand.
    Status(StatusArguments),
    /// Make one record of the results, or say which are missing.
    Collect(CollectArguments),
    /// Cancel what is under way.
    Cancel(Folder),
    /// Plan, submit, wait, retry and collect in one.
    Run(Box<WholeArguments>),
    /// Measure one block here: what a scheduler's script calls.
    Work(WorkArguments),
    /// Print an Indexed Job for Kubernetes that works on the blocks. It was not run by us.
    Manifest(ManifestArguments),
}

#[derive(Args)]
pub(in crate::cli) struct PlanArguments {
    /// Built-in workloads, or files that end in .toml; all core workloads where none is named.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    pub(super) workloads: Vec<String>,
    #[command(flatten)]
    pub(super) of: Selection,
    /// Trials of each cell, each in another block.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) trials: u32,
    /// The time for each block, such as 90s or 30m [default: 10m, or twice the time of a block's loads if that is more].
    #[arg(long, value_name = "TIME", value_parser = budget)]
    pub(super) budget: Option<Duration>,
    /// Where jobs are offered from; each model's own where it is not said.
    #[arg(long, value_enum)]
    pub(super) placement: Option<From>,
    /// Keep each model on as many CPUs as it has workers, and the echo server on the others.
    #[arg(long)]
    pub(super) pin: bool,
    /// What shuffles the order; recorded.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(super) seed: u64,
    /// The folder for the plan and its parts, which all nodes must see.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) load: BetweenArguments,
}

/// A load between nodes.
#[derive(Args)]
pub(in crate::cli) struct BetweenArguments {
    /// Put load on servers of the workload, or on a URL, on this node, from the generators' nodes. Nothing else of
    /// paceline leaves this machine.
    #[arg(long, value_name = "NODE=ADDRESS", value_parser = PlanNode::parse, requires = "generator")]
    pub(super) server: Option<PlanNode>,
    /// A node of a generator; repeat it for others.
    #[arg(long, value_name = "NODE=ADDRESS", value_parser = PlanNode::parse, requires = "server")]
    pub(super) generator: Vec<PlanNode>,
    /// The number of these nodes that generate [default: all].
    #[arg(long, value_name = "N", requires = "server")]
    pub(super) generators: Option<usize>,
    /// Open loop: the rate at which requests start, per second, whether or not earlier ones have been answered.
    #[arg(long, value_name = "N", value_parser = rate, requires = "server")]
    pub(super) rate: Option<f64>,
    /// Without --rate, closed loop: the number of connections, each of which sends its next request after an answer. With
    /// --rate, the most connections.
    #[arg(long, value_name = "N", value_parser = |text: &str| number(text, CONNECTIONS), requires = "server")]
    pub(super) connections: Option<usize>,
    /// The time in which requests are measured.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = |text: &str| time(text, "the duration", Duration::from_millis(500)), requires = "server")]
    pub(super) duration: Duration,
    /// The time before that, in which requests are sent but not measured.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = |text: &str| time(text, "the warm-up", Duration::ZERO), requires = "server")]
    pub(super) warm_up: Duration,
    /// Make each node the server's in turn, with --trials on each: it shows whether a difference is of the nodes. Each has a
    /// record of its own.
    #[arg(long, requires = "server")]
    pub(super) swap_roles: bool,
    /// The port on which the server's node waits for the generators.
    #[arg(long, default_value_t = PORT, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..), requires = "server")]
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
    /// Who distributes the blocks: local, slurm, ssh, or an engine file that ends in .toml; the one that was used before
    /// where none is named.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(super) engine: Option<String>,
    /// A setting of the engine, such as hosts=box1,box2; may be given several times.
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
    /// Wait until nothing is under way any more.
    #[arg(long)]
    pub(super) wait: bool,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

#[derive(Args)]
pub(in crate::cli) struct Collecting {
    /// The folder for records.
    #[arg(long, default_value = "results", value_name = "DIR")]
    pub(super) results: PathBuf,
    /// Record what there is where blocks are missing; the record says so.
    #[arg(long)]
    pub(super) partial: bool,
    /// Make one record of machines of different kinds, whose figures differ by more than chance.
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
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) cpus: u32,
}
