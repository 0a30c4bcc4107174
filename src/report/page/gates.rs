//! A gate: its verdict, its changes with their intervals, and the inconclusive cells.

use super::{
    charts,
    parts::{Data, Figure, Picture, Table, name},
};
use crate::{
    output::{count, counted},
    record::{Gate, GateCell},
    report::gate::{Groups, detectable, figure, interval_of, needed, share, verdict, why},
};

/// The most changes in the chart.
const SHOWN: usize = 40;
const REASON: usize = 400;

/// Its changes as a chart, those first that matter most, and all cells as a table.
pub(super) fn figure_of(gate: &Gate, id: &str) -> Figure {
    let groups = Groups::of(gate);
    let order = [
        &groups.regressed,
        &groups.improved,
        &groups.inconclusive,
        &groups.not_regressed,
        &groups.without,
        &groups.new,
        &groups.removed,
    ];
    let cells: Vec<&GateCell> = order.into_iter().flatten().copied().collect();
    let bars: Vec<charts::Change> = cells.iter().filter_map(|cell| bar(cell)).take(SHOWN).collect();
    let mut table = Table::new(
        "Every cell and metric, with its verdict",
        "cell | metric | verdict | base | head | change | 95 % interval | would be found | trials | trials needed | why",
    )
    .with_prose(&[10]);
    table.rows = cells.iter().map(|cell| row(cell)).collect();
    let margin = gate.cells.first().map(|cell| cell.margin);
    let with = gate.cells.iter().filter(|cell| cell.change.is_some()).count();
    let caption = format!(
        "How much more the head takes than the base: + is worse, − is better. Lines are 95 % intervals; the band is the \
         margin, below which no change is called one.{}",
        if with > bars.len() {
            format!(
                " {} of {}, those that matter most first.",
                count(bars.len()),
                counted(with, "cell")
            )
        } else {
            String::new()
        }
    );
    Figure {
        id: id.into(),
        title: "Changes and their intervals".into(),
        kind: "changes",
        picture: Some(Picture::Bars(charts::changes("Changes from base to head", &bars, margin))),
        caption,
        table,
        open: false,
    }
}

/// Returns the lines of its summary.
pub(super) fn closing(gate: &Gate) -> Vec<String> {
    Groups::of(gate).closing(gate, true)
}

fn bar(cell: &GateCell) -> Option<charts::Change> {
    let change = cell.change?;
    Some(charts::Change {
        name: format!("{} {}", name(&cell.cell), cell.metric.label()),
        share: change.share,
        interval: Some((change.lower, change.upper)),
        verdict: cell.verdict.map_or("", verdict),
    })
}

fn row(cell: &GateCell) -> Vec<Data> {
    let word = cell.verdict.map_or("none", verdict);
    vec![
        name(&cell.cell).into(),
        Data::of(cell.metric.label()).class("l"),
        Data::of(word).class(format!("l {word}")),
        figure(cell.metric, cell.base).into(),
        figure(cell.metric, cell.head).into(),
        cell.change.map_or_else(String::new, |change| share(change.share)).into(),
        interval_of(cell).into(),
        detectable(cell).into(),
        cell.trials.to_string().into(),
        if cell.trials_needed.is_some() { needed(cell) } else { String::new() }.into(),
        why(cell, REASON).into(),
    ]
}
