//! A test report for CI, by the schema of Jenkins' xUnit plugin (`junit-10.xsd`), which GitLab reads as well.

use crate::output::plain;
use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

/// How a test ended.
pub(super) enum End {
    Passed,
    /// `failure`, `error` or `skipped`; its type, and its message in a line.
    Not(&'static str, &'static str, String),
}

/// A test, and the lines that are shown with it.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) end: End,
    pub(super) body: String,
}

/// What its tests are of.
pub(super) struct Suite<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    pub(super) started: &'a str,
    /// How long it took, where that is known.
    pub(super) seconds: Option<f64>,
}

impl Suite<'_> {
    /// The report, whose only suite it is.
    pub(super) fn written(&self, tests: &[Test]) -> String {
        let bytes = self.write(tests).expect("memory takes it");
        String::from_utf8(bytes).expect("it is text")
    }

    fn write(&self, tests: &[Test]) -> io::Result<Vec<u8>> {
        let count = |kind: &str| {
            let of = tests.iter().filter(|test| matches!(test.end, End::Not(of, ..) if of == kind));
            of.count().to_string()
        };
        let (all, failures) = (tests.len().to_string(), count("failure"));
        let (errors, skipped) = (count("error"), count("skipped"));
        let seconds = self.seconds.map(|time| if time.is_finite() { time.max(0.0) } else { 0.0 });
        let time = seconds.map(|seconds| format!("{seconds:.3}"));
        let time = time.as_deref().map(|time| ("time", time));
        let started = plain(self.started);
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let counts =
            [("tests", all.as_str()), ("failures", failures.as_str()), ("errors", errors.as_str())];
        let suites = writer.create_element("testsuites").with_attributes(counts);
        suites.with_attribute(("name", self.name)).write_inner_content(|writer| {
            let suite = writer.create_element("testsuite").with_attribute(("name", self.name));
            let suite = suite.with_attributes(counts).with_attribute(("skipped", skipped.as_str()));
            let suite = suite.with_attributes(time);
            suite.with_attribute(("timestamp", started.as_str())).write_inner_content(
                |writer| tests.iter().try_for_each(|test| self.write_test(writer, test)),
            )?;
            Ok(())
        })?;
        let mut bytes = writer.into_inner();
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn write_test(&self, writer: &mut Writer<Vec<u8>>, test: &Test) -> io::Result<()> {
        let of = writer.create_element("testcase").with_attribute(("name", test.name.as_str()));
        of.with_attribute(("classname", self.class)).write_inner_content(|writer| {
            let body = BytesText::new(&test.body);
            match &test.end {
                End::Passed => writer.create_element("system-out").write_text_content(body)?,
                End::Not(kind, of, message) => {
                    let element = writer.create_element(*kind).with_attribute(("type", *of));
                    element
                        .with_attribute(("message", message.as_str()))
                        .write_text_content(body)?
                }
            };
            Ok(())
        })?;
        Ok(())
    }
}
