//! criterion's options: those that the suite supports, and those that it refuses.

/// criterion's options that take a value: the next argument is not a filter.
pub(super) const WITH_VALUE: [&str; 22] = [
    "-c",
    "--color",
    "--colour",
    "-s",
    "--save-baseline",
    "-b",
    "--baseline",
    "--baseline-lenient",
    "--format",
    "--profile-time",
    "--load-baseline",
    "--sample-size",
    "--warm-up-time",
    "--measurement-time",
    "--nresamples",
    "--noise-threshold",
    "--confidence-level",
    "--significance-level",
    "--plotting-backend",
    "--output-format",
    "--skip",
    "--test-threads",
];

/// criterion's options for what this suite does not do, each with the alternative.
const REFUSED: [(&str, &str); 4] = [
    ("--quick", "it takes its samples in one process: PACELINE_PROFILE=quick is short"),
    ("--profile-time", "cells run in processes of their own: profile one with paceline run"),
    (
        "--load-baseline",
        "every benchmark is measured: paceline compare puts two records side by side",
    ),
    ("--warm-up-time", "every process warms up as long as its cell needs"),
];

/// Returns the value of criterion's option `name`, as `--name value` or `--name=value`.
fn value_of<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = |(index, argument): (usize, &'a String)| match argument.strip_prefix(name)? {
        "" => arguments.get(index + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    };
    arguments.iter().enumerate().find_map(at)
}

/// Refuses unsupported options.
pub(super) fn refuse(arguments: &[String]) -> Result<(), String> {
    for (name, why) in REFUSED {
        if arguments.iter().any(|argument| argument == name) || value_of(arguments, name).is_some()
        {
            return Err(format!("{name} cannot be honoured: {why}"));
        }
    }
    Ok(())
}

/// Returns the value of `name`, a number of at least `least`, if given.
pub(super) fn number(arguments: &[String], name: &str, least: f64) -> Result<Option<f64>, String> {
    let Some(text) = value_of(arguments, name) else { return Ok(None) };
    let read = text.parse::<f64>().ok().filter(|number| (least..=86_400.0).contains(number));
    read.map(Some).ok_or(format!("{name} is a number of at least {least}, not {text}"))
}
