//! The schema of Jenkins' xUnit plugin, `junit-10.xsd`, as a table of what it allows.

use roxmltree::{Document, Node};

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
pub(crate) fn tests(text: &str) -> Vec<(String, String, String)> {
    let document = Document::parse(text).unwrap();
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
