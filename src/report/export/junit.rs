//! A test report for CI, by the schema of Jenkins' xUnit plugin (`junit-10.xsd`), which GitLab reads as well.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::rows::{Sheet, Test, TestResult};
use crate::output::plain;

/// The longest name of a cell, in characters.
const NAME: usize = 300;

/// Returns one suite: the tests of the whole, and one for each row.
pub(super) fn junit(sheet: &Sheet) -> String {
    let rows = sheet.named(NAME).into_iter().map(|(cell, row)| {
        let name =
            if row.test.name.is_empty() { cell } else { format!("{cell} {}", row.test.name) };
        (name, &row.test)
    });
    let tests = sheet.tests.iter().map(|test| (test.name.clone(), test)).chain(rows);
    let bytes = write(sheet, &tests.collect::<Vec<_>>()).expect("memory takes it");
    String::from_utf8(bytes).expect("it is text")
}

fn write(sheet: &Sheet, tests: &[(String, &Test)]) -> io::Result<Vec<u8>> {
    let count = |kind: &str| {
        let of = tests
            .iter()
            .filter(|(_, test)| matches!(test.end, TestResult::NotPassed(of, ..) if of == kind));
        of.count().to_string()
    };
    let (all, failures) = (tests.len().to_string(), count("failure"));
    let (errors, skipped) = (count("error"), count("skipped"));
    let seconds = sheet.seconds.map(|time| if time.is_finite() { time.max(0.0) } else { 0.0 });
    let time = seconds.map(|seconds| format!("{seconds:.3}"));
    let time = time.as_deref().map(|time| ("time", time));
    let class = sheet.kind.replace(' ', ".");
    let started = plain(sheet.started);
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts =
        [("tests", all.as_str()), ("failures", failures.as_str()), ("errors", errors.as_str())];
    let suites = writer.create_element("testsuites").with_attributes(counts);
    suites.with_attribute(("name", sheet.title.as_str())).write_inner_content(|writer| {
        let suite =
            writer.create_element("testsuite").with_attribute(("name", sheet.title.as_str()));
        let suite = suite.with_attributes(counts).with_attribute(("skipped", skipped.as_str()));
        let suite = suite.with_attributes(time);
        suite.with_attribute(("timestamp", started.as_str())).write_inner_content(|writer| {
            tests.iter().try_for_each(|(name, test)| write_test(writer, &class, name, test))
        })?;
        Ok(())
    })?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn write_test(
    writer: &mut Writer<Vec<u8>>,
    class: &str,
    name: &str,
    test: &Test,
) -> io::Result<()> {
    let of = writer.create_element("testcase").with_attribute(("name", name));
    of.with_attribute(("classname", class)).write_inner_content(|writer| {
        let body = BytesText::new(&test.body);
        match &test.end {
            TestResult::Passed => writer.create_element("system-out").write_text_content(body)?,
            TestResult::NotPassed(kind, of, message) => {
                let element = writer.create_element(*kind).with_attribute(("type", *of));
                element.with_attribute(("message", message.as_str())).write_text_content(body)?
            }
        };
        Ok(())
    })?;
    Ok(())
}
