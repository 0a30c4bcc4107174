//! Values in a workload file, each with its position, so that errors can point at it.

use std::{fmt, ops::Range, time::Duration};

use bytesize::ByteSize;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::Bound;
use crate::quantity::count;

/// What is wrong in a workload file, and where: `service.toml:4:7: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The file's name.
    pub file: String,
    /// The line and column, both from 1; `None` if the whole file is at fault.
    pub place: Option<(usize, usize)>,
    /// One lowercase sentence that says which values are allowed.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ReadError {}

/// A file's text.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

pub(super) type Value<'a> = Spanned<DeValue<'a>>;
type Read<T> = Result<T, ReadError>;

impl<'a> Text<'a> {
    pub(super) fn parse(self) -> Read<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            self.error(error.span().unwrap_or(0..0), format!("not TOML: {message}"))
        })
    }

    /// Returns an error at `span`.
    pub(super) fn error(self, span: Range<usize>, message: impl Into<String>) -> ReadError {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        ReadError {
            file: self.file.to_owned(),
            place: Some((line, column)),
            message: message.into(),
        }
    }

    pub(super) fn wrong<T>(self, value: &Value<'_>, message: impl Into<String>) -> Read<T> {
        Err(self.error(value.span(), message))
    }

    pub(super) fn table<'v>(self, value: &'v Value<'a>, what: &str) -> Read<&'v DeTable<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            other => self.wrong(value, format!("{what}, not {}", kind(other))),
        }
    }

    pub(super) fn array<'v>(self, value: &'v Value<'a>, what: &str) -> Read<&'v DeArray<'a>> {
        match value.get_ref() {
            DeValue::Array(array) => Ok(array),
            other => self.wrong(value, format!("{what}, not {}", kind(other))),
        }
    }

    pub(super) fn string<'v>(self, value: &'v Value<'a>, what: &str) -> Read<&'v str> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            other => self.wrong(value, format!("{what}, not {}", kind(other))),
        }
    }

    /// Reads a whole number within `bound`.
    pub(super) fn number(self, value: &Value<'_>, bound: Bound) -> Read<u64> {
        let what = bound.what;
        let DeValue::Integer(integer) = value.get_ref() else {
            let found = kind(value.get_ref());
            return self
                .wrong(value, format!("{what} must be a whole number such as 1_000, not {found}"));
        };
        let (digits, radix) = (integer.as_str(), integer.radix());
        match u64::from_str_radix(digits, radix) {
            Ok(number) => bound.check(number).or_else(|message| self.wrong(value, message)),
            Err(_) if digits.starts_with('-') => {
                let least = count(bound.least as usize);
                self.wrong(value, format!("{what} must be at least {least}, not {integer}"))
            }
            Err(_) => {
                let most = count(bound.most as usize);
                self.wrong(value, format!("{what} must be at most {most}, not {integer}"))
            }
        }
    }

    /// Reads a duration such as `"10ms"`, above zero and at most `most`.
    pub(super) fn duration(self, value: &Value<'a>, what: &str, most: Duration) -> Read<Duration> {
        let text = self.string(value, &format!("{what} is a duration such as \"10ms\""))?;
        // As the file has it: nobody finds a 1000000h that is told as 114years 28days 4h.
        let too_long = || {
            let most = humantime::format_duration(most);
            self.wrong(value, format!("{what} must be at most {most}, not {text}"))
        };
        match humantime::parse_duration(text) {
            Ok(wait) if wait.is_zero() => self.wrong(value, format!("{what} must be more than 0s")),
            Ok(wait) if wait > most => too_long(),
            Ok(wait) => Ok(wait),
            Err(humantime::DurationError::NumberOverflow) => too_long(),
            Err(_) => self.wrong(
                value,
                format!(
                    "{what} is a duration such as \"250us\", \"10ms\" or \"1s 500ms\", not {text:?}"
                ),
            ),
        }
    }

    /// Reads a size such as `"64KiB"` or `100`, within `bound`.
    pub(super) fn size(self, value: &Value<'a>, bound: Bound) -> Read<usize> {
        let DeValue::String(text) = value.get_ref() else {
            return self.number(value, bound).map(|bytes| bytes as usize);
        };
        match text.parse::<ByteSize>() {
            Ok(size) => bound
                .check(size.as_u64())
                .map(|bytes| bytes as usize)
                .or_else(|message| self.wrong(value, message)),
            Err(_) => {
                self.wrong(value, format!("{text:?} is no size: write 100, \"64KiB\" or \"1MiB\""))
            }
        }
    }
}

fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(integer) => format!("the number {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Returns "did you mean `sleep`? ", or an empty string if no name is similar.
pub fn did_you_mean<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let hint = |known| format!("did you mean `{known}`? ");
    nearest(name, names).map_or_else(String::new, hint)
}

/// Returns the name that `name` was most likely meant to be, if there is a near one.
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = names.into_iter().filter(|known| is_near(name, known));
    near.max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
}

/// Returns whether `name` is a slip for `known`: at most a third of its letters differ, or it is the beginning.
///
/// A suggestion that is wrong costs more than none, so likeness alone is not enough: `speed` is much like `sleep`, and
/// another word.
pub fn is_near(name: &str, known: &str) -> bool {
    let [name, known] = [name, known].map(str::to_lowercase);
    let [typed, letters] = [&name, &known].map(|word| word.chars().count());
    let slips = strsim::damerau_levenshtein(&name, &known);
    slips * 3 <= typed.min(letters) || typed >= 3 && known.starts_with(&name)
}
