//! The knee: the highest rate at which the 99th percentile of latency stays under a limit, found by a staircase for each
//! server, in turns: what the machine does meanwhile, it does to all of them.

use std::time::Duration;

use super::{LITTLE, MOST_RATE, Served, bench::Bench, pair::turns};
use crate::output::{long_ns_f64, rate};
use crate::record::{Cell, Knee, KneeStep, State};
use paceline_core::{
    clock::nanoseconds,
    generator::{Drive, LATE, REFUSED, STATUS, UNSTEADY, is_the_generators},
};

/// Two neighbouring steps this close are one.
const CLOSE: f64 = 1.08;
/// The most steps of a staircase: doublings of the first rate, or halvings, and halvings of the gap that is left.
pub(super) const MOST_STEPS: u32 = 24;

/// The search for the knee of one server: it climbs twofold until a rate gives way, then halves the gap.
struct Search {
    limit_ns: u64,
    /// The rate of the next step; `None` once the search is over.
    next: Option<f64>,
    /// The last rate that was tried.
    last: f64,
    best: Option<Cell>,
    broken: Option<(f64, String)>,
    /// The last step, if it failed.
    failed: Option<Cell>,
    /// A cell that ends the search and is its result.
    end: Option<Cell>,
    steps: Vec<KneeStep>,
}

impl Search {
    fn from(rate: f64, limit: Duration) -> Self {
        Search {
            limit_ns: nanoseconds(limit),
            next: Some(rate),
            last: rate,
            best: None,
            broken: None,
            failed: None,
            end: None,
            steps: vec![],
        }
    }

    /// Takes the result of a step at `rate`, and finds the next rate.
    fn take(&mut self, rate: f64, cell: Cell) {
        self.last = rate;
        self.next = None;
        // A server that answers wrongly, at whatever rate, has no figure; one that is gone ends the climb.
        let at_the_end = is_gone(&cell) || saturated(&cell) && self.best.is_none();
        let wrong = cell.state == State::Refused || !may_be_the_rate(&cell);
        // One that fails has not kept the rate. Where none has been kept, only one that sheds load may keep a lower.
        let fails_at_once = cell.state == State::Failed && !sheds(&cell);
        if wrong || (at_the_end || fails_at_once) && self.best.is_none() {
            self.end = Some(cell);
            return;
        }
        let gave_way = gave_way(&cell, self.limit_ns);
        self.steps.push(KneeStep {
            rate,
            latency_ns_p99: cell.latency_ns_p99.map(|p99| p99.value),
            mostly_late: cell.latencies_of_the_generator().contains(&"p99"),
            gave_way: gave_way.clone(),
        });
        match gave_way {
            None => self.best = Some(cell),
            Some(why) => {
                self.broken = Some((rate, why));
                self.failed = (cell.state == State::Failed).then_some(cell);
            }
        }
        if !at_the_end && self.steps.len() < MOST_STEPS as usize {
            self.next = self.after();
        }
    }

    /// Returns the rate after the steps so far; `None` if the knee is found, or no rate is kept.
    fn after(&self) -> Option<f64> {
        match (self.kept(), &self.broken) {
            (Some(held), None) if held >= MOST_RATE => None,
            (Some(held), None) => Some((held * 2.0).min(MOST_RATE)),
            (Some(held), Some((broke, _))) if broke / held < CLOSE => None,
            (Some(held), Some((broke, _))) => Some((held * broke).sqrt()),
            // Not even the first: down, then.
            (None, Some((broke, _))) if *broke < 2.0 => None,
            (None, Some((broke, _))) => Some(broke / 2.0),
            (None, None) => unreachable!("a step is kept or gives way"),
        }
    }

    /// Returns the highest rate that was kept.
    fn kept(&self) -> Option<f64> {
        self.best.as_ref().and_then(|cell| cell.load.as_ref()?.rate)
    }

    /// Returns the cell of a search that is over, or why no rate was kept.
    fn found(self) -> Result<Cell, String> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let gave_way = self.broken.map(|(_, why)| why);
        let Some(mut best) = self.best else {
            return self.failed.ok_or_else(|| {
                format!(
                    "no rate down to {} per second keeps the 99th percentile within the limit: {}",
                    rate(self.last),
                    gave_way.unwrap_or_default()
                )
            });
        };
        if let Some(load) = &mut best.load {
            load.knee = Some(Knee { limit_ns: self.limit_ns, steps: self.steps, gave_way });
        }
        Ok(best)
    }

    /// Returns what an interrupted search knew.
    fn known(&self) -> String {
        let kept = self.kept().map(|kept| format!("{} requests per second were kept", rate(kept)));
        let broke = self.broken.as_ref().map(|(at, why)| format!("{} were not: {why}", rate(*at)));
        let known: Vec<String> = kept.into_iter().chain(broke).collect();
        format!("interrupted before the knee was found; {}", known.join(", and "))
    }
}

/// The searches of all servers, of which each takes a step in turn.
struct Searches {
    /// Those that are not over.
    open: Vec<Option<Search>>,
    seed: u64,
    step: u32,
    /// The servers whose turn in this step is to come, the next one last.
    queue: Vec<usize>,
}

impl Searches {
    /// Returns the server whose turn it is, and the rate to try; `None` if all searches are over.
    fn turn(&mut self) -> Option<(usize, f64)> {
        loop {
            while let Some(index) = self.queue.pop() {
                if let Some(rate) = self.open[index].as_ref().and_then(|search| search.next) {
                    return Some((index, rate));
                }
            }
            if self.open.iter().all(Option::is_none) {
                return None;
            }
            self.queue = turns(false, self.seed, self.open.len(), self.step);
            self.step += 1;
        }
    }

    /// Takes the result of a step, and returns the search if it is over.
    fn take(&mut self, index: usize, rate: f64, cell: Cell) -> Option<Search> {
        let search = self.open[index].as_mut()?;
        search.take(rate, cell);
        if search.next.is_none() { self.open[index].take() } else { None }
    }
}

impl Bench<'_> {
    /// Searches the knee of every server, a step of each in turn, in an order shuffled anew for each step. `end` is
    /// given the cell of a server as soon as its search is over; one that was interrupted has no figure.
    pub(super) fn knees(
        &mut self,
        servers: &[Served<'_>],
        limit: Duration,
        end: &mut dyn FnMut(usize, Cell) -> Result<(), String>,
    ) -> Result<(), String> {
        let Drive::Open { rate, arrivals } = self.order.drive else {
            unreachable!("a knee is a rate's, and a closed loop has none")
        };
        let search = || Some(Search::from(rate, limit));
        let mut searches = Searches {
            open: servers.iter().map(|_| search()).collect(),
            seed: self.order.seed,
            step: 0,
            queue: vec![],
        };
        while let Some((index, rate)) = searches.turn() {
            let served = &servers[index];
            let drive = Drive::Open { rate, arrivals };
            let Some(cell) = self.step(served, drive, nanoseconds(limit)) else {
                return self.interrupted(servers, &searches.open, end);
            };
            if let Some(search) = searches.take(index, rate, cell) {
                end(index, self.at_the_knee(served, search))?;
            }
        }
        Ok(())
    }

    /// Returns the cell of a server whose search is over, with its latency at the shares that were asked for.
    fn at_the_knee(&mut self, served: &Served<'_>, search: Search) -> Cell {
        let fault = |why| served.ended(State::Invalid, why, self.order.drive, self.order);
        let mut cell = search.found().unwrap_or_else(fault);
        if cell.load.as_ref().is_some_and(|load| load.knee.is_some()) {
            // The rate was searched: it bounds nothing.
            let rates = &cell.per_trial.jobs_per_second;
            cell.bound_jobs_per_second = self.bound(served, f64::INFINITY, rates);
        }
        self.at_shares(served, &mut cell);
        cell
    }

    /// Ends the searches that have begun and are not over.
    fn interrupted(
        &self,
        servers: &[Served<'_>],
        searches: &[Option<Search>],
        end: &mut dyn FnMut(usize, Cell) -> Result<(), String>,
    ) -> Result<(), String> {
        for (index, search) in searches.iter().enumerate() {
            if let Some(search) = search.as_ref().filter(|search| !search.steps.is_empty()) {
                let (drive, order) = (self.order.drive, self.order);
                end(index, servers[index].ended(State::Skipped, search.known(), drive, order))?;
            }
        }
        Ok(())
    }

    /// A step, tried again where the generator was kept from the CPU: on a shared machine that passes. If that is what
    /// passed the limit, the step has no figure.
    pub(super) fn step(
        &mut self,
        served: &Served<'_>,
        drive: Drive,
        limit_ns: u64,
    ) -> Option<Cell> {
        const TRIES: u32 = 3;
        let mut cell = self.cell(served, drive)?;
        for tries in 1.. {
            if let Some(why) = late_tail(&cell, limit_ns) {
                cell = served.ended(State::Invalid, why, drive, self.order);
            }
            if tries == TRIES || !saturated(&cell) {
                break;
            }
            cell = self.cell(served, drive)?;
        }
        Some(cell)
    }
}

/// Why the tail of `cell` says nothing of the server, if it is over the limit by the generator's own lateness.
fn late_tail(cell: &Cell, limit_ns: u64) -> Option<String> {
    let tail = if cell.latency_ns_p99.is_some() { "p99" } else { "max" };
    let is_late = cell.state == State::Ok && cell.latencies_of_the_generator().contains(&tail);
    let why = gave_way(cell, limit_ns).filter(|_| is_late)?;
    Some(format!("{LATE}: {why}, and over half of that is its own lateness"))
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
    cell.reason.as_deref().is_some_and(is_the_generators)
}

/// Whether a lower rate may do what this one did not.
fn may_be_the_rate(cell: &Cell) -> bool {
    let why = cell.reason.as_deref().unwrap_or_default();
    let too_fast = [UNSTEADY, LITTLE].iter().any(|of| why.starts_with(of));
    cell.state != State::Invalid || saturated(cell) || too_fast
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
    (ns > limit_ns as f64).then(|| format!("{what} is {}", long_ns_f64(ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Estimate, LoadFigures, Loop};
    use paceline_core::{generator::Arrivals, histogram::Histogram, perform::Placement};

    /// A step at `rate` of a server that can do `capacity`: beyond, its 99th percentile is 50 ms, and else 5 ms.
    fn step(rate: f64, capacity: f64) -> Cell {
        let p99 = if rate <= capacity { 5e6 } else { 50e6 };
        let mut times = Histogram::default();
        (0..2000).for_each(|_| times.record(p99 as u64));
        Cell {
            latency: times.distribution(),
            latency_ns_p99: Estimate::of_trials(&[p99], 1.0),
            load: Some(LoadFigures::new(Loop::Open, Some(rate), Some(Arrivals::Uniform), 1)),
            ..Cell::new("serve", "tokio", 1, None, Placement::Inside, State::Ok)
        }
    }

    #[test]
    fn a_staircase_ends_within_8_percent_below_what_a_server_can_do() {
        for capacity in [3.0, 99.0, 1000.0, 123_456.0] {
            let mut search = Search::from(100.0, Duration::from_millis(10));
            while let Some(rate) = search.next {
                search.take(rate, step(rate, capacity));
            }
            let cell = search.found().unwrap();
            let kept = cell.load.unwrap().rate.unwrap();
            assert!(kept <= capacity && kept * CLOSE * CLOSE > capacity, "{kept} of {capacity}");
        }
        let mut search = Search::from(4.0, Duration::from_millis(10));
        while let Some(rate) = search.next {
            search.take(rate, step(rate, 0.1));
        }
        let why = search.found().unwrap_err();
        assert!(why.starts_with("no rate down to 1.0") && why.contains(" per second keeps"));
    }

    #[test]
    fn servers_take_turns_step_by_step_in_an_order_that_is_shuffled_for_each_step() {
        let capacities = [150.0, 5000.0, 900.0];
        let search = || Some(Search::from(100.0, Duration::from_millis(10)));
        let open = capacities.iter().map(|_| search()).collect();
        let mut searches = Searches { open, seed: 3, step: 0, queue: vec![] };
        let (mut order, mut kept) = (Vec::new(), [0.0; 3]);
        while let Some((index, rate)) = searches.turn() {
            order.push(index);
            if let Some(over) = searches.take(index, rate, step(rate, capacities[index])) {
                kept[index] = over.found().unwrap().load.unwrap().rate.unwrap();
            }
        }
        let steps: Vec<&[usize]> = order.chunks(3).take(4).collect();
        let sorted = |step: &&[usize]| {
            let mut step = step.to_vec();
            step.sort_unstable();
            step
        };
        assert!(steps.iter().all(|step| sorted(step) == [0, 1, 2]), "{steps:?}");
        assert!(steps.iter().any(|step| *step != steps[0]), "{steps:?}");
        let near = |(kept, most): (&f64, &f64)| kept <= most && kept * CLOSE * CLOSE > *most;
        assert!(kept.iter().zip(&capacities).all(near), "{kept:?}");
    }

    #[test]
    fn an_interrupted_search_says_what_it_knew_and_has_no_figure() {
        let mut search = Search::from(100.0, Duration::from_millis(10));
        search.take(100.0, step(100.0, 150.0));
        search.take(200.0, step(200.0, 150.0));
        let known = search.known();
        assert!(known.contains("100 requests per second were kept, and 200 were not"), "{known}");
    }

    #[test]
    fn a_tail_over_the_limit_that_is_mostly_the_generators_lateness_is_not_the_servers() {
        let times = |count: u64, ns: u64| {
            let mut times = Histogram::default();
            (0..count).for_each(|_| times.record(ns));
            times.distribution()
        };
        let cell = |count: u64, late_ns: u64| {
            let mut cell = step(100.0, 10.0);
            cell.latency = times(count, 50_000_000);
            cell.latency_ns_p99 = cell.latency_ns_p99.filter(|_| count >= 1_000);
            cell.load.as_mut().unwrap().schedule_error = times(count, late_ns);
            cell
        };
        for count in [500, 2_000] {
            assert_eq!(late_tail(&cell(count, 24_000_000), 10_000_000), None);
            assert_eq!(late_tail(&cell(count, 26_000_000), 60_000_000), None, "within the limit");
            let why = late_tail(&cell(count, 26_000_000), 10_000_000).unwrap();
            let late = Cell { state: State::Invalid, reason: Some(why.clone()), ..step(9.0, 9.0) };
            assert!(saturated(&late) && why.contains("is 50.0"), "{why}");
            assert_eq!(late_tail(&late, 1), None, "it has ended");
        }
        // Without a rate that was kept, the search has no figure; after one, it goes on below.
        let late = || {
            let reason = late_tail(&cell(2_000, 26_000_000), 10_000_000);
            Cell { state: State::Invalid, reason, latency: None, ..cell(2_000, 26_000_000) }
        };
        let mut search = Search::from(100.0, Duration::from_millis(10));
        search.take(100.0, late());
        assert_eq!((search.next, search.found().unwrap().state), (None, State::Invalid));
        let mut search = Search::from(100.0, Duration::from_millis(10));
        search.take(100.0, step(100.0, 100.0));
        search.take(200.0, late());
        while let Some(rate) = search.next {
            search.take(rate, if rate > 150.0 { late() } else { step(rate, 1e6) });
        }
        let LoadFigures { rate, knee, .. } = search.found().unwrap().load.unwrap();
        assert!((150.0 / CLOSE / CLOSE..150.0).contains(&rate.unwrap()), "{rate:?}");
        let knee = knee.filter(Knee::is_least).unwrap();
        assert!(knee.gave_way.unwrap().ends_with("over half of that is its own lateness"));
    }

    #[test]
    fn of_too_few_requests_for_a_percentile_none_may_pass_the_limit() {
        let mut times = Histogram::default();
        (0..500).for_each(|_| times.record(1_000_000));
        times.record(9_000_000);
        let few = Cell { latency: times.distribution(), latency_ns_p99: None, ..step(1.0, 1.0) };
        let why = gave_way(&few, 8_000_000).unwrap();
        assert!(why.starts_with("the longest of 501 latencies is 9.0"), "{why}");
        let many = Cell { latency_ns_p99: Estimate::of_trials(&[1e6], 1.0), ..few };
        assert_eq!(gave_way(&many, 8_000_000), None);
    }
}
