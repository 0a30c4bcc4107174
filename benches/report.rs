//! Measures the time and memory that a report takes, and the size of its page, for records of 200, 1 000 and 10 000
//! cells: `cargo bench --bench report [-- FOLDER]`. The pages are kept in the folder, if one is given.
#![allow(missing_docs, reason = "a program, not a library")]

#[path = "../tests/sample_run/mod.rs"]
mod sample_run;

use std::{env, fs, path::Path, process::Command};

use paceline::record::{Cell, Record, Writer};
use paceline_core::clock::now;
use paceline_gated::usage::memory_of_children;

/// Each page is made this many times; the median counts.
const TIMES: usize = 5;

fn main() {
    let kept = env::args_os().skip(1).find(|argument| !argument.to_string_lossy().starts_with('-'));
    let folder = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().map_or(folder.path(), Path::new);
    println!("{:>7} {:>10} {:>10} {:>14}", "cells", "seconds", "MiB", "page KB");
    // The smallest comes first: the system shows the greatest memory of all children so far.
    for count in [200, 1_000, 10_000] {
        let results = folder.join(count.to_string());
        let record = record(count);
        write(&results, &record);
        let mut seconds: Vec<f64> = (0..TIMES).map(|_| make(&results, &record)).collect();
        seconds.sort_by(f64::total_cmp);
        let memory = memory_of_children().unwrap() as f64 / f64::from(1 << 20);
        let page = fs::metadata(results.join(&record.run.id).join("report.html")).unwrap().len();
        let (median, size) = (seconds[TIMES / 2], page as f64 / 1000.0);
        println!("{:>7} {median:>10.3} {memory:>10.1} {size:>14.1}", record.cells.len());
    }
}

/// Returns a record with at least `count` cells: the sample's workloads, repeated under other names.
fn record(count: usize) -> Record {
    let mut record = sample_run::record();
    let sample = record.cells.clone();
    record.trials.clear();
    let copy = |(index, cell): (usize, &Cell)| Cell {
        workload: format!("{}-{}", cell.workload, index / sample.len()),
        ..cell.clone()
    };
    record.cells = sample.iter().cycle().enumerate().map(copy).take(count).collect();
    record
}

fn write(results: &Path, record: &Record) {
    let mut writer = Writer::create(results, &record.run).unwrap();
    for cell in &record.cells {
        writer.write(cell).unwrap();
    }
}

/// Makes the page as a user would. Returns the seconds that it took, including the start of the program.
fn make(results: &Path, record: &Record) -> f64 {
    let start = now();
    let done = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(["report", &record.run.id, "--out"])
        .arg(results)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (now() - start).as_secs_f64()
}
