//! Tests the gate on this machine: how often it calls equal programs different or finds planted slowdowns.

mod draw;
mod kinds;

pub use kinds::{KINDS, custom_cells};

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{
    Arm, Exit, GateError, Margin, Margins, Order, Outcome, Subject, default_cells, gate,
    least::time_of_fixed,
};
use crate::{
    compare::{Sample, judge, judge_against},
    machine::fingerprint,
    output::{long, print_note},
    record::{Equal, Gate, GateCell, Metric, Overall, Planted, SelfTest, Share, Side, Verdict},
    stats::{median_and_range, step_rates},
};
use draw::Draw;
use kinds::{NEIGHBOUR, PLANTED, name};
use paceline_core::{
    clock::{now, utc},
    custom::Variant,
    interrupt::interrupted,
    job::mix,
    models::MODELS,
    process::Program,
    workloads,
};

/// The settings of a test.
pub struct Trial {
    /// The time for the whole test.
    pub budget: Duration,
    /// The most suites of equal programs; with 0, the neighbour test is left out too.
    pub suites: u32,
    /// Trials of a cell in a suite.
    pub trials: u32,
    /// Whether processes are pinned, as in a gate.
    pub pin: bool,
    /// The kinds of planted slowdowns.
    pub kinds: Vec<&'static str>,
    /// The seed for shuffling and resampling.
    pub seed: u64,
    /// This program twice, and a copy of it.
    pub programs: [Program; 3],
    /// The folder for records.
    pub results: PathBuf,
}

/// The time of a gate of one cell.
const GATE: Duration = Duration::from_secs(20);
/// The number of suites, and of gates, resampled from recorded trials.
const DRAWN: u64 = 200;
/// The part of the margin that another rule would test against, for comparison.
const HALF: f64 = 0.5;
/// The shares of the budget for planted slowdowns, equal programs and the neighbour; the step detector has the rest.
const SHARES: [f64; 3] = [0.48, 0.40, 0.10];
/// The most simulated series of each kind for the step detector.
const SERIES: u64 = 900;

/// Returns the shortest budget, in whole seconds, in which at least one slowdown is planted.
#[must_use]
pub fn least_budget(suites: u32) -> Duration {
    Duration::from_secs(GATE.div_f64(planting(suites)).as_secs() + 1)
}

/// Returns the share of the budget in which slowdowns are planted.
fn planting(suites: u32) -> f64 {
    if suites > 0 { SHARES[0] } else { SHARES.iter().sum() }
}

/// Runs the test. Parts that do not fit into the budget are left out; their numbers of cases show it.
///
/// # Errors
///
/// Returns the reason if nothing could be measured.
pub fn selftest(trial: &Trial) -> Result<SelfTest, GateError> {
    let start = now();
    let mut done = SelfTest {
        started: utc(),
        fingerprint: fingerprint(),
        gate_seconds: GATE.as_secs_f64(),
        pinned: trial.pin,
        ..SelfTest::default()
    };
    let until = |share: f64| start + trial.budget.mul_f64(share);
    // The most important ones come first: 5 % and 10 % have goals, and one gate of a kind proves little.
    let wanted = [(5, 5), (10, 3), (3, 2), (2, 1), (1, 1), (20, 1), (0, 1)];
    done.planted = planted(trial, &wanted, until(planting(trial.suites)))?;
    done.equal = equal(trial, trial.suites, until(SHARES[0] + SHARES[1]))?;
    if trial.suites > 0 && !interrupted() {
        let _neighbour = Neighbour::start(&trial.programs[0])?;
        let end = until(SHARES.iter().sum());
        done.equal_beside_neighbour = equal(trial, 1, end)?;
        done.planted_beside_neighbour = planted(trial, &[(5, 1), (10, 1)], end)?;
    }
    done.steps = step_rates(0..0, trial.seed);
    for series in (0..SERIES).step_by(10).map(|from| from..from + 10) {
        if interrupted() || now() >= until(1.0) {
            break;
        }
        let more = step_rates(series, trial.seed);
        done.steps.iter_mut().zip(&more).for_each(|(all, more)| all.add(more));
    }
    done.judged_ms = judging_ms();
    done.seconds = (now() - start).as_secs_f64();
    done.interrupted = interrupted();
    Ok(done)
}

/// Returns an order for cells of this program and its copies.
fn order<'a>(trial: &Trial, variants: [Variant; 3], subjects: Vec<Subject<'a>>) -> Order<'a> {
    let arm = |at: usize| Arm { program: trial.programs[at].clone(), variant: variants[at] };
    let side = |name: &str| Side {
        name: name.into(),
        about: "this program".into(),
        commit: None,
        uncommitted: false,
        dependencies: vec![],
        program_sha256: String::new(),
    };
    Order {
        subjects,
        workloads: &[],
        models: MODELS.iter().collect(),
        arms: [arm(0), arm(1), arm(2)],
        sides: [side("base"), side("head")],
        same_program: None,
        program: trial.programs[0].clone(),
        metrics: vec![Metric::Throughput],
        allocations: [const { Err(String::new()) }; 2],
        margins: Margins::default(),
        notes: vec![],
        budget: GATE,
        trials: None,
        slices: None,
        top_up: false,
        pin: trial.pin,
        seed: trial.seed,
        patience: Duration::from_secs(30),
        results: trial.results.clone(),
    }
}

/// Gates one cell with each of the `wanted` slowdowns: percent, and number of times.
fn planted(
    trial: &Trial,
    wanted: &[(u32, u32)],
    until: Instant,
) -> Result<Vec<Planted>, GateError> {
    let mut gates: Vec<(u32, &str, Gate)> = Vec::new();
    for (percent, times) in wanted {
        for turn in 0..*times {
            for kind in &trial.kinds {
                if interrupted() || now() + GATE > until {
                    continue;
                }
                let subject = Subject::Own(name(kind, *percent));
                let halves = [Variant::Base, Variant::Head, Variant::Base];
                let mut order = order(trial, halves, vec![subject]);
                order.seed = mix(trial.seed ^ u64::from(turn * 1000 + percent));
                match gate(order) {
                    Ok(Outcome { gate, .. }) => gates.push((*percent, kind, gate)),
                    // On a machine too slow for any trial, the gate found nothing.
                    Err(error) if error.exit == Exit::Usage => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    let mut rows = Vec::new();
    for percent in PLANTED {
        for kind in KINDS {
            let of: Vec<&Gate> = gates
                .iter()
                .filter(|(p, k, _)| (*p, *k) == (percent, kind))
                .map(|(_, _, gate)| gate)
                .collect();
            if !of.is_empty() {
                rows.push(row(trial, kind, percent, &of));
            }
        }
    }
    Ok(rows)
}

fn row(trial: &Trial, kind: &str, percent: u32, gates: &[&Gate]) -> Planted {
    let cells: Vec<&GateCell> = gates.iter().flat_map(|gate| &gate.cells).collect();
    let found = gates.iter().filter(|gate| gate.verdict == Overall::Regressed).count();
    let truth = f64::from(percent) / 100.0;
    let changes: Vec<_> = cells.iter().filter_map(|cell| cell.change).collect();
    let covered = changes.iter().filter(|change| (change.lower..=change.upper).contains(&truth));
    let middle = |values: Vec<f64>| {
        if values.is_empty() { f64::NAN } else { median_and_range(&values).0 }
    };
    let trials = middle(cells.iter().map(|cell| f64::from(cell.trials)).collect()) as usize;
    let pool: Vec<(f64, f64)> = cells.iter().flat_map(|cell| pairs(cell)).collect();
    let mut draw = Draw::new(mix(trial.seed ^ u64::from(percent)));
    let (mut alone, mut against_half, mut among) = (0, 0, 0);
    for _ in 0..DRAWN {
        let (log_ratios, null) = draw.trials(&pool, trials);
        let judged = judge(&[sample(&log_ratios, &null)], super::in_progress::RATE);
        alone += u64::from(judged[0].verdict == Some(Verdict::Regressed));
        let judged = judge_against(&[sample(&log_ratios, &null)], super::in_progress::RATE, HALF);
        against_half += u64::from(judged[0].verdict == Some(Verdict::Regressed));
        let judged = judge(&[sample(&log_ratios, &null)], super::in_progress::RATE / 48.0);
        among += u64::from(judged[0].verdict == Some(Verdict::Regressed));
    }
    Planted {
        kind: kind.into(),
        percent,
        found: Share::new(found as u64, gates.len() as u64),
        trials: trials as u32,
        said_percent: 100.0 * middle(changes.iter().map(|change| change.share).collect()),
        detectable_percent: 100.0 * middle(cells.iter().filter_map(|c| c.detectable).collect()),
        drawn_found: Share::new(alone, DRAWN),
        drawn_found_against_half: Share::new(against_half, DRAWN),
        drawn_found_of_48: Share::new(among, DRAWN),
        covered: Share::new(covered.count() as u64, changes.len() as u64),
    }
}

fn pairs(cell: &GateCell) -> impl Iterator<Item = (f64, f64)> + '_ {
    cell.log_ratios.iter().copied().zip(cell.null_log_ratios.iter().copied())
}

fn sample<'a>(log_ratios: &'a [f64], null: &'a [f64]) -> Sample<'a> {
    let Margin { margin, clear, layout_sd, .. } = Margin::default();
    Sample { log_ratios, null, margin, clear_margin: clear, layout_sd }
}

/// Gates suites of the usual cells with the same program on all sides. A suite that would not fit into the time is not
/// begun: the longest one so far shows how long it takes, and before the first some processes do.
fn equal(trial: &Trial, suites: u32, until: Instant) -> Result<Equal, GateError> {
    let built_in = workloads::built_in();
    let models: Vec<_> = MODELS.iter().collect();
    let mut gates: Vec<Gate> = Vec::new();
    let mut longest = None;
    for suite in 0..suites {
        let left = until.saturating_duration_since(now());
        if interrupted() || left.is_zero() {
            break;
        }
        let subjects = default_cells(&built_in, &models).into_iter().map(Subject::Jobs).collect();
        let mut order = order(trial, [Variant::Base; 3], subjects);
        order.budget = left.max(GATE);
        (order.trials, order.slices) = (Some(trial.trials), Some(2));
        order.seed = mix(trial.seed.wrapping_add(u64::from(suite)));
        let expected = match longest {
            Some(longest) => longest,
            None => time_of_fixed(&order)?.unwrap_or_default(),
        };
        if now() + expected > until {
            if gates.is_empty() {
                print_note(&format!(
                    "no suite of equal programs was begun: one takes about {} here, and {} of the budget were left for them",
                    long(expected),
                    long(left)
                ));
            }
            break;
        }
        let gate = gate(order)?.gate;
        longest = longest.max(Some(Duration::from_secs_f64(gate.seconds)));
        gates.push(gate);
    }
    gates.retain(|gate| !gate.interrupted);
    let cells = || gates.iter().flat_map(|gate| &gate.cells).filter(|cell| cell.verdict.is_some());
    let count = |verdict| gates.iter().filter(|gate| gate.verdict == verdict).count() as u64;
    let of = gates.len() as u64;
    let judged = cells().count() as u64;
    let clear = cells().filter(|cell| cell.verdict == Some(Verdict::NotRegressed)).count();
    let intervals: Vec<_> = cells().filter_map(|cell| cell.change).collect();
    let covered = intervals.iter().filter(|c| (c.lower..=c.upper).contains(&0.0)).count();
    let seconds: Vec<f64> = gates.iter().map(|gate| gate.seconds).collect();
    let dropped: u64 = cells().map(|cell| u64::from(cell.dropped)).sum();
    let kept: u64 = cells().map(|cell| u64::from(cell.trials)).sum();
    Ok(Equal {
        cells: gates
            .iter()
            .map(|g| g.cells.iter().filter(|c| c.verdict.is_some()).count())
            .max()
            .unwrap_or(0),
        trials: trial.trials,
        seconds: if seconds.is_empty() { f64::NAN } else { median_and_range(&seconds).0 },
        false_regressed: Share::new(count(Overall::Regressed), of),
        environment: Share::new(count(Overall::EnvironmentInvalid), of),
        drawn_false_regressed: drawn_suites(trial, &gates, 0.0),
        drawn_false_regressed_against_half: drawn_suites(trial, &gates, HALF),
        not_regressed: Share::new(clear as u64, judged),
        covered: Share::new(covered as u64, intervals.len() as u64),
        dropped: Share::new(dropped, dropped + kept),
    })
}

/// Judges drawn suites. A real suite is drawn as a whole, so what its cells have in common stays together; in each cell
/// base, head and copy change places, all trials alike, so what a side's file or a lasting mode does to a cell stays
/// too. Tests are against `part` of the margin.
fn drawn_suites(trial: &Trial, gates: &[Gate], part: f64) -> Share {
    // Void cells are drawn too: with the copy as the head, such a cell would be a false regression.
    let suites: Vec<Vec<Vec<(f64, f64)>>> = gates
        .iter()
        .map(|gate| gate.cells.iter().map(|cell| pairs(cell).collect()).collect())
        .collect();
    if suites.is_empty() {
        return Share::new(0, 0);
    }
    let mut draw = Draw::new(trial.seed);
    let mut wrong = 0;
    for _ in 0..DRAWN {
        let suite = draw.one_of(&suites);
        let drawn: Vec<(Vec<f64>, Vec<f64>)> =
            suite.iter().map(|trials| draw.in_other_places(trials)).collect();
        let samples: Vec<Sample<'_>> = drawn.iter().map(|(x, null)| sample(x, null)).collect();
        let judged = judge_against(&samples, super::in_progress::RATE, part);
        // A null arm that fires voids only its own cell, which then has no verdict.
        wrong += u64::from(judged.iter().any(|cell| cell.verdict == Some(Verdict::Regressed)));
    }
    Share::new(wrong, DRAWN)
}

/// A process that computes in bursts until it is dropped.
struct Neighbour {
    ends: std::sync::Arc<AtomicBool>,
    busy: Option<thread::JoinHandle<()>>,
}

impl Neighbour {
    fn start(program: &Program) -> Result<Self, GateError> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let fault =
            |error: &dyn std::fmt::Display| GateError::internal(format!("a neighbour: {error}"));
        let mut host = program.host_of_custom_cells().map_err(|error| fault(&error))?;
        host.prepare_custom(NEIGHBOUR, Variant::Base, PATIENCE).map_err(|error| fault(&error))?;
        let ends = std::sync::Arc::new(AtomicBool::new(false));
        let told = ends.clone();
        let busy = thread::Builder::new()
            .spawn(move || while !told.load(Relaxed) && host.batches(1, PATIENCE).is_ok() {});
        Ok(Neighbour { ends, busy: Some(busy.map_err(|error| fault(&error))?) })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        let _ = self.busy.take().map(thread::JoinHandle::join);
    }
}

/// Measures the time to judge 200 cells of 200 trials, in milliseconds.
fn judging_ms() -> f64 {
    let mut draw = Draw::new(7);
    let values: Vec<Vec<f64>> = (0..200).map(|_| draw.normal(200, 0.02)).collect();
    let samples: Vec<Sample<'_>> = values.iter().map(|values| sample(values, values)).collect();
    let start = now();
    std::hint::black_box(judge(&samples, super::in_progress::RATE));
    (now() - start).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_budget_has_room_for_one_planted_slowdown_and_the_shares_leave_some_for_steps() {
        for suites in [0, 20] {
            assert!(least_budget(suites).mul_f64(planting(suites)) >= GATE);
        }
        assert!(SHARES.iter().sum::<f64>() < 1.0);
    }
}
