//! Whether this machine is fit to measure: what was looked at, what was found, how it is judged and what to do about it.
//!
//! Reading and measuring are `machine`'s and `measure`'s; judging is a pure function of what they found.

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

/// How a finding is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// It stands in no figure's way.
    Good,
    /// Figures stand, but some cells are refused, or small differences cannot be told.
    Fair,
    /// Figures of this machine mislead.
    Bad,
    /// The system does not show it.
    Unknown,
}

impl Judgement {
    /// The word for it, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Judgement::Good => "good",
            Judgement::Fair => "fair",
            Judgement::Bad => "bad",
            Judgement::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What was looked at: the name that a finding keeps over versions.
    pub what: String,
    /// What was found, with numbers and units.
    pub found: String,
    /// How it is judged.
    pub judgement: Judgement,
    /// What to do about it, or what to bear in mind; empty where it is good.
    pub advice: String,
    /// The number that was judged; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The unit of that number; absent for a mere count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Finding {
    /// A finding without a number. The advice is dropped where it is good.
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

    /// One that the system does not show.
    fn unknown(what: &str, advice: &str) -> Self {
        Finding::new(what, "not shown by this system", Judgement::Unknown, advice)
    }

    fn with(self, value: f64, unit: &str) -> Self {
        let unit = (!unit.is_empty()).then(|| unit.into());
        Finding { value: Some(value), unit, ..self }
    }
}

/// What all findings come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// How many are good.
    pub good: usize,
    /// How many are fair.
    pub fair: usize,
    /// How many are bad.
    pub bad: usize,
    /// How many are not shown.
    pub unknown: usize,
    /// Whether none is bad.
    pub fit: bool,
    /// All that in one sentence.
    pub sentence: String,
}

/// What `paceline doctor` says: the findings, in the order of its table, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What it comes to.
    pub verdict: Verdict,
}

impl Diagnosis {
    /// The verdict on `findings`.
    #[must_use]
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
            (0, 0) => "this machine is fit to measure.",
            (0, _) => "this machine is fit to measure; bear in mind what is fair.",
            _ => "this machine is not fit to measure before what is bad is mended.",
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

/// The widest that the table is.
const WIDTH: usize = 100;
/// What the timer's error is measured with: a wait of which the shortest that is ranked has five, 300 times.
const WAIT: (Duration, u32) = (Duration::from_millis(1), 300);
/// How long one core computes while others are watched.
const BUSY: Duration = Duration::from_secs(1);
/// The work that fresh processes are compared by, and how many of them.
const WORK: (Duration, u32) = (Duration::from_millis(20), 10);

/// Examines this machine, which takes about three seconds. What ran before is read first: our own work would hide it.
#[must_use]
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

/// The findings and the verdict as people read them: what there is to do stands under what was found.
#[must_use]
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

/// The models on `io_uring`, and why each cannot run, if so.
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
        assert!(fair.verdict.fit && fair.verdict.sentence.contains("bear in mind"));
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
