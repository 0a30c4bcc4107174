//! What collecting finds, and what it costs.

use super::*;
use crate::record::Estimate;

#[test]
fn on_three_nodes_an_interval_is_over_nodes_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 6);
    for (block, of) in plan.plan.blocks.iter().enumerate() {
        let node = of.pass as usize % 3;
        // Nodes differ by tenths, and trials on one node hardly.
        let tag = node as u64 * 2_000_000 + u64::from(of.pass) * 1_000;
        plant(&plan, &Planted { block, ended: 1, node, tag, fault: None });
    }
    let record = read(&collected(&plan).folders[0]).unwrap();
    for cell in &record.cells {
        let trials: Vec<f64> = cell.trials_ns.iter().map(|ns| *ns as f64).collect();
        let node = |node: usize| (trials[node] * trials[node + 3]).sqrt();
        let own = Estimate::of_trials(&[node(0), node(1), node(2)], 1.0).unwrap();
        let found = cell.jobs_per_second.unwrap();
        let wanted = own.per_second(cell.scale);
        let near = |one: f64, other: f64| (one / other - 1.0).abs() < 1e-6;
        assert!(near(found.lower, wanted.lower) && near(found.upper, wanted.upper), "{found:?}");
        let said = cell.interval.as_ref().unwrap();
        assert!(said.contains("over 3 nodes (n0, n1, n2) of the mean of 6 trials"), "{said}");
    }
}

#[test]
fn trials_of_two_versions_of_a_model_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);
    all_blocks(&plan);
    let block = &plan.plan.blocks[1];
    let attempt = plan.attempts(&block.id).join("job-1-1");
    let text = fs::read(attempt.join("node.json")).unwrap();
    let mut node: NodeFile = serde_json::from_slice(&text).unwrap();
    let model = node.models.iter_mut().find(|model| model.name == "tokio").unwrap();
    model.version = "9.9".into();
    rewrite(&attempt, "node.json", &serde_json::to_string(&node).unwrap());
    let record = read(&collected(&plan).folders[0]).unwrap();
    let is_wrong = |cell: &&crate::record::Cell| cell.state == State::Invalid;
    let wrong: Vec<_> = record.cells.iter().filter(is_wrong).collect();
    assert_eq!((wrong.len(), record.trials.len()), (1, 12));
    assert_eq!((&*wrong[0].model, &wrong[0].workload), ("tokio", &block.workload));
    assert!(wrong[0].reason.as_ref().unwrap().contains("9.9 on n1"), "{:?}", wrong[0].reason);
}

#[test]
fn blocks_that_were_measured_at_the_same_time_on_one_machine_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);
    all_blocks(&plan);
    // The nodes n0 and n1 are this machine, and each block takes a second.
    for (block, began) in [(0, 100.0), (1, 100.0), (2, 97.0)] {
        let attempt =
            plan.attempts(&format!("000{block}")).join(format!("job-{block}-{}", block % 2));
        let text = fs::read(attempt.join("node.json")).unwrap();
        let mut node: NodeFile = serde_json::from_slice(&text).unwrap();
        node.began_seconds = Some(began);
        rewrite(&attempt, "node.json", &serde_json::to_string(&node).unwrap());
        let path = attempt.join("done.json");
        let mut done: Done = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        done.seconds = 3.0;
        fs::write(path, serde_json::to_string(&done).unwrap()).unwrap();
    }
    let found = collected(&plan);
    let nodes = read(&found.folders[0]).unwrap().nodes.unwrap();
    let besides: Vec<Option<&str>> = nodes.counted.iter().map(|of| of.beside.as_deref()).collect();
    assert_eq!(besides, [Some("0001"), Some("0000"), None, None]);
    let said = "2 blocks ran while another ran on the same machine, such as 0000 on n0 beside 0001";
    assert!(found.warnings.iter().any(|warning| warning.starts_with(said)), "{:?}", found.warnings);
}

/// The figures of docs/cluster.md: `cargo test -p paceline --lib -- --ignored --nocapture a_thousand_blocks`.
#[test]
#[ignore = "it takes minutes in an unoptimised build"]
fn a_thousand_blocks_of_a_hundred_cells_are_collected_in_half_a_minute_and_half_a_gigabyte() {
    let folder = tempfile::tempdir().unwrap();
    let order = Order {
        workloads: vec![workloads::find("cpu").unwrap(), workloads::find("yield").unwrap()],
        models: models::MODELS
            .iter()
            .filter(|entry| entry.info.foreign.is_none())
            .take(10)
            .collect(),
        choice: Choice {
            scales: (1..=100).collect(),
            workers: (1..=10).collect(),
            ..Choice::default()
        },
        ..order(5)
    };
    let plan =
        make(&order, None, &folder.path().join("plan")).unwrap_or_else(|_| panic!("no plan"));
    assert_eq!(plan.plan.blocks.len(), 1_000);
    all_blocks(&plan);
    // The time on a CPU: other programs do not count.
    let cpu = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = cpu();
    let found = collected(&plan);
    let took = Duration::from_nanos(cpu() - before);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let trials = read(&found.folders[0]).unwrap().trials.len();
    let text = format!(
        "1 000 blocks, {trials} trials, {} cells: {took:.1?} of CPU, {peak}",
        found.cells.0
    );
    crate::output::print(&text).unwrap();
    assert_eq!(trials, 100_000);
    let kilobytes: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kilobytes <= 512 << 10);
    assert!(cfg!(debug_assertions) || took.as_secs() < 30);
}
