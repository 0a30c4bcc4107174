//! What every format is written from: a row for each cell of a run, or for each cell and metric of a gate.

use std::collections::{HashMap, HashSet};

use crate::{output::cut, record::Cell};

/// A run or a gate, brought into rows.
pub(super) struct Sheet<'a> {
    /// `paceline run` or `paceline gate`.
    pub(super) kind: &'static str,
    /// What its test report is called.
    pub(super) title: String,
    pub(super) id: &'a str,
    pub(super) started: &'a str,
    /// The commit, or what else it is of.
    pub(super) commit: &'a str,
    /// How long it took, where that is known.
    pub(super) seconds: Option<f64>,
    /// Tests of the whole, which stand before those of its rows.
    pub(super) tests: Vec<Test>,
    /// The verdict on the whole.
    pub(super) verdict: Option<OneOf>,
    /// The columns of its rows.
    pub(super) columns: Vec<String>,
    /// In the order of the plan.
    pub(super) rows: Vec<Row<'a>>,
}

/// A cell, or a cell and metric.
pub(super) struct Row<'a> {
    /// Which cell it is of: rows of a gate share theirs.
    pub(super) index: usize,
    /// The cell's name, as it was recorded.
    pub(super) cell: String,
    /// What there is of it for formats that know nothing but figures.
    pub(super) figures: Vec<Figure>,
    /// All that there is of it, by the columns of the sheet; the cell's name is the first.
    pub(super) fields: Vec<String>,
    pub(super) samples: Vec<Sample>,
    /// How it ended.
    pub(super) state: Option<OneOf>,
    /// Its name is added to the cell's.
    pub(super) test: Test,
    /// The cell of a run, which may have a histogram.
    pub(super) recorded: Option<&'a Cell>,
}

/// A figure.
pub(super) struct Figure {
    /// As the gate and the history call it: the unit last.
    pub(super) name: &'static str,
    /// `ns`, `bytes` or `share`, of which less is better, or `jobs/s`, of which more is.
    pub(super) unit: &'static str,
    pub(super) value: f64,
    /// Of the value itself.
    pub(super) interval: Option<(f64, f64)>,
    /// An interval in words.
    pub(super) range: Option<String>,
    /// What is said beside it.
    pub(super) note: Option<String>,
}

impl Figure {
    /// Whether more of it is better.
    pub(super) fn is_rate(&self) -> bool {
        self.unit == "jobs/s"
    }
}

/// A value of a family of `OpenMetrics`.
pub(super) struct Sample {
    pub(super) family: Family,
    /// The labels beside the cell's name.
    pub(super) labels: String,
    pub(super) value: f64,
}

/// The name of a family, which ends with its unit; the unit; and what it is.
pub(super) type Family = (&'static str, &'static str, &'static str);

/// One of several words: a state or a verdict.
pub(super) struct OneOf {
    /// Its family of `OpenMetrics`, and what that is.
    pub(super) family: (&'static str, &'static str),
    /// The labels beside the cell's name.
    pub(super) labels: String,
    pub(super) value: &'static str,
    pub(super) all: &'static [&'static str],
}

/// A test of a report for CI, and the lines that are shown with it.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) end: End,
    pub(super) body: String,
}

/// How a test ended.
pub(super) enum End {
    Passed,
    /// `failure`, `error` or `skipped`; its type, and its message in a line.
    Not(&'static str, &'static str, String),
}

impl<'a> Sheet<'a> {
    /// Every row with the name of its cell, of at most `most` characters in one line: `echo/tokio@2/10`. Cells that would
    /// have the same are numbered.
    pub(super) fn named(&self, most: usize) -> Vec<(String, &Row<'a>)> {
        self.named_as(|name| cut(name, most - 8))
    }

    /// The same, as `clean` makes their names fit for a format.
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

/// A number that may be written.
pub(super) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Jobs a second from nanoseconds a job, and back.
pub(super) fn inverse(ns: Option<f64>) -> Option<f64> {
    finite(ns).filter(|ns| *ns > 0.0).and_then(|ns| finite(Some(1e9 / ns)))
}

/// A text as the value of a label, without its quotes.
pub(super) fn label(value: &str) -> String {
    cut(value, 1024).replace('\\', "\\\\").replace('"', "\\\"")
}
