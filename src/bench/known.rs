//! Predicts the time of a cell from other scales of its series.

use std::time::Duration;

use super::{
    order::END_SHARE,
    pace::{Cost, Pace},
};
use crate::{
    machine::cores,
    plan::{FEW, Planned},
};

/// The overhead of a process besides its batches, if none of its series has been measured.
const START: Duration = Duration::from_millis(40);

/// The part of the budget that a probe may take, by its prediction.
const PROBE_SHARE: u32 = 100;

/// The measured figures of a scale of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredScale {
    /// The scale.
    pub(super) scale: usize,
    /// The cost of a batch, and the overhead of a process.
    pub(super) cost: Cost,
    /// CPU time per job in nanoseconds, in the model's processes and in the echo server; zero if it was not measured.
    pub(super) cpu_ns: (f64, f64),
}

/// Returns the predicted cost of `planned`.
pub(super) fn predicted(planned: &Planned<'_>, compute_ns: f64, known: &[MeasuredScale]) -> Cost {
    if let Some(own) = known.iter().find(|known| known.scale == planned.scale) {
        return own.cost;
    }
    // A host first computes all checksums, one after another.
    let receipts = |scale: usize| {
        let rounds = planned.workload.over_all(scale, |job| Duration::from_nanos(job.compute));
        rounds.mul_f64(compute_ns)
    };
    // Preparing a million jobs takes longer than starting a process.
    let far = |known: &&MeasuredScale| {
        let (less, more) = (known.scale.min(planned.scale), known.scale.max(planned.scale));
        (more / less, less)
    };
    let nearest = known.iter().min_by_key(far);
    let start = nearest.map(|known| known.cost.start.saturating_sub(receipts(known.scale)));
    let start = start.unwrap_or(START).saturating_add(receipts(planned.scale));
    Cost { batch: batch(planned, compute_ns, known), start }
}

/// Returns the predicted time of a batch of `planned`.
///
/// Few jobs mostly wait, so their time is a poor prediction for many. Their CPU time is a better one: no model does
/// many jobs faster than its CPUs allow. It is an upper estimate, because one wake-up serves several of many jobs.
fn batch(planned: &Planned<'_>, compute_ns: f64, known: &[MeasuredScale]) -> Duration {
    let below = known.iter().filter(|known| known.scale < planned.scale);
    let below = below.max_by_key(|known| known.scale);
    let above = known.iter().filter(|known| known.scale > planned.scale);
    let above = above.map(|known| known.cost.batch).min();
    let by_time = planned.predict(compute_ns, below.map(|known| (known.scale, known.cost.batch)));
    let by_cpu = below.map_or(Duration::ZERO, |known| work(known, planned));
    by_time.max(by_cpu).min(above.unwrap_or(Duration::MAX))
}

/// Returns which of `open`, the cells of one series that have not begun, to warm up for its time alone, by its scale: the
/// greatest of few jobs, if the series seems too slow for its greatest scale by the CPU time of fewer jobs alone. An
/// interpreter spends a fixed time on each batch, which that prediction multiplies by the scale.
pub(super) fn to_probe(
    open: &[&Planned<'_>],
    compute_ns: f64,
    known: &[MeasuredScale],
    pace: Pace,
    budget: Duration,
) -> Option<usize> {
    let last = open.iter().max_by_key(|planned| planned.scale)?;
    let nearest = known.iter().max_by_key(|known| known.scale).filter(|known| known.scale < FEW)?;
    let by_time = last.predict(compute_ns, Some((nearest.scale, nearest.cost.batch)));
    let is_slow = |batch| pace.need(Cost { batch, ..nearest.cost }) > budget / END_SHARE;
    if is_slow(by_time) || !is_slow(work(nearest, last)) {
        return None;
    }
    let few = open.iter().filter(|planned| (nearest.scale + 1..=FEW).contains(&planned.scale));
    let probe = few.max_by_key(|planned| planned.scale)?;
    let Cost { batch, start } = predicted(probe, compute_ns, known);
    (start + 2 * batch <= budget / PROBE_SHARE).then_some(probe.scale)
}

/// Returns how long the CPUs are busy with a batch of `planned`, if each job takes as long as one of `known`.
fn work(known: &MeasuredScale, planned: &Planned<'_>) -> Duration {
    let (model, server) = known.cpu_ns;
    let workers = planned.workers.unwrap_or(usize::MAX).clamp(1, cores());
    let a_job = (model / workers as f64).max((model + server) / cores() as f64);
    // What one job of an interpreter takes is mostly what a batch takes: as an estimate for a hundred it is far too much.
    // Up to there, one that is too small costs little.
    let jobs = if known.scale < FEW && planned.scale <= FEW {
        (known.scale as f64 * planned.scale as f64).sqrt()
    } else {
        planned.scale as f64
    };
    Duration::from_nanos((a_job * jobs) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bench::Profile,
        plan::{Choice, cells},
    };
    use paceline_core::{job::Workload, models, workloads};

    fn of(workload: &Workload, model: &str, scale: usize, known: &[MeasuredScale]) -> Duration {
        let choice = Choice { scales: vec![scale], ..Choice::default() };
        let workloads = [workload.clone()];
        let planned = cells(&workloads, &[models::find(model).unwrap()], &choice);
        predicted(&planned[0], 1.0, known).batch
    }

    fn known(scale: usize, millis: u64, cpu_ns: (f64, f64)) -> MeasuredScale {
        let cost = Cost { batch: Duration::from_millis(millis), start: START };
        MeasuredScale { scale, cost, cpu_ns }
    }

    #[test]
    fn many_jobs_take_what_their_cpu_time_takes_and_not_what_one_waited() {
        let echo = workloads::find("echo").unwrap();
        let ms = Duration::from_millis;
        let without = of(&echo, "smol", 10_000, &[known(1, 1, (0.0, 0.0))]);
        assert!(without < ms(200), "{without:?}");
        // A hundred jobs take less than a hundred times what one takes, most of which is the batch's.
        let asyncio = known(1, 1, (2e6, 0.0));
        assert_eq!(of(&echo, "tokio-current-thread", 100, &[asyncio]), ms(20));
        assert_eq!(of(&echo, "tokio-current-thread", 1000, &[asyncio]), ms(2000));
        // 10 000 jobs of 200 µs on all cores; with one worker, the model's 150 µs on one.
        let one = known(1, 1, (150_000.0, 50_000.0));
        assert_eq!(of(&echo, "smol", 10_000, &[one]), ms(2000) / cores() as u32);
        let alone = of(&echo, "tokio-current-thread", 10_000, &[one]);
        assert_eq!(alone, ms(1500).max(ms(2000) / cores() as u32));
    }

    #[test]
    fn few_jobs_are_probed_where_only_what_one_job_takes_says_that_many_are_too_slow() {
        let sleep = [workloads::find("sleep").unwrap()];
        let planned = cells(&sleep, &[models::find("asyncio").unwrap()], &Choice::default());
        let minutes = Duration::from_mins(6);
        let probed = |open: &[&Planned<'_>], known: &[MeasuredScale], budget| {
            let pace = Pace::for_profile(Profile::Default);
            to_probe(open, 1.0, known, pace, budget)
        };
        let all: Vec<_> = planned.iter().filter(|planned| planned.scale > 1).collect();
        let one = known(1, 11, (1e6, 0.0));
        assert_eq!(probed(&all, &[one], minutes), Some(100));
        // It is known already, by time or by more jobs; it is fast enough; or the series has no more scales.
        assert_eq!(probed(&all, &[one, known(100, 13, (1e5, 0.0))], minutes), None);
        assert_eq!(probed(&all, &[known(1, 100, (1e6, 0.0))], minutes), None);
        assert_eq!(probed(&all, &[known(1, 11, (1e3, 0.0))], minutes), None);
        assert_eq!(probed(&[], &[one], minutes), None);
        let many: Vec<_> = planned.iter().filter(|planned| planned.scale > 100).collect();
        assert_eq!(probed(&many, &[one], minutes), None);
        // The probe itself would take too long.
        assert_eq!(probed(&all, &[one], Duration::from_secs(6)), None);
    }

    #[test]
    fn a_scale_takes_no_longer_than_a_greater_one_and_what_was_measured_is_not_predicted() {
        let sleep = workloads::find("sleep").unwrap();
        let ms = Duration::from_millis;
        let both = [known(1, 50, (1e9, 0.0)), known(1000, 70, (0.0, 0.0))];
        assert_eq!(of(&sleep, "smol", 100, &both), ms(70));
        assert_eq!(of(&sleep, "smol", 1000, &both), ms(70));
        assert!(of(&sleep, "smol", 100, &both[..1]) > ms(1000));
    }

    #[test]
    fn a_prediction_is_by_the_nearest_smaller_scale() {
        let sleep = workloads::find("sleep").unwrap();
        let ms = Duration::from_millis;
        let (far, near) = (known(1, 15, (1e6, 0.0)), known(10_000, 20, (1e3, 0.0)));
        // 10 ms of sleep and 10 times the other 10 ms.
        assert_eq!(of(&sleep, "smol", 100_000, &[near, far]), ms(110));
    }

    #[test]
    fn a_process_takes_its_start_and_the_receipts_of_all_jobs() {
        let cpu = workloads::find("cpu").unwrap();
        let models = [models::find("tokio").unwrap()];
        let choice = Choice { scales: vec![1, 1000], ..Choice::default() };
        let workloads = [cpu];
        let planned = cells(&workloads, &models, &choice);
        let ms = Duration::from_millis;
        // 1 000 jobs of 100 000 rounds of a nanosecond.
        assert_eq!(predicted(&planned[1], 1.0, &[]).start, START + ms(100));
        let cost = Cost { batch: ms(1), start: ms(70) };
        let one = MeasuredScale { scale: 1, cost, cpu_ns: (0.0, 0.0) };
        let start = predicted(&planned[1], 1.0, &[one]).start;
        assert_eq!(start + Duration::from_micros(100), ms(170));
        assert_eq!(predicted(&planned[0], 1.0, &[one]), cost);
        // The start is that of the nearest scale, because preparing many jobs takes long.
        let sleep = [workloads::find("sleep").unwrap()];
        let choice = Choice { scales: vec![10], ..Choice::default() };
        let many = MeasuredScale {
            scale: 1_000_000,
            cost: Cost { batch: ms(900), start: ms(900) },
            ..one
        };
        let planned = cells(&sleep, &models, &choice);
        assert_eq!(predicted(&planned[0], 1.0, &[many, one]).start, ms(70));
    }
}
