//! A cell under way: calibrated, piloted, and the rounds that count so far.

use std::time::Duration;

use super::{
    disturbed::Moment,
    pace::{self, Cost},
    round::{BASE, HEAD, Lost, Pace, figure, log_ratio, round},
    stage::Stage,
    subject::{Arm, Subject},
};
use crate::{
    job::mix,
    measure::{Host, HostError, interrupt::interrupted, now},
    record::{GateRound, GateRounds, Metric, Presence, Shown, State},
    report::long,
    session::Session,
};

/// Rounds that are lost one after another until a cell is given up; and those of the head alone until it is called
/// failed whatever the others show.
const DEATHS: u32 = 3;

/// What a round needs besides the cell.
pub(super) struct Surroundings<'a> {
    pub(super) stage: Stage,
    pub(super) arms: Vec<Arm>,
    pub(super) session: &'a mut Session,
    pub(super) rounds: &'a mut GateRounds,
    pub(super) seed: u64,
    /// How long a process may take for one answer.
    pub(super) patience: Duration,
}

/// A cell under way.
pub(super) struct Going<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) name: String,
    pub(super) presence: Presence,
    /// How it ended before it had its rounds.
    pub(super) ended: Option<(State, String)>,
    pub(super) pace: Pace,
    /// Whether latency is asked for.
    recorded: bool,
    /// What the sides showed in the pilot, whose figures are only used to plan.
    pilot: Vec<Vec<Shown>>,
    /// What the sides showed in the rounds that count.
    pub(super) rounds: Vec<Vec<Shown>>,
    /// Why other rounds do not count.
    pub(super) dropped: Vec<String>,
    /// What a round costs.
    pub(super) cost: Cost,
    /// A new cell's figure: time of a job, in nanoseconds.
    pub(super) alone: Option<f64>,
    /// Rounds that were lost because of a side, and why the first was.
    lost: [u32; 3],
    first_lost: Option<String>,
    deaths: u32,
    tried: u32,
}

impl<'a> Going<'a> {
    pub(super) fn new(subject: Subject<'a>, metrics: &[Metric], session: &Session) -> Self {
        let ended = subject.refusal(session).map(|why| (State::Refused, why));
        Going {
            name: subject.name(),
            presence: Presence::Both,
            ended,
            pace: Pace { slices: pace::PILOT_SLICES, iterations: 1, recorded: 0 },
            recorded: metrics.iter().any(|metric| matches!(metric, Metric::P50 | Metric::P99)),
            pilot: vec![],
            rounds: vec![],
            dropped: vec![],
            cost: Cost::default(),
            alone: None,
            lost: [0; 3],
            first_lost: None,
            deaths: 0,
            tried: 0,
            subject,
        }
    }

    /// Whether it can have rounds.
    pub(super) fn is_gated(&self) -> bool {
        self.ended.is_none() && self.presence == Presence::Both
    }

    /// Finds out which sides have it, and how many batches a slice holds: as many on all sides.
    pub(super) fn calibrate(&mut self, around: &Surroundings<'_>) {
        let begin =
            |side: usize| self.subject.start(&around.arms[side], around.session, around.patience);
        match (begin(BASE), begin(HEAD)) {
            (Err(HostError::Interrupted), _) | (_, Err(HostError::Interrupted)) => {}
            (Err(base), Err(head)) if base.to_string() == head.to_string() => {
                self.end(State::Failed, base.to_string());
            }
            (Err(base), Err(head)) => {
                self.end(State::Failed, format!("base: {base}; head: {head}"));
            }
            (Ok(_), Err(head)) if is_unknown(&head) => self.presence = Presence::Base,
            (Ok(_), Err(head)) => self.end(State::Failed, format!("head: {head}")),
            (Err(base), Ok(head)) if is_unknown(&base) => {
                self.presence = Presence::Head;
                self.count(head, HEAD, around.patience);
            }
            (Err(base), Ok(_)) => self.end(State::Failed, format!("base: {base}")),
            (Ok(base), Ok(_)) => self.count(base, BASE, around.patience),
        }
    }

    fn end(&mut self, state: State, why: String) {
        self.ended.get_or_insert((state, why));
    }

    /// How many batches fit into a slice.
    fn count(&mut self, mut host: Host, side: usize, patience: Duration) {
        let jobs = self.subject.jobs();
        let mut batches = 1_u64;
        let counted = host.attest(patience).and_then(|_| {
            loop {
                let (times, _) = host.rounds(batches, patience)?;
                let took: Duration = times.iter().sum();
                let each = took.as_secs_f64() / batches as f64;
                if took * 4 >= pace::SLICE || batches >= pace::MOST_ITERATIONS {
                    return Ok(each.max(1e-12));
                }
                batches = (batches * 4).min(pace::MOST_ITERATIONS);
            }
        });
        match counted {
            Ok(each) => {
                let fit = (pace::SLICE.as_secs_f64() / each) as u64;
                self.pace.iterations = fit.clamp(1, pace::MOST_ITERATIONS);
                if self.recorded {
                    let fit = (pace::RECORDED_SLICE.as_secs_f64() / each) as u64;
                    self.pace.recorded = pace::LATENCIES.div_ceil(jobs).min(fit).max(1);
                }
                self.alone = Some(each * 1e9 / jobs as f64);
            }
            Err(HostError::Interrupted) => {}
            Err(error) => {
                let lost = Lost { side, error };
                self.end(state_of(&lost), lost.to_string());
            }
        }
    }

    /// Whether it wants another round, to have `wanted` that count; what was dropped is made up for, up to half as many.
    pub(super) fn needs(&self, wanted: u32) -> bool {
        let most = wanted.saturating_add(wanted.div_ceil(2));
        self.is_gated() && self.rounds.len() < wanted as usize && self.tried < most
    }

    /// Runs a round of the pilot.
    pub(super) fn pilot(&mut self, around: &mut Surroundings<'_>) -> Result<(), String> {
        let start = now();
        if let Some(sides) = self.round(around, true)? {
            let slices = sides.iter().flat_map(|shown| &shown.slices_ns).sum::<u64>();
            self.cost.add(now() - start, Duration::from_nanos(slices) / self.pace.slices);
            self.pilot.push(sides);
        }
        Ok(())
    }

    /// Runs a round that counts unless it is dropped.
    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) -> Result<(), String> {
        self.tried += 1;
        if let Some(sides) = self.round(around, false)? {
            self.rounds.push(sides);
        }
        Ok(())
    }

    fn round(
        &mut self,
        around: &mut Surroundings<'_>,
        pilot: bool,
    ) -> Result<Option<Vec<Shown>>, String> {
        let number = if pilot { self.pilot.len() } else { self.rounds.len() + self.dropped.len() };
        let of_cell = self.name.bytes().fold(around.seed, |seed, byte| mix(seed ^ u64::from(byte)));
        let seed = mix(of_cell.wrapping_add(number as u64).wrapping_add(u64::from(pilot) << 32));
        let gone = |error: HostError| format!("the echo server: {error}");
        let before = around.session.mark(self.subject.connects()).map_err(gone)?;
        let start = Moment::now(before.server_cpu);
        let Surroundings { arms, session, patience, .. } = around;
        let outcome = round(&self.subject, arms, session, self.pace, seed, *patience);
        if interrupted() {
            return Ok(None);
        }
        let after = around.session.mark(false).map_err(gone)?;
        let disturbed = Moment::now(after.server_cpu).disturbed_since(&start);
        let overflow = around.session.since(&before).err().map(|error| error.to_string());
        let (sides, lost) = match outcome {
            Ok(sides) => (sides, None),
            Err(lost) => (vec![], Some(lost)),
        };
        let dropped = lost.as_ref().map(ToString::to_string).or(disturbed).or(overflow);
        around.rounds.write(&GateRound {
            cell: self.name.clone(),
            round: number as u32,
            pilot,
            jobs: self.subject.jobs(),
            iterations: self.pace.iterations,
            dropped: dropped.clone(),
            sides: sides.clone(),
        })?;
        if let Some(lost) = lost {
            self.lose(&lost);
        } else {
            self.deaths = 0;
        }
        match dropped {
            // A pilot is only used to plan: better a disturbed one than none.
            None => Ok(Some(sides)),
            Some(_) if pilot => Ok(Some(sides).filter(|sides| !sides.is_empty())),
            Some(why) => {
                self.dropped.push(why);
                Ok(None)
            }
        }
    }

    /// A process that died, hung or failed costs the round; several in a row end the cell, and so does one whose jobs
    /// were not what their definition says.
    fn lose(&mut self, lost: &Lost) {
        self.deaths += 1;
        self.lost[lost.side] += 1;
        self.first_lost.get_or_insert_with(|| lost.to_string());
        if lost.is_invalid() {
            self.end(State::Invalid, lost.to_string());
        } else if self.deaths >= DEATHS {
            self.end(State::Failed, format!("{DEATHS} rounds in a row: {lost}"));
        }
    }

    /// Why the head cannot be judged by the rounds that it survived, if so: it was lost several times, and the same
    /// number of processes of the base and of its copy never.
    pub(super) fn head_is_shaky(&self) -> Option<String> {
        let [base, head, copy] = self.lost;
        let why = self.first_lost.as_ref().filter(|_| head >= DEATHS && base + copy == 0)?;
        Some(format!(
            "{head} rounds were lost because of the head and none because of the base; {why}"
        ))
    }

    /// How much its figures vary, between the rounds and the slices of the pilot: of all metrics the worst. Neither
    /// says which side is faster.
    pub(super) fn spread(&self, metrics: &[Metric]) -> pace::Spread {
        pace::Spread::of(&self.pilot, metrics)
    }

    /// `ln(other / base)` of each round that has both.
    pub(super) fn log_ratios(&self, metric: Metric, other: usize) -> Vec<f64> {
        self.rounds.iter().filter_map(|r| log_ratio(metric, &r[BASE], &r[other])).collect()
    }

    /// A side's figure in each round that has one.
    pub(super) fn figures(&self, metric: Metric, side: usize) -> Vec<f64> {
        let (jobs, iterations) = (self.subject.jobs(), self.pace.iterations);
        self.rounds.iter().filter_map(|r| figure(metric, &r[side], jobs, iterations)).collect()
    }

    /// What a round of it takes.
    pub(super) fn round_time(&self) -> Duration {
        self.cost.round(self.pace.slices)
    }

    /// For progress.
    pub(super) fn label(&self) -> String {
        format!("{} (a round of {})", self.name, long(self.round_time()))
    }
}

/// Whether the side does not know the cell: it is another version's.
fn is_unknown(error: &HostError) -> bool {
    const WORDS: [&str; 5] = [
        "no model is called",
        "no cell is called",
        "unknown step `",
        "unknown key `",
        "not a request",
    ];
    let said = error.to_string();
    WORDS.iter().any(|words| said.contains(words))
}

fn state_of(lost: &Lost) -> State {
    if lost.is_invalid() { State::Invalid } else { State::Failed }
}
