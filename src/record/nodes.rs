//! The nodes of a cluster on which a record's trials ran: `nodes.json`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cell, State};
use crate::{machine::Fingerprint, output::counted};

/// The version of the format of `nodes.json`.
pub const NODES_SCHEMA: u32 = 1;
/// The clock offset in seconds above which a node is reported.
const CLOCK_OFF: f64 = 60.0;

/// The nodes on which the blocks of a plan ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// [`NODES_SCHEMA`].
    pub schema: u32,
    /// The SHA-256 of the plan.
    pub plan: String,
    /// The nodes, by name.
    pub nodes: Vec<Node>,
    /// The attempt at each block that counts.
    pub counted: Vec<Counted>,
    /// The attempts that do not count, each with the reason.
    pub left_out: Vec<LeftOut>,
}

/// A node when it began its first block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name in trials and cells: the scheduler's, or its host name with an id of the machine.
    pub id: String,
    /// Its host name.
    pub host: String,
    /// The kernel's boot id: nodes that share it are one machine. Empty if the system has none.
    pub boot_id: String,
    /// Its other boot ids: it restarted between blocks, or several machines have this name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_boot_ids: Vec<String>,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// How many seconds its wall clock is ahead of the clock of the file system with the plan.
    pub clock_ahead_seconds: Option<f64>,
}

/// A block, its attempt that counts, and the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// The block.
    pub block: String,
    /// The attempt.
    pub attempt: String,
    /// The node.
    pub node: String,
    /// Another block that was measured at the same time on the same machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
}

/// An attempt that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// The block.
    pub block: String,
    /// The attempt.
    pub attempt: String,
    /// The reason.
    pub reason: String,
}

impl Nodes {
    /// Returns those of a plan, none so far.
    pub(crate) fn of_plan(hash: &str) -> Self {
        let (nodes, counted, left_out) = (vec![], vec![], vec![]);
        Nodes { schema: NODES_SCHEMA, plan: hash.into(), nodes, counted, left_out }
    }

    /// Adds a node unless it is known already; returns whether it was added. It may restart, or its clock be set,
    /// between two blocks: a record describes it at its first.
    pub(crate) fn add(&mut self, node: &Node) -> bool {
        let Some(known) = self.nodes.iter_mut().find(|known| known.id == node.id) else {
            self.nodes.push(node.clone());
            return true;
        };
        if known.boot_id != node.boot_id && !known.other_boot_ids.contains(&node.boot_id) {
            known.other_boot_ids.push(node.boot_id.clone());
        }
        false
    }

    /// Returns warnings about the nodes for readers of the figures.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        // The nodes of generators have no blocks: the server's node has them.
        let generates = |node: &&Node| !self.counted.iter().any(|block| block.node == node.id);
        let (generators, measured): (Vec<&Node>, Vec<&Node>) =
            self.nodes.iter().partition(generates);
        let is_load = !generators.is_empty();
        if let [only] = &measured[..] {
            let what = if is_load { "All servers" } else { "All of it" };
            let id = &only.id;
            warnings.push(format!("{what} ran on one node, {id}: nothing is known of others."));
        }
        let mut machines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            machines.entry(&node.boot_id).or_default().push(&node.id);
        }
        let unknown = machines.remove("").unwrap_or_default();
        for mut names in machines.into_values() {
            names.dedup();
            if names.len() > 1 {
                let so = if is_load {
                    "a load between them is labelled shared host, used no network, and is not ranked"
                } else {
                    "what they differ by is chance"
                };
                let names = names.join(", ");
                warnings.push(format!(
                    "The nodes {names} share one boot id: they are one machine, and {so}."
                ));
            }
        }
        if let [one, other] = &measured[..] {
            warnings.push(format!(
                "All of it ran on two nodes, {} and {}: intervals are over their trials, and nothing is known of others.",
                one.id, other.id
            ));
        }
        let mut besides = self.counted.iter().filter_map(|of| Some((of, of.beside.as_ref()?)));
        if let Some((Counted { block, node, .. }, other)) = besides.next() {
            warnings.push(format!(
                "{} ran while another ran on the same machine, such as {block} on {node} beside {other}: they disturbed each \
                 other.",
                counted(besides.count() + 1, "block")
            ));
        }
        for (what, nodes) in [("nodes", &measured), ("generators", &generators)] {
            let kinds: BTreeSet<&str> = nodes.iter().map(|node| &*node.fingerprint.hash).collect();
            if kinds.len() > 1 {
                warnings.push(format!(
                    "The {what} are machines of {} kinds, and one distribution has the figures of all.",
                    kinds.len()
                ));
            }
        }
        if !unknown.is_empty() && self.nodes.len() > 1 {
            warnings.push(format!(
                "No boot id was found on {}: it is not known which nodes are machines of their own.",
                unknown.join(", ")
            ));
        }
        for node in self.nodes.iter().filter(|node| !node.other_boot_ids.is_empty()) {
            warnings.push(format!(
                "{} had {} boot ids: it restarted between blocks, or several machines have this name and count as one node; \
                 name each with --node or PACELINE_NODE_NAME.",
                node.id,
                node.other_boot_ids.len() + 1
            ));
        }
        for node in &self.nodes {
            if let Some(ahead) = node.clock_ahead_seconds.filter(|off| off.abs() > CLOCK_OFF) {
                let side = if ahead > 0.0 { "ahead of" } else { "behind" };
                warnings.push(format!(
                    "The wall clock of {} is {:.0} s {side} the file system's: its dates are wrong, its figures are not.",
                    node.id,
                    ahead.abs()
                ));
            }
        }
        warnings
    }

    /// Returns the speed of each node relative to the nodes' mean over the cells that ran on all of them, and the
    /// number of these cells. A cell's figure on a node is the geometric mean of its trials there.
    pub fn speeds(&self, cells: &[Cell]) -> Vec<(f64, usize)> {
        let mut sums = vec![0.0; self.nodes.len()];
        let mut count = 0;
        // A cell of fewer trials than there are nodes did not run on all of them.
        let on_all = |cell: &&Cell| cell.state == State::Ok && cell.nodes.len() >= self.nodes.len();
        for cell in cells.iter().filter(on_all) {
            let rates = cell.rates();
            let on = |node: &Node| {
                let rates = cell.nodes.iter().zip(&rates).filter(|(id, _)| **id == node.id);
                let logs: Vec<f64> = rates.map(|(_, rate)| rate.ln()).collect();
                (!logs.is_empty()).then(|| logs.iter().sum::<f64>() / logs.len() as f64)
            };
            let logs: Option<Vec<f64>> = self.nodes.iter().map(on).collect();
            let Some(logs) = logs.filter(|logs| logs.iter().all(|log| log.is_finite())) else {
                continue;
            };
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            count += 1;
            sums.iter_mut().zip(logs).for_each(|(sum, log)| *sum += log - mean);
        }
        let speed = |sum: &f64| (if count > 0 { (sum / count as f64).exp() } else { 1.0 }, count);
        sums.iter().map(speed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PerTrial;
    use paceline_core::perform::Placement;

    fn nodes(all: &[(&str, &str, Option<f64>)]) -> Nodes {
        let node = |(id, boot_id, ahead): &(&str, &str, Option<f64>)| Node {
            id: (*id).into(),
            host: "h".into(),
            boot_id: (*boot_id).into(),
            other_boot_ids: vec![],
            fingerprint: Fingerprint::default(),
            clock_ahead_seconds: *ahead,
        };
        let nodes: Vec<Node> = all.iter().map(node).collect();
        let block = |node: &Node| Counted {
            block: String::new(),
            attempt: String::new(),
            node: node.id.clone(),
            beside: None,
        };
        let counted = nodes.iter().map(block).collect();
        Nodes { nodes, counted, ..Nodes::of_plan("") }
    }

    #[test]
    fn the_nodes_of_generators_are_no_second_opinion_on_a_server() {
        let said = |boot_ids: [&str; 2]| {
            let mut both = nodes(&[("a", boot_ids[0], None), ("b", boot_ids[1], None)]);
            both.counted.truncate(1);
            both.warnings()
        };
        let apart = said(["1", "2"]);
        assert_eq!(apart, ["All servers ran on one node, a: nothing is known of others."]);
        assert!(said(["1", "1"])[1].contains("labelled shared host"));
    }

    #[test]
    fn one_node_a_shared_machine_and_a_clock_that_is_off_are_said() {
        let said = |all: &[(&str, &str, Option<f64>)]| nodes(all).warnings();
        assert!(said(&[("a", "1", None)])[0].contains("one node, a"));
        let two = said(&[("a", "1", Some(2.0)), ("b", "2", None)]);
        assert!(two.len() == 1 && two[0].contains("two nodes, a and b"), "{two:?}");
        assert!(said(&[("a", "1", None), ("b", "2", None), ("c", "3", None)]).is_empty());
        assert!(said(&[("a", "1", None), ("b", "1", None)])[0].contains("a, b share one boot id"));
        let off = said(&[("a", "1", Some(3_600.0)), ("b", "2", Some(-70.0))]);
        assert!(
            off[1].contains("of a is 3600 s ahead of") && off[2].contains("of b is 70 s behind")
        );
    }

    #[test]
    fn figures_of_several_kinds_of_machines_in_one_distribution_are_said() {
        let mut all = nodes(&[("a", "1", None), ("b", "2", None), ("c", "3", None)]);
        all.nodes[1].fingerprint.hash = "another".into();
        let said = "are machines of 2 kinds, and one distribution has the figures of all.";
        assert_eq!(all.warnings(), [format!("The nodes {said}")]);
        all.counted.truncate(1);
        assert_eq!(all.warnings()[1], format!("The generators {said}"));
        all.nodes[2].fingerprint.hash = "another".into();
        assert_eq!(all.warnings().len(), 1, "the server may be of another kind");
    }

    #[test]
    fn nodes_without_a_boot_id_are_not_taken_for_one_machine() {
        let said = nodes(&[("a", "", None), ("b", "", None), ("c", "3", None)]).warnings();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("No boot id was found on a, b: it is not known"), "{said:?}");
        assert_eq!(nodes(&[("a", "", None)]).warnings().len(), 1, "one node is one machine");
    }

    #[test]
    fn a_name_with_two_boot_ids_is_one_node_and_said_to_be_perhaps_two() {
        let mut all = nodes(&[("a", "1", None), ("b", "2", None), ("c", "3", None)]);
        for boot_id in ["1", "4", "4"] {
            assert!(!all.add(&nodes(&[("a", boot_id, None)]).nodes[0]));
        }
        assert_eq!(all.nodes[0].other_boot_ids, ["4"]);
        let said = all.warnings();
        assert!(
            said.len() == 1 && said[0].starts_with("a had 2 boot ids: it restarted"),
            "{said:?}"
        );
    }

    #[test]
    fn a_node_that_is_twice_as_fast_is_found_to_be_and_a_cell_on_one_node_says_nothing() {
        let cell = |rates: &[f64], on: &[&str]| Cell {
            per_trial: PerTrial { jobs_per_second: rates.to_vec(), ..PerTrial::default() },
            nodes: on.iter().map(|id| (*id).to_owned()).collect(),
            ..Cell::new("w", "m", 1, Some(1), Placement::Inside, State::Ok)
        };
        let cells = [
            cell(&[100.0, 200.0, 100.0], &["a", "b", "a"]),
            cell(&[20.0, 10.0], &["b", "a"]),
            cell(&[9.0, 900.0], &["a", "a"]),
        ];
        let speeds = nodes(&[("a", "1", None), ("b", "2", None)]).speeds(&cells);
        assert_eq!(speeds[0].1, 2);
        assert!((speeds[1].0 / speeds[0].0 - 2.0).abs() < 1e-12, "{speeds:?}");
    }
}
