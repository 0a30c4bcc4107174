//! A trial: a fresh process of each side; slices of the same work take turns, and one side runs while the others wait.

use std::time::Duration;

use super::{
    disturbed::{Idle, children_of, cpu_of, cpu_of_children},
    dropped::Dropped,
    subject::{Arm, Subject},
};
use crate::{
    machine::dropped_connections,
    record::{Metric, SideFigures},
    run::shuffled,
    session::Session,
    stats::median_and_range,
};
use paceline_core::{
    clock::{nanoseconds, now},
    histogram::Distribution,
    prepared::Fault,
    process::{Host, HostError},
};

/// The base, the head, and the base's copy.
pub(super) const SIDES: [&str; 3] = ["base", "head", "copy of the base"];
pub(super) const BASE: usize = 0;
pub(super) const HEAD: usize = 1;
pub(super) const COPY: usize = 2;

/// The work of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Slices of each side.
    pub(super) slices: u32,
    /// Batches of a slice.
    pub(super) iterations: u64,
    /// Batches of a slice in which the latency of jobs is recorded; 0 if it is not needed.
    pub(super) recorded: u64,
}

/// The reason why a side has no figures of a trial: its process died, hung or failed.
#[derive(Debug)]
pub(super) struct Lost {
    /// The side of the process.
    pub(super) side: usize,
    /// Its error.
    pub(super) error: HostError,
}

impl Lost {
    /// Returns whether it ran and was not what its label says.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self.error, HostError::Fault(Fault::Invalid(_)))
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", SIDES[self.side], self.error)
    }
}

/// A prepared and warmed-up process of a side.
struct WarmProcess {
    host: Host,
    shown: SideFigures,
    recorded: Vec<Distribution>,
}

/// The outcome of a trial.
pub(super) struct Outcome {
    /// The figures of each side, or its crash.
    pub(super) sides: Vec<Result<SideFigures, HostError>>,
    /// The CPU time of processes that the sides started.
    pub(super) started: Duration,
    /// What each side did while others had their turns; `None` of one that crashed.
    pub(super) idle: Vec<Option<Idle>>,
    /// Why the machine disturbed it, if connections were dropped in the turns of several sides.
    pub(super) overflow: Option<String>,
}

/// Runs a trial. `seed` orders its processes and slices. If one side crashes, the others continue, so that each trial has
/// one process of every side.
pub(super) fn trial(
    subject: &Subject<'_>,
    arms: &[Arm],
    session: &Session,
    pace: Pace,
    seed: u64,
    patience: Duration,
) -> Outcome {
    let mut sides: Vec<Result<WarmProcess, HostError>> =
        arms.iter().map(|_| Err(HostError::Interrupted)).collect();
    let so_far = || subject.connects().then(dropped_connections).flatten();
    let mut dropped = Dropped::new(so_far(), arms.len());
    for side in shuffled(arms.len(), seed) {
        sides[side] = warm(subject, &arms[side], session, pace, patience);
        dropped.after_turn(side, so_far());
    }
    let children = children_of_each(&sides);
    let cpu_of_all = |side: usize| -> Duration {
        children[side].iter().filter_map(|child| cpu_of(*child)).sum()
    };
    let cpu_of_each = |sides: &[Result<WarmProcess, HostError>]| -> Vec<Option<Duration>> {
        let each = sides.iter().enumerate();
        each.map(|(at, side)| Some(cpu_of(side.as_ref().ok()?.host.id())? + cpu_of_all(at)))
            .collect()
    };
    // What its children use in a side's own turns.
    let mut serving = vec![Duration::ZERO; sides.len()];
    let (start, before) = (now(), cpu_of_each(&sides));
    for side in turns(sides.len(), pace.slices, seed) {
        let at_rest = cpu_of_all(side);
        go_on(&mut sides[side], |WarmProcess { host, shown, .. }| {
            let (times, used) = host.batches(pace.iterations, patience)?;
            shown.slices_ns.push(nanoseconds(times.iter().sum()));
            shown.cpu_ns += used.cpu_ns();
            Ok(())
        });
        serving[side] += cpu_of_all(side).saturating_sub(at_rest);
        dropped.after_turn(side, so_far());
    }
    let (wall, after) = (now() - start, cpu_of_each(&sides));
    let used = before.into_iter().zip(after).zip(serving);
    let idle = sides.iter().zip(used).map(|(side, ((before, after), serving))| {
        let shown = &side.as_ref().ok()?.shown;
        let (cpu, wall_of_own) = (shown.cpu_ns, shown.slices_ns.iter().sum());
        let own = Duration::from_nanos(cpu) + serving;
        Some(Idle {
            cpu: after?.saturating_sub(before?).saturating_sub(own),
            wall: wall.saturating_sub(Duration::from_nanos(wall_of_own)),
        })
    });
    let idle = idle.collect();
    if pace.recorded > 0 {
        for side in turns(sides.len(), RECORDED_SLICES, seed) {
            go_on(&mut sides[side], |WarmProcess { host, recorded, .. }| {
                recorded.extend(host.record(pace.recorded, patience)?.latency);
                Ok(())
            });
            dropped.after_turn(side, so_far());
        }
    }
    // Processes started by the cells, such as a server, are not other programs.
    let hosts = sides.iter().flatten().map(|warm| warm.host.id());
    let started = cpu_of_children(&hosts.collect::<Vec<_>>());
    let finish = |WarmProcess { mut shown, recorded, .. }: WarmProcess| {
        let latency = Distribution::merged("the latency", (0..).zip(&recorded));
        let latency = latency.map_err(|why| HostError::Fault(Fault::Failed(why)))?;
        shown.latency_ns = latency.as_ref().map(percentiles);
        Ok(shown)
    };
    let overflow = dropped.of_several();
    let blamed = dropped.by_one();
    let each = sides.into_iter().enumerate().map(|(side, of)| match &blamed {
        Some((by, why)) if *by == side => of.and(Err(HostError::Fault(Fault::Failed(why.clone())))),
        _ => of.and_then(finish),
    });
    Outcome { sides: each.collect(), started, idle, overflow }
}

/// Returns the processes that each side has started and that still run.
fn children_of_each(sides: &[Result<WarmProcess, HostError>]) -> Vec<Vec<u32>> {
    let of = |warm: &Result<WarmProcess, HostError>| warm.as_ref().ok().map(|warm| warm.host.id());
    let leaders: Vec<u32> = sides.iter().filter_map(of).collect();
    let all = children_of(&leaders);
    let of_leader = |leader: Option<u32>| {
        let own = all.iter().filter(|(of, _)| Some(*of) == leader);
        own.map(|(_, child)| *child).collect()
    };
    sides.iter().map(|side| of_leader(of(side))).collect()
}

/// Returns the median and the 99th percentile; 0 for a percentile of too few latencies, which is no figure.
fn percentiles(latency: &Distribution) -> (u64, u64) {
    (latency.ns_p50, latency.p99().unwrap_or(0))
}

/// Does the next step with a side, unless it has crashed.
fn go_on(
    side: &mut Result<WarmProcess, HostError>,
    next: impl FnOnce(&mut WarmProcess) -> Result<(), HostError>,
) {
    if let Ok(warm) = side
        && let Err(error) = next(warm)
    {
        *side = Err(error);
    }
}

/// The number of slices of each side in which latency is recorded.
pub(super) const RECORDED_SLICES: u32 = 2;

/// Returns the order of turns: blocks of an order and its reverse, as in ABBA, so that drift affects all alike.
fn turns(sides: usize, slices: u32, seed: u64) -> Vec<usize> {
    let mut turns = Vec::new();
    for slice in 0..slices {
        let mut order = shuffled(sides, seed.wrapping_add(u64::from(slice / 2)));
        if slice % 2 == 1 {
            order.reverse();
        }
        turns.extend(order);
    }
    turns
}

/// Starts a fresh process: its first batch is instrumented and gives its memory; a slice is discarded.
fn warm(
    subject: &Subject<'_>,
    arm: &Arm,
    session: &Session,
    pace: Pace,
    patience: Duration,
) -> Result<WarmProcess, HostError> {
    let mut host = subject.start(arm, session, patience)?;
    let attest = host.attest(patience)?;
    host.batches(pace.iterations, patience)?;
    let shown = SideFigures { memory_bytes: attest.rss_bytes_added(), ..SideFigures::default() };
    Ok(WarmProcess { host, shown, recorded: Vec::new() })
}

/// The least memory that is told apart from none, in bytes: a page.
const PAGE: f64 = 4096.0;

/// Returns a side's figure in a trial, in the unit of the metric; `None` if it has none. Only memory can be 0.
pub(super) fn figure(
    metric: Metric,
    shown: &SideFigures,
    jobs: u64,
    iterations: u64,
) -> Option<f64> {
    let of_slice = jobs as f64 * iterations as f64;
    let slices = shown.slices_ns.len() as f64;
    let found = match metric {
        Metric::Throughput => {
            let times: Vec<f64> = shown.slices_ns.iter().map(|ns| *ns as f64).collect();
            (!times.is_empty()).then(|| median_and_range(&times).0 / of_slice)
        }
        Metric::Cpu => Some(shown.cpu_ns as f64 / (of_slice * slices)),
        Metric::P50 => shown.latency_ns.map(|(p50, _)| p50 as f64),
        Metric::P99 => shown.latency_ns.map(|(_, p99)| p99 as f64),
        Metric::Memory => shown.memory_bytes.map(|bytes| bytes as f64 / jobs as f64),
        Metric::Instructions | Metric::Allocations | Metric::Requests => None,
    };
    found.filter(|value| value.is_finite() && (*value > 0.0 || metric == Metric::Memory))
}

/// Returns `ln(other / base)` of a trial: of throughput, the median over slices, paired by turn; of memory, with less
/// than a page taken for a page, so that a rise from nothing is a rise.
pub(super) fn log_ratio(metric: Metric, base: &SideFigures, other: &SideFigures) -> Option<f64> {
    if metric == Metric::Throughput {
        let ratios = slice_ratios(base, other);
        return (!ratios.is_empty()).then(|| median_and_range(&ratios).0);
    }
    // Within a trial, jobs and batches are equal on both sides and cancel.
    let least = if metric == Metric::Memory { PAGE } else { 0.0 };
    let of = |shown| Some(figure(metric, shown, 1, 1)?.max(least).ln());
    let ratio = of(other)? - of(base)?;
    ratio.is_finite().then_some(ratio)
}

/// Returns `ln(other / base)` of each slice.
pub(super) fn slice_ratios(base: &SideFigures, other: &SideFigures) -> Vec<f64> {
    let pairs = base.slices_ns.iter().zip(&other.slices_ns);
    pairs
        .map(|(base, other)| (*other as f64).ln() - (*base as f64).ln())
        .filter(|x| x.is_finite())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_mirrored_in_blocks_of_two_and_every_side_has_as_many() {
        for seed in 0..50 {
            let turns = turns(3, 6, seed);
            assert_eq!(turns.len(), 18);
            for block in turns.chunks(6) {
                let mut back = block[3..].to_vec();
                back.reverse();
                assert_eq!(block[..3], back[..]);
            }
            assert!((0..3).all(|side| turns.iter().filter(|turn| **turn == side).count() == 6));
        }
        let orders: std::collections::BTreeSet<_> = (0..50).map(|seed| turns(3, 1, seed)).collect();
        assert!(orders.len() >= 5, "the seed orders them");
    }

    #[test]
    fn swapping_the_sides_flips_the_sign_and_scaling_both_changes_nothing() {
        let shown = |scale: u64| SideFigures {
            slices_ns: [100, 140, 90].map(|ns| ns * scale).to_vec(),
            cpu_ns: 77 * scale,
            latency_ns: Some((5 * scale, 9 * scale)),
            memory_bytes: Some(10_000 * scale),
        };
        let mut other = shown(3);
        other.slices_ns = vec![330, 500, 240];
        for metric in Metric::ALL.into_iter().filter(|metric| !metric.is_count()) {
            let there = log_ratio(metric, &shown(1), &other).unwrap();
            let back = log_ratio(metric, &other, &shown(1)).unwrap();
            assert!((there + back).abs() < 1e-12 && there > 0.9, "{metric:?}");
        }
        let (one, ten) = (shown(1), shown(10));
        let mut other_ten = other.clone();
        other_ten.slices_ns.iter_mut().for_each(|ns| *ns *= 10);
        let (a, b) = (
            log_ratio(Metric::Throughput, &one, &other),
            log_ratio(Metric::Throughput, &ten, &other_ten),
        );
        assert!((a.unwrap() - b.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn what_was_not_measured_has_no_figure() {
        let nothing = SideFigures::default();
        assert!(Metric::ALL.iter().all(|metric| figure(*metric, &nothing, 10, 2).is_none()));
        assert!(Metric::ALL.iter().all(|metric| log_ratio(*metric, &nothing, &nothing).is_none()));
        let shown = SideFigures { slices_ns: vec![4_000, 6_000], cpu_ns: 20_000, ..nothing };
        assert_eq!(figure(Metric::Throughput, &shown, 10, 2), Some(250.0));
        assert_eq!(figure(Metric::Cpu, &shown, 10, 2), Some(500.0));
    }

    #[test]
    fn figures_are_per_job_and_none_without_a_positive_value() {
        let shown = SideFigures {
            slices_ns: vec![4_000, 6_000, 5_000],
            cpu_ns: 30_000,
            latency_ns: Some((50, 90)),
            memory_bytes: Some(7_000),
        };
        let of = |metric| figure(metric, &shown, 10, 2);
        assert_eq!(of(Metric::Throughput), Some(250.0));
        assert_eq!(of(Metric::Cpu), Some(500.0));
        assert_eq!([of(Metric::P50), of(Metric::P99)], [Some(50.0), Some(90.0)]);
        assert_eq!(of(Metric::Memory), Some(700.0));
        let without = SideFigures { cpu_ns: 0, memory_bytes: Some(0), ..shown };
        assert_eq!(figure(Metric::Cpu, &without, 10, 2), None);
        assert_eq!(figure(Metric::Memory, &without, 10, 2), Some(0.0));
        assert_eq!(figure(Metric::Cpu, &SideFigures::default(), 10, 2), None, "not infinite");
    }

    #[test]
    fn memory_that_rises_from_nothing_rises_and_less_than_a_page_is_nothing() {
        let of = |bytes| SideFigures { memory_bytes: Some(bytes), ..SideFigures::default() };
        let ratio = |base, head| log_ratio(Metric::Memory, &of(base), &of(head)).unwrap();
        assert!((ratio(0, 8192) - 2_f64.ln()).abs() < 1e-12);
        assert!((ratio(8192, 0) + 2_f64.ln()).abs() < 1e-12);
        assert!([ratio(0, 0), ratio(0, 4096), ratio(100, 4000)].iter().all(|ln| ln.abs() < 1e-12));
        assert_eq!(log_ratio(Metric::Memory, &SideFigures::default(), &of(8192)), None);
    }

    #[test]
    fn a_99th_percentile_of_under_1_000_latencies_is_no_figure() {
        let p99 = |count: u64| {
            let mut times = paceline_core::histogram::Histogram::default();
            (0..count).for_each(|_| times.record(50));
            let latency_ns = Some(percentiles(&times.distribution().unwrap()));
            let shown = SideFigures { latency_ns, ..SideFigures::default() };
            [Metric::P50, Metric::P99].map(|metric| figure(metric, &shown, 1, 1))
        };
        assert_eq!([p99(999), p99(1_000)], [[Some(50.0), None], [Some(50.0), Some(50.0)]]);
    }

    #[test]
    fn slices_are_paired_by_turn_and_one_of_no_time_is_left_out() {
        let of =
            |slices: &[u64]| SideFigures { slices_ns: slices.to_vec(), ..SideFigures::default() };
        let ratios = slice_ratios(&of(&[100, 0, 300]), &of(&[200, 50, 100, 7]));
        assert_eq!(ratios.len(), 2);
        assert!((ratios[0] - 2_f64.ln()).abs() < 1e-12 && (ratios[1] + 3_f64.ln()).abs() < 1e-12);
        let slower = SideFigures { cpu_ns: 20, ..SideFigures::default() };
        let base = SideFigures { cpu_ns: 10, ..SideFigures::default() };
        // Without slices, CPU time has no divisor.
        assert_eq!(log_ratio(Metric::Cpu, &base, &slower), None);
        let with = |shown: SideFigures| SideFigures { slices_ns: vec![5, 5], ..shown };
        let twice = log_ratio(Metric::Cpu, &with(base), &with(slower)).unwrap();
        assert!((twice - 2_f64.ln()).abs() < 1e-12, "{twice}");
    }

    #[test]
    fn a_new_order_is_drawn_for_each_block_of_two() {
        let drawn: std::collections::BTreeSet<Vec<usize>> =
            turns(4, 40, 1).chunks(8).map(<[usize]>::to_vec).collect();
        assert!(drawn.len() > 10, "{}", drawn.len());
        // The next seed is not the same order one block later, but its blocks are drawn alike.
        assert_eq!(turns(4, 4, 1)[8..16], turns(4, 2, 2)[..]);
    }

    #[test]
    fn a_process_is_invalid_if_it_was_not_what_its_label_says_and_not_if_it_failed() {
        let lost = |fault| Lost { side: 1, error: HostError::Fault(fault) }.is_invalid();
        let why = || "it was not".to_owned();
        assert_eq!([lost(Fault::Invalid(why())), lost(Fault::Failed(why()))], [true, false]);
    }
}
