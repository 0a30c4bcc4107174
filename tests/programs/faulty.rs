//! A program with cells that do what a gate must cope with, for `tests/gate.rs`.

use std::{
    fs,
    hint::black_box,
    path::PathBuf,
    process::{Child, Command, ExitCode},
    thread,
    time::Duration,
};

use paceline_core::job::compute;
use paceline_gated::{CustomCell, Gated};

/// A closure that computes so many rounds.
fn work(rounds: u64) -> impl Fn() -> Box<dyn FnMut() -> u64> {
    move || Box::new(move || compute(black_box(7), rounds))
}

/// How many processes have asked before under this name, counted in a file beside the one that the environment names.
fn processes_before(name: &str) -> u64 {
    let Some(path) = std::env::var_os("FAULTY_COUNT").map(PathBuf::from) else { return 0 };
    let path = path.with_extension(name);
    let before = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let _ = fs::write(path, (before + 1_u64).to_string());
    before
}

/// Whether this process is of the base's copy: the third of the programs that the gate stages.
fn is_copy() -> bool {
    std::env::current_exe().is_ok_and(|path| path.to_string_lossy().ends_with("side-2"))
}

/// Works where the process may use one CPU, and panics elsewhere.
fn one_cpu() -> impl FnMut() -> u64 {
    || {
        assert_eq!(thread::available_parallelism().map_or(0, usize::from), 1);
        compute(black_box(7), 20_000)
    }
}

fn main() -> ExitCode {
    // A gate of 10 rounds starts 17 of the head: one that is asked whether it has the cell, and 6 for the pilot.
    let dies_if = |name: &'static str, is_so: fn(u64) -> bool| {
        move || {
            let dies = is_so(processes_before(name));
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
    let copy_is_slower = |is_so: fn() -> bool| {
        move || {
            let rounds = if is_copy() && is_so() { 60_000 } else { 20_000 };
            move || compute(black_box(7), rounds)
        }
    };
    // Its threads compute on while the base runs, and slow it down as much.
    let goes_on = || {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            thread::spawn(|| {
                loop {
                    black_box(compute(black_box(7), 1_000));
                }
            });
        }
        || compute(black_box(7), 20_000)
    };
    // So do processes that it has started.
    let goes_on_beside = || {
        let processes = 0..thread::available_parallelism().map_or(1, usize::from);
        let start = |_| Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let started: Vec<Child> = processes.map(start).collect();
        move || compute(black_box(7 + started.len() as u64), 20_000)
    };
    Gated::new()
        .cell(CustomCell::closure("same", work(20_000)).against(work(20_000)))
        .cell(CustomCell::closure("slower", work(20_000)).against(work(60_000)))
        .cell(CustomCell::closure("faster", work(60_000)).against(work(20_000)))
        .cell(
            CustomCell::closure("dies seldom", work(20_000))
                .against(dies_if("seldom", |n| n % 10 == 9)),
        )
        .cell(
            CustomCell::closure("dies often", work(20_000))
                .against(dies_if("often", |n| n % 4 == 3)),
        )
        .cell(
            // Never three times in a row, which would end the cell.
            CustomCell::closure("aborts in 60 %", work(20_000))
                .against(dies_if("sixty", |n| matches!(n % 5, 0 | 1 | 3))),
        )
        .cell(
            CustomCell::closure("aborts always", work(20_000)).against(dies_if("always", |_| true)),
        )
        .cell(
            // The base dies once, the head in every second process.
            CustomCell::closure("is excused", dies_if("once", |n| n == 8))
                .against(dies_if("half", |n| n % 2 == 1)),
        )
        .cell(CustomCell::closure("base aborts", dies_if("base", |_| true)).against(work(20_000)))
        .cell(
            // Neither side is worse than the other, and no side dies twice in a row.
            CustomCell::closure("both die", dies_if("one", |n| n % 8 == 5))
                .against(dies_if("other", |n| n % 8 == 6)),
        )
        .cell(CustomCell::closure("dies", work(20_000)).against(dies))
        .cell(CustomCell::closure("panics", work(20_000)).against(panics))
        .cell(
            CustomCell::closure("hangs", work(20_000))
                .against(|| || thread::sleep(Duration::from_hours(1))),
        )
        .cell(CustomCell::closure("goes on", work(20_000)).against(goes_on))
        .cell(CustomCell::closure("goes on beside", work(20_000)).against(goes_on_beside))
        .cell(CustomCell::command("command fails", ["true"]).against_command(["false"]))
        .cell(
            CustomCell::command("no command", ["true"])
                .against_command(["there-is-no-such-program"]),
        )
        .cell(CustomCell::closure("copy is slower", copy_is_slower(|| true)).against(work(20_000)))
        .cell(
            // For the pilot and ten rounds.
            CustomCell::closure(
                "copy is slower at first",
                copy_is_slower(|| processes_before("copy") < 16),
            )
            .against(work(20_000)),
        )
        .cell(CustomCell::closure("on one CPU", one_cpu).against(one_cpu))
        .closure("one half", work(20_000))
        // In the program `gated` too, where it does more.
        .closure("look up/1000", work(1_000))
        .main()
}
