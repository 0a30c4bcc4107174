//! A test report for CI, by the schema of Jenkins' xUnit plugin (`junit-10.xsd`), which GitLab reads as well.

use std::{fmt::Write as _, io};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::super::{
    gate::{cut, detectable, figure, interval, label, needed, overall, plain, share, verdict, why},
    table::word,
};
use crate::record::{Gate, GateCell, Overall, Presence, State, Verdict};

/// The longest name and reason, in characters.
const NAME: usize = 300;

/// How a test ended.
enum End {
    Passed,
    /// `failure`, `error` or `skipped`; its type, and its message in a line.
    Not(&'static str, &'static str, String),
}

struct Test {
    name: String,
    end: End,
    body: String,
}

/// A suite with a test for each cell and metric, and one for the null arm. What regressed is a failure. What is
/// inconclusive, new, removed, refused or skipped is skipped. What could not be measured is an error. Where the
/// environment is invalid, the null arm is an error, and no cell fails: the run says nothing of the change.
pub(super) fn junit(gate: &Gate) -> String {
    let mut tests = vec![null_arm(gate)];
    tests.extend(gate.cells.iter().map(|cell| test(gate, cell)));
    let bytes = write(gate, &tests).expect("memory takes it");
    String::from_utf8(bytes).expect("it is text")
}

fn write(gate: &Gate, tests: &[Test]) -> io::Result<Vec<u8>> {
    let count = |kind: &str| {
        let of = tests.iter().filter(|test| matches!(test.end, End::Not(of, ..) if of == kind));
        of.count().to_string()
    };
    let (all, failures) = (tests.len().to_string(), count("failure"));
    let (errors, skipped) = (count("error"), count("skipped"));
    let seconds = if gate.seconds.is_finite() { gate.seconds.max(0.0) } else { 0.0 };
    let (time, started) = (format!("{seconds:.3}"), plain(&gate.started));
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts =
        [("tests", all.as_str()), ("failures", failures.as_str()), ("errors", errors.as_str())];
    let suites = writer.create_element("testsuites").with_attributes(counts);
    suites.with_attribute(("name", "paceline gate")).write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", "paceline gate"));
        let suite = suite.with_attributes(counts).with_attribute(("skipped", skipped.as_str()));
        let suite = suite.with_attribute(("time", time.as_str()));
        suite.with_attribute(("timestamp", started.as_str())).write_inner_content(|writer| {
            tests.iter().try_for_each(|test| write_test(writer, test))
        })?;
        Ok(())
    })?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn write_test(writer: &mut Writer<Vec<u8>>, test: &Test) -> io::Result<()> {
    let of = writer.create_element("testcase").with_attribute(("name", test.name.as_str()));
    of.with_attribute(("classname", "paceline.gate")).write_inner_content(|writer| {
        let body = BytesText::new(&test.body);
        match &test.end {
            End::Passed => writer.create_element("system-out").write_text_content(body)?,
            End::Not(kind, of, message) => {
                let element = writer.create_element(*kind).with_attribute(("type", *of));
                element.with_attribute(("message", message.as_str())).write_text_content(body)?
            }
        };
        Ok(())
    })?;
    Ok(())
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
        _ => End::Passed,
    };
    let verdict = overall(gate.verdict);
    let body = format!("{verdict}: {}\n{body}", cut(&gate.summary, NAME));
    Test { name: "null arm: the base against its copy".into(), end, body }
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
        (_, State::Refused | State::Skipped, _) => skipped(word(cell.state), why(cell, NAME)),
        _ if gate.verdict == Overall::EnvironmentInvalid => {
            skipped("environment-invalid", format!("the run says nothing of it: {change}"))
        }
        (_, _, Some(Verdict::Regressed)) => {
            End::Not("failure", "regressed", format!("it takes {change} more than the base"))
        }
        (_, _, Some(Verdict::Inconclusive)) => {
            let (least, rounds) = (detectable(cell), needed(cell));
            skipped(
                "inconclusive",
                format!("{change}; {least} would be found; rounds needed: {rounds}"),
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
    line("rounds", format!("{}, {} dropped", cell.rounds, cell.dropped));
    line("rounds needed", cell.rounds_needed.map_or_else(String::new, |n| n.to_string()));
    line("why", why(cell, NAME));
    lines.join("\n")
}
