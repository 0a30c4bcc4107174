//! Small line charts: only the shapes, for several workloads side by side.

use std::fmt::Write;

use super::{
    Plot, Point, Series, classes,
    place::{AxisRange, raw},
    plot::line_to,
    words::text,
};

const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 118.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;

/// Returns the lines of a plot as a small `svg` element, with only the first and the last tick of each axis.
pub fn small(plot: &Plot) -> String {
    let mut svg = format!(
        "<svg class=\"chart small\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\" xmlns=\"http://www.w3.org/2000/svg\"><title>{0}</title><desc>{1}</desc>",
        text(&plot.title, 120),
        text(&plot.desc, 400)
    );
    let drawn = |series: &Series| -> Vec<Point> {
        let placed = |point: &&Point| {
            raw(plot.x.scale, point.x).is_some() && raw(plot.y.scale, point.y).is_some()
        };
        series.points.iter().filter(placed).copied().collect()
    };
    let lines: Vec<(usize, Vec<Point>)> =
        plot.series.iter().map(|series| (series.index, drawn(series))).collect();
    let points = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let axes = (
        AxisRange::over(&plot.x, points().map(|point| point.x)),
        AxisRange::over(&plot.y, points().map(|point| point.y)),
    );
    let (Some(x), Some(y)) = axes else {
        let _ = write!(svg, "<text x=\"8\" y=\"70\">nothing was measured</text></svg>");
        return svg;
    };
    let left = |share: f64| LEFT + share * (WIDTH - LEFT - RIGHT);
    let top = |share: f64| TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM);
    svg.push_str("<g class=\"grid\">");
    for (share, label) in ends(x.ticks()) {
        let (at, bottom) = (left(share), HEIGHT - BOTTOM);
        let _ = write!(
            svg,
            "<path d=\"M{at:.1},{TOP}V{bottom}\"/><text class=\"{}\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            if share > 0.5 { "y" } else { "x" },
            HEIGHT - 5.0,
            text(&label, 24)
        );
    }
    for (share, label) in ends(y.ticks()) {
        let at = top(share);
        let _ = write!(
            svg,
            "<path d=\"M{LEFT},{at:.1}H{}\"/><text class=\"y\" x=\"{}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 4.0,
            at + 4.0,
            text(label.trim_end_matches("/s"), 24)
        );
    }
    svg.push_str("</g>");
    for (index, points) in &lines {
        for unbroken in points.chunk_by(|_, next| !next.after_gap) {
            let place = |point: &Point| Some((left(x.at(point.x)?), top(y.at(point.y)?)));
            let placed: Vec<(f64, f64)> = unbroken.iter().filter_map(place).collect();
            line(&mut svg, *index, &placed);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Returns the first and the last tick.
fn ends(mut ticks: Vec<(f64, String)>) -> Vec<(f64, String)> {
    if ticks.len() > 2 {
        ticks.drain(1..ticks.len() - 1);
    }
    ticks
}

/// Adds a line; one of a single point is a dot, as wide as a round pen.
fn line(svg: &mut String, index: usize, points: &[(f64, f64)]) {
    let mut d = String::new();
    for (x, y) in points {
        line_to(&mut d, *x, *y, false);
    }
    let class = match points {
        [] => return,
        [_] => {
            d.push_str("h0");
            "l dot"
        }
        _ => "l",
    };
    let _ = write!(svg, "<g class=\"{}\"><path class=\"{class}\" d=\"{d}\"/></g>", classes(index));
}
