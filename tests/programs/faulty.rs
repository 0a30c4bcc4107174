//! A program with cells that do what a gate must cope with, for `tests/gate.rs`.

#![expect(clippy::print_stderr, reason = "its last words are what a test looks for")]

use std::{fs, hint::black_box, path::PathBuf, process::ExitCode, thread, time::Duration};

use paceline::{Gated, job::compute, measure::Own};

/// A closure that computes so many rounds.
fn work(rounds: u64) -> impl Fn() -> Box<dyn FnMut() -> u64> {
    move || Box::new(move || compute(black_box(7), rounds))
}

/// How many processes have asked before, counted in a file that the environment names.
fn processes_before() -> u64 {
    let Some(path) = std::env::var_os("FAULTY_COUNT").map(PathBuf::from) else { return 0 };
    let before = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let _ = fs::write(path, (before + 1_u64).to_string());
    before
}

fn main() -> ExitCode {
    // A gate of 10 rounds starts 17 of the head: one that is asked whether it has the cell, and 6 for the pilot.
    let dies_every = |nth: u64| {
        move || {
            let dies = processes_before() % nth == nth - 1;
            move || if dies { std::process::abort() } else { compute(black_box(7), 20_000) }
        }
    };
    let dies = || {
        || {
            eprintln!("a fault was planted");
            std::process::exit(9)
        }
    };
    let panics = || || assert!(black_box(false), "planted");
    Gated::new()
        .cell(Own::closure("same", work(20_000)).against(work(20_000)))
        .cell(Own::closure("slower", work(20_000)).against(work(60_000)))
        .cell(Own::closure("faster", work(60_000)).against(work(20_000)))
        .cell(Own::closure("dies seldom", work(20_000)).against(dies_every(10)))
        .cell(Own::closure("dies often", work(20_000)).against(dies_every(4)))
        .cell(Own::closure("dies", work(20_000)).against(dies))
        .cell(Own::closure("panics", work(20_000)).against(panics))
        .cell(
            Own::closure("hangs", work(20_000))
                .against(|| || thread::sleep(Duration::from_hours(1))),
        )
        .cell(Own::command("command fails", ["true"]).against_command(["false"]))
        .cell(Own::command("no command", ["true"]).against_command(["there-is-no-such-program"]))
        .closure("one half", work(20_000))
        .main()
}
