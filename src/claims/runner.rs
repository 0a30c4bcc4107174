//! Runs experiments: holds a model's host, which is restarted after a fault or at an experiment's request.

use std::{collections::HashMap, time::Duration};

use super::{Kind, experiment::NoFigures};
use crate::{output::long, plan::Planned, record::ClaimVerdict, session::Session};
use paceline_core::{
    job::{Workload, bounds},
    models::{self, Entry, ModelInfo},
    perform::{Probe, Probed},
    prepared::{Attestation, Recorded},
    process::Host,
};

/// A model with a worker count.
pub(super) type Subject = (&'static Entry, Option<usize>);

/// A baseline model and its workers.
type Baseline = (&'static str, Option<usize>);

/// The simple programs of a language, as baselines.
#[derive(Clone, Copy)]
pub(super) struct Simple {
    /// One job after another.
    pub(super) sequential: Baseline,
    /// A pool of a few threads.
    pub(super) pool: Baseline,
}

/// The threads of a simple program.
const HANDFUL: usize = 8;

/// A workload without steps: probes only need a started model.
const NOTHING: &str = "name = \"nothing\"\njob = []";

impl Simple {
    /// Returns the simple programs of a model's language; `None` if it has none among the models.
    fn of(about: &ModelInfo) -> Option<Self> {
        let (sequential, pool) = match about.foreign.map(|foreign| foreign.language) {
            None => ("sequential", "pool"),
            Some("Python") => ("python-sequential", "python-threads"),
            Some(_) => return None,
        };
        Some(Simple { sequential: (sequential, Some(1)), pool: (pool, Some(HANDFUL)) })
    }
}

/// The time limit of a host for an answer that should take far less than a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// The times of the baseline programs, by model, workers, text and scale: each is measured once per repetition.
#[derive(Default)]
pub(super) struct BaselineTimes {
    repetition: u32,
    times: HashMap<(&'static str, Option<usize>, String, usize), Duration>,
}

/// A model in one repetition.
pub(super) struct ClaimRunner<'a> {
    session: &'a Session,
    bases: &'a mut BaselineTimes,
    left: &'a dyn Fn() -> Duration,
    subject: Subject,
    repetition: u32,
    host: Option<Host>,
    /// The capacity of this host's recorder, in jobs and sleeps of a batch.
    recorder: Option<(usize, u64)>,
    notes: Vec<String>,
    /// Whether to measure also what takes long and decides no verdict.
    pub(super) thorough: bool,
}

impl<'a> ClaimRunner<'a> {
    pub(super) fn new(
        session: &'a Session,
        bases: &'a mut BaselineTimes,
        left: &'a dyn Fn() -> Duration,
        subject: Subject,
        repetition: u32,
    ) -> Self {
        if bases.repetition != repetition {
            *bases = BaselineTimes { repetition, times: HashMap::new() };
        }
        ClaimRunner {
            session,
            bases,
            left,
            subject,
            repetition,
            host: None,
            recorder: None,
            notes: vec![],
            thorough: false,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(&self.subject.0.info)
    }

    pub(super) fn entry(&self) -> &'static Entry {
        self.subject.0
    }

    /// Returns its workers; `None` for a thread per job.
    pub(super) fn workers(&self) -> Option<usize> {
        self.subject.1
    }

    /// Returns the number of workers that run its jobs; `None` for a thread per job.
    pub(super) fn runners(&self) -> Option<usize> {
        self.kind().runners(&self.subject.0.info, self.subject.1)
    }

    /// Returns the simple programs of its language.
    pub(super) fn simple(&self) -> Option<Simple> {
        Simple::of(&self.subject.0.info)
    }

    /// Returns the baseline of its speed-up: the sequential program of its language, or itself with one worker.
    pub(super) fn alone(&self) -> Baseline {
        let info = &self.subject.0.info;
        self.simple().map_or_else(|| (info.name, info.workers(&[1])[0]), |simple| simple.sequential)
    }

    pub(super) fn left(&self) -> Duration {
        (self.left)()
    }

    /// Ends the host: the next measurement has a fresh process, as after a fault.
    pub(super) fn fresh(&mut self) {
        (self.host, self.recorder) = (None, None);
    }

    /// Adds a sentence to the verdict.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Returns the sentences since the last call.
    pub(super) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Returns how many rounds of `compute` take about `time` on this model.
    pub(super) fn rounds_of_compute(&mut self, time: Duration) -> Result<u64, NoFigures> {
        let took = self.time(SOME_COMPUTE, 1, 3)?;
        Ok(batches_within(time, took))
    }

    /// Returns how many rounds take about `time` on a baseline model.
    pub(super) fn rounds_of_compute_on(
        &mut self,
        base: Baseline,
        time: Duration,
    ) -> Result<u64, NoFigures> {
        let took = self.base(base, SOME_COMPUTE, 1, 3)?;
        Ok(batches_within(time, took))
    }

    /// Returns the least time of `batches` batches of `text` at `scale`: any disturbance makes a batch longer.
    pub(super) fn time(
        &mut self,
        text: &str,
        scale: usize,
        batches: u64,
    ) -> Result<Duration, NoFigures> {
        let (host, patience) = self.prepared(text, scale, batches as u32)?;
        let (times, _) = host.batches(batches, patience)?;
        Ok(times.into_iter().min().unwrap_or_default())
    }

    /// Returns what an instrumented batch showed of the model.
    pub(super) fn attest(&mut self, text: &str, scale: usize) -> Result<Attestation, NoFigures> {
        let (host, patience) = self.prepared(text, scale, 1)?;
        Ok(host.attest(patience)?)
    }

    /// Returns the times of the jobs of one batch.
    pub(super) fn record(&mut self, text: &str, scale: usize) -> Result<Recorded, NoFigures> {
        let sleeps = workload(text).demand().sleeps * scale as u64;
        let fits = |(jobs, room): (usize, u64)| scale <= jobs && sleeps <= room;
        if !self.recorder.is_some_and(fits) {
            self.fresh();
            self.recorder = Some((scale, sleeps));
        }
        let (host, patience) = self.prepared(text, scale, 1)?;
        Ok(host.record(1, patience)?)
    }

    /// Returns the answer of a probe of the model.
    pub(super) fn probe(&mut self, what: Probe) -> Result<Probed, NoFigures> {
        let info = &self.subject.0.info;
        // A missing interpreter is reported below.
        let hello = info.foreign.and_then(|foreign| foreign.found(info.name).hello.ok());
        if hello.is_some_and(|hello| !hello.probes.iter().any(|known| known == what.name())) {
            let why = format!("the interpreter of {} does not answer this probe", info.name);
            return Err(NoFigures::As(ClaimVerdict::Refused, why));
        }
        let (host, patience) = self.prepared(NOTHING, 1, 1)?;
        Ok(host.probe(what, patience)?)
    }

    /// Returns the [`time`](Self::time) of a baseline model, in a host of its own.
    pub(super) fn base(
        &mut self,
        (model, workers): Baseline,
        text: &str,
        scale: usize,
        batches: u64,
    ) -> Result<Duration, NoFigures> {
        let key = (model, workers, text.to_owned(), scale);
        if let Some(time) = self.bases.times.get(&key) {
            return Ok(*time);
        }
        let failed = |why: String| NoFigures::As(ClaimVerdict::Failed, why);
        let entry = models::find(model).map_err(failed)?;
        let ClaimRunner { session, bases, left, repetition, .. } = self;
        let mut runner = ClaimRunner::new(session, bases, left, (entry, workers), *repetition);
        let time = runner.time(text, scale, batches).map_err(|ended| match ended {
            NoFigures::As(verdict, why) => {
                NoFigures::As(verdict, format!("{model}, which it is compared with: {why}"))
            }
            NoFigures::Interrupted => NoFigures::Interrupted,
        })?;
        self.bases.times.insert(key, time);
        Ok(time)
    }

    /// Returns the host with `text` prepared, and the time limit. Refuses and skips before anything starts.
    fn prepared(
        &mut self,
        text: &str,
        scale: usize,
        batches: u32,
    ) -> Result<(&mut Host, Duration), NoFigures> {
        let workload = workload(text);
        let (entry, workers) = self.subject;
        let placement = entry.info.placements[0];
        let cell = Planned { workload: &workload, entry, workers, placement, scale };
        if let Some(why) = self.session.refusal(&cell) {
            return Err(NoFigures::As(ClaimVerdict::Refused, why));
        }
        let (left, bound) =
            (self.left(), cell.bound(self.session.compute_ns).saturating_mul(batches));
        if left <= bound {
            let why = format!(
                "it takes at least {}, and {} of the budget were left",
                long(bound),
                long(left)
            );
            return Err(NoFigures::As(ClaimVerdict::Skipped, why));
        }
        let host = match &mut self.host {
            Some(host) => host,
            none => none.insert(self.session.host(&cell)?),
        };
        self.session.prepare(host, &cell, PATIENCE)?;
        Ok((host, PATIENCE))
    }
}

/// The workload that times compute.
const SOME_COMPUTE: &str = "name = \"compute\"\njob = [{ compute = 20_000 }]";

fn batches_within(time: Duration, took: Duration) -> u64 {
    let batches = 20_000.0 * time.as_secs_f64() / took.as_secs_f64().max(1e-9);
    (batches as u64).clamp(1, bounds::ROUNDS.most)
}

/// Parses the workload of an experiment.
///
/// # Panics
///
/// Panics if it does not parse: the text is beside the experiment, and tests run every experiment.
fn workload(text: &str) -> Workload {
    Workload::parse("claim.toml", text).unwrap_or_else(|error| panic!("{error}"))
}
