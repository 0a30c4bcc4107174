//! `paceline advise` as its users meet it: on a tiny job of their own, with wrong input, and interrupted.

mod program;
mod validator;

use std::{fs, path::Path, process::Output};

use paceline::advice;
use program::{await_that, child_that, only_record, paceline, run, signal, text};
use rustix::process::Signal;
use serde_json::Value;

const JOB: &str = "name = \"mine\"\nscale = [1, 20]\njob = [{ sleep = \"20ms\" }]";

fn advise(folder: &Path, more: &[&str]) -> Output {
    fs::write(folder.join("mine.toml"), JOB).unwrap();
    run(folder, [&["advise", "mine.toml"], more].concat())
}

const TINY: [&str; 6] = ["--model", "sequential,threads,tokio", "--trials", "5", "--budget", "5m"];

#[test]
fn a_sequential_program_is_enough_for_one_job_that_waits_and_not_for_twenty() {
    let folder = tempfile::tempdir().unwrap();
    let sequential = "At 1 job at once: a plain sequential program ";
    let mut said = String::new();
    // On a busy machine intervals may be too wide to say so, and then the faster one is taken.
    for _ in 0..5 {
        let output = advise(folder.path(), &TINY);
        said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
        if said.contains(sequential) {
            break;
        }
    }
    let (per_scale, short) = said.split_once("\nin short\n").unwrap();
    for part in [per_scale, short] {
        let answer = |begins: &str| {
            let line = part.lines().find(|line| line.contains(begins));
            line.unwrap_or_else(|| panic!("no `{begins}` in {said}")).to_owned()
        };
        answer(sequential);
        assert!(!answer("At 20 jobs at once: ").contains("sequential"), "{said}");
    }
    assert!(per_scale.contains("  throughput ") && per_scale.contains("  peak memory "), "{said}");
    assert!(short.contains("record: results/"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
}

#[test]
fn json_holds_the_same_in_a_stable_shape() {
    let folder = tempfile::tempdir().unwrap();
    let output = advise(folder.path(), &[&TINY[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let advice: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&str> = advice.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["workload", "partial", "scales", "crossings", "broke", "summary"] {
        assert!(keys.contains(&key), "no {key} in {keys:?}");
    }
    assert_eq!((&advice["workload"], &advice["partial"]), (&"mine".into(), &false.into()));
    let [one, twenty] = &advice["scales"].as_array().unwrap()[..] else { panic!("{advice}") };
    assert_eq!((&one["scale"], &twenty["scale"]), (&1.into(), &20.into()));
    let found = one["throughput"].as_array().unwrap().iter();
    let sequential = found.clone().find(|figure| figure["model"] == "sequential").unwrap();
    let is_enough = sequential["at_most"].as_f64().is_some_and(|most| most < advice::MARGIN);
    let is_recommended = one["recommended"][0]["model"] == "sequential";
    assert!(is_recommended || !is_enough, "{one}");
    assert_ne!(twenty["recommended"][0]["model"], "sequential", "{twenty}");
    for at in [one, twenty] {
        assert_eq!(at["p99"], Value::Array(vec![]), "no trial has 1 000 latencies");
        for measure in ["throughput", "memory"] {
            let figures = at[measure].as_array().unwrap();
            assert_eq!(figures[0]["standing"], "best", "{measure} in {at}");
            for figure in figures {
                let of = |key: &str| figure[key].as_f64().unwrap();
                assert!(of("lower") <= of("value") && of("value") <= of("upper"), "{figure}");
            }
            assert_eq!(figures.len(), 3, "{measure} in {at}");
        }
    }
    let summary = advice["summary"].as_array().unwrap();
    let first = summary[0].as_str().unwrap();
    assert!(first.starts_with("At 1 job at once: "), "{first}");
    assert_eq!(first.contains("a plain sequential"), is_recommended, "{first}");
    assert_eq!(advice["broke"], Value::Array(vec![]));
    // The published shape is the one that is written.
    let schema = serde_json::to_value(schemars::schema_for!(advice::Advice)).unwrap();
    assert_eq!(validator::errors(&schema, &advice), "");
}

#[test]
fn what_a_model_refuses_is_said_with_the_reason_and_the_rest_is_advised_on() {
    let folder = tempfile::tempdir().unwrap();
    let job = "name = \"hops\"\nscale = [2]\njob = [{ hop = 10 }]";
    fs::write(folder.path().join("hops.toml"), job).unwrap();
    let arguments =
        ["advise", "hops.toml", "--model", "pool,threads,tokio", "--trials", "3", "--budget", "5m"];
    let output = run(folder.path(), arguments);
    let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("not ranked refused: pool"), "{said}");
    assert!(said.contains("pool: refused at every scale: ") && said.contains("deadlock"), "{said}");
    assert!(said.contains("by 3 paired differences"), "{said}");
}

#[test]
fn a_single_trial_ranks_and_recommends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["--model", "threads,tokio", "--scale", "1", "--trials", "1", "--format", "json"];
    let output = advise(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let advice: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(advice["scales"][0]["unranked"], "too-few-trials");
    assert_eq!(advice["scales"][0]["recommended"], Value::Array(vec![]));
}

#[test]
fn an_unreliable_model_is_left_out_unless_it_is_named_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // No time for most cells: what was asked for is in the record all the same.
    let without = ["--scale", "1", "--trials", "1", "--budget", "1s"];
    for (more, is_out) in [(&[][..], true), (&["--model", "may,sequential"], false)] {
        let output = advise(folder.path(), &[&without[..], more].concat());
        let said = text(&output.stdout);
        let record = said.lines().find_map(|line| line.trim().strip_prefix("record: ")).unwrap();
        let cells = fs::read_to_string(folder.path().join(record).join("cells.jsonl")).unwrap();
        assert!(cells.contains("\"model\":\"sequential\""), "{said}{cells}");
        assert_eq!(cells.contains("\"model\":\"may\""), !is_out, "{said}");
        assert_eq!(said.contains("Left out: may, which is unreliable."), is_out, "{said}");
        assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_model_that_fails_is_named_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let job = "name = \"long\"\nscale = [1]\njob = [{ sleep = \"1s\" }]";
    fs::write(folder.path().join("long.toml"), job).unwrap();
    let arguments = ["advise", "long.toml", "--model", "tokio", "--trials", "2", "--budget", "5m"];
    let mut run = paceline(folder.path(), arguments).spawn().unwrap();
    signal(child_that(&mut run, "__host").unwrap(), Signal::KILL);
    let ended = run.wait_with_output().unwrap();
    let said = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(3), "{said}{}", text(&ended.stderr));
    assert!(said.contains("tokio: failed at every scale: "), "{said}");
    assert!(text(&ended.stderr).contains("1 of 1 cell failed"), "{}", text(&ended.stderr));
}

#[test]
fn ctrl_c_shows_partial_advice_on_what_had_ended() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), JOB).unwrap();
    // Sequential cannot end within this budget at a million, and that is known at once.
    let arguments =
        "advise mine.toml --model sequential,tokio --scale 20,1_000_000 --trials 50 --budget 1m";
    let mut run = paceline(folder.path(), arguments.split(' ')).spawn().unwrap();
    await_that("a cell is written", || {
        let record = only_record(&folder.path().join("results"));
        let cells = record.and_then(|record| fs::metadata(record.join("cells.jsonl")).ok());
        cells.is_some_and(|file| file.len() > 0) || run.try_wait().unwrap().is_some()
    });
    signal(run.id(), Signal::INT);
    let ended = run.wait_with_output().unwrap();
    let said = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(130), "{said}{}", text(&ended.stderr));
    assert!(said.contains("Interrupted: this advice covers"), "{said}");
    assert!(said.contains("sequential: skipped at"), "{said}");
    assert!(text(&ended.stderr).starts_with("error: interrupted"), "{}", text(&ended.stderr));
}
