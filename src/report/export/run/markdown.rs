//! A run for a pull request: how many cells ended how, then a folded table for each workload, with what has no figure.

use crate::output::{count, cut, long, rate};
use std::fmt::Write;

use super::super::{
    super::{
        table::{counted, figure, in_order, marks, series, several_workers, summary, word},
        unreliable::remarks,
    },
    markdown::escaped,
};
use crate::record::{Cell, Estimate, Record, State, leaders};
use paceline_core::histogram::Distribution;

/// No more bytes than a comment on GitHub may have characters.
const MOST: usize = 65_536;
/// What the closing lines may take of it.
const RESERVED: usize = 1_000;
/// The longest name in a table, in characters. Escaped, each may take 6 bytes.
const NAME: usize = 60;
/// The longest reason.
const REASON: usize = 150;

/// The run as GitHub's Markdown, at most 65 536 bytes. What has no room is left out by whole rows, and counted.
pub(super) fn markdown(record: &Record) -> String {
    let run = &record.run;
    let mut page = Page::default();
    page.line(&format!("### paceline run: {}\n", summary(&record.cells)));
    let code = |text: &str| format!("<code>{}</code>", escaped(&cut(text, NAME)));
    let commit = run.commit.as_deref().map_or_else(String::new, |commit| {
        let dirty =
            if commit.ends_with("-dirty") { " with changes that are not committed" } else { "" };
        format!(", commit {}{dirty}", code(&commit.chars().take(12).collect::<String>()))
    });
    let machine = &run.fingerprint;
    page.line(&format!(
        "{} by {}{commit}, on {} ({} CPUs, {}), machine {}.",
        code(&run.id),
        escaped(&cut(&run.instrument, NAME)),
        escaped(&cut(&machine.cpu_name, NAME)),
        machine.logical_cpus,
        escaped(&cut(&machine.kernel, NAME)),
        code(&machine.hash),
    ));
    let mut left = 0;
    for workload in record.workloads() {
        let cells: Vec<&Cell> =
            record.cells.iter().filter(|cell| cell.workload == workload).collect();
        left += section(&mut page, workload, &cells);
    }
    if left > 0 {
        let _ = writeln!(
            page.text,
            "\n{left} of {} cells left out for lack of room: the record has all.",
            record.cells.len()
        );
    }
    let _ = writeln!(page.text, "\n<sub>{}</sub>", escaped(&marks()));
    page.text
}

/// A text that grows by whole lines while there is room.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// Adds a line, if there is room for it and `after` bytes more.
    fn line_before(&mut self, line: &str, after: usize) -> bool {
        let room = self.text.len() + line.len() + after < MOST - RESERVED;
        if room {
            self.text.push_str(line);
            self.text.push('\n');
        }
        room
    }

    fn line(&mut self, line: &str) -> bool {
        self.line_before(line, 0)
    }
}

const END: &str = "\n</details>";

/// A workload: its tables and reasons, folded. Returns how many of its cells had no room.
fn section(page: &mut Page, workload: &str, cells: &[&Cell]) -> usize {
    let (loads, batches): (Vec<&Cell>, Vec<&Cell>) =
        cells.iter().partition(|cell| cell.load.is_some());
    let head = format!(
        "\n<details><summary>{}: {}</summary>\n",
        escaped(&cut(workload, NAME)),
        counted(&cells.iter().copied())
    );
    if !page.line_before(&head, END.len()) {
        return cells.len();
    }
    let left = by_scale(page, &batches) + by_load(page, &loads);
    reasons(page, cells);
    page.text.push_str(END);
    page.text.push('\n');
    left
}

/// Scale down and models across, as in the terminal.
fn by_scale(page: &mut Page, cells: &[&Cell]) -> usize {
    let several = several_workers(cells);
    let names = in_order(cells.iter().map(|cell| series(cell, several)));
    if names.is_empty() {
        return 0;
    }
    let heads = names.iter().map(|name| escaped(&cut(name, NAME))).collect::<Vec<_>>();
    let head = format!(
        "| jobs per second at | {} |\n|---:{}|",
        heads.join(" | "),
        "|---:".repeat(names.len())
    );
    if !page.line_before(&head, END.len()) {
        return cells.len();
    }
    let mut left = 0;
    for scale in in_order(cells.iter().map(|cell| cell.scale)) {
        let row: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.scale == scale).collect();
        let leads = leaders(&row);
        let fields = names.iter().map(|name| {
            let of = row.iter().zip(&leads).filter(|(cell, _)| series(cell, several) == *name);
            let shown: Vec<String> =
                of.map(|(cell, leads)| escaped(&shown(cell, *leads))).collect();
            shown.join(", ")
        });
        let fields: Vec<String> = fields.collect();
        if !page.line_before(&format!("| {} | {} |", count(scale), fields.join(" | ")), END.len()) {
            left += row.len();
        }
    }
    left
}

/// A figure as the terminal shows it; `no figure` where it is not finite.
fn shown(cell: &Cell, leads: bool) -> String {
    let whole =
        |rate: Estimate| [rate.value, rate.lower, rate.upper].iter().all(|end| end.is_finite());
    match cell.jobs_per_second {
        Some(rate) if cell.state == State::Ok && !whole(rate) => "no figure".into(),
        _ => figure(cell, leads),
    }
}

/// A row for each server under a load.
fn by_load(page: &mut Page, cells: &[&Cell]) -> usize {
    if cells.is_empty() {
        return 0;
    }
    let head = "| model | connections | load | requests per second | p50 | p99 | p99.9 | CPU per request |\n\
                |---|---:|---|---:|---:|---:|---:|---:|";
    if !page.line_before(head, END.len()) {
        return cells.len();
    }
    let several = several_workers(cells);
    let mut left = 0;
    for cell in cells {
        let name = escaped(&cut(&series(cell, several), NAME));
        let connections = count(cell.scale);
        let fields = served(cell).map(|field| escaped(&field)).join(" | ");
        if !page.line_before(&format!("| {name} | {connections} | {fields} |"), END.len()) {
            left += 1;
        }
    }
    left
}

fn served(cell: &Cell) -> [String; 6] {
    let ns = |ns: u64| long(std::time::Duration::from_nanos(ns));
    let offered = cell.load.as_ref().and_then(|load| load.rate).filter(|rate| rate.is_finite());
    let kind = match &cell.load {
        Some(load) if load.knee.is_some() => "up to its knee".into(),
        _ => offered
            .map_or_else(|| "closed".into(), |per_second| format!("open, {}/s", rate(per_second))),
    };
    let [per_second, p50, p99, p999, cpu] = match cell.state {
        State::Ok => {
            let trials = |of: Option<Estimate>| {
                of.filter(|of| of.value.is_finite())
                    .map_or_else(String::new, |of| ns(of.value as u64))
            };
            let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
            let got = finite(cell.jobs_per_second.map(|rate| rate.value));
            [
                got.map_or_else(|| "no figure".into(), rate),
                trials(cell.latency_ns_p50),
                trials(cell.latency_ns_p99),
                cell.latency.as_ref().and_then(Distribution::p999).map_or_else(String::new, ns),
                finite(cell.cpu_ns_per_job).map_or_else(String::new, |cpu| ns(cpu as u64)),
            ]
        }
        state => [word(state).into(), String::new(), String::new(), String::new(), String::new()],
    };
    [kind, per_second, p50, p99, p999, cpu]
}

/// Every cell without a figure, with its reason, a line for each series and reason.
fn reasons(page: &mut Page, cells: &[&Cell]) {
    let several = several_workers(cells);
    let mut lines: Vec<(State, String, String, Vec<String>)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.state != State::Ok) {
        let name = cut(&series(cell, several), NAME);
        let why = cell.reason.as_deref().map_or_else(String::new, |why| cut(why, REASON));
        // Of a series that grew over its budget the first prediction says it all; the record has the others.
        let same = |reason: &String| *reason == why || cell.state == State::Skipped;
        let known = lines
            .iter_mut()
            .find(|(state, of, reason, _)| *state == cell.state && *of == name && same(reason));
        match known {
            Some((.., scales)) => scales.push(count(cell.scale)),
            None => lines.push((cell.state, name, why, vec![count(cell.scale)])),
        }
    }
    for remark in remarks(cells.iter().map(|cell| cell.model.as_str())) {
        page.line_before(&format!("\n{}.", escaped(&remark)), END.len());
    }
    let total = lines.len();
    if total > 0 {
        page.line_before("\nWithout a figure:\n", END.len());
    }
    for (at, (state, name, why, scales)) in lines.iter().enumerate() {
        let line = format!(
            "* {} {} at {}: {}",
            word(*state),
            escaped(name),
            scales.join(", "),
            escaped(why)
        );
        if !page.line_before(&line, 100 + END.len()) {
            page.line(&format!("* {} more reasons: the record has all", total - at));
            return;
        }
    }
}
