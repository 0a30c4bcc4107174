//! Charts as SVG: pure functions from what is to be seen to text, without a clock, a file or a page around it.
//!
//! A picture is one `svg` element with its name, a description, and a title for each point. Series are told apart by
//! colour, dashes and markers together. Colours and dashes are classes, which the page's style sheet fills in for light
//! and dark; [`file()`] brings its own.

mod bars;
mod file;
mod look;
mod place;
mod plot;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use bars::bars;
pub use file::file;
pub use look::swatch;
pub use plot::plot;
pub use types::{Axis, Bar, Bars, Curve, Mark, Plot, Point, Scale, Series, Unit};
