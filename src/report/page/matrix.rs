//! The matrix of the first screen: the best of each workload at each scale, by one figure at a time.

use std::fmt::Write;

use askama::Template;

use super::{
    lines as models,
    overview::{bytes, nanoseconds},
    parts::name,
};
use crate::{
    output::{count, rate},
    record::{Cell, State, leaders_by, logarithms, same_class},
    report::{
        chart::classes,
        table::{in_order, word},
    },
};
use paceline_core::perform::Placement;

/// The most models that a field names; the section of the workload has all.
const NAMED: usize = 3;

/// What models are compared by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Throughput,
    P99,
    Memory,
    Cpu,
}

impl By {
    const ALL: [By; 4] = [By::Throughput, By::P99, By::Memory, By::Cpu];

    fn label(self) -> &'static str {
        match self {
            By::Throughput => "jobs per second",
            By::P99 => "p99 latency",
            By::Memory => "peak memory",
            By::Cpu => "CPU time per job",
        }
    }

    fn of(self, cell: &Cell) -> Option<f64> {
        let figure = match self {
            By::Throughput => cell.jobs_per_second.map(|of| of.value),
            By::P99 => cell.latency_ns_p99.map(|of| of.value),
            By::Memory => cell.resources?.rss_bytes_max.map(|of| of.value),
            By::Cpu => cell.cpu_ns_per_job,
        };
        figure.filter(|figure| figure.is_finite() && cell.state == State::Ok)
    }

    /// The logarithms of each trial's figure, of which more is better.
    fn passes(self, cell: &Cell) -> Option<Vec<f64>> {
        let of = &cell.per_trial;
        let less = match self {
            By::Throughput => return Some(logarithms(&cell.rates())),
            By::P99 => &of.latency_ns_p99,
            By::Memory => &of.rss_bytes_max,
            By::Cpu => &of.cpu_ns_per_job,
        };
        (!less.is_empty()).then(|| logarithms(less).iter().map(|log| -log).collect())
    }

    fn shown(self, value: f64) -> String {
        match self {
            By::Throughput => rate(value),
            By::P99 | By::Cpu => nanoseconds(value),
            By::Memory => bytes(value),
        }
    }

    fn better(self, one: f64, other: f64) -> std::cmp::Ordering {
        match self {
            By::Throughput => other.total_cmp(&one),
            By::P99 | By::Memory | By::Cpu => one.total_cmp(&other),
        }
    }
}

/// The best by each figure that any cell has.
#[derive(Template)]
#[template(path = "matrix.html")]
pub(super) struct Matrix {
    id: String,
    scales: Vec<String>,
    pub(super) tables: Vec<ByOne>,
    /// How to read it.
    key: String,
}

/// A table of it.
pub(super) struct ByOne {
    label: &'static str,
    rows: Vec<Row>,
}

struct Row {
    workload: String,
    /// The section of the workload.
    id: String,
    fields: Vec<Field>,
}

/// A workload at a scale.
#[derive(Default)]
struct Field {
    class: &'static str,
    /// The best of each class of placements.
    lines: Vec<Line>,
    /// Why there is none.
    why: String,
}

/// The best of one class, and who is tied with it.
#[derive(Default)]
struct Line {
    class: &'static str,
    figure: String,
    chips: Vec<Chip>,
    more: usize,
    note: &'static str,
}

/// A model in its colour.
pub(super) struct Chip {
    /// Its colour and dashes, as in every chart.
    pub(super) class: String,
    pub(super) name: String,
}

impl Chip {
    pub(super) fn of(line: &models::Line) -> Self {
        Chip { class: classes(line.style), name: line.name.clone() }
    }

    /// The same for the model with any number of workers.
    pub(super) fn of_model(line: &models::Line) -> Self {
        Chip { name: name(line.model), ..Chip::of(line) }
    }
}

/// A line of a workload with its cell at a scale, and its figure there, if it has it.
struct At<'l> {
    line: &'l models::Line<'l>,
    cell: &'l Cell,
    figure: Option<f64>,
    leads: bool,
}

impl Matrix {
    /// Of these workloads, each with the id of its section and its cells.
    pub(super) fn of(id: &str, workloads: &[(&str, String, Vec<&Cell>)]) -> Self {
        let all: Vec<&Cell> = workloads.iter().flat_map(|(_, _, cells)| cells).copied().collect();
        let columns = models::scales(&all);
        let inside = |cell: &&&Cell| same_class(cell.placement, Placement::Inside);
        let measured: Vec<&&Cell> = all.iter().filter(|cell| cell.state == State::Ok).collect();
        let inside = measured.iter().copied().filter(inside).count();
        let apart = inside > 0 && inside < measured.len();
        let known = |by: &By| all.iter().any(|cell| by.of(cell).is_some());
        let table = |by: By| {
            let row = |(workload, section, cells): &(&str, String, Vec<&Cell>)| {
                let lines = models::lines(cells);
                let fields = columns.iter().map(|scale| field(by, &lines, *scale, apart));
                Row { workload: name(workload), id: section.clone(), fields: fields.collect() }
            };
            ByOne { label: by.label(), rows: workloads.iter().map(row).collect() }
        };
        Matrix {
            id: id.into(),
            scales: columns.iter().map(|scale| count(*scale)).collect(),
            tables: By::ALL.into_iter().filter(known).map(table).collect(),
            key: key(apart, By::ALL.into_iter().filter(|by| !known(by))),
        }
    }
}

/// How to read the matrix, and what it lacks.
fn key(apart: bool, unknown: impl Iterator<Item = By>) -> String {
    let mut key = String::new();
    if apart {
        key.push_str(
            "in: jobs start on the pool; out: they are handed in, and waking the pool counts: the two are not ranked \
             against each other. ",
        );
    }
    key.push_str("+1: one more is tied. not ranked: no figures of single trials, or too few. ");
    key.push_str("Hatched: not measured.");
    let unknown: Vec<&str> = unknown.map(By::label).collect();
    if !unknown.is_empty() {
        let _ = write!(key, " Not recorded: {}.", unknown.join(", "));
    }
    key
}

fn field(by: By, lines: &[models::Line], scale: usize, apart: bool) -> Field {
    let row: Vec<(&models::Line, &Cell)> =
        lines.iter().filter_map(|line| Some((line, line.at(scale)?))).collect();
    if row.is_empty() {
        return Field::default();
    }
    let cells: Vec<&Cell> = row.iter().map(|(_, cell)| *cell).collect();
    let leads = leaders_by(&cells, |cell| by.passes(cell));
    let mut all: Vec<At> = row
        .iter()
        .zip(leads)
        .map(|((line, cell), leads)| At { line, cell, figure: by.of(cell), leads })
        .filter(|at| at.figure.is_some())
        .collect();
    all.sort_by(|a, b| by.better(a.figure.unwrap_or(0.0), b.figure.unwrap_or(0.0)));
    let of = |class: Placement| all.iter().filter(move |at| same_class(at.cell.placement, class));
    let classes = [("in", Placement::Inside), ("out", Placement::Outside)];
    let best = classes.into_iter().filter_map(|(word, class)| {
        let line = best(by, &of(class).collect::<Vec<_>>())?;
        Some(Line { class: if apart { word } else { "" }, ..line })
    });
    let lines: Vec<Line> = best.collect();
    if !lines.is_empty() {
        return Field { lines, ..Field::default() };
    }
    let states = in_order(cells.iter().map(|cell| match cell.state {
        State::Ok => "no figure",
        State::Skipped => "over budget",
        state => word(state),
    }));
    Field { class: "none", why: states.join(", "), ..Field::default() }
}

/// The best of these, which are of one class with the best figure first; nothing where there are none.
fn best(by: By, of: &[&At]) -> Option<Line> {
    let chips = |of: &[&At]| of.iter().take(NAMED).map(|at| Chip::of(at.line)).collect();
    let leading: Vec<&At> = of.iter().copied().filter(|at| at.leads).collect();
    let first = of.first()?.figure?;
    Some(match (&leading[..], of) {
        ([], [_]) => {
            Line { figure: by.shown(first), chips: chips(of), note: "alone", ..Line::default() }
        }
        // Which of them is the best is not known, so none is named.
        ([], _) if by == By::Throughput => Line {
            figure: format!("up to {}", by.shown(first)),
            note: "not ranked",
            ..Line::default()
        },
        ([], _) => Line {
            figure: format!("from {}", by.shown(first)),
            note: "not ranked",
            ..Line::default()
        },
        ([best, ..], _) => Line {
            figure: by.shown(best.figure?),
            chips: chips(&leading),
            more: leading.len().saturating_sub(NAMED),
            ..Line::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Estimate, PerTrial, Resources};

    /// A cell whose trials are around `rate`, and whose memory is that many bytes.
    fn cell(model: &str, placement: Placement, rate: f64) -> Cell {
        let mut trials: Vec<f64> = [0.99, 1.0, 1.01, 1.0].map(|share| rate * share).to_vec();
        trials.rotate_left(model.len() % 4);
        let figure = Estimate::of_trials(&trials, 0.0);
        Cell {
            jobs_per_second: figure,
            latency_ns_p99: figure,
            resources: Some(Resources { rss_bytes_max: figure, ..Resources::default() }),
            per_trial: PerTrial {
                jobs_per_second: trials.clone(),
                rss_bytes_max: trials,
                ..PerTrial::default()
            },
            ..Cell::new("echo", model, 10, Some(2), placement, State::Ok)
        }
    }

    /// A line as it is read: its class, figure, note and models.
    fn read(by: By, cells: &[Cell]) -> Vec<String> {
        let cells: Vec<&Cell> = cells.iter().collect();
        let field = field(by, &models::lines(&cells), 10, true);
        let line = |line: &Line| {
            let chips: Vec<&str> = line.chips.iter().map(|chip| chip.name.as_str()).collect();
            format!("{} {} {} {}", line.class, line.figure, line.note, chips.join(","))
                .replace("  ", " ")
        };
        field
            .lines
            .iter()
            .map(line)
            .chain([field.why.clone()])
            .filter(|text| !text.is_empty())
            .collect()
    }

    fn four() -> Vec<Cell> {
        vec![
            cell("tokio", Placement::Inside, 100.0),
            cell("smol", Placement::Inside, 99.9),
            cell("threads", Placement::Outside, 500.0),
            cell("compio", Placement::Dealt, 50.0),
        ]
    }

    #[test]
    fn each_placement_has_a_best_of_its_own_with_its_ties() {
        assert_eq!(read(By::Throughput, &four()), ["in 100 tokio,smol", "out 500 threads"]);
        assert_eq!(read(By::Memory, &four()), ["in 99.9 B smol,tokio", "out 50.0 B compio"]);
    }

    #[test]
    fn who_is_best_is_not_said_where_a_model_lacks_the_figures_of_single_trials() {
        let mut cells = four();
        // Two others could be compared, but the best might be the first.
        cells.push(cell("rayon", Placement::Inside, 90.0));
        cells[0].per_trial.rss_bytes_max.clear();
        assert_eq!(read(By::Memory, &cells), ["in from 90.0 B not ranked ", "out 50.0 B compio"]);
        for cell in &mut cells {
            cell.per_trial.jobs_per_second.truncate(2);
        }
        let up_to = ["in up to 100 not ranked ", "out up to 500 not ranked "];
        assert_eq!(read(By::Throughput, &cells), up_to);
    }

    #[test]
    fn a_model_with_nothing_to_compare_it_with_is_alone_and_not_the_best() {
        assert_eq!(read(By::Throughput, &four()[..1]), ["in 100 alone tokio"]);
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let mut cells = four();
        for cell in &mut cells {
            cell.state = State::Skipped;
        }
        cells[3].state = State::Refused;
        assert_eq!(read(By::Throughput, &cells), ["over budget, refused"]);
        assert_eq!(read(By::Throughput, &[]), [""; 0]);
        let matrix = Matrix::of("m", &[("echo", "w".into(), cells.iter().collect())]);
        assert!(matrix.render().unwrap().contains("Not recorded: jobs per second, p99 latency"));
    }
}
