//! The record of a load between nodes: the cells of each block, written by the server's node.

use std::{fs, path::Path};

use super::{
    Block, Fault, PlanFolder,
    collect::{Collected, put, unwritable},
    hosts::LoadPlan,
    jobs::Jobs,
    node::NodeFile,
    part::{Part, counted},
};
use crate::{
    load::unmeasured,
    record::{
        CELLS, Cell, Counted, NODES, NODES_SCHEMA, Node, Nodes, RUN, Run, TRIALS, parse_lines,
        write_json,
    },
};

/// Collects the blocks of a load into one record in `results`. The record is built in `aside` and then moved.
pub(super) fn collect(
    plan: &PlanFolder,
    load: &LoadPlan,
    (results, aside): (&Path, &Path),
    partial: bool,
) -> Result<Collected, Fault> {
    let given_up = Jobs::read(&plan.dir)?.given_up();
    let mut nodes = Nodes {
        schema: NODES_SCHEMA,
        plan: plan.hash.clone(),
        nodes: vec![],
        counted: vec![],
        left_out: vec![],
    };
    let (mut cells, mut missing, mut first) = (Vec::new(), Vec::new(), None::<NodeFile>);
    let mut lost = Vec::new();
    for block in &plan.plan.blocks {
        let check = |part| check(plan, load, block, part);
        match counted(plan, &block.id, &mut nodes.left_out, check)? {
            Ok((node, of_block)) => {
                for node in std::iter::once(&node.node).chain(&node.generators) {
                    add(&mut nodes.nodes, node);
                }
                nodes.counted.push(Counted {
                    block: block.id.clone(),
                    attempt: node.attempt.clone(),
                    node: node.node.id.clone(),
                });
                cells.extend(of_block);
                first.get_or_insert(node);
            }
            Err(_) => {
                if let Some(word) = given_up.get(&block.id) {
                    lost.push((block, word));
                } else {
                    let why = format!("{}: no attempt is complete", block.label());
                    missing.push((block.id.clone(), why));
                }
            }
        }
    }
    let Some(first) = first.filter(|_| missing.is_empty() || partial) else {
        missing.extend(lost.iter().map(|(block, word)| (block.id.clone(), (*word).clone())));
        return Ok(Collected { folders: vec![], cells: (0, 0), missing, warnings: vec![] });
    };
    for (block, word) in lost {
        let order = plan.load_order(load, block, first.cores);
        cells.extend(unmeasured(&order, &format!("its block was given up: {word}")));
    }
    let folder = results.join(&plan.plan.id);
    fs::create_dir_all(aside).map_err(unwritable(aside))?;
    let lines: Vec<String> =
        cells.iter().map(|cell| serde_json::to_string(cell).expect("it is plain data")).collect();
    fs::write(aside.join(CELLS), lines.join("\n") + "\n").map_err(unwritable(&folder))?;
    fs::write(aside.join(TRIALS), "").map_err(unwritable(&folder))?;
    nodes.nodes.sort_by(|a, b| a.id.cmp(&b.id));
    write_json(&aside.join(NODES), &nodes)?;
    write_json(&aside.join(RUN), &run(plan, load, &first, missing.len(), cells.len()))?;
    put(aside, &folder).map_err(unwritable(&folder))?;
    let _ = fs::remove_dir_all(aside);
    let wrong = cells.iter().filter(|cell| cell.is_wrong()).count();
    let warnings = nodes.warnings();
    Ok(Collected { folders: vec![folder], cells: (cells.len(), wrong), missing, warnings })
}

/// Adds a node unless it is known already.
fn add(nodes: &mut Vec<Node>, node: &Node) {
    if !nodes.iter().any(|known| known.id == node.id) {
        nodes.push(node.clone());
    }
}

/// Returns the node and the cells of an attempt. It has each planned cell exactly once, and the plan's nodes.
fn check(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    part: Part,
) -> Result<(NodeFile, Vec<Cell>), String> {
    let cells: Vec<Cell> = parse_lines(Path::new(CELLS), &part.cells)?;
    let key = |cell: &Cell| (cell.workload.clone(), cell.model.clone(), cell.scale, cell.workers);
    let order = plan.load_order(load, block, part.node.cores);
    let planned = unmeasured(&order, "");
    let mut found = Vec::new();
    for wanted in &planned {
        let mut matching = cells.iter().filter(|cell| key(cell) == key(wanted));
        match (matching.next(), matching.next()) {
            (Some(cell), None) => found.push(cell.clone()),
            _ => return Err(format!("it does not have exactly one cell of {}", wanted.model)),
        }
    }
    let nodes = part.node.generators.iter().map(|node| &node.id);
    let is_of_the_plan = part.node.node.id == load.server.id
        && nodes.eq(load.generators.iter().map(|node| &node.id));
    if found.len() != cells.len() || !is_of_the_plan {
        return Err("it has cells or nodes that are not in the plan".into());
    }
    Ok((part.node, found))
}

fn run(
    plan: &PlanFolder,
    load: &LoadPlan,
    first: &NodeFile,
    missing: usize,
    planned: usize,
) -> Run {
    let plan = &plan.plan;
    let generators: Vec<&str> = load.generators.iter().map(|node| &*node.id).collect();
    let settings = [
        ("target", plan.blocks.first().map(|block| block.workload.clone()).into()),
        ("trials", plan.passes.into()),
        ("generators", generators.len().into()),
        ("server_node", load.server.id.clone().into()),
        ("generator_nodes", generators.into()),
        ("warm_up_seconds", load.warm_up.as_secs_f64().into()),
        ("duration_seconds", load.duration.as_secs_f64().into()),
        ("cluster", true.into()),
        ("blocks", plan.blocks.len().into()),
        ("blocks_missing", missing.into()),
    ];
    Run { planned: Some(planned), ..first.run(plan, "load", settings) }
}
