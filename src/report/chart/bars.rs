//! Bar charts: one row for each figure.

use std::fmt::Write;

use super::{
    Bar, Bars, Scale, classes, mark,
    place::AxisRange,
    plot::{below, open},
    words::{figure, text},
};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 246.0;
const RIGHT: f64 = 152.0;
const TOP: f64 = 8.0;
const ROW: f64 = 22.0;
const BOTTOM: f64 = 44.0;
/// The longest name of a row, in characters.
const NAME: usize = 29;
/// The longest note at the end of a row.
const NOTE: usize = 24;

/// Returns the rows as an `svg` element.
pub fn bars(bars: &Bars) -> String {
    let height = TOP + BOTTOM + ROW * bars.rows.len().max(1) as f64;
    let mut svg = open(&bars.title, &bars.desc, height);
    let values = bars.rows.iter().flat_map(|row| {
        row.value.into_iter().chain(row.interval.into_iter().flat_map(|(a, b)| [a, b]))
    });
    let around = bars.line.into_iter().chain(bars.band.into_iter().flat_map(|(a, b)| [a, b]));
    let Some(range) = AxisRange::over(&bars.x, values.chain(around)) else {
        let _ = write!(
            svg,
            "<text x=\"8\" y=\"24\">nothing was measured that could be drawn</text></svg>"
        );
        return svg;
    };
    let width = WIDTH - LEFT - RIGHT;
    let at = |value: f64| range.within(value).map(|share| LEFT + share * width);
    let bottom = height - BOTTOM;
    svg.push_str("<g class=\"grid\">");
    below(&mut svg, &range, LEFT, width, (TOP, bottom), 16.0);
    let _ = write!(
        svg,
        "</g><text class=\"x axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT + width / 2.0,
        bottom + 35.0,
        text(&bars.x.label, 60)
    );
    if let Some((from, to)) = bars.band.and_then(|(from, to)| at(from).zip(at(to))) {
        let _ = write!(
            svg,
            "<g class=\"mark\"><rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/></g>",
            to - from,
            bottom - TOP
        );
    }
    if let Some(line) = bars.line.and_then(at) {
        let _ = write!(svg, "<path class=\"zero\" d=\"M{line:.1},{TOP}V{bottom:.1}\"/>");
    }
    for (index, row) in bars.rows.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        draw(&mut svg, bars, row, middle, &at);
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, bars: &Bars, row: &Bar, middle: f64, at: &dyn Fn(f64) -> Option<f64>) {
    let note = text(&row.note, NOTE);
    let _ = write!(
        svg,
        "<g class=\"{}\" data-s=\"{}\"><text class=\"y n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        classes(row.index),
        row.index,
        LEFT - 10.0,
        middle + 4.0,
        text(&row.name, NAME)
    );
    if let Some(left) = row.value.and_then(at) {
        if let Some((from, to)) = row.interval.and_then(|(from, to)| at(from).zip(at(to))) {
            let (up, down) = (middle - 4.0, middle + 4.0);
            let _ = write!(
                svg,
                "<path class=\"e\" d=\"M{from:.1},{middle:.1}H{to:.1}M{from:.1},{up:.1}V{down:.1}M{to:.1},{up:.1}V{down:.1}\"/>"
            );
        } else if bars.x.scale == Scale::Linear {
            let zero = at(0.0).unwrap_or(LEFT);
            let _ = write!(svg, "<path class=\"b\" d=\"M{zero:.1},{middle:.1}H{left:.1}\"/>");
        } else {
            // A bar on a logarithmic axis has no start: a thin line only guides the eye.
            let _ = write!(svg, "<path class=\"lead\" d=\"M{LEFT},{middle:.1}H{left:.1}\"/>");
        }
        let value = row.value.map_or_else(String::new, |value| figure(bars.x.unit, value));
        let tooltip = format!("{}\n{}", text(&row.name, 80), text(&value, 60));
        svg.push_str(&mark(row.index, left, middle, Some(&tooltip)));
    }
    let _ = write!(
        svg,
        "<text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{note}</text></g>",
        WIDTH - RIGHT + 8.0,
        middle + 4.0
    );
}
