//! The run as a test report for CI.

use super::{
    super::{
        super::table::word,
        suite::{End, Suite, Test},
    },
    figures::{costs, named, throughput},
};
use crate::{
    output::cut,
    record::{Cell, Record, State},
};

/// The longest name and reason, in characters.
const NAME: usize = 300;

/// A suite with a test for each cell. An invalid cell is a failure: what ran was not what the label says. A failed one
/// is an error. What was refused or skipped is skipped, with the reason.
pub(super) fn junit(record: &Record) -> String {
    let tests: Vec<Test> =
        named(record, NAME).into_iter().map(|(name, cell)| test(name, cell)).collect();
    let name = format!("paceline {}", cut(&record.run.id, NAME));
    let (class, started) = ("paceline.run", &record.run.started);
    Suite { name: &name, class, started, seconds: None }.written(&tests)
}

fn test(name: String, cell: &Cell) -> Test {
    let why = cell.reason.as_deref().map_or_else(|| word(cell.state).into(), |why| cut(why, NAME));
    let not = |kind| End::Not(kind, word(cell.state), why);
    let end = match cell.state {
        State::Ok => End::Passed,
        State::Invalid => not("failure"),
        State::Failed => not("error"),
        State::Refused | State::Skipped => not("skipped"),
    };
    Test { name, end, body: body(cell) }
}

fn body(cell: &Cell) -> String {
    let mut lines = vec![format!("state: {}", word(cell.state))];
    lines.extend(throughput(cell).into_iter().chain(costs(cell)).map(|figure| {
        let (name, value) = (figure.name, figure.value);
        let between = figure.interval.map(|(lower, upper)| format!(" ({lower} to {upper})"));
        format!("{name}: {value}{}", between.unwrap_or_default())
    }));
    if let Some(reason) = &cell.reason {
        lines.push(format!("why: {}", cut(reason, 10 * NAME)));
    }
    lines.join("\n")
}
