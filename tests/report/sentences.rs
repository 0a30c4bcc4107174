//! The sentences on each workload: at most four, and none that compares placements, whatever was measured.

use std::path::Path;

use paceline::{
    record::{Cell, Estimate, PerTrial, Resources, State},
    report::Charts,
    stats::Mode,
};
use paceline_core::{histogram::Histogram, perform::Placement};
use regex::{Captures, Regex};

use super::{BENCH, found, page_of, sample_run};

/// What the cells of one placement have in common.
const KINDS: [&str; 13] = [
    "no cell",
    "not measured",
    "few trials",
    "one model",
    "one lacks its second cell",
    "one leads",
    "a tie",
    "a tail",
    "memory",
    "two modes",
    "timers",
    "unreliable",
    "a crossing, a tail, memory, two modes, timers, unreliable",
];
/// The kinds without a ranking.
const UNRANKED: [&str; 4] = ["no cell", "not measured", "few trials", "one model"];

/// The words for the reliable models of each placement.
const INSIDE: [&str; 2] = ["rayon", "tokio"];
const OUTSIDE: [&str; 2] = ["thread", "compio"];

/// Returns the cells of the models of one placement, at two scales.
fn cells(workload: &str, class: Placement, kind: &str) -> Vec<Cell> {
    let is = |word: &str| kind.contains(word);
    let inside = class == Placement::Inside;
    let models = if inside { ["rayon", "tokio", "may"] } else { ["threads", "compio", "may"] };
    let many = match kind {
        "no cell" => 0,
        "one model" => 1,
        _ => 2 + usize::from(is("unreliable")),
    };
    let of = |scale: usize, place: usize| {
        let model = models[place];
        let placement = if model == "compio" { Placement::Dealt } else { class };
        // So that a model has a line of its own in each placement.
        let workers = if inside { 2 } else { 4 };
        let workers = (model != "threads").then_some(workers);
        let blank = |state| Cell::new(workload, model, scale, workers, placement, state);
        if is("not measured") || (is("lacks") && place == 1 && scale > 10) {
            let reason = Some(
                "needs 9 open files, has 8; raise the hard limit as root: prlimit --nofile=9"
                    .into(),
            );
            return Cell { reason, ..blank(State::Refused) };
        }
        let around = |value: f64| {
            let mut trials = [0.99, 1.0, 1.01, 1.0, 1.0].map(|share| share * value).to_vec();
            trials.rotate_left(place);
            trials.truncate(if is("few trials") { 2 } else { 5 });
            trials
        };
        let leader = usize::from(is("a crossing") && scale > 10);
        let speed = match place {
            2 => 4.0,
            _ if place == leader || is("a tie") => 2.0,
            _ => 1.0,
        };
        let rates = around(1e4 * speed);
        let p99s = around(if is("a tail") { 1e8 * speed } else { 1e8 / speed });
        let memory = around(if is("memory") { 1e7 * speed } else { 1e7 });
        let mut late = Histogram::default();
        late.record(if place == 0 { 50_000 } else { 2_000_000 });
        let two_modes = [5e6, 8e7].map(|ns| Mode { ns, share: 0.5 });
        Cell {
            floor_ns: 10_000_000,
            jobs_per_second: Estimate::of_trials(&rates, 0.0),
            latency_ns_p99: Estimate::of_trials(&p99s, 0.0),
            modes: is("two modes").then_some(two_modes),
            timer_lateness: late.distribution().filter(|_| is("timers")),
            resources: Some(Resources {
                rss_bytes_max: Estimate::of_trials(&memory, 0.0),
                ..Resources::default()
            }),
            per_trial: PerTrial {
                jobs_per_second: rates,
                latency_ns_p99: p99s,
                rss_bytes_max: memory,
                ..PerTrial::default()
            },
            ..blank(State::Ok)
        }
    };
    (0..many).flat_map(|place| [10, 1_000].map(|scale| of(scale, place))).collect()
}

/// A workload as a page shows it.
struct Shown {
    name: String,
    /// The text on the first screen.
    first: String,
    /// The points at the beginning of its section.
    points: Vec<String>,
}

fn workloads(page: &str) -> Vec<Shown> {
    let card =
        r##"(?s)<div><a href="#(r\d+-w\d+)"><strong>(.*?)</strong>.*?</a><p>(.*?)</p></div>"##;
    let shown = |card: Captures<'_>| {
        let (_, section) = page.split_once(&format!("<section id=\"{}\"", &card[1])).unwrap();
        let (_, list) = section.split_once("<ul>").unwrap();
        let points = found("(?s)<li>(.*?)</li>", list.split_once("</ul>").unwrap().0);
        Shown {
            name: card[2].into(),
            first: card[3].into(),
            points: points.into_iter().map(str::to_owned).collect(),
        }
    };
    Regex::new(card).unwrap().captures_iter(page).map(shown).collect()
}

/// Returns the number of its sentences, which are all whole, after checking that it is at most four.
fn checked(of: &Shown) -> usize {
    let (name, points) = (&of.name, &of.points);
    let end = Regex::new(r"[.!?](\s|$)").unwrap();
    let sentences: usize = points.iter().map(|point| end.find_iter(point).count()).sum();
    assert!((1..=4).contains(&sentences), "{name}: {sentences} sentences in {points:?}");
    assert!(points.iter().all(|point| point.ends_with('.')), "{name}: {points:?}");
    assert_eq!(of.first, points[0], "{name}");
    sentences
}

#[test]
fn a_workload_has_at_most_four_sentences_and_none_compares_placements() {
    let mut record = sample_run::record();
    record.cells.clear();
    record.trials.clear();
    let mut kinds = Vec::new();
    for inside in KINDS {
        for outside in KINDS {
            let workload = format!("w{}", kinds.len());
            let of = [
                cells(&workload, Placement::Inside, inside),
                cells(&workload, Placement::Outside, outside),
            ]
            .concat();
            if !of.is_empty() {
                record.cells.extend(of);
                kinds.push([inside, outside]);
            }
        }
    }
    let all = workloads(&page_of(&record));
    assert_eq!(all.len(), kinds.len());
    let mut most = 0_usize;
    for (of, kinds) in all.iter().zip(&kinds) {
        most = most.max(checked(of));
        let ranked = kinds.map(|kind| !UNRANKED.contains(&kind));
        let Shown { first, points, .. } = of;
        assert_eq!(first.starts_with("Nothing is ranked"), ranked == [false; 2], "{first}");
        if ranked == [true; 2] {
            assert!(first.starts_with("Inside: ") && first.contains("; outside: "), "{first}");
        }
        for part in points.iter().flat_map(|point| point.split("; ")) {
            let names = |words: [&str; 2]| words.iter().any(|word| part.contains(word));
            assert!(!part.contains("may"), "{kinds:?}: {part}");
            assert!(!(names(INSIDE) && names(OUTSIDE)), "{kinds:?}: {part}");
            let of = part.to_lowercase();
            assert!(!(of.starts_with("inside: ") && names(OUTSIDE)), "{kinds:?}: {part}");
            assert!(!(of.starts_with("outside: ") && names(INSIDE)), "{kinds:?}: {part}");
        }
    }
    assert_eq!(most, 4, "no workload has a sentence of each kind");
}

#[test]
fn a_workload_of_a_recorded_run_has_at_most_four_sentences() {
    let bench = paceline::record::read(BENCH.as_ref()).unwrap();
    for record in [bench, sample_run::record(), sample_run::hostile()] {
        let all = workloads(&page_of(&record));
        assert_eq!(all.len(), record.workloads().len());
        let sentences: usize = all.iter().map(checked).sum();
        assert!(sentences > all.len());
    }
}

#[test]
fn the_small_chart_of_a_workload_without_figures_is_named_after_it() {
    let record = sample_run::only_refused();
    let page = page_of(&record);
    for workload in record.workloads() {
        assert!(page.contains(&format!("<title>{workload}: ")), "{workload}");
    }
}

#[test]
fn a_chart_of_both_placements_has_no_band_and_breaks_lines_at_scales_without_a_figure() {
    let record = paceline::record::read(Path::new(BENCH)).unwrap();
    let svg = Charts::of(&record).svg("echo/throughput").unwrap();
    // A band would say that a model offered jobs from outside overtakes one offered them from inside.
    assert!(!svg.contains("class=\"mark\""));
    let pool = svg.split("<g ").find(|group| group.contains(">pool</text>")).unwrap();
    let (_, line) = pool.split_once("class=\"l\" d=\"").unwrap();
    assert_eq!(line.split('"').next().unwrap().matches('M').count(), 2, "none at 10");
    assert!(page_of(&record).contains("Where the best changes hands: inside"));
}
