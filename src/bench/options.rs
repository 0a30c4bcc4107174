//! The options of `cargo bench`: criterion's arguments and the suite's environment variables.

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use regex::Regex;

use super::flags;
use crate::start::{parse_budget, parse_regex};
use paceline_core::{
    clock::utc,
    job::mix,
    models::{self, Entry},
    workloads::CORE,
};

/// The models that `cargo bench` measures by default: one of each kind, so that the time goes into large scales instead
/// of many models. Each must run on a fresh clone without a failed cell.
pub(super) const DEFAULT_MODELS: [&str; 9] =
    ["sequential", "threads", "pool", "rayon", "tokio", "smol", "async-std", "compio", "asyncio"];

/// The amount of measurement.
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

    /// Returns the profile's name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Quick => "quick",
            Profile::Default => "default",
            Profile::Full => "full",
        }
    }

    /// Returns the names of its workloads; empty if it has all.
    pub fn workloads(self) -> &'static [&'static str] {
        if self == Profile::Full { &[] } else { &CORE }
    }

    /// Returns the scales that it selects from a workload's.
    pub fn scales(self, all: &[usize]) -> Vec<usize> {
        match self {
            Profile::Quick => {
                all.iter().copied().filter(|scale| [1, 100].contains(scale)).collect()
            }
            Profile::Default | Profile::Full => all.to_vec(),
        }
    }

    /// Returns the default time budget: less than promised, because the last cell may take longer than predicted.
    pub fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Profile::Quick => 50,
            Profile::Default => 340,
            Profile::Full => 30 * 60,
        })
    }
}

/// The user's options.
pub struct Options {
    /// The profile.
    pub profile: Profile,
    /// The time for the whole run.
    pub budget: Duration,
    /// The folder for records.
    pub results: PathBuf,
    /// Whether to list the cells and measure nothing.
    pub list: bool,
    /// Whether to run each cell once without measuring, as `cargo test --benches` asks for.
    pub test: bool,
    /// The filter as typed.
    pub filter_text: Option<String>,
    /// Whether criterion's output is shown as well as kept in a file.
    pub verbose: bool,
    /// The number of samples of a cell for criterion, if set.
    pub sample_size: Option<u32>,
    /// The least total time of a cell's timed batches, if set.
    pub measurement_time: Option<Duration>,
    /// The seed of the shuffle.
    pub seed: u64,
    filter: Filter,
    models: Models,
}

/// The value of `PACELINE_MODELS`.
enum Models {
    /// [`DEFAULT_MODELS`], and the models that the filter names.
    Default,
    All,
    Named(Vec<&'static str>),
}

impl Models {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Models::All);
        }
        let find = |name: &str| models::find(name.trim()).map(|entry| entry.info.name);
        let names = text.split(',');
        if names.clone().any(|name| name.trim().is_empty()) {
            return Err(format!(
                "a name is empty in {text:?}: leave out the comma that is too many, or add the missing name"
            ));
        }
        names.map(find).collect::<Result<_, _>>().map(Models::Named)
    }
}

enum Filter {
    All,
    None,
    Exact(String),
    Matching(Regex),
}

impl Options {
    /// Reads this process's arguments and environment.
    pub fn from_environment() -> Result<Self, String> {
        Self::read(env::args_os().skip(1), |name| env::var_os(name))
    }

    pub(super) fn read(
        arguments: impl Iterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, String> {
        let utf8 = |what: &str, given: OsString| {
            let again = |given: OsString| {
                format!("{what} {} is no text in UTF-8: type it again", given.display())
            };
            given.into_string().map_err(again)
        };
        let arguments: Vec<String> =
            arguments.map(|argument| utf8("the argument", argument)).collect::<Result<_, _>>()?;
        let folder = variable("PACELINE_RESULTS");
        let variable = |name: &str| variable(name).map(|value| utf8(name, value)).transpose();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let follows_option =
            |index: usize| index > 0 && flags::WITH_VALUE.contains(&arguments[index - 1].as_str());
        let mut words = arguments
            .iter()
            .enumerate()
            .filter(|(i, a)| !a.starts_with('-') && !follows_option(*i));
        let filter_text = words.next().map(|(_, word)| word.clone());
        let filter = match &filter_text {
            _ if has("--ignored") => Filter::None,
            None => Filter::All,
            Some(text) if has("--exact") => Filter::Exact(text.clone()),
            Some(text) => {
                Filter::Matching(parse_regex(text).map_err(|why| format!("{text:?}: {why}"))?)
            }
        };
        let profile = variable("PACELINE_PROFILE")?
            .map_or(Ok(Profile::Default), |text| Profile::parse(&text))?;
        let budget = match variable("PACELINE_BUDGET")? {
            None => profile.budget(),
            Some(text) => parse_budget(&text).map_err(|why| format!("PACELINE_BUDGET {why}"))?,
        };
        let models = match variable("PACELINE_MODELS")? {
            None => Models::Default,
            Some(text) => Models::parse(&text).map_err(|why| {
                format!("PACELINE_MODELS is all, or model names separated by commas: {why}")
            })?,
        };
        flags::refuse(&arguments)?;
        let sample_size =
            flags::number(&arguments, "--sample-size", 10.0)?.map(|samples| samples as u32);
        let measurement_time =
            flags::number(&arguments, "--measurement-time", 0.001)?.map(Duration::from_secs_f64);
        let seed = match variable("PACELINE_SEED")? {
            None => fresh_seed(),
            Some(text) => text.parse().map_err(|_| {
                format!("PACELINE_SEED is a number from 0 to {}, not {text:?}", u64::MAX)
            })?,
        };
        let test = has("--test") || !has("--bench");
        // Test runners have options of their own.
        if !test {
            flags::check(&arguments)?;
        }
        let verbose = has("--verbose") || has("-v");
        let results = folder.unwrap_or_else(|| "results".into()).into();
        let list = has("--list");
        Ok(Options {
            profile,
            budget,
            results,
            list,
            test,
            filter_text,
            verbose,
            sample_size,
            measurement_time,
            seed,
            filter,
            models,
        })
    }

    /// Splits `matched`, the models with a benchmark that the filter matches, into those to measure and the names of
    /// those left out by default.
    ///
    /// A filter that names a model includes it. So does one that matches only benchmarks of left-out models.
    pub fn choose_models(
        &self,
        matched: Vec<&'static Entry>,
    ) -> (Vec<&'static Entry>, Vec<&'static str>) {
        let name = |entry: &&'static Entry| entry.info.name;
        match &self.models {
            Models::All => (matched, vec![]),
            Models::Named(names) => {
                (matched.into_iter().filter(|entry| names.contains(&name(entry))).collect(), vec![])
            }
            Models::Default => {
                let (taken, left): (Vec<_>, Vec<_>) = matched.into_iter().partition(|entry| {
                    DEFAULT_MODELS.contains(&name(entry)) || self.filter_names(name(entry))
                });
                if taken.is_empty() {
                    return (left, vec![]);
                }
                (taken, left.iter().map(name).collect())
            }
        }
    }

    /// Returns whether only ignored benchmarks are asked for: there are none.
    pub fn is_of_ignored(&self) -> bool {
        matches!(self.filter, Filter::None)
    }

    /// Returns whether the filter has this model's name as a word, with or without regex escapes.
    fn filter_names(&self, model: &str) -> bool {
        let text = self.filter_text.as_deref().unwrap_or_default().replace('\\', "");
        let in_a_name = |c: char| c.is_ascii_alphanumeric() || "-+_".contains(c);
        text.split(|c: char| !in_a_name(c)).any(|word| word == model)
    }

    /// Returns whether the benchmark of this identifier is selected.
    pub fn matches(&self, id: &str) -> bool {
        match &self.filter {
            Filter::All => true,
            Filter::None => false,
            Filter::Exact(wanted) => id == wanted,
            Filter::Matching(regex) => regex.is_match(id),
        }
    }
}

/// Returns a different seed in every run: the effect of one fixed order on a cell would look like the cell's own.
fn fresh_seed() -> u64 {
    utc().bytes().fold(u64::from(std::process::id()), |seed, byte| mix(seed ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let find =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into());
        Options::read(arguments.iter().map(|a| (*a).into()), find)
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

    fn chosen(options: &Options) -> (Vec<&'static str>, Vec<&'static str>) {
        let (taken, left) = options.choose_models(models::MODELS.iter().collect());
        (taken.iter().map(|entry| entry.info.name).collect(), left)
    }

    #[test]
    fn nine_models_are_measured_by_default_and_the_others_are_known_to_be_left_out() {
        let (taken, left) = chosen(&read(&["--bench"], &[]).unwrap());
        let here = |name: &&&str| models::find(name).is_ok();
        assert_eq!(taken, DEFAULT_MODELS.iter().filter(here).copied().collect::<Vec<_>>());
        assert!(!taken.contains(&"may") && left.contains(&"may"));
        assert_eq!(taken.len() + left.len(), models::MODELS.len());
    }

    #[test]
    fn a_filter_that_names_a_model_brings_it() {
        for filter in ["sleep/may/", "^sleep/may(@2)?/10$", "sleep/(go|may)/1", "may"] {
            let (taken, _) = chosen(&read(&["--bench", filter], &[]).unwrap());
            assert!(taken.contains(&"may"), "{filter}");
            assert_eq!(taken.contains(&"go"), filter.contains("go"), "{filter}");
        }
        let escaped = format!("^sleep/{}/1$", regex::escape("tokio-per-core"));
        let (taken, left) = chosen(&read(&["--bench", &escaped], &[]).unwrap());
        assert!(taken.contains(&"tokio-per-core") && left.contains(&"tokio+rayon"));
        let (taken, _) = chosen(&read(&["--bench", r"sleep/tokio\+rayon/"], &[]).unwrap());
        assert!(taken.contains(&"tokio+rayon") && !taken.contains(&"tokio-per-core"));
    }

    #[test]
    fn a_filter_that_matches_left_out_models_only_brings_them() {
        let options = read(&["--bench", "sleep/python-"], &[]).unwrap();
        let python = ["python-threads", "python-processes"].map(|name| models::find(name).unwrap());
        let (taken, left) = options.choose_models(python.to_vec());
        assert_eq!((taken.len(), left.len()), (2, 0));
    }

    #[test]
    fn models_are_all_or_those_named_and_names_are_checked() {
        let with = |list: &str| read(&["--bench"], &[("PACELINE_MODELS", list)]);
        let (taken, left) = chosen(&with("all").unwrap());
        assert_eq!((taken.len(), left.len()), (models::MODELS.len(), 0));
        let (taken, left) = chosen(&with("may, tokio").unwrap());
        assert_eq!((taken, left.len()), (vec!["tokio", "may"], 0));
        let error = with("tokio,smoll").err().unwrap();
        assert!(error.starts_with("PACELINE_MODELS"), "{error}");
        assert!(error.contains("did you mean `smol`?"), "{error}");
        let error = with("tokio,").err().unwrap();
        assert!(error.contains("a name is empty in \"tokio,\": leave out the comma"), "{error}");
    }

    #[test]
    fn what_is_no_text_is_refused_and_a_folder_need_not_be_text() {
        let bytes = || OsString::from_vec(b"\xff".to_vec());
        let of = |name: &'static str| {
            Options::read(["--bench".into()].into_iter(), move |n| (n == name).then(bytes))
        };
        for name in ["PACELINE_PROFILE", "PACELINE_BUDGET", "PACELINE_MODELS", "PACELINE_SEED"] {
            let why = of(name).err().unwrap();
            assert!(why.starts_with(name) && why.contains("is no text in UTF-8"), "{why}");
        }
        assert_eq!(of("PACELINE_RESULTS").unwrap().results, PathBuf::from(bytes()));
        let argument = Options::read([bytes()].into_iter(), |_| None).err().unwrap();
        assert!(argument.contains("is no text in UTF-8"), "{argument}");
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
            ("PACELINE_SEED", "x"),
        ] {
            let error = read(&["--bench"], &[(name, value)]).err().unwrap();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn criterions_settings_are_honoured_or_refused_and_never_ignored() {
        let asked = ["--bench", "--sample-size=20", "--measurement-time", "2", "--verbose", "echo"];
        let options = read(&asked, &[("PACELINE_SEED", "7")]).unwrap();
        assert_eq!((options.sample_size, options.seed, options.verbose), (Some(20), 7, true));
        assert_eq!(options.measurement_time, Some(Duration::from_secs(2)));
        assert_eq!(options.filter_text.as_deref(), Some("echo"));
        for wrong in [
            &["--quick"][..],
            &["--profile-time", "5"],
            &["--load-baseline=main"],
            &["--warm-up-time", "1"],
            &["--sample-size", "9"],
            &["--measurement-time=soon"],
            &["--model", "tokio"],
            &["--budget=5m"],
            // What criterion would refuse at the end.
            &["--sample-siz", "20"],
            &["--exact", "a", "-x"],
            &["--sample-size"],
        ] {
            let last = wrong.last().filter(|word| word.starts_with('-')).unwrap_or(&wrong[0]);
            let error = read(&[&["--bench"], wrong].concat(), &[]).err().unwrap();
            assert!(error.starts_with(last.split('=').next().unwrap()), "{error}");
        }
        let two = read(&["--bench", "sleep", "echo"], &[]).err().unwrap();
        assert!(
            two.starts_with("echo is a second filter") && two.contains("'sleep|echo'"),
            "{two}"
        );
        let many = read(&["--bench", "--sample-size=100000"], &[]).err().unwrap();
        assert!(many.contains("from 10 to 86 400, not 100000"), "{many}");
    }
}
