//! The arguments of `paceline gate`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use regex::Regex;

use crate::{
    cli::{
        Output, Selection,
        values::{TRIALS, budget, name, regex, seed, small, time},
    },
    record::Metric,
    report::Export,
};
use paceline_core::job::Bound;

/// The arguments of `paceline gate`.
#[derive(Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
pub(in crate::cli) struct GateArguments {
    /// Built-in workloads, or .toml files, instead of the default cells.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    pub(in crate::cli) workloads: Vec<String>,
    /// What to compare with: a revision, a built program, or dependencies at versions, such as tokio@1.50.0. Required.
    #[arg(long, value_name = "REV|FILE|CRATE@VERSION")]
    pub(in crate::cli) base: Option<String>,
    /// Compare the two variants of the cells of this built program, instead of two sides. A gated bench calls this.
    #[arg(long, value_name = "PROGRAM", hide = true, conflicts_with_all = ["base", "head", "bench", "package", "features", "all_features", "no_default_features", "list"])]
    pub(in crate::cli) variants_of: Option<PathBuf>,
    /// What to judge [default: the working tree].
    #[arg(long, value_name = "REV|FILE|CRATE@VERSION")]
    pub(in crate::cli) head: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) of: Selection,
    /// Only cells whose name this regular expression matches, such as `echo/.*`.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub(in crate::cli) filter: Option<Regex>,
    /// Metrics to compare, separated by commas: throughput, p50, p99, cpu, memory, instructions, allocations.
    #[arg(long, value_delimiter = ',', default_value = "throughput", value_name = "METRIC", value_parser = metric)]
    pub(in crate::cli) metric: Vec<Metric>,
    /// The time for the whole gate without building, such as 90s or 5m.
    #[arg(long, default_value = "9m", value_name = "TIME", value_parser = budget)]
    pub(in crate::cli) budget: Duration,
    /// The number of trials of each cell [default: as budget and noise allow].
    #[arg(long, value_name = "N", value_parser = |text: &str| small(text, Bound { least: 5, ..TRIALS }))]
    pub(in crate::cli) trials: Option<u32>,
    /// Take two looks, declared beforehand: cells that are inconclusive after half of the budget get the other half.
    #[arg(long, conflicts_with = "trials")]
    pub(in crate::cli) top_up: bool,
    /// Keep each process on as many CPUs as its cell has workers, a cell of your own on one, and the echo server on the
    /// others.
    #[arg(long)]
    pub(in crate::cli) pin: bool,
    /// The least change that is reported [default: 3%].
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) margin: Option<String>,
    /// The change that a cell must be able to show before it is called not regressed [default: 5%].
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) clear_margin: Option<String>,
    /// A file with the margins of single cells [default: the base's gate.toml].
    #[arg(long, value_name = "FILE.toml")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Show the cells, without measuring. Those of a bench are known once both sides are built.
    #[arg(long, conflicts_with_all = ["export", "retry", "strict", "all", "metric", "trials", "top_up", "pin", "budget"])]
    pub(in crate::cli) list: bool,
    /// Exit with 5 if a cell is inconclusive or was removed.
    #[arg(long)]
    pub(in crate::cli) strict: bool,
    /// Repeat the gate once if the machine was not fit. Only the second result is shown; both records are kept.
    #[arg(long)]
    pub(in crate::cli) retry: bool,
    /// Also write the result to a file, in the format markdown, csv, json, bmf, github-action-benchmark-smaller,
    /// github-action-benchmark-bigger, junit, openmetrics or otava; may be repeated.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = export)]
    pub(in crate::cli) export: Vec<(Export, PathBuf)>,
    /// Also show cells that did not regress.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// The bench target to gate [default: `gate`; in paceline's own repository, paceline-host].
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) bench: Option<String>,
    /// The package of the workspace to gate.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) package: Option<String>,
    /// Features to build both sides with, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE", value_parser = name)]
    pub(in crate::cli) features: Vec<String>,
    /// Build both sides with all features.
    #[arg(long)]
    pub(in crate::cli) all_features: bool,
    /// Build both sides without the default features.
    #[arg(long)]
    pub(in crate::cli) no_default_features: bool,
    /// The time limit of a process for one answer; one that hangs longer is ended.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = |text: &str| time(text, "the patience", Duration::from_millis(100)))]
    pub(in crate::cli) patience: Duration,
    /// The seed of the order of cells and slices; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    pub(in crate::cli) seed: u64,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}

impl GateArguments {
    /// Returns the features as arguments of cargo.
    pub(in crate::cli) fn cargo_features(&self) -> Vec<String> {
        let named =
            (!self.features.is_empty()).then(|| format!("--features={}", self.features.join(",")));
        let all = self.all_features.then(|| "--all-features".to_owned());
        let none = self.no_default_features.then(|| "--no-default-features".to_owned());
        named.into_iter().chain(all).chain(none).collect()
    }
}

fn metric(text: &str) -> Result<Metric, String> {
    Metric::ALL.into_iter().find(|metric| metric.name() == text).ok_or_else(|| {
        let all = Metric::ALL.map(Metric::name).join(", ");
        format!("a metric is one of {all}")
    })
}

fn export(text: &str) -> Result<(Export, PathBuf), String> {
    let (format, file) = text
        .split_once('=')
        .filter(|(_, file)| !file.is_empty())
        .ok_or("an export is FORMAT=FILE, such as markdown=gate.md")?;
    Ok((Export::of_gates(format)?, file.into()))
}
