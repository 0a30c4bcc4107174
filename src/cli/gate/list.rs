//! `paceline gate --list`: shows the cells of each side without measuring.

use super::{
    super::{CliError, Format, say, say_json, say_text},
    GateArguments, build, cells_of, no_cells,
    sides::are_known,
    subjects,
};
use crate::{
    gate::{Arm, Project, Source, Subject},
    output::{Building, count, list_table, noun, print_note},
    record::Presence,
};
use paceline_core::{custom::Variant, job::Workload, process::Program};

/// Prints the cells of both sides. `jobs` is whether workloads were named. Jobs on models are known at once; a bench has
/// to be built before it can be asked for its cells.
pub(super) fn list(
    asked: &GateArguments,
    project: &Project,
    sides: [(&str, &Source); 2],
    (workloads, jobs): (&[Workload], bool),
) -> Result<u8, CliError> {
    if are_known(project, sides.map(|(_, source)| source), jobs)? {
        return known(asked, &subjects(asked, workloads, jobs, vec![])?);
    }
    let mut own = Vec::new();
    let mut runs_jobs = false;
    if sides.iter().any(|(_, source)| !source.is_built()) {
        print_note(
            "the cells of a bench are known once it is built: building what is not built yet",
        );
    }
    {
        let line = Building::start();
        for (what, source) in sides {
            let built = build(project, &line, what, source, false)?;
            let program = Program::at(&built.program).working_in(built.folder);
            let cells = cells_of(&[Arm { program, variant: Variant::Base }])?;
            runs_jobs |= cells.runs_jobs;
            own.push(cells.custom);
        }
    }
    let new = own[1].iter().filter(|name| !own[0].contains(name));
    let all: Vec<String> = own[0].iter().chain(new).cloned().collect();
    if !runs_jobs && all.is_empty() {
        return Err(no_cells());
    }
    if all.is_empty() {
        return known(asked, &subjects(asked, workloads, jobs, all)?);
    }
    let presence = |name: &String| match [0, 1].map(|side| own[side].contains(name)) {
        [true, false] => Presence::Base,
        [false, true] => Presence::Head,
        _ => Presence::Both,
    };
    let subjects = subjects(asked, workloads, jobs, all)?;
    let found: Vec<(String, Presence)> =
        subjects.iter().map(Subject::name).map(|name| (name.clone(), presence(&name))).collect();
    if asked.output.format == Format::Json {
        let cells = found
            .iter()
            .map(|(cell, presence)| serde_json::json!({ "cell": cell, "presence": presence }));
        return say_json(&cells.collect::<Vec<_>>());
    }
    let word = |presence| match presence {
        Presence::Both => "in both",
        Presence::Base => "removed",
        Presence::Head => "new",
    };
    let rows: Vec<_> =
        found.iter().map(|(cell, of)| vec![cell.clone(), word(*of).to_owned()]).collect();
    let of = |of| count(found.iter().filter(|(_, presence)| *presence == of).count());
    say(&list_table(&["cell", "base and head"], &rows))?;
    say_text(&format!(
        "\n{} in both, {} removed, {} new",
        of(Presence::Both),
        of(Presence::Base),
        of(Presence::Head)
    ))
}

/// Shows jobs on models. Whether a side lacks one of them, such as an older paceline without the model, shows only when
/// the cell runs.
fn known(asked: &GateArguments, subjects: &[Subject<'_>]) -> Result<u8, CliError> {
    let names: Vec<String> = subjects.iter().map(Subject::name).collect();
    if asked.output.format == Format::Json {
        let cells = names.iter().map(|cell| serde_json::json!({ "cell": cell, "presence": null }));
        return say_json(&cells.collect::<Vec<_>>());
    }
    let rows: Vec<_> = names.iter().map(|cell| vec![cell.clone()]).collect();
    say(&list_table(&["cell"], &rows))?;
    let (number, cells) = (count(names.len()), noun(names.len(), "cell"));
    say_text(&format!("\n{number} built-in {cells}; whether a side lacks one shows when it runs"))
}
