//! Charts as files of their own: SVG with its own colours, and pixels.

use std::sync::Arc;

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree, fontdb},
};

/// The light palette; the page has the same, and one for the dark.
const STYLE: &str = include_str!("chart.css");

/// The `svg` element as a file.
#[must_use]
pub fn file(svg: &str) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let head = svg.split_once('>').map_or(svg, |(head, _)| head);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}><style>{STYLE}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}\n"
    )
}

/// The file as PNG, so many pixels wide.
///
/// # Errors
///
/// Returns a sentence where this machine has no font, without which no name could be read, or the picture has no room
/// in memory.
pub fn png(file: &str, width: u32) -> Result<Vec<u8>, String> {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    let Some(family) = sans(&fonts) else {
        return Err("there is no font to write with: install one, such as fonts-dejavu-core, or use --format svg".into());
    };
    let options = Options { font_family: family, fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(file, &options)
        .map_err(|error| format!("cannot draw the chart: {error}"))?;
    let scale = width as f32 / tree.size().width();
    let height = (tree.size().height() * scale).ceil() as u32;
    let mut pixels = Pixmap::new(width, height)
        .ok_or("there is no room for so wide a picture: choose a smaller --width")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| format!("cannot write the chart as PNG: {error}"))
}

/// Families without serifs that are widely installed.
const USUAL: [&str; 6] =
    ["Inter", "Noto Sans", "DejaVu Sans", "Liberation Sans", "Helvetica", "Arial"];

/// A family without serifs, the usual ones first.
fn sans(fonts: &fontdb::Database) -> Option<String> {
    let families =
        || fonts.faces().filter_map(|face| face.families.first().map(|(name, _)| name.clone()));
    USUAL
        .iter()
        .find_map(|usual| families().find(|family| family == usual))
        .or_else(|| families().next())
}
