//! The record of a load between nodes: the cells of each block, written by the server's node. Where each node is the
//! server's in turn, each has a record of its own: servers are compared on one node.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    Block, Fault, PlanFolder,
    collect::{Collected, put, unwritable},
    hosts::{LoadPlan, PlanNode},
    node::NodeFile,
    part::{Part, counted},
};
use crate::{
    load::unmeasured,
    record::{CELLS, Cell, NODES, Node, Nodes, RUN, Run, TRIALS, parse_lines, write_json},
};

/// A record under construction: the blocks whose server is on one node.
struct Direction<'a> {
    load: LoadPlan,
    any_machine: bool,
    first: Option<NodeFile>,
    cells: Vec<Cell>,
    nodes: Nodes,
    /// The blocks that were given up, with the scheduler's word.
    given_up: Vec<(&'a Block, String)>,
    /// The blocks that have no result.
    missing: Vec<&'a Block>,
}

/// Collects the blocks of a load into a record in `results`, or one for each node that is the server's. They are built
/// in `aside` and then moved. `words` are those of the scheduler on blocks that were given up.
pub(super) fn collect(
    plan: &PlanFolder,
    load: &LoadPlan,
    words: &BTreeMap<String, String>,
    (results, aside): (&Path, &Path),
    (partial, any_machine): (bool, bool),
) -> Result<Collected, Fault> {
    let (mut directions, mut missing) = (BTreeMap::<u32, Direction<'_>>::new(), Vec::new());
    for block in &plan.plan.blocks {
        let of = directions.entry(block.pass);
        let of = of.or_insert_with(|| Direction::new(plan, load, block, any_machine));
        let check = |part| check(plan, &of.load, block, part);
        match counted(plan, &block.id, &mut of.nodes.left_out, check)? {
            Ok((node, cells)) => of.take(block, node, cells)?,
            Err(why) => {
                if let Some(word) = words.get(&block.id) {
                    of.given_up.push((block, word.clone()));
                } else {
                    missing.push((block.id.clone(), format!("{}: {why}", plan.plan.label(block))));
                    of.missing.push(block);
                }
            }
        }
    }
    let is_recorded = missing.is_empty() || partial;
    let mut done = Collected { folders: vec![], cells: (0, 0), missing, warnings: vec![] };
    for of in directions.into_values() {
        let Some(first) = of.first.clone().filter(|_| is_recorded) else {
            let words = of.given_up.into_iter();
            done.missing.extend(words.map(|(block, word)| (block.id.clone(), word)));
            continue;
        };
        of.install(plan, &first, (results, aside), &mut done)?;
    }
    if done.folders.len() > 1 {
        done.warnings.push(
            "Each node was the server's in turn, and each has a record of its own: compare servers within one.".into(),
        );
    }
    Ok(done)
}

impl Direction<'_> {
    fn new(plan: &PlanFolder, load: &LoadPlan, block: &Block, any_machine: bool) -> Self {
        let (load, nodes) = (load.of(block), Nodes::of_plan(&plan.hash));
        let (cells, given_up, missing) = (vec![], vec![], vec![]);
        Direction { load, any_machine, first: None, cells, nodes, given_up, missing }
    }

    /// Takes the attempt at `block` that counts.
    fn take(&mut self, block: &Block, node: NodeFile, cells: Vec<Cell>) -> Result<(), Fault> {
        if !self.any_machine {
            self.check_kinds(block, &node)?;
        }
        for one in std::iter::once(&node.node).chain(&node.generators) {
            self.nodes.add(one);
        }
        self.nodes.counted.push(node.counted());
        self.cells.extend(cells);
        self.first.get_or_insert(node);
        Ok(())
    }

    /// Checks that the generators are machines of one kind, because their latencies are one distribution, and that each
    /// node is the machine that it was in the blocks before.
    fn check_kinds(&self, block: &Block, of: &NodeFile) -> Result<(), Fault> {
        let differ = |one: &Node, other: &Node| one.fingerprint.hash != other.fingerprint.hash;
        let generators = &of.generators;
        if let Some([one, other]) = generators.windows(2).find(|two| differ(&two[0], &two[1])) {
            return Err(Fault::Usage(format!(
                "the generators {} and {} are machines of two kinds, whose latencies do not mix: plan generators of one kind, \
                 or give --any-machine",
                one.id, other.id
            )));
        }
        let known = &self.nodes.nodes;
        let before = |node: &Node| known.iter().any(|of| of.id == node.id && differ(of, node));
        let mut nodes = std::iter::once(&of.node).chain(generators);
        match nodes.find(|node| before(node)) {
            None => Ok(()),
            Some(node) => Err(Fault::Usage(format!(
                "{} was a machine of another kind in block {} than before: measure all blocks on one, or give --any-machine",
                node.id, block.id
            ))),
        }
    }

    /// Writes the record.
    fn install(
        mut self,
        plan: &PlanFolder,
        first: &NodeFile,
        (results, aside): (&Path, &Path),
        done: &mut Collected,
    ) -> Result<(), Fault> {
        let cells_of = |block: &Block, why: &str| {
            unmeasured(&plan.load_order(&self.load, block, first.cores), why)
        };
        let given_up = self.given_up.iter();
        let failed: Vec<Cell> = given_up
            .flat_map(|(block, word)| cells_of(block, &format!("its block was given up: {word}")))
            .collect();
        let missing: usize = self.missing.iter().map(|block| cells_of(block, "").len()).sum();
        self.cells.extend(failed);
        self.nodes.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        let (id, server) = (&plan.plan.id, &self.load.server.id);
        let id = if self.load.swap_roles { format!("{id}-{server}") } else { id.clone() };
        let (folder, aside) = (results.join(&id), aside.join(server));
        let run = Run { id, ..self.run(plan, first, self.cells.len() + missing) };
        fs::create_dir_all(&aside).map_err(unwritable(&folder))?;
        let line = |cell: &Cell| serde_json::to_string(cell).expect("it is plain data") + "\n";
        let lines: String = self.cells.iter().map(line).collect();
        fs::write(aside.join(CELLS), lines).map_err(unwritable(&folder))?;
        fs::write(aside.join(TRIALS), "").map_err(unwritable(&folder))?;
        write_json(&aside.join(NODES), &self.nodes)?;
        write_json(&aside.join(RUN), &run)?;
        put(&aside, &folder).map_err(unwritable(&folder))?;
        done.cells.0 += self.cells.len();
        done.cells.1 += self.cells.iter().filter(|cell| cell.is_wrong()).count();
        done.warnings.extend(self.nodes.warnings());
        done.folders.push(folder);
        Ok(())
    }

    fn run(&self, plan: &PlanFolder, first: &NodeFile, planned: usize) -> Run {
        let (plan, load, options) = (&plan.plan, &self.load, &self.load.options);
        let of = |what: fn(&PlanNode) -> String| -> serde_json::Value {
            load.generators.iter().map(what).collect::<Vec<_>>().into()
        };
        let blocks = plan.blocks.iter().filter(|block| load.of(block).server == load.server);
        let targets: Vec<&str> = blocks.map(|block| &*block.workload).collect();
        let settings = [
            ("target", targets.join(", ").into()),
            ("trials", plan.passes.into()),
            ("generators", load.generators.len().into()),
            ("server_node", load.server.id.clone().into()),
            ("server_address", load.server.address.to_string().into()),
            ("generator_nodes", of(|node| node.id.clone())),
            ("generator_addresses", of(|node| node.address.to_string())),
            ("swap_roles", load.swap_roles.into()),
            ("warm_up_seconds", load.warm_up.as_secs_f64().into()),
            ("duration_seconds", load.duration.as_secs_f64().into()),
            ("expect", options.accept.clone().into()),
            ("method", options.method.clone().into()),
            ("timeout_seconds", options.timeout.map(|time| time.as_secs_f64()).into()),
            ("max_errors", options.max_errors.map(|most| most.to_string()).into()),
            ("cluster", true.into()),
            ("blocks", targets.len().into()),
            ("blocks_missing", self.missing.len().into()),
            ("any_machine", self.any_machine.into()),
        ];
        Run { planned: Some(planned), ..first.run(plan, "load", settings) }
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
