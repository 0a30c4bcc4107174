//! The advanced options of `paceline load`: intervals, ramps, comparisons and shares of the knee.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{rate, time};
use crate::{
    cli::{CliError, Format, internal, say, usage},
    load::{IntervalFormat, Target, Url},
    record::Cell,
};
use paceline_core::models::{self, Entry};

#[derive(Args)]
pub(super) struct AdvancedOptions {
    /// Print a line for each interval of this length, such as 1s: the rates offered and answered in it, and the latencies
    /// of the requests that were due in it. The record keeps them too.
    #[arg(long, value_name = "TIME", conflicts_with = "p99_limit", value_parser = |text: &str| time(text, "the interval", Duration::from_millis(100)))]
    every: Option<Duration>,
    /// Open loop whose rate changes linearly over this time, such as `100..5000/30s`. Implies --every 1s.
    #[arg(long, value_name = "FROM..TO/TIME", conflicts_with_all = ["rate", "p99_limit", "duration"], value_parser = ramp)]
    ramp: Option<Ramp>,
    /// Compare with another server, which takes turns with the first: a URL, or another model than the one of --model.
    #[arg(long, value_name = "URL|MODEL", conflicts_with_all = ["p99_limit", "urls"])]
    against: Option<String>,
    /// Also measure latency at these shares of the rate that --p99-limit finds, such as `25%,50%,75%`.
    #[arg(long, value_delimiter = ',', value_name = "SHARE", requires = "p99_limit", value_parser = share)]
    pub(super) rates: Vec<f64>,
    /// Print a line of JSON for each interval as it ends and for each cell at the end, instead of a table.
    #[arg(long, conflicts_with = "format")]
    pub(super) ndjson: bool,
}

/// A rate that changes linearly.
#[derive(Clone, Copy)]
pub(super) struct Ramp {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) over: Duration,
}

fn ramp(text: &str) -> Result<Ramp, String> {
    let parts =
        text.split_once('/').and_then(|(rates, over)| Some((rates.split_once("..")?, over)));
    let ((from, to), over) = parts.ok_or_else(|| {
        format!("a ramp is two rates and a time, such as 100..5000/30s, not {text:?}")
    })?;
    let over = time(over, "the time of a ramp", Duration::from_millis(500))?;
    Ok(Ramp { from: rate(from)?, to: rate(to)?, over })
}

fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
    percent
        .filter(|percent| (1.0..=100.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| {
            format!(
                "a share of the rate is a percentage from 1% to 100%, such as 50%, not {text:?}"
            )
        })
}

impl AdvancedOptions {
    pub(super) fn ramp(&self) -> Option<Ramp> {
        self.ramp
    }

    pub(super) fn is_paired(&self) -> bool {
        self.against.is_some()
    }

    pub(super) fn every(&self) -> Option<Duration> {
        let usual = |ramp: Ramp| Duration::from_secs(1).min(ramp.over);
        self.every.or_else(|| self.ramp.map(usual))
    }

    pub(super) fn interval_format(&self, format: Format) -> Result<IntervalFormat, CliError> {
        match (self.ndjson, format) {
            (true, _) if self.every().is_none() => Err(usage(
                "--ndjson prints intervals: give their length, such as --every 1s".into(),
            )),
            (true, _) => Ok(IntervalFormat::Json),
            (false, Format::Table) => Ok(IntervalFormat::Text),
            (false, Format::Json) => Ok(IntervalFormat::None),
        }
    }

    /// Returns the URL to compare with, if the target is a URL. A model to compare with is added to `models`.
    pub(super) fn other(
        &self,
        target: &Target,
        named: &[String],
        models: &mut Vec<&'static Entry>,
    ) -> Result<Option<Target>, CliError> {
        let Some(against) = &self.against else { return Ok(None) };
        match (target, Url::parse(against)) {
            (Target::Url(_), Some(url)) => Ok(Some(Target::Url(url.map_err(usage)?))),
            (Target::Url(_), None) => {
                let meant = Url::meant(against).map(|url| format!("; give {url}"));
                let meant = meant.unwrap_or_default();
                Err(usage(format!(
                    "a URL is compared with another URL: {against:?} is not one{meant}"
                )))
            }
            (Target::Workload(_), Some(_)) => Err(usage(
                "a workload is served by models: compare --model tokio --against smol, or two URLs"
                    .into(),
            )),
            (Target::Workload(_), None) if named.len() == 1 => {
                models.push(models::find(against).map_err(usage)?);
                Ok(None)
            }
            (Target::Workload(_), None) => {
                let count = named.len();
                Err(usage(format!(
                    "--against compares with one --model, such as --model tokio, not {count}"
                )))
            }
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    cell: &'a Cell,
}

/// Prints a line of JSON for each cell.
pub(super) fn print_cells(cells: &[Cell]) -> Result<u8, CliError> {
    for cell in cells {
        let line = serde_json::to_string(&Line { cell });
        say(&line.map_err(|error| internal(error.to_string()))?)?;
    }
    Ok(0)
}

/// Prints that there is no comparison, if one was requested.
pub(super) fn print_if_not_compared(paired: bool, cells: &[Cell]) -> Result<u8, CliError> {
    let is_compared = |cell: &Cell| cell.load.as_ref().is_some_and(|load| load.against.is_some());
    if !paired || cells.iter().any(is_compared) {
        return Ok(0);
    }
    say("no comparison: it needs a figure of both servers in every trial")
}
