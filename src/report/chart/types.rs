//! The content of charts, before positions are computed: axes, series, marks and bars.

/// Lines over an x axis: throughput over scale, latency by percentile, a metric over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// A short title, which is also the accessible name.
    pub title: String,
    /// A description in a sentence or two.
    pub desc: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// The upper bound for every model. It widens the axes only slightly, and is cut off beyond them.
    pub bound: Option<Curve>,
    /// The ideal, such as twice the speed with twice the workers. Cut off likewise.
    pub ideal: Option<Curve>,
    /// Meaningful positions on the x axis.
    pub marks: Vec<Mark>,
    /// The positions at which lines have markers and tooltips, if not at each of their points.
    pub marked: Option<&'static [f64]>,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// Its label, such as `jobs in flight`.
    pub label: String,
    /// The scale from values to positions.
    pub scale: Scale,
    /// The kind of values, which determines ticks and number format.
    pub unit: Unit,
    /// Custom ticks with their text instead of computed ones, such as the dates of numbered runs.
    pub ticks: Vec<(f64, String)>,
}

/// The scale from values to positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    #[default]
    Linear,
    /// By their logarithm. Values that are not above 0 have no position.
    Log,
    /// Shares of 1 by the logarithm of 1 / (1 − p): 0.9, 0.99 and 0.999 are equally spaced. 1 has no position.
    Percentile,
}

/// The kind of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Counts: jobs, workers, connections.
    #[default]
    Count,
    /// Rates per second.
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

/// A line and its measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name, mostly a model's.
    pub name: String,
    /// Selects colour, dashes and marker: the same number looks the same in every chart. 64 can be distinguished.
    pub index: usize,
    /// The measurements, in ascending order of `x`.
    pub points: Vec<Point>,
}

/// A measured point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Its position on the x axis.
    pub x: f64,
    /// The figure.
    pub y: f64,
    /// The lower end of its interval, if it has one.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
    /// Whether a place between it and the point before has no figure, so that no line leads from there.
    pub after_gap: bool,
}

/// A line that was not measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Its name: `ideal`, `bound: 10 ms of sleep`.
    pub name: String,
    /// Its points, in ascending order of `x`.
    pub points: Vec<(f64, f64)>,
}

/// A meaningful position on the x axis: a crossover, a step of a history, a knee.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// The place.
    pub at: f64,
    /// Its interval, if it is uncertain.
    pub within: Option<(f64, f64)>,
    /// A few words.
    pub label: String,
    /// A sentence, shown as a tooltip.
    pub note: String,
}

/// Figures as bars: memory per job, or ratios with a band in which a change does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// A short title.
    pub title: String,
    /// A description.
    pub desc: String,
    /// The horizontal axis. On a logarithmic axis figures are dots, because a bar has no start there.
    pub x: Axis,
    /// The rows, from top to bottom.
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
    /// Selects its colour and marker, as [`Series::index`] does.
    pub index: usize,
    /// The figure; `None` without a measurement.
    pub value: Option<f64>,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// The text at the end of the row: the verdict, or why there is no figure.
    pub note: String,
}
