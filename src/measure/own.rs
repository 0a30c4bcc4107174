//! Cells that a program brings of its own: closures and commands, each perhaps with another that it is compared with.

use std::{
    ffi::OsString,
    fmt,
    hint::black_box,
    io,
    process::{Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Attest, Fault, Histogram, Recorded,
    clock::{nanoseconds, now},
    round::thread_names,
    usage::{memory_of_children, memory_peak, reset_memory_peak},
};

/// Which of the two that a cell compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// What it is compared with; and the only one of a cell whose two sides are two programs.
    #[default]
    Base,
    /// What is judged.
    Head,
}

/// One call of what is measured.
type Call = Box<dyn FnMut() -> Result<(), String>>;
/// Makes ready, outside the clock, and returns what is called.
type Ready = Box<dyn Fn() -> Calls>;

/// A cell of a program's own.
pub struct Own {
    /// Its name: what tables and records call it.
    pub name: String,
    listed: bool,
    base: Ready,
    head: Option<Ready>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Own {
    /// A closure. `ready` makes what it works on, in the process that measures it and outside the clock; the closure that
    /// it returns is called again and again. What that returns is kept from being optimised away.
    pub fn closure<W, T>(name: impl Into<String>, ready: impl Fn() -> W + 'static) -> Self
    where
        W: FnMut() -> T + 'static,
    {
        Own { name: name.into(), listed: true, base: of_closure(ready), head: None }
    }

    /// A command, each call of it a process, from its start to its end. Its standard streams are closed. It fails where
    /// the command does.
    pub fn command<S: Into<OsString>>(
        name: impl Into<String>,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        Own { name: name.into(), listed: true, base: of_command(command), head: None }
    }

    /// Compares it with this closure, which is the head: then both are in one program.
    #[must_use]
    pub fn against<W, T>(mut self, ready: impl Fn() -> W + 'static) -> Self
    where
        W: FnMut() -> T + 'static,
    {
        self.head = Some(of_closure(ready));
        self
    }

    /// Compares it with this command, which is the head.
    #[must_use]
    pub fn against_command<S: Into<OsString>>(
        mut self,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        self.head = Some(of_command(command));
        self
    }

    /// A cell that is measured where it is named, and in no list.
    #[must_use]
    pub fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    /// Whether it is in lists.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Whether it has both halves.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Makes one half ready to be measured.
    pub(super) fn ready(&self, half: Half) -> Result<Calls, String> {
        let ready = match half {
            Half::Base => &self.base,
            Half::Head => {
                self.head.as_ref().ok_or_else(|| format!("{} has one half only", self.name))?
            }
        };
        Ok(ready())
    }
}

fn of_closure<W, T>(ready: impl Fn() -> W + 'static) -> Ready
where
    W: FnMut() -> T + 'static,
{
    Box::new(move || {
        let mut work = ready();
        let call = move || {
            black_box(work());
            Ok(())
        };
        Calls { call: Box::new(call), spawns: false }
    })
}

fn of_command<S: Into<OsString>>(command: impl IntoIterator<Item = S>) -> Ready {
    let words: Vec<OsString> = command.into_iter().map(Into::into).collect();
    Box::new(move || {
        let words = words.clone();
        let call = move || {
            let [program, arguments @ ..] = &words[..] else {
                return Err("a command without a word".into());
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
        Calls { call: Box::new(call), spawns: true }
    })
}

/// One half of such a cell, ready in this process.
pub(super) struct Calls {
    call: Call,
    /// Whether each call is a process: then memory is that of the process.
    spawns: bool,
}

impl Calls {
    /// The time of `count` calls together.
    pub(super) fn slice(&mut self, count: u64) -> Result<Duration, Fault> {
        let start = now();
        for _ in 0..count {
            (self.call)().map_err(Fault::Failed)?;
        }
        Ok(now() - start)
    }

    /// The first call, and the memory that it takes at its peak.
    pub(super) fn attest(&mut self) -> Result<Attest, Fault> {
        let rss_bytes = if self.spawns { Some(0) } else { reset_memory_peak() };
        let elapsed_ns = nanoseconds(self.slice(1)?);
        Ok(Attest {
            elapsed_ns,
            peak_in_flight: 1,
            job_threads: 1,
            process_threads: thread_names().map(|names| names.len() as u64),
            epolls: None,
            rings: None,
            completions: None,
            rss_bytes,
            rss_bytes_max: if self.spawns {
                memory_of_children()
            } else {
                rss_bytes.and_then(|_| memory_peak())
            },
            group_ended_ns_max: None,
            children_left: None,
        })
    }

    /// The time of each of `count` calls.
    pub(super) fn record(&mut self, count: u64) -> Result<Recorded, Fault> {
        let mut latency = Histogram::default();
        let mut total = Duration::ZERO;
        for _ in 0..count {
            let call = self.slice(1)?;
            latency.record(nanoseconds(call));
            total += call;
        }
        Ok(Recorded {
            latency: latency.distribution(),
            times_ns: vec![nanoseconds(total)],
            ..Recorded::default()
        })
    }
}
