//! The cells of one workload at one scale, from the blocks that measured them.

use std::collections::BTreeSet;

use super::{
    Block, PlanFolder,
    part::{End, Part},
};
use crate::{
    plan::{Planned, cells_on},
    record::{Cell, Estimate, State, Trial},
    run::whole,
};

/// The blocks of one workload at one scale, those on machines of one kind.
pub(super) struct Row<'a> {
    pub plan: &'a PlanFolder,
    /// The blocks that are complete, in the order of their passes.
    pub parts: Vec<(&'a Block, Part)>,
    /// The blocks that were given up, with the scheduler's word.
    pub given_up: Vec<(&'a Block, String)>,
    /// How many passes have not ended.
    pub missing: usize,
}

/// Checks that a part has each cell of its block once, and a trial of its pass for each that is `ok`.
pub(super) fn check(plan: &PlanFolder, block: &Block, part: &Part) -> Result<(), String> {
    let (workloads, choice) = plan.cells_of(block);
    let planned = cells_on(part.node.cores, workloads, &plan.models, &choice);
    let mut measured = 0;
    for cell in &planned {
        let ends: Vec<&End> = part.ends.iter().filter(|end| is(cell, end)).collect();
        let trials: Vec<&Trial> = part.trials.iter().filter(|trial| cell.is_of(trial)).collect();
        let [end] = ends[..] else {
            return Err(format!("it has {} ends of {}, not one", ends.len(), cell.name()));
        };
        let wanted = usize::from(end.state == State::Ok);
        if trials.len() != wanted || trials.iter().any(|trial| trial.trial != block.pass) {
            let (name, has) = (cell.name(), trials.len());
            return Err(format!("{name} is to have {wanted} trials of its pass, and has {has}"));
        }
        measured += wanted;
    }
    if (part.ends.len(), part.trials.len()) != (planned.len(), measured) {
        return Err("it has cells that are not in the plan".into());
    }
    let broken = part.trials.iter().find_map(|trial| trial.recorded.check().err());
    broken.map_or(Ok(()), Err)
}

fn is(cell: &Planned<'_>, end: &End) -> bool {
    let End { workload, model, scale, workers, placement, .. } = end;
    let of = (&cell.workload.name, cell.entry.info.name, cell.scale, cell.workers, cell.placement);
    of == (workload, model.as_str(), *scale, *workers, *placement)
}

impl Row<'_> {
    /// Each cell with its trials, in the order of the plan. `cores` is what symbolic settings stand for where no part
    /// says it.
    ///
    /// # Errors
    ///
    /// Returns a sentence where a histogram cannot be read.
    pub(super) fn cells(&self, cores: usize) -> Result<Vec<(Cell, Vec<Trial>)>, String> {
        let blocks = self.parts.iter().map(|(block, _)| *block);
        let mut blocks = blocks.chain(self.given_up.iter().map(|(block, _)| *block));
        let Some(block) = blocks.next() else { return Ok(vec![]) };
        let cores = self.parts.first().map_or(cores, |(_, part)| part.node.cores);
        let (workloads, choice) = self.plan.cells_of(block);
        let planned = cells_on(cores, workloads, &self.plan.models, &choice);
        planned.iter().map(|cell| self.cell(cell)).collect()
    }

    fn cell(&self, cell: &Planned<'_>) -> Result<(Cell, Vec<Trial>), String> {
        let of_part = |part: &Part| part.trials.iter().find(|trial| cell.is_of(trial)).cloned();
        let trials: Vec<Trial> = self.parts.iter().filter_map(|(_, part)| of_part(part)).collect();
        if let Some((state, why)) = self.fault(cell, trials.len()) {
            let nodes = self.parts.iter().map(|(_, part)| part.node.node.id.clone()).collect();
            return Ok((Cell { nodes, ..cell.ended(state, why) }, trials));
        }
        let nodes: Vec<String> = trials.iter().filter_map(|trial| trial.node.clone()).collect();
        let whole = whole(cell, &trials, |batch| self.bound(cell, batch))
            .map_err(|why| format!("{}: {why}", cell.name()))?;
        let (ran, wanted) = (trials.len(), trials.len() + self.missing);
        let partial = || format!("{ran} of {wanted} passes had ended when this was collected");
        let interval = whole.interval.clone().map(|what| what + &over(&nodes));
        let reason = (self.missing > 0).then(partial);
        Ok((Cell { reason, interval, nodes, ..whole }, trials))
    }

    /// How it ended where any block of it gave no figure. One figure less would pair the passes of models wrongly, so
    /// none is made of the others.
    fn fault(&self, cell: &Planned<'_>, trials: usize) -> Option<(State, String)> {
        let ends = self.parts.iter().filter_map(|(block, part)| {
            Some((*block, part, part.ends.iter().find(|end| is(cell, end))?))
        });
        let ends: Vec<(&Block, &Part, &End)> = ends.collect();
        let worst = [State::Invalid, State::Failed, State::Refused, State::Skipped];
        let found = |state| ends.iter().find(move |(_, _, end)| end.state == state);
        let passes = self.parts.len() + self.given_up.len() + self.missing;
        let others = format!("{trials} of {passes} passes have a trial");
        let end = worst.into_iter().find_map(found);
        if let Some((block, part, end)) = end.filter(|(_, _, end)| end.state == State::Invalid) {
            return Some((end.state, told(block, part, end, &others)));
        }
        if let Some((block, word)) = self.given_up.first() {
            let pass = block.pass + 1;
            return Some((State::Failed, format!("pass {pass} was given up: {word}; {others}")));
        }
        let (block, part, end) = end?;
        let alike =
            ends.len() == passes && ends.iter().all(|(_, _, other)| other.state == end.state);
        let reason = end.reason.clone().unwrap_or_default();
        Some((end.state, if alike { reason } else { told(block, part, end, &others) }))
    }

    /// What no model can exceed on any of the nodes; `None` where one of them has no such bound, or it is refuted.
    fn bound(&self, cell: &Planned<'_>, batch: Option<Estimate>) -> Option<f64> {
        let ends = self.parts.iter().flat_map(|(_, part)| &part.ends);
        let bounds = ends.filter(|end| is(cell, end)).map(|end| end.bound_jobs_per_second);
        let most = bounds.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)?;
        cell.unless_refuted(most, batch)
    }
}

fn told(block: &Block, part: &Part, end: &End, others: &str) -> String {
    let (pass, node) = (block.pass + 1, &part.node.node.id);
    let why = end.reason.as_deref().unwrap_or("no reason was given");
    format!("pass {pass}, on {node}: {why}; {others}")
}

/// What the interval is of, in words.
fn over(nodes: &[String]) -> String {
    let names: BTreeSet<&str> = nodes.iter().map(String::as_str).collect();
    let first: Vec<&str> = names.iter().copied().take(8).collect();
    match &first[..] {
        [one] => format!("; all on one node, {one}: nothing is known of others"),
        some => format!("; over blocks on {} nodes ({})", names.len(), some.join(", ")),
    }
}
