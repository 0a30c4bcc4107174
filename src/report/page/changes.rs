//! The sections of comparisons: gates, and two runs side by side.

use askama::Template;

use super::{Section, comparison, gates, listed, name, parts, rendered};
use crate::{
    compare::{Refusal, compare_records},
    output::cut,
    record::{Gate, Record},
    report::{gate::overall, unreliable::remarks},
};

pub(super) fn of_gate(gate: &Gate, index: usize, of: usize) -> Section {
    let id = if of > 1 { format!(" ({})", name(&gate.id)) } else { String::new() };
    let verdict = overall(gate.verdict);
    let head = GateHead {
        verdict,
        summary: cut(&gate.summary, 600),
        base: side(&gate.base),
        head: side(&gate.head),
        closing: gates::closing(gate)
            .iter()
            .chain(&gate.notes)
            .map(|line| cut(line, 600))
            .collect(),
        interrupted: gate.interrupted,
        figure: gates::figure_of(gate, &format!("g{index}-changes")),
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
    figure: parts::Figure,
}

fn side(side: &crate::record::Side) -> String {
    let commit = side
        .commit
        .as_deref()
        .map_or_else(String::new, |commit| format!(", commit {}", cut(commit, 12)));
    let about =
        if side.about.is_empty() { String::new() } else { format!(", {}", cut(&side.about, 200)) };
    format!("{}{commit}{about}", cut(&side.name, 100))
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
            rendered(&Sentence { text: cut(&format!("Not compared: {why}."), 600) })
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
    figures: Vec<parts::Figure>,
    remarks: Vec<String>,
    without: String,
}

#[derive(Template)]
#[template(source = "<div class=\"note\" role=\"note\"><p>{{ text }}</p></div>", ext = "html")]
struct Sentence {
    text: String,
}
