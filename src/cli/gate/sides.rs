//! The sides of `paceline gate`: resolves them, checks what can be checked before building, and builds them.

use std::path::PathBuf;

use super::{
    super::{CliError, chosen, internal, usage},
    GateArguments, subjects,
};
use crate::{
    gate::{
        AllocationCounters, Arm, Built, Exit, GateError, NO_PROJECT, Project, Source, Wanted,
        note_same_program, too_short, two_builds_fit,
    },
    output::{Building, cut},
    record::{Metric, SameProgram, Side},
    start::model_info,
};
use paceline_core::{
    custom::Variant,
    job::Workload,
    process::{Program, valgrind},
};

/// The three programs of a gate, and their descriptions.
pub(in crate::cli) struct Sides {
    pub(in crate::cli) arms: [Arm; 3],
    pub(in crate::cli) described: [Side; 2],
    pub(in crate::cli) same_program: Option<SameProgram>,
    /// The programs that count allocations.
    pub(in crate::cli) allocations: AllocationCounters,
}

/// No programs: allocations are not compared.
pub(in crate::cli) const NO_COUNTERS: AllocationCounters = [const { Err(String::new()) }; 2];

/// What to do where a gate finds no project.
const GO_OR_BUILD: &str =
    "go to the folder of one, or give paths of built programs, as in --base ./old --head ./new";

/// Returns the project, the base and the head that the arguments name.
pub(super) fn resolve_sides(
    asked: &GateArguments,
    base: &str,
) -> Result<(Project, Source, Source), CliError> {
    let here = working_folder()?;
    let project = Project::here(&here, asked.package.as_deref(), asked.bench.as_deref())?;
    let project = project.with_features(asked.cargo_features());
    let outside = |error: GateError, why: &str| match error.message.strip_prefix(NO_PROJECT) {
        Some(_) => usage(format!("{why}{NO_PROJECT}: {GO_OR_BUILD}")),
        None => error.into(),
    };
    let base = project.resolve(base).map_err(|error| outside(error, ""))?;
    let head = match &asked.head {
        Some(text) => project.resolve(text).map_err(|error| outside(error, ""))?,
        None => project.working_tree().map_err(|error| {
            outside(error, "--head is missing: without it, the head is the working tree, but ")
        })?,
    };
    project.check_pins(&base, &head)?;
    Ok((project, base, head))
}

/// Returns the folder in which the program was started.
pub(in crate::cli) fn working_folder() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(|error| {
        internal(format!("cannot use the working folder: {error}; start in a folder that exists"))
    })
}

/// Returns whether the cells are known before anything is built: named jobs, and the default cells of paceline itself.
pub(super) fn are_known(
    project: &Project,
    sides: [&Source; 2],
    jobs: bool,
) -> Result<bool, CliError> {
    // Two built programs need no project.
    Ok(jobs || (!sides.iter().all(|side| side.is_built()) && project.is_paceline()?))
}

/// Returns an error if the budget is too small for the cells. It can tell only for cells that are known before anything
/// is built.
pub(super) fn check_budget(
    asked: &GateArguments,
    project: &Project,
    sides: [&Source; 2],
    program: &Program,
    (workloads, jobs): (&[Workload], bool),
) -> Result<(), CliError> {
    let timed = asked.metric.iter().any(|metric| !metric.is_count());
    if !timed || !are_known(project, sides, jobs)? {
        return Ok(());
    }
    let cells = subjects(asked, workloads, jobs, vec![])?;
    let models: Vec<_> = chosen(&asked.of.model)?.into_iter().map(model_info).collect();
    let wanted = Wanted {
        budget: asked.budget,
        fixed: asked.trials.is_some(),
        top_up: asked.top_up,
        pin: asked.pin,
    };
    match too_short(wanted, &cells, program, &models, asked.patience).map_err(internal)? {
        Some(why) => Err(usage(why)),
        None => Ok(()),
    }
}

/// Why allocations of given programs cannot be counted.
pub(in crate::cli) const BUILT_ONLY: &str =
    "allocations are counted in builds of their own: compare revisions, or leave the metric out";

/// Returns an error if the tool for a requested metric is not installed.
pub(in crate::cli) fn check_counters(asked: &GateArguments) -> Result<(), CliError> {
    if asked.metric.contains(&Metric::Instructions) && valgrind().is_none() {
        return Err(usage(
            "counting instructions needs valgrind, which is not installed: install the package valgrind, or leave the metric out".into(),
        ));
    }
    Ok(())
}

/// Builds a side with a counting allocator. Returns the reason if that does not build: its paceline-gated is too old, or
/// its bench sets its own allocator.
fn build_counting(
    project: &Project,
    line: &Building,
    what: &str,
    source: &Source,
) -> Result<Result<Program, String>, CliError> {
    line.show(&format!("building {what} to count allocations: {}", source.about));
    match project.build_to_count_allocations(source, &|said| line.show(said)) {
        Ok(built) => Ok(Ok(Program::at(&built.program).working_in(built.folder))),
        Err(error) if error.exit == Exit::Usage => Ok(Err(cut(&error.message, 500))),
        Err(error) => Err(error.into()),
    }
}

/// Builds both sides and the base's copy; with `allocations`, also both sides with a counting allocator.
pub(super) fn build_sides(
    project: &Project,
    [base, head]: [&Source; 2],
    allocations: bool,
) -> Result<Sides, CliError> {
    let line = Building::start();
    if two_builds_fit() {
        project.build_at_once([base, head], &|said| line.show(said))?;
    }
    let mut programs = [
        build(project, &line, "the base", base, false)?,
        build(project, &line, "the head", head, false)?,
        build(project, &line, "a copy of the base", base, true)?,
    ];
    let allocations = if allocations {
        [
            build_counting(project, &line, "the base", base)?,
            build_counting(project, &line, "the head", head)?,
        ]
    } else {
        NO_COUNTERS
    };
    let same_program = project.same_program((base, &programs[BASE]), (head, &programs[HEAD]))?;
    let base = programs[BASE].clone();
    note_same_program(&base, &mut programs[HEAD]);
    let arms = programs.each_ref().map(|built| Arm {
        program: Program::at(&built.program).working_in(built.folder.clone()),
        variant: Variant::Base,
    });
    let [base, head, _] = programs;
    Ok(Sides { arms, described: [base.side, head.side], same_program, allocations })
}

pub(super) fn build(
    project: &Project,
    line: &Building,
    what: &str,
    source: &Source,
    copy: bool,
) -> Result<Built, CliError> {
    line.show(&format!("building {what}: {}", source.about));
    Ok(project.build(source, copy, &|said| line.show(said))?)
}

const BASE: usize = 0;
const HEAD: usize = 1;

impl From<GateError> for CliError {
    fn from(error: GateError) -> Self {
        CliError(error.exit.code(), error.message)
    }
}
