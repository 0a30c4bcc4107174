//! Merges blocks into the cells of one workload at one scale.

use std::collections::{BTreeSet, HashMap};

use super::{
    Block, Fault, PlanFolder,
    node::NodeFile,
    part::{End, Part},
};
use crate::{
    output::counted,
    plan::{Planned, cells_on},
    record::{Cell, State, Trial},
    run::whole,
    stats::FEWEST_NODES,
};
use paceline_core::perform::Placement;

/// A complete attempt whose cells are those of its block.
pub(super) struct Measured {
    /// The node, and the attempt.
    pub node: NodeFile,
    /// How long it took.
    pub seconds: f64,
    /// How each cell ended, with its trial if it is `ok`, in the order of the plan.
    cells: Vec<(End, Option<Trial>)>,
}

/// The blocks of one workload at one scale, those on machines of one kind.
pub(super) struct Row<'a> {
    pub plan: &'a PlanFolder,
    /// The blocks that are complete, in the order of their passes.
    pub parts: Vec<(&'a Block, Measured)>,
    /// The blocks that were given up, with the scheduler's word.
    pub given_up: Vec<(&'a Block, String)>,
    /// The number of passes that have not ended.
    pub missing: usize,
}

/// Checks that a part has each cell of its block once, and a trial of its pass for each that is `ok`. Histograms are
/// not decoded here but once, when they are merged.
pub(super) fn check(plan: &PlanFolder, block: &Block, part: Part) -> Result<Measured, String> {
    let (workloads, choice) = plan.cells_of(block);
    let planned = cells_on(part.node.cores, workloads, &plan.models, &choice);
    let places: HashMap<_, usize> = (0..).zip(&planned).map(|(at, cell)| (of(cell), at)).collect();
    let ends = in_order(part.ends, planned.len(), |end| {
        let End { workload, model, scale, workers, placement, .. } = end;
        places.get(&(workload.as_str(), model.as_str(), *scale, *workers, *placement)).copied()
    })?;
    let trials = in_order(part.trials, planned.len(), |trial| {
        let Trial { workload, model, scale, workers, placement, .. } = trial;
        places.get(&(workload.as_str(), model.as_str(), *scale, *workers, *placement)).copied()
    })?;
    let mut cells = Vec::with_capacity(planned.len());
    for ((cell, ends), mut trials) in planned.iter().zip(ends).zip(trials) {
        let [end] = <[End; 1]>::try_from(ends)
            .map_err(|ends| format!("it has {} ends of {}, not one", ends.len(), cell.name()))?;
        let wanted = usize::from(end.state == State::Ok);
        if trials.len() != wanted || trials.iter().any(|trial| trial.trial != block.pass) {
            let (name, has) = (cell.name(), trials.len());
            return Err(format!("{name} is to have {wanted} trials of its pass, and has {has}"));
        }
        cells.push((end, trials.pop()));
    }
    Ok(Measured { node: part.node, seconds: part.seconds, cells })
}

/// What tells cells apart.
type Of<'a> = (&'a str, &'a str, usize, Option<usize>, Placement);

fn of<'a>(cell: &Planned<'a>) -> Of<'a> {
    (&cell.workload.name, cell.entry.info.name, cell.scale, cell.workers, cell.placement)
}

/// Sorts `all` into as many cells as are planned. `place` returns the cell of each, if it is one of the plan.
fn in_order<T>(
    all: Vec<T>,
    cells: usize,
    place: impl Fn(&T) -> Option<usize>,
) -> Result<Vec<Vec<T>>, String> {
    let mut sorted: Vec<Vec<T>> = (0..cells).map(|_| vec![]).collect();
    for one in all {
        let at = place(&one).ok_or("it has cells that are not in the plan")?;
        sorted[at].push(one);
    }
    Ok(sorted)
}

impl Measured {
    /// How many trials it has.
    pub(super) fn trials(&self) -> usize {
        self.cells.iter().filter(|(_, trial)| trial.is_some()).count()
    }
}

impl Row<'_> {
    /// Hands each cell with its trials to `write`, in the order of the plan. `cores` is what symbolic settings stand
    /// for if no part says it.
    ///
    /// # Errors
    ///
    /// Returns a fault of `write`, or one that names the attempt with a histogram that cannot be read.
    pub(super) fn cells(
        mut self,
        cores: usize,
        mut write: impl FnMut(&Cell, &[Trial]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let blocks = self.parts.iter().map(|(block, _)| *block);
        let mut blocks = blocks.chain(self.given_up.iter().map(|(block, _)| *block));
        let Some(block) = blocks.next() else { return Ok(()) };
        let cores = self.parts.first().map_or(cores, |(_, part)| part.node.cores);
        let (workloads, choice) = self.plan.cells_of(block);
        let planned = cells_on(cores, workloads, &self.plan.models, &choice);
        for (at, cell) in planned.iter().enumerate() {
            let (cell, trials) = self.cell(at, cell)?;
            write(&cell, &trials)?;
        }
        Ok(())
    }

    fn cell(&mut self, at: usize, cell: &Planned<'_>) -> Result<(Cell, Vec<Trial>), String> {
        let taken = self.parts.iter_mut().filter_map(|(_, part)| part.cells[at].1.take());
        let trials: Vec<Trial> = taken.collect();
        let model = cell.entry.info.name;
        let fault = self.fault(at, trials.len()).or_else(|| self.two_versions(model));
        if let Some((state, why)) = fault {
            self.check_histograms(&trials)?;
            let nodes = self.parts.iter().map(|(_, part)| part.node.node.id.clone()).collect();
            return Ok((Cell { nodes, ..cell.cell_with_reason(state, why) }, trials));
        }
        let nodes: Vec<String> = trials.iter().filter_map(|trial| trial.node.clone()).collect();
        let whole =
            whole(cell, &trials, |fastest| self.bound(at, cell, fastest)).map_err(|why| {
                let found = self.check_histograms(&trials).err();
                found.unwrap_or_else(|| format!("{}: {why}", cell.name()))
            })?;
        let (ran, wanted) = (trials.len(), trials.len() + self.missing);
        let partial = || format!("{ran} of {wanted} passes had ended when this was collected");
        let interval = whole.interval.clone().map(|what| over(&what, &nodes));
        let reason = (self.missing > 0).then(partial);
        Ok((Cell { reason, interval, nodes, ..whole }, trials))
    }

    /// Checks that the histograms of `trials` can be read. The attempt is exactly what its node wrote, so it is not
    /// torn, and leaving it out would hide a fault of the program.
    fn check_histograms(&self, trials: &[Trial]) -> Result<(), String> {
        for trial in trials {
            let Err(why) = trial.recorded.check() else { continue };
            let of = self.parts.iter().find(|(block, _)| block.pass == trial.trial);
            let place = of.map_or_else(String::new, |(block, part)| {
                self.plan.attempts(&block.id).join(&part.node.attempt).display().to_string()
            });
            let model = &trial.model;
            return Err(format!(
                "{place}: a trial of {model} cannot be read: {why}; remove that folder, and submit again"
            ));
        }
        Ok(())
    }

    /// Returns how the cell ended if any block gave no figure. The others then make none either: with one figure less,
    /// the passes of models would be paired wrongly.
    fn fault(&self, at: usize, trials: usize) -> Option<(State, String)> {
        let ends = self.parts.iter().map(|(block, part)| (*block, part, &part.cells[at].0));
        let ends: Vec<(&Block, &Measured, &End)> = ends.collect();
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

    /// Returns why the trials of a model are not merged: its language has another version on another node, which no
    /// fingerprint tells.
    fn two_versions(&self, model: &str) -> Option<(State, String)> {
        let version = |part: &Measured| {
            let of = part.node.models.iter().find(|of| of.name == model)?;
            Some((of.version.clone(), part.node.node.id.clone()))
        };
        let mut all = self.parts.iter().filter_map(|(_, part)| version(part));
        let (first, node) = all.next()?;
        let (other, elsewhere) = all.find(|(version, _)| *version != first)?;
        let why = format!(
            "its version is {first} on {node} and {other} on {elsewhere}, and figures of two versions do not mix: install one on all nodes"
        );
        Some((State::Invalid, why))
    }

    /// Returns what no model can exceed on any of the nodes; `None` if one of them has no such bound, or it is refuted.
    fn bound(&self, at: usize, cell: &Planned<'_>, fastest: Option<f64>) -> Option<f64> {
        let bounds = self.parts.iter().map(|(_, part)| part.cells[at].0.bound_jobs_per_second);
        let most = bounds.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)?;
        cell.unless_refuted(most, fastest)
    }
}

fn told(block: &Block, part: &Measured, end: &End, others: &str) -> String {
    let (pass, node) = (block.pass + 1, &part.node.node.id);
    let why = end.reason.as_deref().unwrap_or("no reason was given");
    format!("pass {pass}, on {node}: {why}; {others}")
}

/// Describes the interval of a cell that ran on `nodes`, one for each trial. `trials` is how it is computed from trials.
fn over(trials: &str, nodes: &[String]) -> String {
    let names: BTreeSet<&str> = nodes.iter().map(String::as_str).collect();
    let first: Vec<&str> = names.iter().copied().take(8).collect();
    match &first[..] {
        [one] => format!("{trials}; all on one node, {one}: nothing is known of others"),
        some if names.len() < FEWEST_NODES => {
            format!("{trials}; on two nodes, {}: nothing is known of others", some.join(" and "))
        }
        some => format!(
            "95 %, of the geometric mean over {} nodes ({}{}) of the mean of {} on them, by Student's t",
            names.len(),
            some.join(", "),
            if names.len() > some.len() { ", …" } else { "" },
            counted(nodes.len(), "trial")
        ),
    }
}
