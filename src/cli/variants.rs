//! `paceline gate --variants-of PROGRAM`: compares the two variants of each cell of a built program.

use std::path::Path;

use paceline_core::{custom::Variant, process::Program};

use super::{
    CliError,
    gate::{
        BUILT_ONLY, GateArguments, NO_COUNTERS, Sides, cells_of, check_counters, check_places,
        finish, margins, no_cells, order, subjects,
    },
    ready, usage,
};
use crate::{
    gate::{Arm, Project, Subject},
    record::{Metric, Side},
};

/// Compares the cells of `path` that have two variants.
pub(super) fn run(asked: &GateArguments, path: &Path) -> Result<u8, CliError> {
    if !asked.workloads.is_empty() {
        return Err(usage("workloads go with --base, not with --variants-of".into()));
    }
    let margins = margins(asked)?;
    check_counters(asked)?;
    if asked.metric.contains(&Metric::Allocations) {
        return Err(usage(BUILT_ONLY.into()));
    }
    check_places(asked)?;
    let program = ready()?;
    let project = Project::here(Path::new("."), None, None)?;
    let source = project.resolve(&path.to_string_lossy())?;
    let base = project.build(&source, false, &|_| {})?;
    let copy = project.build(&source, true, &|_| {})?;
    let side = |name: &str| Side {
        name: name.into(),
        about: format!("the {name} variant of each cell, in {}", path.display()),
        ..base.side.clone()
    };
    let arm = |program: &Path, variant| Arm { program: Program::at(program), variant };
    let sides = Sides {
        arms: [
            arm(&base.program, Variant::Base),
            arm(&base.program, Variant::Head),
            arm(&copy.program, Variant::Base),
        ],
        described: [side("base"), side("head")],
        same_program: None,
        allocations: NO_COUNTERS,
    };
    let cells = cells_of(&sides.arms[..1])?;
    if cells.custom.is_empty() {
        return Err(no_cells());
    }
    if cells.with_head.is_empty() {
        return Err(usage(
            "no cell has two variants to compare; add one with `CustomCell::against`, or compare revisions with --base REV".into(),
        ));
    }
    let subjects = subjects(asked, &[], false, cells.with_head)?;
    margins.check(&subjects.iter().map(Subject::name).collect::<Vec<_>>()).map_err(usage)?;
    finish(asked, order(asked, subjects, sides, program, margins, (&[], vec![])))
}
