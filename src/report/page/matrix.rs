//! The matrix of the first screen: the best models of each workload at each scale, by one figure at a time.

mod per_job;
#[cfg(test)]
mod tests;

use askama::Template;

use super::{cells::shell, lines as models, overview::nanoseconds, parts::name};
use crate::{
    output::{count, rate},
    record::{Cell, RankedBy, Run, State, are_loads, leaders_by},
    report::{
        chart::classes,
        table::{in_order, was_cut_off, word},
    },
};
use paceline_core::perform::Placement;

/// The most models in a field; the section of the workload has all.
const NAMED: usize = 3;
/// The note of a figure without any other to compare it with.
const ALONE: &str = "alone";
/// The note of several figures if it is unknown which leads.
const NOT_RANKED: &str = "not ranked";
/// The memory per job, which is of all scales together and has a table of another form.
const MEMORY: &str = "memory per job";

/// A figure that the matrix ranks by: its name, and how to read it from a cell.
#[derive(Clone, Copy)]
struct By {
    ranked: RankedBy,
    label: &'static str,
    of: fn(&Cell) -> Option<f64>,
}

const RATE: By = By {
    ranked: RankedBy::Rate,
    label: "jobs per second",
    of: |cell| Some(cell.jobs_per_second?.value),
};
const P99: By = By {
    ranked: RankedBy::P99,
    label: "p99 latency",
    of: |cell| Some(cell.own_latency("p99")?.value),
};
const CPU: By =
    By { ranked: RankedBy::Cpu, label: "CPU time per job", of: |cell| cell.cpu_ns_per_job };

impl By {
    fn of(self, cell: &Cell) -> Option<f64> {
        (self.of)(cell).filter(|figure| figure.is_finite() && cell.state == State::Ok)
    }

    fn is_rate(self) -> bool {
        self.ranked == RankedBy::Rate
    }

    /// Returns why a measured cell has no such figure.
    fn absent(self, cell: &Cell) -> &'static str {
        match self.ranked {
            RankedBy::P99 if cell.latency_ns_p99.is_some() => "mostly the generator's lateness",
            RankedBy::P99 => "under 1 000 latencies",
            _ => "no figure",
        }
    }

    fn shown(self, value: f64) -> String {
        if self.is_rate() { rate(value) } else { nanoseconds(value) }
    }

    fn better(self, one: f64, other: f64) -> std::cmp::Ordering {
        if self.is_rate() { other.total_cmp(&one) } else { one.total_cmp(&other) }
    }
}

/// The matrices, one for each figure.
#[derive(Template)]
#[template(path = "matrix.html")]
pub(super) struct Matrix {
    id: String,
    tables: Vec<OneMatrix>,
    /// What a scale is.
    at: &'static str,
    /// The meaning of its marks.
    key: String,
}

/// The matrix by one figure.
struct OneMatrix {
    label: &'static str,
    /// The scales, or the heading of the only column.
    head: Vec<String>,
    /// Empty if no cell has the figure.
    rows: Vec<Row>,
    /// A description of the figure, or why there is none.
    note: String,
    /// The command that measures it, if there is none.
    command: String,
}

struct Row {
    workload: String,
    /// The id of the workload's section.
    id: String,
    fields: Vec<Field>,
}

/// A workload at a scale.
#[derive(Default)]
struct Field {
    class: &'static str,
    /// The best models of each placement class.
    lines: Vec<Line>,
    /// Why the field is empty.
    why: String,
}

/// The best model of one placement class, and its ties.
#[derive(Default)]
struct Line {
    class: &'static str,
    figure: String,
    chips: Vec<Chip>,
    /// Further models, each with its own figure.
    behind: Vec<(String, Chip)>,
    more: usize,
    note: &'static str,
}

/// A model's name in its colour.
pub(super) struct Chip {
    /// The classes of its colour and dashes, as in every chart.
    pub(super) class: String,
    pub(super) name: String,
}

impl Chip {
    pub(super) fn of(line: &models::Line) -> Self {
        Chip { class: classes(line.style), name: line.name.clone() }
    }

    /// Returns the chip of the model with any worker count.
    pub(super) fn of_model(line: &models::Line) -> Self {
        Chip { name: name(line.model), ..Chip::of(line) }
    }
}

/// A line of a workload at one scale: its cell, and its figure if it has one.
struct CellAtScale<'l> {
    line: &'l models::Line<'l>,
    cell: &'l Cell,
    figure: Option<f64>,
    leads: bool,
}

impl Matrix {
    /// Returns the matrices of these workloads of `run`, each with the id of its section and its cells.
    pub(super) fn of(run: &Run, id: &str, workloads: &[(&str, String, Vec<&Cell>)]) -> Self {
        let all: Vec<&Cell> = workloads.iter().flat_map(|(_, _, cells)| cells).copied().collect();
        let columns = models::scales(&all);
        let (unit, at) = models::words(all.iter().copied());
        let inside = |cell: &&&Cell| cell.class() == Placement::Inside;
        let measured: Vec<&&Cell> = all.iter().filter(|cell| cell.state == State::Ok).collect();
        let inside = measured.iter().copied().filter(inside).count();
        let apart = inside > 0 && inside < measured.len();
        let rows = |fields: &dyn Fn(&[models::Line]) -> Vec<Field>| {
            let row = |(workload, section, cells): &(&str, String, Vec<&Cell>)| Row {
                workload: name(workload),
                id: section.clone(),
                fields: fields(&models::lines(cells)),
            };
            workloads.iter().map(row).collect::<Vec<Row>>()
        };
        let table = |by: By| {
            let of = |lines: &[models::Line]| {
                columns.iter().map(|scale| field(by, lines, *scale, apart)).collect()
            };
            let known = all.iter().any(|cell| by.of(cell).is_some());
            let scales = columns.iter().map(|scale| count(*scale)).collect();
            let (note, command) =
                if known { (String::new(), String::new()) } else { unknown(by, run, &all) };
            let rows = if known { rows(&of) } else { vec![] };
            let label = if by.is_rate() { unit } else { by.label };
            OneMatrix { label, head: scales, rows, note, command }
        };
        let memory = if all.iter().any(|cell| per_job::is_known(cell)) {
            (rows(&|lines| vec![per_job::field(lines, apart)]), per_job::NOTE.into())
        } else {
            (vec![], format!("No cell of this record has its {MEMORY}."))
        };
        let memory = OneMatrix {
            label: MEMORY,
            head: vec!["all scales together".into()],
            rows: memory.0,
            note: memory.1,
            command: String::new(),
        };
        let with_workers = all.iter().any(|cell| {
            all.iter().any(|other| other.model == cell.model && other.workers != cell.workers)
        });
        let tables = vec![table(RATE), table(P99), memory, table(CPU)];
        Matrix { id: id.into(), at, key: key(&tables, apart, with_workers), tables }
    }
}

/// Returns the meaning of each mark in the matrix.
fn key(tables: &[OneMatrix], apart: bool, with_workers: bool) -> String {
    let fields = || tables.iter().flat_map(|table| &table.rows).flat_map(|row| &row.fields);
    let lines = || fields().flat_map(|field| &field.lines);
    let noted = |note: &str| lines().any(|line| line.note == note);
    let marks = [
        (
            apart,
            "in (inside): a task on the pool spawns the jobs; out (outside, or dealt to the cores): they come from outside \
             the pool, and the time to wake it counts. The two are never ranked against each other.",
        ),
        (with_workers, "@2: with 2 workers."),
        (
            lines().any(|line| line.more > 0),
            "+1: one more tied model; by memory per job, one more model.",
        ),
        (noted(ALONE), "alone: no other model has a figure there."),
        (
            noted(NOT_RANKED),
            "not ranked: too few trials, a model without the figure that may be the best (a p99 takes 1 000 latencies in \
             each trial), a record without the figures of single trials, nodes that are one machine, or servers under load \
             with errors or at a given rate.",
        ),
        (fields().any(|field| field.class == "none"), "Hatched: no figure."),
        (
            fields().any(|field| field.class.is_empty() && field.lines.is_empty()),
            "Empty: not a scale of this workload.",
        ),
    ];
    let said: Vec<&str> = marks.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    said.join(" ")
}

/// Returns why no cell has the figure, and the command that measures it.
fn unknown(by: By, run: &Run, cells: &[&Cell]) -> (String, String) {
    if by.is_rate() {
        return ("No cell of this record has a figure.".into(), String::new());
    }
    if by.ranked != RankedBy::P99 {
        return (format!("No cell of this record has its {}.", by.label), String::new());
    }
    if run.instrument != "criterion" {
        let more =
            if are_loads(cells) { "A longer --duration gives" } else { "More jobs at once give" };
        let why =
            "No cell of this record has a p99 latency: it takes 1 000 latencies in each trial.";
        return (format!("{why} {more} more."), String::new());
    }
    let all = |names: Vec<&str>| names.into_iter().map(shell).collect::<Vec<_>>();
    let workloads = all(in_order(cells.iter().map(|cell| cell.workload.as_str())));
    let models = all(in_order(cells.iter().map(|cell| cell.model.as_str())));
    let why = "This record has no latencies: cargo bench times whole batches. The latency of each job is recorded in \
               further batches, for which its time budget has no room. This command records it:";
    let command =
        format!("paceline run {} --model {} --budget 30m", workloads.join(" "), models.join(","));
    (why.into(), command)
}

fn field(by: By, lines: &[models::Line], scale: usize, apart: bool) -> Field {
    let row: Vec<(&models::Line, &Cell)> =
        lines.iter().filter_map(|line| Some((line, line.at(scale)?))).collect();
    if row.is_empty() {
        return Field::default();
    }
    let cells: Vec<&Cell> = row.iter().map(|(_, cell)| *cell).collect();
    let leads = leaders_by(&cells, by.ranked);
    let mut all: Vec<CellAtScale> = row
        .iter()
        .zip(leads)
        .map(|((line, cell), leads)| CellAtScale { line, cell, figure: by.of(cell), leads })
        .filter(|at| at.figure.is_some())
        .collect();
    all.sort_by(|a, b| by.better(a.figure.unwrap_or(0.0), b.figure.unwrap_or(0.0)));
    let of = |class: Placement| all.iter().filter(move |at| at.cell.class() == class);
    let lacks = |class: Placement| {
        let mut measured = cells.iter().filter(|cell| cell.state == State::Ok);
        measured.any(|cell| cell.class() == class && by.of(cell).is_none())
    };
    let classes = [("in", Placement::Inside), ("out", Placement::Outside)];
    let best = classes.into_iter().filter_map(|(word, class)| {
        let line = best(by, &of(class).collect::<Vec<_>>(), lacks(class))?;
        Some(Line { class: if apart { word } else { "" }, ..line })
    });
    let lines: Vec<Line> = best.collect();
    if !lines.is_empty() {
        return Field { lines, ..Field::default() };
    }
    Field { class: "none", why: why(cells.into_iter(), |cell| by.absent(cell)), ..Field::default() }
}

/// Returns why these cells have no figure: `measured` is the reason of one that was measured.
fn why<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    measured: impl Fn(&Cell) -> &'static str,
) -> String {
    let states = in_order(cells.map(|cell| match cell.state {
        State::Ok => measured(cell),
        State::Skipped if was_cut_off(cell) => "interrupted",
        State::Skipped => "over budget",
        state => word(state),
    }));
    states.join(", ")
}

/// Returns the line that names the best of these cells, which are of one class and sorted from best to worst; `None` if
/// there are none. `lacks` says whether another cell of the class was measured and has no such figure.
fn best(by: By, of: &[&CellAtScale], lacks: bool) -> Option<Line> {
    let chips = |of: &[&CellAtScale]| of.iter().take(NAMED).map(|at| Chip::of(at.line)).collect();
    let leading: Vec<&CellAtScale> = of.iter().copied().filter(|at| at.leads).collect();
    let first = of.first()?.figure?;
    Some(match (&leading[..], of) {
        ([], [_]) if !lacks => {
            Line { figure: by.shown(first), chips: chips(of), note: ALONE, ..Line::default() }
        }
        // It is unknown which is the best, so none is named.
        ([], _) if by.is_rate() => Line {
            // Of a rate that is only the least that a server keeps, it is not the greatest.
            figure: if of.iter().any(|at| !at.cell.least_mark().is_empty()) {
                format!("at least {}", by.shown(first))
            } else {
                format!("up to {}", by.shown(first))
            },
            note: NOT_RANKED,
            ..Line::default()
        },
        ([], _) => Line {
            figure: format!("from {}", by.shown(first)),
            note: NOT_RANKED,
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
