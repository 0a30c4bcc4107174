//! Defines experiments, with the list of them. A new claim is a constant in a file beside this one, and its line here.

use super::{
    Kind, connections, cpu, ending, looping, making, runner::ClaimRunner, simple, waiting,
};
use crate::{
    machine::cores,
    record::{ClaimFigure, ClaimVerdict},
    session::state_of,
    stats::FEWEST_TRIALS,
};
use paceline_core::{
    histogram::Distribution, job::did_you_mean, models::ModelInfo, perform::Probed,
    process::HostError,
};

/// Every claim, in the order of the tutorial.
pub static EXPERIMENTS: &[Experiment] = &[
    making::INERT,
    waiting::SUSPENDS,
    waiting::SLEEPS,
    waiting::ORDER,
    making::CREATED,
    looping::COOPERATIVE,
    looping::FREEZES,
    looping::BRIDGE,
    ending::CANCEL,
    ending::GROUP,
    cpu::CPU,
    connections::CONNECTIONS,
    simple::SIMPLE,
];

/// The models of slow experiments: the nine of `cargo bench`, and those whose kind is not among them.
pub const OF_EACH_KIND: [&str; 13] = [
    "sequential",
    "threads",
    "pool",
    "rayon",
    "tokio",
    "smol",
    "async-std",
    "compio",
    "asyncio",
    "python-threads",
    "python-processes",
    "node",
    "go",
];

/// A claim and its experiment.
pub struct Experiment {
    /// Its name.
    pub name: &'static str,
    /// The claim, in one sentence.
    pub sentence: &'static str,
    /// The method, in one sentence.
    pub method: &'static str,
    /// Whether it takes so long that, unless claims or models are named, it runs on [`OF_EACH_KIND`] alone.
    pub slow: bool,
    /// The worker counts for models with adjustable workers; `None` is one for each of this machine's cores.
    pub(super) workers: &'static [Option<usize>],
    /// Measures it once. Ends early if the claim does not apply to a model.
    pub(super) measure: fn(&mut ClaimRunner<'_>) -> Result<Vec<Sample>, NoFigures>,
    /// Returns the verdict on the figures of all repetitions.
    pub(super) judge: fn(&Evidence<'_>) -> Judged,
}

impl Experiment {
    /// Returns the worker counts to test a model with; none if it is left out, unless `everywhere`.
    pub(super) fn workers_of(&self, about: &ModelInfo, everywhere: bool) -> Vec<Option<usize>> {
        if self.slow && !everywhere && !OF_EACH_KIND.contains(&about.name) {
            return vec![];
        }
        let mut wanted: Vec<usize> = self.workers.iter().map(|n| n.unwrap_or_else(cores)).collect();
        wanted.dedup();
        about.workers(&wanted)
    }
}

/// Returns the claim called `name`.
///
/// # Errors
///
/// Returns a sentence that suggests a close name or lists all.
pub fn find(name: &str) -> Result<&'static Experiment, String> {
    let names = || EXPERIMENTS.iter().map(|experiment| experiment.name);
    EXPERIMENTS.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let (hint, all) = (did_you_mean(name, names()), names().collect::<Vec<_>>().join(", "));
        format!("no claim is called `{name}`: {hint}the claims are {all}")
    })
}

/// A figure of one process.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) ideal: Option<f64>,
    pub(super) value: f64,
}

impl Sample {
    pub(super) fn new(name: &'static str, unit: &'static str, value: f64) -> Self {
        Sample { name, unit, ideal: None, value }
    }

    /// Sets its value if the claim were exactly true.
    pub(super) fn ideally(self, ideal: f64) -> Self {
        Sample { ideal: Some(ideal), ..self }
    }
}

/// The reason why an experiment gave no figures.
#[derive(Debug)]
pub(super) enum NoFigures {
    /// The verdict to report instead, and the reason.
    As(ClaimVerdict, String),
    /// The run was interrupted.
    Interrupted,
}

impl From<HostError> for NoFigures {
    fn from(error: HostError) -> Self {
        use crate::record::State;
        match (&error, state_of(&error)) {
            (HostError::Interrupted, _) => NoFigures::Interrupted,
            (_, State::Invalid) => NoFigures::As(ClaimVerdict::Invalid, error.to_string()),
            _ => NoFigures::As(ClaimVerdict::Failed, error.to_string()),
        }
    }
}

/// Returns the error for an answer that belongs to another probe.
pub(super) fn unexpected(seen: Probed) -> NoFigures {
    NoFigures::As(ClaimVerdict::Failed, format!("the host answered another question: {seen:?}"))
}

/// A verdict and its reason.
pub(super) type Judged = (ClaimVerdict, Option<String>);

/// The input of a verdict on a model.
pub(super) struct Evidence<'a> {
    /// The model's name.
    pub(super) model: &'a str,
    pub(super) kind: Kind,
    /// The number of workers that run jobs; `None` for a thread per job.
    pub(super) runners: Option<usize>,
    /// Whether its threads share a global lock, so that only one computes at a time.
    pub(super) one_lock: bool,
    pub(super) figures: &'a [ClaimFigure],
}

impl Evidence<'_> {
    /// Returns whether the whole interval of the figure called `name` is between `least` and `most`; `None` if only a
    /// part is, if there is no such figure, or if it has too few processes for an interval.
    pub(super) fn within(&self, name: &str, least: f64, most: f64) -> Option<bool> {
        let figure = self.figures.iter().find(|figure| figure.name == name)?;
        if figure.values.len() < FEWEST_TRIALS {
            return None;
        }
        if figure.lower >= least && figure.upper <= most {
            return Some(true);
        }
        (figure.upper < least || figure.lower > most).then_some(false)
    }

    /// Returns whether the figure is at most `most`.
    pub(super) fn at_most(&self, name: &str, most: f64) -> Option<bool> {
        self.within(name, f64::NEG_INFINITY, most)
    }

    /// Returns whether the figure is at least `least`.
    pub(super) fn at_least(&self, name: &str, least: f64) -> Option<bool> {
        self.within(name, least, f64::INFINITY)
    }
}

/// Returns the verdict if each of `parts` must hold: a false one contradicts the claim, an undecided one leaves it
/// open. `why` says what a contradicting model does instead.
pub(super) fn all(parts: &[Option<bool>], why: &str) -> Judged {
    if parts.contains(&Some(false)) {
        (ClaimVerdict::Contradicted, Some(why.into()))
    } else if parts.contains(&None) {
        let open = "the figures allow both answers: repeat it on a quiet machine";
        (ClaimVerdict::Inconclusive, Some(open.into()))
    } else {
        (ClaimVerdict::Holds, None)
    }
}

/// Returns the distribution that a recorded batch must have.
pub(super) fn noted(distribution: Option<Distribution>) -> Result<Distribution, NoFigures> {
    let missing = || NoFigures::As(ClaimVerdict::Failed, "the host noted no times of jobs".into());
    distribution.ok_or_else(missing)
}

#[cfg(test)]
pub(super) fn made(kind: Kind, workers: usize, figures: &[(&str, [f64; 3])]) -> Judging {
    let made = |(name, [lower, value, upper]): &(&str, [f64; 3])| ClaimFigure {
        name: (*name).into(),
        unit: String::new(),
        value: *value,
        lower: *lower,
        upper: *upper,
        ideal: None,
        values: vec![*value; FEWEST_TRIALS],
    };
    Judging { kind, workers: Some(workers), figures: figures.iter().map(made).collect() }
}

/// Made-up figures to test judges with.
#[cfg(test)]
pub(super) struct Judging {
    kind: Kind,
    workers: Option<usize>,
    figures: Vec<ClaimFigure>,
}

#[cfg(test)]
impl Judging {
    pub(super) fn by(&self, experiment: &Experiment) -> ClaimVerdict {
        self.judged(experiment).0
    }

    /// Returns what the judge adds to its verdict.
    pub(super) fn remark_by(&self, experiment: &Experiment) -> Option<String> {
        self.judged(experiment).1
    }

    fn judged(&self, experiment: &Experiment) -> Judged {
        let Judging { kind, workers, figures } = self;
        (experiment.judge)(&Evidence {
            model: "made",
            kind: *kind,
            runners: *workers,
            one_lock: false,
            figures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::models::{Entry, MODELS};

    #[test]
    fn a_figure_whose_interval_crosses_the_bound_says_nothing() {
        let figures = made(Kind::Loop, 1, &[("a", [1.0, 1.1, 1.6])]);
        let figures = Evidence {
            model: "made",
            kind: Kind::Loop,
            runners: None,
            one_lock: false,
            figures: &figures.figures,
        };
        assert_eq!(figures.at_most("a", 1.5), None);
        assert_eq!(figures.at_most("a", 1.6), Some(true));
        assert_eq!(figures.at_most("a", 0.9), Some(false));
        assert_eq!(figures.at_least("a", 1.7), Some(false));
        assert_eq!(figures.at_least("b", 0.0), None);
        let of_two = [ClaimFigure::new("a", "", None, vec![1.0; 2])];
        assert_eq!(Evidence { figures: &of_two, ..figures }.at_most("a", 1.5), None);
        let verdict = |parts: &[Option<bool>]| all(parts, "so").0;
        assert_eq!(verdict(&[Some(true), Some(true)]), ClaimVerdict::Holds);
        assert_eq!(verdict(&[Some(true), None]), ClaimVerdict::Inconclusive);
        assert_eq!(verdict(&[None, Some(false)]), ClaimVerdict::Contradicted);
    }

    #[test]
    fn a_close_name_is_suggested_and_every_claim_says_what_and_how_in_a_sentence() {
        assert!(find("slepes").err().unwrap().contains("did you mean `sleeps`?"));
        for experiment in EXPERIMENTS {
            assert!(find(experiment.name).is_ok());
            for text in [experiment.sentence, experiment.method] {
                assert!(
                    text.ends_with('.') && !text.trim_end_matches('.').contains(". "),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn slow_experiments_leave_no_kind_out_and_no_model_for_whom_asks() {
        let (slow, quick): (Vec<&Experiment>, Vec<&Experiment>) =
            EXPERIMENTS.iter().partition(|experiment| experiment.slow);
        assert_eq!(
            slow.iter().map(|slow| slow.name).collect::<Vec<_>>(),
            ["cpu", "connections", "simple"]
        );
        let is_of = |info: &ModelInfo, everywhere| !slow[0].workers_of(info, everywhere).is_empty();
        let kind = |info: &ModelInfo| (Kind::of(info), info.foreign.map(|of| of.language));
        let of_each: Vec<&ModelInfo> =
            MODELS.iter().map(|entry| &entry.info).filter(|info| is_of(info, false)).collect();
        for Entry { info, .. } in MODELS {
            assert!(is_of(info, true), "{}", info.name);
            assert!(quick.iter().all(|quick| !quick.workers_of(info, false).is_empty()));
            // Coroutines of Rust are those of `may` alone, which is unreliable.
            let has_kind = of_each.iter().any(|of| kind(of) == kind(info)) || info.name == "may";
            assert!(has_kind || info.name == "python-sequential", "{}", info.name);
        }
    }
}
