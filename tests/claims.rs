//! `paceline claims`: what must come out of an experiment on any machine, and what becomes of those that come to nothing.
#![allow(clippy::float_cmp, reason = "what is counted is whole")]

mod listener;
mod program;
mod validator;

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output},
    thread,
    time::Duration,
};

use listener::alone;
use paceline::{
    claims::{self, EXPERIMENTS, Order},
    record::{Claim, ClaimResult, ClaimVerdict, Claims, read_claims},
};
use paceline_core::{models, process::Program};
use program::{
    PACELINE, await_that, call, example, json, only_record, printed, record_in, signal, text,
};
use rustix::process::Signal;

fn command(program: impl AsRef<OsStr>, folder: &Path, arguments: &[&str]) -> Command {
    call(program, folder, [&["claims"], arguments].concat())
}

fn ran(program: impl AsRef<OsStr>, arguments: &[&str]) -> (Claims, Output, tempfile::TempDir) {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let output = command(program, folder.path(), arguments).args(["--format", "json"]).output();
    let output = output.unwrap();
    (json(&output), output, folder)
}

fn claim<'c>(claims: &'c Claims, name: &str) -> &'c Claim {
    claims.claims.iter().find(|claim| claim.name == name).unwrap()
}

fn of<'c>(claim: &'c Claim, model: &str) -> &'c ClaimResult {
    claim.results.iter().find(|result| result.model == model).unwrap()
}

fn median(result: &ClaimResult, figure: &str) -> f64 {
    let found = result.figures.iter().find(|of| of.name == figure);
    let found = found.unwrap_or_else(|| panic!("{figure} is not in {result:?}"));
    assert!(found.lower <= found.value && found.value <= found.upper);
    found.value
}

#[test]
fn sleeps_overlap_on_tokio_queue_on_a_pool_and_add_up_in_sequence() {
    let models = "sequential,threads,pool,tokio";
    let (claims, output, _) = ran(PACELINE, &["sleeps", "--model", models]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let sleeps = claim(&claims, "sleeps");
    for result in &sleeps.results {
        assert_eq!(result.repetitions, 5);
        let (at_once, in_turn) =
            (median(result, "three at once"), median(result, "three in sequence"));
        assert!(in_turn > 2.3, "{result:?}");
        let at_once_is = match result.model.as_str() {
            "sequential" => 2.3..4.0,
            "pool" => 1.6..3.0,
            _ => 0.5..1.8,
        };
        assert!(at_once_is.contains(&at_once), "{result:?}");
    }
    let contradicts = |model| of(sleeps, model).verdict == ClaimVerdict::Contradicted;
    // A busy machine may leave either open, and turn neither into its opposite.
    assert!(!contradicts("tokio") && !contradicts("threads"));
    assert!(of(sleeps, "sequential").verdict != ClaimVerdict::Holds);
}

#[test]
fn a_blocking_call_stops_the_heartbeat_for_its_length_and_the_bridge_keeps_it() {
    let arguments = ["freezes", "bridge", "--model", "tokio-current-thread,may,threads"];
    let (claims, output, _) = ran(PACELINE, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let beat = |name: &str, model: &str| median(of(claim(&claims, name), model), "latest beat");
    let stopped = beat("freezes", "tokio-current-thread");
    let kept = beat("bridge", "tokio-current-thread");
    // The call takes 20 ms, and comes up to a beat after one has begun.
    assert!(stopped >= 17.0, "{stopped}");
    assert!(kept < 17.0, "{kept}");
    assert!(beat("bridge", "may") >= 17.0, "may has no bridge");
    let threads = of(claim(&claims, "freezes"), "threads");
    assert_eq!(threads.verdict, ClaimVerdict::DoesNotApply);
    assert!(threads.why.as_ref().unwrap().contains("no loop"), "{threads:?}");
}

#[test]
fn a_group_ends_with_its_first_failure_and_one_that_waits_with_its_last_child() {
    let (claims, output, _) =
        ran(PACELINE, &["group", "--model", "sequential,threads,tokio,smol,pool"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let group = claim(&claims, "group");
    for model in ["tokio", "smol"] {
        let result = of(group, model);
        assert_eq!(median(result, "children left behind"), 0.0);
        let (cancels, waits) = (
            median(result, "a group is over after"),
            median(result, "one that waits is over after"),
        );
        // The others sleep on for 55 ms.
        assert!(cancels < 50.0 && waits >= 50.0, "{result:?}");
    }
    for model in ["threads", "pool"] {
        let result = of(group, model);
        assert_eq!(result.verdict, ClaimVerdict::Refused);
        assert!(result.why.as_ref().unwrap().contains("does not support"), "{result:?}");
    }
}

#[test]
fn probes_tell_a_future_from_a_call_a_timer_from_its_driver_and_a_task_from_both() {
    let models = "sequential,pool,tokio,async-std,python-sequential";
    let (claims, _, _) = ran(PACELINE, &["inert", "created", "--model", models]);
    let inert = claim(&claims, "inert");
    let constant = of(inert, "python-sequential");
    assert_eq!((constant.verdict, &constant.figures[..]), (ClaimVerdict::ByDefinition, &[][..]));
    let begun = |model| median(of(inert, model), "begun before it was driven");
    assert_eq!([begun("tokio"), begun("async-std")], [0.0; 2]);
    assert_eq!([begun("sequential"), begun("pool")], [1.0; 2]);
    let slept = |model| median(of(inert, model), "a late sleep of 20 ms lasts");
    assert!(slept("async-std") >= 20.0 && slept("tokio") < 15.0);
    let tokio = of(inert, "tokio");
    assert_eq!(tokio.verdict, ClaimVerdict::Contradicted);
    assert!(tokio.why.as_ref().unwrap().contains("deadline is set when the sleep is made"));
    let created = claim(&claims, "created");
    let workers = |model: &str, workers| {
        let is = |r: &&ClaimResult| r.model == model && r.workers == Some(workers);
        created.results.iter().find(is).unwrap().verdict
    };
    assert_eq!(workers("tokio", 1), ClaimVerdict::Holds);
    assert_eq!(workers("pool", 1), ClaimVerdict::Contradicted);
    assert_eq!(of(created, "sequential").verdict, ClaimVerdict::Contradicted);
}

#[test]
fn what_is_counted_is_the_same_on_every_machine() {
    let models = "sequential,threads,rayon,tokio-current-thread,may";
    let (claims, output, folder) =
        ran(PACELINE, &["suspends", "order", "cooperative", "--model", models]);
    let suspends = claim(&claims, "suspends");
    let verdict = |claim: &Claim, model| of(claim, model).verdict;
    assert_eq!(verdict(suspends, "tokio-current-thread"), ClaimVerdict::Holds);
    assert_eq!(verdict(suspends, "may"), ClaimVerdict::Holds);
    assert_eq!(median(of(suspends, "threads"), "threads that ran them"), 10.0);
    assert_eq!(median(of(suspends, "rayon"), "waiting at once"), 1.0);
    assert_eq!(verdict(claim(&claims, "order"), "sequential"), ClaimVerdict::DoesNotApply);
    let cooperative = of(claim(&claims, "cooperative"), "tokio-current-thread");
    assert_eq!(cooperative.verdict, ClaimVerdict::Holds, "{cooperative:?}");
    // The record is what was printed, and both are what the schema says.
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/claims.json");
    let schema = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(validator::errors(&schema, &printed), "");
    let written = folder.path().join("results").join(&claims.id);
    let written = read_claims(&written).unwrap().unwrap();
    assert_eq!(serde_json::to_value(written).unwrap(), printed);
}

#[test]
fn a_model_that_dies_or_lies_is_said_to_and_the_rest_goes_on() {
    let arguments = ["sleeps", "cooperative", "cpu", "--model", "dies,early,tokio-current-thread"];
    let (claims, output, _) = ran(example("frail"), &arguments);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("of 9 experiments failed or came out invalid"));
    let sleeps = claim(&claims, "sleeps");
    let (dies, early) = (of(sleeps, "dies"), of(sleeps, "early"));
    assert_eq!(dies.verdict, ClaimVerdict::Failed);
    assert!(dies.why.as_ref().unwrap().contains("signal 6"), "{dies:?}");
    assert_eq!(early.verdict, ClaimVerdict::Invalid);
    assert!(early.why.as_ref().unwrap().contains("they cannot have waited"), "{early:?}");
    assert!(median(of(sleeps, "tokio-current-thread"), "three in sequence") > 2.3);
    // What does not sleep is measured on it all the same.
    let cpu = of(claim(&claims, "cpu"), "dies");
    assert_eq!((cpu.repetitions, cpu.verdict.is_wrong()), (5, false), "{cpu:?}");
}

#[test]
fn each_measured_process_has_a_heap_layout_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "sleep", "--model", "tells", "--scale", "1", "--format", "json"];
    let program = example("frail");
    let mut shifts: Vec<String> = (0..6)
        .map(|_| {
            let output = call(&program, folder.path(), arguments).output().unwrap();
            let said = text(&output.stdout);
            let shift = said.split_once("shifted by ").and_then(|(_, rest)| rest.split_once(' '));
            shift.unwrap_or_else(|| panic!("{said}{}", text(&output.stderr))).0.to_owned()
        })
        .collect();
    shifts.sort();
    shifts.dedup();
    // Six equal ones of 256 come about once in 10^12.
    assert!(shifts.len() > 1 && !shifts.contains(&"0".into()), "{shifts:?}");
}

#[test]
fn what_the_limits_forbid_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "claims connections --model tokio-current-thread --budget 60s --format json";
    let script = format!("ulimit -n 500 && exec {PACELINE} {arguments}");
    let _alone = alone();
    let output = call("sh", folder.path(), ["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let claims: Claims = json(&output);
    let refused = &claim(&claims, "connections").results[0];
    assert_eq!(refused.verdict, ClaimVerdict::Refused, "{refused:?}");
    assert!(refused.why.as_ref().unwrap().contains("--nofile="), "{refused:?}");
}

#[test]
fn what_a_budget_has_no_room_for_is_said_and_no_verdict_stands_on_one_process() {
    let (claims, output, _) = ran(
        PACELINE,
        &["sleeps", "--model", "sequential,threads,tokio,smol,may", "--budget", "1s"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let results = &claim(&claims, "sleeps").results;
    assert!(results.iter().any(|result| result.repetitions < 5), "{results:?}");
    for result in results.iter().filter(|result| result.repetitions < 5) {
        assert!(result.why.as_ref().unwrap().contains("the budget"), "{result:?}");
        let judged = matches!(result.verdict, ClaimVerdict::Holds | ClaimVerdict::Contradicted);
        assert!(!judged || result.repetitions >= 3, "{result:?}");
    }
}

#[test]
fn an_interrupt_keeps_what_had_ended_and_ends_with_130() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["connections", "--model", "tokio,smol"];
    let mut child = command(PACELINE, folder.path(), &arguments).spawn().unwrap();
    // The record is begun before the first process of a model.
    await_that("a record is begun", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        only_record(&folder.path().join("results")).is_some()
    });
    thread::sleep(Duration::from_millis(300));
    signal(child.id(), Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
    let claims = read_claims(&record_in(folder.path())).unwrap().unwrap();
    assert!(claims.interrupted);
    for result in &claims.claims[0].results {
        assert!(!result.verdict.is_wrong(), "an interrupt is no fault of a model: {result:?}");
    }
}

#[test]
fn a_full_disk_ends_the_claims_with_one_sentence_and_keeps_what_had_ended() {
    let arguments = ["inert", "suspends", "order", "--model", "sequential,threads,tokio"];
    let (whole, _, folder) = ran(PACELINE, &arguments);
    let size = fs::metadata(record_in(folder.path()).join("claims.json")).unwrap().len();
    let results = |of: &Claims| of.claims.iter().map(|claim| claim.results.len()).sum::<usize>();
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    // A limit on the size of files stands for the disk: the last versions of the record do not fit.
    let (size, words) = (size - 600, arguments.join(" "));
    let script = format!("trap '' XFSZ; exec prlimit --fsize={size} {PACELINE} claims {words}");
    let output = call("sh", folder.path(), ["-c", &script]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && said.lines().count() == 1, "{said}");
    let kept = read_claims(&record_in(folder.path())).unwrap().unwrap();
    assert!((1..=results(&whole)).contains(&results(&kept)), "{kept:?}");
}

#[test]
fn ten_thousand_connections_are_opened_once_and_only_where_claims_are_named() {
    let _alone = alone();
    for (everywhere, processes) in [(false, None), (true, Some(1))] {
        let folder = tempfile::tempdir().unwrap();
        let order = Order {
            experiments: vec![claims::find("connections").unwrap()],
            everywhere,
            models: vec![models::find("smol").unwrap()],
            budget: Duration::from_mins(1),
            results: folder.path().join("results"),
        };
        let claims = claims::run(&order, Program::at(PACELINE)).unwrap().claims;
        let figures = &of(claim(&claims, "connections"), "smol").figures;
        let open_at = |scale: &str| {
            let name = format!("open at once of {scale}");
            figures.iter().find(|figure| figure.name == name).map(|figure| figure.values.len())
        };
        let seen = [open_at("1 000"), open_at("10 000")];
        assert_eq!(seen, [Some(5), processes], "{everywhere}: {claims:?}");
    }
}

#[test]
fn every_claim_runs_on_a_model_and_each_is_in_the_table_with_its_method() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let output =
        command(PACELINE, folder.path(), &["--all", "--model", "tokio-current-thread"]).output();
    let table = printed(&output.unwrap(), 0);
    for experiment in EXPERIMENTS {
        let head =
            format!("\n{}: {}\n  {}\n", experiment.name, experiment.sentence, experiment.method);
        assert!(table.contains(&head), "{head} is not in {table}");
    }
    assert!(!table.contains("failed") && table.contains("record: results/"), "{table}");
}
