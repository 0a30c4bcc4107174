//! The trial instrument: a fresh process for each trial of each cell, in an order shuffled by a recorded seed.

mod cell;
mod climb;
mod resume;
mod whole;

pub use resume::{Unfit, unfinished};
pub(crate) use whole::whole;

use std::{ops::Range, path::PathBuf, time::Duration};

use crate::{
    output::Progress,
    plan::{Choice, cells},
    record::{Cell, Record, Run, Writer},
    session::Session,
    start::{Settings, begin},
};
use cell::CellInProgress;
use paceline_core::{
    clock::now,
    interrupt::interrupted,
    job::{Workload, mix},
    models::Entry,
    process::Program,
};

/// The settings of a run.
pub struct Order {
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// The models.
    pub models: Vec<&'static Entry>,
    /// The selection of cells.
    pub choice: Choice,
    /// The passes: each has one process per cell.
    pub passes: Range<u32>,
    /// The time for the whole run.
    pub budget: Duration,
    /// The seed of the shuffle.
    pub seed: u64,
    /// Whether each host is pinned to CPUs of its own.
    pub pin: bool,
    /// Whether scales double until something breaks.
    pub to_the_limit: bool,
    /// The folder for records.
    pub results: PathBuf,
}

/// The result of a run.
pub struct Outcome {
    /// The metadata of the run.
    pub run: Run,
    /// The cells that ended, in the order of the plan.
    pub cells: Vec<Cell>,
    /// The folder of the record.
    pub folder: PathBuf,
    /// Whether it was interrupted before the last cell ended.
    pub interrupted: bool,
}

/// Runs the order, or the part that `unfinished` of an earlier run lacks. Trials and cells are written to the record as
/// they end.
pub fn run(
    order: &Order,
    program: Program,
    unfinished: Option<&Record>,
) -> Result<Outcome, String> {
    let start = now();
    let run = unfinished.map_or_else(|| head(order), |record| record.run.clone());
    let mut writer = match unfinished {
        Some(record) => Writer::resume(&record.folder)?,
        None => Writer::create(&order.results, &run)?,
    };
    let mut session = Session::start(program, &run.models)?;
    if order.pin {
        session.pin_hosts()?;
    }
    let left = || order.budget.saturating_sub(now() - start);
    let cells = if order.to_the_limit {
        climb::climb(order, &mut session, &mut writer, unfinished, &left)?
    } else {
        in_trials(order, &mut session, &mut writer, unfinished, &left)?
    };
    let folder = writer.folder().to_owned();
    Ok(Outcome { run, cells, folder, interrupted: interrupted() })
}

fn head(order: &Order) -> Run {
    let settings = Settings {
        instrument: "trials",
        budget: order.budget,
        seed: Some(order.seed),
        more: vec![
            ("trials", order.passes.len().into()),
            ("pin", order.pin.into()),
            ("to_the_limit", order.to_the_limit.into()),
        ],
    };
    let planned = cells(&order.workloads, &order.models, &order.choice).len();
    let planned = (!order.to_the_limit).then_some(planned);
    Run { planned, ..begin(&settings, &order.models, &order.workloads) }
}

/// Measures the trials of `order` that `unfinished` lacks, and returns the cells that ended.
pub(crate) fn in_trials(
    order: &Order,
    session: &mut Session,
    writer: &mut Writer,
    unfinished: Option<&Record>,
    left: &dyn Fn() -> Duration,
) -> Result<Vec<Cell>, String> {
    let planned = cells(&order.workloads, &order.models, &order.choice);
    let mut going: Vec<CellInProgress<'_>> = planned
        .iter()
        .map(|cell| CellInProgress::new(cell, order.passes.clone(), unfinished))
        .collect();
    for cell in &mut going {
        cell.refuse(session, order.budget, writer)?;
    }
    put_off(&mut going, session, left());
    let mut progress = Progress::start(trials_left(&going));
    for trial in order.passes.clone() {
        for index in shuffled(going.len(), order.seed.wrapping_add(u64::from(trial))) {
            if interrupted() {
                break;
            }
            let cell = &mut going[index];
            if cell.needs(trial) {
                progress.show(&cell.planned.label(), left());
                cell.trial(session, trial, left(), writer)?;
                put_off_if_slow(&mut going, index, session, left());
                progress.left(trials_left(&going));
            }
        }
    }
    // What is left of the budget is for those that were put off, the cheapest first.
    let take =
        |(index, cell): (usize, &mut CellInProgress<'_>)| Some((index, cell.put_off.take()?));
    let mut late: Vec<(usize, Duration)> = going.iter_mut().enumerate().filter_map(take).collect();
    late.sort_by_key(|(index, _)| going[*index].cost(session));
    for (index, share) in late {
        for trial in order.passes.clone().filter(|_| !interrupted()) {
            let cell = &mut going[index];
            if cell.needs(trial) && cell.cost_of_a_trial(session) > left() {
                cell.leave_out(session, (share, OVERDRAFT), writer)?;
            } else if cell.needs(trial) {
                progress.show(&cell.planned.label(), left());
                cell.trial(session, trial, left(), writer)?;
            }
            progress.left(trials_left(&going));
        }
    }
    progress.end();
    Ok(going.into_iter().filter_map(|cell| cell.ended).collect())
}

/// Returns the number of trials that are still needed now.
fn trials_left(going: &[CellInProgress<'_>]) -> u64 {
    going.iter().map(|cell| u64::from(cell.trials_left())).sum()
}

/// How many equal shares of the budget a cell may take.
const OVERDRAFT: u32 = 4;

/// Returns what is left of each cell costs, and all together.
fn costs(going: &[CellInProgress<'_>], session: &Session) -> (Vec<Duration>, Duration) {
    let costs: Vec<Duration> = going.iter().map(|cell| cell.cost(session)).collect();
    let sum = costs.iter().sum();
    (costs, sum)
}

/// If not all cells fit, puts off those that would use up the budget of the others, the longest first. Otherwise a few
/// slow cells, first in the shuffle, would decide which quick ones are measured.
fn put_off(going: &mut [CellInProgress<'_>], session: &Session, budget: Duration) {
    let (costs, mut sum) = costs(going, session);
    let mut order: Vec<usize> = (0..going.len()).filter(|index| !costs[*index].is_zero()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(costs[*index]));
    let mut ahead = u32::try_from(order.len()).unwrap_or(u32::MAX);
    for index in order {
        let share = budget / ahead;
        if sum <= budget || costs[index] <= share * OVERDRAFT {
            break;
        }
        going[index].put_off = Some(share);
        sum = sum.saturating_sub(costs[index]);
        ahead -= 1;
    }
}

/// Puts the cell at `index` off if not all cells fit, and its trials turn out to take much more than those of the others,
/// whose budget they would use up.
fn put_off_if_slow(
    going: &mut [CellInProgress<'_>],
    index: usize,
    session: &Session,
    left: Duration,
) {
    let ahead = going.iter().filter(|cell| cell.ended.is_none() && cell.put_off.is_none()).count();
    let Ok(ahead @ 1..) = u32::try_from(ahead) else { return };
    let (cost, share) = (going[index].cost(session), left / ahead);
    // To predict all cells takes a while, so it comes last.
    if cost <= share * OVERDRAFT {
        return;
    }
    let (_, sum) = costs(going, session);
    if sum > left && cost > sum / ahead * OVERDRAFT {
        going[index].put_off = Some(share);
    }
}

/// Returns 0 to `count` − 1 in an order determined by `seed` (Fisher and Yates).
pub(crate) fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for last in (1..count).rev() {
        state = mix(state);
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_another() {
        assert_eq!(shuffled(50, 1), shuffled(50, 1));
        assert_ne!(shuffled(50, 1), shuffled(50, 2));
        let mut order = shuffled(50, 3);
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
