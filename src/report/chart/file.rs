//! Charts as files of their own: SVG with its own colours.

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
