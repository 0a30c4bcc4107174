//! How a load goes on over time, and what it is compared with.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{rate, time};
use crate::{
    cli::{CliError, Format, internal, say, usage},
    load::{Lines, Target, Url},
    record::Cell,
};
use paceline_core::models::{self, Entry};

#[derive(Args)]
pub(super) struct Courses {
    /// A line for each interval of this length, such as 1s: what was offered and answered in it, and the latencies of
    /// the requests that were meant to start in it. The record has them too.
    #[arg(long, value_name = "TIME", conflicts_with = "p99_limit", value_parser = |text: &str| time(text, "the interval", Duration::from_millis(100)))]
    every: Option<Duration>,
    /// Open loop whose rate goes straight from one to another over this time, such as `100..5000/30s`; told --every 1s
    /// where nothing else is said.
    #[arg(long, value_name = "FROM..TO/TIME", conflicts_with_all = ["rate", "p99_limit", "duration"], value_parser = ramp)]
    ramp: Option<Ramp>,
    /// Compare with another server, which takes turns with the first, trial by trial: a URL, or a model beside the one
    /// that --model names.
    #[arg(long, value_name = "URL|MODEL", conflicts_with_all = ["p99_limit", "urls"])]
    against: Option<String>,
    /// Measure latency also at these shares of the rate that --p99-limit finds, such as `25%,50%,75%`.
    #[arg(long, value_delimiter = ',', value_name = "SHARE", requires = "p99_limit", value_parser = share)]
    pub(super) rates: Vec<f64>,
    /// Print a line of JSON for each interval as it ends, and one for each cell at the end, and no table.
    #[arg(long, conflicts_with = "format")]
    pub(super) ndjson: bool,
}

/// A rate that changes evenly.
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

impl Courses {
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

    pub(super) fn lines(&self, format: Format) -> Result<Lines, CliError> {
        match (self.ndjson, format) {
            (true, _) if self.every().is_none() => Err(usage(
                "--ndjson prints intervals: say how long they are, such as --every 1s".into(),
            )),
            (true, _) => Ok(Lines::Json),
            (false, Format::Table) => Ok(Lines::Text),
            (false, Format::Json) => Ok(Lines::None),
        }
    }

    /// The server to compare with, where the first is there already; a model to compare with is added to `models`.
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
                Err(usage(format!("a URL is compared with another URL, and {against:?} is none")))
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

/// A line of JSON for each cell.
pub(super) fn say_cells(cells: &[Cell]) -> Result<u8, CliError> {
    for cell in cells {
        let line = serde_json::to_string(&Line { cell });
        say(&line.map_err(|error| internal(error.to_string()))?)?;
    }
    Ok(0)
}

/// Says that there is no comparison, where one was asked for.
pub(super) fn say_if_not_compared(paired: bool, cells: &[Cell]) -> Result<u8, CliError> {
    let is_compared = |cell: &Cell| cell.load.as_ref().is_some_and(|load| load.against.is_some());
    if !paired || cells.iter().any(is_compared) {
        return Ok(0);
    }
    say("no comparison: it takes figures of both servers from every trial")
}
