//! The gate as a test report for CI.

use std::fmt::Write as _;

use super::{
    super::{
        gate::{
            crashes, detectable, figure, interval, label, needed, overall, share, verdict, why,
        },
        table::word,
    },
    suite::{End, Suite, Test},
};
use crate::{
    output::cut,
    record::{Gate, GateCell, Overall, Presence, Sameness, State, Verdict},
};

/// The longest name and reason, in characters.
const NAME: usize = 300;
/// The longest summary.
const REASON: usize = 1000;

/// A suite with a test for each cell and metric, and one for the null arm. What regressed is a failure. What is
/// inconclusive, new, removed, refused or skipped is skipped. What could not be measured is an error. Where the
/// environment is invalid, the null arm is an error, and no cell fails: the run says nothing of the change. A cell in which
/// the null arm fired is skipped, and the null arm is an error then too. Where base and
/// head are the same program or no cell was compared, a test says so, and is an error unless nothing could have changed.
pub(super) fn junit(gate: &Gate) -> String {
    let mut tests = vec![null_arm(gate)];
    tests.extend(nothing_compared(gate));
    tests.extend(gate.cells.iter().map(|cell| test(gate, cell)));
    let suite = Suite {
        name: "paceline gate",
        class: "paceline.gate",
        started: &gate.started,
        seconds: Some(gate.seconds),
    };
    suite.written(&tests)
}

fn null_arm(gate: &Gate) -> Test {
    let mut body = String::new();
    for cell in gate.cells.iter().filter(|cell| cell.null_fired) {
        let change = cell.null.map_or_else(String::new, |null| share(null.share));
        let _ = writeln!(body, "{} {}: {change}", cut(&cell.cell, NAME), label(cell.metric));
    }
    let end = match gate.verdict {
        Overall::EnvironmentInvalid => {
            End::Not("error", "environment-invalid", cut(&gate.summary, NAME))
        }
        _ if !body.is_empty() => {
            End::Not("error", "void", "cells in which it fired have no verdict".into())
        }
        _ => End::Passed,
    };
    let verdict = overall(gate.verdict);
    let body = format!("{verdict}: {}\n{body}", cut(&gate.summary, NAME));
    Test { name: "null arm: the base against its copy".into(), end, body }
}

fn nothing_compared(gate: &Gate) -> Option<Test> {
    let sameness = gate.same_program.as_ref().map(|same| same.sameness);
    if gate.verdict != Overall::Nothing && sameness.is_none() {
        return None;
    }
    let end = match sameness {
        Some(Sameness::Unreachable | Sameness::SameSource | Sameness::NotAffected) => End::Passed,
        Some(Sameness::Unreached) | None => {
            End::Not("error", "nothing-compared", cut(&gate.summary, REASON))
        }
    };
    Some(Test { name: "base and head are compared".into(), end, body: cut(&gate.summary, REASON) })
}

fn test(gate: &Gate, cell: &GateCell) -> Test {
    let name = format!("{} {}", cut(&cell.cell, NAME), label(cell.metric));
    Test { name, end: end(gate, cell), body: body(cell) }
}

fn end(gate: &Gate, cell: &GateCell) -> End {
    let change = cell.change.map_or_else(String::new, |change| {
        format!("{} ({})", share(change.share), interval(&change))
    });
    let skipped = |kind, message| End::Not("skipped", kind, message);
    match (cell.presence, cell.state, cell.verdict) {
        (_, State::Failed | State::Invalid, _) => {
            End::Not("error", word(cell.state), why(cell, NAME))
        }
        (Presence::Head, ..) => skipped("new", "new: the base does not have it".into()),
        (Presence::Base, ..) => skipped("removed", "removed: the head does not have it".into()),
        _ if cell.null_fired => skipped("void", why(cell, NAME)),
        (_, State::Refused | State::Skipped, _) => skipped(word(cell.state), why(cell, NAME)),
        _ if gate.verdict == Overall::EnvironmentInvalid => {
            skipped("environment-invalid", format!("the run says nothing of it: {change}"))
        }
        (_, _, Some(Verdict::Regressed)) => {
            End::Not("failure", "regressed", format!("it takes {change} more than the base"))
        }
        (_, _, Some(Verdict::Inconclusive)) => {
            let (least, trials) = (detectable(cell), needed(cell));
            skipped(
                "inconclusive",
                format!("{change}; {least} would be found; trials needed: {trials}"),
            )
        }
        (_, _, Some(Verdict::Improved | Verdict::NotRegressed)) => End::Passed,
        (_, _, None) => skipped("no-verdict", "there is no verdict on it".into()),
    }
}

fn body(cell: &GateCell) -> String {
    let mut lines = vec![format!("verdict: {}", cell.verdict.map_or("none", verdict))];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name}: {value}"));
        }
    };
    line("base", figure(cell.metric, cell.base));
    line("head", figure(cell.metric, cell.head));
    line("change", cell.change.map_or_else(String::new, |change| share(change.share)));
    line("95 % interval", cell.change.map_or_else(String::new, |change| interval(&change)));
    line("margin", share(cell.margin));
    line("would be found", detectable(cell));
    line("trials", format!("{}, {} dropped", cell.trials, cell.dropped));
    line("crashes", crashes(cell.crashes));
    line("trials needed", cell.trials_needed.map_or_else(String::new, |n| n.to_string()));
    line("why", why(cell, NAME));
    lines.join("\n")
}
