//! Experiments in progress on one model: their samples so far, and the verdicts.

use std::time::Duration;

use super::{
    Kind, REPETITIONS,
    experiment::{Evidence, Experiment, NoFigures, Sample},
    runner::{ClaimRunner, Subject},
};
use crate::{
    output::long,
    record::{Claim, ClaimFigure, ClaimResult, ClaimVerdict},
};
use paceline_core::{clock::now, interrupt::interrupted, models::Entry};

/// With fewer repetitions there is no interval for a verdict.
const FEWEST: u32 = 3;

/// Returns every model with each worker count that any of `experiments` needs.
pub(super) fn subjects(
    experiments: &[&'static Experiment],
    models: &[&'static Entry],
    everywhere: bool,
) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for entry in models {
        let workers = |experiment: &&Experiment| experiment.workers_of(&entry.info, everywhere);
        let asked = experiments.iter().flat_map(workers);
        let mut workers: Vec<Option<usize>> = asked.collect();
        workers.sort_unstable();
        workers.dedup();
        subjects.extend(workers.into_iter().map(|workers| (*entry, workers)));
    }
    subjects
}

/// The experiments on one subject.
pub(super) struct ClaimsInProgress {
    entry: &'static Entry,
    workers: Option<usize>,
    tries: Vec<Repetitions>,
}

/// The repetitions of one experiment.
struct Repetitions {
    experiment: &'static Experiment,
    samples: Vec<Vec<Sample>>,
    /// The verdict without figures, and its reason, if there is one.
    ended: Option<(ClaimVerdict, String)>,
    /// Whether the budget had no room for another repetition.
    cut: bool,
    took: Duration,
    /// Additions to the verdict.
    notes: Vec<String>,
}

impl ClaimsInProgress {
    pub(super) fn new(
        subject: &Subject,
        experiments: &[&'static Experiment],
        everywhere: bool,
    ) -> Self {
        let (entry, workers) = *subject;
        let is_of = |experiment: &&&Experiment| {
            experiment.workers_of(&entry.info, everywhere).contains(&workers)
        };
        let of = experiments.iter().filter(is_of);
        let tries = |experiment: &&'static Experiment| Repetitions {
            experiment,
            samples: vec![],
            ended: None,
            cut: false,
            took: Duration::ZERO,
            notes: vec![],
        };
        ClaimsInProgress { entry, workers, tries: of.map(tries).collect() }
    }

    /// Returns the number of repetitions to run.
    pub(super) fn todo(&self) -> u64 {
        self.tries.iter().map(|tries| u64::from(tries.todo())).sum()
    }

    /// Repeats each experiment once in `runner`.
    pub(super) fn repeat(&mut self, runner: &mut ClaimRunner<'_>, show: &mut dyn FnMut(&str)) {
        for tries in self.tries.iter_mut().filter(|tries| tries.todo() > 0) {
            if interrupted() {
                return;
            }
            show(&format!("{} on {}", tries.experiment.name, self.entry.info.name));
            tries.repeat(runner);
        }
    }

    fn result(&self, tries: &Repetitions) -> ClaimResult {
        let figures = tries.figures();
        let kind = Kind::of(&self.entry.info);
        let repetitions = tries.samples.len() as u32;
        let about = &self.entry.info;
        let hello = about.foreign.and_then(|foreign| foreign.found(about.name).hello.ok());
        let seen = Evidence {
            model: about.name,
            kind,
            runners: kind.runners(about, self.workers),
            one_lock: hello.is_some_and(|hello| !hello.parallel),
            figures: &figures,
        };
        let (verdict, why) = tries
            .ended
            .clone()
            .map_or_else(|| tries.judge(&seen), |(verdict, why)| (verdict, Some(why)));
        let more = (!tries.notes.is_empty()).then(|| tries.notes.join("; "));
        let why = why.into_iter().chain(more).reduce(|why, more| format!("{why}; {more}"));
        let model = self.entry.info.name.into();
        ClaimResult { model, workers: self.workers, verdict, why, figures, repetitions }
    }
}

impl Repetitions {
    fn todo(&self) -> u32 {
        if self.ended.is_some() || self.cut {
            return 0;
        }
        REPETITIONS.saturating_sub(self.samples.len() as u32)
    }

    fn repeat(&mut self, runner: &mut ClaimRunner<'_>) {
        let (start, left) = (now(), runner.left());
        if left <= self.took {
            self.cut = true;
            return;
        }
        match (self.experiment.measure)(runner) {
            Ok(samples) => self.samples.push(samples),
            Err(NoFigures::Interrupted) => {}
            // Skipped last repetitions of a successful experiment do not count against it.
            Err(NoFigures::As(ClaimVerdict::Skipped, _)) if !self.samples.is_empty() => {
                self.cut = true;
            }
            Err(NoFigures::As(verdict, why)) => {
                runner.fresh();
                self.ended = Some((verdict, why));
            }
        }
        self.took = now() - start;
        self.notes.extend(runner.notes());
    }

    /// Returns the figures of the samples, in the order in which their names first appear.
    fn figures(&self) -> Vec<ClaimFigure> {
        let mut names: Vec<&Sample> = Vec::new();
        let all = || self.samples.iter().flatten();
        for sample in all() {
            if !names.iter().any(|known| known.name == sample.name) {
                names.push(sample);
            }
        }
        let figure = |first: &&Sample| {
            let values = all().filter(|sample| sample.name == first.name);
            let values = values.map(|sample| sample.value).collect();
            ClaimFigure::new(first.name, first.unit, first.ideal, values)
        };
        names.iter().map(figure).collect()
    }

    fn judge(&self, figures: &Evidence<'_>) -> (ClaimVerdict, Option<String>) {
        let done = self.samples.len() as u32;
        let why = if interrupted() { "it was interrupted" } else { "the budget was used up" };
        if done == 0 {
            return (ClaimVerdict::Skipped, Some(format!("{why} before this claim ran")));
        }
        if done < FEWEST {
            let took = long(self.took);
            return (
                ClaimVerdict::Inconclusive,
                Some(format!(
                    "{why} after {done} of {REPETITIONS} repetitions of {took}, and {FEWEST} are the fewest for an \
                     interval"
                )),
            );
        }
        let (verdict, judged) = (self.experiment.judge)(figures);
        if done == REPETITIONS {
            return (verdict, judged);
        }
        let cut = format!("{why} after {done} of {REPETITIONS} repetitions");
        (verdict, Some(judged.map_or(cut.clone(), |judged| format!("{judged}; {cut}"))))
    }
}

/// Returns the claims with their results.
pub(super) fn judged(
    experiments: &[&'static Experiment],
    going: &[ClaimsInProgress],
) -> Vec<Claim> {
    let claim = |experiment: &&'static Experiment| Claim {
        name: experiment.name.into(),
        sentence: experiment.sentence.into(),
        method: experiment.method.into(),
        results: going
            .iter()
            .flat_map(|going| going.tries.iter().map(move |tries| (going, tries)))
            .filter(|(_, tries)| tries.experiment.name == experiment.name)
            .map(|(going, tries)| going.result(tries))
            .collect(),
    };
    experiments.iter().map(claim).collect()
}
