//! The sample's cells: figures by simple laws of scaling with a little noise that is always the same.

use paceline::{
    record::{
        Cell, Estimate, Knee, KneeStep, LoadFigures, Loop, PerTrial, Resources, State, Trial,
    },
    stats::Mode,
};
use paceline_core::{
    generator::Arrivals,
    histogram::{Distribution, Histogram},
    job::mix,
    perform::Placement,
    prepared::Recorded,
};

use super::{attest, head::meanwhile, trial_of};

/// Processes for each cell.
const TRIALS: u32 = 3;

/// How a model does on `sleep`: its name, workers and placement, what a job costs in nanoseconds and in bytes, and how
/// many can wait at once.
type Manner = (&'static str, Option<usize>, Placement, f64, f64, usize);

const MANNERS: [Manner; 6] = [
    ("sequential", Some(1), Placement::Outside, 60_000.0, 48.0, 1),
    ("threads", None, Placement::Outside, 11_000.0, 12_600.0, usize::MAX),
    ("pool", Some(8), Placement::Outside, 900.0, 64.0, 8),
    ("rayon", Some(8), Placement::Inside, 700.0, 56.0, 8),
    ("tokio", Some(8), Placement::Inside, 480.0, 430.0, usize::MAX),
    ("smol", Some(8), Placement::Inside, 950.0, 610.0, usize::MAX),
];

/// All cells, and the trials of those that have them.
pub(crate) fn all() -> (Vec<Cell>, Vec<Trial>) {
    let mut all = (Vec::new(), Vec::new());
    sleep(&mut all);
    cpu(&mut all);
    all.0.extend(served());
    (all.0, all.1)
}

/// From 0 to 1, always the same for the same numbers.
fn chance(of: &[u64]) -> f64 {
    let mixed = of.iter().fold(7, |state, number| mix(state ^ *number));
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// Times around `middle` with a tail to two and a half times of it.
fn times(count: u64, middle: f64, seed: u64) -> Histogram {
    let mut histogram = Histogram::default();
    for n in 0..count {
        let (near, tail) = (chance(&[seed, n, 1]), chance(&[seed, n, 2]));
        histogram.record((middle * (0.97 + near * 0.06 + 1.5 * tail.powi(40))) as u64);
    }
    histogram
}

fn sleep(all: &mut (Vec<Cell>, Vec<Trial>)) {
    for (who, of) in MANNERS.into_iter().enumerate() {
        let (model, workers, placement, job_ns, job_bytes, lanes) = of;
        for (step, scale) in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].into_iter().enumerate()
        {
            let blank = |state| Cell {
                floor_ns: 10_000_000,
                ..Cell::new("sleep", model, scale, workers, placement, state)
            };
            let without = |state, why: &str| Cell { reason: Some(why.to_owned()), ..blank(state) };
            let lacking = match (model, scale) {
                ("threads", 100_000..) => Some(without(
                    State::Refused,
                    "needs 100256 threads, has 63432; raise the hard limit as root: sudo prlimit --pid $$ \
                     --nproc=100256, or nproc in /etc/security/limits.conf",
                )),
                ("sequential" | "pool" | "rayon", 100_000..) => Some(without(
                    State::Skipped,
                    "11 trials of 125 s do not fit into the 47.1 s that are this cell's share",
                )),
                ("rayon", 10_000) => Some(without(
                    State::Invalid,
                    "job 17 returned 1 units and checksum 00000000deadbeef, its definition says 1 and 00000000cafef00d",
                )),
                ("smol", 1_000_000) => {
                    Some(without(State::Failed, "the host ended by signal 9, out of memory"))
                }
                _ => None,
            };
            if let Some(cell) = lacking {
                all.0.push(cell);
                continue;
            }
            let turns = scale.div_ceil(lanes) as f64;
            let trial = 10_060_000.0 * turns + job_ns * scale as f64;
            let latency = 10_060_000.0 * (turns + 1.0) / 2.0 + job_ns * scale as f64 / 2.0;
            let seed = (who * 10 + step) as u64;
            let added = (job_bytes * scale as f64) as u64 + 40_960;
            let attested = attest(scale.min(lanes), workers.unwrap_or(scale) as u32, added);
            let cell = Cell { attest: Some(attested), ..blank(State::Ok) };
            measured(all, cell, trial, latency, seed, added);
        }
    }
    // One whose times fall into two.
    let torn = all.0.iter_mut().find(|c| c.model == "tokio" && c.scale == 100).unwrap();
    let mode = |ns, share| Mode { ns, share };
    torn.modes = Some([mode(10_120_000.0, 0.65), mode(14_800_000.0, 0.35)]);
}

/// Jobs of 240 µs: speed-up by Amdahl's law with a share that differs from model to model.
fn cpu(all: &mut (Vec<Cell>, Vec<Trial>)) {
    let models = [("pool", 0.01), ("rayon", 0.02), ("tokio", 0.03), ("smol", 0.06)];
    for (who, (model, serial)) in models.into_iter().enumerate() {
        for workers in [1_usize, 2, 4, 8] {
            for (step, scale) in [1_usize, 10, 100, 1_000].into_iter().enumerate() {
                let n = workers.min(scale) as f64;
                let trial = 240_000.0 * scale as f64 * (serial + (1.0 - serial) / n) + 9_000.0;
                let placement =
                    if model == "pool" { Placement::Outside } else { Placement::Inside };
                let attested = attest(workers.min(scale), workers as u32, 8_192);
                let cell = Cell {
                    attest: Some(attested),
                    bound_jobs_per_second: Some(n * 1e9 / 240_000.0),
                    ..Cell::new("cpu", model, scale, Some(workers), placement, State::Ok)
                };
                let seed = (1_000 + who * 100 + workers * 10 + step) as u64;
                measured(all, cell, trial, trial / 2.0, seed, 8_192);
            }
        }
    }
}

/// Fills in the figures of a cell whose trial takes so long and whose jobs wait so long for their receipts.
fn measured(
    all: &mut (Vec<Cell>, Vec<Trial>),
    mut cell: Cell,
    batch_ns: f64,
    latency_ns: f64,
    seed: u64,
    added: u64,
) {
    let noise = |trial: u32, n: u64| 0.997 + 0.006 * chance(&[seed, u64::from(trial), n]);
    let batches = |trial| (0..5).map(|n| (batch_ns * noise(trial, n)) as u64).collect::<Vec<_>>();
    let recorded = |trial: u32| {
        let times =
            |middle: f64, part: u64| times(1_000, middle, seed * 31 + u64::from(trial) * 7 + part);
        Recorded {
            latency: times(latency_ns, 1).distribution(),
            service_time: times(latency_ns.min(10_060_000.0), 2).distribution(),
            timer_lateness: (cell.floor_ns > 0)
                .then(|| times(58_000.0, 3).distribution())
                .flatten(),
            sleeps_lost: 0,
            times_ns: vec![batch_ns as u64],
        }
    };
    let processes: Vec<Recorded> = (0..TRIALS).map(recorded).collect();
    let merged = |of: fn(&Recorded) -> Option<&Distribution>| {
        let all = (0..).zip(&processes).filter_map(|(trial, one)| Some((trial, of(one)?)));
        Distribution::merged("it", all).expect("they were just made")
    };
    let medians: Vec<f64> = (0..TRIALS).map(|trial| batches(trial)[2] as f64).collect();
    let p99: Vec<f64> =
        processes.iter().flat_map(|r| &r.latency).map(|latency| latency.ns_p99 as f64).collect();
    let trial = Estimate::of_trials(&medians, 1.0);
    cell.jobs_per_second = trial.map(|trial| trial.per_second(cell.scale));
    cell.batch_ns = trial;
    cell.interval = Some(Estimate::interval_of(TRIALS as usize));
    cell.trials_ns = medians.iter().map(|ns| *ns as u64).collect();
    let cpu = if cell.workload == "cpu" { 241_000.0 } else { 900.0 + 200.0 * chance(&[seed]) };
    cell.cpu_ns_per_job = Some(cpu);
    cell.latency = merged(|r| r.latency.as_ref());
    let p50: Vec<f64> =
        processes.iter().flat_map(|r| &r.latency).map(|latency| latency.ns_p50 as f64).collect();
    cell.latency_ns_p50 = Estimate::of_trials(&p50, 1.0);
    cell.latency_ns_p99 = Estimate::of_trials(&p99, 1.0);
    cell.per_trial = PerTrial {
        jobs_per_second: medians.iter().map(|ns| cell.scale as f64 * 1e9 / ns).collect(),
        latency_ns_p50: p50,
        latency_ns_p99: p99,
        cpu_ns_per_job: [0.99, 1.0, 1.01].map(|share| cpu * share).to_vec(),
        ..PerTrial::default()
    };
    cell.cpu_ns_per_job = cell.cpu_of_trials();
    cell.service_time = merged(|r| r.service_time.as_ref());
    cell.timer_lateness = merged(|r| r.timer_lateness.as_ref());
    let most = f64::from(6 << 20) + added as f64;
    cell.resources = Some(Resources {
        rss_bytes: Some(6 << 20),
        rss_bytes_added: Some(added),
        rss_bytes_max: Some(Estimate { value: most, lower: most * 0.99, upper: most * 1.01 }),
        idle_cpu_share: Some(0.0004),
        threads: cell.attest.as_ref().and_then(|seen| seen.process_threads),
        ..used(cpu)
    });
    for (trial, recorded) in processes.into_iter().enumerate() {
        let trial = trial as u32;
        all.1.push(trial_of(&cell, trial, batches(trial), recorded));
    }
    all.0.push(cell);
}

fn used(cpu_ns: f64) -> Resources {
    Resources {
        user_cpu_ns_per_job: cpu_ns * 2.0 / 3.0,
        system_cpu_ns_per_job: cpu_ns / 3.0,
        voluntary_switches_per_job: 0.52,
        involuntary_switches_per_job: 0.013,
        minor_faults_per_job: 0.25,
        major_faults_per_job: 0.0,
        steal_share: meanwhile().steal_share(),
        cpu_pressure_share: meanwhile().pressure_share(),
        ..Resources::default()
    }
}

/// Each model as a server, of which it is known how many requests a second it can answer.
fn served() -> Vec<Cell> {
    let servers = [("threads", 6_000.0), ("pool", 1_400.0), ("tokio", 11_000.0), ("smol", 9_000.0)];
    let mut cells = Vec::new();
    for (who, (model, capacity)) in servers.into_iter().enumerate() {
        let seed = 5_000 + who as u64 * 10;
        cells.push(loaded(model, 16, None, 3_000.0_f64.min(capacity), seed));
        cells.push(loaded(model, 64, Some(capacity / 2.0), capacity / 2.0, seed + 1));
        let mut knee = loaded(model, 256, Some(capacity), capacity * 0.999, seed + 2);
        knee.load.as_mut().unwrap().knee = Some(stairs(capacity));
        cells.push(knee);
    }
    let saturated = cells.iter_mut().find(|c| c.model == "smol" && c.scale == 64).unwrap();
    *saturated = Cell {
        reason: Some("generator saturated: it used 97.2 % of a CPU, the limit is 95 %".into()),
        load: saturated.load.take(),
        ..Cell::new("serve-service", "smol", 64, Some(8), Placement::Inside, State::Invalid)
    };
    let refused =
        Cell::new("serve-service", "rayon", 64, Some(8), Placement::Inside, State::Refused);
    // In the order of the plan: after three cells each of threads and pool.
    cells.insert(
        6,
        Cell {
            reason: Some(
                "holds a worker for each connection: 64 connections need 64 workers".into(),
            ),
            load: Some(LoadFigures::new(Loop::Open, Some(1_000.0), Some(Arrivals::Poisson), 64)),
            ..refused
        },
    );
    cells
}

/// Rates up to the one behind which the tail gives way.
fn stairs(capacity: f64) -> Knee {
    let step = |share: f64| KneeStep {
        rate: capacity * share,
        latency_ns_p99: (share <= 1.0).then(|| 5_400_000.0 / (1.06 - share).powf(0.3)),
        mostly_late: false,
        gave_way: (share > 1.0).then(|| "not steady: requests in flight grew".into()),
    };
    Knee {
        limit_ns: 20_000_000,
        steps: [0.125, 0.25, 0.5, 1.0, 2.0, 1.4, 1.2].map(step).into(),
        gave_way: Some("p99 passed 20.0 ms".into()),
    }
}

fn loaded(model: &str, connections: usize, rate: Option<f64>, got: f64, seed: u64) -> Cell {
    let middle = 5_300_000.0 + connections as f64 * 2_000.0;
    let (looped, arrivals) =
        rate.map_or((Loop::Closed, None), |_| (Loop::Open, Some(Arrivals::Poisson)));
    let cpu = 21_000.0 + 1_000.0 * chance(&[seed]);
    let workers = (model != "threads").then_some(8);
    let placement = if workers.is_some() { Placement::Inside } else { Placement::Outside };
    let latency = times(1_000, middle, seed).distribution();
    let [p50, p99] = latency.as_ref().map(|of| [of.ns_p50 as f64, of.ns_p99 as f64]).unwrap();
    let (offered, seconds) = ((got * 9.0) as u64, 3.0);
    let rates: Vec<f64> = (0..5).map(|pass| got * (0.998 + 0.001 * f64::from(pass))).collect();
    Cell {
        jobs_per_second: Estimate::of_trials(&rates, 0.1),
        bound_jobs_per_second: Some(rate.unwrap_or(connections as f64 / 0.005)),
        per_trial: PerTrial { jobs_per_second: rates, ..PerTrial::default() },
        interval: Some(Estimate::interval_of(TRIALS as usize)),
        floor_ns: 5_000_000,
        cpu_ns_per_job: Some(cpu),
        latency,
        latency_ns_p50: Some(Estimate { value: p50, lower: p50 * 0.99, upper: p50 * 1.01 }),
        latency_ns_p99: Some(Estimate { value: p99, lower: p99 * 0.97, upper: p99 * 1.04 }),
        service_time: times(1_000, 5_250_000.0, seed + 5).distribution(),
        resources: Some(used(cpu)),
        load: Some(LoadFigures {
            warm_up_seconds: 1.0,
            duration_seconds: seconds,
            offered,
            completed: offered,
            late_starts: 3,
            schedule_error: rate.and_then(|_| times(500, 42_000.0, seed + 6).distribution()),
            generator_cpu_share_max: Some(0.31),
            little_error_max: Some(0.004),
            ..LoadFigures::new(looped, rate, arrivals, connections as u64)
        }),
        ..Cell::new("serve-service", model, connections, workers, placement, State::Ok)
    }
}
