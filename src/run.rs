//! The instrument of rounds: a fresh process for every cell and round, in an order shuffled by a recorded seed.

use std::{path::PathBuf, time::Duration};

use crate::{
    job::{Workload, mix},
    measure::{HostError, Program, nanoseconds, now},
    models::Entry,
    plan::{Choice, Planned, cells},
    record::{Cell, Estimate, Run, State, Writer},
    report::{long, rounds_of},
    session::{Session, ended_by},
    start::{Settings, begin},
};

/// What to run.
pub struct Order {
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// The models.
    pub models: Vec<&'static Entry>,
    /// Which cells of them.
    pub choice: Choice,
    /// Processes for each cell.
    pub rounds: u32,
    /// The time for all.
    pub budget: Duration,
    /// What shuffles them.
    pub seed: u64,
    /// Where records go.
    pub results: PathBuf,
}

/// How long timed rounds of one process last together, at least, where a single one is shorter.
const SLICE: Duration = Duration::from_millis(50);
/// The most timed rounds of one process.
const MOST: u128 = 1000;

/// Runs it. Cells are written to the record as they end.
///
/// # Errors
///
/// Returns a sentence where nothing could be measured or recorded at all.
pub fn run(order: &Order, program: Program) -> Result<(Run, Vec<Cell>, PathBuf), String> {
    let start = now();
    let planned = cells(&order.workloads, &order.models, &order.choice);
    let settings = Settings {
        instrument: "rounds",
        budget: order.budget,
        seed: Some(order.seed),
        more: vec![("rounds", order.rounds.into())],
    };
    let run = begin(&settings, &order.models, &order.workloads);
    let mut writer = Writer::create(&order.results, &run)?;
    let mut session = Session::start(program, &run.models)?;
    let mut going: Vec<Going<'_>> =
        planned.iter().map(|cell| Going::new(cell, &session, order)).collect();
    let mut ended: Vec<Option<Cell>> = going.iter_mut().map(|going| going.ended.take()).collect();
    for cell in ended.iter().flatten() {
        writer.write(cell)?;
    }
    for round in 0..order.rounds {
        for index in shuffled(going.len(), order.seed.wrapping_add(u64::from(round))) {
            if ended[index].is_some() {
                continue;
            }
            let left = order.budget.saturating_sub(now() - start);
            let cell = going[index].round(&mut session, left, round + 1 == order.rounds);
            if let Some(cell) = cell {
                writer.write(&cell)?;
                ended[index] = Some(cell);
            }
        }
    }
    let cells = ended.into_iter().flatten().collect();
    Ok((run, cells, writer.folder().to_owned()))
}

/// A cell under way.
struct Going<'a> {
    planned: &'a Planned<'a>,
    ended: Option<Cell>,
    /// The median round of each process.
    medians: Vec<u64>,
    attest: Option<crate::measure::Attest>,
    cpu: Duration,
    server_cpu: Duration,
    jobs: f64,
}

impl<'a> Going<'a> {
    fn new(planned: &'a Planned<'a>, session: &Session, order: &Order) -> Self {
        let bound = planned.bound(session.compute_ns);
        let least = bound.saturating_mul(2 * order.rounds);
        let ended = match session.refusal(planned) {
            Some(why) => Some(planned.ended(State::Refused, why)),
            None if least > order.budget => Some(planned.ended(
                State::Skipped,
                format!(
                    "{} and as many to warm up take at least {}, and the budget is {}",
                    rounds_of(order.rounds, bound),
                    long(least),
                    long(order.budget)
                ),
            )),
            None => None,
        };
        Going {
            planned,
            ended,
            medians: vec![],
            attest: None,
            cpu: Duration::ZERO,
            server_cpu: Duration::ZERO,
            jobs: 0.0,
        }
    }

    /// Runs a round in a process of its own. Returns the cell where it has ended.
    fn round(&mut self, session: &mut Session, left: Duration, last: bool) -> Option<Cell> {
        let bound = self.planned.bound(session.compute_ns);
        if left < bound.saturating_mul(2) || left.is_zero() {
            if self.medians.is_empty() {
                let why = format!(
                    "the budget was used up before it; a round takes at least {}",
                    long(bound)
                );
                return Some(self.planned.ended(State::Skipped, why));
            }
            return Some(self.cell(session));
        }
        match self.measure(session, left + Duration::from_secs(5)) {
            Err(HostError::Silent(patience)) => {
                let why =
                    format!("a round did not end within the {} left of the budget", long(patience));
                Some(self.planned.ended(State::Skipped, why))
            }
            Err(error) => Some(ended_by(self.planned, &error)),
            Ok(()) => last.then(|| self.cell(session)),
        }
    }

    fn measure(&mut self, session: &mut Session, patience: Duration) -> Result<(), HostError> {
        let mut host = session.host(self.planned)?;
        let attest = session.warm_up(&mut host, self.planned, patience)?;
        let once = u128::from(attest.elapsed_ns.max(1));
        let count = (SLICE.as_nanos() / once).clamp(1, MOST) as u64;
        let before = session.mark()?;
        let (mut rounds, cpu) = host.rounds(count, patience)?;
        self.server_cpu += session.since(&before)?;
        rounds.sort_unstable();
        self.medians.push(nanoseconds(rounds[rounds.len() / 2]));
        self.jobs += count as f64 * self.planned.scale as f64;
        self.cpu += cpu;
        self.attest = Some(attest);
        Ok(())
    }

    fn cell(&self, session: &Session) -> Cell {
        let mut sorted = self.medians.clone();
        sorted.sort_unstable();
        let at = |index: usize| sorted[index] as f64;
        let middle = at((sorted.len() - 1) / 2).midpoint(at(sorted.len() / 2));
        let estimate = Estimate { value: middle, lower: at(0), upper: at(sorted.len() - 1) };
        let interval = format!("median, least and greatest of {} processes", sorted.len());
        let bound = self.planned.bound(session.compute_ns).as_secs_f64();
        Cell {
            rounds_ns: self.medians.clone(),
            attest: self.attest.clone(),
            bound_jobs_per_second: (bound > 0.0).then(|| self.planned.scale as f64 / bound),
            cpu_ns_per_job: Some(self.cpu.as_nanos() as f64 / self.jobs),
            server_cpu_ns_per_job: Some(self.server_cpu.as_nanos() as f64 / self.jobs),
            ..self.planned.measured(State::Ok, Some(estimate), interval)
        }
    }
}

/// 0 to `count` − 1 in an order that `seed` decides (Fisher and Yates).
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
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
