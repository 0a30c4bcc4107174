//! The parts that every section of the page is made of: tables, figures and groups of names.

use askama::Template;

use crate::{
    output::{columns, cut},
    report::chart::{self, Bars, Plot, Scale},
};

/// The longest name that is shown, in characters.
const NAME: usize = 60;
/// The longest reason or sentence out of a record.
const REASON: usize = 400;

/// A table, whose first column names its rows.
#[derive(Default, Template)]
#[template(path = "table.html")]
pub(super) struct Table {
    /// What it shows.
    pub(super) caption: String,
    /// The heads of its columns.
    pub(super) head: Vec<String>,
    /// Its rows, each as long as the head.
    pub(super) rows: Vec<Vec<Data>>,
    /// Columns of prose, which may be wrapped, by their place.
    pub(super) prose: Vec<usize>,
}

impl Table {
    /// A table without rows, whose columns are named in one text: `model | scale | p99`.
    pub(super) fn new(caption: impl Into<String>, head: &str) -> Self {
        let head = columns(head).into_iter().map(str::to_owned).collect();
        Table { caption: caption.into(), head, ..Table::default() }
    }

    /// The same with more columns, whose names come out of a record.
    pub(super) fn with_columns(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.head.extend(names);
        self
    }

    pub(super) fn with_prose(mut self, columns: &[usize]) -> Self {
        self.prose = columns.to_vec();
        self
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass by reference")]
    fn heading(&self, place: &usize) -> &'static str {
        // A head stands over what it names: words begin at the left, figures end at the right.
        let word =
            |row: &Vec<Data>| row.get(*place).is_some_and(|data| data.class.starts_with('l'));
        if self.prose.contains(place) {
            "w"
        } else if self.rows.first().is_some_and(word) {
            "l"
        } else {
            ""
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass by reference")]
    fn column(&self, place: &usize) -> &'static str {
        if self.prose.contains(place) { "w" } else { "" }
    }
}

/// What stands in a field of a table.
#[derive(Clone, Default)]
pub(super) struct Data {
    /// The figure or word.
    pub(super) text: String,
    /// What stands small behind it: half of an interval.
    pub(super) more: String,
    /// How it looks: classes of the style sheet.
    pub(super) class: String,
    /// What is said of it in full, where the text is only a mark.
    pub(super) title: String,
}

impl Data {
    pub(super) fn of(text: impl Into<String>) -> Self {
        Data { text: text.into(), ..Data::default() }
    }

    pub(super) fn class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }
}

impl<T: Into<String>> From<T> for Data {
    fn from(text: T) -> Self {
        Data::of(text)
    }
}

/// A chart with what it says in words, and its figures.
#[derive(Default, Template)]
#[template(path = "figure.html")]
pub(super) struct Figure {
    /// What to link to.
    pub(super) id: String,
    /// Which of the charts of a workload it is, in a word.
    pub(super) kind: &'static str,
    pub(super) title: String,
    /// The chart; none where the table says all.
    pub(super) picture: Option<Picture>,
    /// How to read it.
    pub(super) caption: String,
    pub(super) table: Table,
    /// Whether the table is the picture, and stands open.
    pub(super) open: bool,
}

impl Figure {
    fn svg(&self) -> String {
        self.picture.as_ref().map_or_else(String::new, Picture::svg)
    }

    /// The same on a linear axis, where the chart's own is logarithmic and not alone to tell something.
    fn linear(&self) -> Option<String> {
        match &self.picture {
            Some(Picture::Plot(plot)) if plot.y.scale == Scale::Log => {
                let mut linear = plot.clone();
                linear.y.scale = Scale::Linear;
                Some(chart::plot(&linear))
            }
            _ => None,
        }
    }
}

/// What is drawn.
pub(super) enum Picture {
    Plot(Plot),
    Bars(Bars),
}

impl Picture {
    fn svg(&self) -> String {
        match self {
            Picture::Plot(plot) => chart::plot(plot),
            Picture::Bars(bars) => chart::bars(bars),
        }
    }

    /// As a file of its own.
    pub(super) fn file(&self) -> String {
        chart::file(&self.svg())
    }
}

/// A name out of a record, as it may be shown: in one line, without what turns the direction of writing.
pub(super) fn name(text: &str) -> String {
    cut(text, NAME)
}

/// A reason out of a record, likewise; nothing where there is none.
pub(super) fn reason(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(String::new, |text| cut(text, REASON))
}

/// The first `most` of `all`, and how many more there are.
pub(super) fn listed(all: &[String], most: usize) -> String {
    let shown = all.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
