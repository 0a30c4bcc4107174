//! Estimates the time of a gate from some processes on this machine, before its programs are built: a budget that is too
//! small is refused then, and not after minutes of building.

use std::time::Duration;

use super::{
    Order,
    in_progress::PLANNED,
    pace::{FEWEST, PILOT, PILOT_SLICES, SLICE},
    subject::{Arm, Subject},
    trial::SIDES,
};
use crate::{
    output::{counted, for_option, long},
    record::ModelRecord,
    session::Session,
    start::model_info,
};
use paceline_core::{
    clock::now,
    custom::Variant,
    job::mix,
    process::{HostError, Program},
};

/// The most cells of which a process is started.
const TRIED: usize = 12;
/// Processes of each. The fastest counts: a disturbance must not refuse a budget.
const TIMES: u32 = 2;
/// How much more than the estimate is suggested: the cells that were not tried may take longer.
const MORE: f64 = 1.2;

/// The part of a gate's settings that determines its least time.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The time for the whole gate, without building.
    pub budget: Duration,
    /// Whether the number of trials is fixed, so that only the pilot must fit into the budget.
    pub fixed: bool,
    /// Whether there are two looks.
    pub top_up: bool,
    /// Whether processes are pinned.
    pub pin: bool,
}

/// Returns why a budget cannot hold a verdict on these cells; `None` if it may. The programs
/// are not built yet, so some processes of `program` show how long one takes on this machine.
///
/// # Errors
///
/// Returns a sentence if the suite's server does not start.
pub fn too_short(
    wanted: Wanted,
    subjects: &[Subject<'_>],
    program: &Program,
    models: &[ModelRecord],
    patience: Duration,
) -> Result<Option<String>, String> {
    let tried = Tried::of(subjects, program, models, (wanted.pin, patience))?;
    Ok(tried.and_then(|tried| refused(wanted, &tried)))
}

/// Returns about how long a gate of equal programs takes whose numbers of trials and slices are fixed; `None` if no
/// cell can run.
///
/// # Errors
///
/// Returns a sentence if the suite's server does not start.
pub(super) fn time_of_fixed(order: &Order<'_>) -> Result<Option<Duration>, String> {
    let Order { subjects, program, models, pin, patience, .. } = order;
    let models: Vec<_> = models.iter().map(|entry| model_info(entry)).collect();
    let tried = Tried::of(subjects, program, &models, (*pin, *patience))?;
    let (trials, slices) = (order.trials.unwrap_or(0), order.slices.unwrap_or(PILOT_SLICES));
    Ok(tried.map(|tried| tried.time_of_fixed(trials, slices)))
}

/// What the processes of some cells showed.
#[derive(Clone, Copy, Debug)]
struct Tried {
    /// The number of cells that can run.
    cells: usize,
    /// The mean time of a process.
    process: Duration,
}

impl Tried {
    /// Measures some processes; `None` if none of the tried cells works.
    fn of(
        subjects: &[Subject<'_>],
        program: &Program,
        models: &[ModelRecord],
        (pin, patience): (bool, Duration),
    ) -> Result<Option<Self>, String> {
        let _turn = super::MeasuringLock::wait()?;
        let mut session = Session::start(program.clone(), models)?;
        if pin {
            session.pin_hosts()?;
        }
        let cells: Vec<&Subject<'_>> =
            subjects.iter().filter(|subject| subject.refusal(&session).is_none()).collect();
        let arm = Arm { program: program.clone(), variant: Variant::Base };
        let took: Vec<Duration> = tried(cells.len())
            .filter_map(|at| {
                let times = (0..TIMES).map(|_| process(cells[at], &arm, &session, patience).ok());
                times.flatten().min()
            })
            .collect();
        let process = took.iter().sum::<Duration>().checked_div(took.len() as u32);
        Ok(process.map(|process| Tried { cells: cells.len(), process }))
    }

    /// Returns the time of a trial of a cell, whose slices take `slice`. Each process also has a slice that does not
    /// count.
    fn trial(&self, slices: u32, slice: Duration) -> Duration {
        (self.process + slice * (slices + 1)) * SIDES.len() as u32
    }

    /// Returns the time to calibrate all cells and to run their trials.
    fn time_of_fixed(&self, trials: u32, slices: u32) -> Duration {
        // A cell is calibrated with a process of the base and one of the head.
        let calibrated = self.process * 2 + SLICE;
        (calibrated + self.trial(slices, SLICE) * trials) * self.cells as u32
    }
}

/// Returns the indices of the cells to try, of `cells` cells: one of each stretch, at random. Scales lie next to each
/// other: with a fixed step, all that are tried could be of the least.
fn tried(cells: usize) -> impl Iterator<Item = usize> {
    let step = cells.div_ceil(TRIED).max(1);
    let one = move |start: usize| {
        let stretch = step.min(cells - start);
        start + (mix(start as u64) % stretch as u64) as usize
    };
    (0..cells).step_by(step).map(one)
}

/// Returns the time of a process that prepares a cell, runs it twice and ends.
fn process(
    subject: &Subject<'_>,
    arm: &Arm,
    session: &Session,
    patience: Duration,
) -> Result<Duration, HostError> {
    let start = now();
    let mut host = subject.start(arm, session, patience)?;
    host.attest(patience)?;
    host.batches(1, patience)?;
    drop(host);
    Ok(now() - start)
}

/// Returns the sentence for a budget that is too small.
fn refused(wanted: Wanted, tried: &Tried) -> Option<String> {
    // A slice holds as many batches as fit, which fill at least half of it.
    let least = time(wanted, tried, SLICE / 2);
    if wanted.budget >= least {
        return None;
    }
    let enough = time(wanted, tried, SLICE).mul_f64(MORE / PLANNED);
    Some(format!(
        "the budget of {} is too small for a verdict on {}, which takes at least {}: give --budget {}, or name fewer cells",
        long(wanted.budget),
        counted(tried.cells, "cell"),
        long(least),
        for_option(enough)
    ))
}

/// Returns the time of the pilot and of the fewest trials of all cells.
fn time(wanted: Wanted, tried: &Tried, slice: Duration) -> Duration {
    let trials = match (wanted.fixed, wanted.top_up) {
        (true, _) => 0,
        (false, true) => 2 * FEWEST,
        (false, false) => FEWEST,
    };
    let pilot = tried.trial(PILOT_SLICES, slice) * PILOT;
    (pilot + tried.trial(1, slice) * trials) * tried.cells as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_all_scales_are_tried_and_no_more_than_a_dozen() {
        // Each model has four scales. With many numbers of models, a step of fixed length would always land on the same scale.
        for models in 6..60 {
            let tried: Vec<usize> = tried(4 * models).collect();
            assert!((6..=TRIED).contains(&tried.len()), "{tried:?}");
            let of = |scale: usize| tried.iter().filter(|at| *at % 4 == scale).count();
            assert!((0..4).all(|scale| of(scale) * 2 < tried.len() + 4), "{models}: {tried:?}");
        }
        assert!(tried(5).eq(0..5));
    }

    #[test]
    fn a_budget_is_refused_below_the_pilot_and_the_fewest_trials() {
        let tried = Tried { cells: 72, process: Duration::from_millis(85) };
        let refused = |wanted| refused(wanted, &tried);
        let wanted = |seconds| Wanted {
            budget: Duration::from_secs(seconds),
            fixed: false,
            top_up: false,
            pin: false,
        };
        // 72 cells · 3 sides · (6 · (85 + 5 · 3) + 5 · (85 + 2 · 3)) ms = 227.9 s.
        assert_eq!(refused(wanted(228)), None);
        let said = refused(wanted(227)).unwrap();
        assert!(said.starts_with("the budget of 3.78 min is too small for a verdict on 72 cells"));
        let suggested = said.split("--budget ").nth(1).unwrap().split(',').next().unwrap();
        let suggested = humantime::parse_duration(suggested).unwrap();
        assert!(refused(Wanted { budget: suggested, ..wanted(0) }).is_none());
        assert!(refused(Wanted { top_up: true, ..wanted(228) }).is_some());
        assert_eq!(refused(Wanted { fixed: true, ..wanted(130) }), None);
        assert!(refused(Wanted { fixed: true, ..wanted(129) }).is_some());
    }

    #[test]
    fn the_time_of_a_suite_follows_from_that_of_a_process_on_this_machine() {
        let of = |ms: u64| Tried { cells: 72, process: Duration::from_millis(ms) };
        // 72 cells · (2 · 100 + 6 + 12 trials · 3 sides · (100 + 3 · 6)) ms = 320.7 s.
        assert_eq!(of(100).time_of_fixed(12, 2), Duration::from_millis(320_688));
        let slower = of(300).time_of_fixed(12, 2);
        assert!(slower > of(100).time_of_fixed(12, 2) * 5 / 2, "{slower:?}");
    }
}
