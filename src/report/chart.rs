//! Charts as SVG: pure functions from data to text, without a clock, a file or a page.
//!
//! A chart is one `svg` element with its name, a description, and a title for each point. Series differ in colour,
//! dashes and markers together. Colours and dashes are classes, which the page's style sheet defines for light and dark
//! mode; [`file()`] includes its own.

mod bars;
mod place;
mod plot;
mod small;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use bars::bars;
pub use plot::plot;
pub use small::small;
pub use types::{Axis, Bar, Bars, Curve, Mark, Plot, Point, Scale, Series, Unit};

use std::fmt::Write;

use words::place;

/// The light palette; the page has the same, and a dark one.
const STYLE: &str = include_str!("chart/chart.css");
/// The number of colours; the page's palette has two shades of each, for light and dark mode.
const COLOURS: usize = 8;
/// The number of dash patterns in the style sheets.
const DASHES: usize = 4;
/// Markers around the origin. A mark refers to one by its name, as in `m0`: repeated shapes were a fifth of a page.
const MARKERS: [&str; 7] = [
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z",
    "M-3.2,-3.2h6.4v6.4h-6.4z",
    "M0,-4.2L4,3.2H-4z",
    "M0,-4.4L4.4,0L0,4.4L-4.4,0z",
    "M0,4.2L4,-3.2H-4z",
    "M-4.2,-1.3h2.9v-2.9h2.6v2.9h2.9v2.6h-2.9v2.9h-2.6v-2.9h-2.9z",
    "M-3.9,-2.6l1.3,-1.3l2.6,2.6l2.6,-2.6l1.3,1.3l-2.6,2.6l2.6,2.6l-1.3,1.3l-2.6,-2.6l-2.6,2.6l-1.3,-1.3l2.6,-2.6z",
];

/// Returns the `svg` element as a file.
pub fn file(svg: &str) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let head = svg.split_once('>').map_or(svg, |(head, _)| head);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}><style>{STYLE}</style>{}<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}\n",
        markers()
    )
}

/// Returns the definitions of the markers, once for a file or a page.
pub fn markers() -> String {
    let define = |(name, shape): (usize, &&str)| format!("<path id=\"m{name}\" d=\"{shape}\"/>");
    format!("<defs>{}</defs>", MARKERS.iter().enumerate().map(define).collect::<String>())
}

/// Returns a line with its marker for a legend.
pub fn swatch(index: usize) -> String {
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 36 14\" class=\"swatch {}\" aria-hidden=\"true\"><path class=\"l\" d=\"M1,7H35\"/>{}</svg>",
        classes(index),
        mark(index, 18.0, 7.0, None)
    );
    svg
}

/// Returns the classes of a series: its colour and its dashes.
pub(super) fn classes(index: usize) -> String {
    format!("c{} d{}", index % COLOURS, index / COLOURS % DASHES)
}

/// Returns a mark of a series, with its tooltip. Eight colours and seven markers have no common factor: the first 56
/// series differ even without dashes.
fn mark(index: usize, left: f64, top: f64, tooltip: Option<&str>) -> String {
    let mut svg = format!("<use class=\"m\" href=\"#m{}\" x=\"", index % MARKERS.len());
    place(&mut svg, left);
    svg.push_str("\" y=\"");
    place(&mut svg, top);
    match tooltip {
        Some(tooltip) => svg + "\"><title>" + tooltip + "</title></use>",
        None => svg + "\"/>",
    }
}
