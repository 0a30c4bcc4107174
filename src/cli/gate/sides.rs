//! The sides of `paceline gate`: what the arguments name, checks before anything is built, and building.

use super::{
    super::{CliError, chosen, internal, usage},
    GateArguments, subjects,
};
use crate::{
    gate::{
        AllocationCounters, Arm, BuildError, Built, Exit, Project, Source, Wanted,
        note_same_program, too_short,
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

/// What is gated: the three programs, and what they are.
pub(in crate::cli) struct Sides {
    pub(in crate::cli) arms: [Arm; 3],
    pub(in crate::cli) described: [Side; 2],
    pub(in crate::cli) same_program: Option<SameProgram>,
    /// The programs that count allocations.
    pub(in crate::cli) allocations: AllocationCounters,
}

/// No program counts allocations: the metric was not asked for.
pub(in crate::cli) const NO_COUNTERS: AllocationCounters = [const { Err(String::new()) }; 2];

/// What the arguments name: the project, the base and the head.
pub(super) fn sources(
    asked: &GateArguments,
    base: &str,
) -> Result<(Project, Source, Source), CliError> {
    let here = std::env::current_dir().map_err(|error| internal(error.to_string()))?;
    let project = Project::here(&here, asked.package.as_deref(), asked.bench.as_deref());
    let project = project.map_err(unbuilt)?.with_features(asked.of_cargo());
    let base = project.resolve(base).map_err(unbuilt)?;
    let head = match &asked.head {
        Some(text) => project.resolve(text),
        None => project.working_tree(),
    };
    let head = head.map_err(unbuilt)?;
    Ok((project, base, head))
}

/// Returns whether the cells are known before anything is built: jobs that were named, and the usual cells of paceline
/// itself.
pub(super) fn are_known(
    project: &Project,
    sides: [&Source; 2],
    jobs: bool,
) -> Result<bool, CliError> {
    // Two built programs need no project.
    Ok(jobs
        || (!sides.iter().all(|side| side.is_built()) && project.is_paceline().map_err(unbuilt)?))
}

/// Returns an error if the budget is too small for the cells, where these are known before anything is built: jobs that
/// were named, and the usual cells of paceline itself.
pub(super) fn holds_a_verdict(
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

/// Why built programs have no allocations.
pub(in crate::cli) const BUILT_ONLY: &str =
    "allocations are counted in builds of their own: compare revisions, or leave the metric out";

/// Returns an error if a metric was asked for whose tool is not installed.
pub(in crate::cli) fn can_count(asked: &GateArguments) -> Result<(), CliError> {
    if asked.metric.contains(&Metric::Instructions) && valgrind().is_none() {
        return Err(usage(
            "instructions are counted by valgrind, which is not here: install the package valgrind, or leave the metric out".into(),
        ));
    }
    Ok(())
}

/// Builds the program of a side that counts allocations. Returns why it has none where it does not build: a side whose
/// paceline-gated is too old, or whose bench has an allocator of its own.
fn counting(
    project: &Project,
    line: &Building,
    what: &str,
    source: &Source,
) -> Result<Result<Program, String>, CliError> {
    line.show(&format!("building {what} to count allocations: {}", source.about));
    match project.build_to_count_allocations(source, &|said| line.show(said)) {
        Ok(built) => Ok(Ok(Program::at(&built.program).working_in(built.folder))),
        Err(error) if error.exit == Exit::Usage => Ok(Err(cut(&error.message, 500))),
        Err(error) => Err(unbuilt(error)),
    }
}

/// Builds both sides, and the base's copy; with `allocations`, also both sides as they count those.
pub(super) fn built(
    project: &Project,
    [base, head]: [&Source; 2],
    allocations: bool,
) -> Result<Sides, CliError> {
    let line = Building::start();
    let mut programs = [
        build(project, &line, "the base", base, false)?,
        build(project, &line, "the head", head, false)?,
        build(project, &line, "a copy of the base", base, true)?,
    ];
    let allocations = if allocations {
        [counting(project, &line, "the base", base)?, counting(project, &line, "the head", head)?]
    } else {
        NO_COUNTERS
    };
    let same_program =
        project.same_program((base, &programs[BASE]), (head, &programs[HEAD])).map_err(unbuilt)?;
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
    project.build(source, copy, &|said| line.show(said)).map_err(unbuilt)
}

const BASE: usize = 0;
const HEAD: usize = 1;

pub(in crate::cli) fn unbuilt(error: BuildError) -> CliError {
    CliError(error.exit.code(), error.message)
}
