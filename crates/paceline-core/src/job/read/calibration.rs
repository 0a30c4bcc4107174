//! Converts durations of `compute` to rounds on the machine that reads the file.

use std::{cell::RefCell, ops::Range};

use toml::de::DeValue;

use super::Reader;
use crate::job::{ReadError, Workload, bounds, rounds_of, text::Value};

/// The duration of a round, if known, and the ranges of the text that held durations.
pub(super) struct Calibration {
    compute_ns: Option<fn() -> f64>,
    replaced: RefCell<Vec<(Range<usize>, u64)>>,
}

impl Calibration {
    pub(super) fn by(compute_ns: Option<fn() -> f64>) -> Self {
        Calibration { compute_ns, replaced: RefCell::default() }
    }

    /// Returns the text with rounds in these ranges, and the new position of each range.
    pub(super) fn source(&self, text: &str) -> (String, Vec<Range<usize>>) {
        let mut replaced = self.replaced.take();
        replaced.sort_unstable_by_key(|(span, _)| span.start);
        let (mut source, mut calibrated, mut end) = (String::new(), vec![], 0);
        for (span, rounds) in replaced {
            source.push_str(&text[end..span.start]);
            let start = source.len();
            source.push_str(&rounds.to_string());
            calibrated.push(start..source.len());
            end = span.end;
        }
        source.push_str(&text[end..]);
        (source, calibrated)
    }
}

impl Workload {
    /// Returns the workload of `recorded` if that text is the `source` of an earlier calibration of the same file.
    pub fn as_recorded(&self, recorded: &str) -> Option<Workload> {
        let (mut rest, mut end) = (recorded, 0);
        for rounds in &self.calibrated {
            rest = rest.strip_prefix(&self.source[end..rounds.start])?;
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            end = rounds.end;
        }
        let same = rest == &self.source[end..];
        same.then(|| Workload::parse(&self.name, recorded).ok()).flatten()
    }
}

impl<'a> Reader<'a> {
    /// Reads the rounds of a `compute` step: a number, or a duration converted to rounds.
    pub(super) fn rounds(&self, value: &Value<'a>) -> Result<u64, ReadError> {
        let Reader(text, Calibration { compute_ns, replaced }) = self;
        if matches!(value.get_ref(), DeValue::Integer(_)) {
            return text.number(value, bounds::ROUNDS);
        }
        let what = "compute is a number of rounds such as 1_000, or a duration such as \"200us\"";
        text.string(value, what)?;
        let time = text.duration(value, "compute", bounds::WAIT)?;
        let Some(compute_ns) = compute_ns else {
            return text.wrong(
                value,
                "compute takes a number of rounds here, such as 1_000: only where a file is read is a duration calibrated",
            );
        };
        let rounds = bounds::ROUNDS.check(rounds_of(time, compute_ns()));
        let rounds = rounds.or_else(|message| text.wrong(value, message))?;
        replaced.borrow_mut().push((value.span(), rounds));
        Ok(rounds)
    }
}

#[cfg(test)]
mod tests {
    use crate::job::{Step, Workload};

    fn read(text: &str) -> Result<Workload, String> {
        Workload::calibrated("w", text, || 2.1).map_err(|error| error.to_string())
    }

    #[test]
    fn a_duration_of_compute_is_rounds_from_then_on_wherever_it_stands() {
        let text = "name = \"w\" # compute = \"1s\"\njob = [{ compute = \"200us\" }, { offload = [{ compute = '1ms' }] },\n\
                    { compute = 7 }]\nevery = { nth = 2, job = [{ compute = \"1ns\" }] }";
        let workload = read(text).unwrap();
        assert_eq!(workload.job[0], Step::Compute(95_000));
        assert_eq!(
            workload.source,
            "name = \"w\" # compute = \"1s\"\njob = [{ compute = 95000 }, { offload = [{ compute = 480000 }] },\n\
             { compute = 7 }]\nevery = { nth = 2, job = [{ compute = 1 }] }"
        );
        let again = Workload::parse("w", &workload.source).unwrap();
        assert_eq!((again.job, again.every), (workload.job, workload.every));
    }

    #[test]
    fn a_later_calibration_of_the_same_file_takes_the_rounds_of_the_earlier_one() {
        let text = |more: &str| {
            format!("name = \"w\"\njob = [{{ compute = \"2ms\" }}, {{ compute = {more} }}]")
        };
        let earlier = read(&text("\"1us\"")).unwrap().source;
        let later = Workload::calibrated("w", &text("\"1us\""), || 0.7).unwrap();
        assert_ne!(later.source, earlier);
        assert_eq!(later.as_recorded(&earlier).unwrap().source, earlier);
        for other in ["7", "480"] {
            let other = Workload::calibrated("w", &text(other), || 0.7).unwrap();
            assert_eq!(other.as_recorded(&earlier).is_some(), other.source.ends_with("480 }]"));
        }
        assert!(later.as_recorded("").is_none());
    }

    #[test]
    fn a_duration_that_cannot_be_is_pointed_at() {
        let wrong = |compute: &str| {
            read(&format!("name = \"w\"\njob = [{{ compute = {compute} }}]")).unwrap_err()
        };
        assert_eq!(wrong("\"0s\""), "w:2:20: compute must be more than 0s");
        assert_eq!(wrong("\"2m\""), "w:2:20: compute must be at most 1m, not 2m");
        assert!(wrong("\"200\"").starts_with("w:2:20: compute is a duration such as"));
        assert!(wrong("[]").contains("a duration such as \"200us\""), "{}", wrong("[]"));
        let slow = "name = \"w\"\njob = [{ compute = \"1m\" }]";
        let fast = Workload::calibrated("w", slow, || 0.1).unwrap_err().to_string();
        assert!(fast.starts_with("w:2:20: the rounds of a compute step must be at most"), "{fast}");
        let parsed = Workload::parse("w", slow).unwrap_err().to_string();
        assert!(parsed.starts_with("w:2:20: compute takes a number of rounds here"), "{parsed}");
    }
}
