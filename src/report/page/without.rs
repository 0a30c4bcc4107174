//! What was not measured: a line for each reason with the cells and the remedy, and a table of all cells.

use askama::Template;

use super::{
    lines::scales,
    parts::{Data, Table, name, reason},
};
use crate::{
    output::{count, counted, shorten},
    record::{Cell, ModelRecord, Run, State},
    report::table::{
        by_reason, in_order, of_over_half_an_hour, series, series_name, several_workers,
        was_cut_off, why, word,
    },
};

/// The cells without a figure, folded.
#[derive(Template)]
#[template(path = "missing.html")]
pub(super) struct Missing {
    summary: String,
    lines: Vec<String>,
    table: Table,
}

impl Missing {
    /// Returns `None` if every model ran and every cell has a figure.
    pub(super) fn of(run: &Run, cells: &[&Cell]) -> Option<Self> {
        let without: Vec<&Cell> =
            cells.iter().copied().filter(|cell| cell.state != State::Ok).collect();
        let mut lines = reasons(&without, cells, run);
        lines.extend(absent(&run.models));
        let summary = if without.is_empty() {
            "What was not measured".into()
        } else {
            let all = counted(cells.len(), "cell");
            format!("What was not measured: {} of {all}", count(without.len()))
        };
        (!lines.is_empty()).then(|| Missing { summary, lines, table: table(&without) })
    }
}

/// Returns a line for each reason, the most frequent first.
fn reasons(without: &[&Cell], all: &[&Cell], run: &Run) -> Vec<String> {
    by_reason(without).iter().map(|of| line(of, all, run)).collect()
}

/// Returns "over budget: 12 cells (sleep: pool, rayon from 1 000); a longer --budget makes room".
fn line<'a>(of: &[&'a Cell], all: &[&'a Cell], run: &Run) -> String {
    let cells = counted(of.len(), "cell");
    let places: Vec<String> = in_order(of.iter().map(|cell| cell.workload.as_str()))
        .into_iter()
        .map(|workload| {
            let within = |of: &[&'a Cell]| -> Vec<&'a Cell> {
                of.iter().copied().filter(|cell| cell.workload == workload).collect()
            };
            format!("{}: {}", name(workload), models(&within(of), &scales(&within(all))))
        })
        .collect();
    let places = places.join(" · ");
    match of[0].state {
        State::Skipped if was_cut_off(of[0]) => {
            format!("interrupted: {cells} ({places}); measure again")
        }
        State::Skipped => {
            let more = match run.instrument.as_str() {
                "criterion" => "PACELINE_BUDGET=30m, or a filter, makes room",
                _ => "a longer --budget makes room",
            };
            format!("over budget: {cells} ({places}); {more}{}", of_over_half_an_hour(of))
        }
        state => format!("{}: {cells} ({places}): {}", word(state), reason(Some(&why(of)))),
    }
}

/// Returns "threads, smol from 1 000; compio at 10", grouped by scales. `columns` are all scales of the workload.
fn models(of: &[&Cell], columns: &[usize]) -> String {
    let several = several_workers(of);
    let series = |cell: &Cell| name(&series(cell, several));
    let mut groups: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
    for one in in_order(of.iter().map(|cell| series(cell))) {
        let mut scales: Vec<usize> =
            of.iter().filter(|cell| series(cell) == one).map(|cell| cell.scale).collect();
        scales.sort_unstable();
        match groups.iter_mut().find(|(same, _)| *same == scales) {
            Some((_, names)) => names.push(one),
            None => groups.push((scales, vec![one])),
        }
    }
    let group = |(scales, names): &(Vec<usize>, Vec<String>)| {
        let names = names.join(", ");
        match &scales[..] {
            all if all == columns && all.len() > 1 => format!("{names} at every scale"),
            // Several scales up to the greatest are shown by the first.
            [first, _, ..] if columns.ends_with(scales) => {
                format!("{names} from {}", count(*first))
            }
            some => {
                let scales: Vec<String> = some.iter().map(|scale| count(*scale)).collect();
                format!("{names} at {}", scales.join(", "))
            }
        }
    };
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

/// Returns a line for each reason why models cannot run here.
fn absent(models: &[ModelRecord]) -> Vec<String> {
    let why = |model: &ModelRecord| reason(model.reason.as_deref());
    let absent: Vec<&ModelRecord> = models.iter().filter(|model| !model.available).collect();
    in_order(absent.iter().map(|model| why(model)))
        .into_iter()
        .map(|of| {
            let same = absent.iter().filter(|model| why(model) == of);
            let names: Vec<String> = same.map(|model| name(&model.name)).collect();
            format!("cannot run here: {} ({})", names.join(", "), shorten(&of, 400))
        })
        .collect()
}

/// Returns every cell without a figure, with its full reason.
fn table(cells: &[&Cell]) -> Table {
    let mut table = Table::new(
        "Every cell without a figure, and why",
        "workload | model | scale | state | why",
    )
    .with_prose(&[4]);
    for cell in cells {
        table.rows.push(vec![
            name(&cell.workload).into(),
            Data::of(name(&series_name(&cell.model, cell.workers))).class("l"),
            count(cell.scale).into(),
            Data::of(word(cell.state)).class(format!("l {}", word(cell.state))),
            reason(cell.reason.as_deref()).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::perform::Placement;

    #[test]
    fn those_with_the_same_scales_stand_together_and_a_stretch_to_the_end_says_where_it_begins() {
        let cells: Vec<Cell> = [
            ("pool", 10),
            ("rayon", 10),
            ("smol", 1),
            ("pool", 100),
            ("rayon", 100),
            ("asyncio", 1),
        ]
        .into_iter()
        .chain([("asyncio", 10), ("asyncio", 100), ("smol", 10)])
        .map(|(model, scale)| {
            Cell::new("echo", model, scale, None, Placement::Inside, State::Skipped)
        })
        .collect();
        let shown = models(&cells.iter().collect::<Vec<_>>(), &[1, 10, 100]);
        assert_eq!(shown, "pool, rayon from 10; smol at 1, 10; asyncio at every scale");
    }
}
