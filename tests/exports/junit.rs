//! The report for CI against the schema of Jenkins' xUnit plugin, `junit-10.xsd`, as a table of what it allows.

use paceline::{record::Gate, report::Export};
use roxmltree::{Document, Node};

use crate::sample_gate::{large, sample, unfit};

/// An element: its attributes that must be there, those that may, the elements in it, and whether it has text.
struct Shape {
    name: &'static str,
    must: &'static [&'static str],
    may: &'static [&'static str],
    within: &'static [&'static str],
    text: bool,
}

const SUITE: &[&str] = &["name", "tests", "failures", "errors"];
const SHAPES: &[Shape] = &[
    Shape {
        name: "testsuites",
        must: &[],
        may: &["name", "time", "tests", "failures", "errors"],
        within: &["testsuite"],
        text: false,
    },
    Shape {
        name: "testsuite",
        must: SUITE,
        may: &["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file"],
        within: &["testsuite", "properties", "testcase", "system-out", "system-err"],
        text: false,
    },
    Shape {
        name: "testcase",
        must: &["name"],
        may: &["time", "classname", "group"],
        within: &["skipped", "error", "failure", "system-out", "system-err"],
        text: false,
    },
    Shape { name: "failure", must: &[], may: &["type", "message"], within: &[], text: true },
    Shape { name: "error", must: &[], may: &["type", "message"], within: &[], text: true },
    Shape { name: "skipped", must: &[], may: &["type", "message"], within: &[], text: true },
    Shape { name: "system-out", must: &[], may: &[], within: &[], text: true },
];

fn check(node: Node) {
    let name = node.tag_name().name();
    let shape = SHAPES.iter().find(|shape| shape.name == name).expect(name);
    for attribute in node.attributes() {
        let of = attribute.name();
        assert!(shape.must.contains(&of) || shape.may.contains(&of), "{name} has {of}");
    }
    for must in shape.must {
        assert!(node.has_attribute(*must), "{name} lacks {must}");
    }
    if let Some(time) = node.attribute("time") {
        let (whole, part) = time.split_once('.').unwrap();
        assert!(whole.chars().chain(part.chars()).all(|c| c.is_ascii_digit()), "{time}");
    }
    for child in node.children() {
        if child.is_element() {
            assert!(shape.within.contains(&child.tag_name().name()), "{child:?} in {name}");
            check(child);
        } else {
            let blank = child.text().unwrap_or_default().trim().is_empty();
            assert!(shape.text || blank, "text in {name}: {child:?}");
        }
    }
}

/// The report's tests as `(name, how it ended, message)`, after all of it was checked.
fn tests(gate: &Gate) -> Vec<(String, String, String)> {
    let text = Export::Junit.render(gate);
    let document = Document::parse(&text).unwrap();
    check(document.root_element());
    let suites: Vec<Node> =
        document.descendants().filter(|node| node.has_tag_name("testsuite")).collect();
    assert_eq!(suites.len(), 1);
    let tests: Vec<_> = suites[0]
        .children()
        .filter(|node| node.has_tag_name("testcase"))
        .map(|test| {
            let end = test.first_element_child().unwrap();
            let name = test.attribute("name").unwrap().to_owned();
            let message = end.attribute("message").unwrap_or_default().to_owned();
            (name, end.tag_name().name().to_owned(), message)
        })
        .collect();
    for (kind, counted) in [("failure", "failures"), ("error", "errors"), ("skipped", "skipped")] {
        let count = tests.iter().filter(|(_, end, _)| end == kind).count().to_string();
        assert_eq!(suites[0].attribute(counted), Some(count.as_str()), "{counted}");
    }
    assert_eq!(suites[0].attribute("tests"), Some(tests.len().to_string().as_str()));
    tests
}

#[test]
fn what_regressed_fails_and_what_could_not_be_told_is_skipped() {
    let gate = sample();
    let tests = tests(&gate);
    assert_eq!(tests.len(), gate.cells.len() + 1);
    let end = |name: &str| {
        let test = tests.iter().find(|(of, ..)| of.starts_with(name)).expect(name);
        (test.1.as_str(), test.2.as_str())
    };
    assert_eq!(end("null arm").0, "system-out");
    let failure = "it takes +5.2 % (+4.2 % to +7.2 %) more than the base";
    assert_eq!(end("echo/tokio/10 time per job"), ("failure", failure));
    assert_eq!(end("<script>").0, "failure");
    assert_eq!(end("sleep/threads/100").0, "system-out");
    let (kind, message) = end("echo/smol/10");
    assert_eq!(kind, "skipped");
    assert!(message.contains("+2.1 %") && message.contains("160"), "{message}");
    assert_eq!(end("switch/may/10").0, "error");
    assert_eq!(end("switch/pool/10"), ("error", "invalid: a receipt is wrong"));
    assert_eq!(end("switch/rayon/10").0, "skipped");
    assert_eq!(end("new/tokio/1").0, "skipped");
    assert_eq!(end("removed/tokio/1").0, "skipped");
}

#[test]
fn an_invalid_environment_is_an_error_and_fails_no_cell() {
    let tests = tests(&unfit());
    assert_eq!(tests[0].1, "error");
    assert!(tests.iter().all(|(_, end, _)| end != "failure"), "{tests:?}");
}

#[test]
fn a_large_report_is_one_suite() {
    assert_eq!(tests(&large(500)).len(), 501);
}
