//! criterion's options: those that the suite supports, and those that it refuses.

use crate::output::count;
use paceline_core::job::did_you_mean;

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

/// criterion's options without a value, and `--help`.
const ALONE: [&str; 17] = [
    "-h",
    "--help",
    "-v",
    "--verbose",
    "--quiet",
    "-n",
    "--noplot",
    "--discard-baseline",
    "--list",
    "--ignored",
    "--include-ignored",
    "--exact",
    "--quick",
    "--test",
    "--bench",
    "--nocapture",
    "--show-output",
];

/// Options of criterion and of `paceline run` for what this suite does not do, each with the alternative.
const REFUSED: [(&str, &str); 8] = [
    ("--quick", "use PACELINE_PROFILE=quick for a short run"),
    ("--profile-time", "each trial has a process of its own: profile those of paceline run"),
    ("--load-baseline", "every benchmark is measured: compare two records with paceline compare"),
    ("--warm-up-time", "each process warms up for as long as its cell needs: leave it out"),
    ("--model", "set PACELINE_MODELS=tokio,smol, or give a filter such as '/tokio/'"),
    ("--scale", "give a filter such as '/100$'"),
    ("--budget", "set PACELINE_BUDGET=30m"),
    ("--trials", "give --sample-size 20"),
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

/// Refuses what criterion would refuse only once everything is measured: unknown options, those without their value, and a
/// second filter.
pub(super) fn check(arguments: &[String]) -> Result<(), String> {
    const OF_TESTS: [&str; 2] = ["--skip", "--test-threads"];
    let known = || ALONE.into_iter().chain(WITH_VALUE).filter(|of| !OF_TESTS.contains(of));
    let (mut words, mut filter) = (arguments.iter(), None);
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            if let Some(first) = filter.replace(word) {
                let both = format!("'{first}|{word}'");
                return Err(format!(
                    "{word} is a second filter: give one for both, such as {both}"
                ));
            }
            continue;
        }
        let name = word.split('=').next().unwrap_or_default();
        // The value of a short option may follow it at once.
        let short = name.get(..2).filter(|_| !name.starts_with("--"));
        if !known().any(|of| of == name || Some(of) == short) {
            let hint = did_you_mean(name, known());
            return Err(format!(
                "{name} is no option of cargo bench: {hint}see cargo bench -- --help"
            ));
        }
        if WITH_VALUE.contains(&word.as_str()) && words.next().is_none() {
            return Err(format!("{name} needs a value: give one, or leave it out"));
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
