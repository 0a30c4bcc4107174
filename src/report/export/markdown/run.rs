//! A run for a pull request: the number of cells in each state, then a folded table for each workload.

use super::{
    super::super::{
        load::{
            BY_URL, errors, few_trials, has_late_url, late_remark, least_legend, note, of_url,
            rank_legend, rank_marks, shown as shown_metric,
        },
        table::{
            Extent, by_state, figure_of_trials, figure_remarks, in_order, marks, notes_of_series,
            ranked, series, several_workers, summary, usual_trials, word,
        },
        unreliable::remarks,
    },
    Page, code, escaped,
};
use crate::{
    load::{METRICS, Metric, MetricUnit},
    output::{capital, columns, count, counted, cut, noun, rate, shorten},
    record::{Cell, Estimate, LoadFigures, MOSTLY_LATE, Record, State, UrlFigures},
};

/// The bytes reserved for the closing lines.
const RESERVED: usize = 1_500;
/// The longest name in a table, in characters. Escaped, each may take 6 bytes.
const NAME: usize = 60;
/// The longest reason.
const REASON: usize = 150;
/// The longest remark, which lists a few cells.
const REMARK: usize = 500;

pub(super) fn markdown(record: &Record) -> String {
    let run = &record.run;
    let cells = record.planned();
    let mut page = Page::new(RESERVED);
    let command = match &*run.instrument {
        "load" => "paceline load",
        "criterion" => "cargo bench",
        _ => "paceline run",
    };
    page.line(&format!("### {command}: {}\n", summary(&record.cells)));
    let code = |text: &str| code(&cut(text, NAME));
    let commit = run.commit.as_deref().map_or_else(String::new, |commit| {
        let dirty =
            if commit.ends_with("-dirty") { " with changes that are not committed" } else { "" };
        format!(", commit {}{dirty}", code(&commit.chars().take(12).collect::<String>()))
    });
    let machine = &run.fingerprint;
    page.line(&format!(
        "{} by {}{commit}, on {} ({}, {}), machine {}.",
        code(&run.id),
        escaped(&cut(&run.instrument, NAME)),
        escaped(&cut(&machine.cpu_name, NAME)),
        counted(machine.logical_cpus, "CPU"),
        escaped(&cut(&machine.kernel, NAME)),
        code(&machine.hash),
    ));
    let usual = usual_trials(&cells);
    let mut left = 0;
    for workload in record.workloads() {
        let of = cells.iter().copied().filter(|cell| cell.workload == workload);
        left += section(&mut page, workload, &of.collect::<Vec<_>>(), usual);
    }
    if left > 0 {
        page.always(&format!(
            "\n{} of {} left out for lack of room: the record has all.",
            count(left),
            counted(record.cells.len(), "cell")
        ));
    }
    // What batches and servers under load have is told where there are some.
    let batches: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.load.is_none()).collect();
    let trials = (usual > 0 && !batches.is_empty())
        .then(|| format!("Trials of a figure: {usual}, or as in brackets"));
    let of_batches: Vec<String> = marks(&batches).into_iter().chain(trials).collect();
    let of_batches = (!of_batches.is_empty()).then(|| of_batches.join(". "));
    let of_loads = note(cells.iter().copied()).map(capital);
    for note in of_batches.into_iter().chain(of_loads) {
        page.always(&format!("\n<sub>{}</sub>", escaped(&note)));
    }
    page.text
}

/// Adds a workload: its tables and reasons, folded. Returns the number of its cells without room.
fn section(page: &mut Page, workload: &str, cells: &[&Cell], usual: usize) -> usize {
    let (loads, batches): (Vec<&Cell>, Vec<&Cell>) =
        cells.iter().partition(|cell| cell.load.is_some());
    let head = format!(
        "\n<details><summary>{}: {}</summary>\n",
        escaped(&cut(workload, NAME)),
        by_state(&cells.iter().copied())
    );
    if !page.line(&head) {
        return cells.len();
    }
    let left = by_scale(page, &batches, usual) + by_load(page, &loads);
    for remark in figure_remarks(&batches, Extent::Short) {
        page.line(&format!("\n{}.", escaped(&shorten(&capital(&remark), REMARK))));
    }
    nodes(page, &loads);
    failures(page, &loads);
    remarked(page, &loads);
    by_url(page, &loads);
    reasons(page, cells);
    page.always("\n</details>");
    left
}

/// Adds a table with scales down and models across, so that whole scales are left out if there is no room.
fn by_scale(page: &mut Page, cells: &[&Cell], usual: usize) -> usize {
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
    if !page.line(&head) {
        return cells.len();
    }
    let mut left = 0;
    let mut scales = in_order(cells.iter().map(|cell| cell.scale));
    scales.sort_unstable();
    for scale in scales {
        let row: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.scale == scale).collect();
        let marks = ranked(&row);
        let figures = names.iter().map(|name| {
            let of = row.iter().zip(&marks).filter(|(cell, _)| series(cell, several) == *name);
            let shown: Vec<String> =
                of.map(|(cell, mark)| escaped(&shown(cell, mark, usual))).collect();
            shown.join(", ")
        });
        let fields: Vec<String> = std::iter::once(count(scale)).chain(figures).collect();
        if !page.row(&fields) {
            left += row.len();
        }
    }
    left
}

/// Formats a figure as on the terminal; `no figure` if it is not finite.
fn shown(cell: &Cell, mark: &str, usual: usize) -> String {
    let whole =
        |rate: Estimate| [rate.value, rate.lower, rate.upper].iter().all(|end| end.is_finite());
    match cell.jobs_per_second {
        Some(rate) if cell.state == State::Ok && !whole(rate) => "no figure".into(),
        _ => figure_of_trials(cell, mark, usual),
    }
}

/// Adds a row for each server under load.
fn by_load(page: &mut Page, cells: &[&Cell]) -> usize {
    if cells.is_empty() {
        return 0;
    }
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let head = format!(
        "| model | load | {} |\n|---|---|{}",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    if !page.line(&head) {
        return cells.len();
    }
    let several = several_workers(cells);
    let marks: Vec<Vec<&str>> = METRICS.iter().map(|metric| rank_marks(cells, metric)).collect();
    let mut left = 0;
    for (place, cell) in cells.iter().enumerate() {
        let name = escaped(&cut(&series(cell, several), NAME));
        let marks: Vec<&str> = marks.iter().map(|column| column[place]).collect();
        let served = served(cell, &marks).into_iter().map(|field| escaped(&field));
        let fields: Vec<String> = std::iter::once(name).chain(served).collect();
        if !page.row(&fields) {
            left += 1;
        }
    }
    if let Some(legend) = rank_legend(cells) {
        page.line(&format!("\n{}.", escaped(&capital(&legend))));
    }
    left
}

/// Adds a line for each server with errors, by kind.
fn failures(page: &mut Page, cells: &[&Cell]) {
    for line in cells.iter().filter_map(|cell| errors(cell)) {
        page.line(&format!("\n{}.", escaped(&shorten(&line, REMARK))));
    }
}

/// Adds a line for each choice of nodes that a load was on.
fn nodes(page: &mut Page, cells: &[&Cell]) {
    let on = |cell: &&Cell| Some(cell.load.as_ref()?.hosts.as_ref()?.sentence());
    for sentence in in_order(cells.iter().filter_map(on)) {
        page.line(&format!("\n{}.", escaped(&capital(&sentence))));
    }
}

/// Adds what the mark of the least rate means, and a line for each server with fewer trials than were asked for, or with
/// latencies that are mostly the generator's lateness.
fn remarked(page: &mut Page, cells: &[&Cell]) {
    if let Some(legend) = least_legend(cells.iter().copied()) {
        page.line(&format!("\n{}.", escaped(legend)));
    }
    for cell in cells {
        for remark in few_trials(cell).map(str::to_owned).into_iter().chain(late_remark(cell)) {
            let remark = escaped(&shorten(&remark, REMARK));
            page.line(&format!("\n{}: {remark}.", code(&cut(&cell.server_name(), NAME))));
        }
    }
}

/// Adds a row for each URL that was requested by weight. Rows without room are counted.
fn by_url(page: &mut Page, cells: &[&Cell]) {
    let with = cells.iter().filter(|cell| cell.state == State::Ok);
    let loads: Vec<&LoadFigures> = with.filter_map(|cell| cell.load.as_ref()).collect();
    let urls: Vec<(&UrlFigures, &LoadFigures)> =
        loads.iter().flat_map(|load| load.by_url.iter().map(move |url| (url, *load))).collect();
    let names = columns(BY_URL);
    let head = format!("\n| {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len() - 1));
    if urls.is_empty() || !page.line(&head) {
        return;
    }
    for (at, (url, load)) in urls.iter().enumerate() {
        let mut fields = of_url(url, load);
        fields[0] = cut(&fields[0], NAME);
        if !page.row(&fields.iter().map(|field| escaped(field)).collect::<Vec<_>>()) {
            let left = urls.len() - at;
            page.always(&format!(
                "\n{} more {}: the record has all",
                count(left),
                noun(left, "URL")
            ));
            return;
        }
    }
    if loads.iter().any(|load| has_late_url(load)) {
        page.line(&format!("\n{}.", escaped(MOSTLY_LATE)));
    }
}

/// Returns its load, and every figure that the terminal shows, with its mark; its state if it has none.
fn served(cell: &Cell, marks: &[&str]) -> Vec<String> {
    let offered = cell.load.as_ref().and_then(|load| load.rate).filter(|rate| rate.is_finite());
    let kind = match &cell.load {
        Some(load) if load.knee.is_some() => "up to its knee".into(),
        Some(LoadFigures { ramp: Some(ramp), .. }) => {
            format!("ramp, {} to {}/s", rate(ramp.from), rate(ramp.to))
        }
        _ => offered
            .map_or_else(|| "closed".into(), |per_second| format!("open, {}/s", rate(per_second))),
    };
    let figure = |(metric, mark): (&Metric, &&str)| match (metric.unit, metric.of(cell), cell.state)
    {
        (MetricUnit::Rate, None, State::Ok) => "no figure".into(),
        (MetricUnit::Rate, None, state) => word(state).into(),
        _ => format!("{mark}{}", shown_metric(metric, cell)),
    };
    let figures = METRICS.iter().zip(marks).map(figure);
    std::iter::once(kind).chain(figures).collect()
}

/// Adds every cell without a figure, with its reason, in a line for each series and reason.
fn reasons(page: &mut Page, cells: &[&Cell]) {
    let without = cells.iter().copied().filter(|cell| cell.state != State::Ok);
    let lines = notes_of_series(without, several_workers(cells));
    for remark in remarks(cells.iter().map(|cell| cell.model.as_str())) {
        page.line(&format!("\n{}.", escaped(&remark)));
    }
    let total = lines.len();
    if total > 0 {
        page.line("\nWithout a figure:\n");
    }
    for (place, note) in lines.iter().enumerate() {
        let line = format!(
            "* {} {} {}: {}",
            word(note.state),
            escaped(&cut(&note.series, NAME)),
            note.at,
            escaped(&shorten(&note.why, REASON))
        );
        if !page.line(&line) {
            let left = total - place;
            page.always(&format!(
                "* {} more {}: the record has all",
                count(left),
                noun(left, "reason")
            ));
            return;
        }
    }
}
