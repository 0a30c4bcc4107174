//! Parses the values of options, and formats the errors of clap as one sentence.

use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::start::parse_budget;
pub(super) use crate::start::parse_regex as regex;
use paceline_core::job::Bound;

pub(super) const TRIALS: Bound = Bound { what: "the number of trials", least: 1, most: 1000 };

pub(super) fn budget(text: &str) -> Result<Duration, String> {
    parse_budget(text).map_err(|why| format!("the budget {why}"))
}

/// Parses a whole number within `bound`, with or without `_` between its digits.
pub(super) fn number(text: &str, bound: Bound) -> Result<usize, String> {
    let digits = text.trim().replace('_', "");
    match digits.parse::<u64>() {
        Ok(number) => bound.check(number).map(|number| number as usize),
        Err(_) if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) => {
            Err(format!("{} must be at most {}", bound.what, bound.most))
        }
        Err(_) => Err(format!("{} must be a whole number of at least {}", bound.what, bound.least)),
    }
}

/// Parses a number of at most 32 bits, which `bound` must not exceed.
pub(super) fn small(text: &str, bound: Bound) -> Result<u32, String> {
    number(text, bound).map(|number| number as u32)
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    let most = u64::MAX;
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {most}"))
}

/// Parses a time of at least `least` and at most an hour.
pub(super) fn time(text: &str, what: &str, least: Duration) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_hours(1);
    let long = |time: Duration| humantime::format_duration(time);
    let time = humantime::parse_duration(text)
        .map_err(|_| format!("{what} is a time such as 10s or 500ms, not {text:?}"))?;
    if time < least || time > MOST {
        let (least, most) = (long(least), long(MOST));
        return Err(format!("{what} is at least {least} and at most {most}, not {text}"));
    }
    Ok(time)
}

/// Returns what is wrong with a command line, in one sentence that says what to do.
pub(super) fn sentence(error: &clap::Error) -> String {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    if let (ErrorKind::ValueValidation, Some(why)) =
        (error.kind(), std::error::Error::source(error))
    {
        let option = said(ContextKind::InvalidArg).unwrap_or_default();
        let option = option.split(' ').next().unwrap_or_default();
        let value = said(ContextKind::InvalidValue).unwrap_or_default();
        return format!("{option} {value}: {why}");
    }
    // clap's message has several paragraphs: keep the first, and its tips.
    let text = error.render().to_string();
    // The tip to pass an unknown option "as a value" after `--` helps nobody: no command takes such values.
    let is_kept = |part: &&str| {
        !part.starts_with("Usage:")
            && !part.starts_with("For more")
            && !part.starts_with("tip: to pass '")
    };
    let parts: Vec<String> = text
        .split("\n\n")
        .map(str::trim)
        .filter(is_kept)
        .map(|part| part.lines().map(str::trim).collect::<Vec<_>>().join(" "))
        .collect();
    let what = parts.join("; ");
    let help = text.split("Usage: ").nth(1).map(|usage| {
        let is_command = |word: &&str| !word.starts_with(['-', '<', '[']);
        usage.split_whitespace().take_while(is_command).collect::<Vec<_>>().join(" ")
    });
    let help = help.unwrap_or_else(|| "paceline".into());
    format!("{}; see {help} --help", what.trim_start_matches("error: "))
}
