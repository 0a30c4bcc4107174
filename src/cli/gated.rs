//! The gate for programs that bring cells of their own: what `main` of a bench is.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::Parser;

use super::{
    USAGE, Wrong,
    gate::{GateArguments, Sides, finish, margins, no_cells, order, run, subjects, unbuilt},
    internal, ready, usage,
};
use crate::{
    gate::{Arm, Project},
    measure::{Half, Own, Program, spawned_with},
    record::Side,
    report::print_error,
    start::refuse_debug_build,
};

/// Cells of a program of your own, for the gate: what `main` of a bench is.
///
/// ```no_run
/// use paceline::Gated;
///
/// fn main() -> std::process::ExitCode {
///     Gated::new()
///         .closure("parse/small", || || "17".parse::<u32>())
///         .main()
/// }
/// ```
///
/// In a bench called `gate` (`harness = false`), `paceline gate --base main` then builds it at `main` and in the working
/// tree, and compares the cells. Cells that have both halves, by [`Own::against`], are compared by the program alone:
/// `cargo bench --bench gate`.
#[derive(Debug, Default)]
#[must_use = "a list of cells does nothing without `main`"]
pub struct Gated {
    cells: Vec<Own>,
}

impl Gated {
    /// Without cells.
    pub fn new() -> Self {
        Gated::default()
    }

    /// Adds a closure: `ready` makes what it works on, and returns what is timed.
    pub fn closure<W, T>(self, name: impl Into<String>, ready: impl Fn() -> W + 'static) -> Self
    where
        W: FnMut() -> T + 'static,
    {
        self.cell(Own::closure(name, ready))
    }

    /// Adds a command: a call is a process from its start to its end.
    pub fn command<S: Into<OsString>>(
        self,
        name: impl Into<String>,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        self.cell(Own::command(name, command))
    }

    /// Adds a cell, such as one with both halves.
    ///
    /// # Panics
    ///
    /// Panics where there is one of this name already.
    pub fn cell(mut self, cell: Own) -> Self {
        let twice = self.cells.iter().any(|other| other.name == cell.name);
        assert!(!twice, "two cells are called `{}`: give one another name", cell.name);
        self.cells.push(cell);
        self
    }

    /// What `main` of the program is. With `--base` it is `paceline gate` of this project; without, it compares the
    /// halves of the cells that have two.
    #[must_use]
    pub fn main(self) -> ExitCode {
        spawned_with(&self.cells);
        // cargo adds it to the arguments of a bench.
        let words =
            std::env::args_os().enumerate().filter(|(at, word)| *at == 0 || word != "--bench");
        let asked = match Alone::try_parse_from(words.map(|(_, word)| word)) {
            Ok(asked) => asked.gate,
            Err(error) => {
                let code = if error.use_stderr() { USAGE } else { 0 };
                let _ = error.print();
                return ExitCode::from(code);
            }
        };
        let done = if asked.base.is_some() { run(&asked) } else { self.halves(&asked) };
        match done {
            Ok(code) => ExitCode::from(code),
            Err(Wrong(code, message)) => {
                print_error(&message);
                ExitCode::from(code)
            }
        }
    }

    /// Compares the halves of the cells that have two.
    fn halves(&self, asked: &GateArguments) -> Result<u8, Wrong> {
        refuse_debug_build().map_err(usage)?;
        if !asked.workloads.is_empty() {
            return Err(usage("workloads go with --base".into()));
        }
        let own: Vec<String> =
            self.cells.iter().filter(|own| own.has_head()).map(|own| own.name.clone()).collect();
        if self.cells.is_empty() {
            return Err(no_cells());
        }
        if own.is_empty() {
            return Err(usage("no cell has a half to be compared with: say --base REV to compare revisions, or give cells a head by `against`".into()));
        }
        let margins = margins(asked)?;
        let program = ready()?;
        let this = std::env::current_exe().map_err(|error| internal(error.to_string()))?;
        let project = Project::here(Path::new("."), None, None).map_err(unbuilt)?;
        let source = project.resolve(&this.to_string_lossy()).map_err(unbuilt)?;
        let base = project.build(&source, false, &|_| {}).map_err(unbuilt)?;
        let copy = project.build(&source, true, &|_| {}).map_err(unbuilt)?;
        let side = |name: &str| Side {
            name: name.into(),
            about: format!("the {name} of each cell, in {}", this.display()),
            ..base.side.clone()
        };
        let arm = |program: &Program, half| Arm { program: program.clone(), half };
        let sides = Sides {
            arms: [
                arm(&program, Half::Base),
                arm(&program, Half::Head),
                arm(&Program::at(copy.program), Half::Base),
            ],
            sides: [side("base"), side("head")],
            same_program: None,
        };
        let subjects = subjects(asked, &[], false, own)?;
        finish(asked, order(asked, subjects, sides, program, margins, (&[], vec![])))
    }
}

/// The arguments of a program of its own.
#[derive(Parser)]
#[command(version, about = "Gates the cells of this program: base against head, interleaved.")]
struct Alone {
    #[command(flatten)]
    gate: GateArguments,
}
