//! The `main` of a gated bench.
#![expect(clippy::print_stderr, reason = "a bench says what is wrong")]

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use nix::sys::signal::{SigSet, Signal};

use crate::{
    arguments::{Filter, Mode},
    cell::{CustomCell, Variant},
    count,
    figures::{TRIALS, measure, time},
    host, layout,
};

/// The environment variable that names the program `paceline`.
const PACELINE: &str = "PACELINE";
const USAGE: u8 = 2;
const CELLS: u8 = 3;

/// The cells of a program, for the gate. Its [`main`](Self::main) is the `main` of a bench.
///
/// ```no_run
/// use paceline_gated::Gated;
///
/// fn main() -> std::process::ExitCode {
///     Gated::new()
///         .closure("parse/small", || || "17".parse::<u32>())
///         .command("cli", [env!("CARGO"), "--version"])
///         .main()
/// }
/// ```
#[derive(Debug, Default)]
#[must_use = "a list of cells does nothing without `main`"]
pub struct Gated {
    cells: Vec<CustomCell>,
}

impl Gated {
    /// Creates a program without cells.
    pub fn new() -> Self {
        Gated::default()
    }

    /// Adds a closure: `prepare` creates the input and returns the closure that is timed.
    pub fn closure<W, T>(self, name: impl Into<String>, prepare: impl Fn() -> W + 'static) -> Self
    where
        W: FnMut() -> T + 'static,
    {
        self.cell(CustomCell::closure(name, prepare))
    }

    /// Adds a command: a call is a process, timed from start to end.
    pub fn command<S: Into<OsString>>(
        self,
        name: impl Into<String>,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        self.cell(CustomCell::command(name, command))
    }

    /// Adds a cell, such as one with two variants.
    ///
    /// # Panics
    ///
    /// Panics if there already is a cell of this name.
    pub fn cell(mut self, cell: CustomCell) -> Self {
        let twice = self.cells.iter().any(|other| other.name() == cell.name());
        assert!(!twice, "two cells are called `{}`: give one another name", cell.name());
        self.cells.push(cell);
        self
    }

    /// Does what this program was started for, and returns its exit code.
    ///
    /// * `cargo bench` prints the time per call of each cell;
    /// * `cargo test --all-targets` calls each cell once;
    /// * `cargo bench --bench gate -- --base REV` runs `paceline gate --base REV`;
    /// * `cargo bench --bench gate -- --compare` runs the gate on the cells with two variants;
    /// * paceline itself starts the program as a host.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let arguments = std::env::args_os().skip(1);
        let mode = Mode::of(arguments.map(|word| word.to_string_lossy().into_owned()));
        let child = match &mode {
            Mode::Host => {
                layout::shift();
                Some(host::serve(&self.cells).map_err(|error| error.to_string()))
            }
            Mode::Count(wanted) => Some(count::serve(&self.cells, wanted)),
            _ => None,
        };
        if let Some(ended) = child {
            if let Err(why) = &ended {
                // The parent may be gone already.
                let _ = writeln!(io::stderr(), "error: {why}");
            }
            return ExitCode::from(u8::from(ended.is_err()));
        }
        if let Mode::Unknown(flag) = &mode {
            eprintln!(
                "error: unexpected argument `{flag}`: name parts of cells, or give --base REV or --compare with options of \
                 `paceline gate`"
            );
            return ExitCode::from(USAGE);
        }
        if self.cells.is_empty() {
            eprintln!(
                "error: there is no cell to gate: give the bench one with `.closure` or `.command`"
            );
            return ExitCode::from(USAGE);
        }
        if let Mode::Gate(arguments) = &mode {
            return self.gate(arguments);
        }
        survive_file_limit();
        let printed = match mode {
            Mode::List(filter) => self.list(&filter),
            Mode::Figures(filter) => self.figures(&filter),
            Mode::Smoke(filter) => self.smoke(&filter),
            Mode::Gate(_) | Mode::Host | Mode::Count(_) | Mode::Unknown(_) => {
                unreachable!("it was done above")
            }
        };
        printed.unwrap_or_else(|error| {
            eprintln!("error: cannot print: {error}");
            ExitCode::FAILURE
        })
    }

    /// Prints the names of the cells.
    fn list(&self, filter: &Filter) -> io::Result<ExitCode> {
        for cell in self.cells.iter().filter(|cell| filter.takes(cell.name())) {
            writeln!(io::stdout(), "{}: benchmark", cell.name())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Calls each variant once.
    fn smoke(&self, filter: &Filter) -> io::Result<ExitCode> {
        self.each(filter, |cell, variant| {
            cell.prepare(variant)?.first_call()?;
            Ok(format!("{} ... ok", shown(cell, variant)))
        })
    }

    /// Prints the time per call of each variant.
    fn figures(&self, filter: &Filter) -> io::Result<ExitCode> {
        if cfg!(debug_assertions) {
            let why = "this is a debug build, which measures nothing of use: run `cargo bench`";
            writeln!(io::stdout(), "{why}")?;
            return Ok(ExitCode::SUCCESS);
        }
        if !self.cells.iter().any(|cell| filter.takes(cell.name())) {
            let names: Vec<&str> = self.cells.iter().map(CustomCell::name).collect();
            eprintln!("no cell matches; the cells are {}", names.join(", "));
            return Ok(ExitCode::SUCCESS);
        }
        let code = self.each(filter, |cell, variant| {
            let trials_ns = measure(cell.name(), variant)?;
            Ok(format!(
                "{:<32} {:>10} a call   [{} .. {}], medians of {TRIALS} processes",
                shown(cell, variant),
                time(trials_ns[TRIALS / 2]),
                time(trials_ns[0]),
                time(trials_ns[TRIALS - 1]),
            ))
        })?;
        writeln!(io::stdout(), "compare revisions with `paceline gate --base REV`")?;
        Ok(code)
    }

    /// Prints a line for each variant, or why there is none.
    fn each(
        &self,
        filter: &Filter,
        line: impl Fn(&CustomCell, Variant) -> Result<String, String>,
    ) -> io::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        for cell in self.cells.iter().filter(|cell| filter.takes(cell.name())) {
            for variant in variants(cell) {
                match line(cell, variant) {
                    Ok(line) => writeln!(io::stdout(), "{line}")?,
                    Err(why) => {
                        eprintln!("error: {}: {why}", shown(cell, variant));
                        code = ExitCode::from(CELLS);
                    }
                }
            }
        }
        Ok(code)
    }

    /// Runs `paceline gate` in place of this program: across revisions with `--base`, otherwise on the two variants of
    /// this program's cells.
    fn gate(&self, arguments: &[String]) -> ExitCode {
        let across = arguments.iter().any(|word| word == "--base" || word.starts_with("--base="));
        if !across && !self.cells.iter().any(CustomCell::has_head) {
            eprintln!(
                "error: no cell has two variants to compare; add one with CustomCell::against, or compare revisions with --base REV"
            );
            return ExitCode::from(USAGE);
        }
        let allowed = std::env::var_os("PACELINE_ALLOW_DEBUG").is_some_and(|value| value == "1");
        if cfg!(debug_assertions) && !across && !allowed {
            eprintln!(
                "error: this is a debug build, whose figures mean nothing: use `cargo bench`, or `cargo run --release`"
            );
            return ExitCode::from(USAGE);
        }
        let program = std::env::var_os(PACELINE).map_or_else(|| "paceline".into(), PathBuf::from);
        let mut command = Command::new(&program);
        command.arg("gate").args(arguments);
        if !across {
            match std::env::current_exe() {
                Ok(this) => command.arg("--variants-of").arg(this),
                Err(error) => {
                    eprintln!("error: the system does not say where this program is: {error}");
                    return ExitCode::FAILURE;
                }
            };
        }
        // Replaces this process, so that Ctrl-C and the exit code are the gate's.
        let error = command.exec();
        eprintln!(
            "error: cannot start {}: {error}; install paceline with `cargo install --path . --locked` in its folder, or set \
             {PACELINE} to its path",
            program.display()
        );
        ExitCode::from(USAGE)
    }
}

/// Lets a write beyond the limit on the size of files fail with an error: SIGXFSZ would end the program without a word.
fn survive_file_limit() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // If the system refuses, the signal stays as it was.
    let _ = signals.thread_block();
}

fn variants(cell: &CustomCell) -> impl Iterator<Item = Variant> {
    [Variant::Base, Variant::Head].into_iter().take(if cell.has_head() { 2 } else { 1 })
}

/// Returns the cell's name, followed by the variant's if there are two.
fn shown(cell: &CustomCell, variant: Variant) -> String {
    if cell.has_head() {
        format!("{} ({})", cell.name(), variant.name())
    } else {
        cell.name().to_owned()
    }
}
