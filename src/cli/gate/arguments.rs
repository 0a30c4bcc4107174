//! What `paceline gate` takes.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use regex::Regex;

use crate::{
    cli::{
        Output, Selection,
        values::{TRIALS, budget, regex, seed, small, time},
    },
    record::Metric,
    report::Export,
};
use paceline_core::job::Bound;

/// What `paceline gate` takes.
#[derive(Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
pub(in crate::cli) struct GateArguments {
    /// Built-in workloads, or files that end in .toml, instead of the usual cells.
    #[arg(value_name = "WORKLOAD|FILE.toml")]
    pub(in crate::cli) workloads: Vec<String>,
    /// What it is compared with: a revision, a built program, or dependencies at versions, such as tokio@1.50.0.
    #[arg(long, value_name = "REV|FILE|CRATE@VERSION")]
    pub(in crate::cli) base: Option<String>,
    /// Compares the two variants of the cells of this built program, instead of two sides. What a gated bench calls.
    #[arg(long, value_name = "PROGRAM", hide = true, conflicts_with_all = ["base", "head", "bench", "package", "features", "all_features", "no_default_features", "list"])]
    pub(in crate::cli) variants_of: Option<PathBuf>,
    /// What is judged; the working tree where it is not said.
    #[arg(long, value_name = "REV|FILE|CRATE@VERSION")]
    pub(in crate::cli) head: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) of: Selection,
    /// Only cells whose name this regular expression matches, such as `echo/.*`.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub(in crate::cli) filter: Option<Regex>,
    /// What is compared, separated by commas. Instructions and allocations are counted in processes of their own.
    #[arg(long, value_delimiter = ',', default_value = "throughput", value_name = "METRIC", value_parser = metric)]
    pub(in crate::cli) metric: Vec<Metric>,
    /// The time for all, building excluded, such as 90s or 5m.
    #[arg(long, default_value = "9m", value_name = "TIME", value_parser = budget)]
    pub(in crate::cli) budget: Duration,
    /// So many trials of each cell, instead of as many as follow from budget and noise.
    #[arg(long, value_name = "N", value_parser = |text: &str| small(text, Bound { least: 5, ..TRIALS }))]
    pub(in crate::cli) trials: Option<u32>,
    /// Take two looks, declared beforehand: what is inconclusive at half of the budget gets the other half.
    #[arg(long, conflicts_with = "trials")]
    pub(in crate::cli) top_up: bool,
    /// Keep each process on as many CPUs as its cell has workers, a cell of your own on one, and the echo server on the
    /// others.
    #[arg(long)]
    pub(in crate::cli) pin: bool,
    /// A change below this is never called one; without it, 3%.
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) margin: Option<String>,
    /// A change of this must have been visible before a cell is called not regressed; without it, 5%.
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) clear_margin: Option<String>,
    /// Margins of single cells; without it, those of the base's gate.toml.
    #[arg(long, value_name = "FILE.toml")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Show which cells there are, and measure nothing. The cells of a bench are known once both sides are built.
    #[arg(long, conflicts_with_all = ["export", "retry", "strict", "all", "metric", "trials", "top_up", "pin", "budget"])]
    pub(in crate::cli) list: bool,
    /// Leave with 5 where a cell is inconclusive or was removed.
    #[arg(long)]
    pub(in crate::cli) strict: bool,
    /// Repeat the gate once if the machine was not fit. Only the second result is shown; both records are kept.
    #[arg(long)]
    pub(in crate::cli) retry: bool,
    /// Write the result to a file too, in a format such as markdown or junit; may be repeated.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = export)]
    pub(in crate::cli) export: Vec<(Export, PathBuf)>,
    /// Show cells that did not regress too.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// The bench target that is gated; without it, a bench called `gate`, or paceline-host where the project is paceline.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) bench: Option<String>,
    /// The package of the workspace that is gated.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) package: Option<String>,
    /// Features of the package that both sides are built with, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
    pub(in crate::cli) features: Vec<String>,
    /// Build both sides with all features.
    #[arg(long)]
    pub(in crate::cli) all_features: bool,
    /// Build both sides without the default features.
    #[arg(long)]
    pub(in crate::cli) no_default_features: bool,
    /// How long a process may take for one answer: one that hangs is ended then.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = |text: &str| time(text, "the patience", Duration::from_millis(100)))]
    pub(in crate::cli) patience: Duration,
    /// What shuffles cells and slices; recorded.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = seed)]
    pub(in crate::cli) seed: u64,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}

impl GateArguments {
    /// The features, as cargo is told of them.
    pub(in crate::cli) fn of_cargo(&self) -> Vec<String> {
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
