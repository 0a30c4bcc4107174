//! Models in other languages, implemented by programs that follow `docs/protocol.md`: how each program is found and
//! whether it runs here. Their batches are in `host`.

pub(super) mod go;
mod link;
mod message;
pub(super) mod node;
pub(super) mod python;

pub use link::Link;
pub(crate) use link::{replies, shown};
pub use message::{Hello, ListenAddress, Reply, Request, TimedBatch, Watched};

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The version of the protocol.
pub const PROTOCOL: u32 = 3;
/// How long an interpreter may take to report what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// A language whose models run out of process.
#[derive(Debug)]
pub struct Foreign {
    /// The name, for errors.
    pub language: &'static str,
    /// The environment variable that selects the program to start.
    pub variable: &'static str,
    /// The programs to try if the variable is unset, in this order.
    pub programs: &'static [&'static str],
    /// What to do if no program is found: part of a sentence.
    pub install: &'static str,
    /// Returns the command that starts `program` as the interpreter of this model.
    pub command: fn(program: &OsStr, model: &str) -> io::Result<Command>,
}

/// What an interpreter reported about itself, or why there is none.
#[derive(Clone, Debug)]
pub struct Found {
    /// The version of the language, if known.
    pub version: Option<String>,
    /// Its abilities, or why it cannot run here.
    pub hello: Result<Hello, String>,
}

/// By model name. Each interpreter is asked once per process.
static FOUND: Mutex<BTreeMap<String, Found>> = Mutex::new(BTreeMap::new());

/// By environment variable: the programs that wrappers start. Only the first model of a language waits for the wrapper.
static KNOWN: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());

impl Foreign {
    /// Returns what is known about `model` here. The first call for a model starts its interpreter, and takes at most
    /// 10 s.
    ///
    /// The time of a round of `compute` is the shortest that the program has measured so far, as any model: one that
    /// starts while the machine is slow measures twice as long, and all of its tries are over in milliseconds.
    pub fn found(&self, model: &str) -> Found {
        let mut all = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = all.entry(model.to_owned()).or_insert_with(|| self.look(model)).clone();
        if let Ok(hello) = &mut own.hello {
            let others = all.values().filter_map(|found| found.hello.as_ref().ok());
            hello.compute_ns = shortest(hello, others);
        }
        own
    }

    /// Returns the environment variable and the program with which a host starts the interpreter of `model` directly,
    /// without a wrapper. `None` if the interpreter has not been found or did not report its program.
    pub fn program(&self, model: &str) -> Option<(&'static str, PathBuf)> {
        let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let hello = found.get(model)?.hello.as_ref().ok()?;
        Some((self.variable, hello.program.clone()?))
    }

    /// Checks that `model` can run here; this is `ModelInfo::available` for models of this language.
    ///
    /// # Errors
    ///
    /// Returns a sentence with the reason and what to install.
    pub fn available(&self, model: &str) -> Result<(), String> {
        self.found(model).hello.map(drop)
    }

    /// Starts the interpreter of `model` and receives its description. With `own_group` it gets its own process group,
    /// which ends with the link; otherwise it joins the group of this process.
    ///
    /// # Errors
    ///
    /// Returns why it cannot run here, and the version of the language if it reports one.
    pub fn start(
        &self,
        model: &str,
        own_group: bool,
        patience: Option<Duration>,
    ) -> Result<(Link, Hello), (Option<String>, String)> {
        let mut link = self.open(model, own_group).map_err(|why| (None, why))?;
        let said = link.receive(patience);
        match said.map_err(|why| (None, format!("{model}: {why}")))? {
            Reply::Unavailable { reason, version } => Err((version, reason)),
            Reply::Hello(hello) if hello.protocol != PROTOCOL => Err((
                Some(hello.version),
                format!(
                    "the interpreter of {model} speaks version {} of the protocol, and this is {PROTOCOL}: take one \
                     of the same release",
                    hello.protocol
                ),
            )),
            Reply::Hello(hello) if hello.model != model => Err((
                Some(hello.version),
                format!("the interpreter was asked to be {model}, and says it is {}", hello.model),
            )),
            Reply::Hello(hello) if !(hello.compute_ns > 0.0 && hello.compute_ns < 1e9) => Err((
                Some(hello.version),
                format!(
                    "the interpreter of {model} says a round of compute takes {} ns",
                    hello.compute_ns
                ),
            )),
            Reply::Hello(hello) => Ok((link, hello)),
            other => Err((None, format!("{model} began with {other:?} in place of hello"))),
        }
    }

    fn look(&self, model: &str) -> Found {
        match self.start(model, true, Some(PATIENCE)) {
            Ok((_, hello)) => {
                if let Some(program) = hello.program.clone() {
                    KNOWN
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(self.variable, program);
                }
                Found { version: Some(hello.version.clone()), hello: Ok(hello) }
            }
            Err((version, why)) => Found { version, hello: Err(why) },
        }
    }

    fn open(&self, model: &str, own_group: bool) -> Result<Link, String> {
        let Foreign { language, variable, programs, install, .. } = self;
        let unset = super::find(model).map_or(&[][..], |entry| entry.info.unset);
        let try_one = |program: &OsStr| {
            let mut command = (self.command)(program, model)?;
            for name in unset {
                command.env_remove(name);
            }
            Link::open(command, own_group)
        };
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(variable).cloned();
        // A program that no longer exists is searched for again.
        if let Some(Ok(link)) = known.map(|program| try_one(program.as_os_str())) {
            return Ok(link);
        }
        if let Some(program) = named(variable) {
            return try_one(&program).map_err(|error| {
                let program = program.display();
                format!("{variable} names {program}, which cannot be started: {error}")
            });
        }
        for program in *programs {
            match try_one(OsStr::new(program)) {
                Ok(link) => return Ok(link),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("cannot start {program}: {error}")),
            }
        }
        let programs = programs.join(" or ");
        Err(format!(
            "there is no {language} here ({programs}): {install}, or name one by {variable}"
        ))
    }
}

/// Returns the shortest round of `compute`, in nanoseconds, of `own` and those of the others that are the same program.
fn shortest<'h>(own: &Hello, others: impl Iterator<Item = &'h Hello>) -> f64 {
    let same = |other: &&Hello| (&other.language, &other.program) == (&own.language, &own.program);
    others.filter(same).map(|other| other.compute_ns).fold(own.compute_ns, f64::min)
}

fn named(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|program| !program.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_of_compute_is_the_shortest_that_the_same_program_has_measured() {
        let known = |model: &str, language: &str, program: &str, compute_ns: f64| {
            let hello = Hello {
                protocol: PROTOCOL,
                model: model.into(),
                language: language.into(),
                version: String::new(),
                steps: vec![],
                compute_ns,
                parallel: false,
                probes: vec![],
                program: Some(program.into()),
            };
            let mut all = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(model.into(), Found { version: None, hello: Ok(hello) });
        };
        known("slow", "Tested", "tested3", 924.0);
        known("fast", "Tested", "tested3", 555.0);
        known("of another language", "Other", "tested3", 1.0);
        known("of another program", "Tested", "other", 2.0);
        let language = super::super::find("asyncio").unwrap().info.foreign.unwrap();
        for model in ["slow", "fast"] {
            let found = language.found(model).hello.unwrap();
            assert_eq!((found.model.as_str(), found.compute_ns.round()), (model, 555.0));
        }
    }
}
