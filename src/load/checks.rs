//! The checks of a trial under load: whether the server waited, the generator kept up and the figures are sound.

use std::time::Duration;

use super::{LITTLE, MOST_LITTLE_ERROR};
use crate::{
    output::long,
    record::{Estimate, not_refuted},
};
use paceline_core::{
    clock::nanoseconds,
    generator::{Drive, Loaded},
    histogram::Distribution,
};

/// Returns the lower of the server's `own` bound and what was `offered`, all in requests a second; `None` if neither
/// bounds it, one of the `trials` exceeds its own, or their mean what was offered: arrivals at random do so in some.
pub(super) fn shown_bound(own: f64, offered: f64, trials: &[f64]) -> Option<f64> {
    let most = own.min(offered);
    not_refuted(own, trials.iter().copied().reduce(f64::max))?;
    let bounded = most.is_finite() && most > 0.0;
    let mean = Estimate::of_trials(trials, 0.0).map(|of| of.value);
    bounded.then(|| not_refuted(most, mean))?
}

/// Returns why the server cannot have waited as long as its jobs define, if it cannot: receipts alone do not prove it.
///
/// # Errors
///
/// Returns a sentence if the times cannot be read.
pub(super) fn too_soon(
    service_time: &Distribution,
    floor: Duration,
) -> Result<Option<String>, String> {
    let least = service_time.histogram()?.quantile(0.0);
    // A histogram keeps 3 digits.
    Ok((least as f64 * 1.001 < nanoseconds(floor) as f64).then(|| {
        let [least, floor] = [Duration::from_nanos(least), floor].map(long);
        format!("a request was answered after {least}, and its job waits for {floor}")
    }))
}

/// Returns why a load's figures are not the server's, or not those of a steady state. The limits of one generator apply
/// to each of several. `others` is the share of other programs in the CPU time that was not the generator's, if known.
pub(super) fn why_invalid(
    loaded: &Loaded,
    each: &[Loaded],
    drive: Drive,
    others: Option<f64>,
) -> Option<String> {
    let saturated = each.iter().enumerate().find_map(|(index, one)| {
        let why = one.saturated().or_else(|| one.kept_waiting(others))?;
        let (which, of) = (index + 1, each.len());
        Some(if of == 1 { why } else { format!("{why} (generator {which} of {of})") })
    });
    let unsteady = match drive {
        Drive::Open { rate, .. } => loaded.unsteady(rate),
        // A ramp is meant to exceed what the server can do; its intervals show where.
        Drive::Ramp { .. } | Drive::Closed => None,
    };
    // A ramp is meant to leave requests behind, too.
    let incomplete = loaded.incomplete().filter(|_| !matches!(drive, Drive::Ramp { .. }));
    let little = loaded.little_error.filter(|error| *error > MOST_LITTLE_ERROR).map(|error| {
        let (seen, most) = (error * 100.0, MOST_LITTLE_ERROR * 100.0);
        format!(
            "{LITTLE} is off by {seen:.1} %, the limit is {most} %: the generator counts wrongly"
        )
    });
    saturated.or(unsteady).or(incomplete).or(little)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::{generator::Arrivals, histogram::Histogram};
    use std::{collections::BTreeMap, slice};

    #[test]
    fn a_server_that_answers_before_its_job_can_have_waited_has_no_figure() {
        let mut times = Histogram::default();
        for ns in [5_300_000, 5_000_100, 7_000_000] {
            times.record(ns);
        }
        let floor = Duration::from_millis(5);
        assert_eq!(too_soon(&times.distribution().unwrap(), floor), Ok(None));
        times.record(4_900_000);
        let mut early = times.distribution().unwrap();
        let why = too_soon(&early, floor).unwrap().unwrap();
        assert!(why.contains("answered after 4.") && why.contains("waits for 5.00 ms"), "{why}");
        early.hdr_v2.truncate(20);
        assert!(too_soon(&early, floor).unwrap_err().starts_with("not a histogram"));
    }

    fn times(count: u64, ns: u64) -> Distribution {
        let mut times = Histogram::default();
        (0..count).for_each(|_| times.record(ns));
        times.distribution().unwrap()
    }

    /// Returns a second of 1000 requests that were all answered at once.
    fn steady() -> Loaded {
        Loaded {
            connections: 10,
            reconnects: 0,
            elapsed_ns: 1_000_000_000,
            offered: 1000,
            answered: 1000,
            completed: 1000,
            unfinished: 0,
            errors: BTreeMap::new(),
            error_latency: None,
            first_error: None,
            parts: vec![],
            late_starts: 0,
            requests_per_second: 1000.0,
            in_flight_at_start: 0,
            in_flight_at_end: 0,
            latency: times(1000, 2_000_000),
            service_time: times(1000, 1_000_000),
            schedule_error: Some(times(1000, 10_000)),
            generator_cpu_share: 0.2,
            generator_awake_share: 0.1,
            generator_waited_share: Some(0.01),
            little_error: Some(0.001),
        }
    }

    const OPEN: Drive = Drive::Open { rate: 1000.0, arrivals: Arrivals::Poisson };

    #[test]
    fn an_answer_is_too_soon_below_the_three_digits_that_a_histogram_keeps() {
        let seen = |ns: u64| too_soon(&times(9, ns), Duration::from_millis(5)).unwrap().is_some();
        // 5 ms is in the bucket that begins at 4.99712 ms.
        assert_eq!([4_990_000, 4_998_000].map(seen), [true, false]);
        assert_eq!(
            too_soon(&times(9, 0), Duration::ZERO),
            Ok(None),
            "a job that waits for nothing"
        );
    }

    #[test]
    fn a_busy_generator_is_named_by_its_number_if_there_are_several() {
        let (fine, busy) = (steady(), Loaded { generator_cpu_share: 0.97, ..steady() });
        let why = |each: &[Loaded]| why_invalid(&fine, each, OPEN, None);
        assert_eq!(why(&[fine.clone(), fine.clone()]), None);
        assert_eq!(why(slice::from_ref(&busy)), busy.saturated());
        let named = format!("{} (generator 3 of 4)", busy.saturated().unwrap());
        let each = [fine.clone(), fine.clone(), busy.clone(), busy];
        assert_eq!(why(&each), Some(named));
    }

    #[test]
    fn a_closed_loop_whose_generator_waits_is_judged_by_who_had_its_cpu() {
        let waited = Loaded {
            schedule_error: None,
            generator_cpu_share: 0.67,
            generator_waited_share: Some(0.3),
            ..steady()
        };
        let why = |others| why_invalid(&steady(), slice::from_ref(&waited), Drive::Closed, others);
        assert_eq!([Some(0.05), None].map(why), [None, None], "a server of two threads on 2 CPUs");
        assert_eq!(why(Some(0.9)), waited.kept_waiting(Some(0.9)));
        assert!(why(Some(0.9)).is_some());
    }

    #[test]
    fn a_rate_that_is_not_kept_has_no_figure_but_in_a_ramp_or_a_closed_loop() {
        let slow = Loaded { requests_per_second: 600.0, ..steady() };
        let why = |drive| why_invalid(&slow, &[steady()], drive, None);
        assert_eq!(why(OPEN), slow.unsteady(1000.0));
        assert!(why(OPEN).is_some());
        let ramp = Drive::Ramp { from: 1.0, to: 2000.0, arrivals: Arrivals::Poisson };
        assert_eq!([ramp, Drive::Closed].map(why), [None, None]);
    }

    #[test]
    fn a_load_that_leaves_requests_unfinished_has_no_figure_but_in_a_ramp() {
        let left = Loaded { unfinished: 1, completed: 999, ..steady() };
        let why = |drive| why_invalid(&left, &[steady()], drive, None);
        let said = why(OPEN).unwrap();
        assert!(said.starts_with("not steady: 1 of 1000 requests were neither"), "{said}");
        assert_eq!(why(Drive::Closed), Some(said));
        assert_eq!(why(Drive::Ramp { from: 1.0, to: 2.0, arrivals: Arrivals::Poisson }), None);
        // A rate that is not kept explains it.
        let slow = Loaded { requests_per_second: 600.0, ..left.clone() };
        assert_eq!(why_invalid(&slow, &[steady()], OPEN, None), slow.unsteady(1000.0));
    }

    #[test]
    fn a_load_that_littles_law_refutes_is_invalid_beyond_its_limit() {
        let why = |little_error| {
            why_invalid(&Loaded { little_error, ..steady() }, &[steady()], Drive::Closed, None)
        };
        assert_eq!([None, Some(0.0), Some(MOST_LITTLE_ERROR)].map(why), [None, None, None]);
        let said = why(Some(0.025)).unwrap();
        assert!(
            said.starts_with(LITTLE) && said.contains("off by 2.5 %, the limit is 1 %"),
            "{said}"
        );
        // The generator itself comes first, then the rate.
        let all = Loaded {
            little_error: Some(0.5),
            requests_per_second: 600.0,
            generator_cpu_share: 0.97,
            ..steady()
        };
        let each = slice::from_ref(&all);
        assert_eq!(why_invalid(&all, each, OPEN, None), all.saturated());
        assert_eq!(why_invalid(&all, &[steady()], OPEN, None), all.unsteady(1000.0));
    }

    #[test]
    fn a_bound_is_shown_if_it_is_one_and_no_figure_refutes_it() {
        let shown = |trials: &[f64], offered| shown_bound(100.0, offered, trials);
        assert_eq!(shown(&[], f64::INFINITY), Some(100.0));
        assert_eq!(shown(&[101.9], f64::INFINITY), Some(100.0));
        assert_eq!(shown(&[102.1], f64::INFINITY), None);
        // One trial is enough, unless only the rate that was offered in all of them is below it.
        assert_eq!(shown(&[60.0, 102.1, 60.0], f64::INFINITY), None);
        assert_eq!(shown(&[60.0, 70.0, 60.0], 65.0), Some(65.0));
        assert_eq!(shown(&[60.0, 90.0, 90.0], 65.0), None);
        assert_eq!(
            [f64::INFINITY, f64::NAN, 0.0, -1.0].map(|own| shown_bound(own, f64::INFINITY, &[])),
            [None; 4]
        );
    }
}
