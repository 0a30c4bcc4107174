//! Counts instructions and allocations of custom cells and of jobs on one thread, in processes of their own that are never timed.
//!
//! Counts do not depend on how busy the machine is, so both sides are counted at the same time. The number of calls is a
//! power of ten: as many as fit into a slice, and more if these execute few instructions.

use std::{
    env,
    fs::{self, File},
    io,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{
    cell::{CellInProgress, Counted},
    in_progress::GateInProgress,
    margins::Margin,
    staging::{PREFIX, clear_left, create_private, private_name},
    subject::{Arm, Subject},
    trial::{BASE, HEAD, SIDES},
};
use crate::{
    compare::{JudgedCounts, judge_counts},
    output::Progress,
    plan::Planned,
    record::{Counts, GateCell, Metric, Presence, State},
    stats::median_and_range,
};
use paceline_core::{
    clock::now,
    interrupt::interrupted,
    job::Addresses,
    models::Width,
    process::{CountError, Counted as What, HostError, Program},
};

/// How often each side is counted. Counts that depend on threads or on random seeds rarely agree three times.
const REPEATS: usize = 3;
/// The most calls of a count. More would not make rare growth, such as of a table, more visible.
const MOST_CALLS: u64 = 1_000;
/// The instructions of a count in which those do not matter that an address decides at the start of a process.
const ENOUGH: u64 = 1_000_000;
/// Calls that take this much longer than the start of a process, as if they sleep, are not multiplied.
const LONG: Duration = Duration::from_secs(2);
/// How much longer a counted process may take than a timed one: valgrind slows programs down that much.
const SLOWER: u32 = 20;

/// The programs in which allocations are counted, of the base and the head, or why a side has none.
pub type AllocationCounters = [Result<Program, String>; 2];

/// Counts calls of custom cells, and batches of jobs.
pub(super) struct Counter {
    /// The base and the head, as they are timed.
    arms: [Arm; 2],
    allocations: AllocationCounters,
    patience: Duration,
    /// A folder for the files of valgrind, which is deleted on drop, and its lock; `None` if it could not be created.
    folder: Option<(PathBuf, File)>,
}

impl Counter {
    pub(super) fn new(
        arms: &[Arm; 3],
        allocations: AllocationCounters,
        patience: Duration,
    ) -> Self {
        let folder = env::temp_dir();
        clear_left(&folder, PREFIX);
        let folder = folder.join(private_name());
        let made = create_private(&folder);
        Counter {
            arms: [arms[BASE].clone(), arms[HEAD].clone()],
            allocations,
            patience: patience * SLOWER,
            folder: made.ok().map(|lock| (folder, lock)),
        }
    }

    /// Counts a metric of a cell on both sides until `deadline`, for a number of calls that is a power of ten: at most
    /// `fit`, unless these execute too few instructions.
    fn count(&self, metric: Metric, subject: &Subject<'_>, fit: u64, deadline: Instant) -> Counted {
        if let Subject::Jobs(planned) = subject
            && let Some(why) = uncountable_jobs(planned)
        {
            return Err((State::Refused, why));
        }
        let told = |side: usize| move |error: NoCount| told(side, error);
        let mut calls = 10_u64.pow(fit.clamp(1, MOST_CALLS).ilog10());
        if metric == Metric::Instructions {
            calls = self.enough(subject, calls, deadline).map_err(told(BASE))?;
        }
        let [base, head] = thread::scope(|scope| {
            let of = |side: usize| self.of_side(metric, side, (subject, calls), deadline);
            let head = scope.spawn(move || of(HEAD));
            [of(BASE), head.join().unwrap_or_else(|_| Err(uncountable("the count panicked")))]
        });
        let (base, head) = (base.map_err(told(BASE))?, head.map_err(told(HEAD))?);
        match [base.len(), head.len()] {
            [REPEATS, REPEATS] => Ok(Counts { calls, base, head }),
            // The head takes several times as long, or hangs: the budget is no excuse.
            [REPEATS, 0] => Err((
                State::Failed,
                format!(
                    "not counted, head: the base was counted {REPEATS} times, and the head not once in this time"
                ),
            )),
            _ => Err(late()),
        }
    }

    /// Returns `calls`, or a greater power of ten in which the base executes enough instructions. On a busy machine, few
    /// calls fit into a slice.
    fn enough(
        &self,
        subject: &Subject<'_>,
        mut calls: u64,
        deadline: Instant,
    ) -> Result<u64, NoCount> {
        let timed = |calls: u64| {
            let start = now();
            let count = self.instructions(BASE, (subject, calls), deadline)?;
            Ok::<_, NoCount>((count, now() - start))
        };
        if calls < MOST_CALLS {
            let (start, start_time) = timed(0)?;
            while calls < MOST_CALLS {
                let (count, time) = timed(calls)?;
                if count - start.min(count) >= ENOUGH || time > start_time * 2 + LONG {
                    break;
                }
                calls *= 10;
            }
        }
        Ok(calls)
    }

    /// Returns the counts of a side: fewer if the time was up.
    fn of_side(
        &self,
        metric: Metric,
        side: usize,
        (subject, calls): (&Subject<'_>, u64),
        deadline: Instant,
    ) -> Result<Vec<u64>, NoCount> {
        let one = || {
            if metric == Metric::Allocations {
                return self.allocations(side, (subject, calls), deadline);
            }
            let of = |calls| self.instructions(side, (subject, calls), deadline);
            // The start of a process is in both counts and cancels out.
            Ok(of(calls)?.saturating_sub(of(0)?))
        };
        let mut counts = Vec::new();
        while counts.len() < REPEATS {
            match one() {
                Ok(count) => counts.push(count),
                Err(NoCount::Late) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(counts)
    }

    fn allocations(
        &self,
        side: usize,
        (subject, calls): (&Subject<'_>, u64),
        deadline: Instant,
    ) -> Result<u64, NoCount> {
        let program = self.allocations[side].as_ref().map_err(|why| uncountable(why))?;
        let count = |what: What<'_>, patience| program.allocations(what, calls, patience);
        self.counting(side, subject, deadline, count)
    }

    /// Returns the instructions of a process that makes `calls` calls.
    fn instructions(
        &self,
        side: usize,
        (subject, calls): (&Subject<'_>, u64),
        deadline: Instant,
    ) -> Result<u64, NoCount> {
        let folder = self.empty_folder(side).map_err(|error| {
            uncountable(&format!("there is no place for valgrind's files: {error}"))
        })?;
        let program = &self.arms[side].program;
        let count = |what: What<'_>, patience| program.instructions(what, calls, &folder, patience);
        self.counting(side, subject, deadline, count)
    }

    /// Counts a side with `count`, which is told what to count and how long the process may take. A process that the
    /// deadline cut short is late; one that had all of its time hangs.
    fn counting(
        &self,
        side: usize,
        subject: &Subject<'_>,
        deadline: Instant,
        count: impl Fn(What<'_>, Duration) -> Result<u64, CountError>,
    ) -> Result<u64, NoCount> {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Err(NoCount::Late);
        }
        let patience = self.patience.min(left);
        let counted = match subject {
            Subject::Own(name) => count(What::Calls(name, self.arms[side].variant), patience),
            // Without the suite's server: such jobs open no connections.
            Subject::Jobs(planned) => {
                count(What::Batches(&planned.for_host(&Addresses::default())), patience)
            }
        };
        counted.map_err(|error| match error {
            CountError::Host(HostError::Silent(_)) if patience < self.patience => NoCount::Late,
            error => NoCount::Failed(error),
        })
    }

    /// Returns the folder of a side for valgrind's files, without those of a process that failed.
    fn empty_folder(&self, side: usize) -> io::Result<PathBuf> {
        let folder = self.folder.as_ref().map(|(folder, _)| folder);
        let folder = folder.ok_or_else(|| io::Error::other("no temporary folder could be made"))?;
        let folder = folder.join(side.to_string());
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some((folder, _)) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Returns why the instructions of batches cannot be counted, if they cannot. On several threads, the order in which
/// they run decides what is executed. A job that waits for a timer or a connection polls it as often as timing has it.
fn uncountable_jobs(planned: &Planned<'_>) -> Option<String> {
    let (info, demand) = (&planned.entry.info, planned.workload.demand());
    let alone = info.width == Width::One && info.foreign.is_none();
    let waits = demand.serial > Duration::ZERO || demand.connects > 0;
    let leaves = ["offload", "park"].iter().any(|step| planned.workload.has(step));
    (!alone || waits || leaves).then(|| {
        "only jobs that neither wait nor leave their thread can be counted, on models of one thread, such as cpu on sequential and switch on tokio-current-thread".into()
    })
}

/// Why a side has no count.
enum NoCount {
    /// The time was up.
    Late,
    /// The reason of its process.
    Failed(CountError),
}

fn uncountable(why: &str) -> NoCount {
    NoCount::Failed(CountError::Uncountable(why.to_owned()))
}

/// Returns the end of a cell of which a side could not be counted.
fn told(side: usize, error: NoCount) -> (State, String) {
    let error = match error {
        NoCount::Late => return late(),
        // Where the base counts, the head does not end so because of its version.
        NoCount::Failed(error) if side == BASE => error.or_of_old_version(),
        NoCount::Failed(error) => error,
    };
    let state = match error {
        // The base was counted, so the loss must not pass unseen.
        CountError::Uncountable(_) if side == HEAD => State::Skipped,
        CountError::Uncountable(_) => State::Refused,
        CountError::Host(HostError::Interrupted) => State::Skipped,
        CountError::Host(_) => State::Failed,
    };
    (state, format!("not counted, {}: {error}", SIDES[side]))
}

/// Returns the end of a cell that was not counted within the budget.
fn late() -> (State, String) {
    (State::Skipped, "the time was up before it was counted".into())
}

/// Completes the entry of a counted metric: figures, and a verdict if the counts are exact.
pub(super) fn counted(cell: GateCell, going: &CellInProgress<'_>, margin: Margin) -> GateCell {
    let cell = GateCell {
        margin: margin.count,
        clear_margin: margin.count,
        layout_sd: 0.0,
        dropped: 0,
        slices: 0,
        iterations: 0,
        again: false,
        ..cell
    };
    if cell.state != State::Ok || cell.presence != Presence::Both {
        return cell;
    }
    let of_metric = going.counts.iter().find(|(metric, _)| *metric == cell.metric);
    let counts = match of_metric {
        Some((_, Ok(counts))) => counts.clone(),
        Some((_, Err((state, why)))) => {
            return GateCell { state: *state, reason: Some(why.clone()), ..cell };
        }
        None => {
            let why = Some("interrupted before it was counted".into());
            return GateCell { state: State::Skipped, reason: why, ..cell };
        }
    };
    let (state, reason) = if counts.is_exact() {
        (State::Ok, None)
    } else {
        // Where the base is exact the metric gates the cell, and the head must not leave it unseen.
        let lost = Counts::agree(&counts.base);
        (if lost { State::Skipped } else { State::Refused }, Some(inexact(&counts)))
    };
    let JudgedCounts { verdict, change } = judge_counts(&counts, margin.count);
    let of_call = |counts: &[u64], calls: u64| {
        let counts: Vec<f64> = counts.iter().map(|count| *count as f64 / calls as f64).collect();
        (!counts.is_empty()).then(|| median_and_range(&counts).0)
    };
    GateCell {
        state,
        reason,
        verdict,
        change,
        detectable: verdict.map(|_| margin.count),
        base: of_call(&counts.base, counts.calls),
        head: of_call(&counts.head, counts.calls),
        trials: counts.base.len() as u32,
        iterations: counts.calls,
        counts: Some(counts),
        ..cell
    }
}

/// Returns why there is no verdict on counts that differ within a side.
fn inexact(counts: &Counts) -> String {
    let range = |of: &[u64]| {
        let (least, most) = (of.iter().min().unwrap_or(&0), of.iter().max().unwrap_or(&0));
        if least == most { least.to_string() } else { format!("{least} to {most}") }
    };
    format!(
        "not exact, so not gated: {} calls counted {} in the base and {} in the head, as with threads or random hash seeds",
        counts.calls,
        range(&counts.base),
        range(&counts.head)
    )
}

impl GateInProgress<'_, '_> {
    /// Counts all cells by the metrics that are counts, in the time that is left.
    pub(super) fn count(&mut self) {
        let metrics: Vec<Metric> =
            self.plan.metrics.iter().copied().filter(|metric| metric.is_count()).collect();
        if metrics.is_empty() {
            return;
        }
        let progress = Progress::start((self.cells.len() * metrics.len()) as u64);
        for index in 0..self.cells.len() {
            for metric in metrics.iter().copied() {
                let left = self.left();
                let cell = &mut self.cells[index];
                if cell.is_gated() {
                    progress.show(&format!("counting {} of {}", metric.name(), cell.name), left);
                    let counted = if interrupted() {
                        Err((State::Skipped, "interrupted before it was counted".into()))
                    } else if left.is_zero() {
                        Err(late())
                    } else {
                        let fit = cell.pace.iterations;
                        self.counter.count(metric, &cell.subject, fit, now() + left)
                    };
                    cell.counts.push((metric, counted));
                }
                progress.done();
            }
        }
        progress.end();
    }
}
