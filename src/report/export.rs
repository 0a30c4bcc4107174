//! Exports of runs and gates in formats for other programs: pure functions.
//!
//! Runs and gates are both converted to rows ([`rows`]), from which every format is written. Only Markdown and JSON are
//! written from the records themselves.

mod columns;
mod figures;
mod gate;
mod hdr;
mod junit;
mod markdown;
mod openmetrics;
mod rows;
mod run;

pub(super) use figures::csv_of;
pub use run::{RunDocument, run_schema};

use std::{fmt, str::FromStr};

use crate::record::{Gate, Record};

/// A record that can be exported.
#[derive(Clone, Copy)]
pub enum Exported<'a> {
    /// A recorded run.
    Run(&'a Record),
    /// A gate.
    Gate(&'a Gate),
}

impl<'a> From<&'a Record> for Exported<'a> {
    fn from(record: &'a Record) -> Self {
        Exported::Run(record)
    }
}

impl<'a> From<&'a Gate> for Exported<'a> {
    fn from(gate: &'a Gate) -> Self {
        Exported::Gate(gate)
    }
}

/// An export format.
///
/// Formats that hold only figures (`bmf`, both of the action, `otava`) have the cells of a run that are `ok`, and the
/// head's figures of a gate. All others include the state of every cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Export {
    /// A comment or a step summary, at most 65 536 bytes: first the verdict, or the number of cells in each state.
    Markdown,
    /// A row for each cell of a run, or for each cell and metric of a gate, with all its figures.
    Csv,
    /// The run and its cells as in `docs/schema/report.json`, or the gate as in `docs/schema/gate.json`.
    Json,
    /// Bencher Metric Format.
    Bmf,
    /// github-action-benchmark, `customSmallerIsBetter`: times, CPU time, memory.
    ActionSmaller,
    /// github-action-benchmark, `customBiggerIsBetter`: jobs per second.
    ActionBigger,
    /// A test report for CI: regressed or invalid is a failure, failed an error; a cell without a figure or a clear
    /// verdict is skipped.
    Junit,
    /// `OpenMetrics` text, version 1.0.
    OpenMetrics,
    /// CSV for change-point tools: a row for the run or the gate, a column for each cell and metric.
    Otava,
    /// An interval log of `HdrHistogram`, version 2: the latency of each cell of a run, with its name as the tag.
    HdrLog,
}

impl Export {
    /// All formats, with their names on the command line.
    const NAMED: [(Export, &str); 10] = [
        (Export::Markdown, "markdown"),
        (Export::Csv, "csv"),
        (Export::Json, "json"),
        (Export::Bmf, "bmf"),
        (Export::ActionSmaller, "github-action-benchmark-smaller"),
        (Export::ActionBigger, "github-action-benchmark-bigger"),
        (Export::Junit, "junit"),
        (Export::OpenMetrics, "openmetrics"),
        (Export::Otava, "otava"),
        (Export::HdrLog, "hdr-log"),
    ];

    /// Returns all formats, or those for gates, which keep no histograms.
    pub fn all(of_gates: bool) -> impl Iterator<Item = Export> {
        let all = Export::NAMED.into_iter().map(|(export, _)| export);
        all.filter(move |export| !(of_gates && *export == Export::HdrLog))
    }

    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        let named = Export::NAMED.iter().find(|(export, _)| *export == self);
        named.map_or("", |(_, name)| name)
    }

    /// Returns the format of this name if it supports gates.
    ///
    /// # Errors
    ///
    /// Returns a sentence that lists the supported formats.
    pub fn of_gates(name: &str) -> Result<Export, String> {
        Self::named(name, true)
    }

    fn named(name: &str, of_gates: bool) -> Result<Export, String> {
        Export::all(of_gates).find(|export| export.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Export::all(of_gates).map(Export::name).collect();
            let of = if of_gates { " of gates" } else { "" };
            format!("there is no export{of} {name:?}: choose one of {}", names.join(", "))
        })
    }

    /// Returns the run or gate in this format, ended by a newline. Non-finite numbers are left out, or `null` in JSON.
    pub fn render<'a>(self, of: impl Into<Exported<'a>>) -> String {
        let of = of.into();
        let sheet = || match of {
            Exported::Run(record) => run::sheet(record),
            Exported::Gate(gate) => gate::sheet(gate),
        };
        match self {
            Export::Markdown => markdown::markdown(of),
            Export::Json => match of {
                Exported::Run(record) => json(&RunDocument::of(record)),
                Exported::Gate(gate) => json(gate),
            },
            Export::Csv => figures::csv(&sheet()),
            Export::Bmf => figures::bmf(&sheet()),
            Export::ActionSmaller => figures::action(&sheet(), false),
            Export::ActionBigger => figures::action(&sheet(), true),
            Export::Otava => figures::otava(&sheet()),
            Export::Junit => junit::junit(&sheet()),
            Export::OpenMetrics => openmetrics::openmetrics(&sheet()),
            Export::HdrLog => hdr::log(&sheet()),
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
        Self::named(name, false)
    }
}

fn json(record: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(record);
    text.expect("a record is made of numbers, words and lists") + "\n"
}
