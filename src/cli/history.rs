//! `paceline history`: recorded runs over time, and their steps. It informs, and never fails a build.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regex::Regex;

use super::{CliError, say, say_json, say_text, usage, values::regex};
use crate::{
    history::{History, read, series},
    output::print_warning,
    record::{KINDS, Metric},
    report::{history_csv, history_table},
};

#[derive(Args)]
pub(super) struct HistoryArguments {
    /// The folder for records.
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    /// Only cells whose name this regular expression matches.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    filter: Option<Regex>,
    /// Metrics, separated by commas: throughput, p50, p99, cpu, memory, requests, instructions, allocations
    /// [default: all].
    #[arg(long, value_delimiter = ',', value_name = "METRIC", value_parser = metric)]
    metric: Vec<Metric>,
    /// The output format; otava is CSV for change-point tools.
    #[arg(long, value_enum, default_value_t = HistoryFormat::Table)]
    format: HistoryFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HistoryFormat {
    Table,
    Json,
    Otava,
}

fn metric(text: &str) -> Result<Metric, String> {
    let all = || Metric::ALL.into_iter().chain([Metric::Requests]);
    all().find(|metric| metric.name() == text).ok_or_else(|| {
        let all = all().map(Metric::name).collect::<Vec<_>>().join(", ");
        format!("there is no metric {text:?}: name one of {all}")
    })
}

pub(super) fn show(asked: &HistoryArguments) -> Result<u8, CliError> {
    if KINDS.iter().any(|kind| asked.out.join(kind).exists()) {
        let (record, above) = (asked.out.display(), asked.out.join(".."));
        let above = above.canonicalize().unwrap_or(above);
        return Err(usage(format!(
            "{record} is a record, and --out takes the folder of records: give --out {}",
            above.display()
        )));
    }
    let found = read(&asked.out).map_err(usage)?;
    let mut all = series(&found.records, &found.gates);
    let recorded = !all.is_empty();
    all.retain(|series| {
        asked.filter.as_ref().is_none_or(|filter| filter.is_match(&series.cell))
            && (asked.metric.is_empty() || asked.metric.contains(&series.metric))
    });
    match asked.format {
        HistoryFormat::Json => return say_json(&History { series: all, left_out: found.left_out }),
        HistoryFormat::Otava => say(history_csv(&all).trim_end())?,
        HistoryFormat::Table if !recorded => say_text(&format!(
            "no figures in {}: make some with paceline run, or name another folder with --out",
            asked.out.display()
        ))?,
        HistoryFormat::Table if all.is_empty() => {
            say_text("no series matches: leave --filter or --metric out, or give others")?
        }
        HistoryFormat::Table => say_text(&history_table(&all))?,
    };
    for why in &found.left_out {
        print_warning(&format!("left out: {why}"));
    }
    Ok(0)
}
