//! The parts of sections: tables, figures and lists of names.

use askama::Template;

use crate::{
    output::{columns, cut, shorten},
    report::chart::{self, Bars, Plot, Scale},
};

/// The longest name, in characters.
const NAME: usize = 60;
/// The longest reason or sentence from a record.
const REASON: usize = 400;

/// A table, whose first column names its rows.
#[derive(Default, Template)]
#[template(path = "table.html")]
pub(super) struct Table {
    /// Its caption.
    pub(super) caption: String,
    /// The headings of its columns.
    pub(super) head: Vec<String>,
    /// Its rows, each as long as `head`.
    pub(super) rows: Vec<Vec<Data>>,
    /// The indices of columns with prose, which may be wrapped.
    pub(super) prose: Vec<usize>,
}

impl Table {
    /// Returns a table without rows, with columns such as `model | scale | p99`.
    pub(super) fn new(caption: impl Into<String>, head: &str) -> Self {
        let head = columns(head).into_iter().map(str::to_owned).collect();
        Table { caption: caption.into(), head, ..Table::default() }
    }

    /// Adds columns whose names are from a record.
    pub(super) fn with_columns(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.head.extend(names);
        self
    }

    pub(super) fn with_prose(mut self, columns: &[usize]) -> Self {
        self.prose = columns.to_vec();
        self
    }

    /// Returns whether a latency in it has the mark of the generator's lateness.
    pub(super) fn has_marks(&self) -> bool {
        self.rows.iter().flat_map(|row| row.iter().skip(1)).any(|data| data.text.starts_with('?'))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass by reference")]
    fn heading(&self, place: &usize) -> &'static str {
        // A heading is aligned like its column: words to the left, figures to the right.
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

/// A field of a table.
#[derive(Clone, Default)]
pub(super) struct Data {
    /// The figure or word.
    pub(super) text: String,
    /// Half of its interval, in small type.
    pub(super) more: String,
    /// Classes of the style sheet.
    pub(super) class: String,
    /// The full text for a tooltip, if `text` is only a mark.
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

/// A chart with a caption and a table of its figures.
#[derive(Default, Template)]
#[template(path = "figure.html")]
pub(super) struct Figure {
    /// The target of links to it.
    pub(super) id: String,
    /// Its kind in a word, by which the charts of a workload are named.
    pub(super) kind: &'static str,
    pub(super) title: String,
    /// The chart; `None` if there is only the table.
    pub(super) picture: Option<Picture>,
    /// The caption: how to read it.
    pub(super) caption: String,
    pub(super) table: Table,
    /// Whether the table is unfolded, because it is the picture.
    pub(super) open: bool,
}

impl Figure {
    fn svg(&self) -> String {
        self.picture.as_ref().map_or_else(String::new, Picture::svg)
    }

    /// Returns the chart with a linear axis, if its own is logarithmic. Where lines have two points, their
    /// table shows as much in less room.
    fn linear(&self) -> Option<String> {
        let bends = |plot: &Plot| plot.series.iter().any(|series| series.points.len() > 2);
        match &self.picture {
            Some(Picture::Plot(plot)) if plot.y.scale == Scale::Log && bends(plot) => {
                let mut linear = plot.clone();
                linear.y.scale = Scale::Linear;
                Some(chart::plot(&linear))
            }
            _ => None,
        }
    }
}

/// The content of a chart.
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

    /// Returns it as an SVG file.
    pub(super) fn file(&self) -> String {
        chart::file(&self.svg())
    }
}

/// Shortens a name from a record, without line ends and marks that change the direction of text.
pub(super) fn name(text: &str) -> String {
    cut(text, NAME)
}

/// Does the same for a reason; empty if there is none.
pub(super) fn reason(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(String::new, |text| shorten(text, REASON))
}
