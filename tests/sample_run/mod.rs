//! A recorded run with a cell of every kind, the same each time, for the tests of what is shown and exported.
#![allow(dead_code, clippy::missing_panics_doc, reason = "each test uses what it needs of it")]

mod cells;
pub(crate) mod courses;
mod head;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use paceline::record::{Cell, Estimate, Record, State, Trial};
use paceline_core::{
    prepared::{Attestation, Recorded},
    usage::Usage,
};
use serde::Serialize;

/// A text that breaks what does not escape.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>|a\nb\r\t\u{202e}rtl\u{7}\u{1b}[31m `x` *y* @user \"q\" \\| ]]> &amp; {{ x }}, =1+1 www.example.com";

/// Five models on three workloads: `sleep` over seven scales with every state, `cpu` over scales and workers, and
/// `serve-service` under loads, closed, open, and up to its knee. The cells of `sleep` and `cpu` have their trials.
pub(crate) fn record() -> Record {
    // Its histograms take a second to make.
    static MADE: OnceLock<Record> = OnceLock::new();
    let make = || {
        let (cells, trials) = cells::all();
        Record {
            folder: PathBuf::from("results").join(head::ID),
            run: head::run(),
            cells,
            trials,
            nodes: None,
        }
    };
    MADE.get_or_init(make).clone()
}

/// The same with hostile texts wherever a text may come from outside: names, reasons, definitions, the command line,
/// the machine. One name has 10 000 characters, and one differs from it in the last.
pub(crate) fn hostile() -> Record {
    let mut record = record();
    let run = &mut record.run;
    for text in [&mut run.fingerprint.cpu_name, &mut run.fingerprint.kernel, &mut run.build.flags] {
        *text = HOSTILE.into();
    }
    run.id = format!("run {HOSTILE}");
    run.command.push(HOSTILE.into());
    run.commit = Some(HOSTILE.into());
    run.settings.insert(HOSTILE.into(), HOSTILE.into());
    let renamed = |name: &mut String| match name.as_str() {
        "sleep" => *name = format!("sleep {HOSTILE}"),
        "smol" => *name = format!("smol {HOSTILE}"),
        "cpu" => *name = "n".repeat(10_000),
        "serve-service" => *name = format!("{}2", "n".repeat(9_999)),
        _ => {}
    };
    for workload in &mut run.workloads {
        renamed(&mut workload.name);
        workload.source.push_str(HOSTILE);
    }
    for model in &mut run.models {
        renamed(&mut model.name);
        model.note = HOSTILE.into();
    }
    for trial in &mut record.trials {
        renamed(&mut trial.workload);
        renamed(&mut trial.model);
    }
    for (index, cell) in record.cells.iter_mut().enumerate() {
        renamed(&mut cell.workload);
        renamed(&mut cell.model);
        if cell.state != State::Ok {
            let long = if index % 2 == 0 { "r".repeat(10_000) } else { String::new() };
            cell.reason = Some(format!("{HOSTILE}{long}"));
        }
        if let Some(load) = &mut cell.load {
            load.by_url = courses::urls(HOSTILE).into();
            if let Some(knee) = &mut load.knee {
                knee.gave_way = Some(HOSTILE.into());
            }
        }
    }
    record
}

/// The same run on a machine that refused every cell.
pub(crate) fn only_refused() -> Record {
    let mut record = record();
    for cell in &mut record.cells {
        let Cell { workload, model, scale, workers, placement, .. } = cell.clone();
        *cell = Cell {
            reason: Some("needs 40000 open files, has 1024; raise the hard limit as root: sudo prlimit --pid $$ \
                 --nofile=40000, or nofile in /etc/security/limits.conf".into()),
            ..Cell::new(&workload, &model, scale, workers, placement, State::Refused)
        };
    }
    record.trials.clear();
    record
}

/// The same with a single process for each cell: no figure has an interval.
pub(crate) fn without_intervals() -> Record {
    let mut record = record();
    let alone = |of: &mut Option<Estimate>| {
        if let Some(of) = of {
            (of.lower, of.upper) = (of.value, of.value);
        }
    };
    record.trials.retain(|trial| trial.trial == 0);
    for cell in &mut record.cells {
        for of in [&mut cell.jobs_per_second, &mut cell.batch_ns] {
            alone(of);
        }
        alone(&mut cell.latency_ns_p50);
        alone(&mut cell.latency_ns_p99);
        let of = &mut cell.per_trial;
        of.jobs_per_second.truncate(1);
        for of in [&mut of.latency_ns_p50, &mut of.latency_ns_p99, &mut of.rss_bytes_max] {
            of.truncate(1);
        }
        if let Some(used) = &mut cell.resources {
            alone(&mut used.rss_bytes_max);
        }
        cell.trials_ns.truncate(1);
        cell.interval = (!cell.trials_ns.is_empty()).then(|| Estimate::interval_of(1));
        cell.modes = None;
    }
    record
}

/// The same with figures that are no numbers, in turns, or whose intervals are none; and some histograms that are none.
pub(crate) fn not_finite() -> Record {
    let mut record = record();
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for (index, cell) in record.cells.iter_mut().enumerate() {
        let value = bad[index % 3];
        let figure = if index % 4 == 0 { 1234.5 } else { value };
        let estimate = Estimate { value: figure, lower: bad[(index + 1) % 3], upper: value };
        for of in [&mut cell.jobs_per_second, &mut cell.batch_ns, &mut cell.latency_ns_p99] {
            *of = of.map(|_| estimate);
        }
        cell.cpu_ns_per_job = cell.cpu_ns_per_job.map(|_| value);
        cell.bound_jobs_per_second = Some(value);
        if let Some(used) = &mut cell.resources {
            (used.user_cpu_ns_per_job, used.idle_cpu_share) = (value, Some(value));
            used.rss_bytes_max = used.rss_bytes_max.map(|_| estimate);
        }
        if let Some(latency) = &mut cell.latency {
            latency.ns_mean = value;
            if index % 7 == 0 {
                latency.hdr_v2 = "not a histogram".into();
            }
        }
        if let Some(load) = &mut cell.load {
            load.rate = load.rate.map(|_| value);
        }
    }
    record
}

/// As many cells as wanted, of many workloads, without trials.
pub(crate) fn large(count: usize) -> Record {
    let mut record = record();
    let of: Vec<Cell> = record.cells.iter().filter(|c| c.workload == "sleep").cloned().collect();
    record.cells = (0..count)
        .map(|index| {
            let cell = of[index % of.len()].clone();
            Cell { workload: format!("sleep-{}", index / of.len()), ..cell }
        })
        .collect();
    record.trials.clear();
    record
}

/// Writes it as a run would, below `results`, and returns its folder. What is not finite cannot be read again.
pub(crate) fn write(record: &Record, results: &Path) -> PathBuf {
    let folder = results.join(head::ID);
    fs::create_dir_all(&folder).unwrap();
    let run = serde_json::to_string_pretty(&record.run).unwrap();
    fs::write(folder.join("run.json"), run + "\n").unwrap();
    fs::write(folder.join("cells.jsonl"), lines(&record.cells)).unwrap();
    fs::write(folder.join("trials.jsonl"), lines(&record.trials)).unwrap();
    folder
}

fn lines(of: &[impl Serialize]) -> String {
    of.iter().map(|one| serde_json::to_string(one).unwrap() + "\n").collect()
}

/// The trial that one process of a cell was.
fn trial_of(cell: &Cell, trial: u32, times_ns: Vec<u64>, recorded: Recorded) -> Trial {
    let jobs = cell.scale as u64 * times_ns.len() as u64;
    let each = cell.cpu_ns_per_job.unwrap_or(0.0) as u64;
    Trial {
        workload: cell.workload.clone(),
        model: cell.model.clone(),
        scale: cell.scale,
        workers: cell.workers,
        placement: cell.placement,
        trial,
        attest: cell.attest.clone().unwrap_or_else(|| attest(cell.scale, 2, 0)),
        used: Usage {
            user_cpu_ns: jobs * each * 2 / 3,
            system_cpu_ns: jobs * each / 3,
            voluntary_switches: jobs / 2,
            involuntary_switches: jobs / 100,
            minor_faults: jobs / 4,
            major_faults: 0,
        },
        idle_ns: (trial == 0).then_some((40_000, 100_000_000)),
        host_activity: head::meanwhile(),
        times_ns,
        recorded,
        ..Trial::default()
    }
}

/// What a warm-up trial saw.
fn attest(in_flight: usize, threads: u32, rss_bytes_added: u64) -> Attestation {
    Attestation {
        elapsed_ns: 12_345_678,
        peak_in_flight: in_flight as u32,
        job_threads: threads,
        process_threads: Some(u64::from(threads) + 1),
        epolls: Some(1),
        rings: Some(0),
        rss_bytes: Some(6 << 20),
        rss_bytes_max: Some((6 << 20) + rss_bytes_added),
        future_bytes: Some(136),
        ..Attestation::default()
    }
}
