//! The gate in the formats that other programs read: a pure function for each.

mod action;
mod bmf;
mod csv;
mod exposition;
mod json;
mod junit;
mod markdown;
mod openmetrics;
mod otava;
mod run;
mod suite;

pub use otava::{OtavaRow, otava_rows, otava_values};
pub use run::{RunDocument, RunExport, run_schema};

use std::{fmt, str::FromStr};

use crate::record::{Gate, GateCell};

/// A format that a gate can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Export {
    /// A comment or a step summary: the verdict first, at most 65 536 bytes.
    Markdown,
    /// A test report for CI: what regressed is a failure, what is inconclusive is skipped.
    Junit,
    /// Bencher Metric Format.
    Bmf,
    /// github-action-benchmark, `customSmallerIsBetter`: times, CPU time, memory.
    ActionSmaller,
    /// github-action-benchmark, `customBiggerIsBetter`: jobs per second.
    ActionBigger,
    /// `OpenMetrics` text, version 1.0.
    OpenMetrics,
    /// CSV for change-point tools: a row for the gate, a column for each cell and metric.
    Otava,
    /// All of it, by `docs/schema/gate.json`.
    Json,
    /// A row for each cell and metric.
    Csv,
}

impl Export {
    /// All of them.
    pub const ALL: [Export; 9] = [
        Export::Markdown,
        Export::Junit,
        Export::Bmf,
        Export::ActionSmaller,
        Export::ActionBigger,
        Export::OpenMetrics,
        Export::Otava,
        Export::Json,
        Export::Csv,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Export::Markdown => "markdown",
            Export::Junit => "junit",
            Export::Bmf => "bmf",
            Export::ActionSmaller => "github-action-benchmark-smaller",
            Export::ActionBigger => "github-action-benchmark-bigger",
            Export::OpenMetrics => "openmetrics",
            Export::Otava => "otava",
            Export::Json => "json",
            Export::Csv => "csv",
        }
    }

    /// The gate in this format, ended by a newline. Numbers that are not finite are left out, or `null` in JSON.
    #[must_use]
    pub fn render(self, gate: &Gate) -> String {
        match self {
            Export::Markdown => markdown::markdown(gate),
            Export::Junit => junit::junit(gate),
            Export::Bmf => bmf::bmf(gate),
            Export::ActionSmaller => action::smaller(gate),
            Export::ActionBigger => action::bigger(gate),
            Export::OpenMetrics => openmetrics::openmetrics(gate),
            Export::Otava => otava::otava(gate),
            Export::Json => json::json(gate),
            Export::Csv => csv::csv(gate),
        }
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Export {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Export::ALL.into_iter().find(|export| export.name() == name).ok_or_else(|| {
            let names = Export::ALL.map(Export::name).join(", ");
            format!("there is no export {name:?}: choose one of {names}")
        })
    }
}

/// A number that may be written.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Jobs a second, from nanoseconds a job.
fn jobs_per_second(ns: Option<f64>) -> Option<f64> {
    finite(ns).filter(|ns| *ns > 0.0).and_then(|ns| finite(Some(1e9 / ns)))
}

/// What the head's figure is called where cell and metric share one name: `echo/tokio/10 latency_p99_ns`.
fn series(cell: &GateCell, most: usize) -> String {
    let figure = cell.metric.figure();
    format!("{} {figure}", crate::output::cut(&cell.cell, most - figure.len() - 1))
}
