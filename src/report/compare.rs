//! The comparison of two runs, and the agreement of several, as text.

use std::fmt::Write;

use super::{
    gate::figure,
    table::{Extent, in_order, series_name, word},
    unreliable::footnotes,
};
use crate::{
    compare::{Agreement, Basis, Comparison, Disjoint, Pair, Shift},
    output::{
        MatrixField, Tone, columns, count, counted, figures_table, folded, matrix, percent,
        plain_lines, signed,
    },
    record::{Presence, State},
};

/// Why the table cannot show small changes. The figure was measured on shared virtual machines of 2 CPUs.
const PLAINLY: &str = "separate runs cannot show small changes: measured one after the other instead of interleaved, the same program \
     varies about 15 times as much (variance). `paceline gate` interleaves both, and gives verdicts.";

/// Returns, for each workload and metric, the change of each model and scale, and a line for each reason why some have
/// none; or every cell with its figures.
pub fn comparison_table(comparison: &Comparison, extent: Extent) -> String {
    let mut text = format!("{PLAINLY}\n\n");
    let [base, head] = [&comparison.base, &comparison.head];
    let _ = writeln!(text, "base {}, head {}", base.id, head.id);
    for (what, differ) in [
        ("machines", &comparison.machine_differences),
        ("versions", &comparison.version_differences),
    ] {
        if !differ.is_empty() {
            let _ = writeln!(text, "the {what} differ: {}", differ.join(", "));
        }
    }
    let mut tables = String::new();
    for workload in in_order(comparison.cells.iter().map(|cell| cell.workload.as_str())) {
        let of: Vec<&Pair> =
            comparison.cells.iter().filter(|cell| cell.workload == workload).collect();
        match extent {
            Extent::Short => changes(&mut tables, workload, &of),
            Extent::All => every(&mut tables, workload, &of),
        }
    }
    let mut text = folded(&plain_lines(&text));
    text.push_str(&tables);
    let mut under = String::from("\n");
    if extent == Extent::Short {
        let _ =
            writeln!(under, "{}", missing(&comparison.cells.iter().collect::<Vec<_>>()).join("\n"));
    }
    under.push_str(&footnotes(comparison.cells.iter().map(|cell| cell.model.as_str())));
    under.push_str(
        "interval: 95 %, of at least 3 processes each; ~ as far as the two runs' own intervals allow; * the interval is off 0; less is better",
    );
    let mut shifts = comparison.cells.iter().flat_map(|cell| &cell.shifts);
    if shifts.any(|shift| shift.metric.is_rate()) {
        under.push_str(", but of requests per second more");
    }
    under.push_str("; --all shows every figure");
    text.push_str(&folded(&plain_lines(&under)));
    text
}

/// Adds a matrix for each metric: models down, scales across.
fn changes(text: &mut String, workload: &str, of: &[&Pair]) {
    let shifts = of.iter().flat_map(|cell| &cell.shifts);
    let scale = if of.iter().any(|cell| is_load(cell)) { "connections" } else { "scale" };
    for metric in in_order(shifts.map(|shift| shift.metric)) {
        let of: Vec<(&Pair, &Shift)> = of
            .iter()
            .flat_map(|cell| cell.shifts.iter().map(move |shift| (*cell, shift)))
            .filter(|(_, shift)| shift.metric == metric)
            .collect();
        let names = in_order(of.iter().map(|(cell, _)| series(cell)));
        let mut scales = in_order(of.iter().map(|(cell, _)| cell.scale));
        scales.sort_unstable();
        let form = |with_interval: bool| -> Vec<Vec<MatrixField>> {
            let row = |name: &String| {
                let field = |scale: &usize| {
                    let found =
                        of.iter().find(|(cell, _)| cell.scale == *scale && series(cell) == *name);
                    found.map_or_else(
                        || MatrixField::from(&String::new()),
                        |(_, shift)| change(shift, with_interval),
                    )
                };
                std::iter::once(MatrixField::from(name)).chain(scales.iter().map(field)).collect()
            };
            names.iter().map(row).collect()
        };
        let counts = scales.iter().map(|scale| count(*scale));
        let head: Vec<String> = std::iter::once("model".to_owned()).chain(counts).collect();
        let title = format!("{workload}: change of {}, by {scale}", metric.label());
        let (table, _) = matrix(&[(head.clone(), form(true)), (head, form(false))]);
        let _ = writeln!(text, "\n{}\n{table}", folded(&plain_lines(&title)));
    }
}

/// Returns a change, such as `+3.2 % [+1.1, +5.4]*`.
fn change(shift: &Shift, with_interval: bool) -> MatrixField {
    let value = signed(shift.share);
    let (Some(lower), Some(upper)) = (shift.lower, shift.upper) else {
        return MatrixField { text: value.replace(' ', ""), tone: Tone::Plain };
    };
    let (mark, tone) = match (lower > 0.0, upper < 0.0) {
        (false, false) => ("", Tone::Plain),
        (more, _) if more == shift.metric.is_rate() => ("*", Tone::Best),
        _ => ("*", Tone::Wrong),
    };
    let rough = if shift.basis == Basis::Intervals { "~" } else { "" };
    let interval = if with_interval {
        format!(" {rough}[{}, {}]", signed(lower), signed(upper)).replace(" %", "")
    } else {
        String::new()
    };
    MatrixField { text: format!("{mark}{}{interval}", value.replace(' ', "")), tone }
}

/// Adds a row for every cell and metric, and the cells without a change with the reason.
fn every(text: &mut String, workload: &str, of: &[&Pair]) {
    let title =
        format!("{workload}: what the head takes of a job, and how much more than the base");
    let _ = writeln!(text, "\n{}", folded(&plain_lines(&title)));
    let rows: Vec<Vec<String>> =
        of.iter().flat_map(|cell| cell.shifts.iter().map(|shift| row(cell, shift))).collect();
    if !rows.is_empty() {
        let head = columns("cell | metric | base | head | change | interval");
        let _ = writeln!(text, "{}", figures_table(&head, &rows));
    }
    for cell in of {
        if let Some(reason) = &cell.reason {
            let line = format!("  {} {}: {reason}", states(cell), name(cell));
            let _ = writeln!(text, "{}", folded(&plain_lines(&line)));
        }
    }
}

/// Returns a line for each reason why cells have no change.
fn missing(cells: &[&Pair]) -> Vec<String> {
    let why = |cell: &&Pair| Some((states(cell), cell.reason.clone()?));
    let line = |(states, why): (String, String)| {
        let same =
            |cell: &&&Pair| self::states(cell) == states && cell.reason.as_ref() == Some(&why);
        let of: Vec<&&Pair> = cells.iter().filter(same).collect();
        let models = in_order(of.iter().map(|cell| series(cell))).join(", ");
        format!("{} {states} ({models}): {why}", of.len())
    };
    in_order(cells.iter().filter_map(why)).into_iter().map(line).collect()
}

fn series(cell: &Pair) -> String {
    series_name(&cell.model, cell.workers)
}

fn row(cell: &Pair, shift: &Shift) -> Vec<String> {
    let interval = match (shift.lower, shift.upper) {
        (Some(lower), Some(upper)) => {
            let mark = if shift.basis == Basis::Intervals { "~" } else { "" };
            format!("{mark}{} to {}", signed(lower).replace(" %", ""), signed(upper))
        }
        _ => "none".into(),
    };
    vec![
        name(cell),
        shift.metric.label().into(),
        figure(shift.metric, Some(shift.base)),
        figure(shift.metric, Some(shift.head)),
        signed(shift.share),
        interval,
    ]
}

fn name(cell: &Pair) -> String {
    let unit = if is_load(cell) { " connections" } else { "" };
    format!("{} at {}{unit}, {}", series(cell), count(cell.scale), cell.placement)
}

/// Returns whether it is a server under load, whose scale is its connections: only that has requests per second.
fn is_load(cell: &Pair) -> bool {
    cell.shifts.iter().any(|shift| shift.metric.is_rate())
}

/// Returns its state, on both sides if they differ.
fn states(cell: &Pair) -> String {
    let of = |state: Option<State>| state.map_or("absent", word);
    match cell.presence {
        Presence::Both if cell.base_state == cell.head_state => of(cell.base_state).into(),
        _ => format!("{} to {}", of(cell.base_state), of(cell.head_state)),
    }
}

/// The most pairs that are listed.
const MOST: usize = 10;

/// Returns pairs and disjoint pairs by workload and in total, and the worst of them.
pub fn agreement_table(found: &Agreement) -> String {
    let row = |name: &str, of: Disjoint| {
        let share = of.share().map_or_else(String::new, percent);
        let [cells, pairs, disjoint] = [of.cells, of.pairs, of.disjoint].map(count);
        vec![name.to_owned(), cells, pairs, disjoint, share]
    };
    let mut rows: Vec<_> = found.workloads.iter().map(|of| row(&of.workload, of.of)).collect();
    rows.push(row("total", found.total));
    let mut text = format!(
        "{}; disjoint intervals of one cell in two runs (two honest 95 % intervals are in about 0.6 % of pairs)\n\n",
        counted(found.runs.len(), "run")
    );
    text.push_str(&figures_table(&["workload", "cells", "pairs", "disjoint", "share"], &rows));
    if found.total.pairs == 0 {
        text.push_str(
            "\n\nno cell has an interval in two of the runs: each needs 3 processes of a cell",
        );
    }
    if found.apart.is_empty() {
        return text;
    }
    let apart = found.apart.iter().take(MOST).map(|pair| {
        let by = format!("{} apart", percent(pair.ratio - 1.0));
        vec![pair.cell.clone(), by, pair.runs[0].clone(), pair.runs[1].clone()]
    });
    let head = ["the farthest apart", "intervals", "in", "and"];
    format!("{text}\n\n{}", figures_table(&head, &apart.collect::<Vec<_>>()))
}
