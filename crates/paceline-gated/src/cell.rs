//! Cells: closures and commands, optionally with a second variant to compare with.

use std::{
    ffi::OsString,
    fmt,
    hint::black_box,
    io,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    clock::now,
    usage::{memory_of_children, memory_peak, reset_memory_peak, threads},
};

/// One of the two variants of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The reference; the only variant of a cell that is compared across two programs.
    #[default]
    Base,
    /// The variant that is judged.
    Head,
}

impl Variant {
    /// Returns the variant's name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Variant::Base => "base",
            Variant::Head => "head",
        }
    }
}

/// One call of the measured work.
type Call = Box<dyn FnMut() -> Result<(), String>>;
/// Prepares the work outside the timed section.
type Prepare = Box<dyn Fn() -> Invocation>;

/// A cell defined by a program: a closure or a command with a name.
pub struct CustomCell {
    name: String,
    listed: bool,
    base: Prepare,
    head: Option<Prepare>,
}

impl fmt::Debug for CustomCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomCell").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CustomCell {
    /// Creates a cell from a closure. `prepare` runs once per process and is not timed. The closure that it returns is
    /// called repeatedly. Its result goes through [`black_box`], so that the compiler cannot remove the work.
    pub fn closure<W, T>(name: impl Into<String>, prepare: impl Fn() -> W + 'static) -> Self
    where
        W: FnMut() -> T + 'static,
    {
        CustomCell { name: name.into(), listed: true, base: of_closure(prepare), head: None }
    }

    /// Creates a cell from a command. Each call starts a process and waits for its end; its standard streams are
    /// closed. A call fails if the command exits with a code other than 0.
    pub fn command<S: Into<OsString>>(
        name: impl Into<String>,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        CustomCell { name: name.into(), listed: true, base: of_command(command), head: None }
    }

    /// Adds a closure as the head variant: both variants are then in one program.
    #[must_use]
    pub fn against<W, T>(mut self, prepare: impl Fn() -> W + 'static) -> Self
    where
        W: FnMut() -> T + 'static,
    {
        self.head = Some(of_closure(prepare));
        self
    }

    /// Adds a command as the head variant.
    #[must_use]
    pub fn against_command<S: Into<OsString>>(
        mut self,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        self.head = Some(of_command(command));
        self
    }

    /// Hides the cell from lists. It is still measured if it is named.
    #[must_use]
    pub fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    /// Returns the name that tables and records show.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether lists show the cell.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// Returns whether the cell has a head variant.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Prepares one variant in this process.
    ///
    /// # Errors
    ///
    /// Returns an error if the cell has no such variant.
    pub(crate) fn prepare(&self, variant: Variant) -> Result<Invocation, String> {
        let prepare = match variant {
            Variant::Base => &self.base,
            Variant::Head => self
                .head
                .as_ref()
                .ok_or_else(|| format!("the cell `{}` has no head variant", self.name))?,
        };
        Ok(prepare())
    }
}

fn of_closure<W, T>(prepare: impl Fn() -> W + 'static) -> Prepare
where
    W: FnMut() -> T + 'static,
{
    Box::new(move || {
        let mut work = prepare();
        let call = move || {
            black_box(work());
            Ok(())
        };
        Invocation { call: Box::new(call), spawns: false }
    })
}

fn of_command<S: Into<OsString>>(command: impl IntoIterator<Item = S>) -> Prepare {
    let words: Vec<OsString> = command.into_iter().map(Into::into).collect();
    Box::new(move || {
        let words = words.clone();
        let call = move || {
            let [program, arguments @ ..] = &words[..] else {
                return Err("a command needs a program".into());
            };
            let shown = program.to_string_lossy();
            let mut command = Command::new(program);
            command
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            match command.status() {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("{shown}: {status}")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(format!("there is no program {shown}"))
                }
                Err(error) => Err(format!("cannot start {shown}: {error}")),
            }
        };
        Invocation { call: Box::new(call), spawns: true }
    })
}

/// One variant of a cell, prepared in this process.
pub(crate) struct Invocation {
    call: Call,
    /// Whether each call starts a process. Memory figures are then those of that process.
    spawns: bool,
}

/// The measurements of the first call.
pub(crate) struct FirstCall {
    /// The duration.
    pub(crate) elapsed: Duration,
    /// The number of threads of the process after the call.
    pub(crate) threads: Option<u64>,
    /// Resident memory before the call, in bytes; 0 for a command, whose process starts with none.
    pub(crate) rss_bytes: Option<u64>,
    /// The peak of resident memory during the call, in bytes.
    pub(crate) rss_bytes_max: Option<u64>,
}

impl Invocation {
    /// Returns the total time of `count` calls.
    pub(crate) fn time(&mut self, count: u64) -> Result<Duration, String> {
        let start = now();
        self.repeat(count)?;
        Ok(now() - start)
    }

    /// Makes `count` calls, without a clock.
    pub(crate) fn repeat(&mut self, count: u64) -> Result<(), String> {
        (0..count).try_for_each(|_| (self.call)())
    }

    /// Returns whether each call starts a process.
    pub(crate) fn spawns(&self) -> bool {
        self.spawns
    }

    /// Makes the first call, and returns its time and memory.
    pub(crate) fn first_call(&mut self) -> Result<FirstCall, String> {
        let rss_bytes = if self.spawns { Some(0) } else { reset_memory_peak() };
        let elapsed = self.time(1)?;
        let rss_bytes_max =
            if self.spawns { memory_of_children() } else { rss_bytes.and_then(|_| memory_peak()) };
        Ok(FirstCall { elapsed, threads: threads(), rss_bytes, rss_bytes_max })
    }

    /// Returns the time of each of `count` calls.
    pub(crate) fn time_each(&mut self, count: u64) -> Result<Vec<Duration>, String> {
        (0..count).map(|_| self.time(1)).collect()
    }
}
