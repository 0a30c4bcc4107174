//! What the user asked `cargo bench` for: criterion's arguments, and the suite's environment.

use std::{env, path::PathBuf, time::Duration};

use regex::Regex;

use crate::{start::parse_budget, workloads::CORE};

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The core workloads at a few scales, within a minute.
    Quick,
    /// The core workloads, within six minutes.
    Default,
    /// Every built-in workload.
    Full,
}

impl Profile {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "quick" => Ok(Profile::Quick),
            "default" => Ok(Profile::Default),
            "full" => Ok(Profile::Full),
            other => Err(format!("PACELINE_PROFILE is quick, default or full, not {other:?}")),
        }
    }

    /// The profile's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Quick => "quick",
            Profile::Default => "default",
            Profile::Full => "full",
        }
    }

    /// The names of its workloads; none where it has all.
    #[must_use]
    pub fn workloads(self) -> &'static [&'static str] {
        if self == Profile::Full { &[] } else { &CORE }
    }

    /// The scales that it takes out of a workload's.
    #[must_use]
    pub fn scales(self, all: &[usize]) -> Vec<usize> {
        match self {
            Profile::Quick => {
                all.iter().copied().filter(|scale| [1, 100].contains(scale)).collect()
            }
            Profile::Default | Profile::Full => all.to_vec(),
        }
    }

    /// The time for all, where the user names none: below the promise, for the last cell may last longer than
    /// predicted.
    #[must_use]
    pub fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Profile::Quick => 50,
            Profile::Default => 330,
            Profile::Full => 30 * 60,
        })
    }
}

/// What the user asked for.
pub struct Options {
    /// How much to measure.
    pub profile: Profile,
    /// The time for all.
    pub budget: Duration,
    /// Where records go.
    pub results: PathBuf,
    /// Only list what would be measured.
    pub list: bool,
    /// Run each once and measure nothing: what `cargo test --benches` asks for.
    pub test: bool,
    /// The filter, as it was given.
    pub filter_text: Option<String>,
    filter: Filter,
}

enum Filter {
    All,
    None,
    Exact(String),
    Matching(Regex),
}

/// criterion's options that take a value: what follows them is no filter.
const WITH_VALUE: [&str; 22] = [
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

impl Options {
    /// Reads this process's arguments and environment.
    ///
    /// # Errors
    ///
    /// Returns the sentence to show.
    pub fn from_environment() -> Result<Self, String> {
        Self::read(env::args().skip(1), |name| env::var(name).ok())
    }

    fn read(
        arguments: impl Iterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let arguments: Vec<String> = arguments.collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let follows_option =
            |index: usize| index > 0 && WITH_VALUE.contains(&arguments[index - 1].as_str());
        let mut words = arguments
            .iter()
            .enumerate()
            .filter(|(i, a)| !a.starts_with('-') && !follows_option(*i));
        let filter_text = words.next().map(|(_, word)| word.clone());
        let filter = match &filter_text {
            _ if has("--ignored") => Filter::None,
            None => Filter::All,
            Some(text) if has("--exact") => Filter::Exact(text.clone()),
            Some(text) => Filter::Matching(Regex::new(text).map_err(|error| {
                let why = error.to_string();
                let last =
                    why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("{text:?} is not a regular expression: {last}")
            })?),
        };
        let profile = variable("PACELINE_PROFILE")
            .map_or(Ok(Profile::Default), |text| Profile::parse(&text))?;
        let budget = match variable("PACELINE_BUDGET") {
            None => profile.budget(),
            Some(text) => parse_budget(&text).map_err(|why| format!("PACELINE_BUDGET {why}"))?,
        };
        let test = has("--test") || !has("--bench");
        let results = variable("PACELINE_RESULTS").unwrap_or_else(|| "results".into()).into();
        Ok(Options { profile, budget, results, list: has("--list"), test, filter_text, filter })
    }

    /// Whether the benchmark of this identifier is asked for.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        match &self.filter {
            Filter::All => true,
            Filter::None => false,
            Filter::Exact(wanted) => id == wanted,
            Filter::Matching(regex) => regex.is_match(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let find =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Options::read(arguments.iter().map(|a| (*a).to_owned()), find)
    }

    #[test]
    fn the_filter_is_the_word_that_is_no_options_value() {
        let options = read(&["--bench", "--sample-size", "20", "sleep/tok"], &[]).unwrap();
        assert!(options.matches("sleep/tokio/10") && !options.matches("echo/tokio/10"));
        assert!(!options.test);
        let exact = read(&["--bench", "--exact", "sleep/tokio/1"], &[]).unwrap();
        assert!(exact.matches("sleep/tokio/1") && !exact.matches("sleep/tokio/10"));
        assert!(read(&[], &[]).unwrap().test, "without --bench it is cargo test");
        assert!(read(&["--bench", "("], &[]).err().unwrap().contains("regular expression"));
    }

    #[test]
    fn profiles_and_budgets_are_checked() {
        let quick = read(&["--bench"], &[("PACELINE_PROFILE", "quick")]).unwrap();
        assert_eq!((quick.profile, quick.budget), (Profile::Quick, Duration::from_secs(50)));
        let half = read(&["--bench"], &[("PACELINE_BUDGET", "30m")]).unwrap();
        assert_eq!(half.budget, Duration::from_mins(30));
        for (name, value) in [
            ("PACELINE_PROFILE", "fast"),
            ("PACELINE_BUDGET", "soon"),
            ("PACELINE_BUDGET", "0s"),
            ("PACELINE_BUDGET", "9999h"),
        ] {
            let error = read(&["--bench"], &[(name, value)]).err().unwrap();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
