//! What holds of collecting, in whatever order blocks end, however often, and however torn their parts are.

mod figures;
mod loads;
mod torn;
mod watched;

use std::{collections::BTreeMap, fs, path::Path, sync::OnceLock, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::{
    node::NodeFile,
    part::{Contents, Done},
    *,
};
use crate::{
    machine::cores,
    plan::{Choice, cells_on},
    record::{Node, State, Trial, read},
    run::Order,
};
use paceline_core::{
    generator::Drive,
    histogram::Histogram,
    models,
    prepared::{Attestation, Recorded},
    usage::Usage,
    workloads,
};

/// An attempt that is planted.
#[derive(Clone, Debug)]
struct Planted {
    block: usize,
    /// When it ended by its node's clock, which may be wrong.
    ended: u32,
    node: usize,
    /// Its times, which no other attempt has.
    tag: u64,
    fault: Option<Torn>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Torn {
    /// It was killed before its end.
    NoDone,
    /// The last line of its trials is not whole.
    HalfALine,
    /// A trial is missing, and its `done.json` does not know it.
    LostTrial,
    /// A digit of a time is another.
    Flipped,
    /// A trial is there twice, and its `done.json` says so too.
    Twice,
    /// Another program measured it.
    Program,
}

fn order(passes: u32) -> Order {
    Order {
        workloads: vec![workloads::find("sleep").unwrap(), workloads::find("cpu").unwrap()],
        models: ["tokio", "pool", "sequential"].map(|name| models::find(name).unwrap()).to_vec(),
        choice: Choice { scales: vec![10], workers: vec![1], ..Choice::default() },
        passes: 0..passes,
        budget: Duration::from_mins(1),
        seed: 7,
        pin: false,
        to_the_limit: false,
        results: "results".into(),
    }
}

fn plan(dir: &Path, passes: u32) -> PlanFolder {
    let order = order(passes);
    make(&order, None, &dir.join("plan")).unwrap_or_else(|_| panic!("the plan cannot be written"))
}

fn node(plan: &PlanFolder, block: &str, attempt: &str, node: usize) -> NodeFile {
    static HERE: OnceLock<NodeFile> = OnceLock::new();
    let here = HERE.get_or_init(|| NodeFile::here(plan, block, (attempt, "n0"), Path::new("/")));
    let own = Node { id: format!("n{node}"), ..here.node.clone() };
    let (plan, block, attempt) = (plan.hash.clone(), block.into(), attempt.into());
    NodeFile { plan, block, attempt, node: own, began_seconds: None, ..here.clone() }
}

/// Times that no other attempt has.
fn times(tag: u64) -> Recorded {
    let of = |least: u64| {
        let mut times = Histogram::default();
        (0..100).for_each(|index| times.record(least + tag + index * index));
        times.distribution()
    };
    Recorded { latency: of(100_000), service_time: of(50_000), ..Recorded::default() }
}

fn trial(cell: &crate::plan::Planned<'_>, pass: u32, tag: u64, node: &str) -> Trial {
    Trial {
        workload: cell.workload.name.clone(),
        model: cell.entry.info.name.into(),
        scale: cell.scale,
        workers: cell.workers,
        placement: cell.placement,
        trial: pass,
        times_ns: vec![20_000_000 + tag, 21_000_000 + tag],
        attest: Attestation {
            elapsed_ns: 1,
            peak_in_flight: 1,
            job_threads: 1,
            process_threads: Some(2),
            rss_bytes: Some(1 << 20),
            rss_bytes_max: Some(2 << 20),
            ..Attestation::default()
        },
        used: Usage::default(),
        server_cpu_ns: 0,
        server_busy_share: None,
        recorded: Recorded::default(),
        idle_ns: None,
        host_activity: crate::machine::HostActivity::default(),
        node: Some(node.into()),
    }
}

fn jsonl(values: impl IntoIterator<Item = serde_json::Value>) -> String {
    values.into_iter().map(|value| value.to_string() + "\n").collect()
}

/// Writes an attempt as a node would, and tears it.
fn plant(plan: &PlanFolder, of: &Planted) {
    let block = &plan.plan.blocks[of.block];
    let attempt = format!("job-{}-{}", of.tag, of.node);
    let mut node = node(plan, &block.id, &attempt, of.node);
    if of.fault == Some(Torn::Program) {
        node.program = "another".into();
    }
    let (workloads, choice) = plan.cells_of(block);
    let cells = cells_on(cores(), workloads, &plan.models, &choice);
    let ends = cells
        .iter()
        .map(|cell| serde_json::to_value(cell.cell_with_time(State::Ok, None, String::new())));
    let mut trials: Vec<Trial> =
        cells.iter().map(|cell| trial(cell, block.pass, of.tag, &node.node.id)).collect();
    let recorded = times(of.tag);
    for trial in &mut trials {
        trial.recorded = recorded.clone();
    }
    if of.fault == Some(Torn::Twice) {
        trials.push(trials[0].clone());
    }
    let lines = jsonl(trials.iter().map(|trial| serde_json::to_value(trial).unwrap()));
    let mut files = BTreeMap::from([
        ("node.json", serde_json::to_string(&node).unwrap()),
        ("cells.jsonl", jsonl(ends.map(Result::unwrap))),
        ("trials.jsonl", lines),
    ]);
    let done = done(plan, &block.id, &attempt, of.ended, &files);
    let torn = files.get_mut("trials.jsonl").unwrap();
    match of.fault {
        Some(Torn::HalfALine) => torn.truncate(torn.len() - 9),
        Some(Torn::Flipped) => *torn = torn.replacen("\"times_ns\":[2", "\"times_ns\":[3", 1),
        Some(Torn::LostTrial) => {
            *torn = torn.lines().skip(1).map(|line| line.to_owned() + "\n").collect();
        }
        _ => {}
    }
    if of.fault != Some(Torn::NoDone) {
        files.insert("done.json", serde_json::to_string(&done).unwrap());
    }
    write_attempt(plan, &block.id, &attempt, &files);
}

/// Returns a load from these generators on a server at 10.9.0.1.
pub(super) fn load_from(generators: &[&str]) -> LoadPlan {
    LoadPlan {
        server: PlanNode::parse("a=10.9.0.1").unwrap(),
        generators: generators.iter().map(|text| PlanNode::parse(text).unwrap()).collect(),
        port: PORT,
        url: None,
        drive: Drive::Closed,
        connections: Some(4),
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(1),
        swap_roles: false,
        options: LoadOptions::default(),
    }
}

/// Returns the `done.json` of an attempt with these files.
fn done(
    plan: &PlanFolder,
    block: &str,
    attempt: &str,
    ended: u32,
    files: &BTreeMap<&str, String>,
) -> Done {
    let contents =
        |(name, text): (&&str, &String)| ((*name).to_owned(), Contents::of(text.as_bytes()));
    Done {
        plan: plan.hash.clone(),
        block: block.into(),
        attempt: attempt.into(),
        ended: format!("2026-01-01T00:00:{ended:02}Z"),
        seconds: 1.0,
        files: files.iter().map(contents).collect(),
    }
}

fn write_attempt(plan: &PlanFolder, block: &str, attempt: &str, files: &BTreeMap<&str, String>) {
    let folder = plan.attempts(block).join(attempt);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Collects. Other tests start processes, which hold this one's locks until they have become their programs.
fn collect(
    plan: &PlanFolder,
    results: &Path,
    partial: bool,
    any_machine: bool,
) -> Result<Collected, Fault> {
    for _ in 0..6_000 {
        let done = super::collect(plan, results, partial, any_machine);
        match &done {
            Err(Fault::Failed(why)) if why.contains("another paceline collects") => {}
            _ => return done,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the lock stays held");
}

fn collected(plan: &PlanFolder) -> Collected {
    let results = plan.dir.parent().unwrap().join("results");
    collect(plan, &results, false, false).unwrap_or_else(|fault| panic!("{fault:?}"))
}

fn bytes(folder: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let names = ["run.json", "cells.jsonl", "trials.jsonl", "nodes.json"];
    names.map(|name| (name, fs::read(folder.join(name)).unwrap())).into()
}

fn planted() -> impl Strategy<Value = Planted> {
    let torn =
        [Torn::NoDone, Torn::HalfALine, Torn::LostTrial, Torn::Flipped, Torn::Twice, Torn::Program];
    let fault =
        prop_oneof![2 => Just(None), 1 => proptest::sample::select(torn.to_vec()).prop_map(Some)];
    (0..6_usize, 0..4_u32, 0..3_usize, 0..1_000_000_u64, fault)
        .prop_map(|(block, ended, node, tag, fault)| Planted { block, ended, node, tag, fault })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_block_counts_once_by_a_fixed_order_whatever_else_lies_there(
        all in vec(planted(), 0..24).prop_shuffle(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 3);
        let mut tags = std::collections::BTreeSet::new();
        let all: Vec<Planted> = all.into_iter().filter(|of| tags.insert((of.tag, of.node))).collect();
        for of in &all {
            plant(&plan, of);
        }
        let first = |block: usize| {
            let whole = all.iter().filter(|of| of.block == block && of.fault.is_none());
            whole.min_by_key(|of| format!("job-{}-{}", of.tag, of.node))
        };
        let missing: Vec<&str> = (0..6).filter(|block| first(*block).is_none()).map(|b| plan.plan.blocks[b].id.as_str()).collect();
        let found = collected(&plan);
        let mut said: Vec<&str> = found.missing.iter().map(|(id, _)| id.as_str()).collect();
        said.sort_unstable();
        prop_assert_eq!(&said, &missing);
        prop_assert_eq!(found.folders.is_empty(), !missing.is_empty());
        let Some(record) = found.folders.first() else { return Ok(()) };
        let once = bytes(record);
        let trials = read(record).unwrap().trials;
        prop_assert_eq!(trials.len(), 6 * 3);
        for (index, block) in plan.plan.blocks.iter().enumerate() {
            let of: Vec<u64> = trials
                .iter()
                .filter(|trial| trial.workload == block.workload && trial.trial == block.pass)
                .map(|trial| trial.times_ns[0] - 20_000_000)
                .collect();
            prop_assert_eq!(of, vec![first(index).unwrap().tag; 3]);
        }
        // What a zombie leaves later changes no figure, whatever its name and its clock, and nothing changes by
        // collecting again.
        let tag = if all.len().is_multiple_of(2) { 10 } else { 9_999_999 };
        plant(&plan, &Planted { block: 0, ended: all.len() as u32, node: 9, tag, fault: None });
        let twice = bytes(&collected(&plan).folders[0]);
        for name in ["run.json", "cells.jsonl", "trials.jsonl"] {
            prop_assert!(once[name] == twice[name], "{name} has changed");
        }
        prop_assert!(twice["nodes.json"] != once["nodes.json"], "the zombie is listed");
        prop_assert!(bytes(&collected(&plan).folders[0]) == twice);
    }
}

/// Gives a file of an attempt another text, and its `done.json` says so.
fn rewrite(attempt: &Path, name: &str, text: &str) {
    fs::write(attempt.join(name), text).unwrap();
    let path = attempt.join("done.json");
    let mut done: Done = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    done.files.insert(name.into(), Contents::of(text.as_bytes()));
    fs::write(path, serde_json::to_string(&done).unwrap()).unwrap();
}

fn all_blocks(plan: &PlanFolder) {
    for block in 0..plan.plan.blocks.len() {
        plant(plan, &Planted { block, ended: 1, node: block % 2, tag: block as u64, fault: None });
    }
}

#[test]
fn a_partial_record_says_what_is_missing_and_becomes_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 4);
    all_blocks(&plan);
    let parts = plan.dir.join("parts");
    fs::rename(parts.join("0002"), plan.dir.join("away")).unwrap();
    assert!(collected(&plan).folders.is_empty());
    let results = folder.path().join("results");
    let found = collect(&plan, &results, true, false).unwrap_or_else(|fault| panic!("{fault:?}"));
    let record = read(&found.folders[0]).unwrap();
    assert_eq!(record.run.settings["blocks_missing"], 1);
    let short = record.cells.iter().filter(|cell| cell.trials() == 3);
    assert!(short.clone().all(|cell| cell.reason.as_ref().unwrap().starts_with("3 of 4 passes")));
    assert_eq!((record.cells.len(), short.count()), (6, 3));
    fs::rename(plan.dir.join("away"), parts.join("0002")).unwrap();
    let record = read(&collected(&plan).folders[0]).unwrap();
    assert!(record.cells.iter().all(|cell| cell.trials() == 4 && cell.reason.is_none()));
    let interval = record.cells[0].interval.as_ref().unwrap();
    let two = "by Student's t; on two nodes, n0 and n1: nothing is known of others";
    assert!(interval.ends_with(two), "{interval}");
}

#[test]
fn a_block_that_was_given_up_fails_its_cells_with_the_word_of_the_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 3);
    all_blocks(&plan);
    fs::remove_dir_all(plan.dir.join("parts/0001")).unwrap();
    let mut jobs = jobs::Jobs::read(&plan.dir).unwrap();
    jobs.intend("name".into(), vec!["0001".into()]).unwrap();
    let word = "TIMEOUT".into();
    jobs.write(jobs::Event::Ended { submission: 1, block: "0001".into(), word, given_up: true })
        .unwrap();
    let found = collected(&plan);
    let record = read(&found.folders[0]).unwrap();
    assert_eq!((found.cells, found.missing.len()), ((6, 3), 0));
    let failed: Vec<_> = record.cells.iter().filter(|cell| cell.state == State::Failed).collect();
    assert!(failed.iter().all(|cell| cell.workload == plan.plan.blocks[1].workload));
    let why = failed[0].reason.as_ref().unwrap();
    assert!(why.contains("was given up: TIMEOUT; 2 of 3 passes have a trial"), "{why}");
}

#[test]
fn machines_of_two_kinds_make_two_records_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);
    all_blocks(&plan);
    let other = &plan.plan.blocks[0].id;
    let attempt = fs::read_dir(plan.attempts(other)).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(attempt).unwrap();
    let planted = Planted { block: 0, ended: 1, node: 5, tag: 99, fault: None };
    plant(&plan, &planted);
    let path = plan.attempts(other).join("job-99-5");
    let mut file: NodeFile =
        serde_json::from_slice(&fs::read(path.join("node.json")).unwrap()).unwrap();
    file.node.fingerprint.hash = "another".into();
    rewrite(&path, "node.json", &serde_json::to_string(&file).unwrap());
    let found = collected(&plan);
    let trials: usize = found.folders.iter().map(|folder| read(folder).unwrap().trials.len()).sum();
    assert_eq!((found.folders.len(), trials), (2, 12), "{:?}", found.warnings);
    let results = folder.path().join("together");
    let found = collect(&plan, &results, false, true).unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(read(&found.folders[0]).unwrap().trials.len(), 12);
    assert!(!found.warnings.iter().any(|warning| warning.contains("an earlier record")));
    // Where each has a record already, they would count twice.
    let results = folder.path().join("results");
    let found = collect(&plan, &results, false, true).unwrap_or_else(|fault| panic!("{fault:?}"));
    let twice = found.warnings.iter().filter(|warning| warning.contains("an earlier record"));
    assert_eq!(twice.count(), 2, "{:?}", found.warnings);
    assert!(found.warnings.iter().any(|warning| warning.contains("machines of 2 kinds")));
    file.cores += 1;
    rewrite(&path, "node.json", &serde_json::to_string(&file).unwrap());
    let Err(Fault::Usage(why)) = collect(&plan, &results, false, true) else {
        panic!("cells of other settings were merged")
    };
    assert!(why.ends_with("make other cells, so leave --any-machine out"), "{why}");
}

#[test]
fn settings_that_follow_the_cores_are_resolved_on_the_node_and_not_in_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path(), 1);
    plan.plan.workers.clear();
    let (workloads, choice) = plan.cells_of(&plan.plan.blocks[0]);
    let workers = |cores| -> Vec<Option<usize>> {
        cells_on(cores, workloads, &plan.models, &choice).iter().map(|cell| cell.workers).collect()
    };
    assert!(workers(64).contains(&Some(64)) && !workers(2).contains(&Some(64)));
}

#[test]
fn a_plan_has_each_workload_at_each_scale_once_in_each_pass_and_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 3);
    let mut seen = std::collections::BTreeSet::new();
    for block in &plan.plan.blocks {
        assert!(seen.insert((block.workload.clone(), block.scale, block.pass)));
    }
    assert_eq!(seen.len(), 6);
    assert!(matches!(make(&order(1), None, &plan.dir), Err(Fault::Usage(_))));
}
