//! Parts of loads between nodes: each planned cell once, on the plan's nodes, on machines of one kind.

use super::*;
use crate::{
    load::{MaxErrors, Url, unmeasured},
    record::Cell,
};

/// How a part differs from what its node would have written.
type Change = fn(&mut NodeFile, &mut Vec<Cell>);

/// Plans two blocks: a load of each of two workloads from two generators.
fn load_plan(dir: &Path) -> PlanFolder {
    let served = ["serve-plain", "serve-service"].map(|name| workloads::find(name).unwrap());
    let order = Order { workloads: served.to_vec(), ..order(1) };
    let load = load_from(&["b=10.9.0.2", "c=10.9.0.3"]);
    make(&order, Some(load), &dir.join("plan")).unwrap()
}

/// Writes an attempt at each block as the server's node would, with a change in the second.
fn plant_loads(plan: &PlanFolder, change: Change) {
    let load = plan.plan.load.as_ref().unwrap();
    for (place, block) in plan.plan.blocks.iter().enumerate() {
        let attempt = "job-1";
        let mut file = node(plan, &block.id, attempt, 0);
        let named = |id: &str| Node { id: id.into(), ..file.node.clone() };
        let (server, generators) = (named("a"), vec![named("b"), named("c")]);
        (file.node, file.generators) = (server, generators);
        let mut cells = unmeasured(&plan.load_order(load, block, file.cores), "planted");
        if place == 1 {
            change(&mut file, &mut cells);
        }
        let cells = cells.iter().map(|cell| serde_json::to_value(cell).unwrap());
        let mut files = BTreeMap::from([
            ("node.json", serde_json::to_string(&file).unwrap()),
            ("cells.jsonl", jsonl(cells)),
            ("trials.jsonl", String::new()),
        ]);
        let done = done(plan, &block.id, attempt, 1, &files);
        files.insert("done.json", serde_json::to_string(&done).unwrap());
        write_attempt(plan, &block.id, attempt, &files);
    }
}

#[test]
fn a_load_whose_part_does_not_have_exactly_its_cells_and_nodes_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let plan = load_plan(folder.path());
    let (not_one, foreign) = ("exactly one cell of", "cells or nodes that are not in the plan");
    let changes: [(Change, &str); 6] = [
        (|_, cells| drop(cells.pop()), not_one),
        (|_, cells| cells.push(cells[0].clone()), not_one),
        (|_, cells| cells.push(Cell { model: "another".into(), ..cells[0].clone() }), foreign),
        (|file, _| file.node.id = "z".into(), foreign),
        (|file, _| file.generators[1].id = "z".into(), foreign),
        (|file, _| drop(file.generators.pop()), foreign),
    ];
    for (change, why) in changes {
        plant_loads(&plan, change);
        let missing = collected(&plan).missing;
        assert!(missing.len() == 1 && missing[0].1.contains(why), "{why}: {missing:?}");
    }
    plant_loads(&plan, |_, _| ());
    assert!(collected(&plan).missing.is_empty());
}

#[test]
fn figures_of_two_kinds_of_machines_are_in_one_record_of_a_load_only_if_told() {
    fn become_another(node: &mut Node) {
        node.fingerprint.hash = "another".into();
    }
    let changes: [(Change, &str); 3] = [
        (
            |file, _| become_another(&mut file.generators[1]),
            "the generators b and c are machines of two kinds",
        ),
        (|file, _| become_another(&mut file.node), "a was a machine of another kind in block 0001"),
        (
            |file, _| file.generators.iter_mut().for_each(become_another),
            "b was a machine of another kind in block 0001",
        ),
    ];
    for (change, why) in changes {
        let folder = tempfile::tempdir().unwrap();
        let plan = load_plan(folder.path());
        plant_loads(&plan, change);
        let results = folder.path().join("results");
        let Err(Fault::Usage(said)) = collect(&plan, &results, false, false) else {
            panic!("they are in one record")
        };
        assert!(said.starts_with(why) && said.ends_with("or give --any-machine"), "{said}");
        assert!(!results.join(&plan.plan.id).exists());
        let found = collect(&plan, &results, false, true).unwrap();
        assert_eq!(read(&found.folders[0]).unwrap().run.settings["any_machine"], true);
    }
}

#[test]
fn a_block_has_the_options_of_the_plan_as_they_were_written_to_its_file() {
    let ip = "10.9.0.1".parse().unwrap();
    let url = Url::on_node("http://10.9.0.1:8080/", ip).map(Result::unwrap);
    let options = LoadOptions {
        method: Some("PUT".into()),
        accept: vec![204, 404],
        timeout: Some(Duration::from_secs(10)),
        max_errors: Some(MaxErrors::parse("0.1%").unwrap()),
    };
    let planned = LoadPlan { url, options: options.clone(), ..load_from(&["b=10.9.0.2"]) };
    let text = serde_json::to_string(&planned.with_generators(None).unwrap()).unwrap();
    let read: LoadPlan = serde_json::from_str(&text).unwrap();
    let of = read.order(None, &[], (None, 2), (1, 1));
    let found = LoadOptions {
        method: of.request_options.method,
        accept: of.accept,
        timeout: of.timeout,
        max_errors: of.max_errors,
    };
    assert_eq!(found, options);
    let timeout = Some(Duration::from_millis(10_001));
    let long = LoadPlan { options: LoadOptions { timeout, ..options }, ..read };
    let why = long.with_generators(None).unwrap_err();
    assert!(why.starts_with("--timeout 10s 1ms is too long") && why.contains("for 10s"), "{why}");
}
