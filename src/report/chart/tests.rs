//! Tests charts from outside.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{
    Axis, Bar, Bars, Curve, MARKERS, Mark, Plot, Point, Scale, Series, Unit, bars, classes, file,
    place::AxisRange,
    plot, small,
    words::{figure, tick},
};

fn axis(scale: Scale, unit: Unit) -> Axis {
    Axis { label: "jobs".into(), scale, unit, ticks: vec![] }
}

fn line(name: &str, points: &[(f64, f64)]) -> Series {
    let point = |(x, y): &(f64, f64)| Point { x: *x, y: *y, ..Point::default() };
    Series { name: name.into(), index: 3, points: points.iter().map(point).collect() }
}

fn plot_of(series: Vec<Series>) -> Plot {
    Plot {
        title: "a & b".into(),
        desc: "what is seen".into(),
        x: axis(Scale::Log, Unit::Count),
        y: axis(Scale::Log, Unit::PerSecond),
        series,
        ..Plot::default()
    }
}

/// Returns the texts of the ticks of an axis over these values.
fn ticks(scale: Scale, unit: Unit, values: &[f64]) -> Vec<String> {
    let range = AxisRange::over(&axis(scale, unit), values.iter().copied()).unwrap();
    range.ticks().into_iter().map(|(_, text)| text).collect()
}

#[test]
fn ticks_are_round_and_in_the_unit_of_the_axis() {
    assert_eq!(ticks(Scale::Log, Unit::Count, &[1.0, 1e6])[..3], ["1", "10", "100"]);
    assert_eq!(
        ticks(Scale::Log, Unit::Nanoseconds, &[800.0, 2e6]),
        ["1 µs", "10 µs", "100 µs", "1 ms"]
    );
    assert_eq!(ticks(Scale::Linear, Unit::Ratio, &[1.0, 8.0]), ["0×", "2×", "4×", "6×", "8×"]);
    assert_eq!(ticks(Scale::Log, Unit::Ratio, &[0.93, 1.06]), ["0.95×", "1×", "1.05×"]);
    assert_eq!(
        ticks(Scale::Percentile, Unit::Share, &[0.0, 0.9992]),
        ["0 %", "50 %", "90 %", "99 %", "99.9 %"]
    );
    assert!(ticks(Scale::Log, Unit::Bytes, &[300.0, 5e6]).contains(&"64 KiB".to_owned()));
    for span in [2.0, 30.0, 1e3, 1e9, 1e15] {
        let count = ticks(Scale::Log, Unit::Count, &[1.0, span]).len();
        assert!((2..=14).contains(&count), "{count} ticks up to {span}");
    }
}

#[test]
fn nines_are_as_far_apart_from_each_other_and_a_whole_has_no_place() {
    let range =
        AxisRange::over(&axis(Scale::Percentile, Unit::Share), [0.0, 0.999].into_iter()).unwrap();
    let at = |share: f64| range.at(share).unwrap();
    assert!((at(0.99) - at(0.9) - (at(0.999) - at(0.99))).abs() < 1e-9);
    assert!(at(0.0).abs() < 1e-12);
    assert_eq!(range.at(1.0), None);
}

#[test]
fn figures_have_three_digits_and_ticks_no_more_than_they_need() {
    assert_eq!(figure(Unit::Nanoseconds, 12_345.0), "12.3 µs");
    assert_eq!(figure(Unit::PerSecond, 48_211.0), "48.2k/s");
    assert_eq!(tick(Unit::Bytes, 1536.0), "1.5 KiB");
    assert_eq!(tick(Unit::Share, 0.9999), "99.99 %");
}

#[test]
fn no_two_of_the_first_56_series_look_the_same() {
    let looks = (0..56).map(|index| (classes(index), index % MARKERS.len()));
    assert_eq!(looks.collect::<HashSet<_>>().len(), 56);
}

#[test]
fn a_line_is_broken_where_a_place_has_no_figure() {
    let mut series = line("x", &[(1.0, 100.0), (100.0, 900.0), (1_000.0, 800.0)]);
    let begins = |svg: &str| {
        let (_, path) = svg.split_once("<path class=\"l\" d=\"").unwrap();
        path.split('"').next().unwrap().matches('M').count()
    };
    assert_eq!(begins(&plot(&plot_of(vec![series.clone()]))), 1);
    series.points[1].after_gap = true;
    let broken = plot_of(vec![series]);
    assert_eq!(begins(&plot(&broken)), 2);
    let small = small(&broken);
    assert_eq!((small.matches("\"l dot\"").count(), begins(&small)), (1, 1), "{small}");
}

#[test]
fn points_without_a_place_are_left_out_and_of_none_it_is_said() {
    let bad = [(1.0, f64::NAN), (0.0, 5.0), (2.0, f64::INFINITY), (3.0, -1.0)];
    assert!(plot(&plot_of(vec![line("x", &bad)])).contains("nothing was measured"));
    let mut points = bad.to_vec();
    points.push((10.0, 100.0));
    let svg = plot(&plot_of(vec![line("x", &points)]));
    assert_eq!(svg.matches("<title>").count(), 2, "the picture's, and one point's: {svg}");
    assert!(bars(&Bars::default()).contains("nothing was measured"));
}

#[test]
fn a_bound_far_above_does_not_press_the_lines_to_the_floor() {
    let near = plot(&plot_of(vec![line("x", &[(1.0, 10.0), (10.0, 100.0)])]));
    let mut far = plot_of(vec![line("x", &[(1.0, 10.0), (10.0, 100.0)])]);
    far.bound = Some(Curve { name: "bound".into(), points: vec![(1.0, 1e9), (10.0, 1e9)] });
    let path = |svg: &str| {
        svg.split("class=\"l\" d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!(path(&near), path(&plot(&far)));
}

#[test]
fn names_at_the_ends_of_lines_do_not_cover_each_other() {
    let same = (0..20).map(|index| line(&format!("m{index}"), &[(1.0, 10.0), (10.0, 100.0)]));
    let svg = plot(&plot_of(same.collect()));
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let named = parsed.descendants().filter(|node| node.attribute("class") == Some("n"));
    let mut places: Vec<f64> =
        named.map(|node| node.attribute("y").unwrap().parse().unwrap()).collect();
    places.sort_by(f64::total_cmp);
    assert_eq!(places.len(), 20);
    assert!(places.array_windows().all(|[one, next]| next - one > 13.0), "{places:?}");
}

#[test]
fn hostile_names_stay_text() {
    let mut hostile = plot_of(vec![line("<script>]]>\u{202e}\"'&", &[(1.0, 2.0)])]);
    hostile.marks.push(Mark {
        at: 1.0,
        within: None,
        label: "<b>".into(),
        note: "\u{7}<i>".into(),
    });
    let svg = plot(&hostile);
    assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains('\u{202e}'), "{svg}");
    roxmltree::Document::parse(&svg).unwrap();
    let row = Bar { name: "<u>".into(), value: Some(1.0), note: "<s>".into(), ..Bar::default() };
    roxmltree::Document::parse(&bars(&Bars { rows: vec![row], ..Bars::default() })).unwrap();
}

#[test]
fn a_file_has_its_own_colours() {
    let svg = file(&plot(&plot_of(vec![line("tokio", &[(1.0, 10.0), (10.0, 100.0)])])));
    assert!(svg.starts_with("<?xml") && !svg.contains("var("));
    roxmltree::Document::parse(&svg).unwrap();
}

/// Checks that all points have positions within the chart.
fn check_places(points: Vec<(f64, f64)>, scale: Scale) {
    let mut of = plot_of(vec![line("x", &points)]);
    of.y.scale = scale;
    of.bound = Some(Curve { name: "b".into(), points });
    let svg = plot(&of);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    for node in parsed.descendants().filter(|node| node.attribute("class") == Some("m")) {
        let at = |axis: &str| node.attribute(axis).unwrap().parse::<f64>().unwrap();
        let (x, y) = (at("x"), at("y"));
        assert!((0.0..=760.0).contains(&x) && (0.0..=400.0).contains(&y), "{x} {y}");
    }
}

#[test]
fn an_axis_whose_length_is_no_float_is_drawn_without_its_ends() {
    check_places(vec![(0.0, -1.79e308), (1.39e-136, 0.0)], Scale::Linear);
    check_places(vec![(1.0, -1.79e308), (2.0, 1.79e308), (3.0, 1.0)], Scale::Linear);
}

proptest! {
    #[test]
    fn whatever_the_figures_are_every_place_is_in_the_picture(
        points in prop::collection::vec((any::<f64>(), any::<f64>()), 1..40),
        scale in prop::sample::select(vec![Scale::Linear, Scale::Log]),
    ) {
        check_places(points, scale);
    }
}

#[test]
fn a_small_chart_has_a_shape_for_every_line_and_a_dot_for_a_single_point() {
    let svg = small(&plot_of(vec![
        line("one", &[(1.0, 10.0)]),
        line("two", &[(1.0, 5.0), (10.0, 50.0), (100.0, f64::NAN)]),
        line("none", &[(0.0, 1.0)]),
    ]));
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let of = |class: &str| {
        parsed.descendants().filter(|node| node.attribute("class") == Some(class)).count()
    };
    assert_eq!((of("l dot"), of("l")), (1, 1), "{svg}");
    assert!(!svg.contains("NaN") && svg.contains("a &amp; b"), "{svg}");
    let nothing = small(&plot_of(vec![]));
    assert!(
        roxmltree::Document::parse(&nothing).is_ok() && nothing.contains("nothing was measured")
    );
}
