//! `paceline gate`: chooses the cells and the margins, runs the gate and prints its result.

mod arguments;
mod list;
mod sides;

use std::{fs, path::Path, time::Duration};

pub(super) use arguments::GateArguments;
pub(super) use sides::{BUILT_ONLY, NO_COUNTERS, Sides, check_counters, working_folder};
use sides::{build, build_sides, check_budget, resolve_sides};

use super::{
    CELLS, CliError, ENVIRONMENT, Format, chosen, internal, ready, say, say_json, say_text, sorted,
    usage,
};
use crate::{
    gate::{
        Arm, MarginOverrides, Margins, Order, Outcome, Project, Source, Subject, default_cells,
        gate,
    },
    output::{print_note, remedy},
    plan::{Choice, Planned, cells},
    record::{Gate, GateCell, Metric, Overall, Presence, Sameness, check_writable},
    report::gate_table,
    start::refuse_debug_build,
};
use paceline_core::{
    interrupt, job::Workload, models::Entry, process::Program, protocol::CellSpec, workloads,
};

const REGRESSED: u8 = 4;
const INCONCLUSIVE: u8 = 5;

/// Runs `paceline gate`. With `--retry`, a gate is repeated once if the machine was not fit.
pub(super) fn run(asked: &GateArguments) -> Result<u8, CliError> {
    if asked.list {
        return gate_once(asked);
    }
    refuse_debug_build().map_err(usage)?;
    let code = gate_once(asked)?;
    if code != ENVIRONMENT || !asked.retry {
        return Ok(code);
    }
    print_note("the machine was not fit: the gate is repeated once");
    gate_once(&GateArguments { retry: false, ..asked.clone() })
}

/// Runs a gate of the programs that the arguments name.
fn gate_once(asked: &GateArguments) -> Result<u8, CliError> {
    if let Some(program) = &asked.variants_of {
        return super::variants::run(asked, program);
    }
    let base = asked.base.as_ref().ok_or_else(|| {
        usage(
            "give --base: a revision, a built program, or a dependency such as tokio@1.50.0".into(),
        )
    })?;
    // Wrong arguments are reported before minutes of building.
    margins(asked)?;
    check_counters(asked)?;
    let (workloads, jobs) = jobs(asked)?;
    let program = ready()?;
    let (project, base, head) = resolve_sides(asked, base)?;
    if asked.list {
        let sides = [("the base", &base), ("the head", &head)];
        return list::list(asked, &project, sides, (&workloads, jobs));
    }
    check_places(asked)?;
    let (margins, others) = effective_margins(asked, &project, &base, &head)?;
    let allocations = metrics(asked).contains(&Metric::Allocations);
    if allocations && (base.is_built() || head.is_built()) {
        return Err(usage(BUILT_ONLY.into()));
    }
    if !(base.is_built() && head.is_built()) {
        check_budget(asked, &project, [&base, &head], &program, (&workloads, jobs))?;
    }
    let sides = build_sides(&project, [&base, &head], allocations)?;
    let Cells { custom: own, runs_jobs, .. } = cells_of(&sides.arms[..2])?;
    if !jobs && !runs_jobs && own.is_empty() {
        return Err(no_cells());
    }
    let mut subjects = subjects(asked, &workloads, jobs, own)?;
    if sides.same_program.as_ref().is_some_and(|same| same.sameness == Sameness::NotAffected) {
        subjects.clear();
    }
    let models = chosen(&asked.of.model)?;
    let names: Vec<String> = subjects.iter().map(Subject::name).collect();
    margins.check(&names).map_err(usage)?;
    let mut order = order(asked, subjects, sides, program, margins, (&workloads, models));
    let notes = others.iter().filter_map(|(whose, other)| {
        let unlike = other.unlike(&order.margins, &names)?;
        Some(format!(
            "{whose} has other margins, which do not count: {unlike}; --config FILE uses those of a file"
        ))
    });
    let are_all = !jobs && asked.filter.is_none() && asked.of.model.is_empty() && !names.is_empty();
    let unused = order.margins.unused(&names).filter(|_| are_all);
    order.notes = notes.chain(unused).chain(project.other_bench(&base, &head)?).collect();
    finish(asked, order)
}

/// Returns the settings for the instrument. The workloads and models are for the record.
pub(super) fn order<'a>(
    asked: &GateArguments,
    subjects: Vec<Subject<'a>>,
    sides: Sides,
    program: Program,
    margins: Margins,
    (workloads, models): (&'a [Workload], Vec<&'static Entry>),
) -> Order<'a> {
    Order {
        subjects,
        workloads,
        models,
        arms: sides.arms,
        sides: sides.described,
        same_program: sides.same_program,
        program,
        metrics: metrics(asked),
        allocations: sides.allocations,
        margins,
        notes: vec![],
        budget: asked.budget,
        trials: asked.trials,
        slices: None,
        top_up: asked.top_up,
        pin: asked.pin,
        seed: asked.seed,
        patience: asked.patience,
        results: asked.output.out.clone(),
    }
}

/// Checks that the record and the exports can be written, before minutes of building and measuring.
pub(super) fn check_places(asked: &GateArguments) -> Result<(), CliError> {
    check_writable(&asked.output.out).map_err(internal)?;
    for (_, file) in &asked.export {
        let existed = file.exists();
        let opened = fs::OpenOptions::new().append(true).create(true).open(file);
        opened.map_err(|error| {
            let (file, remedy) = (file.display(), remedy(&error));
            internal(format!(
                "cannot write {file}: {error}; {remedy}, or name another file with --export"
            ))
        })?;
        if !existed {
            let _ = fs::remove_file(file);
        }
    }
    Ok(())
}

fn metrics(asked: &GateArguments) -> Vec<Metric> {
    let mut metrics = asked.metric.clone();
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

/// Reads the margins of the given file, or of the one in this folder.
pub(super) fn margins(asked: &GateArguments) -> Result<Margins, CliError> {
    let usual = Path::new(MARGINS);
    let file = asked.config.as_deref().or_else(|| usual.exists().then_some(usual));
    Margins::read(file, &overrides(asked)).map_err(usage)
}

/// The default file of margins.
const MARGINS: &str = "gate.toml";

fn overrides(asked: &GateArguments) -> MarginOverrides {
    MarginOverrides {
        margin: asked.margin.clone(),
        clear_margin: asked.clear_margin.clone(),
        layout_sd: None,
        count_margin: None,
    }
}

/// Margins that do not count, with where they are from.
type Others = Vec<(&'static str, Margins)>;

/// Returns the margins that count: those of the given file, otherwise the base's. A change must not loosen the margins
/// that judge it, so those of the head and of this folder do not count.
fn effective_margins(
    asked: &GateArguments,
    project: &Project,
    base: &Source,
    head: &Source,
) -> Result<(Margins, Others), CliError> {
    let overrides = overrides(asked);
    let of = |source: &Source| -> Result<Margins, CliError> {
        let text = project.file_of(source, MARGINS)?;
        let place = format!("{MARGINS} of {}", source.name);
        let file = text.as_deref().map(|text| (&place[..], text));
        Margins::of_text(file, &overrides)
            .map_err(|why| usage(format!("{why}; mend it, or give --config FILE")))
    };
    if asked.config.is_some() {
        // The base's may be broken: that is a reason to give a file.
        let of_base = of(base).ok().filter(|_| !base.is_built());
        return Ok((margins(asked)?, of_base.map(|of| ("the base", of)).into_iter().collect()));
    }
    let mut others = Vec::new();
    if !head.is_built() {
        others.push(("the head", of(head)?));
    }
    // Without a given head, the head is this folder.
    if Path::new(MARGINS).exists() && asked.head.is_some() {
        others.push(("gate.toml in this folder", margins(asked)?));
    }
    Ok((of(base)?, others))
}

/// Returns the error for programs without cells.
pub(super) fn no_cells() -> CliError {
    usage("there is no cell to gate: give the bench one with `.closure` or `.command`, as docs/gate.md shows, or name workloads".into())
}

/// The cells of both sides.
pub(super) struct Cells {
    /// The names of custom cells.
    pub(super) custom: Vec<String>,
    /// The names of custom cells with both variants.
    pub(super) with_head: Vec<String>,
    /// Whether one of the sides runs jobs on models, as paceline's hosts do.
    pub(super) runs_jobs: bool,
}

/// Starts each side and returns its cells.
pub(super) fn cells_of(arms: &[Arm]) -> Result<Cells, CliError> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut cells = Cells { custom: vec![], with_head: vec![], runs_jobs: false };
    for Arm { program, .. } in arms {
        let mut host = program
            .host_of_custom_cells()
            .map_err(|error| internal(format!("cannot start the built program: {error}")))?;
        let found = host.cells(PATIENCE).map_err(|error| {
            usage(format!(
                "the built program cannot be gated: its main must be that of paceline_gated::Gated, as docs/gate.md shows ({error})"
            ))
        })?;
        for (all, found) in [&mut cells.custom, &mut cells.with_head].into_iter().zip(found) {
            let new: Vec<String> = found.into_iter().filter(|name| !all.contains(name)).collect();
            all.extend(new);
        }
        cells.runs_jobs |= host.prepare(CellSpec::simplest(), PATIENCE).is_ok();
    }
    Ok(cells)
}

/// Returns the named workloads, or the built-in ones, and whether any is named.
fn jobs(asked: &GateArguments) -> Result<(Vec<Workload>, bool), CliError> {
    if asked.workloads.is_empty() {
        if !asked.of.scale.is_empty() || !asked.of.workers.is_empty() {
            return Err(usage("--scale and --workers go with a workload: name one".into()));
        }
        return Ok((workloads::built_in(), false));
    }
    let found: Result<Vec<Workload>, String> =
        asked.workloads.iter().map(|name| super::values::workload(name)).collect();
    Ok((found.map_err(usage)?, true))
}

/// Returns the cells to gate.
pub(super) fn subjects<'a>(
    asked: &GateArguments,
    workloads: &'a [Workload],
    named: bool,
    own: Vec<String>,
) -> Result<Vec<Subject<'a>>, CliError> {
    let models = chosen(&asked.of.model)?;
    let mut subjects: Vec<Subject<'a>> = Vec::new();
    if named {
        let choice = Choice {
            scales: sorted(&asked.of.scale),
            workers: sorted(&asked.of.workers),
            placement: None,
            in_one_class: false,
        };
        let planned = cells(workloads, &models, &choice);
        if let Some(why) =
            planned.iter().find_map(Planned::cannot_honour).filter(|_| !asked.of.model.is_empty())
        {
            return Err(usage(why));
        }
        subjects.extend(planned.into_iter().map(Subject::Jobs));
    } else if own.is_empty() {
        subjects.extend(default_cells(workloads, &models).into_iter().map(Subject::Jobs));
    } else {
        subjects.extend(own.into_iter().map(Subject::Own));
    }
    if let Some(filter) = &asked.filter {
        let all = subjects.iter().map(Subject::name).collect::<Vec<_>>().join(", ");
        subjects.retain(|subject| filter.is_match(&subject.name()));
        if subjects.is_empty() {
            return Err(usage(format!("no cell matches `{filter}`: the cells are {all}")));
        }
    }
    Ok(subjects)
}

/// Runs the gate, prints its result, writes the exports and returns the exit code.
pub(super) fn finish(asked: &GateArguments, order: Order<'_>) -> Result<u8, CliError> {
    let Outcome { gate, folder } = gate(order)?;
    let code = exit_code(&gate, asked.strict);
    if asked.retry && code == ENVIRONMENT && !gate.interrupted {
        return Ok(code);
    }
    match asked.output.format {
        Format::Json => say_json(&gate)?,
        Format::Table => {
            say_text(&gate_table(&gate, asked.all))?;
            say(&format!("record: {}", folder.display()))?
        }
    };
    for (format, file) in &asked.export {
        let written = fs::write(file, format.render(&gate));
        written.map_err(|error| {
            let (file, remedy, folder) = (file.display(), remedy(&error), folder.display());
            internal(format!(
                "cannot write {file}: {error}; {remedy}: the record is in {folder}, and paceline report exports it"
            ))
        })?;
    }
    if gate.interrupted {
        return Err(CliError(
            interrupt::EXIT_CODE,
            "interrupted; the trials until then are kept".into(),
        ));
    }
    Ok(code)
}

fn is_removed(cell: &GateCell) -> bool {
    cell.presence == Presence::Base
}

fn exit_code(gate: &Gate, strict: bool) -> u8 {
    match gate.verdict {
        Overall::Failed => CELLS,
        Overall::Regressed => REGRESSED,
        Overall::EnvironmentInvalid => ENVIRONMENT,
        Overall::Nothing => match gate.same_program.as_ref().map(|same| same.sameness) {
            // The change cannot have made anything slower: success.
            Some(Sameness::Unreachable | Sameness::NotAffected) => 0,
            Some(Sameness::SameSource) if !strict => 0,
            _ => INCONCLUSIVE,
        },
        Overall::Inconclusive if strict => INCONCLUSIVE,
        // A cell that became slow may have been renamed: it then counts as removed and new.
        Overall::Passed if strict && gate.cells.iter().any(is_removed) => INCONCLUSIVE,
        Overall::Inconclusive | Overall::Passed => 0,
    }
}
