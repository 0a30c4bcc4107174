//! Checks whether this machine is fit to measure on: what was checked, what was found, the judgement and the advice.
//!
//! `machine` and `paceline_core::fitness` measure; judging is a pure function of their results.

pub mod limits;
pub mod noise;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    machine::{CpuTicks, Group, Limits, System, cores, memory::memory_available},
    output::list_table_within,
};
use paceline_core::{
    clock::compute_ns,
    fitness::{clock_ns, keep_busy, same_work, wake_errors},
    models::{Family, MODELS},
    process::Program,
};

/// The judgement of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// It does not affect any figure.
    Good,
    /// Figures are valid, but some cells are refused, or small differences cannot be detected.
    Fair,
    /// Figures from this machine are misleading.
    Bad,
    /// The system does not show it.
    Unknown,
}

impl Judgement {
    /// Returns the word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Judgement::Good => "good",
            Judgement::Fair => "fair",
            Judgement::Bad => "bad",
            Judgement::Unknown => "unknown",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The name of the check, stable over versions.
    pub what: String,
    /// The result, with numbers and units.
    pub found: String,
    /// How it is judged.
    pub judgement: Judgement,
    /// What to do about it, or what to keep in mind; empty if it is good.
    pub advice: String,
    /// The number that was judged, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The unit of that number; absent for a plain count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Finding {
    /// Returns a finding without a number. The advice is dropped if it is good.
    fn new(what: &str, found: impl Into<String>, judgement: Judgement, advice: &str) -> Self {
        let advice = if judgement == Judgement::Good { "" } else { advice };
        Finding {
            what: what.into(),
            found: found.into(),
            judgement,
            advice: advice.into(),
            value: None,
            unit: None,
        }
    }

    /// Returns a finding that the system does not show.
    fn unknown(what: &str, advice: &str) -> Self {
        Finding::new(what, "not shown by this system", Judgement::Unknown, advice)
    }

    /// Adds the number that was judged, if there is one.
    fn with(self, value: impl Into<Option<f64>>, unit: &str) -> Self {
        let value = value.into();
        let has_unit = value.is_some() && !unit.is_empty();
        Finding { value, unit: has_unit.then(|| unit.into()), ..self }
    }
}

/// The verdict over all findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The number of good findings.
    pub good: usize,
    /// The number of fair findings.
    pub fair: usize,
    /// The number of bad findings.
    pub bad: usize,
    /// The number of findings that the system does not show.
    pub unknown: usize,
    /// Whether none is bad.
    pub fit: bool,
    /// All of this in one sentence.
    pub sentence: String,
}

/// The output of `paceline doctor`: the findings, in the order of its table, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// What was found.
    pub findings: Vec<Finding>,
    /// The verdict on them.
    pub verdict: Verdict,
}

impl Diagnosis {
    /// Judges `findings` together.
    pub fn of(findings: Vec<Finding>) -> Self {
        let verdict = Verdict::on(&findings);
        Diagnosis { findings, verdict }
    }
}

impl Verdict {
    fn on(findings: &[Finding]) -> Self {
        let count =
            |judgement| findings.iter().filter(|finding| finding.judgement == judgement).count();
        let (fair, bad) = (count(Judgement::Fair), count(Judgement::Bad));
        let sentence = match (bad, fair) {
            (0, 0) => "this machine is fit to measure on.",
            (0, _) => "this machine is fit to measure on; keep in mind what is fair.",
            _ => "this machine is not fit to measure on: fix what is bad first.",
        };
        Verdict {
            good: count(Judgement::Good),
            fair,
            bad,
            unknown: count(Judgement::Unknown),
            fit: bad == 0,
            sentence: sentence.into(),
        }
    }
}

/// The greatest width of the table.
const WIDTH: usize = 100;
/// The wait that measures the timer's error, a fifth of the shortest that is ranked, and the number of repetitions: as
/// many as a 99th percentile takes.
const WAIT: (Duration, u32) = (Duration::from_millis(1), 1_000);
/// How long one core computes while other programs are observed.
const BUSY: Duration = Duration::from_secs(1);
/// The work by which fresh processes are compared, and the number of processes.
const WORK: (Duration, u32) = (Duration::from_millis(20), 10);

/// Examines this machine in about three seconds. Earlier activity is read first, because our own work would hide it.
pub fn examine(program: &Program) -> Diagnosis {
    let (system, group) = (System::here(), Group::here());
    let mut findings = vec![
        noise::build(cfg!(debug_assertions)),
        noise::load(system.load, system.cpus_allowed.unwrap_or_else(cores)),
    ];
    findings.push(noise::pressure(system.pressure));
    let before = CpuTicks::now();
    let (took, own) = keep_busy(BUSY);
    let ticks = CpuTicks::now().zip(before).map(|(after, before)| after.since(before));
    findings.push(noise::others(ticks, own.as_secs_f64() / took.as_secs_f64()));
    findings.push(noise::steal(ticks));
    let work = same_work(program, WORK.1, WORK.0, compute_ns());
    findings.push(noise::processes(work.map_err(|error| error.to_string())));
    findings.push(noise::timer(&wake_errors(WAIT.0, WAIT.1), WAIT.0, system.timer_slack_ns));
    findings.push(noise::clock(system.clock_source.as_deref(), clock_ns()));
    findings.push(noise::compute(compute_ns()));
    findings.extend([
        noise::frequency(&system.governors, system.driver.as_deref(), system.hypervisor),
        noise::boost(system.boost),
        noise::hypervisor(system.hypervisor),
        limits::cpus(system.cpus_allowed, system.cpus_online),
        limits::quota(group.cpus, system.cpus_allowed),
        limits::memory(memory_available(), group.memory),
    ]);
    findings.extend(limits::counted(&system, &Limits::here()));
    findings.push(limits::time_wait(system.time_wait, system.time_wait_reuse));
    findings.push(limits::locked(system.locked, cores()));
    findings.push(limits::rings(&ring_models(), system.io_uring_disabled));
    Diagnosis::of(findings)
}

/// Formats the findings and the verdict; advice is below its finding.
pub fn table(diagnosis: &Diagnosis) -> String {
    let rows: Vec<Vec<String>> = diagnosis
        .findings
        .iter()
        .map(|Finding { what, found, judgement, advice, .. }| {
            let advice = if advice.is_empty() { String::new() } else { format!("\n→ {advice}") };
            vec![judgement.word().into(), what.clone(), format!("{found}{advice}")]
        })
        .collect();
    let Verdict { good, fair, bad, unknown, sentence, .. } = &diagnosis.verdict;
    let table = list_table_within(WIDTH, &["", "what", "found, and what to do"], &rows);
    format!("{table}\n\n{good} good, {fair} fair, {bad} bad, {unknown} unknown: {sentence}")
}

/// Returns the models on `io_uring`, and why each cannot run, if it cannot.
fn ring_models() -> Vec<(&'static str, Option<String>)> {
    let of = MODELS.iter().filter(|entry| entry.info.family == Family::IoUring);
    of.map(|entry| (entry.info.name, (entry.info.available)().err())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_finding_makes_a_machine_unfit() {
        let finding = |what, judgement| Finding::new(what, "7", judgement, "do this");
        let good = finding("a", Judgement::Good);
        assert_eq!(good.advice, "", "good needs no advice");
        let fair = Diagnosis::of(vec![good.clone(), finding("b", Judgement::Fair)]);
        assert!(fair.verdict.fit && fair.verdict.sentence.contains("keep in mind"));
        let bad = Diagnosis::of(vec![good, finding("c", Judgement::Bad)]);
        assert!(!bad.verdict.fit && bad.verdict.sentence.contains("not fit"));
        assert_eq!((bad.verdict.good, bad.verdict.fair, bad.verdict.bad), (1, 0, 1));
    }

    #[test]
    fn what_is_written_as_json_is_read_back_the_same() {
        let finding = Finding::new("a", "7 ms", Judgement::Fair, "wait").with(7.0, "ms");
        let diagnosis = Diagnosis::of(vec![finding, Finding::unknown("b", "look")]);
        let text = serde_json::to_string(&diagnosis).unwrap();
        assert_eq!(serde_json::from_str::<Diagnosis>(&text).unwrap(), diagnosis);
    }
}
