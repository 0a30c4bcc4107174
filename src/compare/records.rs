//! Compares two records cell by cell: what separate runs can show of a change.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    machine::Fingerprint,
    output::fine_percent,
    record::{Cell, Presence, Record, Run, State},
};
use paceline_core::perform::Placement;

use super::shifts::{Shift, shifts};

/// Two runs, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The base run.
    pub base: RunName,
    /// The head run.
    pub head: RunName,
    /// The fields of the fingerprint, and pinning, that differ, each with both values. If there are any, the figures
    /// may show the machines and not the change.
    pub machine_differences: Vec<String>,
    /// The versions of paceline and of models that differ, each with both values.
    pub version_differences: Vec<String>,
    /// Every cell of either run, by workload, model, workers and scale: records hold cells in the order in which they
    /// ended.
    pub cells: Vec<Pair>,
}

/// The identity of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunName {
    /// Name of its folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// Hash that identifies its machine.
    pub fingerprint_hash: String,
}

/// A cell of one run or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// Name of the workload.
    pub workload: String,
    /// Name of the model.
    pub model: String,
    /// The number of jobs in a batch.
    pub scale: usize,
    /// The model's workers.
    pub workers: Option<usize>,
    /// Where batches were submitted from.
    pub placement: Placement,
    /// Which of the runs have it.
    pub presence: Presence,
    /// How it ended in the base.
    pub base_state: Option<State>,
    /// How it ended in the head.
    pub head_state: Option<State>,
    /// Why there is no comparison, if there is none.
    pub reason: Option<String>,
    /// The changes of the figures that both runs have.
    pub shifts: Vec<Shift>,
}

/// Why two records are not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The records are from different machines or builds, or only one was pinned.
    Machine(String),
    /// The records are from different instruments, which measure different things.
    Instrument(String),
}

/// Compares two records. With `any_machine`, records of different machines too.
pub fn compare_records(
    base: &Record,
    head: &Record,
    any_machine: bool,
) -> Result<Comparison, Refusal> {
    let machine_differences = comparable(base, head, any_machine)?;
    let pair = |base_cell: Option<&Cell>, head_cell: Option<&Cell>| {
        pair(base_cell, head_cell, |name| asked_otherwise(&base.run, &head.run, name))
    };
    let both = base
        .planned()
        .into_iter()
        .map(|cell| pair(Some(cell), head.cells.iter().find(|other| same_cell(cell, other))));
    let new = head.planned().into_iter();
    let new = new.filter(|cell| !base.cells.iter().any(|of| same_cell(of, cell)));
    let cells = both.chain(new.map(|cell| pair(None, Some(cell)))).flatten().collect();
    Ok(Comparison {
        base: name(&base.run),
        head: name(&head.run),
        machine_differences,
        version_differences: version_differences(&base.run, &head.run),
        cells,
    })
}

/// Returns the fields of the fingerprint in which two comparable records differ. Records of two instruments or, without
/// `any_machine`, of two machines are not comparable.
pub fn comparable(base: &Record, head: &Record, any_machine: bool) -> Result<Vec<String>, Refusal> {
    if base.run.instrument != head.run.instrument {
        let [one, other] =
            [&base.run, &head.run].map(|run| format!("{} ({})", run.id, run.instrument));
        return Err(Refusal::Instrument(format!(
            "{one} and {other} are of different instruments: compare two runs of one instrument"
        )));
    }
    let mut machine_differences = machine_differences(&base.run, &head.run);
    let [one, other] = [base, head].map(|of| if of.run.is_pinned() { "pinned" } else { "free" });
    if one != other {
        machine_differences.push(format!("pinning ({one}, {other})"));
    }
    if !any_machine && !machine_differences.is_empty() {
        return Err(Refusal::Machine(format!(
            "the machines differ in {}: compare runs of one machine, or give --any-machine",
            machine_differences.join(", ")
        )));
    }
    Ok(machine_differences)
}

/// Refuses two records whose figures may differ because their programs, models or jobs do.
pub fn of_one_build(base: &Record, head: &Record) -> Result<(), Refusal> {
    let (base, head) = (&base.run, &head.run);
    let both = |name: &str| head.workloads.iter().any(|of| of.name == name);
    let mut shared = base.workloads.iter().map(|of| of.name.as_str()).filter(|name| both(name));
    let differ = if base.build != head.build || !version_differences(base, head).is_empty() {
        "builds of paceline or of models"
    } else if !shared.all(|name| defined_alike(base, head, name)) {
        "definitions of a workload"
    } else {
        return Ok(());
    };
    Err(Refusal::Machine(format!(
        "{} and {} have different {differ}: count the agreement of runs of one build, or give --any-machine",
        base.id, head.id
    )))
}

pub(super) fn name(run: &Run) -> RunName {
    RunName {
        id: run.id.clone(),
        started: run.started.clone(),
        fingerprint_hash: run.fingerprint.hash.clone(),
    }
}

pub(super) fn same_cell(one: &Cell, other: &Cell) -> bool {
    let key = |cell: &Cell| (cell.scale, cell.workers, cell.placement);
    one.workload == other.workload && one.model == other.model && key(one) == key(other)
}

/// Returns the hashed fields that differ; none if the hashes are equal.
fn machine_differences(base: &Run, head: &Run) -> Vec<String> {
    let (base, head) = (&base.fingerprint, &head.fingerprint);
    if base.hash == head.hash {
        return vec![];
    }
    let fields = |of: &Fingerprint, other: &Fingerprint| {
        let alone = of.features.iter().filter(|crates| !other.features.contains(crates));
        let alone: Vec<&str> = alone.map(String::as_str).collect();
        let alone = if alone.is_empty() { "none".into() } else { alone.join(" ") };
        let allocator =
            if of.allocator.is_empty() { "the default".into() } else { of.allocator.clone() };
        [
            ("architecture", of.architecture.clone()),
            ("CPU", of.cpu.join(" ")),
            ("number of CPUs", of.logical_cpus.to_string()),
            ("CPU quota", of.cpu_quota.clone().unwrap_or_else(|| "none".into())),
            ("share of the CPUs", of.cpu_set.clone().unwrap_or_else(|| "all".into())),
            ("C library", of.libc.clone().unwrap_or_else(|| "not recorded".into())),
            ("huge pages", of.huge_pages.clone().unwrap_or_else(|| "not recorded".into())),
            ("threads per core", of.threads_per_core.clone()),
            ("hypervisor", of.hypervisor.to_string()),
            ("kernel", of.kernel.clone()),
            ("compiler", of.rustc.clone()),
            ("flags", of.flags.clone()),
            ("features", alone),
            ("allocator settings", allocator),
        ]
    };
    let both = fields(base, head).into_iter().zip(fields(head, base));
    let differ = both.filter(|((_, base), (_, head))| base != head);
    let mut differ: Vec<String> =
        differ.map(|((field, base), (_, head))| format!("{field} ({base}, {head})")).collect();
    if differ.is_empty() {
        differ.push(format!("fingerprint ({}, {})", base.hash, head.hash));
    }
    differ
}

fn version_differences(base: &Run, head: &Run) -> Vec<String> {
    let models = base.models.iter().filter_map(|model| {
        let other = head.models.iter().find(|other| other.name == model.name)?;
        Some((&model.name[..], &model.version, &other.version))
    });
    std::iter::once(("paceline", &base.build.paceline, &head.build.paceline))
        .chain(models)
        .filter(|(_, base, head)| base != head)
        .map(|(name, base, head)| format!("{name} {base} and {head}"))
        .collect()
}

/// Returns whether both runs have the same definition of the workload `name`.
fn defined_alike(base: &Run, head: &Run, name: &str) -> bool {
    let source =
        |run: &Run| run.workloads.iter().find(|of| of.name == name).map(|of| of.source.clone());
    source(base) == source(head)
}

/// Returns how what was asked for differs: the definition of the workload `name`, or what the requests of a load were.
fn asked_otherwise(base: &Run, head: &Run, name: &str) -> Option<String> {
    if !defined_alike(base, head, name) {
        return Some("the definitions of the workload differ".into());
    }
    let (base, head) = (base.requests(), head.requests());
    let names: BTreeSet<&str> = base.keys().chain(head.keys()).copied().collect();
    let shown = |value: Option<&&Value>| value.map_or_else(|| "none".into(), ToString::to_string);
    let differ = names.into_iter().filter(|name| base.get(name) != head.get(name)).map(|name| {
        let (one, other) = (shown(base.get(name)), shown(head.get(name)));
        format!("{} ({one}, {other})", name.replace('_', " "))
    });
    let differ: Vec<String> = differ.collect();
    (!differ.is_empty()).then(|| format!("the loads differ in {}", differ.join(", ")))
}

fn pair(
    base: Option<&Cell>,
    head: Option<&Cell>,
    asked_otherwise: impl Fn(&str) -> Option<String>,
) -> Option<Pair> {
    let cell = base.or(head)?;
    let (presence, mut reason, mut shifts) = match (base, head) {
        (Some(base), Some(head)) => {
            let reason = unlike(base, head, asked_otherwise);
            let shifts = if reason.is_none() { shifts(base, head) } else { vec![] };
            (Presence::Both, reason, shifts)
        }
        (Some(_), None) => (Presence::Base, Some("the head does not have it".into()), vec![]),
        _ => (Presence::Head, Some("the base does not have it".into()), vec![]),
    };
    shifts.retain(|shift| shift.share.is_finite());
    if shifts.is_empty() && reason.is_none() {
        reason = Some("no figure is in both".into());
    }
    Some(Pair {
        workload: cell.workload.clone(),
        model: cell.model.clone(),
        scale: cell.scale,
        workers: cell.workers,
        placement: cell.placement,
        presence,
        base_state: base.map(|cell| cell.state),
        head_state: head.map(|cell| cell.state),
        reason,
        shifts,
    })
}

/// Returns why the figures of two cells cannot be compared.
fn unlike(
    base: &Cell,
    head: &Cell,
    asked_otherwise: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let of = |side: &str, cell: &Cell| {
        (cell.state != State::Ok).then(|| {
            format!("{side}: {}", cell.reason.as_deref().unwrap_or("no reason is recorded"))
        })
    };
    let reasons: Vec<String> = [of("base", base), of("head", head)].into_iter().flatten().collect();
    if !reasons.is_empty() {
        return Some(reasons.join("; "));
    }
    if let Some(why) = asked_otherwise(&base.workload) {
        return Some(why);
    }
    let load = |cell: &Cell| cell.load.as_ref().map(|load| (load.looped, load.settings()));
    if load(base) != load(head) {
        return Some("the loads differ".into());
    }
    let errors = |side: &str, cell: &Cell| {
        let share = fine_percent(cell.notable_error_share()?);
        Some(format!("{side}: {share} of its requests were errors, which have no latency"))
    };
    let errors: Vec<String> =
        [errors("base", base), errors("head", head)].into_iter().flatten().collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}
