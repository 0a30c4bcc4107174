//! Engines: files that describe how to call a scheduler. Slurm, SSH and this machine are such files too.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{
    Fault, PlanFolder,
    call::{CallError, call},
    write_file,
};
use crate::output::shell_word;
use paceline_core::{file, job::did_you_mean};

/// The built-in engines.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("local", concat!(include_str!("engines/background.toml"), include_str!("engines/local.toml"))),
    ("slurm", include_str!("engines/slurm.toml")),
    ("ssh", concat!(include_str!("engines/background.toml"), include_str!("engines/ssh.toml"))),
];
const ENGINE: &str = "engine.toml";
/// What to do without the engine's file.
pub(super) const NAME_IT_AGAIN: &str =
    "name the engine again with paceline cluster submit --engine";
/// The longest engine file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What an engine file says. `docs/cluster.md` explains each field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name.
    pub name: String,
    /// The command that hands a script over.
    submit: Vec<String>,
    /// Finds the job's id in a line that `submit` prints: its first group.
    id: String,
    /// The command that lists jobs.
    list: Vec<String>,
    /// Reads a line of what `list` prints: groups `job`, `state`, and where there are any `task`, `name`, `reason`, `node`.
    line: String,
    /// The command that cancels a job.
    cancel: Vec<String>,
    /// The number of an array's first task.
    #[serde(default)]
    first_task: u32,
    /// The most tasks of a submission.
    #[serde(default = "most_tasks")]
    most_tasks: usize,
    /// Prefixes of variables that are hidden from these commands.
    #[serde(default)]
    unset: Vec<String>,
    /// Variables that are kept all the same.
    #[serde(default)]
    keep: Vec<String>,
    /// Reasons of waiting jobs that do not go away by themselves.
    #[serde(default)]
    never: Vec<String>,
    /// The shortest time between two calls of `list`.
    #[serde(default = "poll_seconds")]
    poll_seconds: f64,
    /// The longest time that a command may take.
    #[serde(default = "timeout_seconds")]
    timeout_seconds: f64,
    /// How long to wait for the files of a job that is gone.
    #[serde(default = "grace_seconds")]
    grace_seconds: f64,
    /// How long to wait for the end of a job that is ending.
    #[serde(default = "ending_seconds")]
    ending_seconds: f64,
    /// The script that is submitted.
    script: String,
    /// The script for loads between nodes, which starts a role on each of them; without it they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load: Option<String>,
    /// What the words of `list` mean.
    states: BTreeMap<String, Meaning>,
    /// Values that `--set` gives, and their defaults.
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

fn most_tasks() -> usize {
    1_000
}

fn poll_seconds() -> f64 {
    10.0
}

fn timeout_seconds() -> f64 {
    60.0
}

fn grace_seconds() -> f64 {
    20.0
}

fn ending_seconds() -> f64 {
    600.0
}

/// What a scheduler's word means to a block without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    /// It waits.
    Pending,
    /// It runs, or is about to begin.
    Running,
    /// It is about to end, or to wait again. Some jobs stay so for ever.
    Ending,
    /// It has ended, and its files may still be on their way.
    Gone,
    /// It was lost for a reason outside of it, so another attempt may succeed.
    Retry,
    /// Another attempt would end the same way.
    Final,
}

/// What a scheduler says of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub job: String,
    /// `None`: of all tasks of the job.
    pub task: Option<u32>,
    pub name: Option<String>,
    pub word: String,
    pub meaning: Meaning,
    pub reason: String,
    pub node: String,
}

impl Engine {
    /// The built-in engine of this name, or that of a file, for a load between nodes or not. `settings` are `name=value`.
    ///
    /// # Errors
    ///
    /// Returns a fault if there is none, or the file is not an engine for such plans.
    pub fn find(name: &str, settings: &[String], is_load: bool) -> Result<Self, Fault> {
        let text = match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => (*text).to_owned(),
            None if Path::new(name).extension().is_some_and(|end| end == "toml") => {
                let cannot = |why| Fault::Usage(format!("the engine {name}: {why}"));
                file::read_text(Path::new(name), LONGEST).map_err(cannot)?
            }
            None => {
                let known = BUILT_IN.map(|(name, _)| name);
                let (hint, known) = (did_you_mean(name, known), known.join(", "));
                return Err(Fault::Usage(format!(
                    "there is no engine `{name}`: {hint}name one of {known}, or a file that ends in .toml"
                )));
            }
        };
        let mut engine = Engine::parse(name, &text)?;
        for setting in settings {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(Fault::Usage(format!("--set takes name=value, not {setting:?}")));
            };
            let Some(place) = engine.settings.get_mut(key) else {
                let known: Vec<&str> = engine.settings.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(Fault::Usage(format!(
                    "the engine {} has no setting `{key}`: it has {known}",
                    engine.name
                )));
            };
            value.clone_into(place);
        }
        let script = engine.template(is_load)?;
        let commands = [&engine.submit, &engine.list, &engine.cancel].map(|words| words.join(" "));
        let texts = commands.join(" ") + script;
        let is_used = |key: &str| texts.contains(&format!("{{{key}}}"));
        let mut given = settings.iter().filter_map(|setting| setting.split_once('='));
        if let Some((key, _)) = given.find(|(key, _)| !is_used(key)) {
            let what = if is_load { "a load between nodes" } else { "this plan" };
            return Err(Fault::Usage(format!(
                "the engine {} does not use `{key}` for {what}: leave --set {key}=… out",
                engine.name
            )));
        }
        let mut missing = engine.settings.iter().filter(|(_, value)| *value == "?");
        if let Some((key, _)) = missing.find(|(key, _)| is_used(key)) {
            return Err(Fault::Usage(format!("the engine {} needs --set {key}=…", engine.name)));
        }
        Ok(engine)
    }

    /// The template of the script for plans of this kind.
    fn template(&self, is_load: bool) -> Result<&str, Fault> {
        let script = if is_load { self.load.as_deref() } else { Some(&*self.script) };
        script.ok_or_else(|| {
            Fault::Usage(format!(
                "the engine {} has no script for loads: give its file a `load` script, or use paceline cluster work",
                self.name
            ))
        })
    }

    /// Returns the engine that a plan was submitted to; `None` if its file is not there.
    ///
    /// # Errors
    ///
    /// Returns a fault if the file cannot be read, or is no engine file.
    pub fn used(dir: &Path) -> Result<Option<Self>, Fault> {
        let path = dir.join(ENGINE);
        if !path.exists() {
            return Ok(None);
        }
        let name = path.to_string_lossy();
        let text = file::read_text(&path, LONGEST);
        let text = text.map_err(|why| Fault::Usage(format!("{name}: {why}")));
        let engine = text.and_then(|text| Engine::parse(&name, &text));
        engine
            .map(Some)
            .map_err(|fault| Fault::Usage(format!("{}; {NAME_IT_AGAIN}", fault.why().trim_end())))
    }

    fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let wrong = |why: String| Fault::Usage(format!("{name} is not an engine file: {why}"));
        let engine: Engine = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let has = |regex: &str, groups: &[&str]| {
            let regex = Regex::new(regex).map_err(|error| wrong(error.to_string()))?;
            let names: BTreeSet<&str> = regex.capture_names().flatten().collect();
            let lacks = groups.iter().find(|group| !names.contains(*group));
            match lacks {
                Some(group) => Err(wrong(format!("`line` has no group (?<{group}>…)"))),
                None => Ok(regex),
            }
        };
        if has(&engine.id, &[])?.captures_len() < 2 {
            return Err(wrong("`id` has no group (…) for the job's id".into()));
        }
        has(&engine.line, &["job", "state"])?;
        if engine.most_tasks == 0 {
            return Err(wrong("`most_tasks` must be at least 1".into()));
        }
        let Engine { poll_seconds, timeout_seconds, grace_seconds, ending_seconds, .. } = engine;
        let times = [poll_seconds, timeout_seconds, grace_seconds, ending_seconds];
        if times.iter().any(|seconds| !(0.0..=86_400.0).contains(seconds)) {
            return Err(wrong("its times are from 0 to 86400 seconds".into()));
        }
        Ok(engine)
    }

    /// Writes a copy of itself to the plan's folder.
    pub(super) fn leave_copy(&self, dir: &Path) -> Result<(), Fault> {
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        write_file(&dir.join(ENGINE), text.as_bytes())
    }

    pub(super) fn most_tasks(&self) -> usize {
        self.most_tasks
    }

    pub(super) fn first_task(&self) -> u32 {
        self.first_task
    }

    pub(super) fn poll(&self) -> Duration {
        Duration::from_secs_f64(self.poll_seconds)
    }

    /// How long a job may be gone or ending before it is lost; `None` if it may be so for ever.
    pub(super) fn patience(&self, meaning: Meaning) -> Option<Duration> {
        match meaning {
            Meaning::Gone => Some(Duration::from_secs_f64(self.grace_seconds)),
            Meaning::Ending => Some(Duration::from_secs_f64(self.ending_seconds)),
            Meaning::Pending | Meaning::Running | Meaning::Retry | Meaning::Final => None,
        }
    }

    /// Whether a waiting job with this reason will never run.
    pub(super) fn never(&self, reason: &str) -> bool {
        // Some versions of Slurm write the reasons that are sentences with spaces.
        self.never.contains(&reason.replace(' ', "_"))
    }

    /// The script for one submission of a plan. Paths in it are quoted for a shell.
    pub(super) fn script(&self, values: &Values, is_load: bool) -> Result<String, Fault> {
        Ok(values.fill(self.template(is_load)?, &self.settings, true))
    }

    /// Hands the script over, and returns the job's id.
    pub(super) fn submit(&self, values: &Values) -> Result<String, SubmitError> {
        let said = self.call(&self.submit, values).map_err(|error| match error {
            CallError::Missing(why) => SubmitError::Refused(Fault::Environment(format!(
                "{why}: install {}, or choose another engine",
                self.name
            ))),
            CallError::Refused(why) | CallError::Silent(why) => SubmitError::Unknown(why),
        })?;
        let regex = Regex::new(&format!("(?m){}", self.id)).expect("it was read once");
        let found = regex.captures(&said).and_then(|found| found.get(1));
        found.map(|id| id.as_str().to_owned()).ok_or_else(|| {
            SubmitError::Unknown(format!(
                "the engine {} found no job id by `{}` in what it printed: {:?}",
                self.name,
                self.id,
                said.trim()
            ))
        })
    }

    /// What the scheduler knows. A fault says nothing of jobs; it is one of usage if no line can be read.
    pub(super) fn list(&self, values: &Values) -> Result<Vec<Listed>, Fault> {
        let said = self.call(&self.list, values).map_err(CallError::why)?;
        self.read(&said).map_err(Fault::Usage)
    }

    fn read(&self, said: &str) -> Result<Vec<Listed>, String> {
        let regex = Regex::new(&self.line).expect("it was read once");
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        let found: Vec<Listed> = lines
            .filter_map(|line| regex.captures(line))
            .map(|found| {
                let get = |name| found.name(name).map(|part| part.as_str().trim().to_owned());
                let word = get("state").unwrap_or_default();
                // A word without a meaning counts as running: the files decide in the end.
                let meaning = self.states.get(&word).copied().unwrap_or(Meaning::Running);
                Listed {
                    job: get("job").unwrap_or_default(),
                    task: get("task").and_then(|task| task.parse().ok()),
                    name: get("name"),
                    word,
                    meaning,
                    reason: get("reason").unwrap_or_default(),
                    node: get("node").unwrap_or_default(),
                }
            })
            .collect();
        match said.lines().find(|line| !line.trim().is_empty()) {
            Some(line) if found.is_empty() => Err(format!(
                "the engine {} matches no line of what it listed, such as {line:?}: correct its `line`",
                self.name
            )),
            _ => Ok(found),
        }
    }

    /// Cancels a job.
    pub(super) fn cancel(&self, values: &Values) -> Result<(), String> {
        self.call(&self.cancel, values).map(drop).map_err(CallError::why)
    }

    fn call(&self, command: &[String], values: &Values) -> Result<String, CallError> {
        // A word that is one setting becomes as many words as the setting has.
        let words = |word: &String| -> Vec<String> {
            let key = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
            match key.and_then(|key| self.settings.get(key)) {
                Some(value) => value.split_whitespace().map(str::to_owned).collect(),
                None => vec![values.fill(word, &self.settings, false)],
            }
        };
        let command: Vec<String> = command.iter().flat_map(words).collect();
        call(&command, (&self.unset, &self.keep), Duration::from_secs_f64(self.timeout_seconds))
    }
}

/// The reasons why a job has no id.
pub(super) enum SubmitError {
    /// Nothing was submitted.
    Refused(Fault),
    /// It may have been submitted: the answer is lost, or cannot be read.
    Unknown(String),
}

/// The values of the names in braces of an engine file.
pub(super) struct Values(pub BTreeMap<&'static str, String>);

impl Values {
    /// Those that hold for a plan.
    pub(super) fn of(plan: &PlanFolder) -> Self {
        let minutes = (plan.plan.block_seconds() / 60.0).ceil() as u64 + 5;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let program = std::env::current_exe().unwrap_or_default();
        let nodes = plan.plan.load.iter().flat_map(|load| load.nodes());
        let names: Vec<&str> = nodes.map(|node| &*node.id).collect();
        Values(BTreeMap::from([
            ("nodes", names.len().max(1).to_string()),
            ("node_list", names.join(",")),
            ("dir", path(&plan.dir)),
            ("paceline", path(&program)),
            ("minutes", minutes.to_string()),
        ]))
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    /// Returns `text` with the values filled in. Unknown names stay, because shells use braces too.
    fn fill(&self, text: &str, settings: &BTreeMap<String, String>, quoted: bool) -> String {
        let mut text = text.to_owned();
        for (name, value) in settings {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        for (name, value) in &self.0 {
            let value = if quoted { shell_word(value) } else { value.clone() };
            text = text.replace(&format!("{{{name}}}"), &value);
        }
        text
    }
}

#[cfg(test)]
mod tests;
