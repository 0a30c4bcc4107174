//! The knee: the highest rate at which the 99th percentile of latency stays under a limit, found by a staircase.

use std::time::Duration;

use super::{LITTLE, MOST_RATE, Served, bench::Bench};
use crate::record::{Cell, Knee, KneeStep, State};
use paceline_core::{
    clock::nanoseconds,
    generator::{Drive, LATE, REFUSED, SATURATED, STATUS, UNSTEADY},
};

/// Two neighbouring steps this close are one.
const CLOSE: f64 = 1.08;
/// The most steps of a staircase: doublings of the first rate, or halvings, and halvings of the gap that is left.
pub(super) const MOST_STEPS: u32 = 24;

impl Bench<'_> {
    /// Climbs twofold until a rate gives way, then halves the gap; `None` where it was interrupted.
    pub(super) fn knee(&mut self, served: &Served<'_>, limit: Duration) -> Option<Cell> {
        let Drive::Open { rate: mut next, arrivals } = self.order.drive else {
            unreachable!("a knee is a rate's, and a closed loop has none")
        };
        let (mut best, mut broken): (Option<Cell>, Option<(f64, String)>) = (None, None);
        let (mut steps, mut failed) = (Vec::new(), None);
        let limit_ns = nanoseconds(limit);
        for _ in 0..MOST_STEPS {
            let cell = self.step(served, Drive::Open { rate: next, arrivals })?;
            // A server that answers wrongly, at whatever rate, has no figure; one that is gone ends the climb.
            let at_the_end = saturated(&cell) || is_gone(&cell);
            let wrong = cell.state == State::Refused || !may_be_the_rate(&cell);
            // One that fails has not kept the rate. Where none has been kept, only one that sheds load may keep a lower.
            let fails_at_once = cell.state == State::Failed && !sheds(&cell);
            if wrong || (at_the_end || fails_at_once) && best.is_none() {
                return Some(cell);
            }
            let gave_way = gave_way(&cell, limit_ns);
            steps.push(KneeStep {
                rate: next,
                latency_ns_p99: cell.latency_ns_p99.map(|p99| p99.value),
                gave_way: gave_way.clone(),
            });
            match gave_way {
                None => best = Some(cell),
                Some(why) => {
                    broken = Some((next, why));
                    failed = (cell.state == State::Failed).then_some(cell);
                }
            }
            if at_the_end {
                break;
            }
            let held = best.as_ref().and_then(|cell| cell.load.as_ref()?.rate);
            next = match (held, &broken) {
                (Some(held), None) if held >= MOST_RATE => break,
                (Some(held), None) => (held * 2.0).min(MOST_RATE),
                (Some(held), Some((broke, _))) if broke / held < CLOSE => break,
                (Some(held), Some((broke, _))) => (held * broke).sqrt(),
                // Not even the first: down, then.
                (None, Some((broke, _))) if *broke < 2.0 => break,
                (None, Some((broke, _))) => broke / 2.0,
                (None, None) => unreachable!("a step is kept or gives way"),
            };
        }
        let gave_way = broken.map(|(_, why)| why);
        let Some(mut best) = best else {
            if failed.is_some() {
                return failed;
            }
            let why = format!(
                "no rate down to {next:.1} per second keeps the 99th percentile within the limit: {}",
                gave_way.unwrap_or_default()
            );
            return Some(served.ended(State::Invalid, why, self.order.drive, self.order));
        };
        if let Some(load) = &mut best.load {
            load.knee = Some(Knee { limit_ns, steps, gave_way });
        }
        Some(best)
    }

    /// A step, tried again where the generator was kept from the CPU: on a shared machine that passes.
    pub(super) fn step(&mut self, served: &Served<'_>, drive: Drive) -> Option<Cell> {
        const TRIES: u32 = 3;
        let mut cell = self.cell(served, drive)?;
        for _ in 1..TRIES {
            if !saturated(&cell) {
                break;
            }
            cell = self.cell(served, drive)?;
        }
        Some(cell)
    }
}

/// Whether nobody listens any more.
fn is_gone(cell: &Cell) -> bool {
    cell.state == State::Failed && cell.reason.as_ref().is_some_and(|why| why.contains(REFUSED))
}

/// Whether the server said that it has too much to do, or failed at it: by status 429, or one of 500 and more.
fn sheds(cell: &Cell) -> bool {
    let why = cell.reason.as_deref().unwrap_or_default();
    let status =
        why.split_once(STATUS).and_then(|(_, rest)| rest.trim_start().get(..3)?.parse().ok());
    status.is_some_and(|status: u16| status == 429 || status >= 500)
}

/// Whether the generator gave way, and not the server.
fn saturated(cell: &Cell) -> bool {
    cell.reason.as_ref().is_some_and(|why| why.starts_with(SATURATED) || why.starts_with(LATE))
}

/// Whether a lower rate may do what this one did not.
fn may_be_the_rate(cell: &Cell) -> bool {
    let why = cell.reason.as_deref().unwrap_or_default();
    cell.state != State::Invalid
        || [SATURATED, LATE, UNSTEADY, LITTLE].iter().any(|of| why.starts_with(of))
}

/// Why the rate of `cell` is not kept, if so.
fn gave_way(cell: &Cell, limit_ns: u64) -> Option<String> {
    let (State::Ok, Some(latency)) = (cell.state, &cell.latency) else {
        return Some(cell.reason.clone().unwrap_or_default());
    };
    // Of too few requests for a percentile none may take longer.
    let (ns, what) = match cell.latency_ns_p99 {
        Some(p99) => (p99.value, "the 99th percentile".to_owned()),
        None => (latency.ns_max as f64, format!("the longest of {} latencies", latency.count)),
    };
    (ns > limit_ns as f64).then(|| format!("{what} is {:.2} ms", ns / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Estimate;
    use paceline_core::{histogram::Histogram, perform::Placement};

    #[test]
    fn of_too_few_requests_for_a_percentile_none_may_pass_the_limit() {
        let mut times = Histogram::default();
        (0..500).for_each(|_| times.record(1_000_000));
        times.record(9_000_000);
        let cell = Cell::new("serve", "tokio", 1, None, Placement::Inside, State::Ok);
        let few = Cell { latency: times.distribution(), ..cell };
        let why = gave_way(&few, 8_000_000).unwrap();
        assert!(why.starts_with("the longest of 501 latencies is 9.0"), "{why}");
        let many = Cell { latency_ns_p99: Estimate::of_trials(&[1e6], 1.0), ..few };
        assert_eq!(gave_way(&many, 8_000_000), None);
    }
}
