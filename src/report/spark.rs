//! Lines of figures so small that they stand in a table.

/// Eight heights, and what stands for no figure.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NONE: char = '·';

/// A bar for each figure, by its logarithm between the least and the greatest of them all; a dot where there is none.
#[must_use]
pub(super) fn sparks(figures: &[Option<f64>]) -> String {
    let log = |figure: &Option<f64>| {
        figure.filter(|figure| figure.is_finite() && *figure > 0.0).map(f64::ln)
    };
    let logs: Vec<Option<f64>> = figures.iter().map(log).collect();
    let known = || logs.iter().flatten().copied();
    let (least, most) =
        (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let bar = |log: f64| match most - least {
        range if range > 0.0 => BARS[((log - least) / range * 7.0).round() as usize],
        _ => BARS[0],
    };
    logs.into_iter().map(|log| log.map_or(NONE, bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_the_logarithm_and_what_is_no_figure_is_a_dot() {
        let figures = [Some(1.0), Some(10.0), Some(100.0), None, Some(f64::NAN), Some(0.0)];
        assert_eq!(sparks(&figures), "▁▅█···");
        assert_eq!(sparks(&[Some(3.0), Some(3.0)]), "▁▁");
        assert_eq!(sparks(&[]), "");
    }
}
