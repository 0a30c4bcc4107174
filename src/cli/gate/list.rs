//! `paceline gate --list`: shows the cells of each side without measuring.

use super::{
    super::{CliError, Format, say, say_json},
    GateArguments, build, cells_of, no_cells, subjects,
};
use crate::{
    gate::{Arm, Project, Source, Subject},
    output::{Building, list_table},
    record::Presence,
};
use paceline_core::{custom::Variant, job::Workload, process::Program};

/// Builds both sides and prints their cells. `jobs` is whether workloads were named.
pub(super) fn list(
    asked: &GateArguments,
    project: &Project,
    sides: [(&str, &Source); 2],
    (workloads, jobs): (&[Workload], bool),
) -> Result<u8, CliError> {
    let mut own = Vec::new();
    let mut runs_jobs = jobs;
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
    let count = |of| found.iter().filter(|(_, presence)| *presence == of).count();
    say(&list_table(&["cell", "base and head"], &rows))?;
    say(&format!(
        "\n{} in both, {} removed, {} new",
        count(Presence::Both),
        count(Presence::Base),
        count(Presence::Head)
    ))
}
