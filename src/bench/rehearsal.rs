//! Runs the suite with the default profile in a simulation with fixed times per job, to test what fits into its budget.

use std::{
    cell::{Cell as Mutable, RefCell},
    sync::LazyLock,
    time::{Duration, Instant},
};

use super::{
    options::{DEFAULT_MODELS, Options, Profile},
    pace::{Cost, FEWEST, Pace, patience},
    runner::{Runner, WarmProcess},
    suite::Suite,
};
use crate::{
    machine::cores,
    plan::{self, Planned},
    record::{Cell, State, Trial, Writer},
};
use paceline_core::{
    clock,
    job::{Workers, mix},
    models,
    process::HostError,
    usage::Usage,
    workloads,
};

/// Returns microseconds per job under concurrency: those of the reference run of 2026-11-26, on two shared CPUs.
fn job_us(workload: &str, model: &str) -> f64 {
    let cost = match workload {
        "sleep" => [0.1, 100.0, 1.0, 0.8, 10.0],
        "echo" => [1000.0, 430.0, 450.0, 250.0, 890.0],
        "switch" => [0.0, 1000.0, 0.0, 40.0, 1500.0],
        "cpu" => [357.0, 300.0, 180.0, 180.0, 31_000.0],
        _ => [5000.0, 222.0, 2500.0, 140.0, 12_000.0],
    };
    let kind = match model {
        "sequential" => 0,
        "threads" => 1,
        "pool" | "rayon" => 2,
        "asyncio" => 4,
        _ => 3,
    };
    cost[kind]
}

/// Nanoseconds of a round of `compute` in that run.
const COMPUTE_NS: f64 = 3.5;

/// How much longer the first process of a cell takes to start: the files it reads are not in memory yet.
const FIRST_START: f64 = 1.5;

/// How much shorter or longer batches of a process are than those of another.
const NOISE: f64 = 0.1;

/// A simulated machine, on which time passes only while processes run.
struct Simulation {
    start: Instant,
    passed: Mutable<Duration>,
    /// How many times as long as in the reference run batches take.
    slowness: f64,
    /// The cells of all processes, in the order in which they started.
    processes: RefCell<Vec<String>>,
    /// Whether each trial was the first of its cell, in the order in which they ran.
    are_first: Vec<bool>,
}

impl Simulation {
    fn pass(&self, time: Duration) {
        self.passed.set(self.passed.get() + time);
    }
}

/// Returns what a cell really takes.
fn truth(cell: &Planned<'_>) -> Cost {
    let name = cell.entry.info.name;
    let work = job_us(&cell.workload.name, name) * cell.scale as f64 / 1e6;
    let (start, overhead) = if name == "asyncio" { (210, 0.001) } else { (50, 0.000_05) };
    let start = start + cell.scale as u64 / 5000;
    let batch = cell.bound(COMPUTE_NS).max(Duration::from_secs_f64(work + overhead));
    Cost { batch, start: Duration::from_millis(start) }
}

/// Returns the CPU time of a batch in nanoseconds.
fn cpu_ns(cell: &Planned<'_>) -> f64 {
    let name = cell.entry.info.name;
    // An interpreter computes for a millisecond in each batch.
    let of_batch = if name == "asyncio" { 1e6 } else { 0.0 };
    job_us(&cell.workload.name, name) * 2e3 * cell.scale as f64 + of_batch
}

impl Runner for Simulation {
    /// CPU time of a batch in nanoseconds.
    type Process = f64;

    fn now(&self) -> Instant {
        self.start + self.passed.get()
    }

    fn compute_ns(&self) -> f64 {
        COMPUTE_NS
    }

    fn refusal(&self, _: &Planned<'_>) -> Option<String> {
        None
    }

    fn revive(&self) -> Result<bool, String> {
        Ok(false)
    }

    fn warm_up(
        &self,
        planned: &Planned<'_>,
        predicted: Cost,
    ) -> Result<WarmProcess<f64>, HostError> {
        let mut cost = truth(planned);
        cost.batch = cost.batch.mul_f64(self.slowness);
        let name = planned.name();
        let mut processes = self.processes.borrow_mut();
        if !processes.contains(&name) {
            cost.start = cost.start.mul_f64(FIRST_START);
        }
        processes.push(name);
        let random = mix(processes.len() as u64) as f64 / u64::MAX as f64;
        cost.batch = cost.batch.mul_f64(1.0 + NOISE * (2.0 * random - 1.0));
        let limit = patience(predicted.start + predicted.batch);
        if cost.start + cost.batch > limit {
            return Err(HostError::Silent(limit));
        }
        self.pass(cost.start + cost.batch);
        Ok(WarmProcess { process: cpu_ns(planned), cost, cpu_ns: 0.0 })
    }

    fn again(&self, warm: &mut WarmProcess<f64>) -> Result<(), HostError> {
        self.pass(warm.cost.batch);
        warm.cpu_ns = warm.process;
        Ok(())
    }

    fn timed(
        &mut self,
        warm: WarmProcess<f64>,
        planned: &Planned<'_>,
        batches: u64,
        first: bool,
    ) -> Result<Trial, HostError> {
        let batch = warm.cost.batch;
        self.pass(batch * u32::try_from(batches).unwrap());
        self.are_first.push(first);
        let user_cpu_ns = (warm.process * batches as f64) as u64;
        Ok(Trial {
            scale: planned.scale,
            times_ns: vec![clock::nanoseconds(batch); batches as usize],
            used: Usage { user_cpu_ns, ..Usage::default() },
            ..Trial::default()
        })
    }
}

/// What became of the default profile in the simulation.
struct Rehearsal {
    /// The names of the cells with a figure.
    measured: Vec<String>,
    /// The names of the cells that have trials, but no figure.
    in_vain: Vec<String>,
    /// Why cells failed.
    failed: Vec<String>,
    are_first: Vec<bool>,
    /// The passes of each cell that has trials.
    passes: Vec<Vec<u32>>,
    left: Duration,
}

/// Rehearsals with two seeds.
static REHEARSALS: LazyLock<[Rehearsal; 2]> =
    LazyLock::new(|| [1, 2].map(|seed| rehearse("--bench", seed, 1.0)));

/// Runs the suite with this option on a machine of this slowness.
fn rehearse(option: &str, seed: u64, slowness: f64) -> Rehearsal {
    let workloads = Profile::Default.workloads().iter().map(|name| workloads::find(name).unwrap());
    let workloads: Vec<_> = workloads.collect();
    let models = DEFAULT_MODELS.map(|name| models::find(name).unwrap());
    let mut planned = plan::cells(&workloads, &models, &plan::Choice::default());
    let two = |cell: &Planned<'_>| cell.workers.is_none_or(|workers| workers <= 2);
    planned.retain(|cell| cell.workload.workers == Workers::Cores || two(cell));
    planned.retain(|cell| cell.entry.info.unsupported_step(cell.workload).is_none());
    let seed = |name: &str| (name == "PACELINE_SEED").then(|| seed.to_string().into());
    let options = Options::read([option.into()].into_iter(), seed).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::part(folder.path(), "").unwrap();
    let start = clock::now();
    let machine = Simulation {
        start,
        slowness,
        passed: Mutable::default(),
        processes: RefCell::default(),
        are_first: vec![],
    };
    let mut suite = Suite::new(&planned, (writer, machine), start, &options);
    suite.all().unwrap();
    let left = suite.left();
    let (cells, machine) = suite.into_cells();
    let names = |is: fn(&Cell) -> bool| {
        let cells = planned.iter().zip(&cells).filter(|(_, cell)| is(cell));
        cells.map(|(planned, _)| planned.name()).collect()
    };
    Rehearsal {
        measured: names(|cell| cell.batch_ns.is_some()),
        in_vain: names(|cell| cell.batch_ns.is_none() && !cell.trials_ns.is_empty()),
        failed: cells
            .iter()
            .filter(|cell| cell.state == State::Failed)
            .filter_map(|cell| cell.reason.clone())
            .collect(),
        are_first: machine.are_first,
        passes: cells.into_iter().map(|cell| cell.per_trial.passes).collect(),
        left,
    }
}

#[test]
fn the_default_profile_has_room_for_its_goals_on_two_cores() {
    if cores() < 2 {
        return;
    }
    for Rehearsal { measured, left, .. } in REHEARSALS.iter() {
        for model in
            ["tokio", "smol", "async-std", "compio"].iter().filter(|m| models::find(m).is_ok())
        {
            for (workload, scale) in
                [("sleep", 1_000_000), ("echo", 10_000), ("service", 10_000), ("switch", 10_000)]
            {
                let goal = format!("{workload}/{model}/{scale}");
                assert!(measured.contains(&goal), "{goal} is not among {}", measured.len());
            }
            let cpu = format!("cpu/{model}@");
            assert!(measured.iter().any(|n| n.starts_with(&cpu) && n.ends_with("/1000")), "{cpu}");
        }
        // What more workers gain is shown at one scale.
        let scale = if cores() <= 10 { 10 } else { 100 };
        for model in ["pool", "rayon", "tokio", "smol", "async-std", "compio"] {
            for workers in [1, cores()] {
                let goal = format!("cpu/{model}@{workers}/{scale}");
                let missing = models::find(model).is_ok() && !measured.contains(&goal);
                assert!(!missing, "{goal} is not among {}", measured.len());
            }
        }
        // An interpreter computes for a millisecond whatever the scale, which must not rule out all greater ones.
        let cell = "sleep/asyncio/10000";
        assert!(measured.iter().any(|name| name == cell), "{cell}");
        assert!(measured.len() > 130, "{} cells, {left:?} left", measured.len());
    }
}

#[test]
fn cells_begin_as_soon_as_there_is_time_and_keep_it_until_they_have_a_figure() {
    if cores() < 2 {
        return;
    }
    for Rehearsal { in_vain, failed, are_first, passes, measured, left } in REHEARSALS.iter() {
        let second = are_first.iter().position(|first| !first).unwrap();
        let late = are_first[second..].iter().filter(|first| **first).count();
        assert!(late > 0, "all began before the second trial of any");
        // Their passes are those in which the others ran meanwhile.
        let of_late: Vec<_> = passes.iter().filter(|passes| !passes.is_empty()).collect();
        assert_eq!(of_late.len(), late);
        assert!(of_late.iter().all(|passes| (1..FEWEST).contains(&passes[0])), "{of_late:?}");
        assert!(in_vain.is_empty(), "{in_vain:?}");
        assert!(failed.is_empty(), "{failed:?}");
        let criterion = Pace::for_profile(Profile::Default).analysis * measured.len() as u32;
        assert!(*left >= criterion, "criterion has {left:?} for {} cells", measured.len());
    }
}

#[test]
fn a_test_of_each_cell_takes_none_for_hung_that_is_slow() {
    let Rehearsal { failed, .. } = rehearse("--test", 1, 10.0);
    assert!(failed.is_empty(), "{failed:?}");
}
