//! The results of several generators of one load, merged: counts add up, and histograms merge exactly.

use super::{Drive, Interval, Loaded, Part};
use crate::{histogram::Distribution, prepared::Fault};

/// What the generators of one load saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Together {
    /// All of it.
    pub whole: Loaded,
    /// What each of them saw.
    pub each: Vec<Loaded>,
}

impl Together {
    /// Merges what each generator saw of a load.
    ///
    /// # Errors
    ///
    /// Returns a fault if a histogram cannot be read, or if no request of the window was answered.
    pub(super) fn of(each: Vec<Loaded>, drive: Drive) -> Result<Self, Fault> {
        let whole = whole(&each).map_err(Fault::Failed)?;
        match whole.without_answers(drive.mean_rate()) {
            Some(why) => Err(Fault::Failed(why)),
            None => Ok(Together { whole, each }),
        }
    }
}

fn whole(each: &[Loaded]) -> Result<Loaded, String> {
    let [first, rest @ ..] = each else { return Err("a load needs a generator".into()) };
    let windows = each.iter().map(|one| (one.elapsed_ns, one.parts.len()));
    if windows.clone().any(|window| window != (first.elapsed_ns, first.parts.len())) {
        let windows: Vec<_> = windows.collect();
        return Err(format!("the generators had different windows: {windows:?}"));
    }
    let mut sum = first.clone();
    for one in rest {
        sum.connections += one.connections;
        sum.reconnects += one.reconnects;
        sum.offered += one.offered;
        sum.answered += one.answered;
        sum.completed += one.completed;
        sum.unfinished += one.unfinished;
        sum.late_starts += one.late_starts;
        sum.requests_per_second += one.requests_per_second;
        sum.in_flight_at_start += one.in_flight_at_start;
        sum.in_flight_at_end += one.in_flight_at_end;
        for (kind, count) in &one.errors {
            *sum.errors.entry(kind.clone()).or_default() += count;
        }
        sum.first_error = sum.first_error.or_else(|| one.first_error.clone());
        // The worst of them: each is compared with a limit.
        sum.generator_cpu_share = sum.generator_cpu_share.max(one.generator_cpu_share);
        sum.little_error = sum.little_error.zip(one.little_error).map(|(a, b)| a.max(b));
    }
    let times = |what, of: fn(&Loaded) -> Option<&Distribution>| merged(what, each.iter().map(of));
    let or_none = |times: Option<Distribution>| times.unwrap_or_else(Distribution::empty);
    sum.latency = or_none(times("the latency", |one| Some(&one.latency))?);
    sum.service_time = or_none(times("the service time", |one| Some(&one.service_time))?);
    sum.schedule_error = times("the schedule error", |one| one.schedule_error.as_ref())?;
    sum.error_latency = times("the time of errors", |one| one.error_latency.as_ref())?;
    for (place, part) in sum.parts.iter_mut().enumerate() {
        let parts = || each.iter().map(|one| &one.parts[place]);
        part.latency = merged("the latency of a URL", parts().map(|part| part.latency.as_ref()))?;
        part.errors = parts().map(|part: &Part| part.errors).sum();
    }
    Ok(sum)
}

/// Merges one interval of the window, as each generator saw it.
///
/// # Errors
///
/// Returns a sentence if a histogram cannot be read, or if it is not the same interval.
pub(super) fn interval(each: &[Interval]) -> Result<Interval, String> {
    let [first, rest @ ..] = each else { return Err("an interval needs a generator".into()) };
    let mut sum = first.clone();
    for one in rest {
        if (one.start_ns, one.lasts_ns) != (first.start_ns, first.lasts_ns) {
            return Err("the generators cut their windows into different intervals".into());
        }
        sum.offered += one.offered;
        sum.answered += one.answered;
        sum.errors += one.errors;
        sum.late_starts += one.late_starts;
    }
    let latencies = each.iter().map(|one| one.latency.as_ref());
    sum.latency = merged("the latency of an interval", latencies)?;
    Ok(sum)
}

/// Merges a time that the generators, in their order, saw or did not see.
fn merged<'d>(
    what: &str,
    each: impl Iterator<Item = Option<&'d Distribution>>,
) -> Result<Option<Distribution>, String> {
    let seen = (1..).zip(each).filter_map(|(number, times)| Some((number, times?)));
    Distribution::merged_of(what, "generator", seen)
}
