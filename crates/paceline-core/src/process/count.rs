//! Processes whose calls of a custom cell, or batches of jobs, are counted and not timed: their allocations, or their
//! instructions under valgrind.

use std::{
    fmt, fs, io,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{COUNT_BATCHES, Host, HostError, Program};
use crate::{custom::Variant, interrupt::interrupted, prepared::Fault, protocol::CellSpec};

/// The first argument of such a process: the cell's name, the variant and the number of calls follow.
const COUNT: &str = "__count";
/// The program that counts instructions.
const VALGRIND: &str = "valgrind";

/// Why there is no count.
#[derive(Debug)]
pub enum CountError {
    /// The cell or its program cannot be counted, with the reason.
    Uncountable(String),
    /// The process crashed or hung, or was interrupted.
    Host(HostError),
}

impl CountError {
    /// Takes a process that ended as hosts do that do not know its first argument for one of a paceline that does not
    /// count yet. A crash may look the same.
    #[must_use]
    pub fn or_of_old_version(self) -> Self {
        match self {
            CountError::Host(HostError::Died(how)) if how.starts_with("exit status: 2") => {
                not_a_count()
            }
            other => other,
        }
    }
}

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CountError::Uncountable(why) => f.write_str(why),
            CountError::Host(error) => error.fmt(f),
        }
    }
}

impl From<HostError> for CountError {
    fn from(error: HostError) -> Self {
        CountError::Host(error)
    }
}

/// Returns the version of valgrind, such as `valgrind-3.19.0`; `None` if it is not installed.
pub fn valgrind() -> Option<String> {
    let mut command = Command::new(VALGRIND);
    let output = command.arg("--version").stdin(Stdio::null()).output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && version.starts_with(VALGRIND)).then_some(version)
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Counted<'a> {
    /// Calls of a custom cell.
    Calls(&'a str, Variant),
    /// Batches of jobs.
    Batches(&'a CellSpec),
}

impl Counted<'_> {
    /// The first argument of the process.
    fn role(self) -> &'static str {
        match self {
            Counted::Calls(..) => COUNT,
            Counted::Batches(_) => COUNT_BATCHES,
        }
    }

    /// The arguments between the first and the number of calls or batches.
    fn words(self) -> Vec<String> {
        match self {
            Counted::Calls(name, variant) => vec![name.to_owned(), variant.name().to_owned()],
            Counted::Batches(cell) => vec![serde_json::to_string(cell).unwrap_or_default()],
        }
    }
}

impl Program {
    /// Returns the allocations of `times` calls or batches, after a first one. The program must be built with the
    /// feature `allocations` of `paceline-gated`.
    ///
    /// # Errors
    ///
    /// Returns an error if they cannot be counted, or the process crashes or does not end in time.
    pub fn allocations(
        &self,
        of: Counted<'_>,
        times: u64,
        patience: Duration,
    ) -> Result<u64, CountError> {
        let command = self.command(of.role()).map_err(|error| HostError::unstarted(&error))?;
        let counted = counted(command, of, times, patience)?;
        counted
            .ok_or_else(|| CountError::Uncountable("its build does not count allocations".into()))
    }

    /// Returns the instructions of a whole process that makes a first call or batch and `times` more, with those of the
    /// processes that it starts. valgrind writes its files to `folder`, which must be empty and, unless there is an
    /// error, is left empty.
    ///
    /// # Errors
    ///
    /// Returns an error if valgrind is missing, or the process crashes or does not end in time.
    pub fn instructions(
        &self,
        of: Counted<'_>,
        times: u64,
        folder: &Path,
        patience: Duration,
    ) -> Result<u64, CountError> {
        let mut valgrind = Command::new(VALGRIND);
        // Without its model of caches, cachegrind is the fastest of valgrind's tools that count.
        valgrind.args(["-q", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes"]);
        valgrind.arg(format!("--cachegrind-out-file={}/%p", folder.display())).arg(self.path());
        let command = self.command_under(valgrind, of.role());
        let command = command.map_err(|error| HostError::unstarted(&error))?;
        counted(command, of, times, patience)?;
        let total = instructions_in(folder).map_err(|error| {
            CountError::Uncountable(format!("valgrind's counts cannot be read: {error}"))
        })?;
        total.ok_or_else(|| CountError::Uncountable("valgrind wrote no counts".into()))
    }
}

/// Runs a process to its end. Returns the count that it answers with.
fn counted(
    mut command: Command,
    of: Counted<'_>,
    times: u64,
    patience: Duration,
) -> Result<Option<u64>, CountError> {
    // Of one length for every number, so that reading the arguments takes as many instructions.
    command.args(of.words()).arg(format!("{times:012}"));
    let mut host = Host::start(command).map_err(|error| HostError::unstarted(&error))?;
    let line = host.line_unless(patience, &interrupted)?;
    let counted = match line.split_once(' ').unwrap_or((&line, "")) {
        ("counted", "") => None,
        ("counted", count) => Some(count.parse().map_err(|_| not_a_count())?),
        ("uncountable", why) => return Err(CountError::Uncountable(why.into())),
        ("failed", why) => return Err(HostError::Fault(Fault::Failed(why.into())).into()),
        ("invalid", why) => return Err(HostError::Fault(Fault::Invalid(why.into())).into()),
        _ => return Err(not_a_count()),
    };
    // valgrind writes its counts as the process ends.
    match host.line_unless(patience, &interrupted) {
        Err(HostError::Died(_)) => Ok(counted),
        Err(error) => Err(error.into()),
        Ok(_) => Err(not_a_count()),
    }
}

fn not_a_count() -> CountError {
    let why = "its paceline is of a version that does not count yet: update it";
    CountError::Uncountable(why.into())
}

/// Adds up the counts of all processes in a folder, and removes their files. Returns `None` if there are none.
fn instructions_in(folder: &Path) -> io::Result<Option<u64>> {
    let mut total = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let summary = text.lines().rev().find_map(|line| line.strip_prefix("summary:"));
        let count = summary.and_then(|count| count.split_whitespace().next()?.parse::<u64>().ok());
        let count = count.ok_or_else(|| io::Error::other("a file has no summary"))?;
        total = Some(total.unwrap_or(0) + count);
        fs::remove_file(path)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_processes_are_added_up_and_a_torn_file_is_no_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(instructions_in(folder.path()).unwrap(), None);
        write("1", "events: Ir\nfn=main\n1 30\nsummary: 30\n");
        write("2", "events: Ir\nfn=main\n1 12\nsummary: 12 \n");
        assert_eq!(instructions_in(folder.path()).unwrap(), Some(42));
        assert_eq!(instructions_in(folder.path()).unwrap(), None, "the files are removed");
        write("3", "events: Ir\nfn=main\n1 1");
        assert!(instructions_in(folder.path()).is_err());
    }

    #[test]
    fn a_process_that_does_not_answer_with_a_count_is_told_apart_from_one_that_crashes() {
        let run = |script: &str| {
            let mut command = Command::new("sh");
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command.args(["-c", script]);
            counted(command, Counted::Calls("name", Variant::Base), 1, Duration::from_mins(1))
        };
        assert_eq!(run("echo counted").unwrap(), None);
        assert_eq!(run("echo counted 17").unwrap(), Some(17));
        let why = |script: &str| match run(script) {
            Err(CountError::Uncountable(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why("echo uncountable a reason"), "a reason");
        assert!(why("echo name ... ok").contains("update it"));
        assert!(why("echo counted; echo more").contains("update it"));
        let fault = run("echo failed a reason").unwrap_err();
        assert!(
            matches!(&fault, CountError::Host(HostError::Fault(Fault::Failed(why))) if why == "a reason")
        );
        assert!(matches!(run("exit 7"), Err(CountError::Host(HostError::Died(_)))));
        let may_be_old = |script: &str| run(script).unwrap_err().or_of_old_version().to_string();
        assert!(may_be_old("exit 2").contains("update it"));
        assert!(!may_be_old("exit 7").contains("update it"));
    }
}
