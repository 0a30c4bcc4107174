//! The sections of changes: gates, and two runs side by side.

use askama::Template;

use super::{
    Section, charts, comparison, name,
    parts::{Data, Figure, Picture, Table},
    rendered,
};
use crate::{
    compare::{Refusal, compare_records},
    output::{count, counted, cut, listed, shorten},
    record::{Gate, GateCell, Record},
    report::{
        gate::{
            Groups, detectable, figure, interval_of, needed, overall, share, side, verdict, why,
        },
        unreliable::remarks,
    },
};

/// The most changes in the chart.
const SHOWN: usize = 40;
const REASON: usize = 400;

pub(super) fn of_gate(gate: &Gate, index: usize, of: usize) -> Section {
    let id = if of > 1 { format!(" ({})", name(&gate.id)) } else { String::new() };
    let verdict = overall(gate.verdict);
    let head = GateHead {
        verdict,
        summary: shorten(&gate.summary, 600),
        base: side(&gate.base),
        head: side(&gate.head),
        closing: Groups::of(gate)
            .closing(gate, true)
            .iter()
            .chain(&gate.notes)
            .map(|line| shorten(line, 600))
            .collect(),
        interrupted: gate.interrupted,
        figure: figure_of(gate, &format!("g{index}-changes")),
    };
    Section::new(
        format!("g{index}"),
        format!("Gate{id}"),
        format!("The gate: {verdict}{id}"),
        rendered(&head),
    )
}

#[derive(Template)]
#[template(path = "gate.html")]
struct GateHead {
    verdict: &'static str,
    summary: String,
    base: String,
    head: String,
    closing: Vec<String>,
    interrupted: bool,
    figure: Figure,
}

/// Returns the changes of a gate as a chart, those first that matter most, and all its cells as a table.
fn figure_of(gate: &Gate, id: &str) -> Figure {
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

pub(super) fn of_comparison(base: &Record, head: &Record, index: usize) -> Section {
    let title = format!("{} against {}", name(&head.run.id), name(&base.run.id));
    let id = format!("c{index}");
    let body = match compare_records(base, head, true) {
        Ok(comparison) => {
            let differ = |what: &[String], most: usize, shown: usize| {
                listed(&what.iter().map(|one| cut(one, most)).collect::<Vec<_>>(), shown)
            };
            let without = comparison::without(&comparison);
            rendered(&ComparisonHead {
                plainly: comparison::PLAINLY,
                machines: differ(&comparison.machine_differences, 200, 20),
                versions: differ(&comparison.version_differences, 100, 40),
                figures: comparison::figures(&comparison, &format!("{id}-changes")),
                remarks: remarks(comparison.cells.iter().map(|cell| cell.model.as_str())),
                without: if without.rows.is_empty() { String::new() } else { rendered(&without) },
            })
        }
        Err(compare_refusal) => {
            let (Refusal::Machine(why) | Refusal::Instrument(why)) = compare_refusal;
            rendered(&Sentence { text: shorten(&format!("Not compared: {why}."), 600) })
        }
    };
    Section::new(&id, format!("Comparison {}", index + 1), title, body)
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct ComparisonHead {
    plainly: &'static str,
    machines: String,
    versions: String,
    figures: Vec<Figure>,
    remarks: Vec<String>,
    without: String,
}

#[derive(Template)]
#[template(source = "<div class=\"note\" role=\"note\"><p>{{ text }}</p></div>", ext = "html")]
struct Sentence {
    text: String,
}
