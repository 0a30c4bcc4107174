//! How the figures of a cell differ between two runs, within their intervals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{Cell, Estimate, Metric};

/// How a figure of the head differs from the base's. Lower is better, but of requests per second higher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shift {
    /// The metric that was compared.
    pub metric: Metric,
    /// The base's figure, in the unit of the metric: that of its record.
    pub base: f64,
    /// The head's figure.
    pub head: f64,
    /// The relative change of the head: `0.05` is 5 % more.
    pub share: f64,
    /// The lower end of the interval; `None` if the records have none.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
    /// What the interval is computed from.
    pub basis: Basis,
}

/// What an interval is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// At least 3 processes of each side: the 95 % interval of the ratio of their geometric means (Welch).
    Processes,
    /// The intervals of both: the largest and the smallest change that they allow.
    Intervals,
    /// One figure of each side: without an interval, as those of fewer than 3 trials.
    Figures,
}

/// Returns the changes of the metrics that both cells have.
pub(super) fn shifts(base: &Cell, head: &Cell) -> Vec<Shift> {
    let shift = |metric: Metric| {
        let (one, other) = metric.of(base).zip(metric.of(head))?;
        // A search for the knee ends on one of several steps that are 8 % apart, and all its trials are at that step. Their
        // interval says nothing of which step another search would end on.
        if base.is_at_knee() || head.is_at_knee() {
            return Some(of_figures(metric, one.value, other.value));
        }
        let has_trials = matches!(metric, Metric::Throughput | Metric::Requests);
        let ratio = if has_trials { of_processes(metric, base, head) } else { None };
        let of_processes = |(lower, upper)| Shift {
            lower: Some(lower),
            upper: Some(upper),
            basis: Basis::Processes,
            ..of_figures(metric, one.value, other.value)
        };
        Some(ratio.map_or_else(|| of_intervals(metric, one, other), of_processes))
    };
    Metric::OF_RUNS.into_iter().filter_map(shift).collect()
}

/// Returns the interval of the change of the time of a job, or of a rate, over processes, or over nodes if there are
/// three and more, if each side has enough.
fn of_processes(metric: Metric, base: &Cell, head: &Cell) -> Option<(f64, f64)> {
    let (lower, upper) = head.rate_over(base)?;
    // The time of a job is the inverse of the rate.
    let (lower, upper) = if metric.is_rate() { (lower, upper) } else { (-upper, -lower) };
    Some((lower.exp_m1(), upper.exp_m1()))
}

fn of_intervals(metric: Metric, base: Estimate, head: Estimate) -> Shift {
    let end = |share: f64| share.is_finite().then_some(share);
    let figures = of_figures(metric, base.value, head.value);
    let (Some(base), Some(head)) = (base.interval(), head.interval()) else { return figures };
    Shift {
        lower: end(head.0 / base.1 - 1.0),
        upper: end(head.1 / base.0 - 1.0),
        basis: Basis::Intervals,
        ..figures
    }
}

fn of_figures(metric: Metric, base: f64, head: f64) -> Shift {
    let share = head / base - 1.0;
    Shift { metric, base, head, share, lower: None, upper: None, basis: Basis::Figures }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Knee, LoadFigures, Loop, PerTrial, State};
    use paceline_core::{histogram::Histogram, perform::Placement};

    /// A server that answers `rate` requests a second, each in `ms`.
    fn served(looped: Loop, rate: f64, ms: u64) -> Cell {
        let rates: Vec<f64> = [0.99, 1.0, 1.01, 1.0, 0.995].map(|share| share * rate).to_vec();
        let mut times = Histogram::default();
        (0..1_000).for_each(|_| times.record(ms * 1_000_000));
        let p99 = ms as f64 * 1e6;
        Cell {
            jobs_per_second: Estimate::of_trials(&rates, 0.0),
            latency: times.distribution(),
            latency_ns_p99: Some(Estimate { value: p99, lower: p99 * 0.9, upper: p99 * 1.1 }),
            load: Some(LoadFigures::new(looped, None, None, 4)),
            per_trial: PerTrial { jobs_per_second: rates, ..PerTrial::default() },
            ..Cell::new("serve-plain", "tokio", 4, Some(2), Placement::Inside, State::Ok)
        }
    }

    fn found(base: &Cell, head: &Cell) -> Vec<(Metric, f64)> {
        let rounded = |of: &Shift| (of.metric, (of.share * 1e6).round() / 1e6);
        shifts(base, head).iter().map(rounded).collect()
    }

    #[test]
    fn a_server_has_requests_per_second_and_no_time_per_job_unless_its_rate_was_given() {
        let of = |looped| [served(looped, 100.0, 8), served(looped, 150.0, 4)];
        let [base, head] = of(Loop::Closed);
        assert_eq!(found(&base, &head), [(Metric::Requests, 0.5), (Metric::P99, -0.5)]);
        let rate = &shifts(&base, &head)[0];
        assert!(rate.lower.unwrap() > 0.4 && rate.basis == Basis::Processes, "{rate:?}");
        let [base, head] = of(Loop::Open);
        assert_eq!(found(&base, &head), [(Metric::P99, -0.5)]);
        // The highest rate within a limit is the result of a search, and its latency that of this rate.
        let at_knee = |gave_way: &str| {
            let knee = Knee { limit_ns: 9_000_000, steps: vec![], gave_way: Some(gave_way.into()) };
            of(Loop::Open).map(|mut cell| {
                cell.load.as_mut().unwrap().knee = Some(knee.clone());
                cell
            })
        };
        let [base, head] = at_knee("status 503");
        assert_eq!(found(&base, &head), [(Metric::Requests, 0.5)]);
        let [_, least] = at_knee("generator saturated: it used 99 % of a CPU");
        assert_eq!(found(&base, &least), []);
    }

    #[test]
    fn a_p99_that_is_mostly_the_generators_lateness_is_not_compared() {
        let [base, mut head] = [served(Loop::Open, 1.0, 8), served(Loop::Open, 1.0, 8)];
        let mut late = Histogram::default();
        (0..1_000).for_each(|_| late.record(3_900_000));
        head.load.as_mut().unwrap().schedule_error = late.distribution();
        assert_eq!(found(&base, &head).len(), 1);
        (0..1_000).for_each(|_| late.record(4_100_000));
        head.load.as_mut().unwrap().schedule_error = late.distribution();
        assert!(found(&base, &head).is_empty());
    }
}
