//! The figures of a load over all of its trials that are counted apart: errors by kind, each generator, each URL.

use std::collections::BTreeMap;

use super::{bench::TrialResult, target::Served};
use crate::record::{GeneratorFigures, UrlFigures};
use paceline_core::{
    generator::{Loaded, Part},
    histogram::Distribution,
};

/// Returns the errors of all trials by kind.
pub(super) fn errors(trials: &[TrialResult]) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (kind, count) in trials.iter().flat_map(|seen| &seen.loaded.errors) {
        *sum.entry(kind.clone()).or_default() += count;
    }
    sum
}

/// Returns the figures of each generator over all trials; those with a limit are the worst of all trials.
pub(super) fn generators(trials: &[TrialResult]) -> Result<Vec<GeneratorFigures>, String> {
    let one = |index: usize| {
        let each = || trials.iter().filter_map(|seen| seen.each.get(index));
        let total = |of: fn(&Loaded) -> u64| each().map(of).sum();
        let late = (0..).zip(each()).filter_map(|(n, one)| Some((n, one.schedule_error.as_ref()?)));
        let late = Distribution::merged("the schedule error of a generator", late)?;
        Ok(GeneratorFigures {
            connections: each().next().map_or(0, |one| one.connections),
            offered: total(|one| one.offered),
            completed: total(|one| one.completed),
            late_starts: total(|one| one.late_starts),
            schedule_error_ns_p99: late.as_ref().and_then(Distribution::p99),
            cpu_share_max: each().map(|one| one.generator_cpu_share).reduce(f64::max),
        })
    };
    (0..trials.first().map_or(0, |seen| seen.each.len())).map(one).collect()
}

/// Returns the figures of each URL that has a weight.
pub(super) fn by_url(
    served: &Served<'_>,
    trials: &[TrialResult],
) -> Result<Vec<UrlFigures>, String> {
    let one = |(place, weight): (usize, &u32)| {
        let request = &served.requests.list[place];
        let parts = || trials.iter().filter_map(|seen| seen.loaded.parts.get(place));
        let latencies =
            (0..).zip(parts()).filter_map(|(n, part)| Some((n, part.latency.as_ref()?)));
        let latency = Distribution::merged("the latency of a URL", latencies)?;
        Ok(UrlFigures {
            method: request.method.clone(),
            path: request.path.clone(),
            weight: *weight,
            completed: latency.as_ref().map_or(0, |latency| latency.count),
            errors: parts().map(|part: &Part| part.errors).sum(),
            latency_ns_p50: latency.as_ref().map(|latency| latency.ns_p50),
            latency_ns_p99: latency.as_ref().and_then(Distribution::p99),
            latency_ns_max: latency.as_ref().map(|latency| latency.ns_max),
        })
    };
    served.requests.weights.iter().enumerate().map(one).collect()
}
