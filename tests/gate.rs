//! `paceline gate` as its users meet it, on programs that are built already: verdicts, exit codes, faults, and what is
//! kept. What it builds is tested in `tests/gate_build.rs`.

#[path = "gate/faults.rs"]
mod faults;
mod executable;
mod program;
#[path = "gate/selftest.rs"]
mod selftest;

use std::{fs, path::Path, process::Command, thread};

use paceline::{
    compare::{Sample, judge},
    record::{Gate, Overall, Presence, Sameness, State, Verdict, read_gate, read_gate_trials},
};
use program::{
    PACELINE, await_that, call, example, folder, only_record, record_in as record, said, signal,
    text,
};
use rustix::process::Signal;

/// Figures of debug builds on a busy machine: only a gross change is to be found, and nothing else.
const GROSS: [&str; 6] = ["--trials", "10", "--margin", "40%", "--clear-margin", "70%"];

fn command(program: &Path, arguments: &[&str], folder: &Path) -> Command {
    // A gated program compares its own variants where it is asked to, and leaves that to the command.
    let compares = program.ends_with("faulty").then_some("--compare");
    let mut command = call(program, folder, arguments.iter().copied().chain(compares));
    command
        .env("PACELINE", PACELINE)
        .env("PACELINE_ALLOW_LOAD", "1")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("FAULTY_COUNT", folder.join("count"));
    command
}

fn ran(program: &Path, arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let output = command(program, arguments, folder).output().unwrap();
    (output.status.code(), text(&output.stdout), said(&output))
}

/// Runs the cells of the faulty program that match `filter`, its halves against each other.
fn halves(filter: &str, more: &[&str], folder: &Path) -> (Option<i32>, Gate, String) {
    let mut arguments = vec!["--filter", filter, "--format", "json"];
    arguments.extend(GROSS);
    arguments.extend(more);
    let (code, out, said) = ran(&example("faulty"), &arguments, folder);
    let gate = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{said}"));
    (code, gate, said)
}

fn wrong(arguments: &[&str], folder: &Path) -> String {
    let mut all = vec!["gate"];
    all.extend(arguments);
    let (code, _, said) = ran(Path::new(PACELINE), &all, folder);
    assert_eq!(code, Some(2), "{arguments:?}: {said}");
    assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_planted_slowdown_is_regressed_a_speed_up_improved_and_the_same_neither() {
    let folder = folder();
    let (code, gate, said) = halves("^(same|slower|faster)$", &[], folder.path());
    let of = |name: &str| gate.cells.iter().find(|cell| cell.cell == name).unwrap();
    assert_eq!(of("slower").verdict, Some(Verdict::Regressed), "{said}");
    assert_eq!(of("faster").verdict, Some(Verdict::Improved));
    assert_ne!(of("same").verdict, Some(Verdict::Regressed));
    assert_ne!(of("same").verdict, Some(Verdict::Improved));
    let slower = of("slower").change.unwrap().share;
    assert!(slower > 1.0 && slower < 3.5, "three times the work: {slower}");
    assert!(gate.cells.iter().all(|cell| !cell.null_fired && cell.null.is_some()));
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed));
    assert!(gate.summary.contains("slower"), "{}", gate.summary);
}

#[test]
fn every_verdict_can_be_computed_again_from_the_record() {
    let folder = folder();
    halves("^(same|slower)$", &["--metric", "throughput,p50,p99,cpu"], folder.path());
    let record = record(folder.path());
    let gate = read_gate(&record).unwrap().unwrap();
    assert_eq!(gate.cells.len(), 8);
    let samples: Vec<Sample<'_>> = gate
        .cells
        .iter()
        .map(|cell| Sample {
            log_ratios: &cell.log_ratios,
            null: &cell.null_log_ratios,
            margin: cell.margin,
            clear_margin: cell.clear_margin,
            layout_sd: cell.layout_sd,
        })
        .collect();
    for (cell, again) in gate.cells.iter().zip(judge(&samples, gate.false_discovery_rate)) {
        assert_eq!((cell.verdict, cell.change), (again.verdict, again.change));
    }
    // And the ratios from the trials: of CPU time, which is one figure for each side.
    let trials = read_gate_trials(&record).unwrap();
    let of_cell = trials.iter().filter(|trial| trial.cell == "slower" && !trial.pilot);
    let ratios: Vec<f64> = of_cell
        .filter(|trial| trial.dropped.is_none())
        .map(|trial| (trial.sides[1].cpu_ns as f64).ln() - (trial.sides[0].cpu_ns as f64).ln())
        .collect();
    let cpu = gate.cells.iter().find(|c| c.cell == "slower" && c.metric.name() == "cpu").unwrap();
    assert!(!ratios.is_empty());
    assert_eq!(cpu.log_ratios.len(), ratios.len());
    assert!(cpu.log_ratios.iter().zip(&ratios).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn the_same_seed_gives_the_same_order_of_trials() {
    let order = |seed: &str| {
        let folder = folder();
        halves("^(same|slower|faster)$", &["--seed", seed], folder.path());
        let trials = read_gate_trials(&record(folder.path())).unwrap();
        // Trials that were dropped are made up for, and no seed foretells those.
        let pilot = trials.into_iter().filter(|trial| trial.pilot);
        pilot.map(|trial| trial.cell).collect::<Vec<_>>()
    };
    let first = order("7");
    assert_eq!(first.len(), 18);
    assert_eq!(first, order("7"));
    assert_ne!(first, order("8"));
}

#[test]
fn a_cell_that_one_side_lacks_is_shown_and_not_gated() {
    let folder = folder();
    let (base, head) = (example("gated"), example("faulty"));
    let few = ["--filter", "^(one half|command)$", "--trials", "5"];
    let (code, gate, _) = gated(&base, &head, &few, folder.path());
    let of = |name: &str| gate.cells.iter().find(|cell| cell.cell == name).unwrap();
    assert_eq!(of("one half").presence, Presence::Head);
    assert!(of("one half").head.is_some() && of("one half").base.is_none());
    assert_eq!(of("command").presence, Presence::Base);
    assert!(gate.cells.iter().all(|cell| cell.verdict.is_none()));
    assert_eq!((code, gate.verdict), (Some(5), Overall::Nothing), "nothing was gated");
    assert_eq!(gate.same_program, None);
}

/// Gates one cell of two programs.
fn gated(base: &Path, head: &Path, more: &[&str], folder: &Path) -> (Option<i32>, Gate, String) {
    let mut arguments =
        vec!["gate", "--base", base.to_str().unwrap(), "--head", head.to_str().unwrap()];
    arguments.extend(["--format", "json"]);
    arguments.extend(more);
    let (code, out, said) = ran(Path::new(PACELINE), &arguments, folder);
    let gate = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{said}"));
    (code, gate, said)
}

#[test]
fn a_program_without_cells_is_told_to_have_some() {
    let folder = folder();
    let cellless = example("cellless");
    let cellless = cellless.to_str().unwrap();
    let said = wrong(&["--base", cellless, "--head", cellless], folder.path());
    assert!(
        said.contains("there is no cell to gate: give the bench one with `.closure`"),
        "{said}"
    );
    let (code, _, said) = ran(Path::new(cellless), &[], folder.path());
    assert_eq!(code, Some(2));
    assert!(said.contains("there is no cell to gate"), "{said}");
    // paceline itself has the usual cells.
    let filter = ["--base", PACELINE, "--head", PACELINE, "--filter", "nothing"];
    assert!(wrong(&filter, folder.path()).contains("the cells are empty/"));
}

#[test]
fn a_debug_build_compares_nothing() {
    let folder = folder();
    let mut command = command(&example("faulty"), &[], folder.path());
    command.env_remove("PACELINE_ALLOW_DEBUG").env("PACELINE", "/bin/true");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("this is a debug build"));
}

#[test]
fn a_bench_whose_output_cannot_be_written_says_so() {
    let folder = folder();
    for script in ["ulimit -f 0; exec \"$0\" --list >list", "exec \"$0\" --list >/dev/full"] {
        let mut sh = call("sh", folder.path(), ["-c", script]);
        let output = sh.arg(example("gated")).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{script}: {}", said(&output));
        assert!(said(&output).starts_with("error: cannot print: "), "{}", said(&output));
    }
}

#[test]
fn a_cell_that_was_removed_or_renamed_is_counted_and_fails_strict() {
    let folder = folder();
    let (base, head) = (example("gated"), example("faulty"));
    // `command` has the name `one half` now, as it were, and `look up/1000` does less work.
    let cells = ["--filter", "^(one half|command|look up/1000)$"];
    let arguments = [&cells[..], &GROSS].concat();
    let (code, gate, said) = gated(&base, &head, &arguments, folder.path());
    assert_eq!((code, gate.verdict), (Some(0), Overall::Passed), "{said} {gate:?}");
    assert!(gate.summary.contains("1 removed, 1 new"), "{}", gate.summary);
    let (code, ..) = gated(&base, &head, &[&arguments[..], &["--strict"]].concat(), folder.path());
    assert_eq!(code, Some(5));
}

#[test]
fn margins_of_the_working_folder_do_not_count_unless_they_are_asked_for() {
    let folder = folder();
    fs::write(folder.path().join("gate.toml"), "margin = \"90%\"\nclear_margin = \"95%\"\n")
        .unwrap();
    let program = example("faulty");
    let few = ["--filter", "^one half$", "--trials", "5", "--export", "markdown=a.md"];
    let (_, gate, _) = gated(&program, &program, &few, folder.path());
    assert!((gate.cells[0].margin - 0.03).abs() < 1e-12, "{:?}", gate.cells[0]);
    let note = "gate.toml in this folder has other margins, which do not count: one half 90 % and 95 % instead of 3 % and 5 %";
    assert!(gate.notes[0].starts_with(note), "{:?}", gate.notes);
    let shown = fs::read_to_string(folder.path().join("a.md")).unwrap();
    assert!(shown.contains("one half 90 % and 95 % instead of 3 % and 5 %"), "{shown}");
    let asked = [&few[..], &["--config", "gate.toml"]].concat();
    let (_, gate, _) = gated(&program, &program, &asked, folder.path());
    assert!((gate.cells[0].margin - 0.9).abs() < 1e-12 && gate.notes.is_empty());
}

#[test]
fn the_same_program_is_never_passed() {
    let folder = folder();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    fs::copy(example("faulty"), &one).unwrap();
    fs::copy(example("faulty"), &other).unwrap();
    let few = ["--filter", "^one half$", "--trials", "5", "--margin", "90%", "--clear-margin"];
    let few = [&few[..], &["95%"]].concat();
    // Two files with the same content: whoever built the head built it from the base, or not at all.
    let exports = ["--export", "junit=a.xml", "--export", "markdown=a.md"];
    let (code, gate, _) = gated(&one, &other, &[&few[..], &exports].concat(), folder.path());
    assert_eq!((code, gate.verdict), (Some(5), Overall::Nothing));
    assert_eq!(gate.same_program.unwrap().sameness, Sameness::Unreached);
    assert!(gate.summary.contains("the head was not built anew"), "{}", gate.summary);
    assert!(gate.cells[0].verdict.is_some(), "it was measured all the same");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("a.md").starts_with("### paceline gate: nothing compared\n"), "{}", read("a.md"));
    assert!(read("a.xml").contains("type=\"nothing-compared\""), "{}", read("a.xml"));
    // One file given twice cannot hold a change; --strict wants to see one compared.
    let (code, gate, _) = gated(&one, &one, &few, folder.path());
    assert_eq!((code, gate.verdict), (Some(0), Overall::Nothing));
    assert_eq!(gate.same_program.unwrap().sameness, Sameness::SameSource);
    assert!(gate.summary.contains("the same source"), "{}", gate.summary);
    let (code, ..) = gated(&one, &one, &[&few[..], &["--strict"]].concat(), folder.path());
    assert_eq!(code, Some(5));
}

#[test]
fn models_are_gated_by_any_two_programs_that_have_them_and_every_metric_has_figures() {
    let folder = folder();
    let program = Path::new(PACELINE);
    let switch = ["switch", "--model", "tokio,rayon", "--scale", "100"];
    let all = [&switch[..], &["--metric", "throughput,p50,p99,cpu,memory"], &GROSS].concat();
    let (code, gate, said) = gated(program, program, &all, folder.path());
    assert!(matches!(code, Some(0 | 6)), "{code:?} {said}");
    for cell in &gate.cells {
        if cell.cell.contains("rayon") {
            assert_eq!(cell.state, State::Refused, "rayon has no hop");
        } else {
            assert_eq!(cell.state, State::Ok, "{cell:?}");
            assert!(cell.base.unwrap() > 0.0 && cell.head.unwrap() > 0.0, "{cell:?}");
        }
    }
    assert_eq!(gate.cells.len(), 10);
    assert!(gate.head.about.contains("the same program as the base"), "{}", gate.head.about);
}

#[test]
fn exports_are_written_and_one_that_cannot_be_does_not_cost_the_record() {
    let folder = folder();
    let exports = ["--export", "markdown=a.md", "--export", "junit=b.xml"];
    let (code, ..) = halves("^same$", &exports, folder.path());
    assert!(matches!(code, Some(0 | 6)));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("a.md").contains("same") && read("b.xml").contains("<testsuite"));
    let other = tempfile::tempdir().unwrap();
    let export = |place| {
        let arguments = [&["--filter", "^same$", "--export", place], &GROSS[..]].concat();
        let (code, _, said) = ran(&example("faulty"), &arguments, other.path());
        assert_eq!(code, Some(1), "{said}");
        said
    };
    // A place that cannot be right is found before anything is measured.
    let said = export("csv=nowhere/c.csv");
    assert!(
        said.contains("cannot write nowhere/c.csv") && said.contains("make its folder"),
        "{said}"
    );
    assert!(!other.path().join("nowhere").exists());
    assert_eq!(fs::read_dir(other.path().join("results")).unwrap().count(), 0);
    let said = export("csv=/dev/full");
    assert!(said.contains("cannot write /dev/full") && said.contains("the record is in"), "{said}");
    assert!(read_gate(&record(other.path())).unwrap().is_some());
}

#[test]
fn ctrl_c_keeps_the_trials_until_then() {
    let folder = folder();
    let arguments = ["--filter", "^(same|slower)$", "--trials", "1000"];
    let mut child = command(&example("faulty"), &arguments, folder.path());
    let mut child = child.spawn().unwrap();
    await_that("trials are written", || {
        let record = only_record(&folder.path().join("results")).unwrap_or_default();
        let text = fs::read_to_string(record.join("gate_trials.jsonl")).unwrap_or_default();
        let trials = text.lines().filter(|line| line.contains("\"pilot\":false")).count();
        trials > 20 || child.try_wait().unwrap().is_some()
    });
    signal(child.id(), Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(said(&output).contains("interrupted"));
    let gate = read_gate(&record(folder.path())).unwrap().unwrap();
    assert!(gate.interrupted);
    assert!(gate.cells.iter().any(|cell| cell.trials >= 5));
}

#[test]
fn a_budget_that_holds_no_verdict_is_refused_with_what_it_needs() {
    let folder = folder();
    let both = ["--base", PACELINE, "--head", PACELINE];
    let cpu = ["cpu", "--model", "sequential", "--scale", "300", "--budget", "1s"];
    let said = wrong(&[&both[..], &cpu].concat(), folder.path());
    assert!(said.contains("the budget of 1.00 s is too small"), "{said}");
    assert!(said.contains("give --budget "), "{said}");
}

#[test]
fn what_cannot_be_gated_has_one_sentence_that_says_what_to_do() {
    let folder = folder();
    let place = folder.path();
    let both = ["--base", PACELINE, "--head", PACELINE];
    let with = |more: &[&str]| wrong(&[&both[..], more].concat(), place);
    assert!(with(&["--filter", "nothing"]).contains("no cell matches `nothing`: the cells are "));
    assert!(with(&["--scale", "10"]).contains("go with a workload"));
    assert!(with(&["nosuch"]).contains("no workload is called `nosuch`"));
    assert!(with(&["cpu", "--model", "sequential", "--workers", "2"]).contains("has one worker"));
    fs::write(place.join("gate.toml"), "margin = \"3%\"\n[[cell]\n").unwrap();
    assert!(with(&[]).contains("gate.toml: line 2"), "{}", with(&[]));
    let entry = |margins: &str| format!("[[cell]]\nname = \".*\"\n{margins}\n");
    let wide = entry("margin = \"8%\"\nclear_margin = \"10%\"");
    fs::write(place.join("gate.toml"), wide + &entry("clear_margin = \"5%\"")).unwrap();
    let said = with(&["cpu", "--model", "sequential", "--scale", "4", "--config", "gate.toml"]);
    assert!(said.contains("the margins of cpu/sequential"), "{said}");
    let (code, _, said) = ran(&example("faulty"), &["--filter", "^same$"], place);
    assert_eq!(code, Some(2));
    assert!(said.contains("the margins of same do not go together: "), "{said}");
    fs::remove_file(place.join("gate.toml")).unwrap();
    let said = wrong(&["--base", "/bin/true", "--head", PACELINE], place);
    assert!(said.contains("the built program cannot be gated"), "{said}");
    let (code, _, said) = ran(&example("faulty"), &["--filter", "^one half$"], place);
    assert_eq!(code, Some(2));
    assert!(said.contains("no cell matches"), "{said}");
}

#[test]
fn pinned_processes_are_in_the_record_and_on_one_cpu() {
    let folder = folder();
    let (code, gate, said) = halves("^(same|on one CPU)$", &["--pin"], folder.path());
    assert_eq!(code, Some(0), "{said}{}", gate.summary);
    assert!(gate.pinned && gate.notes.iter().any(|note| note.contains("were pinned")));
    let (code, gate, _) = halves("^on one CPU$", &[], folder.path());
    // Without --pin it may use all.
    if thread::available_parallelism().unwrap().get() > 1 {
        assert_eq!((code, gate.verdict, gate.pinned), (Some(3), Overall::Failed, false));
    }
}
