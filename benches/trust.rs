//! Checks that the suite finds planted costs, measures its recorder, and compares its generator with `wrk`:
//! `cargo bench --bench trust [-- planted|recorder|speed|agreement]`.
//!
//! Each of three synthetic models is `threads` with one known cost more: a delay, CPU time or memory. It is measured
//! beside `threads` in one run, and the difference must be that cost, within 2 %.
#![allow(missing_docs, reason = "a program, not a library")]

#[path = "trust/planted.rs"]
mod planted;
#[path = "trust/wrk.rs"]
mod wrk;

use std::time::Duration;

use paceline::record::{Cell, bytes_per_job};
use paceline_core::{
    child::spawned,
    clock::{now, ticks_per_ns},
    job::Workload,
    model::Settings,
    models,
    prepared::Prepared,
};
use planted::{CPU, DELAY, MEMORY, MODELS, measured};

const NAP: &str = "{ sleep = \"20ms\" }";
/// The number of pairs of measurements, which take turns.
const PAIRS: usize = 9;

fn main() {
    models::add(&MODELS);
    spawned();
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let filter = words.find(|word| !word.starts_with('-')).unwrap_or_default();
    let wanted = |name: &str| name.contains(&filter);
    let mut off = false;
    if wanted("planted") {
        println!("what was planted      planted      recovered     ratio");
        let delay = |cell: &Cell| cell.batch_ns.unwrap().value;
        let p50 = |cell: &Cell| cell.latency.as_ref().unwrap().ns_p50 as f64;
        let late = |cell: &Cell| cell.timer_lateness.as_ref().unwrap().ns_p50 as f64;
        let cpu = |cell: &Cell| cell.cpu_ns_per_job.unwrap();
        let of_delay = measured("planted-delay", NAP, &[1], 15);
        off |= shown("delay, in the batch", DELAY.as_nanos() as f64, &of_delay, delay);
        off |= shown("delay, in latency", DELAY.as_nanos() as f64, &of_delay, p50);
        off |= shown("delay, as lateness", DELAY.as_nanos() as f64, &of_delay, late);
        let of_cpu = measured("planted-cpu", NAP, &[20], 15);
        off |= shown("CPU time", CPU.as_nanos() as f64, &of_cpu, cpu);
        let scales = [50, 200, 400, 800];
        let of_memory = measured("planted-memory", "{ sleep = \"200ms\" }", &scales, 15);
        let bytes = |model: &str| {
            let series: Vec<&Cell> = of_memory.iter().filter(|cell| cell.model == model).collect();
            bytes_per_job(&series).unwrap()
        };
        off |= row("memory, bytes", MEMORY as f64, bytes("planted-memory") - bytes("threads"));
    }
    if wanted("recorder") {
        recorder();
    }
    if (wanted("speed") || wanted("agreement")) && wrk::is_there() {
        off |= wanted("speed") && wrk::speed(PAIRS);
        off |= wanted("agreement") && wrk::agreement(PAIRS);
    }
    std::process::exit(i32::from(off));
}

/// Prints the difference of a figure between both models. Returns whether it is off by more than 2 %.
fn shown(what: &str, planted: f64, cells: &[Cell], figure: impl Fn(&Cell) -> f64) -> bool {
    let of = |planted: bool| {
        figure(cells.iter().find(|cell| cell.model.starts_with("planted") == planted).unwrap())
    };
    row(what, planted, of(true) - of(false))
}

fn row(what: &str, planted: f64, recovered: f64) -> bool {
    let ratio = recovered / planted;
    let off = (ratio - 1.0).abs() > 0.02;
    let word = if off { "  OFF BY MORE THAN 2 %" } else { "" };
    println!("{what:20} {planted:>12.0} {recovered:>12.0}    {ratio:.4}{word}");
    off
}

/// Prints the cost of the recorder per job: batches of jobs that do nothing, with and without it, take turns.
fn recorder() {
    const JOBS: usize = 1_000_000;
    println!(
        "\nmodel                 a job, ns    recorded, ns    the recorder, ns (median of {PAIRS} pairs)"
    );
    let job = Workload::parse("empty.toml", "name = \"empty\"\njob = []").unwrap();
    for name in ["sequential", "tokio-current-thread", "rayon"] {
        let about = &models::find(name).unwrap().info;
        let workers = about.workers(&[2])[0];
        let model = models::find(name).unwrap().start(&Settings { workers: workers.unwrap_or(1) });
        let model = model.unwrap();
        let ready = Prepared::new(about, &job, JOBS, workers, about.placements[0]);
        let begun = now();
        let mut pairs: Vec<(f64, f64)> = (0..=PAIRS)
            .map(|_| {
                let plain = ready.batch(&*model).unwrap().as_nanos() as f64;
                let recorded = ready.record(&*model, 1, ticks_per_ns()).unwrap().times_ns[0] as f64;
                (plain / JOBS as f64, recorded / JOBS as f64)
            })
            .skip(1)
            .collect();
        assert!(now() - begun < Duration::from_mins(2), "it took too long to mean anything");
        pairs.sort_unstable_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        let (plain, recorded) = pairs[PAIRS / 2];
        println!("{name:20} {plain:>10.1} {recorded:>15.1} {:>19.1}", recorded - plain);
    }
}
