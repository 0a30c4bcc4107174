//! Two records side by side, cell by cell: what separate runs can say of a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{Cell, Presence, Record, Run, State};
use paceline_core::perform::Placement;

use super::shifts::{Shift, shifts};

/// Two runs, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The run that the other is compared with.
    pub base: RunName,
    /// The run that is compared.
    pub head: RunName,
    /// The fields of the fingerprint that differ, and pinning, each with both values: figures then say more of the
    /// machines.
    pub machine_differences: Vec<String>,
    /// The versions that differ, of paceline and of models, each with both.
    pub version_differences: Vec<String>,
    /// Every cell of either, by workload, model, workers and scale: records are in the order in which cells ended.
    pub cells: Vec<Pair>,
}

/// Which run it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunName {
    /// The name of its folder.
    pub id: String,
    /// When it began, in UTC.
    pub started: String,
    /// What identifies its machine.
    pub fingerprint_hash: String,
}

/// A cell of either run or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// The workload's name.
    pub workload: String,
    /// The model's name.
    pub model: String,
    /// How many jobs were offered at once.
    pub scale: usize,
    /// The model's workers.
    pub workers: Option<usize>,
    /// Where its batches were offered from.
    pub placement: Placement,
    /// Which runs have it.
    pub presence: Presence,
    /// How it ended in the base.
    pub base_state: Option<State>,
    /// How it ended in the head.
    pub head_state: Option<State>,
    /// Why there is no change of it, where there is none.
    pub reason: Option<String>,
    /// What both runs have figures of.
    pub shifts: Vec<Shift>,
}

/// Why two records are not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They are of different machines, or differently built, or only one was pinned.
    Machine(String),
    /// They are of different instruments, which measure different things.
    Instrument(String),
}

/// Puts two records side by side. With `any_machine`, those of different machines too.
///
/// # Errors
///
/// Returns why they are not to be compared.
pub fn compare_records(
    base: &Record,
    head: &Record,
    any_machine: bool,
) -> Result<Comparison, Refusal> {
    let machine_differences = comparable(base, head, any_machine)?;
    let pair = |base_cell: Option<&Cell>, head_cell: Option<&Cell>| {
        pair(base_cell, head_cell, |name| defined_alike(&base.run, &head.run, name))
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

/// The fields of the fingerprint in which two records differ, where they are to be compared at all.
///
/// # Errors
///
/// Returns why they are not: they are of two instruments, or without `any_machine` of two machines.
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

/// The fields that are hashed and differ; none where the hashes are the same.
fn machine_differences(base: &Run, head: &Run) -> Vec<String> {
    let (base, head) = (&base.fingerprint, &head.fingerprint);
    if base.hash == head.hash {
        return vec![];
    }
    let fields = |of: &crate::machine::Fingerprint| {
        [
            ("architecture", of.architecture.clone()),
            ("CPU", of.cpu.join(" ")),
            ("number of CPUs", of.logical_cpus.to_string()),
            ("CPU quota", of.cpu_quota.clone().unwrap_or_else(|| "none".into())),
            ("threads per core", of.threads_per_core.clone()),
            ("hypervisor", of.hypervisor.to_string()),
            ("kernel", of.kernel.clone()),
            ("compiler", of.rustc.clone()),
            ("flags", of.flags.clone()),
        ]
    };
    let both = fields(base).into_iter().zip(fields(head));
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

/// Whether both runs have the same definition of the workload `name`.
fn defined_alike(base: &Run, head: &Run, name: &str) -> bool {
    let source =
        |run: &Run| run.workloads.iter().find(|of| of.name == name).map(|of| of.source.clone());
    source(base) == source(head)
}

fn pair(base: Option<&Cell>, head: Option<&Cell>, alike: impl Fn(&str) -> bool) -> Option<Pair> {
    let cell = base.or(head)?;
    let (presence, mut reason, mut shifts) = match (base, head) {
        (Some(base), Some(head)) => {
            let reason = unlike(base, head, alike);
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

/// Why the figures of two cells are not to be compared.
fn unlike(base: &Cell, head: &Cell, alike: impl Fn(&str) -> bool) -> Option<String> {
    let of = |side: &str, cell: &Cell| {
        (cell.state != State::Ok).then(|| {
            format!("{side}: {}", cell.reason.as_deref().unwrap_or("no reason is recorded"))
        })
    };
    let reasons: Vec<String> = [of("base", base), of("head", head)].into_iter().flatten().collect();
    if !reasons.is_empty() {
        return Some(reasons.join("; "));
    }
    if !alike(&base.workload) {
        return Some("the definitions of the workload differ".into());
    }
    let load = |cell: &Cell| {
        cell.load.as_ref().map(|load| (load.looped, load.rate, load.ramp, load.arrivals))
    };
    (load(base) != load(head)).then(|| "the loads differ".into())
}
