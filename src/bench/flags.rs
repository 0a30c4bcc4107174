//! criterion's options: those that the suite supports, and those that it refuses.

use crate::output::count;

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
    ("--quick", "use PACELINE_PROFILE=quick for a short run"),
    ("--profile-time", "each trial has a process of its own: profile those of paceline run"),
    ("--load-baseline", "every benchmark is measured: compare two records with paceline compare"),
    ("--warm-up-time", "each process warms up for as long as its cell needs: leave it out"),
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
            return Err(format!("{name} is not supported: {why}"));
        }
    }
    Ok(())
}

/// Returns the value of `name`, a number of at least `least`, if given.
pub(super) fn number(arguments: &[String], name: &str, least: f64) -> Result<Option<f64>, String> {
    const MOST: f64 = 86_400.0;
    let Some(text) = value_of(arguments, name) else { return Ok(None) };
    let read = text.parse::<f64>().ok().filter(|number| (least..=MOST).contains(number));
    let most = count(MOST as usize);
    read.map(Some).ok_or(format!("{name} is a number from {least} to {most}, not {text}"))
}
