//! A recorded run in the formats that other programs read: a pure function for each.

mod action;
mod bmf;
mod columns;
mod csv;
mod figures;
mod hdr;
mod json;
mod junit;
mod markdown;
mod openmetrics;

pub use json::{RunDocument, run_schema};

use std::{fmt, str::FromStr};

use super::otava::otava_rows;
use crate::record::Record;

/// A format that a recorded run can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunExport {
    /// A comment or a step summary: how many cells ended how, then the tables, folded; at most 65 536 bytes.
    Markdown,
    /// A row for each cell, with every figure that a cell has.
    Csv,
    /// The run and its cells, by `docs/schema/report.json`.
    Json,
    /// Bencher Metric Format.
    Bmf,
    /// github-action-benchmark, `customSmallerIsBetter`: times, CPU time, memory.
    ActionSmaller,
    /// github-action-benchmark, `customBiggerIsBetter`: jobs per second.
    ActionBigger,
    /// An interval log of `HdrHistogram`, version 2: the latency of each cell, with its name as the tag.
    HdrLog,
    /// The percentile text of `HdrHistogram`: the latency of each cell, one block after another.
    HdrPercentiles,
    /// A test report for CI: an invalid cell is a failure, a failed one an error, others without a figure are skipped.
    Junit,
    /// `OpenMetrics` text, version 1.0.
    OpenMetrics,
    /// CSV for change-point tools: a row for the run, a column for each cell and metric.
    Otava,
}

impl RunExport {
    /// All of them.
    pub const ALL: [RunExport; 11] = [
        RunExport::Markdown,
        RunExport::Csv,
        RunExport::Json,
        RunExport::Bmf,
        RunExport::ActionSmaller,
        RunExport::ActionBigger,
        RunExport::HdrLog,
        RunExport::HdrPercentiles,
        RunExport::Junit,
        RunExport::OpenMetrics,
        RunExport::Otava,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RunExport::Markdown => "markdown",
            RunExport::Csv => "csv",
            RunExport::Json => "json",
            RunExport::Bmf => "bmf",
            RunExport::ActionSmaller => "github-action-benchmark-smaller",
            RunExport::ActionBigger => "github-action-benchmark-bigger",
            RunExport::HdrLog => "hdr-log",
            RunExport::HdrPercentiles => "hdr-percentiles",
            RunExport::Junit => "junit",
            RunExport::OpenMetrics => "openmetrics",
            RunExport::Otava => "otava",
        }
    }

    /// The run in this format, ended by a newline. Numbers that are not finite are left out, or `null` in JSON.
    ///
    /// Formats that know nothing but figures (`bmf`, both of the action, `otava`) have the cells
    /// that are `ok`; all others say how every cell ended.
    #[must_use]
    pub fn render(self, record: &Record) -> String {
        match self {
            RunExport::Markdown => markdown::markdown(record),
            RunExport::Csv => csv::csv(record),
            RunExport::Json => json::json(record),
            RunExport::Bmf => bmf::bmf(record),
            RunExport::ActionSmaller => action::smaller(record),
            RunExport::ActionBigger => action::bigger(record),
            RunExport::HdrLog => hdr::log(record),
            RunExport::HdrPercentiles => hdr::percentiles(record),
            RunExport::Junit => junit::junit(record),
            RunExport::OpenMetrics => openmetrics::openmetrics(record),
            RunExport::Otava => otava(record),
        }
    }
}

impl fmt::Display for RunExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RunExport {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        RunExport::ALL.into_iter().find(|export| export.name() == name).ok_or_else(|| {
            let names = RunExport::ALL.map(RunExport::name).join(", ");
            format!("there is no export {name:?}: choose one of {names}")
        })
    }
}

/// One row for the run: when it began, its commit or else its name, and its figures as the gate names them.
fn otava(record: &Record) -> String {
    /// The longest name of a cell, in characters.
    const NAME: usize = 900;
    let run = &record.run;
    let line = |text: &str| crate::output::cut(text, NAME);
    let commit = run.commit.as_deref().unwrap_or(&run.id);
    let values = figures::named(record, NAME).into_iter().flat_map(|(name, cell)| {
        let of = figures::costs(cell);
        of.into_iter().map(move |figure| (format!("{name} {}", figure.name), figure.value))
    });
    otava_rows(&[(line(&run.started), line(commit), values.collect())])
}
