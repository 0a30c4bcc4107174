//! The first screen of a run, and the figures behind its sentences.

use askama::Template;

use super::{
    charts,
    lines::{lines, widest, words},
    matrix::{Chip, Matrix},
    parts::{Data, Table, name},
};
use crate::{
    advice::{
        Advice, AtScale, Figure, MARGIN, Recommended, Series, advise, caveat, is_discontinued,
    },
    output::{count, listed, long_ns_f64, rate},
    record::{Cell, Estimate, MOST_SERVER_BUSY, Metric, Run, SHORTEST_RANKED_NS, State},
    report::{
        advice::{busy, title},
        advice_in_brief,
        chart::small,
        floor_line,
        gate::figure,
        table::{in_order, series_name},
    },
    stats::FEWEST_TRIALS,
};
use paceline_core::{models::unreliable, perform::Placement};

/// The recommendations for one workload.
pub(super) struct WorkloadSummary {
    pub(super) workload: String,
    /// The id of the section with its charts.
    pub(super) id: String,
    /// At most four sentences.
    pub(super) sentences: Vec<String>,
    /// The figures behind them, for each placement class.
    pub(super) tables: Vec<Table>,
    /// The advice for each placement class that has figures.
    pub(super) classes: Vec<(Placement, Advice)>,
    /// A small chart of throughput over the scale.
    pub(super) small: String,
}

impl WorkloadSummary {
    /// Summarises the cells of one workload.
    pub(super) fn of(workload: &str, id: String, cells: &[&Cell]) -> Self {
        let advice_on = |cells: Vec<&Cell>| advise(&cells.into_iter().cloned().collect::<Vec<_>>());
        // Placement classes are not comparable, so each has its own advice. Nobody is told to take an unreliable model.
        let class = |placement: Placement| {
            let of = |cell: &&Cell| cell.class() == placement && unreliable(&cell.model).is_none();
            let of: Vec<&Cell> = cells.iter().copied().filter(of).collect();
            of.iter().any(|cell| cell.state == State::Ok).then(|| (placement, advice_on(of)))
        };
        let classes: Vec<(Placement, Advice)> =
            [Placement::Inside, Placement::Outside].into_iter().filter_map(class).collect();
        let mut sentences = advice_in_brief(&classes);
        if sentences.is_empty() {
            sentences.push(
                "Nothing is ranked: the figures, or the reasons why there are none, are below."
                    .into(),
            );
        }
        let (unit, at) = words(cells.iter().copied());
        let title = "The recommended model at each scale, with its figures";
        let table = |(title, advice): (String, &Advice)| table(advice, title, (unit, at));
        let tables = titled(title, &classes).map(table).collect();
        let lines = lines(cells);
        let plot = charts::throughput(unit, at, &widest(&lines), &classes);
        WorkloadSummary {
            workload: name(workload),
            id,
            sentences,
            tables,
            small: small(&plot),
            classes,
        }
    }

    /// Returns the first sentence, which can stand alone.
    pub(super) fn first(&self) -> &str {
        self.sentences.first().map_or("", String::as_str)
    }
}

/// Returns the advice for each class under this title, which names the class if there are two.
pub(super) fn titled<'a>(
    title: &'a str,
    classes: &'a [(Placement, Advice)],
) -> impl Iterator<Item = (String, &'a Advice)> {
    let title = move |placement: Placement| match classes.len() {
        1 => title.to_owned(),
        _ => format!("{title}: {placement}"),
    };
    classes.iter().map(move |(placement, advice)| (title(*placement), advice))
}

/// The first screen of a run: the matrix, small charts, a sentence on each workload, and what was not measured.
#[derive(Template)]
#[template(path = "first.html")]
pub(super) struct FirstScreen<'s> {
    pub(super) matrix: Matrix,
    /// What is counted per second, and what a scale is.
    pub(super) words: (&'static str, &'static str),
    /// All models, for the legend.
    pub(super) models: Vec<Chip>,
    pub(super) workloads: &'s [WorkloadSummary],
    pub(super) missing: String,
    pub(super) holds: Vec<String>,
}

/// Returns what applies to every sentence and mark.
pub(super) fn holds(run: &Run, workloads: &[WorkloadSummary]) -> Vec<String> {
    let mut lines = vec![
        format!(
            "Models named together in the matrix are the best and its statistical ties: no test over the passes, paired \
             where both ran, shows that a tied model is over 0.2 % behind the best (at 5 %, with Holm's correction over \
             all models). Not ranked are cells of fewer than {FEWEST_TRIALS} trials, jobs that wait for less than {} ms, and cells in \
             which paceline's own echo server was busy for over {:.0} % of the time.",
            SHORTEST_RANKED_NS / 1_000_000,
            MOST_SERVER_BUSY * 100.0
        ),
        format!(
            "The sentences never compare one placement with the other. They name the simplest model that keeps up: with \
             95 % confidence it is less than {:.0} % behind the best of its placement in throughput and, where that is \
             ranked, in p99 latency. Discontinued models are not that best: one may be faster than all that keep up.",
            MARGIN * 100.0
        ),
    ];
    let mut set_apart = |what: &str, is: fn(&str) -> bool| {
        let names = run.models.iter().map(|model| &*model.name).filter(|model| is(model));
        let names: Vec<String> = names.map(name).collect();
        if !names.is_empty() {
            lines.push(format!("{what}: {}.", listed(&names, 12)));
        }
    };
    set_apart("Discontinued, and never recommended", is_discontinued);
    set_apart("Unreliable, and left out of the sentences", |model| unreliable(model).is_some());
    let known = |model: &str| caveat(model).filter(|_| unreliable(model).is_none());
    for why in in_order(run.models.iter().filter_map(|model| known(&model.name))) {
        let of = run.models.iter().filter(|model| known(&model.name) == Some(why));
        let of: Vec<String> = of.map(|model| name(&model.name)).collect();
        lines.push(format!("Before you take {}: {why}.", listed(&of, 12)));
    }
    let classes = workloads.iter().flat_map(|of| &of.classes);
    let load = classes.filter_map(|(_, advice)| advice.other_load_share);
    lines.extend(busy(load.reduce(f64::max)));
    lines.extend(run.timer_floor.as_ref().map(|floor| format!("Timers: {}.", floor_line(floor))));
    lines.push(
        "All of this holds for these jobs on this machine: measure again on the machine that will run them."
            .into(),
    );
    lines
}

/// Returns, for each scale, the recommended model with its figures, and the best by each measure. `unit` is what is
/// counted per second, and `at` what a scale is.
fn table(advice: &Advice, title: String, (unit, at): (&str, &str)) -> Table {
    let head = format!(
        "{at} | recommended | {unit} | p99 latency | peak memory | also less than 5 % behind"
    );
    let mut table = Table::new(title, &head).with_prose(&[5]);
    for at in &advice.scales {
        table.rows.extend(rows(at));
    }
    table
}

/// Returns the rows of a scale: one for each recommended model, with its own figures.
fn rows(at: &AtScale) -> Vec<Vec<Data>> {
    let scale = || Data::of(count(at.scale));
    if at.recommended.is_empty() {
        let why = if at.throughput.is_empty() { "no figure" } else { "not ranked" };
        let best =
            at.throughput.iter().map(|figure| figure.estimate.value).fold(f64::NAN, f64::max);
        let best = if best.is_finite() { format!("up to {}", rate(best)) } else { String::new() };
        return vec![vec![scale(), why.into(), best.into(), "".into(), "".into(), "".into()]];
    }
    let row = |take: &Recommended| {
        let of = |figures: &[Figure]| -> Option<Estimate> {
            figures.iter().find(|figure| figure.series == take.series).map(|figure| figure.estimate)
        };
        let kept: Vec<String> =
            at.keeping_up.iter().filter(|one| **one != take.series).map(series_label).collect();
        let by: Vec<&str> = take.by.iter().map(|by| title(*by)).collect();
        let what = if at.recommended.len() > 1 {
            format!(", for {}", by.join(" and "))
        } else {
            String::new()
        };
        vec![
            scale(),
            Data::of(series_label(&take.series) + &what).class("l best"),
            with_interval(of(&at.throughput), &rate),
            with_interval(of(&at.p99), &nanoseconds),
            with_interval(of(&at.memory), &bytes),
            kept.join(", ").into(),
        ]
    };
    at.recommended.iter().map(row).collect()
}

fn series_label(series: &Series) -> String {
    name(&series_name(&series.model, series.workers))
}

/// Formats a figure with its interval.
pub(super) fn with_interval(of: Option<Estimate>, show: &dyn Fn(f64) -> String) -> Data {
    match of {
        Some(of) if of.value.is_finite() => {
            let ends =
                of.interval().map(|(lower, upper)| format!("{} to {}", show(lower), show(upper)));
            Data { text: show(of.value), more: ends.unwrap_or_default(), ..Data::default() }
        }
        _ => Data::default(),
    }
}

pub(super) fn nanoseconds(ns: f64) -> String {
    long_ns_f64(ns)
}

/// Formats a size, such as `1.50 MiB`.
pub(super) fn bytes(bytes: f64) -> String {
    figure(Metric::Memory, Some(bytes))
}
