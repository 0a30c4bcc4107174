//! Parses the values of options, and formats the errors of clap as one sentence.

use std::{path::Path, time::Duration};

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

pub(super) use crate::start::parse_regex as regex;
use crate::{output::count, record::KINDS, start::parse_budget};
use paceline_core::{
    job::{Bound, Workload, is_near},
    workloads,
};

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
            Err(format!("{} must be at most {}", bound.what, count(bound.most as usize)))
        }
        Err(_) => Err(format!("{} must be a whole number of at least {}", bound.what, bound.least)),
    }
}

/// Parses a number of at most 32 bits, which `bound` must not exceed.
pub(super) fn small(text: &str, bound: Bound) -> Result<u32, String> {
    number(text, bound).map(|number| number as u32)
}

/// Parses one of the names of a list; that it exists is checked where it is looked up.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a name is missing".into()) } else { Ok(text.to_owned()) }
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

/// Returns what is wrong with this program's command line, in one sentence that says what to do.
pub(super) fn sentence(error: &clap::Error) -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let all = super::command();
    let (path, command) = typed_command(&all, words);
    let option = said(ContextKind::InvalidArg).unwrap_or_default();
    let option = option.split(' ').next().unwrap_or_default();
    let value = said(ContextKind::InvalidValue);
    // What is wrong with an empty value is the comma beside it, not what its parser says of "".
    if value.as_deref() == Some("") && is_list(command, option) {
        return format!(
            "{option} has an empty value in its list: leave out the comma that is too many, or add the missing value"
        );
    }
    if let (ErrorKind::ValueValidation, Some(why)) =
        (error.kind(), std::error::Error::source(error))
    {
        let value = value.filter(|value| !value.is_empty()).unwrap_or_else(|| "\"\"".into());
        return format!("{option} {value}: {why}");
    }
    if error.kind() == ErrorKind::InvalidUtf8 {
        let odd = std::env::args_os().skip(1).find(|word| word.to_str().is_none());
        let odd = odd.unwrap_or_default();
        return format!(
            "the argument {} is not UTF-8: names must be UTF-8; see {path} --help",
            odd.display()
        );
    }
    if error.kind() == ErrorKind::UnknownArgument {
        let option = said(ContextKind::InvalidArg).unwrap_or_default();
        if let Some(other) = not_planned(&all, &path, &option) {
            return format!(
                "{path} does not take {option}, an option of paceline {other}: leave it out; see {path} --help"
            );
        }
    }
    // clap's message has several paragraphs: keep the first, and its tips.
    let text = error.render().to_string();
    // The tip to pass an unknown option "as a value" after `--` helps nobody: no command takes such values. Neither does
    // a suggestion that resembles what was typed by chance.
    let is_far = is_far_fetched(error);
    let is_kept = |part: &&str| {
        !part.starts_with("Usage:")
            && !part.starts_with("For more")
            && !part.starts_with("tip: to pass '")
            && !(is_far && (part.contains("a similar ") || part.contains("some similar ")))
    };
    let parts: Vec<String> = text
        .split("\n\n")
        .map(str::trim)
        .filter(is_kept)
        .map(|part| part.lines().map(str::trim).collect::<Vec<_>>().join(" "))
        .collect();
    let mut what = parts.join("; ");
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let missing = said(ContextKind::InvalidArg).unwrap_or_default();
        what.push_str(&possible_values(command, &missing));
    }
    format!("{}; see {path} --help", what.trim_start_matches("error: "))
}

/// Returns whether `option` takes values separated by commas.
fn is_list(command: &Command, option: &str) -> bool {
    let long = option.strip_prefix("--");
    let named = |arg: &&clap::Arg| long.is_some() && arg.get_long() == long;
    command.get_arguments().find(named).is_some_and(|arg| arg.get_value_delimiter().is_some())
}

/// Returns the command that was typed, such as `paceline cluster plan`, and its definition.
fn typed_command(mut command: &Command, words: impl Iterator<Item = String>) -> (String, &Command) {
    let mut path = String::from("paceline");
    for word in words {
        let Some(of) = command.find_subcommand(&word) else { break };
        (path, command) = (format!("{path} {word}"), of);
    }
    (path, command)
}

/// Returns the command that has `option`, if the one at `path` plans what that measures and does not take it.
fn not_planned(all: &Command, path: &str, option: &str) -> Option<&'static str> {
    let long = option.strip_prefix("--")?;
    let has = |name: &&str| {
        let other = all.find_subcommand(name);
        other.is_some_and(|of| of.get_arguments().any(|known| known.get_long() == Some(long)))
    };
    let plans = ["paceline cluster plan", "paceline cluster run"].contains(&path);
    ["run", "load"].into_iter().find(has).filter(|_| plans)
}

/// Returns whether clap suggests only names that nobody mistypes like this.
fn is_far_fetched(error: &clap::Error) -> bool {
    use ContextKind::{
        InvalidArg, InvalidSubcommand, InvalidValue, SuggestedArg, SuggestedSubcommand,
        SuggestedValue,
    };
    let texts = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => vec![],
    };
    let name = |text: &String| {
        text.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default().to_owned()
    };
    [
        (InvalidSubcommand, SuggestedSubcommand),
        (InvalidArg, SuggestedArg),
        (InvalidValue, SuggestedValue),
    ]
    .into_iter()
    .any(|(typed, suggested)| {
        let (typed, suggested) = (texts(typed), texts(suggested));
        let near = |one: &String| typed.iter().any(|typed| is_near(&name(typed), &name(one)));
        !suggested.is_empty() && !suggested.iter().any(near)
    })
}

/// Returns the values of the missing argument, such as ` [possible values: gate]`; empty if it has no list of them.
fn possible_values(command: &Command, missing: &str) -> String {
    let is_missing = |arg: &&clap::Arg| {
        let names = arg.get_value_names().into_iter().flatten();
        arg.is_positional() && names.clone().any(|name| missing.contains(&format!("<{name}>")))
    };
    let values = command.get_positionals().find(is_missing).map(clap::Arg::get_possible_values);
    let names: Vec<String> =
        values.unwrap_or_default().iter().map(|value| value.get_name().to_owned()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" [possible values: {}]", names.join(", "))
    }
}

/// Returns the workloads of these names and files.
pub(super) fn workloads(names: &[&str]) -> Result<Vec<Workload>, String> {
    let found = names.iter().map(|name| workload(name)).collect::<Result<Vec<_>, _>>()?;
    if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))
    {
        return Err(format!("{name} is named twice: name it once"));
    }
    let mut known: Vec<&str> = found.iter().map(|of| of.name.as_str()).collect();
    known.sort_unstable();
    match known.array_windows().find(|[one, next]| one == next) {
        Some([twice, _]) => {
            Err(format!("two workloads are called `{twice}`: give one another name"))
        }
        None => Ok(found),
    }
}

/// Returns the workload of this name or file, or says what to do with a record.
pub(super) fn workload(name: &str) -> Result<Workload, String> {
    if KINDS.iter().any(|kind| Path::new(name).join(kind).exists()) {
        return Err(format!(
            "{name} is a record and not a workload: paceline report {name} shows it"
        ));
    }
    workloads::find(name)
}

/// Returns `command` with `--out`, if that is not the default.
pub(super) fn with_out(command: &str, out: &Path) -> String {
    let is_default = out == Path::new("results");
    if is_default { command.to_owned() } else { format!("{command} --out {}", out.display()) }
}

/// Checks that `option` names nothing twice.
pub(super) fn each_once(option: &str, names: &[String]) -> Result<(), String> {
    let twice = |(at, name): &(usize, &String)| names[..*at].contains(name);
    match names.iter().enumerate().find(twice) {
        Some((_, name)) => Err(format!("{option} names {name} twice: give it once")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_go_on_with_has_the_folder_that_was_given() {
        let of = |out: &str| with_out("paceline run --resume", Path::new(out));
        assert_eq!(of("results"), "paceline run --resume");
        assert_eq!(of("o3"), "paceline run --resume --out o3");
    }
}
