//! The rows from which every format is written: one for each cell of a run, or for each cell and metric of a gate.

use std::collections::{HashMap, HashSet};

use crate::{output::cut, record::Cell};

/// A run or a gate as rows.
pub(super) struct Sheet<'a> {
    /// `paceline run` or `paceline gate`.
    pub(super) kind: &'static str,
    /// The title of its test report.
    pub(super) title: String,
    pub(super) id: &'a str,
    pub(super) started: &'a str,
    /// The commit, or another identification.
    pub(super) commit: &'a str,
    /// How long it took, if known.
    pub(super) seconds: Option<f64>,
    /// Tests of the whole, before those of its rows.
    pub(super) tests: Vec<Test>,
    /// The overall verdict.
    pub(super) verdict: Option<OneOf>,
    /// The columns of its rows.
    pub(super) columns: Vec<String>,
    /// The rows, in the order of the plan.
    pub(super) rows: Vec<Row<'a>>,
}

/// A cell, or a cell and metric.
pub(super) struct Row<'a> {
    /// Index of its cell: rows of a gate share it.
    pub(super) index: usize,
    /// The cell's name as recorded.
    pub(super) cell: String,
    /// Its figures, for formats that hold only figures.
    pub(super) figures: Vec<Figure>,
    /// All its fields, by the columns of the sheet; the cell's name is the first.
    pub(super) fields: Vec<String>,
    pub(super) samples: Vec<Sample>,
    /// Its state.
    pub(super) state: Option<OneOf>,
    /// Its test, whose name is added to the cell's.
    pub(super) test: Test,
    /// The cell of a run, which may have a histogram.
    pub(super) recorded: Option<&'a Cell>,
}

/// A figure.
pub(super) struct Figure {
    /// Its name as in the gate and the history, with the unit last.
    pub(super) name: &'static str,
    /// `ns`, `bytes` or `share`, where lower is better, or `jobs/s`, where higher is.
    pub(super) unit: &'static str,
    pub(super) value: f64,
    /// The interval of the value.
    pub(super) interval: Option<(f64, f64)>,
    /// An interval in words.
    pub(super) range: Option<String>,
    /// A note for it.
    pub(super) note: Option<String>,
}

impl Figure {
    /// Returns whether higher is better.
    pub(super) fn is_rate(&self) -> bool {
        self.unit == "jobs/s"
    }
}

/// A value in a family of `OpenMetrics`.
pub(super) struct Sample {
    pub(super) family: Family,
    /// The labels besides the cell's name.
    pub(super) labels: String,
    pub(super) value: f64,
}

/// The name of a family, which ends with its unit; the unit; and the description.
pub(super) type Family = (&'static str, &'static str, &'static str);

/// One of several words: a state or a verdict.
pub(super) struct OneOf {
    /// Its family of `OpenMetrics`, and the description.
    pub(super) family: (&'static str, &'static str),
    /// The labels besides the cell's name.
    pub(super) labels: String,
    pub(super) value: &'static str,
    pub(super) all: &'static [&'static str],
}

/// A test of a report for CI, and its lines of output.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) end: TestResult,
    pub(super) body: String,
}

/// The result of a test.
pub(super) enum TestResult {
    Passed,
    /// `failure`, `error` or `skipped`; its type, and its message in one line.
    NotPassed(&'static str, &'static str, String),
}

impl<'a> Sheet<'a> {
    /// Returns every row with the name of its cell, of at most `most` characters in one line: `echo/tokio@2/10`. Equal
    /// names are numbered.
    pub(super) fn named(&self, most: usize) -> Vec<(String, &Row<'a>)> {
        self.named_as(|name| cut(name, most - 8))
    }

    /// Returns the same with names that `clean` makes valid for a format.
    pub(super) fn named_as(&self, clean: impl Fn(&str) -> String) -> Vec<(String, &Row<'a>)> {
        let (mut known, mut names) = (HashSet::new(), HashMap::new());
        let mut name = |row: &Row| {
            let unique = || {
                let name = clean(&row.cell);
                let numbered = (2..).map(|n| format!("{name}#{n}"));
                let mut all = std::iter::once(name.clone()).chain(numbered);
                all.find(|name| known.insert(name.clone())).expect("numbers do not end")
            };
            names.entry(row.index).or_insert_with(unique).clone()
        };
        self.rows.iter().map(|row| (name(row), row)).collect()
    }
}

/// Returns the number if it is finite.
pub(super) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Escapes a text as the value of a label, without its quotes.
pub(super) fn label(value: &str) -> String {
    cut(value, 1024).replace('\\', "\\\\").replace('"', "\\\"")
}
