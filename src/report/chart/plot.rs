//! Line charts.

use std::fmt::Write;

use super::{
    Axis, Curve, Mark, Plot, Point, Series, classes, mark,
    place::{AxisRange, raw},
    words::{figure, place, text},
};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 46.0;
/// The height of a chart; each name without room adds to it.
const HEIGHT: f64 = 400.0;
/// The least distance between names.
const LINE: f64 = 14.0;
/// The longest name at the end of a line, in characters.
const NAME: usize = 21;
/// Series of more points have no markers: they would merge.
const MARKED: usize = 60;
/// A point nearer to the previous one, in the chart's units, is invisible and left out.
const NEAR: f64 = 0.7;

/// Returns the plot as an `svg` element, with its title, its description and a title for each point.
pub fn plot(plot: &Plot) -> String {
    let drawn = |point: &&Point| {
        raw(plot.x.scale, point.x).is_some() && raw(plot.y.scale, point.y).is_some()
    };
    let points: Vec<&Point> =
        plot.series.iter().flat_map(|series| &series.points).filter(drawn).collect();
    if points.is_empty() {
        return nothing(plot);
    }
    let xs = points.iter().map(|point| point.x);
    let marks =
        plot.marks.iter().flat_map(|mark| mark.within.map_or([mark.at; 2], |(a, b)| [a, b]));
    let ys = || {
        points
            .iter()
            .flat_map(|point| [Some(point.y), point.lower, point.upper].into_iter().flatten())
    };
    let curves = || {
        plot.bound.iter().chain(&plot.ideal).flat_map(|curve| curve.points.iter().map(|(_, y)| *y))
    };
    // A bound far above all figures would flatten the lines: it is cut off then.
    let highest = ys().filter(|y| y.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let curves = curves().filter(|y| *y <= highest * 4.0);
    let (Some(x), Some(y)) =
        (AxisRange::over(&plot.x, xs.chain(marks)), AxisRange::over(&plot.y, ys().chain(curves)))
    else {
        return nothing(plot);
    };
    let names = plot.series.iter().filter(|series| !series.name.is_empty()).count();
    let height = HEIGHT.max(names as f64 * LINE + TOP + BOTTOM);
    let right = if names == 0 { 16.0 } else { RIGHT };
    // Digits have about 7 units.
    let longest = y.ticks().iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0);
    let start = LEFT.max(longest.min(13) as f64 * 7.0 + 10.0);
    let frame = Frame { x, y, start, width: WIDTH - start - right, height: height - TOP - BOTTOM };
    let mut svg = open(&plot.title, &plot.desc, height);
    frame.axes(&mut svg, &plot.x, &plot.y);
    for (index, mark) in plot.marks.iter().enumerate() {
        frame.mark(&mut svg, mark, index);
    }
    for (curve, class) in [(&plot.bound, "bound"), (&plot.ideal, "ideal")] {
        if let Some(curve) = curve {
            frame.curve(&mut svg, curve, class);
        }
    }
    let ends = frame.ends(&plot.series);
    for (series, end) in plot.series.iter().zip(ends) {
        frame.series(&mut svg, series, end, plot);
    }
    svg.push_str("</svg>");
    svg
}

/// Returns the beginning of every chart.
pub(super) fn open(title: &str, desc: &str, height: f64) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}. {1}\" xmlns=\"http://www.w3.org/2000/svg\"><title>{0}</title><desc>{1}</desc>",
        text(title, 120),
        text(desc, 400)
    )
}

/// Adds the ticks of a horizontal axis, with their texts below it.
pub(super) fn below(
    svg: &mut String,
    axis: &AxisRange,
    left: f64,
    width: f64,
    (top, bottom): (f64, f64),
    under: f64,
) {
    let mut free = f64::NEG_INFINITY;
    for (share, label) in axis.ticks() {
        let at = left + share * width;
        let _ = write!(svg, "<path d=\"M{at:.1},{top}V{bottom:.1}\"/>");
        // About 6.5 units per character: a label that would overlap the previous one is left out.
        let half = label.chars().count() as f64 * 3.4 + 3.0;
        if at - half > free {
            let (y, label) = (bottom + under, text(&label, 24));
            let _ = write!(svg, "<text class=\"x\" x=\"{at:.1}\" y=\"{y:.1}\">{label}</text>");
            free = at + half;
        }
    }
}

fn nothing(plot: &Plot) -> String {
    let mut svg = open(&plot.title, &plot.desc, 80.0);
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"44\">nothing was measured that could be drawn</text></svg>"
    );
    svg
}

/// The frame of a plot in its chart.
struct Frame {
    x: AxisRange,
    y: AxisRange,
    /// Where it begins, to the right of the texts of the vertical axis.
    start: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn left(&self, x: f64) -> Option<f64> {
        self.x.within(x).map(|share| self.start + share * self.width)
    }

    fn top(&self, y: f64) -> Option<f64> {
        self.y.within(y).map(|share| TOP + (1.0 - share) * self.height)
    }

    fn axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let (start, right, bottom) = (self.start, self.start + self.width, TOP + self.height);
        svg.push_str("<g class=\"grid\">");
        for (share, label) in self.y.ticks() {
            let at = TOP + (1.0 - share) * self.height;
            let _ = write!(
                svg,
                "<path d=\"M{start},{at:.1}H{right:.1}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                self.start - 7.0,
                at + 4.0,
                text(&label, 24)
            );
        }
        below(svg, &self.x, self.start, self.width, (TOP, bottom), 17.0);
        svg.push_str("</g>");
        let _ = write!(
            svg,
            "<text class=\"x axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text><text class=\"axis\" x=\"2\" y=\"13\">{}</text>",
            self.start + self.width / 2.0,
            bottom + 37.0,
            text(&x.label, 60),
            text(&y.label, 60)
        );
    }

    fn mark(&self, svg: &mut String, mark: &Mark, index: usize) {
        let Some(at) = self.left(mark.at) else { return };
        let bottom = TOP + self.height;
        let _ = write!(svg, "<g class=\"mark\"><title>{}</title>", text(&mark.note, 300));
        match mark.within.and_then(|(from, to)| self.left(from).zip(self.left(to))) {
            Some((from, to)) => {
                let _ = write!(
                    svg,
                    "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                    to - from,
                    self.height
                );
            }
            None => {
                let _ = write!(svg, "<path d=\"M{at:.1},{TOP}V{bottom:.1}\"/>");
            }
        }
        // Neighbours are on separate lines.
        let line = TOP + 12.0 + (index % 3) as f64 * 13.0;
        let _ = write!(
            svg,
            "<text class=\"x\" x=\"{at:.1}\" y=\"{line:.1}\">{}</text></g>",
            text(&mark.label, 24)
        );
    }

    fn curve(&self, svg: &mut String, curve: &Curve, class: &str) {
        let mut d = String::new();
        let mut last = None;
        for (x, y) in &curve.points {
            // Above the top, a curve is cut off and not drawn as level.
            let Some((left, top)) = self.left(*x).zip(self.y.at(*y)) else { continue };
            let top = TOP + (1.0 - top.clamp(-0.2, 1.2)) * self.height;
            line_to(&mut d, left, top.max(4.0), false);
            if top >= TOP {
                last = Some((left, top));
            }
        }
        if d.is_empty() {
            return;
        }
        let name = text(&curve.name, 40);
        let _ = write!(svg, "<g class=\"{class}\"><path d=\"{d}\"><title>{name}</title></path>");
        // A level line has its name at its start, where the other lines are still low.
        let level = curve.points.first().map(|(_, y)| *y) == curve.points.last().map(|(_, y)| *y);
        let begin = curve.points.first().and_then(|(x, y)| self.left(*x).zip(self.top(*y)));
        let named = if level { begin.map(|at| (at, "start")) } else { last.map(|at| (at, "y")) };
        if let Some(((left, top), class)) = named {
            let side = if level { 4.0 } else { -4.0 };
            let (left, top) =
                (left.min(self.start + self.width) + side, (top - 6.0).max(TOP + 8.0));
            let _ =
                write!(svg, "<text class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\">{name}</text>");
        }
        svg.push_str("</g>");
    }

    /// Returns the positions of the series' names: beside the last point, or as near as the others allow.
    fn ends(&self, all: &[Series]) -> Vec<Option<f64>> {
        let last = |series: &Series| series.points.iter().rev().find_map(|point| self.top(point.y));
        let mut order: Vec<(usize, f64)> = all
            .iter()
            .enumerate()
            .filter(|(_, series)| !series.name.is_empty())
            .filter_map(|(index, series)| Some((index, last(series)?)))
            .collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut ends = vec![None; all.len()];
        let mut free = TOP;
        let mut placed: Vec<f64> = Vec::new();
        for (_, wanted) in &order {
            let at = wanted.max(free);
            placed.push(at);
            free = at + LINE;
        }
        // A name without room below moves up.
        let mut limit = TOP + self.height;
        for at in placed.iter_mut().rev() {
            *at = at.min(limit);
            limit = *at - LINE;
        }
        for ((index, _), at) in order.iter().zip(placed) {
            ends[*index] = Some(at);
        }
        ends
    }

    fn series(&self, svg: &mut String, series: &Series, end: Option<f64>, plot: &Plot) {
        let points: Vec<(f64, f64, &Point)> = series
            .points
            .iter()
            .filter_map(|point| Some((self.left(point.x)?, self.top(point.y)?, point)))
            .collect();
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let _ = write!(svg, "<g class=\"{}\" data-s=\"{}\">", classes(series.index), series.index);
        let mut line = String::new();
        let mut bars = String::new();
        let mut before = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (index, (left, top, point)) in points.iter().enumerate() {
            let ends = index == 0 || index + 1 == points.len();
            let near = (left - before.0).abs() < NEAR && (top - before.1).abs() < NEAR;
            if ends || !near || point.after_gap {
                line_to(&mut line, *left, *top, point.after_gap);
                before = (*left, *top);
            }
            let interval =
                point.lower.zip(point.upper).and_then(|(a, b)| self.top(a).zip(self.top(b)));
            if let Some((lower, upper)) = interval.filter(|(lower, upper)| lower - upper > 1.0) {
                bars.push('M');
                place(&mut bars, *left);
                bars.push(',');
                place(&mut bars, lower);
                bars.push('V');
                place(&mut bars, upper);
            }
        }
        if points.len() > 1 {
            let _ = write!(svg, "<path class=\"l\" d=\"{line}\"/>");
        }
        if !bars.is_empty() {
            let _ = write!(svg, "<path class=\"e\" d=\"{bars}\"/>");
        }
        let name = text(&series.name, 60);
        if points.len() <= MARKED {
            let marked = |x: f64| {
                plot.marked.is_none_or(|marked| marked.iter().any(|at| (at - x).abs() < 1e-12))
            };
            for (left, top, point) in points.iter().filter(|(.., point)| marked(point.x)) {
                let tooltip = format!("{name}\n{}", tooltip(plot, point));
                svg.push_str(&mark(series.index, *left, *top, Some(&tooltip)));
            }
        }
        if let Some(end) = end {
            let right = self.start + self.width;
            let from =
                if (last.0 - first.0).abs() < f64::EPSILON { last.0 + 6.0 } else { last.0 + 5.0 };
            let _ = write!(
                svg,
                "<path class=\"lead\" d=\"M{from:.1},{:.1}L{:.1},{end:.1}\"/>{}<text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                last.1,
                right + 12.0,
                mark(series.index, right + 18.0, end, None),
                right + 26.0,
                end + 4.0,
                text(&series.name, NAME)
            );
        }
        svg.push_str("</g>");
    }
}

/// Adds a point to the path of a line, which begins anew after a gap.
pub(super) fn line_to(path: &mut String, left: f64, top: f64, after_gap: bool) {
    path.push(if path.is_empty() || after_gap { 'M' } else { 'L' });
    place(path, left);
    path.push(',');
    place(path, top);
}

/// Returns the tooltip of a point.
fn tooltip(plot: &Plot, point: &Point) -> String {
    let own = plot
        .x
        .ticks
        .iter()
        .find(|(at, _)| (*at - point.x).abs() < 1e-9)
        .map(|(_, label)| label.clone());
    let x = own.unwrap_or_else(|| figure(plot.x.unit, point.x));
    let interval = match point.lower.zip(point.upper) {
        Some((lower, upper)) => {
            format!(" ({} to {})", figure(plot.y.unit, lower), figure(plot.y.unit, upper))
        }
        None => String::new(),
    };
    text(&format!("at {x}: {}{interval}", figure(plot.y.unit, point.y)), 200)
}
