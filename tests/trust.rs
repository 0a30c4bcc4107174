//! Costs planted in a model are in the figures of `run`, beside the same model without them: through fresh processes,
//! the recorder, the counters of the kernel and the record. This program has the planted models, so it is its own host.
//!
//! A busy machine makes everything take longer, so times are held to the planted cost from below, and the model without
//! it is shown not to have it. Memory is counted, and held to both ends. `cargo bench --bench trust -- planted` demands
//! 2 % of all, on a quiet machine.

#[path = "../benches/trust/planted.rs"]
mod planted;

use std::process::{Command, ExitCode};

use paceline::record::{Cell, State, bytes_per_job};
use paceline_core::{child::spawned, histogram::Distribution, models};
use planted::{CPU, DELAY, MEMORY, MODELS};

type Test = (&'static str, fn());

/// Set where this program is `paceline` with the planted models.
const PACELINE: &str = "PACELINE_TEST_IS_PACELINE";

/// Makes a list of tests and their names.
macro_rules! tests {
    ($($test:ident)*) => {
        const TESTS: &[Test] = &[$((stringify!($test), $test)),*];
    };
}

tests! {
    a_planted_delay_is_in_the_batch_in_latency_and_in_lateness
    planted_cpu_time_is_in_the_cpu_time_of_a_job
    planted_memory_is_in_the_bytes_of_a_job
    a_server_that_is_not_what_its_label_says_has_no_figure
}

fn main() -> ExitCode {
    models::add(&MODELS);
    spawned();
    if std::env::var_os(PACELINE).is_some() {
        return paceline::cli::main();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|word| !word.starts_with('-'));
    for (name, test) in TESTS {
        if arguments.iter().any(|word| word == "--list") {
            println!("{name}: test");
        } else if filter.is_none_or(|filter| name.contains(filter.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

fn a_server_that_is_not_what_its_label_says_has_no_figure() {
    let folder = tempfile::tempdir().unwrap();
    let quick = ["--rate=50", "--arrivals=uniform", "--connections=4", "--trials=1"];
    let load = |model: &str| {
        let mut load = Command::new(std::env::current_exe().unwrap());
        load.args(["load", "serve-plain", "--model", model, "--format=json", "--duration=500ms"])
            .args(quick)
            .current_dir(folder.path())
            .env(PACELINE, "1")
            .env("PACELINE_ALLOW_DEBUG", "1");
        let output = load.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let cells = serde_json::from_slice::<Vec<Cell>>(&output.stdout);
        cells.unwrap_or_else(|why| panic!("{why}: {said}")).remove(0)
    };
    let ended = |model: &str| {
        // On a busy machine the generator comes too late for any figure.
        let calm =
            |cell: &Cell| !cell.reason.as_deref().is_some_and(|why| why.contains("generator "));
        (0..10).map(|_| load(model)).find(calm)
    };
    let (Some(threads), Some(false_label)) = (ended("threads"), ended("planted-label")) else {
        println!("left out: this machine keeps the generator from the CPU");
        return;
    };
    assert_eq!(threads.state, State::Ok, "{threads:?}");
    let server = threads.load.unwrap().server.unwrap();
    assert!(
        server.job_threads >= Some(4) && server.rss_bytes_max >= server.rss_bytes,
        "{server:?}"
    );
    assert!(server.rss_bytes > Some(1 << 20) && server.epolls == Some(0), "{server:?}");
    let why = false_label.reason.unwrap();
    assert_eq!(false_label.state, State::Invalid, "{why}");
    assert!(why.contains("threads ran jobs of planted-label, which has 1 for it"), "{why}");
}

/// The cells of three passes, all of which have figures.
fn measured(planted: &str, job: &str, scales: &[usize]) -> Vec<Cell> {
    let cells = planted::measured(planted, job, scales, 3);
    let whole = cells.iter().all(|cell| cell.state == State::Ok && cell.trials() == 3);
    assert!(whole && cells.len() == 2 * scales.len(), "{cells:?}");
    cells
}

/// Returns the least of the times.
fn least(times: Option<&Distribution>) -> f64 {
    times.unwrap().histogram().unwrap().quantile(0.0) as f64
}

fn least_of(figures: impl IntoIterator<Item = f64>) -> f64 {
    figures.into_iter().fold(f64::INFINITY, f64::min)
}

/// Measures until `threads` was once left alone by the machine, and checks the planted model each time: each of its
/// `figures` is at least the `least` that is possible with the cost, which no figure of `threads` must reach.
fn found(
    (planted, job): (&str, &str),
    scale: usize,
    figures: impl Fn(&Cell) -> Vec<f64>,
    least: &[f64],
) {
    const TRIES: usize = 10;
    let has_not = |_: usize| {
        let cells = measured(planted, job, &[scale]);
        let [without, with] = [&cells[0], &cells[1]].map(&figures);
        // Histograms keep 3 digits.
        let has = with.iter().zip(least).all(|(figure, least)| *figure >= least * 0.998);
        assert!(has, "{planted} has {with:?}, and cannot have less than {least:?}");
        without.iter().zip(least).all(|(figure, least)| figure < least)
    };
    assert!((0..TRIES).any(has_not), "threads seems to have what was planted in {planted}");
}

fn a_planted_delay_is_in_the_batch_in_latency_and_in_lateness() {
    let (delay, sleep) = (DELAY.as_nanos() as f64, 20e6);
    let figures = |cell: &Cell| {
        vec![
            least_of(cell.trials_ns.iter().map(|ns| *ns as f64)),
            least(cell.latency.as_ref()),
            least(cell.service_time.as_ref()),
            least(cell.timer_lateness.as_ref()),
        ]
    };
    let whole = sleep + delay;
    found(("planted-delay", "{ sleep = \"20ms\" }"), 1, figures, &[whole, whole, whole, delay]);
}

fn planted_cpu_time_is_in_the_cpu_time_of_a_job() {
    let figures = |cell: &Cell| {
        vec![cell.cpu_ns_per_job.unwrap(), least_of(cell.per_trial.cpu_ns_per_job.clone())]
    };
    let cpu = CPU.as_nanos() as f64;
    found(("planted-cpu", "{ sleep = \"20ms\" }"), 10, figures, &[cpu, cpu]);
}

fn planted_memory_is_in_the_bytes_of_a_job() {
    const SCALES: [usize; 3] = [50, 200, 400];
    const TRIES: usize = 5;
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        // All have begun before the first of them sleeps, and holds its memory for as long as the others take to.
        let cells =
            measured("planted-memory", "{ park = \"all\" }, { sleep = \"300ms\" }", &SCALES);
        let in_flight = |cell: &Cell| cell.attest.as_ref().unwrap().peak_in_flight as usize;
        assert!(cells.iter().all(|cell| in_flight(cell) == cell.scale), "{cells:?}");
        let bytes = |model: &str| {
            let series: Vec<&Cell> = cells.iter().filter(|cell| cell.model == model).collect();
            bytes_per_job(&series).unwrap()
        };
        let recovered = (bytes("planted-memory") - bytes("threads")) / MEMORY as f64;
        if (0.98..=1.05).contains(&recovered) {
            return;
        }
        seen.push(recovered);
    }
    panic!("of the planted memory {seen:?} was found");
}
