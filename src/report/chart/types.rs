//! What charts show, before any of it has a place: axes, series, marks and bars.

/// Lines over an x axis: throughput over scale, latency by percentile, a metric over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// What is shown, in a few words; its name for those who do not see it.
    pub title: String,
    /// What is to be seen in it, in a sentence or two.
    pub desc: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// What no model can surpass. It does not widen the axes by much: past them it is cut off.
    pub bound: Option<Curve>,
    /// What would be ideal, such as twice the speed with twice the workers. Cut off likewise.
    pub ideal: Option<Curve>,
    /// Places on the x axis that mean something.
    pub marks: Vec<Mark>,
    /// Where lines are marked and say their figures, if not at each of their points.
    pub marked: Option<&'static [f64]>,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What it shows: `jobs in flight`.
    pub label: String,
    /// How values become places.
    pub scale: Scale,
    /// What values are, which decides on ticks and how figures are written.
    pub unit: Unit,
    /// Ticks of one's own, with their text, instead of computed ones: the dates of runs that are numbered.
    pub ticks: Vec<(f64, String)>,
}

/// How values become places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    #[default]
    Linear,
    /// By their logarithm. Values that are not above 0 have no place.
    Log,
    /// Shares of 1 by the logarithm of 1 / (1 − p): 0.9, 0.99 and 0.999 are as far apart from each other. 1 has no place.
    Percentile,
}

/// What values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Things that are counted: jobs, workers, connections.
    #[default]
    Count,
    /// Things in a second.
    PerSecond,
    /// Times in nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// Shares of 1, written in percent.
    Share,
    /// Ratios, written as multiples: `1.5×`.
    Ratio,
}

/// A line, and what was measured along it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name, mostly a model's.
    pub name: String,
    /// Chooses colour, dashes and marker: the same number looks the same in every chart. 64 can be told apart.
    pub index: usize,
    /// What was measured, in ascending order of `x`.
    pub points: Vec<Point>,
}

/// A measured point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Its place on the x axis.
    pub x: f64,
    /// The figure.
    pub y: f64,
    /// The lower end of its interval, where it has one.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
}

/// A line that was not measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What it is: `ideal`, `bound: 10 ms of sleep`.
    pub name: String,
    /// Its points, in ascending order of `x`.
    pub points: Vec<(f64, f64)>,
}

/// A place on the x axis that means something: a crossover, a step of a history, a knee.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// The place.
    pub at: f64,
    /// Between which places it lies, where that is uncertain.
    pub within: Option<(f64, f64)>,
    /// A few words.
    pub label: String,
    /// A sentence, which is shown where it is pointed at.
    pub note: String,
}

/// Figures beside each other: memory per job, or ratios with a band in which a change does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// What is shown, in a few words.
    pub title: String,
    /// What is to be seen in it.
    pub desc: String,
    /// The horizontal axis. On a logarithmic one figures are dots, for a bar would begin nowhere.
    pub x: Axis,
    /// From top to bottom.
    pub rows: Vec<Bar>,
    /// Values that count as no change: the band of a margin.
    pub band: Option<(f64, f64)>,
    /// A line to compare with: a ratio of 1.
    pub line: Option<f64>,
}

/// A row of [`Bars`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Chooses its colour and marker, as that of [`Series::index`].
    pub index: usize,
    /// The figure; none where there is no measurement.
    pub value: Option<f64>,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// What stands at the end of the row: the verdict, or why there is no figure.
    pub note: String,
}
