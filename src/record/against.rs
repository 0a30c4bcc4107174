//! Compares two servers that took turns, trial by trial: by how much the second is faster or slower than the first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cell, Estimate, LoadFigures, Loop, State};
use crate::stats::{FEWEST_TRIALS, LEVEL, RESOLUTION, estimate_at};

/// A server's figures as multiples of the other server's.
///
/// Each is the geometric mean of the ratios within pairs of trials, with Student's interval of their logarithms. The
/// trials of a pair ran one right after the other, at the same intended times, so that the machine's effect on both
/// cancels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Against {
    /// The other server: its model or its URL.
    pub base: String,
    /// Pairs of trials.
    pub pairs: usize,
    /// The level of each interval, such that all of them together are right in 95 % of comparisons (Bonferroni).
    pub level: f64,
    /// The ratio of answers per second. `None` in an open loop, which gives both the same rate.
    pub requests_per_second: Option<Estimate>,
    /// The ratio of median latencies. `None` if over half of one is the generator's own lateness.
    pub latency_p50: Option<Estimate>,
    /// The ratio of 99th percentiles of latency. `None` also if a trial has fewer than 1 000 latencies.
    pub latency_p99: Option<Estimate>,
    /// The share of requests without a right answer, of the first and the second server.
    #[serde(default)]
    pub error_shares: [f64; 2],
}

/// A ratio of [`Against`], with its meaning for the second server.
pub struct Ratio {
    /// `req/s`, `p50` or `p99`.
    pub name: &'static str,
    /// The second server's figure over the first's.
    pub estimate: Estimate,
    /// `faster`, `slower`, or `no difference found` if the interval contains no difference. A server that failed more
    /// often is never the faster one: its errors have no latency.
    pub word: &'static str,
}

impl Against {
    /// Compares the trials of two cells with the same numbers; `None` if one has no figures, or fewer than three
    /// trials.
    pub fn of(base: &Cell, head: &Cell) -> Option<Self> {
        let pairs = head.trials();
        let known = [base, head].iter().all(|cell| cell.state == State::Ok);
        if !known || pairs < FEWEST_TRIALS || pairs != base.trials() {
            return None;
        }
        let closed = head.load.as_ref().is_some_and(|load| load.looped == Loop::Closed);
        let level = 1.0 - (1.0 - LEVEL) / if closed { 3.0 } else { 2.0 };
        let ratio = |base: &[f64], head: &[f64]| {
            // A trial without a figure has no ratio, and no ratio has a logarithm if it is 0.
            let is_whole = |of: &[f64]| of.len() == pairs && of.iter().all(|figure| *figure > 0.0);
            if !is_whole(base) || !is_whole(head) {
                return None;
            }
            let ratios: Vec<f64> = head.iter().zip(base).map(|(head, base)| head / base).collect();
            let (value, lower, upper) = estimate_at(level, &ratios, RESOLUTION)?;
            Some(Estimate { value, lower, upper })
        };
        let (one, other) = (&base.per_trial, &head.per_trial);
        let says_something = |name| {
            [base, head].iter().all(|cell| !cell.latencies_of_the_generator().contains(&name))
        };
        Some(Against {
            base: base.server_name(),
            pairs,
            level,
            requests_per_second: ratio(&one.jobs_per_second, &other.jobs_per_second)
                .filter(|_| closed),
            latency_p50: ratio(&one.latency_ns_p50, &other.latency_ns_p50)
                .filter(|_| says_something("p50")),
            latency_p99: ratio(&one.latency_ns_p99, &other.latency_ns_p99)
                .filter(|_| says_something("p99")),
            error_shares: [base, head].map(|cell| {
                cell.load.as_ref().and_then(LoadFigures::error_share).unwrap_or_default()
            }),
        })
    }

    /// Returns each available ratio with its meaning.
    pub fn ratios(&self) -> Vec<Ratio> {
        let all = [
            ("req/s", self.requests_per_second),
            ("p50", self.latency_p50),
            ("p99", self.latency_p99),
        ];
        let of = |(name, ratio): (&'static str, Option<Estimate>)| {
            let ratio = ratio?;
            let more = ratio.lower > 1.0 + RESOLUTION;
            let less = ratio.upper < 1.0 - RESOLUTION;
            // Lower latency is better.
            let is_faster = more == (name == "req/s");
            let [base, head] = self.error_shares;
            let word = match (more || less, is_faster) {
                (false, _) => "no difference found",
                (true, true) if head > base => "no verdict: it failed more",
                (true, false) if base > head => "no verdict: the other failed more",
                (true, true) => "faster",
                (true, false) => "slower",
            };
            Some(Ratio { name, estimate: ratio, word })
        };
        all.into_iter().filter_map(of).collect()
    }
}

impl Ratio {
    /// Returns the interval, such as "0.81× (0.78× to 0.84×)".
    pub fn range(&self) -> String {
        let Estimate { value, lower, upper } = self.estimate;
        format!("{value:.3}× ({lower:.3}× to {upper:.3}×)")
    }
}

impl Cell {
    /// Returns a server's short name: its model, or host and path of its URL.
    pub fn server_name(&self) -> String {
        let path = if self.workload.starts_with('/') { self.workload.as_str() } else { "" };
        format!("{}{path}", self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{LoadFigures, PerTrial},
        stats::simulated::normal,
    };
    use paceline_core::{histogram::Histogram, perform::Placement};

    fn cell(looped: Loop, figures: [Vec<f64>; 3]) -> Cell {
        let [jobs_per_second, latency_ns_p50, latency_ns_p99] = figures;
        let per_trial =
            PerTrial { jobs_per_second, latency_ns_p50, latency_ns_p99, ..PerTrial::default() };
        let load = Some(LoadFigures::new(looped, None, None, 4));
        let cell = Cell::new("/a", "127.0.0.1:80", 4, None, Placement::Outside, State::Ok);
        Cell { per_trial, load, ..cell }
    }

    fn words(against: &Against) -> Vec<(&'static str, &'static str)> {
        against.ratios().iter().map(|one| (one.name, one.word)).collect()
    }

    #[test]
    fn a_difference_is_said_with_its_direction_and_drift_of_the_machine_cancels_out() {
        // The machine becomes three times slower; the second server takes 10 % less time, and its p99 varies.
        let drift = [1.0, 1.4, 2.0, 2.5, 3.0];
        let of = |times: f64| drift.map(|slow| 1e6 * slow * times).to_vec();
        let tail = vec![2e6, 3.1e6, 3.9e6, 5.2e6, 5.8e6];
        let rates = |times: f64| drift.map(|slow| 1e4 / slow / times).to_vec();
        let base = cell(Loop::Closed, [rates(1.0), of(1.0), of(2.0)]);
        let head = cell(Loop::Closed, [rates(0.9), of(0.9), tail]);
        let there = Against::of(&base, &head).unwrap();
        let none = "no difference found";
        assert_eq!(words(&there), [("req/s", "faster"), ("p50", "faster"), ("p99", none)]);
        let back = Against::of(&head, &base).unwrap();
        assert_eq!(words(&back), [("req/s", "slower"), ("p50", "slower"), ("p99", none)]);
        assert!((there.latency_p50.unwrap().value - 0.9).abs() < 1e-9);
        let p99 = there.latency_p99.unwrap();
        assert!(p99.lower < 1.0 && p99.upper > 1.0 && there.base == "127.0.0.1:80/a");
        // An open loop gives both the same rate.
        let open = |cell: Cell| Cell {
            load: Some(LoadFigures::new(Loop::Open, Some(5.0), None, 4)),
            ..cell
        };
        let open = Against::of(&open(base), &open(head)).unwrap();
        assert_eq!((open.requests_per_second, open.level), (None, 0.975));
    }

    #[test]
    fn without_pairs_enough_and_figures_on_both_sides_there_is_no_comparison() {
        let of = |trials: usize| {
            cell(Loop::Closed, [vec![1.0; trials], vec![1.0; trials], vec![1.0; trials]])
        };
        assert!(Against::of(&of(3), &of(3)).is_some());
        assert_eq!(Against::of(&of(2), &of(2)), None);
        assert_eq!(Against::of(&of(4), &of(3)), None);
        assert_eq!(Against::of(&of(3), &Cell { state: State::Failed, ..of(3) }), None);
        // A difference below the histogram's resolution is no difference, however often it is seen.
        let finer = cell(Loop::Closed, [vec![1.001; 3], vec![1.0; 3], vec![]]);
        let none = "no difference found";
        let finer = Against::of(&of(3), &finer).unwrap();
        assert_eq!(words(&finer), [("req/s", none), ("p50", none)]);
    }

    #[test]
    fn a_trial_without_an_answer_has_no_ratio() {
        let of = |rates: [f64; 3]| cell(Loop::Closed, [rates.to_vec(), vec![7e8; 3], vec![]]);
        for (base, head) in [([2.0, 3.0, 2.0], [0.0, 2.0, 0.0]), ([0.0; 3], [2.0; 3])] {
            let against = Against::of(&of(base), &of(head)).unwrap();
            assert_eq!(words(&against), [("p50", "no difference found")], "{base:?} {head:?}");
        }
    }

    #[test]
    fn a_latency_that_is_mostly_the_generators_lateness_is_not_compared() {
        let times = |ns: u64| {
            let mut times = Histogram::default();
            (0..1_000).for_each(|_| times.record(ns));
            times.distribution()
        };
        let of = |late_ns: u64| {
            let mut cell = cell(Loop::Open, [vec![1.0; 3], vec![1e6; 3], vec![1e6; 3]]);
            cell.latency = times(1_000_000);
            cell.load.as_mut().unwrap().schedule_error = times(late_ns);
            cell
        };
        let none = "no difference found";
        let compared = |base, head| words(&Against::of(&of(base), &of(head)).unwrap());
        assert_eq!(compared(490_000, 490_000), [("p50", none), ("p99", none)]);
        assert_eq!((compared(510_000, 1_000), compared(1_000, 510_000)), (vec![], vec![]));
    }

    #[test]
    fn a_server_that_failed_more_often_is_not_the_faster_one() {
        let of = |ns: f64, errors: u64| {
            let mut cell = cell(Loop::Closed, [vec![1e9 / ns; 3], vec![ns; 3], vec![ns; 3]]);
            let load = cell.load.as_mut().unwrap();
            load.offered = 100;
            load.errors.insert("timeout".into(), errors);
            cell
        };
        let words = |base, head| words(&Against::of(&base, &head).unwrap())[1].1;
        assert_eq!(words(of(2e6, 1), of(1e6, 2)), "no verdict: it failed more");
        assert_eq!(words(of(1e6, 2), of(2e6, 1)), "no verdict: the other failed more");
        // Without a difference in its favour the word stays.
        assert_eq!(words(of(1e6, 1), of(2e6, 2)), "slower");
        assert_eq!(words(of(2e6, 1), of(1e6, 1)), "faster");
    }

    #[test]
    fn equal_servers_are_told_apart_in_at_most_5_of_100_comparisons() {
        const EACH: usize = 4_000;
        let mut noise = normal(31, EACH * 30).into_iter();
        let mut five = || (0..5).map(|_| f64::exp(0.1 * noise.next().unwrap())).collect::<Vec<_>>();
        let mut wrong = 0;
        for _ in 0..EACH {
            let [one, other] =
                std::array::from_fn(|_| cell(Loop::Closed, std::array::from_fn(|_| five())));
            let against = Against::of(&one, &other).unwrap();
            wrong += usize::from(words(&against).iter().any(|(_, word)| !word.starts_with("no")));
        }
        assert!((80..=220).contains(&wrong), "{wrong} of {EACH}");
    }
}
