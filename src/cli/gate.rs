//! `paceline gate`.

mod arguments;
mod list;
mod sides;

use std::{fs, path::Path, time::Duration};

pub(super) use arguments::GateArguments;
pub(super) use sides::{BUILT_ONLY, NO_COUNTERS, Sides, can_count, unbuilt};
use sides::{build, built, holds_a_verdict, sources};

use super::{
    CELLS, CliError, ENVIRONMENT, Format, chosen, internal, ready, say, say_json, sorted, usage,
};
use crate::{
    gate::{
        Arm, Given, Margins, NoGate, Order, Outcome, Project, Source, Subject, default_cells, gate,
    },
    output::print_note,
    plan::{Choice, Planned, cells},
    record::{Gate, GateCell, Metric, Overall, Presence, Sameness},
    report::gate_table,
    start::refuse_debug_build,
};
use paceline_core::{
    interrupt, job::Workload, models::Entry, process::Program, protocol::CellSpec, workloads,
};

const REGRESSED: u8 = 4;
const INCONCLUSIVE: u8 = 5;

/// `paceline gate`. With `--retry` a gate that the machine was not fit for is repeated once.
pub(super) fn run(asked: &GateArguments) -> Result<u8, CliError> {
    if asked.list {
        return once(asked);
    }
    refuse_debug_build().map_err(usage)?;
    let code = once(asked)?;
    if code != ENVIRONMENT || !asked.retry {
        return Ok(code);
    }
    print_note("the machine was not fit: the gate is repeated once");
    once(&GateArguments { retry: false, ..asked.clone() })
}

/// A gate of the programs that the arguments name.
fn once(asked: &GateArguments) -> Result<u8, CliError> {
    if let Some(program) = &asked.variants_of {
        return super::variants::run(asked, program);
    }
    let base = asked.base.as_ref().ok_or_else(|| {
        usage("say what to compare with: --base REV, a built program, or a dependency such as tokio@1.50.0".into())
    })?;
    // Mistakes are told before minutes of building.
    margins(asked)?;
    can_count(asked)?;
    let (workloads, jobs) = jobs(asked)?;
    let program = ready()?;
    let (project, base, head) = sources(asked, base)?;
    if asked.list {
        let sides = [("the base", &base), ("the head", &head)];
        return list::list(asked, &project, sides, (&workloads, jobs));
    }
    let (margins, others) = margins_of(asked, &project, &base, &head)?;
    let allocations = metrics(asked).contains(&Metric::Allocations);
    if allocations && (base.is_built() || head.is_built()) {
        return Err(usage(BUILT_ONLY.into()));
    }
    if !(base.is_built() && head.is_built()) {
        holds_a_verdict(asked, &project, [&base, &head], &program, (&workloads, jobs))?;
    }
    let sides = built(&project, [&base, &head], allocations)?;
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
    let mut order = order(asked, subjects, sides, program, margins, (&workloads, models));
    let notes = others.iter().filter_map(|(whose, other)| {
        let unlike = other.unlike(&order.margins, &names)?;
        Some(format!(
            "{whose} has other margins, which do not count: {unlike}; --config FILE uses those of a file"
        ))
    });
    order.notes = notes.collect();
    finish(asked, order)
}

/// The order for the instrument. The last argument is what the record says of jobs: the workloads and the models.
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

fn metrics(asked: &GateArguments) -> Vec<Metric> {
    let mut metrics = asked.metric.clone();
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

/// The margins of the file that was named, or of the folder's.
pub(super) fn margins(asked: &GateArguments) -> Result<Margins, CliError> {
    let usual = Path::new(MARGINS);
    let file = asked.config.as_deref().or_else(|| usual.exists().then_some(usual));
    Margins::read(file, &given(asked)).map_err(usage)
}

/// The file of margins where none is named.
const MARGINS: &str = "gate.toml";

fn given(asked: &GateArguments) -> Given {
    Given {
        margin: asked.margin.clone(),
        clear_margin: asked.clear_margin.clone(),
        layout_sd: None,
        count_margin: None,
    }
}

/// Margins that do not count, and whose they are.
type Others = Vec<(&'static str, Margins)>;

/// The margins that count: of the file that was named, otherwise the base's. A change must not loosen those that it is
/// judged by, so those of the head and of this folder do not count.
fn margins_of(
    asked: &GateArguments,
    project: &Project,
    base: &Source,
    head: &Source,
) -> Result<(Margins, Others), CliError> {
    if asked.config.is_some() {
        return Ok((margins(asked)?, vec![]));
    }
    let given = given(asked);
    let of = |source: &Source| -> Result<Margins, CliError> {
        let text = project.file_of(source, MARGINS).map_err(unbuilt)?;
        let place = format!("{MARGINS} of {}", source.name);
        let file = text.as_deref().map(|text| (&place[..], text));
        Margins::of_text(file, &given)
            .map_err(|why| usage(format!("{why}; mend it, or give --config FILE")))
    };
    let mut others = Vec::new();
    if !head.is_built() {
        others.push(("the head", of(head)?));
    }
    // Where no head is named, it is this folder.
    if Path::new(MARGINS).exists() && asked.head.is_some() {
        others.push(("gate.toml in this folder", margins(asked)?));
    }
    Ok((of(base)?, others))
}

/// Why a program without cells is not gated.
pub(super) fn no_cells() -> CliError {
    usage("there is no cell to gate: give the bench one with `.closure` or `.command`, as docs/gate.md shows, or name workloads".into())
}

/// What the sides can be gated by.
pub(super) struct Cells {
    /// The names of the cells that they have of their own.
    pub(super) custom: Vec<String>,
    /// Those with both variants.
    pub(super) with_head: Vec<String>,
    /// Whether one of them runs jobs on models, as paceline's hosts do.
    pub(super) runs_jobs: bool,
}

/// Asks the sides for their cells.
pub(super) fn cells_of(arms: &[Arm]) -> Result<Cells, CliError> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut cells = Cells { custom: vec![], with_head: vec![], runs_jobs: false };
    for Arm { program, .. } in arms {
        let mut host = program
            .host_of_custom_cells()
            .map_err(|error| internal(format!("cannot start what was built: {error}")))?;
        let found = host.cells(PATIENCE).map_err(|error| {
            usage(format!(
                "what was built is no program that can be gated: its main must begin with what paceline's gate does ({error})"
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

/// The workloads that are named, or the built-in ones, and whether any was named.
fn jobs(asked: &GateArguments) -> Result<(Vec<Workload>, bool), CliError> {
    if asked.workloads.is_empty() {
        if !asked.of.scale.is_empty() || !asked.of.workers.is_empty() {
            return Err(usage("--scale and --workers go with a workload: name one".into()));
        }
        return Ok((workloads::built_in(), false));
    }
    let found: Result<Vec<Workload>, String> =
        asked.workloads.iter().map(|name| workloads::find(name)).collect();
    Ok((found.map_err(usage)?, true))
}

/// The cells that are gated.
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

/// Runs the gate, shows it, writes the exports, and says how to leave.
pub(super) fn finish(asked: &GateArguments, order: Order<'_>) -> Result<u8, CliError> {
    let Outcome { gate, folder } = gate(order).map_err(|error| match error {
        NoGate::TooShort(message) => usage(message),
        NoGate::Internal(message) => internal(message),
    })?;
    let code = exit_code(&gate, asked.strict);
    if asked.retry && code == ENVIRONMENT && !gate.interrupted {
        return Ok(code);
    }
    match asked.output.format {
        Format::Json => say_json(&gate)?,
        Format::Table => {
            say(&gate_table(&gate, asked.all))?;
            say(&format!("record: {}", folder.display()))?
        }
    };
    for (format, file) in &asked.export {
        let written = fs::write(file, format.render(&gate));
        written.map_err(|error| {
            let (file, folder) = (file.display(), folder.display());
            internal(format!("cannot write {file}: {error}; the record is in {folder}"))
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
            // The change cannot have made anything slower.
            Some(Sameness::Unreachable | Sameness::NotAffected) => 0,
            Some(Sameness::SameSource) if !strict => 0,
            _ => INCONCLUSIVE,
        },
        Overall::Inconclusive if strict => INCONCLUSIVE,
        // A slow cell that has another name now is one that was removed and a new one.
        Overall::Passed if strict && gate.cells.iter().any(is_removed) => INCONCLUSIVE,
        Overall::Inconclusive | Overall::Passed => 0,
    }
}
