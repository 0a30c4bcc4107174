//! Begins a run: collects what its record contains before the first cell.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use regex::Regex;

use crate::{
    machine::{build, fingerprint, version_of},
    record::{Definition, ModelRecord, Run, SCHEMA},
};
use paceline_core::{clock::utc, fitness::wake_errors, job::Workload, models::Entry};

/// The settings of a run, from its instrument.
pub struct Settings {
    /// `criterion` or `trials`.
    pub instrument: &'static str,
    /// The time for the whole run.
    pub budget: Duration,
    /// The seed of the shuffle.
    pub seed: Option<u64>,
    /// Every other setting.
    pub more: Vec<(&'static str, serde_json::Value)>,
}

/// Returns the head of a record.
pub fn begin(settings: &Settings, models: &[&'static Entry], workloads: &[Workload]) -> Run {
    let started = utc();
    let define = |w: &Workload| Definition { name: w.name.clone(), source: w.source.clone() };
    Run {
        schema: SCHEMA,
        // The process id separates runs that began in the same second.
        id: format!("{}-{}-{}", started.replace(':', "-"), settings.instrument, std::process::id()),
        started,
        instrument: settings.instrument.into(),
        command: without_secrets(
            std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()),
        ),
        budget_seconds: settings.budget.as_secs_f64(),
        seed: settings.seed,
        settings: settings.more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        fingerprint: fingerprint(),
        build: build(),
        commit: commit(),
        models: models.iter().map(|entry| model_info(entry)).collect(),
        workloads: workloads.iter().map(define).collect(),
        planned: None,
        timer_floor: wake_errors(Duration::from_millis(1), 50).distribution(),
    }
}

/// Returns arguments without the values of headers: records are shared, and a header may contain a password.
fn without_secrets(arguments: impl Iterator<Item = String>) -> Vec<String> {
    const FLAG: &str = "--header";
    let mut is_header = false;
    let mut one = |argument: String| {
        let inline = argument.starts_with(&format!("{FLAG}="));
        let hides = std::mem::replace(&mut is_header, argument == FLAG) || inline;
        match argument.split_once(':').filter(|_| hides) {
            Some((name, _)) => format!("{name}: (left out)"),
            None => argument,
        }
    };
    arguments.map(&mut one).collect()
}

/// Returns the commit checked out here, with `-dirty` if tracked files have changes. `None` without git or a
/// repository.
pub(crate) fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // Otherwise git refreshes its index, and may meet the lock of another git.
        git.args(["--no-optional-locks"]).args(arguments);
        let output = git.stdin(Stdio::null()).output().ok().filter(|o| o.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let clean = changed.is_some_and(|changed| changed.is_empty());
    Some(if clean { commit } else { commit + "-dirty" })
}

/// Describes a model as `paceline models` does.
pub fn model_info(entry: &Entry) -> ModelRecord {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let info = &entry.info;
    let reason = (info.available)().err();
    ModelRecord {
        name: info.name.into(),
        family: word(serde_json::to_value(info.family)),
        version: match info.foreign {
            Some(language) => language.found(info.name).version.unwrap_or_else(|| "unknown".into()),
            None => version_of(info.package),
        },
        features: info.features().into_iter().map(str::to_owned).collect(),
        tag: word(serde_json::to_value(info.tag)),
        available: reason.is_none(),
        reason,
        unreliable: info.unreliable.map(str::to_owned),
        note: info.note.into(),
    }
}

/// Refuses to measure with a debug build, unless `PACELINE_ALLOW_DEBUG=1`, which the tests set.
pub fn refuse_debug_build() -> Result<(), String> {
    let allowed = std::env::var_os("PACELINE_ALLOW_DEBUG").is_some_and(|value| value == "1");
    if cfg!(debug_assertions) && !allowed {
        return Err("this is a debug build, whose figures mean nothing: use cargo bench, or cargo run --release".into());
    }
    Ok(())
}

/// Parses a regular expression.
pub fn parse_regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("this is no regular expression: {why}")
    })
}

/// Parses a budget such as `30m`, from a second to a day.
///
/// # Errors
///
/// Returns the allowed values, to follow the budget's name.
pub fn parse_budget(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_hours(24);
    let budget = humantime::parse_duration(text)
        .map_err(|_| format!("is a duration such as 90s or 30m, not {text:?}"))?;
    if budget < Duration::from_secs(1) || budget > MOST {
        return Err(format!("is at least 1s and at most 24h, not {text}"));
    }
    Ok(budget)
}
