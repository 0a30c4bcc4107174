//! Sides that crash, hang or never work, and null arms that fire.

use std::{
    fs,
    path::{Path, PathBuf},
};

use paceline::record::{Overall, State, Verdict, read_gate_trials};

use super::{
    GROSS, executable, gated, halves,
    program::{PACELINE, folder, is_installed},
    record,
};

#[test]
fn a_process_that_dies_in_mid_trial_costs_the_trial_and_is_counted() {
    let folder = folder();
    let (_, gate, said) = halves("^dies seldom$", &[], folder.path());
    let cell = &gate.cells[0];
    assert!(cell.dropped == 1 && cell.trials == 10, "{cell:?} {said}");
    assert!(cell.verdict.is_some());
    let trials = read_gate_trials(&record(folder.path())).unwrap();
    let dropped = trials.iter().filter_map(|trial| trial.dropped.as_ref());
    assert!(dropped.into_iter().any(|why| why.contains("head: the process of the cell ended")));
}

#[test]
fn a_head_that_dies_again_and_again_does_not_pass_by_the_trials_that_it_survived() {
    let folder = folder();
    let (code, gate, said) = halves("^dies often$", &[], folder.path());
    let cell = &gate.cells[0];
    assert_eq!((cell.state, cell.verdict, code), (State::Failed, None, Some(3)), "{said}");
    let why = cell.reason.as_ref().unwrap();
    assert!(
        why.contains("the head crashed in ") && why.contains(", the base and its copy in 0 of ")
    );
    assert_eq!(gate.verdict, Overall::Failed);
    assert!(gate.summary.contains("1 failed; dies often time per job: the head crashed"));
}

#[test]
fn a_null_arm_that_fires_voids_its_cell_alone_and_the_cell_is_measured_again_by_itself() {
    let folder = folder();
    let (code, gate, said) =
        halves("^(slower|copy is slower|copy is slower at first)$", &[], folder.path());
    let of = |name: &str| gate.cells.iter().find(|cell| cell.cell == name).unwrap();
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{said}");
    assert_eq!((of("slower").verdict, of("slower").again), (Some(Verdict::Regressed), false));
    let always = of("copy is slower");
    assert_eq!((always.verdict, always.null_fired, always.again), (None, true, true));
    assert!(always.reason.as_ref().unwrap().contains("measured again by itself too"));
    let at_first = of("copy is slower at first");
    assert_eq!((at_first.null_fired, at_first.again, at_first.trials), (false, true, 10));
    assert!(at_first.verdict.is_some(), "{at_first:?}");
    assert!(gate.summary.contains("1 void"), "{}", gate.summary);
    // The second time is told apart in the record, and trials are numbered through.
    let trials = read_gate_trials(&record(folder.path())).unwrap();
    for (name, again) in [("slower", 0), ("copy is slower", 10), ("copy is slower at first", 10)] {
        let of: Vec<_> = trials.iter().filter(|r| r.cell == name && !r.pilot).collect();
        assert_eq!(of.iter().filter(|trial| trial.again).count(), again, "{name}");
        let numbers: std::collections::BTreeSet<u32> = of.iter().map(|trial| trial.trial).collect();
        assert_eq!(numbers.len(), of.len(), "{name}");
    }
}

#[test]
fn a_null_arm_that_fires_twice_is_an_unfit_machine_where_nothing_weighs_more() {
    let folder = folder();
    let (code, gate, said) = halves("^(same|copy is slower)$", &[], folder.path());
    assert_eq!((code, gate.verdict), (Some(6), Overall::EnvironmentInvalid), "{said}");
    let same = gate.cells.iter().find(|cell| cell.cell == "same").unwrap();
    assert!(same.verdict.is_some() && !same.again, "{same:?}");
}

/// A head that died in 60 % of its trials was called an unfit machine, exit code 6.
#[test]
fn a_head_that_crashes_is_failed_and_never_an_unfit_machine() {
    for (filter, why) in [
        ("^aborts in 60 %$", "the head crashed in "),
        ("^aborts always$", "3 trials in a row: head"),
    ] {
        let folder = folder();
        let (code, gate, said) = halves(filter, &[], folder.path());
        let cell = &gate.cells[0];
        assert_eq!((code, gate.verdict), (Some(3), Overall::Failed), "{filter}: {said} {cell:?}");
        assert_eq!((cell.state, cell.verdict), (State::Failed, None), "{filter}: {cell:?}");
        assert!(cell.reason.as_ref().unwrap().starts_with(why), "{cell:?}");
        assert!(cell.crashes.head >= 3 && cell.crashes.base + cell.crashes.copy == 0, "{cell:?}");
        let trials = read_gate_trials(&record(folder.path())).unwrap();
        let crashed = trials.iter().filter(|trial| trial.crashed == [false, true, false]).count();
        assert_eq!(crashed, cell.crashes.head as usize, "the record has every trial");
        assert_eq!(trials.len(), cell.crashes.trials as usize);
    }
}

#[test]
fn one_crash_of_the_base_excuses_none_of_the_head_and_a_base_that_always_crashes_is_no_pass() {
    let folder = folder();
    let (code, gate, said) =
        halves("^(same|is excused|base aborts|both die)$", &["--all"], folder.path());
    assert_eq!((code, gate.verdict), (Some(3), Overall::Failed), "{said}");
    let of = |name: &str| gate.cells.iter().find(|cell| cell.cell == name).unwrap();
    let excused = of("is excused");
    assert_eq!(excused.state, State::Failed, "{excused:?}");
    assert_eq!(excused.crashes.base + excused.crashes.copy, 1, "{excused:?}");
    assert!(excused.reason.as_ref().unwrap().contains("the head crashed in "), "{excused:?}");
    let base = of("base aborts");
    assert_eq!((base.state, base.verdict), (State::Failed, None), "{base:?}");
    assert!(base.reason.as_ref().unwrap().starts_with("base: "), "{base:?}");
    // Crashes are counted where they fail nothing, too.
    let both = of("both die");
    assert!(both.crashes.head > 0 && both.crashes.base + both.crashes.copy > 0, "{both:?}");
    assert_eq!((both.state, both.trials), (State::Ok, 10), "{both:?}");
    assert!(both.dropped > 0 && both.verdict.is_some(), "{both:?}");
    assert_eq!(of("same").crashes.head, 0);
}

#[test]
fn a_side_that_never_works_fails_its_cell_with_its_own_words_and_the_others_go_on() {
    let folder = folder();
    let (code, gate, _) =
        halves("^(same|dies|panics|command fails|no command)$", &[], folder.path());
    let why = |name: &str| {
        let cell = gate.cells.iter().find(|cell| cell.cell == name).unwrap();
        assert_eq!((cell.state, cell.verdict), (State::Failed, None), "{name}");
        cell.reason.clone().unwrap()
    };
    assert!(why("dies").contains("head: ") && why("dies").contains("a fault was planted"));
    assert!(why("panics").contains("planted"));
    assert!(why("command fails").contains("false: exit status: 1"));
    assert!(why("no command").contains("there is no program there-is-no-such-program"));
    let same = gate.cells.iter().find(|cell| cell.cell == "same").unwrap();
    assert!(same.verdict.is_some());
    assert_eq!(code, Some(3));
}

/// A host that, before each batch, opens more connections than are accepted, to a listener of its own.
const STORM: &str = r#"#!/usr/bin/env python3
import socket, subprocess, sys
host = subprocess.Popen(["PACELINE", *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
for line in sys.stdin.buffer:
    many = [socket.socket() for _ in range(8)] if b'"batches"' in line else []
    for one in many:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
    host.stdin.write(line)
    host.stdin.flush()
    sys.stdout.buffer.write(host.stdout.readline())
    sys.stdout.buffer.flush()
"#;

/// Writes the script, with a last line of its own; `None` if it cannot run here.
fn storm(place: &Path, line: &str) -> Option<PathBuf> {
    if !is_installed("python3") {
        eprintln!("left out: a side of this test is a script for python3");
        return None;
    }
    let path = place.join(format!("storm-{line}"));
    executable::write(&path, &(STORM.replace("PACELINE", PACELINE) + "# " + line));
    Some(path)
}

#[cfg(target_os = "linux")]
#[test]
fn a_cell_whose_trials_the_machine_disturbs_does_not_pass_beside_calm_ones() {
    let folder = folder();
    let [Some(base), Some(head)] = ["base", "head"].map(|line| storm(folder.path(), line)) else {
        return;
    };
    let cells = ["echo", "cpu", "empty", "--model", "tokio-current-thread", "--scale", "10"];
    let arguments = [&cells[..], &GROSS[2..], &["--trials", "5"]].concat();
    let (code, gate, said) = gated(&base, &head, &arguments, folder.path());
    let of = |name: &str| gate.cells.iter().find(|cell| cell.cell.starts_with(name)).unwrap();
    assert_eq!((of("echo").state, of("echo").verdict), (State::Skipped, None), "{said}");
    assert!(of("cpu").trials + of("empty").trials >= of("echo").dropped, "{:?}", gate.cells);
    assert_eq!((code, gate.verdict), (Some(6), Overall::EnvironmentInvalid), "{}", gate.summary);
}

#[cfg(target_os = "linux")]
#[test]
fn connections_that_are_dropped_in_the_heads_turns_alone_fail_it_and_are_no_fault_of_the_machine() {
    let folder = folder();
    let Some(head) = storm(folder.path(), "head") else { return };
    let cells = ["echo", "--model", "tokio-current-thread", "--scale", "10"];
    let arguments = [&cells[..], &GROSS].concat();
    let (code, gate, said) = gated(Path::new(PACELINE), &head, &arguments, folder.path());
    let cell = &gate.cells[0];
    assert_eq!((code, cell.state), (Some(3), State::Failed), "{said}{cell:?}");
    let why = cell.reason.as_ref().unwrap();
    assert!(why.contains("head: ") && why.contains("dropped in its turns alone"), "{why}");
    assert_eq!(cell.crashes.base + cell.crashes.copy, 0, "{cell:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_head_that_computes_on_while_the_base_runs_is_failed_and_not_as_fast_as_the_base() {
    // On a busy machine, what goes on gets little of a CPU.
    let found = (0..5).find_map(|_| {
        let (code, gate, _) = halves("^(same|goes on|goes on beside)$", &[], folder().path());
        let failed = gate.cells.iter().filter(|cell| cell.state == State::Failed).count();
        (failed == 2).then_some((code, gate))
    });
    let (code, gate) = found.expect("both are found");
    let of = |name: &str| gate.cells.iter().find(|cell| cell.cell == name).unwrap();
    for name in ["goes on", "goes on beside"] {
        let why = of(name).reason.as_ref().unwrap();
        assert!(
            why.starts_with("head: it used ") && why.contains("goes on in the background"),
            "{why}"
        );
    }
    assert_eq!(code, Some(3));
    assert_eq!(of("same").state, State::Ok, "{:?}", of("same"));
}

#[test]
fn a_process_that_hangs_is_ended_and_its_cell_fails() {
    let folder = folder();
    let (code, gate, _) = halves("^hangs$", &["--patience", "500ms"], folder.path());
    assert_eq!(gate.cells[0].state, State::Failed);
    assert!(gate.cells[0].reason.as_ref().unwrap().contains("no answer within 500ms"));
    assert_eq!(code, Some(3));
}

#[test]
fn a_gate_that_the_machine_was_not_fit_for_is_repeated_once_and_shows_the_second_result_alone() {
    let folder = folder();
    let (code, gate, said) = halves("^copy is slower$", &["--retry"], folder.path());
    assert_eq!((code, gate.verdict), (Some(6), Overall::EnvironmentInvalid), "{said}");
    assert!(said.contains("repeated once"), "{said}");
    assert_eq!(fs::read_dir(folder.path().join("results")).unwrap().count(), 2);
}
